"""Says things on a resource's own row of the engine's display, and live ones that leave no trace.

The engine gives each provider process its address as the first argument and takes messages there,
which is how its own providers do it, and which the SDK does not document. Where it doesn't work,
lines are printed: the engine shows those on the row of the stack.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from toolchain.visible_text import visible

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Row"]

_SECONDS = 5.0


class Row:
    """The row of one resource, for the time of one operation."""

    def __init__(self, urn: str) -> None:
        """Attach to the row of the resource `urn`; without an engine there is none."""
        self._urn = urn
        self._channel: Any = None

    def __enter__(self) -> Self:
        """Connect to the engine."""
        if len(sys.argv) > 1 and self._urn:
            import grpc  # noqa: PLC0415 - loaded by the SDK in a provider, and by nobody elsewhere

            self._channel = grpc.insecure_channel(sys.argv[1])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the engine."""
        if self._channel is not None:
            self._channel.close()

    def say(self, text: str, *, live: bool = False, warning: bool = False) -> None:
        """Show a message.

        Args:
            text: May hold several lines; no secrets: nothing masks them.
            live: Shown as the state of the row until the next one, and nowhere afterwards.
            warning: Shown as one.
        """
        text = visible(text)
        if self._channel is None or not self._logged(text, live=live, warning=warning):
            print(text)  # noqa: T201 - the engine shows it on the stack's row

    def _logged(self, text: str, *, live: bool, warning: bool) -> bool:
        import grpc  # noqa: PLC0415 - as above
        from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc  # noqa: PLC0415 - as above

        severity = engine_pb2.WARNING if warning else engine_pb2.INFO
        request = engine_pb2.LogRequest(
            severity=severity, message=text, urn=self._urn, ephemeral=live
        )
        try:
            stub = engine_pb2_grpc.EngineStub(self._channel)
            stub.Log(request, timeout=_SECONDS)
        except grpc.RpcError:
            return False
        return True
