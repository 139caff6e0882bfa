"""Labels: a set of pairs in the program, a mapping for Docker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundwork_plugin.properties import Property, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from groundwork_plugin.values import Value

__all__ = ["FIELDS", "from_docker", "to_docker"]

FIELDS = (Property(name="label", required=True), Property(name="value", required=True))


def to_docker(labels: Value) -> dict[str, str]:
    """The mapping for Docker.

    Args:
        labels: As in the program.
    """
    pairs = labels if isinstance(labels, list) else []
    return {text(pair, "label"): text(pair, "value") for pair in pairs if isinstance(pair, dict)}


def from_docker(labels: Mapping[str, str] | None) -> list[Value]:
    """The pairs as in the program, in the order of their names.

    Args:
        labels: Docker's mapping.
    """
    return [{"label": key, "value": value} for key, value in sorted((labels or {}).items())]
