"""Hears of Ctrl-C in a provider: the engine tells every provider, and the SDK's does nothing.

The engine waits for a running operation after the first Ctrl-C. An operation of many steps can end
after the present one instead. The SDK gives no way to hear of it, so that the code of its handler
is exchanged; where that isn't possible, operations end when they are done, as without this module.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

__all__ = ["listen", "requested"]

_REQUESTED = threading.Event()


def requested() -> bool:
    """Tell whether the engine has asked this provider to come to an end."""
    return _REQUESTED.is_set()


def listen() -> None:
    """Begin to hear; in a process that is no dynamic provider, nothing happens."""
    servicer = getattr(sys.modules["__main__"], "DynamicResourceProviderServicer", None)
    handler = getattr(servicer, "Cancel", None)
    if handler is not None:
        # gRPC holds the bound method already: only what it does can still be changed.
        handler.__code__ = _cancel.__code__


def _cancel(self: Any, request: Any, context: Any) -> Any:  # noqa: ARG001 - the signature of gRPC
    # Runs with the globals of the SDK's module: everything else is imported here.
    import sys  # noqa: PLC0415 - as above

    from google.protobuf import empty_pb2  # noqa: PLC0415 - as above

    sys.modules["infra.cancellation"]._REQUESTED.set()  # noqa: SLF001 - our own
    return empty_pb2.Empty()
