"""Ports of this machine for servers on loopback."""

from __future__ import annotations

import random
import socket

from infra.project import spelled
from infra.servers.errors import ClusterError

__all__ = ["HOST", "find_free", "is_free"]

HOST = "127.0.0.1"
# Below the range from which Linux takes the ports of outgoing connections (32768 and up):
# a port found free there is not taken by chance while the server is down.
_PORTS = range(15432, 16432)


def is_free(port: int) -> bool:
    """Tell whether a server could listen on 127.0.0.1:`port` right now."""
    with socket.socket() as probe:
        # As PostgreSQL does: connections that linger after a stop do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def find_free() -> int:
    """Find a free port for a server.

    Raises:
        ClusterError: All thousand candidates are taken.
    """
    # Anywhere in the range: the first one would be that of a server that is down for a moment.
    for port in random.sample(_PORTS, k=len(_PORTS)):
        if is_free(port):
            return port
    msg = f"No free port from {_PORTS[0]} to {_PORTS[-1]}; name one with {spelled('port')}."
    raise ClusterError(msg)
