"""Asks a server over TCP who it is: the only proof that it is ready."""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.errors import GroundworkError, unreachable

if TYPE_CHECKING:
    import ssl

__all__ = ["Identity", "ProbeError", "RefusedError", "ask", "prepare", "wait"]

_PAUSE = 0.1  # seconds between two tries


class ProbeError(GroundworkError):
    """The server did not answer."""


class RefusedError(ProbeError):
    """The server answered, and the answer was no: waiting would not help."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who answered.

    Attributes:
        cluster: The system identifier, a number of 64 bits in decimal.
        version: "17.4" for example.
    """

    cluster: str
    version: str


def prepare() -> None:
    """Load the driver aside, while others work: the next who asks a database needs it."""
    threading.Thread(target=importlib.import_module, args=("asyncpg",), daemon=True).start()


def ask(
    *,
    host: str,
    port: int,
    user: str,
    password: str,
    seconds: float = 5.0,
    tls: ssl.SSLContext | bool = False,
) -> Identity:
    """Connect once and ask for the identity; `tls` is what asyncpg takes as `ssl`.

    Raises:
        ProbeError: No answer within `seconds`.
        RefusedError: Wrong password, or a user that may not connect.
    """
    try:
        return asyncio.run(
            _ask(host=host, port=port, user=user, password=password, seconds=seconds, tls=tls)
        )
    except OSError as exc:
        raise ProbeError(unreachable(f"{host}:{port}", exc)) from exc


async def _ask(
    *,
    host: str,
    port: int,
    user: str,
    password: str,
    seconds: float,
    tls: ssl.SSLContext | bool,
) -> Identity:
    import asyncpg  # noqa: PLC0415 - 160 ms that a process without a server saves

    try:
        connection = await asyncpg.connect(
            host=host,
            port=port,
            user=user,
            password=password,
            database="postgres",
            ssl=tls,
            timeout=seconds,
        )
        try:
            row = await connection.fetchrow(
                "SELECT system_identifier::text AS cluster,"
                " current_setting('server_version') AS version FROM pg_control_system()",
                timeout=seconds,
            )
        finally:
            await connection.close(timeout=seconds)
    # The second: somebody listens for the server, a container's port, and it isn't there yet.
    except (asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError) as exc:
        msg = f"The server at {host}:{port} is not ready: {exc}."
        raise ProbeError(msg) from exc
    except asyncpg.PostgresError as exc:
        msg = f"The server at {host}:{port} refused the user '{user}': {exc}."
        raise RefusedError(msg) from exc
    # Debian adds its own package version in brackets.
    return Identity(cluster=row["cluster"], version=row["version"].split(" ")[0])


def wait(
    *,
    host: str,
    port: int,
    user: str,
    password: str,
    seconds: float,
    tls: ssl.SSLContext | bool = False,
) -> Identity:
    """Ask again and again until the server answers; `tls` is what asyncpg takes as `ssl`.

    Raises:
        ProbeError: It has not answered after `seconds`; the last reason.
        RefusedError: It refused, at once.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask(host=host, port=port, user=user, password=password, tls=tls)
        except RefusedError:
            raise
        except ProbeError as exc:
            if time.monotonic() > deadline:
                msg = f"{exc} Waited {seconds:.0f} s for it."
                raise ProbeError(msg) from exc
        time.sleep(_PAUSE)
