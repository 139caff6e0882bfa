"""What a run of a stack tells, whether the engine or the driver ran it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Run", "RunError"]


class RunError(AssertionError):
    """A run failed; the text is all that it told."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run did.

    Attributes:
        output: Everything that it printed.
        steps: What it did to each resource, in order, by the resource's name; a resource that
            stays as it is has none.
    """

    output: str
    steps: dict[str, list[str]] = field(default_factory=dict)
