"""What the schema node remembers in the database: each revision that it ran, the catalog after.

The tables live in a schema of their own, beside the tables of the migrations and never among them.
Each row names the version table that it belongs to, so that several Alembic directories can keep
their histories in one database.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from infra.schema.model import Drift
from infra.schema.statements.sql import array, literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infra.schema.model import Catalog, Script, Step

__all__ = [
    "ADD_UNACCEPTED",
    "APPLIED",
    "BEGUN",
    "CREATE",
    "DONE",
    "EVENTS",
    "EXISTS",
    "KEEPS_DRIFT",
    "KEY",
    "MAY_ALTER",
    "MISSING_RIGHTS",
    "SCHEMA",
    "UNACCEPTED",
    "UNFINISHED",
    "Run",
    "digests",
    "event",
    "note",
    "record",
    "recorded",
    "unaccepted",
]

SCHEMA = "schema_ledger"

CREATE = """
CREATE SCHEMA IF NOT EXISTS schema_ledger;
CREATE TABLE IF NOT EXISTS schema_ledger.events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version_table text NOT NULL,
    run uuid NOT NULL,
    revision text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('up', 'down', 'stamp')),
    state text NOT NULL CHECK (state IN ('begun', 'done')),
    message text NOT NULL,
    file text NOT NULL,
    sha256 text NOT NULL,
    needs text[] NOT NULL,
    heads_before text[] NOT NULL,
    heads_after text[] NOT NULL,
    downgrade jsonb NOT NULL,
    committed text[] NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    role text NOT NULL DEFAULT current_user,
    login text NOT NULL DEFAULT session_user,
    stack text NOT NULL,
    commit text NOT NULL,
    plan text NOT NULL
);
COMMENT ON COLUMN schema_ledger.events.committed IS
    'sha256 of each statement of an unfinished revision that is committed already';
CREATE INDEX IF NOT EXISTS events_version_table_revision_id
    ON schema_ledger.events (version_table, revision, id);
CREATE TABLE IF NOT EXISTS schema_ledger.catalogs (
    version_table text PRIMARY KEY,
    heads text[] NOT NULL,
    format integer NOT NULL,
    objects jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    unaccepted jsonb NOT NULL DEFAULT '{}'
);
"""
"""Run before the first revision; the owner of the database may, or whoever has CREATE on it."""

EXISTS = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace home ON relnamespace = home.oid
    WHERE nspname = 'schema_ledger' AND relname = 'events'
)
"""
"""From the catalog, so that no right on the schema is needed to ask."""

MISSING_RIGHTS = """
SELECT wanted.privilege, wanted.object
FROM (VALUES ('SELECT', 'schema_ledger.events'), ('INSERT', 'schema_ledger.events'),
             ('SELECT', 'schema_ledger.catalogs'), ('INSERT', 'schema_ledger.catalogs'),
             ('UPDATE', 'schema_ledger.catalogs')) AS wanted (privilege, object)
JOIN pg_catalog.pg_class found ON found.relname = split_part(wanted.object, '.', 2)
JOIN pg_catalog.pg_namespace home ON home.oid = found.relnamespace AND nspname = 'schema_ledger'
WHERE NOT has_table_privilege(found.oid, wanted.privilege)
    OR NOT has_schema_privilege(home.oid, 'USAGE')
ORDER BY object, privilege
"""
"""What whoever runs migrations lacks; read from the catalog, so that no right is needed to ask."""

KEY = "SELECT format('%I.%I', $1::text, $2::text)"
"""The name by which the ledger knows a version table: schema and table, quoted where needed."""

APPLIED = """
SELECT DISTINCT ON (revision) revision, direction, state, message, sha256, needs, downgrade,
       commit, stack, to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at
FROM schema_ledger.events
WHERE version_table = $1
ORDER BY revision, id DESC
"""
"""The last event of each revision; it is there unless that is a 'down' that is done."""

EVENTS = """
SELECT to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at,
       direction, state, revision, message, file, sha256,
       extract(epoch FROM finished_at - started_at)::float8 AS seconds,
       login, role, stack, commit, plan
FROM schema_ledger.events
WHERE version_table = format('%I.%I', coalesce(nullif($2::text, ''), current_schema()), $1::text)
ORDER BY id
"""
"""All that was ever run, in order; $1 names the version table, $2 its schema, or is empty."""

UNACCEPTED = "unaccepted"
"""By object what was changed by hand: `before`, as revisions made it, and `after`; null for none.

A column that a ledger of an earlier version lacks, and whose content an earlier checkout keeps, as
it names the others in all that it writes.
"""

ADD_UNACCEPTED = (
    "ALTER TABLE schema_ledger.catalogs"
    " ADD COLUMN IF NOT EXISTS unaccepted jsonb NOT NULL DEFAULT '{}'"
)
"""Its owner may: the role that made the ledger, as a rule."""

