"""Lets any env.py reach PostgreSQL with asyncpg, a synchronous one too, by any form of URL.

Without asyncpg in its environment, with another driver that is there.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]  # it ships none
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from infra.schema import dsn
from infra.schema.invocation import DRIVERS
from infra.schema.rendering import drivers
from infra.schema.running import connect_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import URL

__all__ = ["arguments", "drive", "offer"]

_ASYNCPG = "asyncpg"
_OF_DIALECT = {"async_creator_fn", "prepared_statement_cache_size", "prepared_statement_name_func"}
_OF_DIALECT |= {"async_fallback"}
_SETTINGS = ("application_name", "options", "replication")
# What asyncpg takes in a URL alone.
_OF_LIBPQ = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl"),
    *("target_session_attrs", "gsslib", "krbsrvname"),
)
# Options of asyncpg and of SQLAlchemy's dialect that are numbers.
_NUMBERS = ("command_timeout", "prepared_statement_cache_size", "statement_cache_size", "timeout")


class Dialect(PGDialect_asyncpg):
    """asyncpg, given the URL as it stands: it knows libpq's options, its hosts and its files."""

    supports_statement_cache = True

    def create_connect_args(self, url: URL) -> tuple[list[Any], dict[str, Any]]:
        """Turn a URL into arguments of `asyncpg.connect`."""
        numbers = {name: int(str(url.query[name])) for name in _NUMBERS if name in url.query}
        url = url.difference_update_query(_NUMBERS)
        if not (url.host or url.query):  # env.py says where to in connect_args
            positional, options = super().create_connect_args(url)  # type: ignore[no-untyped-call]  # theirs
            return list(positional), {**options, **numbers}
        return [], {**dsn.arguments(url.render_as_string(hide_password=False)), **numbers}

    def connect(self, *positional: Any, **options: Any) -> Any:
        """Connect, also with options of psycopg and psycopg2."""
        return super().connect(*positional, **arguments(options))


def arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Turn options of any driver into those of `asyncpg.connect`.

    What only tunes the client of another driver (`keepalives`, `prepare_threshold`) has no
    counterpart, and is left out.
    """
    connect = importlib.import_module(_ASYNCPG).connect
    known = {*inspect.signature(connect).parameters, *_OF_DIALECT}
    taken = {name: value for name, value in options.items() if name in known}
    for theirs, ours in (("connect_timeout", "timeout"), ("dbname", "database")):
        if theirs in options:
            value = options[theirs]
            taken.setdefault(ours, float(value) if ours == "timeout" else value)
    settings = {name: str(options[name]) for name in _SETTINGS if name in options}
    if settings:
        taken["server_settings"] = {**settings, **(taken.get("server_settings") or {})}
    query = {name: str(options[name]) for name in _OF_LIBPQ if name in options}
    if query:
        place = taken.get("dsn") or "postgresql://"
        mark = "&" if "?" in place else "?"
        taken["dsn"] = f"{place}{mark}{urlencode(query, quote_via=quote)}"
    return taken


def offer(given: str, *, asynchronous: bool) -> None:
    """Make `postgresql://` and the drivers that are not installed lead to one that is.

    Any of them takes the options of the others.

    Args:
        given: The driver that env.py expects; empty for SQLAlchemy's choice.
        asynchronous: Whether env.py makes an asynchronous engine of a synchronous one.
    """
    for name in DRIVERS:
        registry.impls[f"postgresql.{name}"] = _loader(name)
    default = _ASYNCPG if asynchronous else given or drivers.default_driver()
    registry.impls["postgresql"] = _loader(default, _ASYNCPG)


def _loader(name: str, asynchronous: str = "") -> Callable[[], type[Any]]:
    def load() -> type[Any]:
        ours = drivers.lenient(Dialect)
        used = name if drivers.usable(name) else _spare()
        if used == _ASYNCPG:
            return drivers.entry(ours, ours)
        plain, own = drivers.dialects(used)
        if drivers.usable(_ASYNCPG) and (asynchronous == _ASYNCPG or own is None):
            own = Dialect
        elif own is None and drivers.usable("psycopg"):
            own = drivers.dialects("psycopg")[1]
        own = drivers.lenient(connect_options.translated(own)) if own else ours
        plain = drivers.lenient(connect_options.translated(plain))
        # With one that awaits, `drive` serves an engine of either kind.
        return drivers.entry(own if name in drivers.ASYNCHRONOUS else plain, own)

    return load


def _spare() -> str:
    """Give the driver that stands for those that are not here."""
    return next((name for name in (_ASYNCPG, *DRIVERS) if drivers.usable(name)), _ASYNCPG)


class _Awaiting(greenlet):  # type: ignore[misc]  # it ships no types
    """Where SQLAlchemy finds somebody to await for it."""

    __sqlalchemy_greenlet_provider__ = True


def drive(function: Callable[[], None]) -> None:
    """Run a function that may use an asynchronous engine synchronously, or enter a loop of its own.

    SQLAlchemy's own way needs a running event loop, in which an env.py could not call
    `asyncio.run`. Here a loop runs for each single thing that is awaited, and in between there is
    none.
    """
    loop = asyncio.new_event_loop()
    running = _Awaiting(function, getcurrent())
    running.gr_context = contextvars.copy_context()
    try:
        awaited = running.switch()
        while not running.dead:
            try:
                value = loop.run_until_complete(awaited)
            except BaseException:  # noqa: BLE001 - belongs to whoever waits for it
                awaited = running.throw(*sys.exc_info())
            else:
                awaited = running.switch(value)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
