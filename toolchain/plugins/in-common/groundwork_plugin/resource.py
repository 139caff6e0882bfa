"""What every resource of a plugin can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from .properties import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .properties import Failure, Property
    from .values import Values

__all__ = ["Found", "Resource"]

Backend = TypeVar("Backend")


@dataclass(frozen=True)
class Found:
    """An object as it is: the id under which the engine keeps it, and its outputs."""

    identity: str
    values: Values


class Resource(ABC, Generic[Backend]):
    """A kind of object.

    Implementations are stateless: what they know of one object is in the values they are given.
    Values given to `make`, `change` and `remove` are checked and known.
    """

    token: ClassVar[str]
    """The type that the SDK registers."""

    noun: ClassVar[str]
    """What a message calls it."""

    properties: ClassVar[tuple[Property, ...]]

    autonamed: ClassVar[bool] = False
    """Whether it has a `name` that is made up where the program gives none."""

    delete_before_replace: ClassVar[bool] = False
    """Whether the old object must be gone before its replacement can be made."""

    def validate(self, inputs: Values) -> Iterable[Failure]:
        """Mistakes that concern more than one property; some values may be unknown.

        Args:
            inputs: Checked one by one.
        """
        del inputs
        return ()

    def title(self, values: Values) -> str:
        """How a message calls this object.

        Args:
            values: Inputs or outputs.
        """
        return f"{self.noun} {text(values, 'name')!r}"

    @abstractmethod
    async def make(self, backend: Backend, wanted: Values) -> str:
        """Makes the object, all or nothing.

        Args:
            backend: Where to make it.
            wanted: Inputs.

        Returns:
            The id that it got there; empty where the id follows from the inputs.

        Raises:
            PartlyMadeError: It was made, but is not as asked for.
        """

    @abstractmethod
    async def find(self, backend: Backend, identity: str, known: Values) -> Found | None:
        """The object as it is; None where there is none.

        Args:
            backend: Where it is.
            identity: Its id; empty where `make` gave none.
            known: The last known outputs, or the inputs, for what the server cannot tell; empty
                for an import.
        """

    @abstractmethod
    async def change(self, backend: Backend, identity: str, state: Values, wanted: Values) -> None:
        """Changes the object in place.

        Args:
            backend: Where it is.
            identity: Its id.
            state: The last known outputs.
            wanted: Inputs.
        """

    @abstractmethod
    async def remove(self, backend: Backend, identity: str, state: Values) -> None:
        """Removes the object; one that is gone already is no failure.

        Args:
            backend: Where it is.
            identity: Its id.
            state: The last known outputs.
        """