KEEPS_DRIFT = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_attribute column_
    JOIN pg_catalog.pg_class found ON found.oid = column_.attrelid
    JOIN pg_catalog.pg_namespace home ON home.oid = found.relnamespace
    WHERE home.nspname = 'schema_ledger' AND found.relname = 'catalogs'
        AND column_.attname = 'unaccepted' AND NOT column_.attisdropped
)
"""
"""Whether the ledger has that column."""

MAY_ALTER = """
SELECT pg_catalog.pg_has_role(found.relowner, 'USAGE')
FROM pg_catalog.pg_class found
JOIN pg_catalog.pg_namespace home ON home.oid = found.relnamespace
WHERE home.nspname = 'schema_ledger' AND found.relname = 'catalogs'
"""
"""Whether the session may add a column to the ledger."""

DONE = """
SELECT EXISTS (
    SELECT FROM schema_ledger.events
    WHERE version_table = $1 AND run = $2::uuid AND revision = $3 AND direction = $4
        AND state = 'done'
)
"""
"""Whether a run finished a revision; the only proof after a connection was cut at the COMMIT."""

BEGUN = """
SELECT EXISTS (
    SELECT FROM schema_ledger.events
    WHERE version_table = $1 AND run = $2::uuid AND revision = $3 AND state = 'begun'
)
"""
"""Whether a run committed a part of a revision."""

UNFINISHED = """
SELECT committed
FROM (
    SELECT direction, state, committed FROM schema_ledger.events
    WHERE version_table = $1 AND revision = $2 ORDER BY id DESC LIMIT 1
) AS newest
WHERE direction = $3 AND state = 'begun'
"""
"""What an interrupted run had committed of a revision; no row where none was interrupted."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What all events of one run have in common.

    Attributes:
        key: The version table, as KEY gives it.
        id: A UUID.
        stack: Name of the stack; empty outside of one.
        commit: Commit of the checkout; empty where none is known.
        plan: Digest of the plan.
    """

    key: str
    id: str
    stack: str
    commit: str
    plan: str


def digests(script: Script) -> tuple[str, ...]:
    """Give the sha256 of each statement: by these an interrupted revision is taken up again."""
    return tuple(hashlib.sha256(text.encode()).hexdigest() for text in script.statements)


def event(
    run: Run,
    step: Step,
    *,
    state: Literal["begun", "done"] = "done",
    direction: Literal["up", "down", "stamp"] | None = None,
    committed: tuple[str, ...] = (),
    started: str = "",
) -> str:
    """Write the INSERT of one event, to stand in the transaction of what it tells.

    Args:
        run: Which run.
        step: Which revision; of one that is taken back, the event keeps what takes it back.
        state: "begun" before and between commits of a revision in autocommit.
        direction: The step's own by default.
        committed: Digests of its statements that are committed with this transaction.
        started: When it began, as PostgreSQL writes it; the beginning of the transaction if empty.
    """
    undo = step.script.own if step.direction == "down" else step.undo
    values = [
        literal(run.key),
        literal(run.id),
        literal(step.revision),
        literal(direction or step.direction),
        literal(state),
        *map(literal, (step.message, step.file, step.sha256)),
        *map(array, (step.needs, step.before, step.after)),
        literal(json.dumps(asdict(undo), ensure_ascii=False)),
        array(committed),
        literal(started) if started else "pg_catalog.transaction_timestamp()",
        *map(literal, (run.stack, run.commit, run.plan)),
    ]
    return (
        "INSERT INTO schema_ledger.events (version_table, run, revision, direction, state, message,"
        " file, sha256, needs, heads_before, heads_after, downgrade, committed, started_at, stack,"
        f" commit, plan)\nVALUES ({', '.join(values)})"
    )


def record(
    key: str, heads: tuple[str, ...], catalog: Catalog, drift: Iterable[Drift] | None = None
) -> str:
    """Write the statement that keeps a catalog, in the place of the one before.

    Args:
        key: The version table, as KEY gives it.
        heads: What it is the catalog of.
        catalog: As it is.
        drift: What of it is drift, not accepted; None where the ledger has no place for it.
    """
    objects = json.dumps(dict(catalog.objects), ensure_ascii=False)
    columns = {"heads": array(heads), "format": f"{catalog.format:d}", "objects": literal(objects)}
    if drift is not None:
        columns[UNACCEPTED] = _unaccepted(drift)
    moves = "".join(f" {name} = excluded.{name}," for name in columns)
    return (
        f"INSERT INTO schema_ledger.catalogs (version_table, {', '.join(columns)})\n"
        f"VALUES ({literal(key)}, {', '.join(columns.values())})\n"
        f"ON CONFLICT (version_table) DO UPDATE SET{moves}"
        " recorded_at = pg_catalog.clock_timestamp()"
    )


def recorded(*, unaccepted: bool) -> str:
    """Write the query for what `record` has kept, as JSON; no row where it has kept nothing.

    Args:
        unaccepted: Whether the ledger has a place for drift.
    """
    column = f", {UNACCEPTED}" if unaccepted else ""
    return (
        "SELECT pg_catalog.to_json(kept)::text FROM ("  # noqa: S608 - columns of our own
        f"SELECT heads, format, objects{column} FROM schema_ledger.catalogs"
        " WHERE version_table = $1) kept"
    )


def note(key: str, drift: Iterable[Drift]) -> str:
    """Write the statement that keeps the drift, beside the catalog of before."""
    return (
        f"UPDATE schema_ledger.catalogs SET unaccepted = {_unaccepted(drift)}"  # noqa: S608 - quoted
        f" WHERE version_table = {literal(key)}"
    )


def _unaccepted(drift: Iterable[Drift]) -> str:
    data = {
        each.object: {"before": each.before or None, "after": each.after or None} for each in drift
    }
    return literal(json.dumps(data, ensure_ascii=False))


def unaccepted(data: Mapping[str, Mapping[str, str | None]]) -> tuple[Drift, ...]:
    """Read what `record` or `note` has kept."""
    found = []
    for name, each in data.items():
        before, after = each.get("before") or "", each.get("after") or ""
        change = "added" if not before else "changed" if after else "removed"
        found.append(Drift(change=cast("Any", change), object=name, before=before, after=after))
    return tuple(found)
