"""Limits that end a connection whose other side is gone, on the server and on this side."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from infra.schema.statements.sql import literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SERVER", "keep_alive", "keep_driver_alive", "setting"]

SERVER = {
    # A statement that works for a client that is gone is ended.
    "client_connection_check_interval": "1s",
    # A client that packets do not reach any more is gone after 8 s: probed when it is silent, and
    # given up when it acknowledges nothing.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "8s",
}
"""Settings of a session, by name, for the server's side."""

_IDLE_SECONDS, _INTERVAL_SECONDS, _PROBES = 5, 1, 5
_UNACKNOWLEDGED_MS = 10_000


def setting(values: Mapping[str, str]) -> str:
    """Write SQL that sets them for the session; a transaction that is undone takes them back."""
    calls = (
        f"pg_catalog.set_config({literal(name)}, {literal(value)}, false)"
        for name, value in values.items()
    )
    return f"SELECT {', '.join(calls)}"


def keep_alive(wire: Any) -> None:
    """Let the kernel give up a socket whose other side has been silent for some 10 s.

    Args:
        wire: A `socket.socket`, or what asyncio gives for one; None, or one of the file system,
            stays as it is.
    """
    if wire is None or wire.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _IDLE_SECONDS),
        ("TCP_KEEPALIVE", _IDLE_SECONDS),  # what macOS calls it
        ("TCP_KEEPINTVL", _INTERVAL_SECONDS),
        ("TCP_KEEPCNT", _PROBES),
        ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MS),
    ):
        option = getattr(socket, name, None)  # as far as the system has it
        if option is not None:
            wire.setsockopt(socket.IPPROTO_TCP, option, value)


def keep_driver_alive(connection: Any) -> None:
    """Do the same for the connection of any driver, as far as it shows its socket."""
    transport = getattr(connection, "_transport", None)
    if transport is not None:  # asyncpg
        keep_alive(transport.get_extra_info("socket"))
    elif hasattr(connection, "fileno"):  # psycopg, psycopg2
        with socket.socket(fileno=os.dup(connection.fileno())) as wire:
            keep_alive(wire)
