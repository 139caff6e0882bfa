"""URLs of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["address", "url"]


def url(
    *, user: str, password: str, addresses: str, database: str, options: Mapping[str, str]
) -> str:
    """Build a libpq URL; every part may hold any character.

    Args:
        user: Who logs in.
        password: In clear.
        addresses: "HOST:PORT", or several with commas.
        database: Its name.
        options: libpq's, such as sslmode; empty ones are left out.
    """
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    given = {name: value for name, value in options.items() if value}
    tail = f"?{urlencode(given, quote_via=quote, safe='/')}" if given else ""
    return f"postgresql://{login}@{addresses}/{quote(database, safe='')}{tail}"


def address(host: str, port: int) -> str:
    """Write host and port as they stand in a URL; IPv6 is put into brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
