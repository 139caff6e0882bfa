"""Options of `connect_args` that another driver has than the one that connects."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL

__all__ = ["for_libpq", "translated"]

_LIBPQ = frozenset({"psycopg", "psycopg2", "psycopg2cffi"})
_NAMES = {"database": "dbname", "command_timeout": "", "timeout": "connect_timeout"}
# By driver, what it alone has and what only tunes a client.
_OWN = {
    "psycopg": {"prepare_threshold", "autocommit", "row_factory", "context", "cursor_factory"},
    "psycopg2": {"connection_factory", "cursor_factory", "async", "async_", "dsn"},
    "psycopg2cffi": {"connection_factory", "cursor_factory", "async", "dsn"},
    "asyncpg": {
        *("statement_cache_size", "max_cached_statement_lifetime", "max_cacheable_statement_size"),
        *("prepared_statement_cache_size", "prepared_statement_name_func", "connection_class"),
        *("record_class", "direct_tls", "loop", "async_fallback"),
    },
    "pg8000": {"tcp_keepalive", "ssl_context", "unix_sock", "startup_params", "source_address"},
}
_FOREIGN = frozenset().union(*_OWN.values(), {"ssl", "server_settings"}, _NAMES)


def translated(dialect: type[Any]) -> type[Any]:
    """Give a dialect that takes options of other drivers as well, and any name of a database."""
    driver = dialect.driver

    def create_connect_args(self: Any, url: URL) -> Any:
        if url.database and make_url("postgresql://h/%41").database == "%41":
            url = url.set(database=unquote(url.database))  # which SQLAlchemy 2.0 leaves as it is
        return dialect.create_connect_args(self, url)

    def connect(self: Any, *positional: Any, **options: Any) -> Any:
        taken = for_libpq(driver, options) if driver in _LIBPQ else options
        return dialect.connect(self, *positional, **taken)

    members = {"create_connect_args": create_connect_args, "connect": connect}
    return type(dialect.__name__, (dialect,), {**members, "supports_statement_cache": True})


def for_libpq(driver: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Turn options of any driver into those of one that is built on libpq.

    What only tunes the client of another driver has no counterpart, and is left out; what none has
    stays, for the driver to refuse.

    Args:
        driver: psycopg, psycopg2 or psycopg2cffi.
        options: Of `connect_args`, and of the URL.
    """
    kept = _OWN[driver] | {"async_creator_fn"}
    taken = {name: value for name, value in options.items() if name not in _FOREIGN - kept}
    for theirs, ours in _NAMES.items():
        if ours and options.get(theirs) is not None:
            number = ours == "connect_timeout"
            taken.setdefault(ours, max(2, round(options[theirs])) if number else options[theirs])
    given = options.get("ssl", options.get("ssl_context"))
    if given is not None:
        taken.setdefault("sslmode", _sslmode(given))
    settings = options.get("server_settings") or options.get("startup_params") or {}
    if settings:
        words = [f"-c {name}={_escaped(str(value))}" for name, value in settings.items()]
        taken["options"] = " ".join(filter(None, (*words, taken.get("options"))))
    return taken


def _sslmode(given: object) -> str:
    """Give what libpq calls a kind of TLS, never a weaker one."""
    if isinstance(given, ssl.SSLContext):
        if given.verify_mode == ssl.CERT_NONE:
            return "require"
        return "verify-full" if given.check_hostname else "verify-ca"
    if isinstance(given, str):
        return given
    return "verify-full" if given else "disable"


def _escaped(value: str) -> str:
    """Write a value so that a server splits it from the others at no space of its own."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
