"""Statements that build an index without blocking writers, and what a killed one leaves."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["STATE", "Build", "build", "concurrently", "drops_index"]

_SPACE = r"(?:\s|--[^\n]*\n|/\*.*?\*/)"
_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_BUILD = re.compile(
    rf"{_SPACE}*CREATE{_SPACE}+(?:UNIQUE{_SPACE}+)?INDEX{_SPACE}+CONCURRENTLY{_SPACE}+"
    rf"(?P<if>IF{_SPACE}+NOT{_SPACE}+EXISTS{_SPACE}+)?(?!ON\b)(?P<index>{_NAME}){_SPACE}*"
    rf"ON{_SPACE}+(?:ONLY{_SPACE}+)?(?P<table>{_NAME}(?:{_SPACE}*\.{_SPACE}*{_NAME})*)",
    re.IGNORECASE | re.DOTALL,
)
_DROP = re.compile(
    rf"{_SPACE}*DROP{_SPACE}+INDEX{_SPACE}+CONCURRENTLY\b", re.IGNORECASE | re.DOTALL
)
_CONCURRENTLY = re.compile(
    rf"{_SPACE}*(?:CREATE{_SPACE}+(?:UNIQUE{_SPACE}+)?INDEX|DROP{_SPACE}+INDEX"
    rf"|REINDEX\b[^;]*?|ALTER{_SPACE}+TABLE\b[^;]*?\bDETACH{_SPACE}+PARTITION\b[^;]*?)"
    rf"{_SPACE}+CONCURRENTLY\b",
    re.IGNORECASE | re.DOTALL,
)

STATE = """
SELECT format('%I.%I', home.nspname, index.relname) AS name, indisvalid AS valid,
       indrelid = to_regclass($2) AS ours,
       EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index progress
               WHERE progress.index_relid = index.oid AND progress.datid =
                     (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
           AS building
FROM pg_catalog.pg_class target
JOIN pg_catalog.pg_class index ON index.relnamespace = target.relnamespace
JOIN pg_catalog.pg_namespace home ON home.oid = index.relnamespace
JOIN pg_catalog.pg_index ON indexrelid = index.oid
WHERE target.oid = to_regclass($2) AND index.relkind = 'i'
    AND index.relname = (parse_ident($1))[1]::name
"""
"""Of the index of a name in the schema of a table, both as SQL writes them: no row for none."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """An index that a statement builds.

    Attributes:
        index: Its name, as the statement writes it.
        table: Its table's, the same.
        tolerant: Whether the statement says IF NOT EXISTS.
    """

    index: str
    table: str
    tolerant: bool


def build(statement: str) -> Build | None:
    """Read CREATE INDEX CONCURRENTLY; None for anything else, or an index without a name."""
    found = _BUILD.match(statement)
    if found is None:
        return None
    table = re.sub(_SPACE, "", found["table"]) if '"' not in found["table"] else found["table"]
    return Build(index=found["index"], table=table, tolerant=found["if"] is not None)


def drops_index(statement: str) -> bool:
    """Say whether it is DROP INDEX CONCURRENTLY."""
    return _DROP.match(statement) is not None


def concurrently(statement: str) -> bool:
    """Say whether a statement waits for old transactions and hinders nobody meanwhile."""
    return _CONCURRENTLY.match(statement) is not None
