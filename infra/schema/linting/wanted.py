"""The types and extensions that pending SQL needs, and whether the server has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.schema.linting import effects, numbering, trees
from infra.schema.linting.remark import Remark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infra.schema.linting.course import Moment
    from infra.schema.linting.pending import Pending, Statement
    from infra.schema.linting.server import Server
    from infra.schema.linting.trees import Name
    from infra.schema.model import Live

__all__ = ["RULES", "extensions", "look", "types"]

RULES = frozenset({"extension-missing", "extension-version-missing", "type-missing"})

# Where a name of something else, or of what goes, stands as a type.
_WITHOUT = frozenset({"CommentStmt", "DefElem", "DefineStmt", "DropStmt", "SecLabelStmt"})


@dataclass(frozen=True, kw_only=True)
class _Extension:
    name: str
    version: str
    lenient: bool  # nothing happens where it is there already
    update: bool


def types(statement: Statement) -> tuple[Name, ...]:
    """List the types that a statement names, each once; PostgreSQL's own spellings left out."""
    found = []
    for kind, fields in statement.nodes:
        for node in trees.types({kind: fields}, _WITHOUT):
            schema, name = trees.named(trees.strings(node["names"]))
            plain = not schema and name in numbering.SERIAL
            if name and schema != "pg_catalog" and not plain and not node.get("pct_type"):
                found.append((schema, name))
    return tuple(dict.fromkeys(found))


def extensions(statement: Statement) -> tuple[str, ...]:
    """List the extensions that a statement makes or updates."""
    return tuple(each.name for each in _extensions(statement))


def _extensions(statement: Statement) -> Iterator[_Extension]:
    for kind, fields in statement.nodes:
        if kind in {"CreateExtensionStmt", "AlterExtensionStmt"}:
            version = trees.strings(trees.option(fields.get("options"), "new_version"))
            yield _Extension(
                name=str(fields.get("extname", "")),
                version=version[0] if version else "",
                lenient=bool(fields.get("if_not_exists")),
                update=kind == "AlterExtensionStmt",
            )


def look(
    course: Sequence[tuple[Pending, tuple[Moment, ...]]], server: Server, live: Live
) -> Iterator[Remark]:
    """Give what the server lacks.

    Args:
        course: The plan, statement by statement.
        server: What it told.
        live: What the database has.
    """
    state = _State(server, live)
    for pending, moments in course:
        if pending.unknown:
            state.anything = True
        for moment in moments:
            remarks = list(state.meet(moment))
            if not pending.history:
                yield from remarks


class _State:
    """What there is beside what the server told, up to a statement."""

    def __init__(self, server: Server, live: Live) -> None:
        self._server = server
        self._live = live
        self._made: set[str] = set()
        self._hidden = ""
        self.anything = False

    def meet(self, moment: Moment) -> Iterator[Remark]:
        """Tell what a statement lacks, and note what it makes."""
        statement = moment.statement
        for kind, fields in statement.nodes:  # a type may be used in what makes it
            self._made |= set(_made(kind, fields))
        for name in types(statement):
            if not self._has(name, moment.path):
                yield Remark.of(
                    statement,
                    "type-missing",
                    f"uses type {trees.written(*name)}, which the server does not have and no"
                    " revision makes before",
                    "Install the extension that has it, or make it in an earlier revision.",
                )
        for extension in _extensions(statement):
            yield from self._extension(statement, extension)
        self._hidden += statement.hides.casefold()

    def _has(self, name: Name, path: Sequence[str]) -> bool:
        schema, plain = name
        # What a DO block says may be how it makes the type.
        if self.anything or plain in self._made or plain.casefold() in self._hidden:
            return True
        if schema:
            return name in self._server.types
        return plain in self._server.seen or any((s, plain) in self._server.types for s in path)

    def _extension(self, statement: Statement, wanted: _Extension) -> Iterator[Remark]:
        there = wanted.name in self._live.extensions
        if there and wanted.lenient:
            return
        if wanted.update or not there:
            self.anything = True  # which types it brings can't be told
        offered = self._server.extensions.get(wanted.name)
        if offered is None and not there:
            yield Remark.of(
                statement,
                "extension-missing",
                f"needs extension {trees.written(wanted.name)}, which the server does not offer",
                "Install its package on the server, or choose a server that has it.",
            )
        elif wanted.version and wanted.version not in (offered or ()):
            has = ", ".join(sorted(offered or ())) or "none"
            yield Remark.of(
                statement,
                "extension-version-missing",
                f"needs version {wanted.version} of extension {trees.written(wanted.name)}; the"
                f" server offers {has}",
                "Update its package on the server first, or name a version that is there.",
            )


def _made(kind: str, fields: Mapping[str, Any]) -> Iterator[str]:
    """Give the names of types that a statement makes; each has an array, a range a multirange."""
    found = effects.of(kind, fields)
    for name in (*found.made, *(new for _, new in found.becomes)):
        yield name[1]
        yield f"_{name[1]}"
        if kind == "CreateRangeStmt":
            yield from trees.strings(trees.option(fields.get("params"), "multirange_type_name"))
            yield (
                name[1].replace("range", "multirange")
                if "range" in name[1]
                else (f"{name[1]}_multirange")
            )
