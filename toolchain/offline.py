"""The plugins of this checkout, for machines that can't reach the genuine ones.

A plugin's folder in `plugins/NAME` holds the package `groundwork_NAME` and a hash-locked
requirements.txt; what all of them share is the package in `plugins/in-common`. It runs from the
checkout, so that another checkout on the same machine keeps its own; what it imports beside the
standard library is in the cache, by interpreter and requirements.
"""

import hashlib
import sys
from functools import partial
from pathlib import Path

from toolchain import cache
from toolchain.errors import ToolchainError

__all__ = ["available", "folder", "is_ready", "names", "packages", "sources"]

PLUGINS = Path(__file__).parent / "plugins"
"""The folder that holds a folder for each plugin."""

SHARED = "in-common"
"""The folder in it with the package that every plugin takes along.

Its name is none that Python could import: tools that guess a module's name from its path then
find `groundwork_plugin` under the name that it has where it runs.
"""


def available(name: str) -> bool:
    """Tell whether this checkout has an offline plugin `name`."""
    return (folder(name) / f"groundwork_{name}" / "__main__.py").is_file()


def names() -> list[str]:
    """Give the names of the plugins that this checkout has."""
    return sorted(path.name for path in PLUGINS.iterdir() if available(path.name))


def folder(name: str) -> Path:
    """Give the folder of the plugin `name`, where Pulumi.yaml leads the engine."""
    return PLUGINS / name


def is_ready(name: str) -> bool:
    """Tell whether the plugin `name` would start at once."""
    try:
        return available(name) and cache.folder(_label(name)).is_dir()
    except ToolchainError:
        return False


def sources(name: str) -> list[Path]:
    """Give the folders whose packages the plugin `name` consists of."""
    return [folder(name), PLUGINS / SHARED]


def packages(name: str) -> Path:
    """Install what the plugin `name` imports, once for each interpreter and requirements file.

    Returns:
        The folder with the packages.

    Raises:
        ToolchainError: When they can't be had.
    """
    from toolchain import pip  # noqa: PLC0415 - slow to import, and not needed when everything is there

    told = f"fetching the packages of the offline {name} plugin"
    requirements = folder(name) / "requirements.txt"
    install = partial(pip.install, requirements, python=sys.executable, label=told)
    return cache.make(_label(name), install, doing=told)


def _label(name: str) -> str:
    # The base, since a virtual environment's own path says nothing of what runs in it.
    key = hashlib.sha256(f"{sys.base_prefix} {sys.version}\n".encode())
    key.update((folder(name) / "requirements.txt").read_bytes())
    return f"plugin-{name}-{key.hexdigest()[:16]}"
