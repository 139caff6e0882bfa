"""How a container lives: whether it got up, got healthy, and how it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from groundwork_plugin.errors import OperationFailedError, PartlyMadeError

from .container_answer import running
from .daemon import found
from .waiting import once_free

if TYPE_CHECKING:
    from groundwork_plugin.values import Values

    from .client import Answer, Client

__all__ = ["attached", "dead_on_arrival", "ended", "healthy", "removed", "written"]

_FIRST_LOOK_SECONDS = 0.1
"""The genuine plugin, too, looks once after this time whether a container still runs."""

_PAUSE_SECONDS = 0.2
_TAIL_LINES = 10


def dead_on_arrival(client: Client, identity: str) -> None:
    """Makes sure that a container runs a moment after its start.

    Args:
        client: Of Docker.
        identity: The container's id.

    Raises:
        OperationFailedError: It has ended already.
    """
    time.sleep(_FIRST_LOOK_SECONDS)
    seen = found(lambda: client.inspect_container(identity))
    if seen is not None and running(seen):
        return
    told, log = "it ended right after its start", ""
    if seen is not None:
        told += f", with status {seen['State']['ExitCode']}"
        log = _quoted("the end of its log", written(client, identity, tail=_TAIL_LINES))
    raise OperationFailedError(
        f"{told}; a container that is meant to end needs `must_run` set to false{log}"
    )


def healthy(client: Client, identity: str, wanted: Values) -> None:
    """Waits for a new container to get healthy.

    Args:
        client: Of Docker.
        identity: The container's id.
        wanted: Inputs.

    Raises:
        PartlyMadeError: It does not, in time; it stays as it is.
    """
    limit = wanted.get("waitTimeout")
    deadline = time.monotonic() + (limit if isinstance(limit, int) else 0)
    while True:
        seen = found(lambda: client.inspect_container(identity))
        if seen is None:
            raise OperationFailedError("it was made and started, and something else removed it")
        health = seen["State"].get("Health")
        if health is None:
            raise PartlyMadeError(
                identity,
                "it runs, but `wait` needs a health check, which neither it nor its image has; "
                "declare one, or leave `wait` away",
            )
        if health["Status"] == "healthy":
            return
        if time.monotonic() > deadline or not running(seen):
            raise PartlyMadeError(identity, _ill(client, identity, seen, limit))
        time.sleep(_PAUSE_SECONDS)


def _ill(client: Client, identity: str, seen: Answer, limit: object) -> str:
    """Why a container is not healthy, in its own words."""
    health = seen["State"]["Health"]
    state = f"is {health['Status']!r}" if running(seen) else "has ended"
    checks = [entry["Output"] for entry in health.get("Log") or []]
    return (
        f"it did not get healthy within {limit} s, it {state}; it was kept for you to look at "
        "(`docker logs`, `docker inspect`); the next update takes it as it then is, or replaces it "
        "where the program has changed"
        + _quoted("its health check says", checks[-1] if checks else "")
        + _quoted("the end of its log", written(client, identity, tail=_TAIL_LINES))
    )


def attached(client: Client, identity: str) -> None:
    """Waits until a container has ended by itself.

    Args:
        client: Of Docker.
        identity: The container's id.
    """
    client.wait(identity, timeout=None)


def written(client: Client, identity: str, *, tail: int | str = "all") -> str:
    """What a container wrote on stdout and stderr.

    Args:
        client: Of Docker.
        identity: The container's id.
        tail: How many lines, from the end.
    """
    return (found(lambda: client.logs(identity, tail=tail)) or b"").decode(errors="replace")


def ended(client: Client, identity: str, grace: int) -> None:
    """Stops a container; one that is gone or stopped already is fine.

    Args:
        client: Of Docker.
        identity: The container's id.
        grace: Seconds until it is killed.
    """
    found(lambda: client.stop(identity, timeout=grace))


def removed(client: Client, identity: str, *, volumes: bool) -> None:
    """Removes a container; one that is gone already is fine.

    Args:
        client: Of Docker.
        identity: The container's id.
        volumes: Whether its anonymous volumes go with it; named ones stay always.
    """
    once_free(
        lambda: client.remove_container(identity, v=volumes, force=True),
        refusal="is already in progress",
    )


def _quoted(title: str, words: str) -> str:
    """A paragraph with somebody else's words, indented; nothing where there are none."""
    lines = words.strip().splitlines()
    return "".join([f"\n{title}:", *(f"\n    {line}" for line in lines)]) if lines else ""
