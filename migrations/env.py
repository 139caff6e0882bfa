"""Runs the revisions: on the database of a URL, on what a caller hands in, or as SQL (`--sql`)."""

from __future__ import annotations

import asyncio
import logging
import os
import traceback
from contextlib import asynccontextmanager
from logging.config import fileConfig
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import autogen
import dsn
import models
from alembic import context
from alembic.util import CommandError
from pgvector.sqlalchemy import HALFVEC, SPARSEVEC, Vector
from sqlalchemy import Connection, Engine, pool
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncEngine, async_engine_from_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, MutableMapping

    from alembic.operations.ops import MigrationScript
    from sqlalchemy.dialects.postgresql.base import PGDialect
    from sqlalchemy.ext.asyncio import AsyncConnection

config = context.config
VERSION_TABLE = "alembic_version"
LOG = logging.getLogger("alembic.env")

# What a connection of our own waits for at most, where neither its URL nor its role says more.
# - A statement that waits for a lock makes everybody queue behind it who comes after: 5 s are
#   bearable for an application, and the revision can simply be run again.
# - One hour is more than any statement of a healthy revision takes, an index build included, and
#   less than a night: a runaway statement ends by itself.
# A revision that needs more says so: op.execute("SET LOCAL lock_timeout = '30s'").
LIMITS = """
SELECT set_config(wanted.name, wanted.setting, false)
FROM (VALUES ('lock_timeout', '5s'), ('statement_timeout', '1h')) AS wanted (name, setting)
JOIN pg_settings USING (name)
WHERE source NOT IN ('client', 'user', 'database user')
"""


def include_name(
    name: str | None,
    kind: str,
    _parents: MutableMapping[Any, Any],
) -> bool:
    """Leave the version table out of comparisons: Alembic's own, it is in no model."""
    return (kind, name) != ("table", VERSION_TABLE)


def finish(_context: object, _revision: object, directives: list[MigrationScript]) -> None:
    """Arrange what autogenerate found; on the command line, write no revision without anything."""
    autogen.arrange_indexes(directives, models.Base.metadata)
    by_hand = getattr(config.cmd_opts, "autogenerate", False)
    if by_hand and all(ops.is_empty() for d in directives for ops in d.upgrade_ops_list):
        directives.clear()
        LOG.warning(
            "Models and database are the same: no revision was written. For an empty one, leave"
            " out --autogenerate."
        )


def options() -> dict[str, Any]:
    """Return what both modes give to `context.configure`."""
    return {
        "target_metadata": models.Base.metadata,
        "transaction_per_migration": True,
        "version_table": VERSION_TABLE,
        "compare_type": True,
        "compare_server_default": True,
        "autogenerate_plugins": ["alembic.autogenerate.*", *autogen.PLUGINS],
        "render_item": autogen.render_item,
        "process_revision_directives": finish,
        "include_name": include_name,
    }


def run_migrations_offline() -> None:
    """Write the SQL to standard output. No database is asked, so no URL is needed.

    It holds no timeouts: whoever runs the SQL chooses them, and the schema by search_path.
    """
    context.configure(
        url="postgresql+asyncpg://",
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        **options(),
    )
    with context.begin_transaction():
        context.run_migrations()


def home_schema(connection: Connection) -> str:
    """Return the schema where unqualified names are created: the version table goes there too.

    Without it, Alembic would take an `alembic_version` of somebody else further down the
    search_path for its own. Leaves no transaction behind that the caller had not opened.
    """
    inside = connection.in_transaction()
    schema, role = connection.exec_driver_sql("SELECT current_schema(), current_user").one()
    if not inside:
        connection.rollback()
    if schema is None:
        raise CommandError(
            f'The search_path of role "{role}" leads to no schema. Nothing was done. Create the'
            " schema that it names, grant USAGE and CREATE on it, or set another search_path."
        )
    return str(schema)


def do_run_migrations(connection: Connection) -> None:
    """Run what the command asks for, in the transaction of the caller where there is one."""
    inside = connection.in_transaction()
    dialect = cast("PGDialect", connection.dialect)
    dialect.ischema_names.update(vector=Vector, halfvec=HALFVEC, sparsevec=SPARSEVEC)
    context.configure(
        connection=connection, version_table_schema=home_schema(connection), **options()
    )
    try:
        with context.begin_transaction():
            context.run_migrations()
    except AssertionError as exc:
        # A bare assert is how Alembic refuses an autocommit block in a transaction that isn't its.
        if not inside or traceback.extract_tb(exc.__traceback__)[-1].name != "autocommit_block":
            raise
        raise CommandError(
            "A revision has to run outside transactions (it builds an index CONCURRENTLY), and the"
            " connection that was handed in is inside one. Roll it back, then hand in a connection"
            " without a transaction; each revision then has its own."
        ) from exc


