"""Waiting for Docker, with an end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["IN_USE_SECONDS", "once_free"]

IN_USE_SECONDS = 30.0
"""How long the genuine plugin, too, waits for the last user of a network or a volume to go, where
the program gives no limit of its own."""

_PAUSE_SECONDS = 0.5


def once_free(
    remove: Callable[[], object], *, refusal: str, seconds: float = IN_USE_SECONDS
) -> None:
    """Removes something that may still be in use for a moment; it is fine if it is gone already.

    Args:
        remove: Removes it.
        refusal: What Docker says while it is in use.
        seconds: How long to wait.

    Raises:
        APIError: It is still in use at the end, or Docker refuses for another reason.
    """
    from . import sdk  # noqa: PLC0415 - slow, see `daemon`

    deadline = time.monotonic() + seconds
    while True:
        try:
            remove()
        except sdk.NotFound:
            return
        except sdk.APIError as error:
            if refusal not in str(error.explanation) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return
