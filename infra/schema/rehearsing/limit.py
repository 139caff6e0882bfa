"""How long a rehearsal may take: one deadline for all that it does, and where it was then."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

from infra.schema.errors import RehearsalError
from infra.schema.options import seconds

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Limit"]

_Result = TypeVar("_Result")


class Limit:
    """A deadline, from now on.

    Attributes:
        text: How long, as the stack says it; empty for any time.
    """

    def __init__(self, text: str) -> None:
        """Begin to count."""
        self.text = text
        limit = seconds(text) if text else 0
        self._end = time.monotonic() + limit if limit else None

    def left(self) -> float | None:
        """Give the seconds that are left; none left is a moment, so that it fails in one place."""
        return None if self._end is None else max(self._end - time.monotonic(), 0.001)

    @property
    def over(self) -> bool:
        """Whether there is no time left."""
        return self._end is not None and time.monotonic() >= self._end

    def run(self, work: Coroutine[Any, Any, _Result], where: str) -> _Result:
        """Run something to its end, or to the deadline.

        Args:
            work: What to do.
            where: What that is, as the end of a sentence.

        Raises:
            RehearsalError: The deadline came.
        """
        return asyncio.run(self._bounded(work, where))

    async def _bounded(self, work: Coroutine[Any, Any, _Result], where: str) -> _Result:
        limit = asyncio.timeout(self.left())
        try:
            async with limit:
                return await work
        except TimeoutError as exc:
            if not limit.expired():
                raise
            raise self.late(where) from exc

    def late(self, where: str) -> RehearsalError:
        """Word that the deadline came."""
        return RehearsalError(
            f"The rehearsal was ended after {self.text} {where}. The live database was read, and"
            " nothing in it was changed. Raise rehearse_timeout, or turn the rehearsal off."
        )