def limit_and_run(connection: Connection) -> None:
    """Set the timeouts of a connection of our own, and run; failures become one message."""
    connection.exec_driver_sql(LIMITS)
    connection.commit()
    try:
        do_run_migrations(connection)
    except (DBAPIError, PendingRollbackError) as exc:
        raise CommandError(refusal(first_failure(exc))) from exc


def first_failure(exc: BaseException) -> BaseException:
    """Return the failure that a connection was lost by, instead of what came of cleaning up."""
    while isinstance(exc, PendingRollbackError) and exc.__context__ is not None:
        exc = exc.__context__
    return exc


def driver_error(exc: BaseException) -> BaseException:
    """Return what asyncpg raised, without the wrappings of SQLAlchemy."""
    while isinstance(exc, DBAPIError) and exc.orig is not None:
        exc = exc.orig.__cause__ or exc.orig
    return exc


def refusal(exc: BaseException) -> str:
    """Say what PostgreSQL said, what is kept and how to go on.

    The detail of an integrity error (class 23) stays out: it quotes rows, which hold client data.
    """
    cause = driver_error(exc)
    if not isinstance(cause, asyncpg.PostgresError):
        said = f"The connection failed: {cause}"
    else:
        integrity = (cause.sqlstate or "").startswith("23")
        said = "\n".join(
            [
                f"PostgreSQL refused a statement ({cause.sqlstate}): {cause.args[0]}",
                *([f"DETAIL: {cause.detail}"] if cause.detail and not integrity else []),
                *([f"HINT: {cause.hint}"] if cause.hint else []),
            ]
        )
    return (
        f"{said}\nThe revision that was running is undone, except for what it had committed in an"
        " autocommit block; the revisions before it are kept. Run the command again to go on from"
        " there."
    )


@asynccontextmanager
async def connected(engine: AsyncEngine, url: str) -> AsyncIterator[AsyncConnection]:
    """Connect, or say in one message why that is not possible."""
    connection = engine.connect()
    try:
        await connection.start()
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as exc:
        cause = driver_error(exc)
        reason = str(cause).strip() or "no answer in time"
        if isinstance(cause, FileNotFoundError):  # raised without its name
            reason += " (the socket, or a file that a TLS option names)"
        raise CommandError(
            f"Can't connect to {dsn.describe(url)}: {reason}\nNothing was done."
        ) from exc
    try:
        yield connection
    finally:
        await connection.close()


async def run_async_migrations(section: Mapping[str, str], url: str) -> None:
    """Connect to the database of `url` and run.

    Args:
        section: The `[alembic]` section, for options such as `sqlalchemy.echo`.
        url: As given by the user.
    """
    engine = async_engine_from_config(
        {**section, "sqlalchemy.url": "postgresql+asyncpg://"},
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
        connect_args=dsn.connect_args(url),
    )
    try:
        async with connected(engine, url) as connection:
            await connection.run_sync(limit_and_run)
    finally:
        await engine.dispose()


async def run_on(engine: AsyncEngine) -> None:
    """Run on an engine that a caller handed in; its pool is left empty.

    A connection belongs to the event loop that opened it, and this one ends.
    """
    try:
        async with engine.connect() as connection:
            await connection.run_sync(do_run_migrations)
    finally:
        await engine.dispose()


def refuse_running_loop() -> None:
    """Asyncio can't be entered twice in one thread: say what to do instead."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise CommandError(
        "Alembic was called inside a running event loop. Nothing was done. Call it through"
        ' connection.run_sync with config.attributes["connection"] set, or in asyncio.to_thread.'
    )


def run_migrations_online() -> None:
    """Run on what the caller handed in, with its settings untouched, or on a URL's database."""
    given = config.attributes.get("connection")
    if isinstance(given, Connection):
        do_run_migrations(given)
        return
    if isinstance(given, Engine):
        with given.connect() as connection:
            do_run_migrations(connection)
        return
    if given is not None and not isinstance(given, AsyncEngine):
        raise CommandError(
            'config.attributes["connection"] is neither a Connection (inside run_sync for an'
            f" asynchronous one) nor an engine: {type(given).__name__}. Nothing was done."
        )
    refuse_running_loop()
    if given is not None:
        asyncio.run(run_on(given))
        return
    url = dsn.find_url(
        arguments=context.get_x_argument(as_dictionary=True),
        environ=os.environ,
        attributes=config.attributes,
    )
    asyncio.run(run_async_migrations(config.get_section(config.config_ini_section, {}), url))


# A caller from Python has its own logging, and wants to keep it.
if config.cmd_opts is not None and config.config_file_name is not None:
    fileConfig(config.config_file_name, disable_existing_loggers=False)

if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
