"""What an engine that was killed leaves in a backend: its lock, half a file, pending operations.

A pending creation stays in the state until it is taken out on purpose: the engine does not know
whether the thing was made. Here that is known: what is made but once is looked for and imported,
and everything else is made again without harm.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from toolchain import backend, progress, run
from toolchain.errors import ToolchainError

__all__ = ["free_stale_lock", "is_pending", "remove_torn_attributes", "settle"]

# What is made but once, by its type: its id is its name, or what Docker says of that.
_MADE_ONCE: dict[str, tuple[str, ...]] = {
    "postgresql:index/role:Role": (),
    "postgresql:index/database:Database": (),
    "docker:index/volume:Volume": (),
    "docker:index/network:Network": ("docker", "network", "inspect", "--format={{.Id}}"),
    "docker:index/container:Container": ("docker", "container", "inspect", "--format={{.Id}}"),
}

Call = Callable[..., str]


def free_stale_lock(stack: str) -> None:
    """Unlock a local stack whose engine was killed: its lock names a process that is gone."""
    for lock in _locks(stack):
        try:
            pid = int(json.loads(lock.read_text())["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # in a form that only Pulumi can judge
        if not _lives(pid):
            lock.unlink(missing_ok=True)


def is_pending(stack: str) -> bool:
    """Tell whether the state of a local stack has operations that no engine works on."""
    if any(_locks(stack)):
        return False
    for path in backend.STATES.glob(f".pulumi/stacks/*/{stack}.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            latest = json.loads(path.read_text(encoding="utf-8"))["checkpoint"]["latest"]
            return bool((latest or {}).get("pending_operations"))
    return False


def settle(ask: Call, call: Call) -> bool:
    """Take what a killed engine was just making into the state, where that got made.

    Making it again converges by itself, except for roles and databases, which PostgreSQL makes only
    once, and for what Docker holds: a container that nobody knows would keep its port and its
    volume. Those are imported. No operation is pending afterwards.

    Args:
        ask: Runs a command of Pulumi's on the stack, and gives what it says.
        call: The same, for a command that takes the stack's configuration.

    Returns:
        Whether there was anything pending, and could be settled.
    """
    try:
        pending = _pending(ask("stack", "export"))
        if not pending:
            return False
        for operation in pending:
            resource = operation["resource"]
            name = resource["urn"].rpartition("::")[2]
            progress.say(f"the last run was killed while {operation['type']} {name}: looking")
            if operation["type"] == "creating" and resource["type"] in _MADE_ONCE:
                _import(resource, call)
        _clear(ask)
    except run.CommandError as exc:  # another run's, most likely
        progress.say(f"what is pending in the state stays there: {exc}")
        return False
    return True


def remove_torn_attributes() -> None:
    """Remove what an engine that was killed has left of a file's attributes.

    The backend keeps them beside each file (`dev.json.attrs`) and, unlike the file itself, writes
    them in place: killed in between, it leaves an empty one, and fails from then on to read the
    state, which is whole. Without attributes a file has the usual ones.
    """
    for path in backend.STATES.glob(".pulumi/**/*.attrs"):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            _remove(path)
        except FileNotFoundError:
            continue  # another run has just removed it


def _pending(exported: str) -> list[dict[str, Any]]:
    deployment = json.loads(exported).get("deployment") or {}
    return deployment.get("pending_operations") or []


def _import(resource: dict[str, Any], call: Call) -> None:
    provider, _, _ = resource["provider"].rpartition("::")
    about = ["--parent", f"parent={resource['parent']}", "--provider", f"provider={provider}"]
    quiet = ["--yes", "--skip-preview", "--protect=false", "--generate-code=false"]
    name = resource["urn"].rpartition("::")[2]
    identity = resource["inputs"]["name"]
    # Where one of them fails, the thing was not made: `up` will make it.
    with suppress(run.CommandError):
        if asking := _MADE_ONCE[resource["type"]]:
            identity = run.output([*asking, identity], timeout=20)
        call("import", resource["type"], name, identity, *about, *quiet)


def _clear(ask: Call) -> None:
    """Write the state back as it is: the engine takes no pending operation along."""
    state = backend.FOLDER / f"state.{os.getpid()}.json"
    backend.make_folder()
    try:
        with os.fdopen(os.open(state, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(ask("stack", "export"))
        ask("stack", "import", "--file", str(state))
    finally:
        state.unlink(missing_ok=True)


def _locks(stack: str) -> Iterator[Path]:
    return backend.STATES.glob(f".pulumi/locks/**/{stack}/*.json")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        raise ToolchainError(
            f"{path} is damaged and can't be removed: {exc.strerror}. It holds the attributes of "
            "the file beside it, which is whole: remove it, then start again"
        ) from exc


def _lives(pid: int) -> bool:
    """Tell whether a process runs: one that is dead and not reaped yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    try:
        # proc(5): the state follows the command, which stands in brackets.
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True  # no procfs on this system
    return state != "Z"
