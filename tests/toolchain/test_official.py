"""The download of the published engine, from a mirror."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from tests.toolchain.conftest import CLOSED, Site, archive, publish
from toolchain import checksums, engine, official, plugins
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("cache_home", "bare_path")


@pytest.fixture
def mirror(site: Site, pins: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A mirror of Pulumi's releases, and no other way to an engine."""
    assert pins.exists()
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
    """An archive that isn't the pinned one is refused, whatever list of checksums is with it."""
    publish(mirror)
    before = checksums.FILE.read_text()
    publish(mirror, archive_bytes=archive({"pulumi/pulumi": "#!/bin/sh\necho mine\n"}))
    checksums.FILE.write_text(before)
    with pytest.raises(ToolchainError, match=r"checksum of pulumi-v\S+ is wrong"):
        official.download(tmp_path)
    assert not (tmp_path / "bin").exists()


def test_nothing_is_fetched_that_has_no_pinned_checksum(mirror: Site) -> None:
    """Not even asked for; the next route is taken, and the reason is told."""
    publish(mirror)
    checksums.FILE.write_text("# none\n")
    with pytest.raises(ToolchainError, match=r"no sha256 of pulumi-v\S+ is pinned"):
        engine.install()
    assert not mirror.asked
    assert engine.kept("download") is None


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


def test_checksums_are_pinned_from_what_is_published(
    mirror: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each platform; a line that is there is never replaced by another one in silence."""
    publish(mirror)
    checksums.FILE.write_text("# kept\n" + "0" * 64 + "  pulumi-v1.0.0-linux-x64.tar.gz\n")
    monkeypatch.setenv("PULUMI_PLUGIN_DOWNLOAD_URL_OVERRIDES", f".*={mirror.url}")
    for name in plugins.archives("docker"):
        mirror.files[f"/{name}"] = b"a plugin"

    missing = checksums.write()

    assert missing == plugins.archives("postgresql")
    text = checksums.FILE.read_text()
    assert text.startswith("# kept\n")
    assert "pulumi-v1.0.0" not in text
    digest = hashlib.sha256(b"a plugin").hexdigest()
    assert {checksums.of(name) for name in plugins.archives("docker")} == {digest}
    assert engine.install().route == "download"

    publish(mirror, archive_bytes=b"another")
    checksums.FILE.write_text(text)
    with pytest.raises(ToolchainError, match="has another checksum than"):
        checksums.write()
    assert checksums.FILE.read_text() == text
