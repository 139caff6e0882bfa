"""Who looks on while a plan runs, without being in its way: what a rehearsal measures with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.schema.model import Step
    from infra.schema.running.compose import Text

__all__ = ["Watch"]


class Watch(Protocol):
    """Told of each step and of each text on its way; all of it inside of the run's event loop.

    Attributes:
        mark: SQL that stands between statements. It raises the INFO of `compose.MARK`, with more
            behind it, for `heard`.
        question: SQL that gives the same as one value, for revisions that run live.
    """

    mark: str
    question: str

    async def begin(self, step: Step) -> None:
        """A step is about to run; may change `mark`."""

    def attempt(self) -> None:
        """It is tried, for the first time or again."""

    async def sends(self, text: Text) -> None:
        """A text is about to be sent."""

    def heard(self, number: int | None, said: str) -> None:
        """The server has come to a mark.

        Args:
            number: The statement that comes next, as in the text; None after the last one.
            said: What the mark says.
        """

    async def sent(self, text: Text) -> None:
        """All of a text is done, and committed."""

    def ran(self, records: Sequence[dict[str, Any]]) -> None:
        """A live revision has run, or failed; see `guard.Records`."""

    async def end(self, step: Step) -> None:
        """A step is finished; not told of one that failed."""

    async def close(self) -> None:
        """The run is over, however it ended."""
