"""Alembic's offline mode, rebuilt to record: nothing connects, nothing is written."""

from __future__ import annotations

import inspect
import io
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import alembic.context
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import event, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Engine
from sqlalchemy.inspection import _inspects
from sqlalchemy.schema import DDLElement

from infra.schema.rendering import literals, models, version_shape
from infra.schema.rendering.recorder import NotRenderableError, become, by_library
from infra.schema.rendering.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from alembic.config import Config
    from alembic.ddl.impl import DefaultImpl
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy.engine import Connection, Dialect

    from infra.schema.rendering.recorder import Recorder

__all__ = ["Offline", "forbid_connections"]

_TYPES = tuple(
    getattr(postgresql, name)
    for name in ("CreateEnumType", "CreateDomainType")
    if hasattr(postgresql, name)  # SQLAlchemy 1.4 has none of them here, and renders nothing
)
_SIGNATURE = inspect.signature(EnvironmentContext.configure)


class Offline(EnvironmentContext):
    """The environment of an env.py that is asked for SQL.

    Attributes:
        version_table: As env.py configures it.
        version_schema: The same; empty where it says none.
        version_columns: Its columns and constraints, where it is not as Alembic makes it; else "".
        version_width: Characters of an id that it holds; 0 for any.
        models: Columns by table, of every metadata that it compares with.
    """

    def __init__(
        self,
        config: Config,
        scripts: ScriptDirectory,
        recorder: Recorder,
        render: Callable[[DefaultImpl, dict[str, Any]], None],
    ) -> None:
        """Hand the revisions' work to `render` when env.py runs them."""
        super().__init__(
            config, scripts, as_sql=True, starting_rev=None, destination_rev="heads", tag=None
        )
        self.recorder = recorder
        self.render = render
        self.version_table = "alembic_version"
        self.version_schema = ""
        self.version_columns = ""
        self.version_width = version_shape.WIDTH
        self.models: dict[str, tuple[str, ...]] = {}

    def is_offline_mode(self) -> bool:
        """Say so, and note who asked."""
        self.recorder.asks_mode()
        return True

    def configure(self, *args: Any, **kwargs: Any) -> None:
        """Take what env.py says, apart from what would change how SQL is rendered."""
        given = _SIGNATURE.bind(self, *args, **kwargs).arguments
        given.pop("self")
        given.update(given.pop("kw", {}))
        given.pop("as_sql", None)
        self.models.update(models.tables(given.get("target_metadata")))
        if given.pop("on_version_apply", None):
            self.recorder.refuse("registers on_version_apply, which rendered SQL would leave out")
        options = given.pop("dialect_opts", None) or {}
        given.update(
            connection=None,
            url=None,
            dialect_name=literals.register(self.recorder),
            literal_binds=True,
            transactional_ddl=True,
            output_buffer=io.StringIO(),
            output_encoding="utf-8",
        )
        # Named: nothing is doubled for a driver that would halve it again.
        try:
            super().configure(dialect_opts={**options, "paramstyle": "named"}, **given)
        except TypeError:  # options of another driver
            super().configure(dialect_opts={"paramstyle": "named"}, **given)
        self._record(self.get_context())

    def _record(self, context: MigrationContext) -> None:
        self.version_table = str(context.version_table)
        self.version_schema = str(context.version_table_schema or "")
        table = context._version  # noqa: SLF001 - no public way
        self.version_columns, self.version_width = version_shape.of(table, context.dialect)
        if version_shape.computes(table):
            self.recorder.refuse("has a version table with defaults that Python computes")
        context.opts = {key: value for key, value in context.opts.items() if key != "as_sql"}
        for part, recording in ((context, _Context), (context.impl, _Impl)):
            become(part, recording)
            vars(part)["recorder"] = self.recorder


# What `from alembic import context` gives is then this environment, once it is entered.
Offline.create_module_class_proxy(vars(alembic.context), vars(alembic.context))


class _Bind:
    """Stands for the connection: tells its dialect, and refuses everything else."""

    def __init__(self, recorder: Recorder, dialect: object) -> None:
        self._recorder = recorder
        self.dialect = dialect

    def __getattr__(self, name: str) -> Any:
        raise self._refused(name)

    def _refused(self, name: str) -> NotRenderableError:
        self._recorder.refuse("asks the database")
        return NotRenderableError(f"there is no database to ask for {name}")


@_inspects(_Bind)
def _inspected(bind: _Bind) -> Any:
    raise bind._refused("its tables")  # noqa: SLF001 - of this module


class _Offline:
    """What context and implementation answer to code that isn't Alembic's own."""

    recorder: Recorder
    dialect: Dialect

    @property
    def as_sql(self) -> bool:
        """True, and noted where the project asks."""
        if not by_library(sys._getframe(1)):  # noqa: SLF001 - the only way to know who asks
            self.recorder.asks_mode()
        return True

    @property
    def connection(self) -> Connection | None:
        """Alembic's own stand-in for Alembic, which sends DDL through it."""
        if by_library(sys._getframe(1)):  # noqa: SLF001 - the only way to know who asks
            return cast("Connection", vars(self)["connection"])
        return self.bind

    @property
    def bind(self) -> Connection:
        """What `op.get_bind()` gives."""
        return cast("Connection", _Bind(self.recorder, self.dialect))


class _Context(_Offline):
    """Renders revisions one by one, and keeps no account of versions: that is the plan's work."""

    impl: DefaultImpl
    environment_context: Offline

    def run_migrations(self, **kw: Any) -> None:
        """Render all revisions, both ways."""
        self.recorder.runs += 1
        self.impl.start_migrations()
        self.environment_context.render(self.impl, kw)

    @contextmanager
    def autocommit_block(self) -> Iterator[None]:
        """Note that each statement inside commits by itself."""
        with self.recorder.autocommit():
            yield

    def get_current_heads(self) -> tuple[str, ...]:
        """Refuse: a revision must not depend on what a database has."""
        if self.recorder.rendering:
            self.recorder.refuse("asks for the database's revision")
            raise NotRenderableError("there is no database to ask for its revision")
        return ()


class _Impl(_Offline):
    """Hands SQL to the recorder, as exact text."""

    def _exec(
        self,
        construct: Any,
        execution_options: Any = None,
        multiparams: Any = None,
        params: Any = None,
    ) -> None:
        """Render a statement; unlike Alembic's own, tabs in its literals stay."""
        del execution_options
        if multiparams is not None or params:
            raise TypeError("values apart from the statement can't be rendered")
        if isinstance(construct, str):
            construct = text(construct)
        options = {} if isinstance(construct, DDLElement) else {"literal_binds": True}
        compiled = construct.compile(dialect=self.dialect, compile_kwargs=options)
        type_ = None
        if isinstance(construct, _TYPES):
            made = construct.element
            type_ = (str(made.schema or ""), str(made.name))
        self.recorder.statement(literals.checked(compiled), type_)

    def static_output(self, text: str) -> None:
        """Leave out what a live run would not send either."""
        del text

    def emit_begin(self) -> None:
        """Leave transactions to whoever applies the SQL."""
        if self.recorder.rendering:
            self.recorder.refuse("controls the transaction itself")

    def emit_commit(self) -> None:
        """See `emit_begin`."""
        self.emit_begin()


def forbid_connections(recorder: Recorder) -> None:
    """Let no engine of SQLAlchemy connect in this process, whoever made it."""

    def refuse(dialect: object, *_: object) -> None:
        if isinstance(dialect, StandIn):
            return
        recorder.refuse("connects to a database")
        raise NotRenderableError("SQL is asked for, and no connection")

    event.listen(Engine, "do_connect", refuse)
