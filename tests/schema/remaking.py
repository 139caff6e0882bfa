"""What the tests of remaking share: a zoo of objects, a database as a stack makes it, a copy."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema import live
from infra.schema.invocation import Invocation
from infra.schema.model import History
from infra.schema.rehearsing import remake
from tests.migrations.place import Place, quoted
from tests.schema.applying import database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.rehearsing.remake import Remade
    from infra.servers.throwaway import Throwaway
    from tests.conftest import PostgresServer

__all__ = ["NOTHING", "ZOO", "admin", "at", "copy", "stack", "zoo"]

NOTHING = History(revisions=(), heads=(), digest="")
ZOO = Path(__file__).with_name("zoo.sql")
_PASSWORD = "mi%grator's @/ "  # noqa: S105 - of a throwaway role


def copy(target: Throwaway, place: Place, history: History = NOTHING, **more: Any) -> Remade:
    """Remake a database on the target."""
    url = more.pop("url", f"{place.url}?sslmode=disable")
    there = live.read_for(history, url)
    terms: dict[str, Any] = {"folder": Path("/nowhere"), "invocation": Invocation(), **more}
    return remake.remake(target, history, there, url, **terms)


def at(url: str) -> Place:
    """Give the place of a URL of a throwaway server, for its superuser's eyes."""
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(url)
    return Place(
        host=parts.hostname or "",
        port=parts.port or 0,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path[1:]),
    )


@contextmanager
def zoo(server: PostgresServer) -> Iterator[Place]:
    """Make a database with one of everything, for its superuser."""
    with database(server) as place:
        place.execute(ZOO.read_text(encoding="utf-8"))
        yield place


@contextmanager
def stack(server: PostgresServer) -> Iterator[Place]:
    """Make roles and a database as a stack does, of odd names; gives it for the migrator."""
    tag = os.urandom(3).hex()
    owner, migrator, reader = (f'{kind} "{tag}" 😀' for kind in ("own", "mig", "read"))
    o, m, r = map(quoted, (owner, migrator, reader))
    with database(server, name=f'da"ta {tag}') as place:
        d = quoted(place.database)
        secret = _PASSWORD.replace("'", "''")
        place.execute(
            f"CREATE ROLE {o}",
            f"CREATE ROLE {r}",
            f"CREATE ROLE {m} NOINHERIT LOGIN PASSWORD '{secret}'",
            f"GRANT {o} TO {m} WITH INHERIT FALSE",
            f"ALTER DATABASE {d} OWNER TO {o}",
            f"REVOKE ALL ON DATABASE {d} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {d} TO {m}",
            f"CREATE SCHEMA app AUTHORIZATION {o}",
            f"GRANT USAGE ON SCHEMA app TO {r}",
            "CREATE SCHEMA ext",
            "CREATE EXTENSION vector SCHEMA ext",
            f"GRANT USAGE ON SCHEMA ext TO {o}",
            "REVOKE ALL ON SCHEMA public FROM PUBLIC",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {o} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {o} IN SCHEMA app GRANT SELECT ON TABLES TO {r}",
            f"ALTER ROLE {m} IN DATABASE {d} SET role = {o}",
            f"ALTER ROLE {m} IN DATABASE {d} SET search_path = app, ext",
            f"ALTER ROLE {m} IN DATABASE {d} SET lock_timeout = '7s'",
        )
        try:
            yield place.as_user(migrator, _PASSWORD)
        finally:
            place.execute(
                *(
                    f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}"
                    for role in (m, r, o)
                ),
                *(f"DROP ROLE {role}" for role in (m, r, o)),
            )


def admin(place: Place, server: PostgresServer) -> Place:
    """Give a database of the live server for its superuser."""
    return replace(place, user=server.user, password=server.password)
