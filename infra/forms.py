"""The forms in which the URL of a database is wanted: SQLAlchemy's, psql's, the password alone."""

from __future__ import annotations

import shlex
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from infra.schema import dsn

__all__ = ["password", "psql", "sqlalchemy"]

# What asyncpg reads from a URL of its own alone; SQLAlchemy hands everything else over by name.
_FILES = ("sslrootcert", "sslcert", "sslkey")


def sqlalchemy(url: str) -> str:
    """Give a libpq URL in the form that SQLAlchemy takes for asyncpg.

    SQLAlchemy reads several hosts only as options, and hands options over as arguments of
    `asyncpg.connect`, which names TLS otherwise than libpq and takes its files only in a URL:
    that is then one of the options.
    """
    parts = urlsplit(dsn.portable(url))
    options = dict(parse_qsl(parts.query))
    tls = {name: options.pop(name) for name in ("sslmode", *_FILES) if name in options}
    if any(name in tls for name in _FILES):
        options["dsn"] = f"postgresql://?{_query(tls)}"
    elif tls:
        options["ssl"] = tls["sslmode"]
    tail = f"?{_query(options)}" if options else ""
    return f"postgresql+asyncpg://{parts.netloc}{parts.path}{tail}"


def psql(url: str, *, password_from: str) -> str:
    """Give a command for a shell that opens psql, without the URL's password in it.

    Args:
        url: libpq URL.
        password_from: A command that prints the password; psql gets it past the process list. Left
            out where the URL has none: then psql asks.
    """
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    bare = parts._replace(netloc=f"{login.partition(':')[0]}@{hosts}").geturl()
    if not password(url):
        return f"psql {shlex.quote(bare)}"
    return f'PGPASSWORD="$({password_from})" psql {shlex.quote(bare)}'


def password(url: str) -> str:
    """Give the password of a URL, in clear."""
    return unquote(urlsplit(url).netloc.rpartition("@")[0].partition(":")[2])


def _query(options: dict[str, str]) -> str:
    return urlencode(options, quote_via=quote)
