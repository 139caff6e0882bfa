"""A dynamic resource whose object is looked at each time: what was changed by hand is put right."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from pulumi import dynamic

from infra.database import admin
from infra.dynamic import Provider, known
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Watched"]


class Watched(Provider):
    """A provider for something that is read whole and brought whole to what is wanted.

    Subclasses say how to read and how to change; the engine's questions are answered here.
    """

    inputs: ClassVar[tuple[str, ...]]
    """The inputs beside `admin`, which every one has."""

    watched: ClassVar[str]
    """The one of them that the server is compared with."""

    noun: ClassVar[str]
    """What a message calls it, in the plural."""

    async def find(self, props: Mapping[str, Any]) -> Any:
        """Read what is there, in the form of the watched input; None where nothing can be.

        Raises:
            LiveError: The server doesn't answer.
        """
        raise NotImplementedError

    async def bring(self, props: Mapping[str, Any]) -> None:
        """Change what is there to what is wanted, all or nothing.

        Raises:
            LiveError: The server doesn't answer.
            AccessError: The server refuses.
        """
        raise NotImplementedError

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Compare with the state, and with the server where it answers."""
        wanted = self._given(news)
        if not known(wanted) or wanted != self._given(olds):
            return dynamic.DiffResult(changes=True)
        found, failure = admin.look(lambda: self.find(news), place=wanted)
        drifted = failure is None and found != news[self.watched]
        if drifted:
            print(visible(f"the {self.noun} were changed by hand: they will be put right"))  # noqa: T201 - the engine shows it
        return dynamic.DiffResult(changes=drifted)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Bring the server to what is wanted."""
        asyncio.run(self.bring(props))
        return dynamic.CreateResult(self.watched, self._given(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Bring the server to what is wanted."""
        asyncio.run(self.bring(news))
        return dynamic.UpdateResult(self._given(news))

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Tell what is there; a server that doesn't answer leaves what was known."""
        given = self._given(props)
        found, failure = admin.look(lambda: self.find(props), place=given)
        if failure is not None:
            print(visible(f"the {self.noun} could not be looked at: {failure}"))  # noqa: T201 - the engine shows it
            return dynamic.ReadResult(id_, given, given)
        if found is None:
            return dynamic.ReadResult("", {})
        seen = {**given, self.watched: found}
        return dynamic.ReadResult(id_, seen, seen)

    def _given(self, props: Mapping[str, Any]) -> dict[str, Any]:
        return {key: props.get(key) for key in ("admin", *self.inputs)}
