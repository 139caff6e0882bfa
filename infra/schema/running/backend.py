"""A connection of asyncpg that knows its server process, through a pooler too.

Imports asyncpg, which takes 160 ms: import it where a connection is made.
"""

from __future__ import annotations

from typing import Any

import asyncpg

__all__ = ["Connection"]


class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """What `open_session` opens.

    Attributes:
        pid: The process of the server that works for it.
        limits: SQL that sets again what `RESET ALL` takes back, where that is not by itself.
    """

    pid: int = 0
    limits: tuple[str, ...] = ()

    @property
    def pooled(self) -> bool:
        """Whether a pooler stands in between: the process that it names at the login is made up."""
        return bool(self.pid != self.get_server_pid())

    @property
    def wire(self) -> Any:
        """Its socket."""
        return self._transport.get_extra_info("socket")
