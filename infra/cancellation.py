"""Hears of the end that an engine wants of an operation, or has come to itself.

The engine waits for a running operation after the first Ctrl-C. An operation of many steps can end
after the present one instead. The SDK gives no way to hear of it, so that the code of its handler
is exchanged; where that isn't possible, operations end when they are done, as without this module.

An engine that was killed asks for nothing any more, and its providers live on: they look for it.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

__all__ = ["engine", "listen", "requested"]

_REQUESTED = threading.Event()
_engines: set[str] = set()  # of this process: one, once somebody listens
_GENERATIONS = 8  # provider, its shell, the engine; and what a user may put between


def requested() -> bool:
    """Tell whether the engine has asked this provider to come to an end, or is gone."""
    return _REQUESTED.is_set() or bool(_engines and engine() not in _engines)


def listen() -> None:
    """Begin to hear; in a process that is no dynamic provider, nothing happens."""
    servicer = getattr(sys.modules["__main__"], "DynamicResourceProviderServicer", None)
    handler = getattr(servicer, "Cancel", None)
    if handler is None:
        return
    # gRPC holds the bound method already: only what it does can still be changed.
    handler.__code__ = _cancel.__code__
    if (above := engine()) is not None:
        _engines.add(above)


def engine() -> str | None:
    """Name the engine above this process by id and start, so that no later one has its name.

    Returns:
        None where there is none, or no /proc to look in.
    """
    pid = os.getppid()
    for _ in range(_GENERATIONS):
        try:
            # The name is in brackets and may hold anything; the fields come after the last one.
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        except OSError:  # no /proc here, or nobody above
            return None
        fields = rest.split()
        if name.partition("(")[2] == "pulumi":
            return f"{pid}-{fields[19]}"
        pid = int(fields[1])
    return None


def _cancel(self: Any, request: Any, context: Any) -> Any:  # noqa: ARG001 - the signature of gRPC
    # Runs with the globals of the SDK's module: everything else is imported here.
    import sys  # noqa: PLC0415 - as above

    from google.protobuf import empty_pb2  # noqa: PLC0415 - as above

    sys.modules["infra.cancellation"]._REQUESTED.set()  # noqa: SLF001 - our own
    return empty_pb2.Empty()
