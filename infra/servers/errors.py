"""What goes wrong with a cluster on this machine."""

from __future__ import annotations

from infra.errors import GroundworkError

__all__ = ["ClusterError"]


class ClusterError(GroundworkError):
    """The cluster could not be made, started, stopped or removed."""
