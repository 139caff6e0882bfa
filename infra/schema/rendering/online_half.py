"""Tries the online half of an env.py without a database, and tells how it differs from the other.

Rendered SQL is what the offline half makes of the revisions. Where the online half alone changes
where names lead, whose rights count or what is there, that SQL would do something else.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import alembic.context
from alembic.runtime.environment import EnvironmentContext

from infra.schema.rendering import models, stand_in, version_shape
from infra.schema.statements import session
from infra.schema.statements.lexer import UnfinishedError, split
from infra.schema.statements.sentence import Sentence
from infra.schema.statements.sql import first_line, literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

__all__ = ["Online", "attempt", "preparing"]

_SIGNATURE = inspect.signature(EnvironmentContext.configure)
_READING = frozenset({"EXPLAIN", "SELECT", "SHOW", "TABLE", "VALUES", "WITH"})
_WRITING = ("DELETE", "INSERT", "INTO", "MERGE", "UPDATE")
_NEUTRAL = frozenset(
    {"ABORT", "BEGIN", "COMMIT", "DISCARD", "END", "LISTEN", "LOCK", "RELEASE", "ROLLBACK"}
    | {"SAVEPOINT", "START", "UNLISTEN"}
)
# These change how long something may take, or what is told of it, and no result.
_HARMLESS = re.compile(
    r".*timeout|application_name|client_(encoding|min_messages|connection_check_interval)|jit"
    r"|log_.*|tcp_.*|work_mem|maintenance_work_mem|max_parallel.*|constraints|transaction"
    r"|characteristics|idle_.*|statement_.*|track_.*",
)
# Of a call whose names the server computes only what leads elsewhere counts.
_COMPUTED = re.compile(r"\bset_config\s*\(\s*[^'\s]", re.IGNORECASE)
_LEADING = re.compile(r"search_path|\brole\b|authorization|time_?zone|datestyle", re.IGNORECASE)
_OPTION = re.compile(r"(?:-c\s*|--)([\w.]+)=((?:\\.|[^\s\\])*)")
_TELLING = re.compile(
    r"schema_translate_map|search_path|\bSET\s+(?:LOCAL\s+|SESSION\s+)?(?:ROLE|AUTHORIZATION)\b"
    r"|CREATE\s+SCHEMA|CreateSchema|server_settings",
    re.IGNORECASE,
)


@dataclass(kw_only=True)
class Online:
    """What the online half does.

    Attributes:
        before: SQL before the revisions that changes something, settings at connecting among it.
        after: SQL after them that changes something.
        version_table: As it configures it; empty where it was not come to.
        version_schema: The same, through its schema_translate_map.
        version_columns: See `version_shape.of`.
        version_width: The same.
        translated: Whether it maps schemas to others.
        rewrites: Whether a listener of its own may send another text than it is given.
        applied: Whether it registers on_version_apply.
        opened: What of `before` it sets when it connects, in words, by the SQL.
        models: Columns by table, of every metadata that it compares with.
        failed: Why it could not be tried to its end; empty if it was.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    version_table: str = ""
    version_schema: str = ""
    version_columns: str = ""
    version_width: int = version_shape.WIDTH
    translated: bool = False
    rewrites: bool = False
    applied: bool = False
    opened: dict[str, str] = field(default_factory=dict)
    models: dict[str, tuple[str, ...]] = field(default_factory=dict)
    failed: str = ""

    def difference(self, prologue: Iterable[str], epilogue: Iterable[str], source: str) -> str:
        """Say what it does that the offline half does not; empty where it is the same.

        Args:
            prologue: SQL of the offline half before the revisions.
            epilogue: SQL after them.
            source: The text of env.py.
        """
        offline = {_plain(piece) for text in (*prologue, *epilogue) for piece in _split(text)}
        alone = [sql for sql in (*self.before, *self.after) if _plain(sql) not in offline]
        if alone:
            return f"{self._sent(alone[0], source)} in its online half alone"
        if self.translated:
            return f"{_at(source, 'schema_translate_map')} sets schema_translate_map"
        if self.rewrites:
            place = _at(source, "before_cursor_execute", "before_execute")
            return f"{place} registers a listener that may change SQL"
        if self.applied:
            return f"{_at(source, 'on_version_apply')} registers on_version_apply"
        return self._told(source, offline) if self.failed and not self.version_table else ""

    def _sent(self, sql: str, source: str) -> str:
        if sql in self.opened:
            place = _at(source, "server_settings", "search_path", "options")
            return f"{place} connects with {self.opened[sql]}"
        return f"{_at(source, sql)} sends {first_line(sql)}"

    def _told(self, source: str, offline: set[str]) -> str:
        """Read what could not be tried."""
        for match in _TELLING.finditer(source):
            word = " ".join(match[0].split())
            if not any(word.lower() in text for text in offline):
                line = source.count("\n", 0, match.start()) + 1
                return (
                    f"line {line} speaks of {word}, and what the online half does can't be tried"
                    f" without a database ({self.failed})"
                )
        return ""


