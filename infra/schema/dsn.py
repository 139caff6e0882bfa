"""The URL of a database, as asyncpg takes it and as a message may show it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from infra.schema.errors import LiveError

__all__ = ["arguments", "driver_of", "place", "portable", "redacted", "with_driver"]

# Options of libpq, SQLAlchemy and asyncpg that asyncpg would send to the server as settings, which
# refuses them. They tune the client alone.
_WITHOUT_EFFECT = {
    "client_encoding",
    "command_timeout",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "prepared_statement_cache_size",
    "sslcompression",
    "sslsni",
    "statement_cache_size",
    "tcp_user_timeout",
    "timeout",
}
_SCHEME = re.compile(r"postgres(?:ql)?(?:\+(\w+))?:")
_HARMLESS = {"channel_binding": {"disable", "prefer"}}
_LAST_PORT = 65_535
_SHOWN = 20
_SSL = {"true": "require", "false": "disable"}


def arguments(url: str) -> dict[str, Any]:
    """Give the arguments for `asyncpg.connect` that lead to the database of a libpq URL.

    Where there are several hosts and the URL doesn't choose, the primary is taken.

    Raises:
        LiveError: It is no URL of PostgreSQL, or asks for safety that asyncpg can't give.
    """
    parts = _split(url)
    given: dict[str, Any] = {}
    query: dict[str, str] = {}
    for name, value in parse_qsl(parts.query):
        if name == "connect_timeout" and value.isdecimal() and int(value):
            given["timeout"] = float(value)
        elif name == "ssl":
            query["sslmode"] = _SSL.get(value.lower(), value)
        elif name in _HARMLESS and value not in _HARMLESS[name]:
            msg = (
                f"The database URL asks for {name}={value}, which the driver asyncpg doesn't"
                " offer. Nothing was changed. Take it out, and set sslmode=verify-full."
            )
            raise LiveError(msg)
        elif name not in {*_WITHOUT_EFFECT, *_HARMLESS, "connect_timeout"}:
            query[name] = value
    hosts = parts.netloc.rpartition("@")[2] or query.get("host", "")
    if "," in hosts:
        query.setdefault("target_session_attrs", "primary")
    tail = f"?{urlencode(query, quote_via=quote)}" if query else ""
    given["dsn"] = f"postgresql://{parts.netloc}{parts.path}{tail}"
    return given


def with_driver(url: str, driver: str) -> str:
    """Give the URL with another driver of SQLAlchemy, "" for none."""
    return f"postgresql{f'+{driver}' if driver else ''}:{url.partition(':')[2]}"


def driver_of(url: str | None) -> str | None:
    """Give the driver of SQLAlchemy that a URL of PostgreSQL names.

    Returns:
        Empty where it leaves the choice to SQLAlchemy; None where it is no URL of PostgreSQL.
    """
    found = _SCHEME.match(url or "")
    return (found[1] or "") if found else None


def portable(url: str) -> str:
    """Give the URL in a form that libpq, asyncpg and SQLAlchemy read alike.

    SQLAlchemy can't read several hosts but as options.
    """
    parts = _split(url)
    login, at, hosts = parts.netloc.rpartition("@")
    query = parts.query
    if "," in hosts:
        pairs = [_host_and_port(host) for host in hosts.split(",")]
        named = {"host": ",".join(h for h, _ in pairs), "port": ",".join(p for _, p in pairs)}
        query = "&".join(filter(None, (urlencode(named, quote_via=quote), query)))
        hosts = ""
    tail = f"?{query}" if query else ""
    return f"postgresql://{login}{at}{hosts}{parts.path}{tail}"


def _host_and_port(text: str) -> tuple[str, str]:
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, ""
    return host.removeprefix("[").removesuffix("]"), port or "5432"


def place(url: str) -> str:
    """Give where a URL leads, HOST:PORT/DATABASE, without user and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the database"
    query = dict(parse_qsl(parts.query))
    hosts = parts.netloc.rpartition("@")[2] or query.get("host", "") or "the default host"
    database = unquote(parts.path.removeprefix("/")) or query.get("dbname", "")
    return f"{hosts}/{database}" if database else hosts


def redacted(text: str, url: str) -> str:
    """Take the URL and its password out of a text, in all the ways in which they are written."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
    except ValueError:
        return text.replace(url, "***")
    tail = url.partition("://")[2]
    password = parts.netloc.rpartition("@")[0].partition(":")[2]
    secrets = {
        url,
        tail,
        password,
        unquote(password),
        *map(options.get, ("password", "sslpassword")),
    }
    secrets |= {quote(secret, safe="") for secret in secrets if secret}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        parts = urlsplit("")
    # With a bare / ? # or @ in the password, the rest of it would be taken for a host or a path,
    # looked up in the network and shown in messages.
    torn = "@" in parts.path or bool(parts.fragment) or parts.netloc.count("@") > 1
    torn = torn or ("@" in parts.query and bool(parts.netloc) and not parts.path)
    if torn or parts.scheme.partition("+")[0] not in {"postgresql", "postgres"}:
        msg = (
            "The database URL can't be read. Nothing was changed. Write"
            " postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with @ : / ? # % and spaces in a name"
            " or a password as %40 %3A %2F %3F %23 %25 %20."
        )
        raise LiveError(msg)
    _require_ports(parts)
    return parts


def _require_ports(parts: SplitResult) -> None:
    """Refuse a port that is none: the system would fail on it with words of its own."""
    hosts = parts.netloc.rpartition("@")[2]
    texts = [host.rpartition(":")[2] for host in hosts.split(",") if re.search(r":[^]:]*$", host)]
    texts += [
        each
        for name, value in parse_qsl(parts.query)
        if name == "port"
        for each in value.split(",")
    ]
    for text in filter(None, texts):
        if not (text.isascii() and text.isdecimal() and 0 < int(text) <= _LAST_PORT):
            # Without a login before it, or where it is no number, it may be a piece of a password.
            shown = text if text.isdecimal() and "@" in parts.netloc else "that is none"
            msg = (
                f"The database URL can't be read: it names a port {shown[:_SHOWN]}, and a port is a"
                f" number from 1 to {_LAST_PORT}. Nothing was changed. Write @ : / ? # % and spaces"
                " in a name or a password as %40 %3A %2F %3F %23 %25 %20."
            )
            raise LiveError(msg)
