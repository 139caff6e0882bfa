"""Downloads: soon given up without a network, and never while they proceed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.toolchain.conftest import CLOSED, Site
from toolchain import fetch
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path


def test_hanging_server_is_given_up(site: Site, tmp_path: Path) -> None:
    """A server that accepts and then says nothing costs no more than the limit."""
    site.wait = 600
    begin = time.monotonic()
    with pytest.raises(ToolchainError, match=r"no answer from http://127.* within"):
        fetch.download(f"{site.url}/file", tmp_path / "file", label="fetching", limit=0.5)
    assert time.monotonic() - begin < 300


def test_slow_download_goes_on(site: Site, tmp_path: Path) -> None:
    """A download that takes longer than the limit but proceeds is not given up."""
    site.files["/file"] = bytes(range(256)) * 64
    site.drip = 0.15
    fetch.download(f"{site.url}/file", tmp_path / "file", label="fetching", limit=0.5)
    assert (tmp_path / "file").read_bytes() == site.files["/file"]


def test_short_download_is_an_error(site: Site, tmp_path: Path) -> None:
    """A download that ends early is an error, not a smaller file."""
    site.files["/file"] = b"x" * 8000
    site.cut = True
    with pytest.raises(ToolchainError, match=r"(ended after|broke off)"):
        fetch.download(f"{site.url}/file", tmp_path / "file", label="fetching")


def test_missing_file_is_told(site: Site, tmp_path: Path) -> None:
    """What the server hasn't got is told with its answer."""
    with pytest.raises(ToolchainError, match=r"/file answers 404 Not Found"):
        fetch.download(f"{site.url}/file", tmp_path / "file", label="fetching")


def test_reachable(site: Site) -> None:
    """Any answer shows that somebody is there; silence and a closed port that nobody is."""
    assert fetch.reachable(f"{site.url}/nothing") == ""
    assert "can't be reached" in fetch.reachable(CLOSED)
    site.wait = 600
    assert "no answer" in fetch.reachable(site.url, limit=0.3)


@pytest.mark.parametrize("url", [f"http://me:s3cret@{CLOSED[7:]}/x", "http://me:s3cret@host:bad/x"])
def test_no_password_in_errors(url: str, tmp_path: Path) -> None:
    """An error never shows the password that an address holds."""
    with pytest.raises(ToolchainError) as caught:
        fetch.download(f"{url}?token=s3cret", tmp_path / "file", label="fetching", limit=2)
    assert "s3cret" not in str(caught.value)
