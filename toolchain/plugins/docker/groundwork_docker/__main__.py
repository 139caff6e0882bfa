"""Runs the plugin: `python -m groundwork_docker ENGINE_ADDRESS`."""

from __future__ import annotations

from groundwork_plugin.main import serve
from groundwork_plugin.plugin import Plugin

from . import VERSION
from .configuration import SETTINGS, Configuration, problems
from .daemon import Daemon
from .resources import RESOURCES

__all__ = ["DOCKER"]

DOCKER = Plugin(
    name="docker",
    version=VERSION,
    description="Containers, images, networks and volumes of a Docker Engine.",
    resources=RESOURCES,
    aliases={},
    settings=SETTINGS,
    secret_settings=(),
    problems=problems,
    connect=lambda settings: Daemon(Configuration.parse(settings)),
)

if __name__ == "__main__":
    serve(DOCKER)
