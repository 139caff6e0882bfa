"""Whose fault a failure is: PostgreSQL's codes, and exceptions of Python."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, get_args

import asyncpg
import pytest

from infra.schema.running import causes

if TYPE_CHECKING:
    from infra.schema.running.causes import Cause

_CODES = {
    vars(exc)["sqlstate"]
    for exc in vars(asyncpg.exceptions).values()
    if isinstance(exc, type) and vars(exc).get("sqlstate")
}
# What the server, the network, rights or space do, of all codes that PostgreSQL has.
_NOT_THE_REVISION = {
    "network": {"08000", "08001", "08003", "08004", "08006", "08007", "08P01"}
    | {"25P03", "57P05", "HV00N"},
    "privileges": {"28000", "28P01", "42501"},
    "space": {"53100"},
    "server": {"25006", "25P04", "40000", "40001", "40002", "40003", "40P01", "53000", "53200"}
    | {"53300", "53400", "55006", "55P03", "57000", "57014", "57P01", "57P02", "57P03", "57P04"}
    | {
        "58000",
        "58030",
        "58P01",
        "58P02",
        "58P03",
        "72000",
        "F0000",
        "F0001",
        "HV001",
        "HV00B",
        "HV00L",
    }
    | {"HV00M", "HV014", "XX000", "XX001", "XX002"},
}


def test_every_code_of_postgresql_has_its_cause() -> None:
    """All that the driver knows, some 260; a revision is blamed for what its statement does."""
    found = {code: causes.of_sqlstate(code) for code in sorted(_CODES)}

    assert len(found) > 250
    for cause, codes in _NOT_THE_REVISION.items():
        assert {code for code, its in found.items() if its == cause} >= codes & _CODES, cause
        assert {code for code, its in found.items() if its == cause} <= codes, cause
    assert causes.of_sqlstate("GW042") == "revision"  # of a RAISE


@pytest.mark.parametrize("code", sorted(_CODES))
def test_a_revision_is_to_be_fixed_only_where_it_is_at_fault(code: str) -> None:
    """The sentence of each code, up and down."""
    cause = causes.of_sqlstate(code)
    up = causes.advice(cause, code)
    down = causes.advice(cause, code, direction="down")

    assert (up == "Fix the revision and run again.") == (cause == "revision")
    assert ("Fix its downgrade" in down) == (cause == "revision")
    assert up.endswith(".")


@pytest.mark.parametrize("cause", get_args(causes.Cause))
def test_each_cause_has_a_sentence(cause: Cause) -> None:
    """Also where there is no code."""
    assert causes.advice(cause, "").endswith("run again.") or cause == "network"


@pytest.mark.parametrize(
    ("exc", "outside"),
    [
        (KeyError("formatters"), "env.py"),
        (ImportError("No module named 'app'"), "env.py"),
        (SystemExit(2), "env.py"),
        (FileNotFoundError(errno.ENOENT, "no such file"), "env.py"),
        (PermissionError(errno.EACCES, "denied"), "privileges"),
        (OSError(errno.ENOSPC, "full"), "space"),
        (MemoryError(), "space"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "network"),
        (OSError(errno.EHOSTUNREACH, "no route"), "network"),
        (TimeoutError(), "network"),
        (socket.gaierror(-2, "Name or service not known"), "network"),
    ],
)
def test_exceptions_have_a_cause(exc: BaseException, outside: Cause) -> None:
    """What env.py raises is its own, unless the system has refused it."""
    assert causes.of_exception(exc, inside=False) == outside
    assert causes.of_exception(exc, inside=True) == ("revision" if outside == "env.py" else outside)
