"""What PostgreSQL has said, out of the exception of any driver."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["fields", "is_closed", "sqlstate"]


def sqlstate(exc: BaseException) -> str:
    """Give the SQLSTATE of an exception; empty where it has none."""
    found = getattr(exc, "sqlstate", None) or getattr(exc, "pgcode", None)
    return str(found or _sent(exc).get("C") or "")


def fields(exc: BaseException) -> dict[str, str]:
    """Give `sqlstate`, `text`, `hint` and `detail`; empty texts for what was not sent."""
    report: Any = getattr(exc, "diag", None)  # of psycopg and psycopg2
    sent = _sent(exc)
    first = str(exc.args[0] if exc.args else exc)
    text = getattr(report, "message_primary", None) or sent.get("M") or first
    hint = getattr(report, "message_hint", None) or getattr(exc, "hint", None) or sent.get("H")
    detail = getattr(report, "message_detail", None) or getattr(exc, "detail", None)
    return {
        "sqlstate": sqlstate(exc),
        "text": str(text).strip(),
        "hint": str(hint or ""),
        "detail": str(detail or sent.get("D") or ""),
    }


def is_closed(exc: BaseException) -> bool:
    """Tell whether asyncpg says by an exception of its own that the connection is gone."""
    asyncpg = sys.modules.get("asyncpg")
    if asyncpg is None:
        return False
    if isinstance(exc, asyncpg.InterfaceError):
        return "clos" in str(exc)
    # What tidies up meets a connection that is cut in the middle.
    return isinstance(exc, asyncpg.InternalClientError)


def _sent(exc: BaseException) -> dict[str, str]:
    """Give the fields as pg8000 has them, by PostgreSQL's letters."""
    first = exc.args[0] if exc.args else None
    return first if isinstance(first, dict) else {}
