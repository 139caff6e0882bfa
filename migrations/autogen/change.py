"""The two operations that Alembic lacks: SQL that knows its way back, and a block of operations."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import render_op_text, renderers
from alembic.operations.ops import MigrateOperation, ModifyTableOps
from alembic.util import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alembic.autogenerate.api import AutogenContext
    from alembic.operations.ops import OpContainer

__all__ = ["Block", "Change", "Script", "escaped", "leaves", "literal"]

_WIDTH = 80  # of a piece of a long statement, before its indentation and quotes
# `op.execute` takes ":name" for a parameter; "::" and "a:b" it leaves alone.
_PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w)")


@dataclass(frozen=True, kw_only=True)
class Script:
    """One direction of a change.

    Attributes:
        statements: SQL, in order.
        notes: Comments for whoever reads the revision, a paragraph each.
        autocommit: The statements have to be committed before the revision goes on.
        refusal: Why it can't be written; whoever tries to gets this as the error.
    """

    statements: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    autocommit: bool = False
    refusal: str = ""


class Change(MigrateOperation):
    """Statements, and the statements that undo them. Needs no database to be rendered as SQL."""

    def __init__(self, kind: str, about: str, *, up: Script, down: Script) -> None:
        """Take both directions; `kind` and `about` are what `alembic check` shows."""
        self.kind = kind
        self.about = about
        self.up = up
        self.down = down

    def reverse(self) -> Change:
        """Return the way back."""
        return Change(self.kind, self.about, up=self.down, down=self.up)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return what `alembic check` shows."""
        return (self.kind, self.about, *self.up.statements)


class Block(MigrateOperation):
    """Operations of Alembic's with a comment above, and in an autocommit block where they must."""

    def __init__(
        self, ops: Sequence[MigrateOperation], *, notes: Sequence[str], autocommit: bool = False
    ) -> None:
        """Take the operations in their order."""
        self.ops = list(ops)
        self.notes = tuple(notes)
        self.autocommit = autocommit


@renderers.dispatch_for(Change)
def _render_change(_context: AutogenContext, change: Change) -> list[str]:
    script = change.up
    if script.refusal:
        raise CommandError(script.refusal)
    lines = [f"op.execute({literal(statement)})" for statement in script.statements]
    return _laid_out(lines, notes=script.notes, autocommit=script.autocommit)


@renderers.dispatch_for(Block)
def _render_block(context: AutogenContext, block: Block) -> list[str]:
    lines = [render_op_text(context, op) for op in block.ops]
    return _laid_out(lines, notes=block.notes, autocommit=block.autocommit)


def leaves(container: OpContainer) -> Iterator[MigrateOperation]:
    """Yield the operations in a container, those of each table for themselves."""
    for op in container.ops:
        if isinstance(op, ModifyTableOps):
            yield from leaves(op)
        else:
            yield op


def literal(statement: str) -> str:
    """Return `statement` as Python that `op.execute` understands, in lines of a bearable width."""
    text = escaped(statement)
    if "\n" not in text and len(text) <= _WIDTH:
        return repr(text)
    pieces = [piece for line in text.splitlines(keepends=True) for piece in _pieces(line)]
    return "\n" + "".join(f"    {piece!r}\n" for piece in pieces)


def escaped(statement: str) -> str:
    """Return what `sa.text` takes for `statement`, whose colons are none of its parameters."""
    return _PARAMETER.sub(r"\\:", statement)


def _pieces(line: str) -> list[str]:
    """Cut before spaces, losing none, so that joining the pieces gives the line again."""
    words = re.findall(r"\s*\S+\s*?(?=\s\S|$)|\s+$", line) or [line]
    if "".join(words) != line:  # nothing is worth a wrong statement
        return [line]
    pieces = [""]
    for word in words:
        if pieces[-1] and len(pieces[-1]) + len(word) > _WIDTH:
            pieces.append("")
        pieces[-1] += word
    return pieces


def _laid_out(lines: list[str], *, notes: Sequence[str], autocommit: bool) -> list[str]:
    # One text: Mako's printer would take single lines of a block for its own to indent.
    if autocommit:
        body = textwrap.indent("\n".join(lines), "    ")
        lines = [f"with op.get_context().autocommit_block():\n{body}"]
    wrapped = [line for note in notes for line in textwrap.wrap(note, 90)]
    return [*(f"# {line}" for line in wrapped), *lines]
