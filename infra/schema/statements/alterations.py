"""How strongly each form of ALTER TABLE locks its table, and PostgreSQL 17 alone is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.schema.statements.sentence import Sentence

__all__ = ["mode"]

_ALL = "AccessExclusiveLock"
_WRITES = "ShareRowExclusiveLock"
_CHANGES = "ShareUpdateExclusiveLock"

# Storage parameters that may be set while the table is written to.
_LIGHT_OPTIONS = (
    "AUTOVACUUM_",
    "FILLFACTOR",
    "LOG_AUTOVACUUM_",
    "PARALLEL_WORKERS",
    "TOAST.",
    "TOAST_TUPLE_TARGET",
    "VACUUM_",
)
_LIGHT = (
    ("VALIDATE", "CONSTRAINT"),
    ("ATTACH", "PARTITION"),
    ("CLUSTER", "ON"),
    ("SET", "WITHOUT", "CLUSTER"),
)


def mode(clause: Sentence) -> str:
    """Give the lock of one subcommand of ALTER TABLE, ALTER INDEX or ALTER MATERIALIZED VIEW."""
    if clause.take("ADD"):
        return _add(clause)
    if clause.take("ALTER"):
        return _column(clause)
    if clause.take("ENABLE") or clause.take("DISABLE"):
        clause.skip("REPLICA", "ALWAYS")
        return _WRITES if clause.take("TRIGGER") else _ALL
    light = any(clause.take(*words) for words in _LIGHT)
    if clause.take("DETACH", "PARTITION"):
        light = clause.has("CONCURRENTLY") or clause.has("FINALIZE")
    elif clause.take("SET") or clause.take("RESET"):
        options = clause.options()
        light = bool(options) and all(option.startswith(_LIGHT_OPTIONS) for option in options)
    return _CHANGES if light else _ALL


def _add(clause: Sentence) -> str:
    if clause.take("CONSTRAINT"):
        clause.name()
    # A column may have that name, but then its type comes next, not KEY.
    return _WRITES if clause.take("FOREIGN", "KEY") else _ALL


def _column(clause: Sentence) -> str:
    """Give the lock of ALTER COLUMN and ALTER CONSTRAINT."""
    if clause.take("CONSTRAINT"):
        return _ALL
    clause.take("COLUMN")
    clause.name() or clause.word()  # an index numbers its columns
    if clause.take("SET", "STATISTICS"):
        return _CHANGES
    if clause.take("SET", "(") or clause.take("RESET", "("):
        return _CHANGES
    return _ALL
