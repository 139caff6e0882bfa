"""The resources of the plugin, by type token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .database import Database
from .default_privileges import DefaultPrivileges
from .extension import Extension
from .grant import Grant
from .grant_role import GrantRole
from .role import Role
from .schema import Schema

if TYPE_CHECKING:
    from .resource import Resource

__all__ = ["ALIASES", "RESOURCES"]

RESOURCES: dict[str, Resource] = {
    resource.token: resource
    for resource in (
        Role(),
        Database(),
        Extension(),
        Schema(),
        Grant(),
        GrantRole(),
        DefaultPrivileges(),
    )
}
"""By the token that the SDK registers them under."""

ALIASES = {
    "postgresql:index/defaultPrivileg:DefaultPrivileg": DefaultPrivileges.token,
}
"""Older tokens that the SDK still has a class for."""
