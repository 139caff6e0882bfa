"""Stands between env.py and the database: the right one, the right revision, and the ledger."""

from __future__ import annotations

import inspect
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import alembic.context
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep, RevisionStep
from alembic.util import CommandError, to_tuple
from sqlalchemy import event

from infra.schema.named_types import Memo
from infra.schema.running import indexes, leftovers, limits
from infra.schema.running.approval import OwnStatements, quietly
from infra.schema.running.records import OURS, Records
from infra.schema.running.type_memo import Types
from infra.schema.statements.sentence import Sentence
from infra.schema.statements.sql import array, literal
from infra.schema.statements.unsendable import unsendable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext, MigrationInfo
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection, CursorResult

    from infra.schema.running.approval import Files

__all__ = ["Guarded", "MovedVersionError", "Order", "WrongDatabaseError"]

_SIGNATURE = inspect.signature(EnvironmentContext.configure)
_DEFAULTS = {"lock_timeout": "5s", "statement_timeout": "1h"}
# The server lets go soon when this process is killed, or not reached any more.
_WATCH = limits.setting(limits.SERVER)
# True where the transaction has written something.
_WRITES = "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL"
_READS = frozenset({"SELECT", "SHOW", "SET", "TABLE", "VALUES", "EXPLAIN"})
_ENDS = frozenset({"COMMIT", "END"})
_BUILDING_SECONDS = 60.0
_POLL = 0.5
# A percent sign is one, with any driver; and it is ours, not the revision's.
_PLAIN = {"no_parameters": True, OURS: True}


class WrongDatabaseError(CommandError):
    """Where env.py has connected to, this run does not hold the lock."""


class MovedVersionError(CommandError):
    """The version table that env.py reads is not where the plan begins."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One revision to run.

    Attributes:
        revision: Its id.
        direction: "up" or "down".
        before: The version table's rows, sorted.
        locked: SQL that is true where this run holds the lock.
        schema: Where this run looks for the version table.
        table: The version table's name.
        role: The role that the ledger belongs to.
        begun: SQL that notes that a part of the revision is about to be committed.
        done: SQL that notes that it is finished.
        own: Timeouts that the revision declares, by name.
        run: Timeouts chosen for the whole run, by name; env.py's own go before them, and without
            them what the role or the URL says.
        mark: SQL that marks the session as one of this run.
        question: SQL that is asked around each statement, for whoever looks on; "" for nobody.
        known: Statements of env.py itself that the plan shows.
        approved: Whether nothing may be sent or loaded that was not approved.
        types: The enum types and domains that are made, or may be.
    """

    revision: str
    direction: str
    before: tuple[str, ...]
    locked: str
    schema: str
    table: str
    role: str
    begun: str
    done: str
    own: Mapping[str, str]
    run: Mapping[str, str]
    mark: str
    question: str = ""
    known: tuple[str, ...] = ()
    approved: bool = False
    types: Memo = field(default_factory=Memo)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Order:
        """Build one from JSON."""
        given = {field.name: data[field.name] for field in fields(cls)}
        types = data["types"]
        known = {
            name: frozenset((schema, type_) for schema, type_ in types[name])
            for name in ("made", "unsure")
        }
        memo = Memo(**known, open=types["open"])
        return cls(**{**given, "before": tuple(given["before"]), "types": memo})


