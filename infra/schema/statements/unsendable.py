"""SQL that no driver can send: what only psql does, and what waits for data of the client."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infra.schema.statements.lexer import UnfinishedError, scanned

if TYPE_CHECKING:
    from infra.schema.statements.lexer import Token

__all__ = ["unsendable"]

_WORTH_READING = re.compile(r"\\|\bstd(?:in|out)\b", re.IGNORECASE)
_COMMAND = re.compile(r"\\[A-Za-z!?]*")
_ENDS = {
    ("FROM", "STDIN"): "COPY ... FROM STDIN, whose rows no statement carries: insert them"
    " (op.bulk_insert), or let the server read them (COPY ... FROM 'file')",
    ("TO", "STDOUT"): "COPY ... TO STDOUT, whose rows nothing here takes: let the server write"
    " them (COPY ... TO 'file'), or leave it out",
}


def unsendable(sql: str) -> str:
    """Say what in a text can't be sent, and what to write; empty where all of it can.

    Args:
        sql: One statement or several.
    """
    if "\0" in sql:
        return "a NUL character, which no text in PostgreSQL can hold: leave it out, or use bytea"
    if not _WORTH_READING.search(sql):
        return ""
    try:
        return _waits(sql)
    except UnfinishedError:  # told of elsewhere
        return ""


def _waits(sql: str) -> str:
    copying, depth, before = False, 0, ";"
    for token in scanned(sql):
        if token.kind == "comment":
            continue
        if (token.kind, token.value) == ("mark", "\\"):
            return _command(sql, token)
        if before == ";" and not depth:
            copying = (token.kind, token.value) == ("word", "COPY")
        if token.kind == "mark":
            depth += {"(": 1, ")": -1}.get(token.value, 0)
        found = _ENDS.get((before, token.value)) if copying and not depth else ""
        if found:
            return found
        before = token.value if token.kind in {"word", "mark"} else ""
    return ""


def _command(sql: str, token: Token) -> str:
    match = _COMMAND.match(sql, token.start)
    name = match[0] if match else "\\"
    return f"{name}, a command of psql and no SQL: write what it stands for as SQL"
