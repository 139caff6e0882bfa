"""Lets any env.py reach PostgreSQL with asyncpg, a synchronous one too, by any form of URL."""

from __future__ import annotations

import asyncio
import contextvars
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]  # it ships none
from sqlalchemy import make_url
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import ArgumentError

from infra.schema import dsn

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL

__all__ = ["drive", "offer", "url_for"]

_ASYNCPG = "asyncpg"
_OTHERS = ("psycopg2", "psycopg", "psycopg2cffi", "pg8000")
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


def offer(*, asynchronous: bool) -> None:
    """Make `postgresql://` and the drivers that are not installed lead to asyncpg.

    Args:
        asynchronous: Whether env.py needs an asynchronous driver. One that doesn't keeps the driver
            that SQLAlchemy would take, where that is there.
    """
    taken = {name for name in _OTHERS if importlib.util.find_spec(name) is not None}
    for name in (_ASYNCPG, *_OTHERS):
        if name not in taken:
            registry.impls[f"postgresql.{name}"] = _dialect
    default = make_url("postgresql://").get_dialect().driver
    if asynchronous or default not in taken:
        registry.impls["postgresql"] = _dialect


def _dialect() -> type[Dialect]:
    return Dialect


def url_for(url: str, configured: str) -> str:
    """Give the URL for `sqlalchemy.url`, with the driver that the configuration names.

    Args:
        url: The database's.
        configured: What alembic.ini has; empty or a template's placeholder names no driver.
    """
    try:
        named = make_url(configured).drivername if configured else ""
    except ArgumentError:
        named = ""
    base, _, name = named.partition("+")
    return dsn.with_driver(url, name if base in {"postgresql", "postgres"} else "")


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
