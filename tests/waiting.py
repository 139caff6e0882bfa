"""Waits for what a test is about, in place of a time in which it mostly happens."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["wait_until", "wait_until_async"]

T = TypeVar("T")

_SECONDS = 120.0  # on a busy machine
_STEP_SECONDS = 0.02


def wait_until(true: Callable[[], T], *, seconds: float = _SECONDS) -> T:
    """Ask in short steps until the answer is true, and give it; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds:.0f} s"
        time.sleep(_STEP_SECONDS)
    return found


async def wait_until_async(true: Callable[[], Awaitable[object]]) -> None:
    """Ask in short steps until the answer is true; fails after two minutes."""
    async with asyncio.timeout(_SECONDS):
        while not await true():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(_STEP_SECONDS)
