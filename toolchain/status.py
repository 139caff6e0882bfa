"""What is used and why, and why the other routes are not; the network isn't asked."""

from collections.abc import Callable, Sequence

from toolchain import ambient, cache, engine, golang, official, offline, plugins, versions
from toolchain.errors import ToolchainError

__all__ = ["describe"]

# The others are for single targets, and fetched when a stack has one of those.
_ALWAYS = "postgresql"


def describe(names: Sequence[str] = ()) -> tuple[str, bool]:
    """Tell of the engine and of plugins.

    Args:
        names: the plugins to tell of; by default those that this checkout can stand in for.

    Returns:
        The text, and whether all of it is ready to use.
    """
    needed = set(names) or {_ALWAYS}
    told = {name: _plugin(name) for name in names or offline.names()}
    engine_lines, ready = _engine()
    lines = [f"cache: {cache.root()}", *engine_lines]
    lines += [line for lines, _ in told.values() for line in lines]
    return "\n".join(lines), ready and all(told[name][1] for name in needed)


def _engine() -> tuple[list[str], bool]:
    lines = [f"engine: Pulumi {versions.engine()} is pinned"]
    ready = True
    try:
        found = engine.find()
        lines.append(f"  in use: {found.path} ({found.why})")
    except ToolchainError as exc:
        ready = False
        lines.append(f"  in use: none; {exc}")
    lines += [
        f"  route 1, on PATH: {_outcome(ambient.find)}",
        f"  route 2, download: {_kept('download', _outcome(official.source))}",
        f"  route 3, build: {_kept('build', f'made when needed, with {_outcome(_go)}')}",
    ]
    return lines, ready


def _kept(route: str, otherwise: str) -> str:
    place = engine.kept(route)
    return f"kept in {place}" if place else f"not kept; {otherwise}"


def _go() -> object:
    return golang.find(fetch=False)


def _plugin(name: str) -> tuple[list[str], bool]:
    version = versions.plugin(name)
    try:
        found = plugins.find(name)
    except ToolchainError as exc:
        lines = [f"plugin {name}: {version} is pinned", f"  in use: none; {exc}"]
        return [*lines, f"  get it with: python -m toolchain install --plugin {name}"], False
    lines = [f"plugin {name}: {version} is pinned", f"  in use: {found.words} ({found.path})"]
    if found.route == "offline":
        lines.append(f"  the genuine one, with access to Pulumi's site: {plugins.genuine(name)}")
    return lines, True


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        return str(attempt())
    except ToolchainError as exc:
        return str(exc)
