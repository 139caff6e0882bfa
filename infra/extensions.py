"""The extensions that a stack asks for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Extension"]


@dataclass(frozen=True, kw_only=True)
class Extension:
    """One extension of a database.

    Attributes:
        name: As CREATE EXTENSION takes it.
        schema: Where it is to be; "" where it is installed already, or else the stack's schema of
            extensions.
    """

    name: str
    schema: str = ""
