"""The provider plugins: installed already, else the genuine ones, else those of this checkout.

Pulumi.yaml leads the engine to the launcher in `plugins/NAME`, which runs what `find` gives: the
folder where the engine looks by itself (`PULUMI_HOME`) is shared by all checkouts of a machine, and
has one place for each version of a plugin.
"""

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from toolchain import ambient, cache, engine, offline, progress, versions
from toolchain.errors import ToolchainError

__all__ = ["Found", "addresses", "archives", "find", "genuine", "install"]

_SYSTEMS = ("darwin", "linux")
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_DOWNLOADS = "https://get.pulumi.com/releases/plugins"
_MARKER = "groundwork.json"  # in plugins that checkouts once put where the genuine ones belong
_OVERRIDES = "PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES"  # the engine's own setting, for mirrors


@dataclass(frozen=True, kw_only=True)
class Found:
    """A plugin that the engine will find.

    Attributes:
        name: such as 'postgresql'.
        version: the version that the program asks for.
        route: 'path', 'genuine' or 'offline'.
        path: the executable on PATH, or the folder that has it.
    """

    name: str
    version: str
    route: str
    path: Path

    @property
    def words(self) -> str:
        """Tell which one it is, in words."""
        return {
            "path": "the one on PATH, which comes before any installed one",
            "genuine": "the genuine one",
            "offline": "the offline one of this checkout",
        }[self.route]


def find(name: str) -> Found:
    """Give the plugin `name` that the launcher of this checkout runs.

    Raises:
        ToolchainError: when there is none.
    """
    version = versions.plugin(name)
    program = f"pulumi-resource-{name}"
    chosen = (
        None
        if os.environ.get("PULUMI_IGNORE_AMBIENT_PLUGINS")
        else next(ambient.on_path(program), None)
    )
    if chosen:
        return Found(name=name, version=version, route="path", path=chosen)
    place = _place(name)
    if _is_genuine(place, program):
        return Found(name=name, version=version, route="genuine", path=place)
    if offline.is_ready(name):
        return Found(name=name, version=version, route="offline", path=offline.folder(name))
    raise ToolchainError(f"{place} has no genuine plugin, and the offline one lacks its packages")


def install(name: str, *, limit: float = 10.0) -> Found:
    """Get the plugin `name` by the first route that works, unless one is ready.

    Args:
        name: such as 'postgresql'; pyproject.toml pins its version.
        limit: seconds to wait for Pulumi's download site.

    Raises:
        ToolchainError: when no route works, with the reason of each.
    """
    try:
        return find(name)
    except ToolchainError:
        versions.plugin(name)
    with cache.lock(f"plugin-{name}", doing=f"installing the {name} plugin"):
        found = _install(name, limit)
    progress.say(f"plugin {name} {found.version}: {found.words}")
    return found


def genuine(name: str) -> str:
    """Give the command that replaces an offline plugin by the genuine one."""
    return f"pulumi plugin install resource {name} {versions.plugin(name)} --exact --reinstall"


def _install(name: str, limit: float) -> Found:
    reasons = {}
    routes: dict[str, Callable[[], None]] = {
        "installed": lambda: None,
        "download": lambda: _download(name, limit),
        "offline": lambda: _offline(name),
    }
    for route, get in routes.items():
        try:
            get()
            return find(name)
        except ToolchainError as exc:
            reasons[route] = str(exc)
            if route == "download":
                progress.say(f"plugin {name} by {route}: {exc}")
    told = "\n".join(f"  {route}: {reason}" for route, reason in reasons.items())
    raise ToolchainError(
        f"no route to the {name} plugin {versions.plugin(name)} works:\n{told}\n"
        "What was installed before is unchanged. With access to Pulumi's download site or\n"
        f"a mirror of it, named in {_OVERRIDES}, start again; or fetch the plugin's archive\n"
        f"by hand and run: {genuine(name)} --file ARCHIVE"
    )


def _download(name: str, limit: float) -> None:
    from toolchain import checksums, fetch  # noqa: PLC0415 - slow to import, and not needed when everything is there

    archive = _archive(name)
    checksums.of(archive)  # what can't be compared isn't fetched
    label = f"fetching the {name} plugin {versions.plugin(name)}"
    places = list(addresses())
    reasons = []
    with cache.temporary(f"plugin-{name}") as folder:
        for address in places:
            try:
                url, limited = f"{address.rstrip('/')}/{archive}", limit / len(places)
                fetch.download(url, folder / archive, label=label, limit=limited)
            except ToolchainError as exc:
                reasons.append(str(exc))
                continue
            # Not by the engine's own --checksum: that compares with the sum of nothing (3.259.0).
            checksums.verify(folder / archive)
            _pulumi(["--file", str(folder / archive), "--exact", *_reinstall(name)], name)
            return
    raise ToolchainError("; ".join(reasons))


def archives(name: str) -> list[str]:
    """Give the names of a plugin's archives, one for each platform."""
    each = [f"{system}-{machine}" for system in _SYSTEMS for machine in ("amd64", "arm64")]
    return [f"pulumi-resource-{name}-v{versions.plugin(name)}-{built}.tar.gz" for built in each]


def _archive(name: str) -> str:
    machine = _MACHINES.get(platform.machine().lower())
    wanted = f"-{sys.platform}-{machine}.tar.gz"
    for archive in archives(name):
        if archive.endswith(wanted):
            return archive
    raise ToolchainError(f"Pulumi publishes none for {sys.platform} on {platform.machine()}")


def addresses() -> Iterator[str]:
    """Give the addresses that plugins come from: mirrors that the user names, or Pulumi's."""
    pairs = os.environ.get(_OVERRIDES, "").split(",")
    mirrors = [url for _, _, url in (pair.partition("=") for pair in pairs) if url]
    yield from mirrors or [_DOWNLOADS]


def _offline(name: str) -> None:
    if not offline.available(name):
        raise ToolchainError(f"this checkout has no offline plugin {name}")
    offline.packages(name)


def _is_genuine(place: Path, program: str) -> bool:
    """Tell whether a plugin is whole, and not one that an older checkout has put there."""
    return (
        os.access(place / program, os.X_OK)
        and not place.with_name(f"{place.name}.partial").exists()
        and not (place / _MARKER).exists()
    )


def _reinstall(name: str) -> list[str]:
    """Allow a plugin that an older checkout has put there to be overwritten, and nothing else."""
    return ["--reinstall"] if (_place(name) / _MARKER).exists() else []


def _pulumi(options: list[str], name: str) -> None:
    from toolchain import run  # noqa: PLC0415 - slow to import, and not needed when everything is there

    command = [str(engine.locate()), "plugin", "install", "resource", name]
    env = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_HOME": str(_home())}
    # Not in the caller's folder: a Pulumi.yaml there may have a say in which plugin it is.
    run.stream(
        [*command, versions.plugin(name), *options, "--non-interactive", "--color=never"],
        env=env,
        cwd=cache.root(),
        on_line=lambda _: None,  # an error shows the last lines
    )


def _place(name: str) -> Path:
    return _home() / "plugins" / f"resource-{name}-v{versions.plugin(name)}"


def _home() -> Path:
    configured = os.environ.get("PULUMI_HOME")
    return Path(configured).absolute() if configured else Path.home() / ".pulumi"
