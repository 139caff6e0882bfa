"""What the schema node remembers in the database: each revision that it ran, the catalog after.

The tables live in a schema of their own, beside the tables of the migrations and never among them.
Each row names the version table that it belongs to, so that several Alembic directories can keep
their histories in one database.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from infra.schema.statements.sql import array, literal

if TYPE_CHECKING:
    from infra.schema.model import Catalog, Script, Step

__all__ = [
    "APPLIED",
    "CREATE",
    "DONE",
    "EVENTS",
    "EXISTS",
    "KEY",
    "MISSING_RIGHTS",
    "RECORDED",
    "SCHEMA",
    "UNFINISHED",
    "Run",
    "digests",
    "event",
    "record",
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
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
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

RECORDED = "SELECT heads, format, objects FROM schema_ledger.catalogs WHERE version_table = $1"

DONE = """
SELECT EXISTS (
    SELECT FROM schema_ledger.events
    WHERE version_table = $1 AND run = $2::uuid AND revision = $3 AND direction = $4
        AND state = 'done'
)
"""
"""Whether a run finished a revision; the only proof after a connection was cut at the COMMIT."""

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
    undo = step.script if step.direction == "down" else step.undo
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


def record(key: str, heads: tuple[str, ...], catalog: Catalog) -> str:
    """Write the statement that keeps a catalog, in the place of the one before."""
    objects = json.dumps(dict(catalog.objects), ensure_ascii=False)
    return (
        "INSERT INTO schema_ledger.catalogs (version_table, heads, format, objects)\n"
        f"VALUES ({literal(key)}, {array(heads)}, {catalog.format:d}, {literal(objects)})\n"
        "ON CONFLICT (version_table) DO UPDATE SET heads = excluded.heads,"
        " format = excluded.format, objects = excluded.objects,"
        " recorded_at = pg_catalog.clock_timestamp()"
    )
