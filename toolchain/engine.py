"""The Pulumi engine: on PATH, else downloaded, else built."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolchain import ambient, cache, progress, versions
from toolchain.errors import ToolchainError

__all__ = ["PROGRAMS", "Found", "find", "install", "kept", "locate"]

PROGRAMS = (
    "pulumi",
    "pulumi-language-python",
    "pulumi-language-python-exec",
    "pulumi-resource-pulumi-python",
)
"""What an engine's folder has to hold for a Python program with dynamic resources."""

_AROUND_HOST = {
    Path(__file__).with_name("languagehost.sh"): "bin/pulumi-language-python",
    Path(__file__).with_name("orphans.py"): "libexec/orphans.py",
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """An engine that is ready to use.

    Attributes:
        path: its `pulumi` executable.
        route: 'path', 'download' or 'build'.
        why: why it is this one, in words.
    """

    path: Path
    route: str
    why: str


def locate() -> Path:
    """Give the `pulumi` executable that is ready to use.

    Raises:
        ToolchainError: when none is there yet; `install` gets one.
    """
    return find().path


def find() -> Found:
    """Give the engine that is ready to use, and why it is that one.

    Raises:
        ToolchainError: when none is there yet; `install` gets one.
    """
    try:
        path = ambient.find()
    except ToolchainError as exc:
        reason = str(exc)
    else:
        return Found(path=path, route="path", why="it is on PATH and recent enough")
    for route, how in (("download", "fetched"), ("build", "built from Go modules")):
        if place := kept(route):
            why = f"the pinned version, {how}; {reason}"
            return Found(path=place / "bin" / "pulumi", route=route, why=why)
    raise ToolchainError(
        f"no Pulumi engine yet ({reason}). Get one with: python -m toolchain install"
    )


def kept(route: str) -> Path | None:
    """Give the folder of the engine that `route`, 'download' or 'build', left in the cache."""
    place = _place(route)
    if not _ready(place):
        return None
    return _with_own_launcher(place) if route == "build" else place


def install() -> Found:
    """Get an engine by the first route that works, unless one is ready.

    Raises:
        ToolchainError: when no route works, with the reason of each.
    """
    try:
        return find()
    except ToolchainError:
        pass
    with cache.lock("engine", doing=f"getting the Pulumi engine {versions.engine()}"):
        try:
            return find()  # another run got it while this one waited
        except ToolchainError:
            found = _install()
    progress.say(f"engine {versions.engine()}: {found.path} ({found.why})")
    return found


def _install() -> Found:
    from toolchain import official, source  # noqa: PLC0415 - slow to import, and not needed when everything is there

    reasons = {"on PATH": _reason(ambient.find)}
    for route, get in (("download", official.download), ("build", source.build)):
        name = _place(route).name

        def checked(target: Path, get: Callable[[Path], None] = get) -> None:
            get(target)
            _check(target)

        try:
            cache.make(name, checked, doing=f"getting {name}", ready=_ready)
        except ToolchainError as exc:
            reasons[route] = str(exc)
            progress.say(f"engine by {route}: {exc}")
        else:
            return find()
    raise ToolchainError(_hopeless(reasons, official.URL_VARIABLE))


def _hopeless(reasons: dict[str, str], mirror: str) -> str:
    told = "\n".join(f"  {route}: {reason}" for route, reason in reasons.items())
    return (
        f"no route to a Pulumi engine {versions.engine()} works:\n{told}\n"
        "Nothing was installed. Do one of these by hand, then start again:\n"
        f"  install Pulumi {versions.engine()} with Python support and put it on PATH;\n"
        f"  set {mirror} to a mirror of Pulumi's releases;\n"
        "  set GOPROXY to a Go module proxy that this machine reaches (and pip's index, for Go)"
    )


def _reason(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except ToolchainError as exc:
        return str(exc)
    return "it is there"


def _place(route: str) -> Path:
    suffix = {"download": "", "build": "-built"}[route]
    return cache.folder(f"engine-v{versions.engine()}{suffix}")


def _with_own_launcher(built: Path) -> Path:
    """Give a built engine with what this checkout has around the language host.

    What is built is the same for every checkout of a version, what is around it is not: beside the
    first, by links, in a folder by the digest of the second.
    """
    total = hashlib.sha256()
    for source in _AROUND_HOST:
        total.update(source.read_bytes())

    def link(target: Path) -> None:
        for folder in ("bin", "libexec"):
            (target / folder).mkdir()
            for path in (built / folder).iterdir():
                os.link(path, target / folder / path.name)
        for source, name in _AROUND_HOST.items():
            place = target / name
            place.unlink(missing_ok=True)
            place.write_bytes(source.read_bytes())
            place.chmod(0o755)

    name = f"{built.name}-{total.hexdigest()[:12]}"
    return cache.make(name, link, doing=f"making {name}", ready=_ready)


def _ready(place: Path) -> bool:
    """Tell whether an engine's folder is whole: a crashed machine may leave empty files."""
    try:
        return all(
            os.access(path, os.X_OK) and path.stat().st_size
            for path in (place / "bin" / name for name in PROGRAMS)
        )
    except OSError:
        return False


def _check(place: Path) -> None:
    """Start a new engine before it gets its final name."""
    from toolchain import run  # noqa: PLC0415 - slow to import, and not needed when everything is there

    missing = [name for name in PROGRAMS if not os.access(place / "bin" / name, os.X_OK)]
    if missing:
        raise ToolchainError(f"it lacks {', '.join(missing)}")
    env = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    said = run.output([str(place / "bin" / "pulumi"), "version"], env=env, timeout=60)
    if said.removeprefix("v") != versions.engine():
        raise ToolchainError(f"it calls itself {said}, not v{versions.engine()}")
