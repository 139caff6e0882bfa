"""The download of the published engine, from a mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.toolchain.conftest import CLOSED, Site, archive, publish
from toolchain import engine, official, versions
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("cache_home", "bare_path")


@pytest.fixture
def mirror(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A mirror of Pulumi's releases, and no other way to an engine."""
    monkeypatch.setenv(official.URL_VARIABLE, f"{site.url}/")
    monkeypatch.setenv("GOPROXY", "off")
    monkeypatch.setenv("PIP_INDEX_URL", CLOSED)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return site


def test_installed_from_mirror(mirror: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The pinned engine is fetched, compared with its checksum, unpacked and then found."""
    publish(mirror)
    found = engine.install()
    assert found.route == "download"
    assert engine.locate() == found.path
    assert sorted(path.name for path in found.path.parent.iterdir()) == sorted(engine.PROGRAMS)
    assert not list(found.path.parent.parent.glob("*.tar.gz"))
    assert "checksum" not in capsys.readouterr().err
    asked = len(mirror.asked)
    assert engine.install() == found
    assert len(mirror.asked) == asked, "a second install asked the network"


def test_wrong_checksum(mirror: Site, tmp_path: Path) -> None:
    """An archive that isn't the published one is refused, and nothing is unpacked."""
    publish(mirror)
    for name in mirror.files:
        if name.endswith(".tar.gz"):
            mirror.files[name] += b"more"
    with pytest.raises(ToolchainError, match=r"checksum of pulumi-v\S+ is wrong"):
        official.download(tmp_path)
    assert not (tmp_path / "bin").exists()


def test_no_checksums(mirror: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mirror without the list of checksums is used, and it is said that none was compared."""
    publish(mirror)
    del mirror.files[f"/pulumi-{versions.engine()}-checksums.txt"]
    official.download(tmp_path)
    assert (tmp_path / "bin" / "pulumi").exists()
    assert "checksum could not be compared" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>Please log in</html>", "can't be unpacked"),
        (archive({"pulumi/README": ""}), "lacks pulumi, pulumi-language-python"),
    ],
    ids=["login page", "something else"],
)
def test_garbage(mirror: Site, content: bytes, reason: str) -> None:
    """What isn't an engine is told, and leaves no engine behind."""
    publish(mirror, archive_bytes=content)
    with pytest.raises(ToolchainError, match=reason):
        engine.install()
    assert engine.kept("download") is None


def test_another_version(mirror: Site) -> None:
    """An archive whose engine is of another version than its name says is refused."""
    publish(mirror, version="3.1.0")
    with pytest.raises(ToolchainError, match=r"calls itself v3\.1\.0"):
        engine.install()
    assert engine.kept("download") is None
