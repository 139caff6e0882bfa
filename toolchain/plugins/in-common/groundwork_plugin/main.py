"""Runs a plugin as the engine wants one: a gRPC server that prints its port."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from pulumi.provider.experimental import server

from .provider import PluginProvider
from .servicer import Servicer

if TYPE_CHECKING:
    from .plugin import Plugin

__all__ = ["serve"]

_ORPHAN_CHECK_SECONDS = 1.0

Backend = TypeVar("Backend")


def serve(plugin: Plugin[Backend]) -> None:
    """Serves until the engine ends the process, or is gone itself.

    Args:
        plugin: What to answer for.
    """
    # Methods that the service lacks are answered as unimplemented; gRPC would also print a stack
    # trace for each, on the user's terminal.
    logging.getLogger("grpc").addHandler(logging.NullHandler())
    logging.getLogger("grpc").propagate = False
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    # `main` builds the SDK's own service, which has no hook for the wording of failures.
    server.ProviderServicer = Servicer  # type: ignore[misc]  # replaced on purpose, see above
    server.main(sys.argv[1:], plugin.version, PluginProvider(plugin))


def _end_with_parent(parent: int) -> None:
    """Ends the process once the engine is killed; what it does on a server ends with it."""
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK_SECONDS)
    os._exit(1)
