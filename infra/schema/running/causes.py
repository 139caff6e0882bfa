"""Whose fault a failure is, and what to do about it: by SQLSTATE, and by exception."""

from __future__ import annotations

import errno
import socket
from typing import Literal

__all__ = ["AGAIN", "Cause", "advice", "of_exception", "of_sqlstate"]

Cause = Literal["revision", "env.py", "server", "network", "privileges", "space"]
"""What has to change before the same run can succeed."""

AGAIN = frozenset({"55P03", "40P01", "40001"})
"""SQLSTATEs after which the same revision may succeed: lock_timeout, deadlock, serialization."""

# By class, the first two characters of an SQLSTATE, where it is not the revision's own statement;
# a class that is missing here, one of a RAISE too, is the revision's.
_CLASSES: dict[str, Cause] = {
    "08": "network",  # connection exception
    "28": "privileges",  # invalid authorization
    "40": "server",  # rolled back: others work on the same
    "53": "server",  # insufficient resources
    "57": "server",  # operator intervention
    "58": "server",  # the system around PostgreSQL
    "72": "server",  # snapshot too old
    "F0": "server",  # configuration file
    "XX": "server",  # internal error, corrupted data
}
_CODES: dict[str, Cause] = {
    "25006": "server",  # read-only: a standby, or the server's default
    "25P03": "network",  # idle in transaction for too long: a client that did not come back
    "25P04": "server",  # transaction_timeout
    "42501": "privileges",
    "53100": "space",  # disk full
    "55006": "server",  # object in use
    "55P03": "server",  # lock not available
    "57P05": "network",  # idle session: as 25P03
    "HV001": "server",  # a foreign server: out of memory
    "HV00B": "server",  # and no handle
    "HV00L": "server",
    "HV00M": "server",
    "HV00N": "network",  # and no connection to it
    "HV014": "server",  # too many handles
}

_BY_CAUSE: dict[Cause, str] = {
    "revision": "Fix the revision and run again.",
    "env.py": "Fix env.py, or what it loads and connects to, and run again.",
    "server": "It is the server's, and not the revision's: look into its log, then run again.",
    "network": "Run again when the connection is stable.",
    "privileges": "Give the role what it lacks, and run again.",
    "space": "Free space, and run again.",
}
_BY_SQLSTATE = {
    "25006": (
        "The server takes no writes: it is a standby, or default_transaction_read_only is on. Go to"
        " its primary, and run again."
    ),
    "25P03": (
        "The session was idle in its transaction for longer than"
        " idle_in_transaction_session_timeout: run again, or let env.py set a longer one."
    ),
    "25P04": (
        "If it needs longer, raise transaction_timeout of the role or the database. Then run again."
    ),
    "53100": "The server's disk is full: free space, and run again.",
    "53200": "The server's memory is full: free some, or lower work_mem, and run again.",
    "53300": "The server has no connection left: end some, or raise its max_connections.",
    "53400": (
        "A limit of the server's configuration was reached, temp_file_limit for example: raise it,"
        " and run again."
    ),
    "55006": "Others use the object at this moment: end their sessions, and run again.",
    "55P03": (
        "Others hold a lock that it needs: end the long transactions, run at a quieter hour,"
        " or give it a longer lock_timeout."
    ),
    "57014": "Another session has canceled it, or a time limit has: run again.",
    "57P03": "The server is starting or stopping: run again in a moment.",
    "57P04": "The database was dropped: make it again, then run again.",
    "40001": "Others work on the same rows: run again.",
    "40P01": "Others work on the same objects: run again.",
}
_NETWORK = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EPIPE,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENOTCONN,
        errno.ETIMEDOUT,
    }
)
_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ENOMEM})
_PRIVILEGES = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def of_sqlstate(sqlstate: str) -> Cause:
    """Say whose fault it is that PostgreSQL has failed a statement of a revision.

    Args:
        sqlstate: Five characters.
    """
    return _CODES.get(sqlstate) or _CLASSES.get(sqlstate[:2], "revision")


def of_exception(exc: BaseException, *, inside: bool) -> Cause:
    """Say whose fault an exception is that is none of PostgreSQL's.

    Args:
        exc: What was raised.
        inside: Whether it came out of the revision's own function.
    """
    if isinstance(exc, MemoryError):
        return "space"
    if isinstance(exc, OSError):
        if isinstance(exc, ConnectionError | TimeoutError | socket.gaierror):
            return "network"
        if exc.errno in _NETWORK:
            return "network"
        if exc.errno in _SPACE:
            return "space"
        if exc.errno in _PRIVILEGES:
            return "privileges"
    return "revision" if inside else "env.py"


def advice(cause: Cause, sqlstate: str, *, direction: Literal["up", "down"] = "up") -> str:
    """Write what to do, in a sentence.

    Args:
        cause: Whose fault it is.
        sqlstate: PostgreSQL's; else empty.
        direction: Of the revision.
    """
    if sqlstate in _BY_SQLSTATE:
        return _BY_SQLSTATE[sqlstate]
    if cause == "privileges" and not sqlstate:
        return "Correct the permissions of the file or folder that it names, and run again."
    if cause == "revision" and direction == "down":
        return "Fix its downgrade, or what stands in its way, and run again."
    return _BY_CAUSE[cause]
