"""What a killed statement with CONCURRENTLY leaves, where it names nothing that is found again.

An index without a name, REINDEX and DETACH PARTITION work in several transactions. Killed between
two of them, they leave an INVALID index, or a partition that is neither attached nor detached.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from infra.schema.statements.sql import literal, quoted_block

__all__ = ["Detachment", "Rebuild", "detachment", "rebuild"]

# ruff: noqa: S608 - names are quoted

_SPACE = r"(?:\s|--[^\n]*\n|/\*.*?\*/)"
_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_PATH = rf"{_NAME}(?:{_SPACE}*\.{_SPACE}*{_NAME})*"
_FLAGS = re.IGNORECASE | re.DOTALL
_UNNAMED = re.compile(
    rf"{_SPACE}*CREATE{_SPACE}+(?P<unique>UNIQUE{_SPACE}+)?INDEX{_SPACE}+CONCURRENTLY{_SPACE}+"
    rf"ON{_SPACE}+(?:ONLY{_SPACE}+)?(?P<table>{_PATH})(?P<rest>.*)",
    _FLAGS,
)
_REINDEX = re.compile(
    rf"{_SPACE}*REINDEX{_SPACE}*(?:\((?P<options>[^)]*)\){_SPACE}*)?"
    rf"(?P<kind>INDEX|TABLE|SCHEMA|DATABASE)\b{_SPACE}*(?P<late>CONCURRENTLY\b{_SPACE}*)?"
    rf"(?P<name>{_PATH})?",
    _FLAGS,
)
_DETACH = re.compile(
    rf"{_SPACE}*ALTER{_SPACE}+TABLE{_SPACE}+(?:IF{_SPACE}+EXISTS{_SPACE}+)?(?:ONLY{_SPACE}+)?"
    rf"(?P<parent>{_PATH}){_SPACE}+DETACH{_SPACE}+PARTITION{_SPACE}+(?P<child>{_PATH}){_SPACE}+"
    r"CONCURRENTLY\b",
    _FLAGS,
)

_HERE = "(SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"
# Another session may be at it; the table tells, since REINDEX builds its indexes one by one. Left
# out is what the role can't drop: an index of a TOAST table, for all who may not enter pg_toast.
_BROKEN = f"""
SELECT format('%I.%I', home.nspname, index.relname) AS name,
       EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index progress
               WHERE progress.relid = i.indrelid AND progress.datid = {_HERE}
                   AND progress.pid <> pg_backend_pid()) AS building
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class index ON index.oid = i.indexrelid
JOIN pg_catalog.pg_namespace home ON home.oid = index.relnamespace
WHERE NOT i.indisvalid AND index.relkind = 'i'
    AND i.indrelid IN ({{tables}}) AND {{what}}
    AND pg_catalog.has_schema_privilege(home.oid, 'USAGE')
