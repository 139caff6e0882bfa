"""How Alembic is called on a folder: what its command line and its environment would say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Invocation"]


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """How Alembic is called. Hashable, and plain data for the processes that call it.

    Attributes:
        variable: The environment variable that env.py reads its URL from.
    """

    variable: str = "DATABASE_URL"

    def dump(self) -> dict[str, Any]:
        """Give it as data for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Invocation:
        """Build one from what `dump` gave."""
        return cls(**data)
