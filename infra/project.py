"""Keys of the configuration as a user writes them, in the namespace of the project."""

from __future__ import annotations

from toolchain import project

__all__ = ["spelled"]


def spelled(name: str) -> str:
    """Give the key as `pulumi config set` takes it."""
    return f"{project.name()}:{name}"
