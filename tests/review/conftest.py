"""What several tests of reviews share."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from infra.schema import rehearse
from infra.servers.throwaway import Throwaway, throwaway
from tests.forking.fixtures import forked, real_processes
from tests.memory import memory_folder
from tests.migrations.place import Place, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.review import Rehearsal

__all__ = ["forked", "real_processes"]

_LEFT = (
    "SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')"
)
_ROLES = "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> current_user"


@pytest.fixture
def deadline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """End a rehearsal 5 s after its plan begins to run, however long a busy machine prepared it."""
    play = rehearse._Stage.play  # noqa: SLF001 - where the plan begins to run

    def begin(stage: Any) -> Rehearsal:
        stage._limit._end = time.monotonic() + getattr(request, "param", 5.0)  # noqa: SLF001
        return play(stage)

    monkeypatch.setattr(rehearse._Stage, "play", begin)  # noqa: SLF001


@pytest.fixture(scope="session")
def rehearsing() -> Iterator[Throwaway]:
    """A server with the settings of a rehearsal's."""
    with throwaway(settings=rehearse.SETTINGS, parent=memory_folder()) as server:
        yield server


@pytest.fixture
def shared_server(rehearsing: Throwaway, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let rehearsals share one throwaway server, where the server is not the subject."""
    monkeypatch.setattr(rehearse, "throwaway", lambda **_: nullcontext(rehearsing))
    yield
    main = Place.main(rehearsing)
    for (name,) in main.fetch(_LEFT):
        main.execute(f"DROP DATABASE {quoted(name)} WITH (FORCE)")
    for (name,) in main.fetch(_ROLES):
        main.execute(f"DROP OWNED BY {quoted(name)}", f"DROP ROLE {quoted(name)}")