class Guarded(EnvironmentContext):
    """The environment in which env.py runs one revision.

    Attributes:
        finished: Whether the revision ran, its ledger row beside it; nobody has committed it yet.
        inside: Whether the revision's own function is at work, or has failed.
        committed: Whether something of it was committed before it was finished.
        records: What it sent, where somebody looks on.
    """

    def __init__(
        self, config: Config, scripts: ScriptDirectory, order: Order, files: Files | None = None
    ) -> None:
        """Know which revision, and the files that may be loaded; None takes any."""
        super().__init__(
            config,
            scripts,
            fn=self._steps,
            as_sql=False,
            starting_rev=None,
            destination_rev=order.revision,
            tag=None,
        )
        self._pid = os.getpid()
        self._scripts = scripts
        self._order = order
        self._patient = False
        self._busy = False
        self._alone = False
        self.finished = False
        self.inside = False
        self.committed = False
        self.own = OwnStatements(order.known, approved=order.approved)
        self.records = Records(order.question, _scalar, self.own.changing)
        self._files = files

    def configure(self, *args: Any, **kwargs: Any) -> None:
        """Take what env.py says, and add what keeps the ledger true."""
        if os.getpid() != self._pid:
            os._exit(0)  # a fork at import goes on through env.py; one process runs the revision
        given = _SIGNATURE.bind(self, *args, **kwargs).arguments
        given.pop("self")
        given.update(given.pop("kw", {}))
        theirs = to_tuple(given.pop("on_version_apply", None), default=())

        def applied(
            ctx: MigrationContext,
            step: MigrationInfo,
            heads: Collection[Any],
            run_args: Mapping[str, Any],
        ) -> None:
            with self.own.apart(own=True):
                for callback in theirs:
                    callback(ctx=ctx, step=step, heads=heads, run_args=run_args)
            if self._files is not None:
                self._files.check()
            self._note(ctx.connection)

        if given.get("connection") is not None:
            self._enter(given["connection"])
        super().configure(**given, on_version_apply=applied)
        context = self.get_context()
        self._compare(context)
        if context.connection is not None:
            context.impl.memo = Types(self._order.types, context.connection, _scalar)
        block = context.autocommit_block

        @contextmanager
        def noted() -> Iterator[None]:
            self._note_commit(context.connection)
            self._run(context.connection, self._order.begun)
            self._alone = True
            try:
                with block():
                    yield
            finally:
                self._alone = False

        vars(context)["autocommit_block"] = noted
        run = context.run_migrations

        def apart(**options: Any) -> None:
            with self.own.apart(own=False):
                run(**options)

        vars(context)["run_migrations"] = apart

    def _enter(self, connection: Connection) -> None:
        """Make sure of the database, and give its session timeouts."""
        inside = connection.in_transaction()
        if not _scalar(connection, self._order.locked):
            raise WrongDatabaseError(
                "env.py has connected to another database than this run works on, or the lock was"
                " lost. If env.py takes its URL from a variable of its own, name it: url_variable."
            )
        limits.keep_driver_alive(connection.connection.driver_connection)
        _scalar(connection, _WATCH)
        _scalar(connection, self._order.mark)
        for name in _DEFAULTS:
            _scalar(connection, self._timeout(name))
        setting = _scalar(connection, "SELECT current_setting('lock_timeout')")
        # What nobody chose for this revision or in env.py gives way to patience.
        given = {_DEFAULTS["lock_timeout"], self._order.run["lock_timeout"]}
        self._patient = not self._order.own["lock_timeout"] and setting in given
        if not inside:
            _ended(connection).commit()
        event.listen(connection, "before_cursor_execute", self._before, retval=True)
        event.listen(connection, "after_cursor_execute", self._after)
        self.records.listen(connection)
        self.records.note_sent(connection, self.own.unshown)

    def _compare(self, context: MigrationContext) -> None:
        """Refuse a version table in which nobody else would find the revision."""
        schema = context.version_table_schema
        if context.connection is not None:
            options = context.connection.get_execution_options()
            schema = (options.get("schema_translate_map") or {}).get(schema, schema)
        if context.connection is not None and not schema:
            inside = context.connection.in_transaction()
            schema = _scalar(context.connection, "SELECT current_schema()")
            if not inside:
                _ended(context.connection).rollback()
        planned = (self._order.schema, self._order.table)
        if context.connection is not None and (schema, context.version_table) != planned:
            raise CommandError(
                f"env.py keeps its versions in {schema}.{context.version_table}, and the plan was"
                f" made from {'.'.join(planned)}. Let env.py configure the same version_table,"
                " version_table_schema and search_path in offline mode."
            )

    def _timeout(self, name: str) -> str:
        """Write SQL that sets a timeout, unless somebody who goes before has chosen one."""
        own, run = self._order.own[name], self._order.run[name]
        if own:
            before: tuple[str, ...] = ()
        elif run:
            before = ("session",)
        else:
            before = ("session", "global", "database", "user", "database user", "client")
        value = own or run or _DEFAULTS[name]
        return (
            f"SELECT set_config(name, {literal(value)}, false) FROM pg_catalog.pg_settings"  # noqa: S608 - quoted
            f" WHERE name = {literal(name)} AND source <> ALL ({array(before)})"
        )

    def _before(
        self,
        connection: Connection,
        _cursor: object,
        statement: str,
        parameters: Any,
        _context: object,
        _many: bool,  # noqa: FBT001 - as SQLAlchemy calls it
    ) -> tuple[str, Any]:
        """Refuse what would wait for the client; clear what a killed CONCURRENTLY left.

        A statement with CONCURRENTLY may wait longer than others.
        """
        wrong = unsendable(statement)
        if wrong:
            raise CommandError(f"The revision sends {wrong}.")
        if self._busy or not indexes.concurrently(statement):
            return statement, parameters
        self._busy = True
        try:
            build = indexes.build(statement)
            if build is not None:
                self._clear(connection, build)
            statement = self._make_good(connection, statement)
            if self._patient:
                _scalar(connection, indexes.patience())
        finally:
            self._busy = False
        return statement, parameters

    def _make_good(self, connection: Connection, statement: str) -> str:
        """Take away what a killed statement has left without a name; gives what is to run."""
        detachment = leftovers.detachment(statement)
        if detachment is not None:
            (row,) = _waited(connection, detachment.state, "busy")
            return detachment.finalize if row["state"] == "pending" else statement
        rebuild = leftovers.rebuild(statement)
        if rebuild is not None:
            for sql in rebuild.prepare:
                _execute(connection, sql)
            for row in _waited(connection, rebuild.broken, "building"):
                _execute(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {row['name']}")
        return statement

    def _note_commit(self, connection: Connection | None) -> None:
        """Note that a transaction of the revision is committed, if it has written anything."""
        if connection is not None and connection.in_transaction():
            self.committed |= bool(_scalar(connection, _WRITES))

    def _after(
        self,
        connection: Connection,
        _cursor: object,
        statement: str,
        _parameters: object,
        context: Any,
        _many: bool,  # noqa: FBT001 - as SQLAlchemy calls it
    ) -> None:
        if self.inside and OURS not in context.execution_options:
            word = Sentence(statement).word()
            self.committed |= word in _ENDS or (self._alone and word not in _READS)
        if self._busy or not self._patient or not indexes.concurrently(statement):
            return
        self._busy = True
        try:
            timeout = self._order.run["lock_timeout"] or _DEFAULTS["lock_timeout"]
            _scalar(connection, f"SELECT set_config('lock_timeout', {literal(timeout)}, false)")
        finally:
            self._busy = False

    def _clear(self, connection: Connection, build: indexes.Build) -> None:
        """Drop the index that a statement is to build, where a killed run has left it broken."""
        deadline = time.monotonic() + _BUILDING_SECONDS
        while True:
            row = _execute(connection, build.state).mappings().first()
            if row is None or row["valid"] or not row["ours"]:
                return
            if not row["building"]:
                break
            if time.monotonic() > deadline:
                raise CommandError(f"Another session has been building {row['name']} for a while.")
            time.sleep(_POLL)
        _execute(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {row['name']}")

    def _steps(self, heads: tuple[str, ...], _context: MigrationContext) -> list[RevisionStep]:
        """Give Alembic the one step, if it is the next one."""
        order = self._order
        if tuple(sorted(heads)) != order.before:
            raise MovedVersionError(
                f"env.py's version table is at {', '.join(sorted(heads)) or 'base'}, and not at"
                f" {', '.join(order.before) or 'base'}."
            )
        script = self._scripts.get_revision(order.revision)
        made = (
            MigrationStep.upgrade_from_script
            if order.direction == "up"
            else MigrationStep.downgrade_from_script
        )
        step = made(self._scripts.revision_map, script)
        run = step.migration_fn

        def noted(**options: Any) -> None:
            self.inside = True
            with self.records.noting():
                run(**options)
            self.inside = False

        step.migration_fn = noted
        return [step]

    def _note(self, connection: Connection | None) -> None:
        """Write the ledger's row, in the transaction of the revision and of its version."""
        self._run(connection, self._order.done)
        self.finished = True

    def _run(self, connection: Connection | None, sql: str) -> None:
        """Write into the ledger as its owner, whatever role the revision is in."""
        if connection is None:
            return
        inside = connection.in_transaction()
        role = _scalar(connection, "SELECT current_setting('role')")
        user = str(_scalar(connection, "SELECT session_user"))
        _execute(connection, "SET SESSION AUTHORIZATION DEFAULT")
        _scalar(connection, _as(self._order.role))
        _execute(connection, sql)
        _scalar(connection, _set("session_authorization", user))
        _scalar(connection, _as(str(role)))
        if not inside:
            _ended(connection).commit()


# What `from alembic import context` gives is then this environment, once it is entered.
Guarded.create_module_class_proxy(vars(alembic.context), vars(alembic.context))


def _as(role: str) -> str:
    return _set("role", role)


def _set(name: str, value: str) -> str:
    return f"SELECT pg_catalog.set_config({literal(name)}, {literal(value)}, false)"


def _waited(connection: Connection, question: str, busy: str) -> list[Mapping[str, Any]]:
    """Ask until no other session is at it."""
    deadline = time.monotonic() + _BUILDING_SECONDS
    while True:
        rows: list[Mapping[str, Any]] = [*_execute(connection, question).mappings()]
        if not any(row[busy] for row in rows):
            return rows
        if time.monotonic() > deadline:
            raise CommandError("Another session has been at the same index or partition for long.")
        time.sleep(_POLL)


def _ended(connection: Connection) -> Any:
    """Give what ends a transaction: an engine of SQLAlchemy 1.4 leaves it to its driver."""
    return connection if hasattr(connection, "commit") else connection.connection


def _scalar(connection: Connection, sql: str) -> Any:
    return _execute(connection, sql).scalar()


def _execute(connection: Connection, sql: str) -> CursorResult[Any]:
    with quietly():
        return connection.exec_driver_sql(sql, execution_options=_PLAIN)
