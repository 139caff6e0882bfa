"""URLs of a database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from infra.schema.statements.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["TLS", "address", "search_path", "url"]

TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey")
"""What an endpoint and a URL alike say of TLS."""


def url(
    *, user: str, password: str, addresses: str, database: str, options: Mapping[str, str]
) -> str:
    """Build a libpq URL; every part may hold any character.

    Args:
        user: Who logs in.
        password: In clear; "" where another way of logging in needs none.
        addresses: "HOST:PORT", or several with commas.
        database: Its name.
        options: libpq's, such as sslmode; empty ones are left out.
    """
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    given = {name: value for name, value in options.items() if value}
    tail = f"?{urlencode(given, quote_via=quote, safe='/')}" if given else ""
    return f"postgresql://{login}@{addresses}/{quote(database, safe='')}{tail}"


def search_path(schemas: Iterable[str]) -> dict[str, str]:
    """Give the option of a URL with which a session begins in these schemas."""
    path = ",".join(map(identifier, schemas))
    # The server splits it at spaces that no backslash stands before.
    return {"options": "-csearch_path=" + re.sub(r"([\\ ])", r"\\\1", path)}


def address(host: str, port: int) -> str:
    """Write host and port as they stand in a URL; IPv6 is put into brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
