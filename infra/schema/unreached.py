"""The words of a connection that did not come about: one message for each reason."""

from __future__ import annotations

import os
import re
import socket
import ssl

from infra.errors import unreachable
from infra.schema import dsn
from infra.schema.errors import DatabaseMissingError, LiveError

__all__ = ["OLDEST", "too_old", "worded"]

OLDEST = 14
"""The oldest major version of PostgreSQL that the schema node works with."""

_KEPT = "Nothing was changed."
_ERRNO = re.compile(r"\[Errno (\d+)\]")

# By SQLSTATE: what it means, before PostgreSQL's own words, and what to do.
_REFUSALS = {
    "28P01": ("refuses the login", "Check user and password of the URL."),
    "28000": (
        "refuses the login",
        "Check the user of the URL and its sslmode; pg_hba.conf of the server says who may come.",
    ),
    "42501": ("refuses the login", "Let its owner GRANT CONNECT on the database."),
    "53300": ("has no connection left", "Try again later, or raise its max_connections."),
    "57P03": ("is not ready", "Try again in a moment."),
}
_MISSING = "3D000"
# asyncpg's own, when the other side hangs up.
_CLOSED = "08003"
_HUNG_UP = "unexpected connection_lost"


def worded(exc: Exception, url: str) -> LiveError:
    """Turn what connecting raised into one clear message, without a secret in it.

    Args:
        exc: An OSError, a ValueError, or any exception of asyncpg.
        url: Where it went.

    Returns:
        DatabaseMissingError where the server is there and the database is not.
    """
    place = dsn.place(url)
    said = " ".join(dsn.redacted(str(exc), url).split()).rstrip(".")
    sqlstate = getattr(exc, "sqlstate", None) or ""
    if isinstance(exc, OSError) and _HUNG_UP not in said:
        return LiveError(f"{_network(exc, place, said)} {_KEPT}")
    if sqlstate == _MISSING:
        return DatabaseMissingError(f"The server of {place}: {said}. {_KEPT}")
    if sqlstate and sqlstate != _CLOSED:
        what, advice = _REFUSALS.get(sqlstate, ("refuses to be asked", ""))
        return LiveError(f"The server of {place} {what}: {said}. {_KEPT} {advice}".rstrip())
    return LiveError(f"{_strange(exc, place, said)} {_KEPT}")


def too_old(version: int, url: str) -> LiveError:
    """Word that the server's major version is not enough."""
    return LiveError(
        f"The server of {dsn.place(url)} is PostgreSQL {version}; {OLDEST} or later is needed."
        f" {_KEPT} Upgrade it, or take another server."
    )


def _network(exc: OSError, place: str, said: str) -> str:
    if isinstance(exc, socket.gaierror):
        return f"Nobody knows the host of {place}: {exc.strerror}. Check the URL and the network."
    if isinstance(exc, ssl.SSLCertVerificationError):
        return (
            f"The server of {place} has a certificate that is not trusted: {exc.verify_message}."
            " Name the right host, or its authority with sslrootcert=FILE."
        )
    if isinstance(exc, ssl.SSLError):
        return f"No TLS came about with the server of {place}: {exc.reason or said}."
    if "rejected SSL upgrade" in said:
        return (
            f"What answers at {place} offers no TLS, or is not PostgreSQL. Check host and port;"
            " on a network that can be trusted, sslmode=disable in the URL goes without."
        )
    if isinstance(exc, FileNotFoundError):  # raised without the name
        return (
            f"A file is missing on the way to {place}: the socket of the server, or one that a TLS"
            " option of the URL names. Is the server running, and are the names right?"
        )
    several = _ERRNO.search(str(exc))
    if exc.errno is None and several:  # one host with several addresses
        number = int(several[1])
        exc = OSError(number, os.strerror(number))
    return f"{unreachable(place, exc)} Is it running, and is the address right?"


def _strange(exc: Exception, place: str, said: str) -> str:
    """Word what is no answer of a server: the driver's own, or a bad URL."""
    if isinstance(exc, ValueError) and not _of_driver(exc):
        # A ValueError quotes what it stumbled on, which may be a piece of the password.
        return (
            "The database URL can't be read: a host, a port or an option in it is malformed. Write"
            " @ : / ? # % and spaces in a name or a password as %40 %3A %2F %3F %23 %25 %20."
        )
    if isinstance(exc, ValueError):  # its ClientConfigurationError
        return f"The database URL of {place} can't be used: {said}."
    if type(exc).__name__ == "TargetServerAttributeNotMatched":
        return f"No server of {place} is the one that the URL asks for: {said}."
    return f"What answers at {place} does not speak as PostgreSQL does. Check host and port."


def _of_driver(exc: Exception) -> bool:
    return type(exc).__module__.partition(".")[0] == "asyncpg"
