"""Wheels through pip, with the index settings that the user has."""

from __future__ import annotations

import hashlib
import time
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.toolchain.conftest import CLOSED, Site
from toolchain import fetch, pip
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

_WHEEL = "groundwork_probe-1.0-py3-none-any.whl"


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    """A requirements file for a wheel in the folder `wheels`."""
    info = "groundwork_probe-1.0.dist-info"
    files = {
        "groundwork_probe.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: groundwork-probe\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    wheel = tmp_path / "wheels" / _WHEEL
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as content:
        for name, text in files.items():
            content.writestr(name, text)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    path = tmp_path / "requirements.txt"
    path.write_text(f"groundwork-probe==1.0 --hash=sha256:{digest}\n")
    return path


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the machine's user."""
    for name in ("PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_EXTRA_INDEX_URL", "PIP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def test_users_index_holds(
    requirements: Path, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel comes from the index that the user's settings name."""
    page = f'<a href="/{_WHEEL}">{_WHEEL}</a>'
    site.files["/simple/groundwork-probe/"] = f"<!DOCTYPE html><html>{page}</html>".encode()
    site.types["/simple/groundwork-probe/"] = "text/html"
    site.files[f"/{_WHEEL}"] = (tmp_path / "wheels" / _WHEEL).read_bytes()
    monkeypatch.setenv("PIP_INDEX_URL", f"{site.url}/simple")
    (wheel,) = pip.download(requirements, tmp_path / "fetched")
    assert wheel.name == _WHEEL
    assert f"/{_WHEEL}" in site.asked


def test_unreachable_index(
    requirements: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no index is reached it is told soon, without the password that its address holds."""
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:s3cret@{CLOSED.partition('//')[2]}/simple")
    begin = time.monotonic()
    with pytest.raises(ToolchainError, match="no package index") as caught:
        pip.download(requirements, tmp_path / "fetched")
    assert time.monotonic() - begin < 60
    assert "s3cret" not in str(caught.value)


def test_folder_of_wheels_needs_no_index(
    requirements: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of wheels that has everything serves where no index is reached."""
    monkeypatch.setenv("PIP_INDEX_URL", f"{CLOSED}/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    assert [wheel.name for wheel in pip.download(requirements, tmp_path / "fetched")] == [_WHEEL]


def test_connects_through_the_users_proxy(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user has a proxy, it is the proxy that has to be there."""
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("https_proxy", site.url)
    assert fetch.connects("https://nowhere.invalid/simple") == ""
    monkeypatch.setenv("https_proxy", CLOSED)
    assert "can't be reached" in fetch.connects("https://nowhere.invalid/simple")
