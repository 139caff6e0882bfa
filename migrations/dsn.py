# ruff: noqa: INP001 - beside env.py, in a folder that is no package: its name is not a module's
"""The database URL: where it is looked for, and what asyncpg is given of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from alembic.util import CommandError
from sqlalchemy import URL

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["connect_args", "describe", "find_url"]

_SCHEME = re.compile(r"postgres(ql)?(\+\w+)?\Z")
_HOST = re.compile(r"(\[[^\]@]+\]|[^\[\]:@]*)(:(?P<port>\d*))?\Z")
_ENCODE = "Write @ : / ? # % and spaces in a name or a password as %40 %3A %2F %3F %23 %25 %20."

# Options of libpq that only tune the client. asyncpg would send them to the server, which
# refuses names that it doesn't know.
_WITHOUT_EFFECT = {
    "client_encoding",
    "fallback_application_name",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
}
# Options of libpq that ask for more safety than asyncpg can give: left out in silence they
# would promise what nobody keeps. The values named here ask for nothing.
_UNKEPT: dict[str, set[str]] = {
    "channel_binding": {"disable", "prefer"},
    "gssencmode": {"disable", "prefer"},
    "require_auth": set(),
    "requirepeer": set(),
}
# Options that are numbers, under their names as arguments of asyncpg and SQLAlchemy's dialect.
_NUMBERS = {
    "command_timeout": "command_timeout",
    "connect_timeout": "timeout",
    "prepared_statement_cache_size": "prepared_statement_cache_size",
    "statement_cache_size": "statement_cache_size",
    "timeout": "timeout",
}


def find_url(
    *, arguments: Mapping[str, str], environ: Mapping[str, str], attributes: Mapping[str, Any]
) -> str:
    """Return the first URL of: `-x url=`, `DATABASE_URL`, `config.attributes["url"]`.

    Raises:
        CommandError: There is none, or `-x url=` came without a value: that is an unset variable
            of somebody's shell, and falling back would migrate another database.
    """
    if "url" in arguments:
        if arguments["url"]:
            return arguments["url"]
        raise CommandError("-x url= has no value. Nothing was done. Give it a database URL.")
    given = environ.get("DATABASE_URL") or attributes.get("url")
    if not given:
        raise CommandError(
            "No database URL. Nothing was done. Set the environment variable DATABASE_URL to"
            " postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or pass -x url=..., or render SQL"
            " without a database with --sql."
        )
    if isinstance(given, URL):
        return given.render_as_string(hide_password=False)
    return str(given)


def connect_args(url: str) -> dict[str, Any]:
    """Return the arguments for `asyncpg.connect` that reach the database of `url`.

    asyncpg reads a libpq URI by itself, with its TLS files, several hosts, sockets, service and
    password files; so it is given one. What it does not know is translated, left out where it
    has no effect, and refused where leaving it out would be unsafe.

    Args:
        url: `postgresql://`, `postgres://`, or either with a driver such as `+asyncpg`.

    Raises:
        CommandError: The URL can't be understood. The message doesn't repeat it.
    """
    parts = _split(url)
    arguments: dict[str, Any] = {}
    query: dict[str, str] = {}
    for name, value in parse_qsl(parts.query):
        if name in _NUMBERS:
            arguments[_NUMBERS[name]] = _number(name, value)
        elif name == "ssl":
            query["sslmode"] = {"true": "require", "false": "disable"}.get(value.lower(), value)
        elif name in _UNKEPT and value not in _UNKEPT[name]:
            raise CommandError(
                f"The database URL asks for {name}={value}, which the driver asyncpg doesn't"
                " offer. Nothing was done. Take it out of the URL, and secure the connection"
                " with sslmode=verify-full."
            )
        elif name not in _WITHOUT_EFFECT and name not in _UNKEPT:
            query[name] = value
    if arguments.get("timeout", 1) <= 0:  # libpq's word for "no limit"; asyncpg's is None
        arguments["timeout"] = None
    tail = f"?{urlencode(query, quote_via=quote)}" if query else ""
    arguments["dsn"] = f"postgresql://{parts.netloc}{parts.path}{tail}"
    return arguments


def describe(url: str) -> str:
    """Return where `url` leads, for a message: `HOST:PORT/DATABASE`, no user, no password."""
    parts = _split(url)
    options = dict(parse_qsl(parts.query))
    host = parts.netloc.rpartition("@")[2] or options.get("host") or "the default host"
    database = parts.path.removeprefix("/") or options.get("dbname") or ""
    return f"{host}/{database}" if database else host


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        raise CommandError(f"The database URL can't be read. Nothing was done. {_ENCODE}") from None
    if not _SCHEME.match(parts.scheme) or "://" not in url:
        raise CommandError(
            "The database URL doesn't begin with postgresql://. Nothing was done."
            " Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
        )
    hosts = parts.netloc.partition("@")[2] if "@" in parts.netloc else parts.netloc
    matches = [_HOST.match(host) for host in hosts.split(",")]
    ports = [match["port"] or "5432" for match in matches if match]
    sound = all(matches) and all(len(port) <= 5 and 0 < int(port) < 65536 for port in ports)  # noqa: PLR2004 - the range of TCP ports
    if not sound or parts.fragment or "@" in parts.path:
        raise CommandError(
            "The database URL has no readable host and port, or a character that must be"
            f" encoded. Nothing was done. {_ENCODE}"
        )
    return parts


def _number(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise CommandError(
            f"The option {name} of the database URL isn't a whole number. Nothing was done."
        ) from None
