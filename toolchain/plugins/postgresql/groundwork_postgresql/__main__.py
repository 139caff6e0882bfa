"""Runs the plugin: `python -m groundwork_postgresql ENGINE_ADDRESS`."""

from __future__ import annotations

from groundwork_plugin.main import serve
from groundwork_plugin.plugin import Plugin

from . import VERSION
from .configuration import SECRET_SETTINGS, SETTINGS, Configuration, problems
from .resources import ALIASES, RESOURCES
from .server import Server

__all__ = ["POSTGRESQL"]

POSTGRESQL = Plugin(
    name="postgresql",
    version=VERSION,
    description="Roles, databases, grants and extensions of a PostgreSQL server.",
    resources=RESOURCES,
    aliases=ALIASES,
    settings=SETTINGS,
    secret_settings=SECRET_SETTINGS,
    problems=problems,
    connect=lambda settings: Server(Configuration.parse(settings)),
)

if __name__ == "__main__":
    serve(POSTGRESQL)
