"""What several tests of reviews share."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from infra.schema import rehearse
from infra.servers.throwaway import Throwaway, throwaway
from tests.forking.fixtures import forked, real_processes
from tests.migrations.place import Place, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["forked", "real_processes"]

_LEFT = (
    "SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')"
)
_ROLES = "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> current_user"


@pytest.fixture(scope="session")
def rehearsing() -> Iterator[Throwaway]:
    """A server with the settings of a rehearsal's."""
    with throwaway(settings=rehearse.SETTINGS) as server:
        yield server


@pytest.fixture
def shared_server(rehearsing: Throwaway, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let rehearsals share one throwaway server, where the server is not the subject."""
    monkeypatch.setattr(rehearse, "throwaway", lambda **_: nullcontext(rehearsing))
    yield
    main = Place(
        host=rehearsing.host,
        port=rehearsing.port,
        user=rehearsing.user,
        password=rehearsing.password,
        database="postgres",
    )
    for (name,) in main.fetch(_LEFT):
        main.execute(f"DROP DATABASE {quoted(name)} WITH (FORCE)")
    for (name,) in main.fetch(_ROLES):
        main.execute(f"DROP OWNED BY {quoted(name)}", f"DROP ROLE {quoted(name)}")
