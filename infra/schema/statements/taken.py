"""The locks that have been taken so far, and what is known of the names that take them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.schema.model import Lock

if TYPE_CHECKING:
    from infra.schema.statements.sentence import Name, Sentence

__all__ = ["STRENGTH", "UNKNOWN", "Knowledge", "Taken"]

UNKNOWN = "unknown"
"""Mode of a lock that can't be told: the relation then says what hides it."""

_ALL = "AccessExclusiveLock"
_WRITES = "ShareRowExclusiveLock"
STRENGTH = (
    _ALL,
    "ExclusiveLock",
    _WRITES,
    "ShareLock",
    "ShareUpdateExclusiveLock",
    "RowExclusiveLock",
    UNKNOWN,
)


@dataclass(slots=True)
class Knowledge:
    """What earlier revisions tell of the names that later ones use.

    Attributes:
        tables: The table of each index.
        references: The tables that each table refers to, by the name of the foreign key.
        relations: What has been made and not dropped.
    """

    tables: dict[tuple[str, ...], Name] = field(default_factory=dict)
    references: dict[tuple[str, ...], dict[tuple[str, ...], Name]] = field(default_factory=dict)
    relations: set[tuple[str, ...]] = field(default_factory=set)


class Taken:
    """Collects the locks of statements that run in one go."""

    def __init__(self, knowledge: Knowledge, *, learn: bool) -> None:
        """Begin without a lock."""
        self._knowledge = knowledge
        self._learn = learn
        self._own: set[tuple[str, ...]] = set()
        self._known_as: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._locks: dict[tuple[str, ...], tuple[int, str]] = {}

    @property
    def locks(self) -> tuple[Lock, ...]:
        """Each relation once, the strongest first."""
        order = sorted(self._locks.values(), key=lambda lock: lock[0])
        return tuple(Lock(mode=STRENGTH[rank], relation=text) for rank, text in order)

    def take(self, mode: str, name: Name) -> None:
        """Note a lock, unless nobody else can see the relation, or the lock is a light one."""
        key = self._known_as.get(name.key, name.key)
        if mode not in STRENGTH or key in self._own:
            return
        rank, text = STRENGTH.index(mode), name.text
        if key in self._locks:
            before, text = self._locks[key]
            rank = min(rank, before)
        self._locks[key] = (rank, text)

    def unknown(self, what: str) -> None:
        """Note that `what` may lock anything."""
        self._locks[UNKNOWN, what] = (STRENGTH.index(UNKNOWN), what)

    def knows(self, name: Name) -> bool:
        """Tell whether something of that name has been made."""
        return name.key in self._knowledge.relations

    def make(self, name: Name | None) -> None:
        """Note that something was made."""
        if name is not None:
            self._own.add(name.key)
            if self._learn:
                self._knowledge.relations.add(name.key)

    def index(self, name: Name | None, table: Name) -> None:
        """Note that an index was made."""
        if name is not None:
            whole = table.sibling(name)
            self.make(whole)
            if self._learn:
                self._knowledge.tables[whole.key] = table

    def table(self, index: Name) -> Name | None:
        """Give the table of an index."""
        return self._knowledge.tables.get(index.key)

    def refer(self, table: Name, clause: Sentence) -> None:
        """Note the foreign keys in a part of CREATE TABLE or ALTER TABLE ... ADD."""
        named = next((rest.name() for rest in clause.each("CONSTRAINT")), None)
        for rest in clause.each("REFERENCES"):
            other = rest.name()
            if other is None:
                continue
            self.take(_WRITES, other)
            if self._learn:
                references = self._knowledge.references.setdefault(table.key, {})
                references[named.key if named else (str(len(references)),)] = other

    def alter(self, mode: str, table: Name, clause: Sentence) -> None:
        """Note one subcommand of ALTER TABLE."""
        self.take(mode, table)
        if clause.take("ADD"):
            self.refer(table, clause)
        elif clause.take("DROP", "CONSTRAINT"):
            clause.take("IF", "EXISTS")
            key = clause.name()
            other = self._knowledge.references.get(table.key, {}).get(key.key if key else ())
            if other is not None:  # its triggers there go too
                self.take(_ALL, other)
        elif clause.take("ATTACH", "PARTITION") or clause.take("INHERIT"):
            other = clause.name()
            if other is not None:
                self.take(_ALL if mode != _ALL else "ShareUpdateExclusiveLock", other)
        elif clause.take("DETACH", "PARTITION"):
            partition = clause.name()
            if partition is not None:
                self.take(_ALL, partition)

    def drop(self, mode: str, name: Name, *, index: bool) -> None:
        """Note that something was dropped, and what it was tied to."""
        self.take(mode, name)
        if index:
            table = self.table(name)
            if table is not None:
                self.take(mode, table)
        for other in self._knowledge.references.get(name.key, {}).values():
            self.take(_ALL, other)
        if self._learn:
            self._knowledge.references.pop(name.key, None)
            self._knowledge.tables.pop(name.key, None)
            self._knowledge.relations.discard(name.key)

    def rename(self, old: Name, new: Name | None) -> None:
        """Note that what was `old` is `new` from here on."""
        if new is None:
            return
        name = old.sibling(new)
        self._known_as[name.key] = self._known_as.get(old.key, old.key)
        if self._learn:
            known = self._knowledge
            if old.key in known.relations:
                known.relations.add(name.key)
            if old.key in known.tables:
                known.tables[name.key] = known.tables.pop(old.key)
            if old.key in known.references:
                known.references[name.key] = known.references.pop(old.key)
            known.tables.update(
                {key: name for key, table in known.tables.items() if table.key == old.key}
            )
