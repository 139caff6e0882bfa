"""The resources of the plugin, by type token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .container import Container
from .network import Network
from .remote_image import RemoteImage
from .volume import Volume

if TYPE_CHECKING:
    from groundwork_plugin.resource import Resource

    from .daemon import Daemon

__all__ = ["RESOURCES"]

RESOURCES: dict[str, Resource[Daemon]] = {
    resource.token: resource for resource in (Network(), Volume(), RemoteImage(), Container())
}
"""By the token that the SDK registers them under."""