class _Trial(EnvironmentContext):
    """The environment of an env.py that is asked to connect."""

    def __init__(
        self, config: Config, scripts: ScriptDirectory, notes: stand_in.Notes, online: Online
    ) -> None:
        super().__init__(config, scripts, as_sql=False, destination_rev="heads")
        self._notes = notes
        self._online = online
        self._ran = 0

    def is_offline_mode(self) -> bool:
        """Say that there is a database."""
        return False

    def configure(self, *args: Any, **kwargs: Any) -> None:
        """Take what env.py says, and run nothing."""
        given = _SIGNATURE.bind(self, *args, **kwargs).arguments
        self._online.models.update(models.tables(given.get("target_metadata")))
        self._online.applied |= bool(given.get("on_version_apply"))
        super().configure(*args, **kwargs)
        context = self.get_context()
        self._note(context)

        def run(**_: Any) -> None:
            self._ran = len(self._notes.sent)

        vars(context)["run_migrations"] = run

    def _note(self, context: MigrationContext) -> None:
        online, connection = self._online, context.connection
        schema = context.version_table_schema
        if connection is not None:
            schemas = connection.get_execution_options().get("schema_translate_map") or {}
            online.translated |= any(name != to for name, to in schemas.items())
            online.rewrites |= _rewritten(connection)
            schema = schemas.get(schema, schema)
        online.version_table = str(context.version_table)
        online.version_schema = "" if schema == stand_in.HOME else str(schema or "")
        table = context._version  # noqa: SLF001 - no public way
        online.version_columns, online.version_width = version_shape.of(table, context.dialect)

    def close(self) -> None:
        """Divide what was sent at the revisions."""
        sent, ran = self._notes.sent, self._ran or len(self._notes.sent)
        opened = self._online.opened
        for arguments in self._notes.connecting:
            opened.update(_settings(arguments))
        self._online.before = tuple(dict.fromkeys([*opened, *_changing(sent[:ran])]))
        self._online.after = tuple(dict.fromkeys(_changing(sent[ran:])))


# What `from alembic import context` gives is then this environment, once it is entered.
_Trial.create_module_class_proxy(vars(alembic.context), vars(alembic.context))


def attempt(
    config: Config,
    scripts: ScriptDirectory,
    run: Callable[[Callable[[], None]], str],
) -> Online:
    """Run env.py as for a database.

    Args:
        config: Alembic's configuration.
        scripts: Its directory.
        run: Runs a function so, and says why it failed; empty if it did not.
    """
    online = Online()
    with stand_in.offered() as notes:
        trial = _Trial(config, scripts, notes, online)

        def environment() -> None:
            with trial:
                scripts.run_env()

        online.failed = run(environment)
        trial.close()
    return online


def _rewritten(connection: Connection) -> bool:
    """Tell whether a listener of a connection, its engine or all engines may change a text."""
    found = [
        listener
        for owner in (connection, connection.engine)
        for name in ("before_cursor_execute", "before_execute")
        for listener in getattr(owner.dispatch, name)
    ]
    # What gives nothing back is wrapped by SQLAlchemy.
    return any(not _of_library(getattr(listener, "__globals__", {})) for listener in found)


def _of_library(names: Mapping[str, Any]) -> bool:
    """Tell whether a function with these global names is SQLAlchemy's or Alembic's."""
    return str(names.get("__name__", "")).partition(".")[0] in {"alembic", "sqlalchemy"}


def _settings(arguments: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Give the settings of a connection's arguments, as SQL that sets the same, and in words."""
    given = dict(arguments.get("server_settings") or {})
    options = arguments.get("options") or given.pop("options", "")
    if isinstance(options, str):
        given.update(dict(_OPTION.findall(options)))
    for name, value in given.items():
        if not _HARMLESS.fullmatch(name.lower()):
            text = str(value).replace("\\ ", " ")
            yield f"SELECT set_config({literal(name)}, {literal(text)}, false)", f"{name} {text}"


def _changing(sent: Iterable[str]) -> list[str]:
    pieces = (piece for text in sent for piece in _split(text))
    return [piece for piece in pieces if stand_in.HOME not in piece and _changes(piece)]


def preparing(statements: Iterable[str]) -> tuple[str, ...]:
    """Keep what prepares a session, unless it was put together from an answer: there was none."""
    return session.preparing(sql for sql in statements if not re.search(r"\bNone\b", sql))


def _changes(piece: str) -> bool:
    sentence = Sentence(piece)
    first = sentence.copy().word()
    if session.sets(piece):
        if _COMPUTED.search(piece):
            return _LEADING.search(piece) is not None
        names = session.lasting([piece.replace("LOCAL ", "").replace("local ", "")])
        return any(not _HARMLESS.fullmatch(name) for name in names)
    if first in _READING:
        return any(sentence.has(word) for word in _WRITING)
    return first not in _NEUTRAL


def _split(text: str) -> list[str]:
    try:
        return split(text)
    except UnfinishedError:
        return []


def _plain(sql: str) -> str:
    """Fold what two spellings of one statement differ in."""
    text = " ".join(sql.rstrip("; \n").split()).lower().replace('"', "").replace("'", "")
    return re.sub(r"^(set (?:session |local )?[\w.]+) ?(?:=|to) ?", r"\1 to ", text)


def _at(source: str, *needles: str) -> str:
    """Name the line of env.py that a text stands in, or begins in."""
    for needle in needles:
        words = needle.split()
        for length in range(len(words), 0, -1):
            pattern = r"\s+".join(re.escape(word) for word in words[:length])
            match = re.search(pattern, source)
            if match and (length > 1 or len(words) == 1):
                return f"line {source.count(chr(10), 0, match.start()) + 1}"
    return "it"
