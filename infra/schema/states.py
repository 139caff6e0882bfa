"""The states of stacks in a backend of files, as far as they tell which database a stack knows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from infra.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["identity"]

# The backend that `make` uses where the user has none.
_LOCAL = Path(".groundwork", "backend")
_SCHEMA = "pulumi-python:dynamic/groundwork:Schema"


def identity(stack: str) -> Identity | None:
    """Give the database that a stack knows; None where its state can't be read here.

    Args:
        stack: PROJECT/STACK, or the stack's name alone.
    """
    if not stack:
        return None
    project, _, name = stack.rpartition("/")
    for path in _files(project or "*", name):
        found = _identity(path)
        if found is not None:
            return found
    return None


def _files(project: str, name: str) -> Iterator[Path]:
    address = urlsplit(os.environ.get("PULUMI_BACKEND_URL", ""))
    if address.scheme == "file":
        place = Path(unquote(address.netloc + address.path)).expanduser()
    elif not address.scheme:
        place = _LOCAL
    else:
        return
    yield from sorted(place.glob(f".pulumi/stacks/{project}/{name}.json"))


def _identity(path: Path) -> Identity | None:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        resources = state["checkpoint"]["latest"]["resources"] or []
    except (OSError, ValueError, KeyError, TypeError):
        return None
    by_type = {str(each.get("type")): each.get("outputs") or {} for each in resources}
    known: Any = by_type.get(_SCHEMA, {}).get("database")
    cluster, _, database = known.partition("/") if isinstance(known, str) else ("", "", "")
    return Identity(cluster=cluster, database=database) if cluster and database else None
