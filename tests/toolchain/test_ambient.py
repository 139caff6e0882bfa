"""The engine that is on PATH: taken when it is recent enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.toolchain.conftest import engine_scripts, executable
from toolchain import ambient, cache, versions
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("cache_home")


def _put(folder: Path, version: str) -> Path:
    for name, text in engine_scripts(version).items():
        executable(folder / name, text)
    return folder / "pulumi"


def _shifted(*by: int) -> str:
    parts = versions.parse(versions.engine())
    return ".".join(str(part + more) for part, more in zip(parts, by, strict=True))


@pytest.mark.parametrize("by", [(0, 0, 0), (0, 0, 7), (0, 1, 0)])
def test_recent_enough(bare_path: Path, by: tuple[int, int, int]) -> None:
    """The pinned version, a later patch and a later minor version are taken."""
    path = _put(bare_path, _shifted(*by))
    assert ambient.find() == path


@pytest.mark.parametrize("by", [(0, -1, 0), (-1, 0, 0), (1, 0, 0)])
def test_not_recent_enough(bare_path: Path, by: tuple[int, int, int]) -> None:
    """An older minor version and another major version are refused, by name."""
    path = _put(bare_path, _shifted(*by))
    with pytest.raises(ToolchainError) as caught:
        ambient.find()
    assert f"{path} is v{_shifted(*by)}" in str(caught.value)


def test_too_old_one_hides_no_good_one(
    bare_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further down PATH the search goes on; what is found is what the environment must name."""
    _put(bare_path, "3.0.0")
    good = _put(tmp_path / "second", versions.engine())
    monkeypatch.setenv("PATH", f"{bare_path}:{good.parent}", prepend=":")
    assert ambient.find() == good


def test_without_language_host(bare_path: Path) -> None:
    """An engine that can't run Python programs is refused."""
    _put(bare_path, versions.engine())
    (bare_path / "pulumi-language-python").unlink()
    with pytest.raises(ToolchainError, match="has no pulumi-language-python beside it"):
        ambient.find()


def test_silent_one(bare_path: Path) -> None:
    """Something called pulumi that tells no version is refused."""
    executable(_put(bare_path, versions.engine()), "#!/bin/sh\nexit 3\n")
    with pytest.raises(ToolchainError, match="doesn't tell its version"):
        ambient.find()


def test_asked_once(bare_path: Path, tmp_path: Path) -> None:
    """An engine is started for its version once, and again only when its file has changed."""
    log = tmp_path / "log"
    text = f"#!/bin/sh\necho started >> '{log}'\necho v{versions.engine()}\n"
    path = executable(_put(bare_path, versions.engine()), text)
    assert [ambient.find(), ambient.find()] == [path, path]
    assert log.read_text().count("started") == 1
    executable(path, f"{text}# changed\n")
    ambient.find()
    assert log.read_text().count("started") == 2


def test_memory_is_no_condition(
    bare_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine on PATH needs no cache: neither a damaged nor an unwritable one matters."""
    path = _put(bare_path, versions.engine())
    cache.root().mkdir(parents=True)
    cache.folder("ambient.json").write_text("[not json")
    assert ambient.find() == path
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "x"))
    assert ambient.find() == path


def test_own_engine_is_not_ambient(bare_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine from the cache on PATH isn't mistaken for one that the machine has."""
    own = _put(cache.folder("engine-v1.0.0") / "bin", versions.engine())
    monkeypatch.setenv("PATH", f"{own.parent}:{bare_path}")
    with pytest.raises(ToolchainError, match="no pulumi on PATH"):
        ambient.find()
