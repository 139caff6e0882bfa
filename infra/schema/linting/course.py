"""What is there before each statement of a plan, and which of it nobody uses yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.schema.linting import effects, trees
from infra.schema.statements.sentence import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.schema.linting.effects import Effects
    from infra.schema.linting.pending import Pending, Statement
    from infra.schema.linting.trees import Name
    from infra.schema.model import History, Live

__all__ = ["Gone", "Made", "Moment", "follow", "relations", "schemas", "search_path"]

_KINDS = ("table ", "foreign table ", "view ", "materialized view ", "type ", "domain ")
_PUBLIC = ("public",)


@dataclass(frozen=True, kw_only=True)
class Gone:
    """Something that is in use, and no longer there under its name.

    Attributes:
        relation: Its schema and name, or those of its table.
        column: Its name where it is a column; else empty.
        renamed: Whether it is still there under another name.
    """

    relation: Name
    column: str = ""
    renamed: bool = False


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a statement makes: relations, and columns of relations, with their schemas."""

    relations: frozenset[Name] = frozenset()
    columns: frozenset[tuple[Name, str]] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One statement, when its turn has come.

    Attributes:
        statement: The statement.
        path: The schemas in which a name without one is looked for.
        unused: Whether all that it works on was made by this plan, and nobody uses it yet.
        about: What it works on, schema and name.
        gone: What is in use and goes.
        made: What it makes.
        idle: Whether it makes only IF NOT EXISTS what is there already.
    """

    statement: Statement
    path: tuple[str, ...]
    unused: bool
    about: tuple[Name, ...] = ()
    gone: tuple[Gone, ...] = ()
    made: Made = field(default_factory=Made)
    idle: bool = False


def follow(
    pending: Iterable[Pending], history: History, live: Live | None
) -> Iterator[tuple[Pending, tuple[Moment, ...]]]:
    """Go through a plan, and give what each statement meets.

    Args:
        pending: What is to be applied; what the previous release has counts as in use.
        history: Its prologue says where names are looked for while there is no database.
        live: What the database has; None where it is still to be made.
    """
    state = _State(live, history)
    for each in pending:
        state.begin(each)
        yield each, tuple(state.meet(statement) for statement in each.statements)


class _State:
    def __init__(self, live: Live | None, history: History) -> None:
        self._path = self._home = search_path(history, live)
        self._role = live.role if live else ""
        self._used = relations(live)
        self._made: set[Name] = set()
        self._schemas: set[str] = set()
        self._used_schemas = {name for name, _ in self._used}
        self._tables: dict[Name, Name] = {}
        self._old = False
        # A revision that can't be read may have made anything that is not there.
        self._open = live is None or live.catalog is not None
        self._unread = False

    def begin(self, pending: Pending) -> None:
        """Begin with a revision."""
        self._path = self._home
        self._old = pending.history
        if pending.unknown or any(each.hides for each in pending.statements):
            self._unread = True
            self._open = self._open and not pending.history

    def meet(self, statement: Statement) -> Moment:
        """Tell what a statement meets, and note what it leaves."""
        about: list[Name] = []
        gone: list[Gone] = []
        relations: set[Name] = set()
        columns: set[tuple[Name, str]] = set()
        unused, idle = True, False
        for kind, fields in statement.nodes:
            path = trees.setting(kind, fields, "search_path")
            if path is not None:
                self._path = schemas(path, self._role) or self._home
            found = effects.of(kind, fields)
            made = [self._placed(name) for name in found.made]
            lenient = bool(fields.get("if_not_exists"))
            idle = lenient and bool(made) and self._used.issuperset(made)
            subjects = [self._subject(name) for name in found.about]
            unused = unused and all(map(self._new, subjects))
            unused = unused and self._schemas.issuperset(found.schemas_gone)
            about += [*subjects, *((schema, "") for schema in found.schemas_gone)]
            gone += self._going(found)
            columns |= {(self._resolved(name), column) for name, column in found.columns_made}
            relations |= self._leave(found)
        return Moment(
            statement=statement,
            path=self._path,
            unused=unused and bool(about),
            about=tuple(about),
            gone=tuple(gone),
            made=Made(relations=frozenset(relations), columns=frozenset(columns)),
            idle=idle,
        )

    def _resolved(self, name: Name) -> Name:
        """Give a name with the schema in which it is found; the first where it is in none."""
        if name[0]:
            return name
        there = ((schema, name[1]) for schema in self._path)
        return next((n for n in there if n in self._used or n in self._made), self._placed(name))

    def _placed(self, name: Name) -> Name:
        return (name[0] or next(iter(self._path), ""), name[1])

    def _subject(self, name: Name) -> Name:
        resolved = self._resolved(name)
        return self._tables.get(resolved, resolved)

    def _new(self, name: Name) -> bool:
        if name in self._used:
            return False
        return name in self._made or (self._unread and self._open)

    def _going(self, found: Effects) -> Iterator[Gone]:
        renamed = {old for old, _ in found.becomes}
        for name in found.gone if found.columnar else ():
            if not self._new(self._subject(name)):
                yield Gone(relation=self._resolved(name), renamed=name in renamed)
        for name, column in found.columns_gone:
            if not self._new(self._resolved(name)):
                again = bool(found.columns_made) and not found.gone
                yield Gone(relation=self._resolved(name), column=column, renamed=again)
        for schema in found.schemas_gone:
            yield from (Gone(relation=n) for n in sorted(self._used) if n[0] == schema)

    def _leave(self, found: Effects) -> set[Name]:
        """Note what is there after a statement, and give what it made."""
        into = self._used if self._old else self._made
        made = {self._placed(name) for name in found.made}
        for index, table in found.indexes:
            home = self._resolved(table)
            self._tables[home[0], index[1]] = home
        becomes = {self._resolved(old): new for old, new in found.becomes}
        for old in [self._resolved(name) for name in found.gone]:
            target = becomes.get(old)
            into_new = self._made if self._new(old) else self._used
            self._used.discard(old)
            self._made.discard(old)
            if target is not None:
                new = (target[0] or old[0], target[1])
                made.add(new)
                into_new.add(new)
                if old in self._tables:
                    self._tables[new] = self._tables.pop(old)
        into |= {self._placed(name) for name in found.made}
        self._schemas -= set(found.schemas_gone)
        if not self._old:
            self._schemas |= set(found.schemas) - self._used_schemas
        return made


def search_path(history: History, live: Live | None) -> tuple[str, ...]:
    """Give the schemas in which names are looked for, in order; the first that is there first."""
    if live is not None and live.search_path:
        path = schemas(trees.listed(live.search_path), live.role)
        return tuple(dict.fromkeys(([live.schema] if live.schema else []) + list(path)))
    path = ()
    for statement in history.prologue:
        for kind, fields in trees.parse(statement)[0]:
            path = trees.setting(kind, fields, "search_path") or path
    return schemas(path, "") or _PUBLIC


def schemas(path: Iterable[str], role: str) -> tuple[str, ...]:
    """Name the schemas of a search_path; "$user" stands for the role's own."""
    return tuple(filter(None, (role if name == "$user" else name for name in path)))


def relations(live: Live | None) -> set[Name]:
    """List what the database has."""
    found = set()
    for name in live.catalog.objects if live and live.catalog else ():
        kind = next((kind for kind in _KINDS if name.startswith(kind)), "")
        read = Sentence(name.removeprefix(kind)).name() if kind else None
        if read is not None and len(read.key) > 1:
            found.add((read.key[0], read.key[1]))
    return found
