"""Runs the plugin: `python -m groundwork_postgresql ENGINE_ADDRESS`."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time

from pulumi.provider.experimental import server

from . import VERSION
from .provider import PostgresqlProvider
from .servicer import Servicer

__all__ = ["main"]

_ORPHAN_CHECK_SECONDS = 1.0


def main() -> None:
    """Serves until the engine ends the process, or is gone itself."""
    # Methods that the service lacks are answered as unimplemented; gRPC would also print a stack
    # trace for each, on the user's terminal.
    logging.getLogger("grpc").addHandler(logging.NullHandler())
    logging.getLogger("grpc").propagate = False
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    # `main` builds the SDK's own service, which has no hook for the wording of failures.
    server.ProviderServicer = Servicer  # type: ignore[misc]  # replaced on purpose, see above
    server.main(sys.argv[1:], VERSION, PostgresqlProvider())


def _end_with_parent(parent: int) -> None:
    """Ends the process once the engine is killed; PostgreSQL then rolls its work back."""
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
