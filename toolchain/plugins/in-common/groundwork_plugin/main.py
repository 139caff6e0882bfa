"""Runs a plugin as the engine wants one: a gRPC server that prints its port."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TypeVar

from pulumi.provider.experimental import server

from .provider import PluginProvider
from .servicer import Servicer

if TYPE_CHECKING:
    from .plugin import Plugin

__all__ = ["serve"]

Backend = TypeVar("Backend")


def serve(plugin: Plugin[Backend]) -> None:
    """Serves until the engine ends the process.

    Args:
        plugin: What to answer for.
    """
    # Methods that the service lacks are answered as unimplemented; gRPC would also print a stack
    # trace for each, on the user's terminal.
    logging.getLogger("grpc").addHandler(logging.NullHandler())
    logging.getLogger("grpc").propagate = False
    # `main` builds the SDK's own service, which has no hook for the wording of failures.
    server.ProviderServicer = Servicer  # type: ignore[misc]  # replaced on purpose, see above
    server.main(sys.argv[1:], plugin.version, PluginProvider(plugin))
