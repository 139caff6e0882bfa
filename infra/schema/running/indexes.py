"""Statements that build an index without blocking writers, and what a killed one leaves."""

from __future__ import annotations

import re
from dataclasses import dataclass

from infra.schema.statements.sql import literal

__all__ = ["PATIENCE", "Build", "build", "concurrently", "drops_index", "patience"]

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
    rf"|REINDEX\b[^;]*?|REINDEX{_SPACE}*\([^)]*?|ALTER{_SPACE}+TABLE\b[^;]*?\bDETACH{_SPACE}+PARTITION\b[^;]*?)"
    rf"(?:{_SPACE}+|(?<=[(,]))CONCURRENTLY\b",
    re.IGNORECASE | re.DOTALL,
)

_STATE = """
SELECT format('%I.%I', home.nspname, index.relname) AS name, indisvalid AS valid,
       indrelid = to_regclass({table}) AS ours,
       EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index progress
               WHERE progress.index_relid = index.oid AND progress.datid =
                     (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
           AS building
FROM pg_catalog.pg_class target
JOIN pg_catalog.pg_class index ON index.relnamespace = target.relnamespace
JOIN pg_catalog.pg_namespace home ON home.oid = index.relnamespace
JOIN pg_catalog.pg_index ON indexrelid = index.oid
WHERE target.oid = to_regclass({table}) AND index.relkind = 'i'
    AND index.relname = (parse_ident({index}))[1]::name
"""


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

    @property
    def state(self) -> str:
        """SQL that looks at what has its name in the schema of its table: no row for nothing.

        Columns: name, quoted; valid; ours, whether it is on that table; building, whether a session
        is at it.
        """
        return _STATE.format(index=literal(self.index), table=literal(self.table))


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


PATIENCE = 900_000
"""Milliseconds for which such a statement may wait for locks, unless somebody chose more."""


def patience() -> str:
    """Write SQL that makes the session patient."""
    return (
        f"SELECT pg_catalog.set_config(name, '{PATIENCE}', false)"  # noqa: S608 - a number
        " FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'"
        f" AND setting::pg_catalog.int4 BETWEEN 1 AND {PATIENCE}"
    )