ORDER BY name
"""
_WITH_TOAST = """
SELECT reached.oid FROM reached
UNION SELECT c.reltoastrelid FROM pg_catalog.pg_class c JOIN reached USING (oid)
"""
_REACHED = {
    "INDEX": (
        "SELECT i.indrelid AS oid FROM pg_catalog.pg_index i WHERE i.indexrelid IN (SELECT relid"
        " FROM pg_catalog.pg_partition_tree(to_regclass({name})) UNION SELECT to_regclass({name}))"
    ),
    "TABLE": (
        "SELECT relid::oid AS oid FROM pg_catalog.pg_partition_tree(to_regclass({name}))"
        " UNION SELECT to_regclass({name})::oid"
    ),
    "SCHEMA": (
        "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relnamespace = to_regnamespace({name})"
    ),
    "DATABASE": "SELECT c.oid FROM pg_catalog.pg_class c",
}
_REMADE = r"index.relname ~ '_cc(new|old)[0-9]*$'"
# How PostgreSQL itself writes what an index is: unique, and all behind the name of the table.
_DEFINED = "(i.indisunique::text || substring(pg_get_indexdef(i.indexrelid) FROM ' USING .*'))"
_WANTED = "current_setting('groundwork.index', true)"


@dataclass(frozen=True, kw_only=True)
class Rebuild:
    """A statement that may have left INVALID indexes when it was killed.

    Attributes:
        prepare: SQL that is sent before the questions.
        broken: SQL that lists them: name, quoted, and building, whether a session is at it.
        finished: SQL that is true where what the statement builds is there and valid; empty for a
            statement that may just run again.
    """

    prepare: tuple[str, ...]
    broken: str
    finished: str


@dataclass(frozen=True, kw_only=True)
class Detachment:
    """DETACH PARTITION CONCURRENTLY.

    Attributes:
        state: SQL that gives `state`, "attached", "pending" or "gone", and `busy`, whether another
            session is at it.
        finalize: The statement that ends a pending one.
    """

    state: str
    finalize: str


def rebuild(statement: str) -> Rebuild | None:
    """Read REINDEX CONCURRENTLY, or CREATE INDEX CONCURRENTLY without a name; else None."""
    found = _UNNAMED.match(statement)
    if found is not None:
        return _unnamed(found)
    found = _REINDEX.match(statement)
    if found is None:
        return None
    if not found["late"] and "CONCURRENTLY" not in (found["options"] or "").upper():
        return None
    kind = found["kind"].upper()
    if kind != "DATABASE" and not found["name"]:
        return None
    reached = _REACHED[kind].format(name=literal(found["name"] or ""))
    tables = f"WITH reached AS ({reached}) {_WITH_TOAST}"
    return Rebuild(prepare=(), broken=_BROKEN.format(tables=tables, what=_REMADE), finished="")


def _unnamed(found: re.Match[str]) -> Rebuild:
    """Let PostgreSQL write the index that is to come, made on an empty table like the real one."""
    table = literal(found["table"])
    # By EXECUTE, which takes a semicolon or a comment at the end.
    like = f"CREATE TEMPORARY TABLE groundwork_index (LIKE {found['table']})"
    made = f"CREATE {found['unique'] or ''}INDEX ON pg_temp.groundwork_index{found['rest']}"
    body = (
        "BEGIN\n"
        f"    EXECUTE {literal(like)};\n"
        f"    EXECUTE {literal(made)};\n"
        f"    PERFORM set_config('groundwork.index', (SELECT {_DEFINED} FROM pg_catalog.pg_index i"
        " WHERE i.indrelid = 'pg_temp.groundwork_index'::pg_catalog.regclass), false);\n"
        "    DROP TABLE pg_temp.groundwork_index;\n"
        # What is wrong with the statement, it says itself.
        "EXCEPTION WHEN OTHERS THEN\n"
        "    PERFORM set_config('groundwork.index', '', false);\n"
        "END"
    )
    what = f"{_DEFINED} = {_WANTED}"
    finished = (
        f"SELECT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = to_regclass({table})"
        f" AND i.indisvalid AND {what})"
    )
    return Rebuild(
        prepare=(f"DO {quoted_block(body)}",),
        broken=_BROKEN.format(tables=f"SELECT to_regclass({table})", what=what),
        finished=finished,
    )


def detachment(statement: str) -> Detachment | None:
    """Read ALTER TABLE ... DETACH PARTITION ... CONCURRENTLY; None for anything else."""
    found = _DETACH.match(statement)
    if found is None:
        return None
    parent, child = literal(found["parent"]), literal(found["child"])
    state = (
        "SELECT coalesce((SELECT CASE WHEN inhdetachpending THEN 'pending' ELSE 'attached' END"
        f" FROM pg_catalog.pg_inherits WHERE inhparent = to_regclass({parent})"
        f" AND inhrelid = to_regclass({child})), 'gone') AS state,\n"
        "EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state = 'active'"
        r" AND query ~* '\mDETACH\s+PARTITION\M.*\mCONCURRENTLY\M') AS busy"
    )
    return Detachment(
        state=state,
        finalize=f"ALTER TABLE {found['parent']} DETACH PARTITION {found['child']} FINALIZE",
    )
