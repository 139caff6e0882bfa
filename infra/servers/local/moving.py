"""Where a data directory is: where the stack's state says, unless it was moved on purpose."""

from __future__ import annotations

import os
import shlex
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.servers.errors import ClusterError
from infra.servers.local.mark import Mark
from infra.settings.key import spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.servers.local.cluster import Cluster
    from infra.settings import Settings

__all__ = ["free_place", "locate", "refuse_unless_moved"]


def locate(
    settings: Settings, recorded: Mapping[str, Any], *, owner: str, usual: Callable[[str], Path]
) -> Path:
    """Give the data directory of a stack.

    A server that the state knows is where the state says, for every user and folder. A
    setting that means another place than it did (relative to another checkout, in another home)
    is the same setting; one that was changed is judged by the provider.

    Args:
        settings: Of the stack.
        recorded: Outputs of the server that the stack's state has; empty without one.
        owner: The stack, "project/stack".
        usual: Gives the place of the directory of a stack that has none and names none.

    Raises:
        ClusterError: There is no such place.
    """
    asked = settings.data_dir
    if not recorded:
        return asked or free_place(usual(owner), owner)
    there = Path(recorded["data_dir"])
    if asked is None or asked.resolve() == there.resolve():
        return there
    unchanged = settings.data_dir_as_set == recorded.get("requested_data_dir")
    # A folder inside a checkout goes with the checkout.
    along = _holds_cluster(asked) and not _holds_cluster(there)
    return there if unchanged and not along else asked


def free_place(folder: Path, owner: str) -> Path:
    """Choose the data directory of a new stack: `folder`, or one beside it.

    Two stacks may come to one name: `a-b/c` and `a/b-c`, or a new one and another that had its
    name before. A folder that belongs to another stack is left to that.
    """
    for number in count(1):
        place = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        if Mark.read(place).owner in ("", owner):
            return place
    raise AssertionError("there is always another number")


def refuse_unless_moved(here: Cluster, there: Cluster, *, identifier: str) -> None:
    """Raise where the data directory is to be another one, and the cluster isn't there.

    Args:
        here: The cluster where the state has it.
        there: The cluster where it is to be.
        identifier: The cluster's system identifier.

    Raises:
        ClusterError: The cluster is where it was; the message has the commands that move it. Or
            both places have it; or something else is in the new one.
    """
    moved = there.identifier() == identifier
    left = here.identifier() == identifier
    if moved and left:
        raise ClusterError(_copied(here, there))
    if left:
        there.refuse_unreachable(_nearest(there.data.parent))
        raise ClusterError(_instructions(here, there))


def _nearest(folder: Path) -> Path:
    """Give the folder, or the one above it that is there already."""
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def _holds_cluster(folder: Path) -> bool:
    return (folder / "PG_VERSION").exists()


def _copied(here: Cluster, there: Cluster) -> str:
    return (
        f"{spelled('dataDir')} is {there.data}, and that is a copy of the cluster in {here.data},"
        " where this stack has its server. Nothing was changed. Only one of the two can be this"
        " stack's: remove the other, or move it out of the way, and run the same command again."
        f" To stay in {here.data}, set {spelled('dataDir')} to that."
    )


def _instructions(here: Cluster, there: Cluster) -> str:
    old, new = shlex.quote(str(here.data)), shlex.quote(str(there.data))
    lines = []
    if here.postmaster.pid() is not None:
        lock = shlex.quote(str(here.data / "postmaster.pid"))
        lines.append(f'kill -INT "$(head -n 1 {lock})"')
        lines.append(f"while test -e {lock}; do sleep 0.1; done")
    if not there.data.parent.is_dir():
        lines.append(f"(umask 022; mkdir -p {shlex.quote(str(there.data.parent))})")
    if os.path.lexists(there.data):
        lines.append(f"rmdir {new}")
    lines.append(f"mv {old} {new}")
    commands = "\n".join(f"  {line}" for line in lines)
    return (
        f"{spelled('dataDir')} is {there.data}, and the server of this stack is in {here.data}."
        " Nothing was changed: what is in a server is not made again in another place. To move"
        " the server with all that is in it (its sessions end), enter these commands, and run the"
        f" same command again:\n{commands}\n"
        f"To leave it where it is, set {spelled('dataDir')} to {here.data}, or to nothing."
    )
