"""The page of a report in a real browser, which may reach nothing else."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest

from infra.schema import report
from tests.schema import reviews

if TYPE_CHECKING:
    from pathlib import Path

_BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
# What it asks for by itself, whatever it shows.
_OF_THE_BROWSER = re.compile(r"https?://(?:[\w-]+\.)*(?:google|googleapis|gvt1)\.com/")
_SIZE = (1240, 1600)
_SECONDS = 120

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(_BROWSER is None, reason="no chromium here: see .ci/browser"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the review with something of everything, all of it unfolded."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    text = report.page(reviews.full())
    path.write_text(text.replace("<details>", "<details open>"), encoding="utf-8")
    return path


def _browse(page: Path, folder: Path, *flags: str) -> str:
    """Open a page with a profile of its own, and give what the browser prints."""
    assert _BROWSER is not None
    run = subprocess.run(
        [_BROWSER, *_FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()],
        capture_output=True,
        timeout=_SECONDS,
        check=True,
    )
    return run.stdout.decode()


def _colours(png: bytes) -> dict[bytes, int]:
    """Count the colours of the pixels of a PNG as chromium writes it: 8 bits, not interlaced."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", png[16:29])
    assert (width, height, depth, interlaced) == (*_SIZE, 8, 0)
    data, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    size = {2: 3, 6: 4}[kind]
    found: dict[bytes, int] = {}
    before = bytes(width * size)
    lines = memoryview(zlib.decompress(data))
    for start in range(0, len(lines), width * size + 1):
        before = _line(lines[start], lines[start + 1 : start + 1 + width * size], before, size)
        for pixel in range(0, len(before), size):
            colour = before[pixel : pixel + 3]
            found[colour] = found.get(colour, 0) + 1
    return found


def _line(kind: int, line: memoryview, before: bytes, size: int) -> bytes:
    """Undo the filter of one line."""
    done = bytearray(line)
    for place in range(len(done)):
        left = done[place - size] if place >= size else 0
        corner = before[place - size] if place >= size else 0
        done[place] = (done[place] + _guess(kind, left, before[place], corner)) % 256
    return bytes(done)


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 4:  # Paeth's: whichever is nearest to left + up - corner, in this order
        near = left + up - corner
        return min((left, up, corner), key=lambda each: abs(near - each))
    return (0, left, up, (left + up) // 2)[kind]


@pytest.mark.parametrize(
    ("scheme", "back"),
    [("light", b"\xff\xff\xff"), ("dark", b"\x0d\x11\x17")],
)
def test_the_page_is_drawn_in_light_and_in_dark(
    page: Path, tmp_path: Path, scheme: str, back: bytes
) -> None:
    """A screenshot has the background of the scheme, and much on it."""
    picture = tmp_path / "page.png"
    dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    window = f"--window-size={_SIZE[0]},{_SIZE[1]}"
    _browse(page, tmp_path, window, f"--screenshot={picture}", *dark)
    colours = _colours(picture.read_bytes())
    assert max(colours, key=lambda colour: colours[colour]) == back
    assert sum(colours.values()) - colours[back] > 50_000
    assert len(colours) > 50


def test_the_browser_has_the_verdict_and_the_diagram(page: Path, tmp_path: Path) -> None:
    """What it made of the page holds the verdict, the table, and the tables drawn as SVG."""
    made = _browse(page, tmp_path, "--dump-dom")
    assert "look closely: destroys data in 1 revision" in made
    drawn = re.search(r'<svg class="erd".*?</svg>', made, re.DOTALL)
    assert drawn is not None
    for name in ("app.clients", "app.faxes", "app.invoices", "app.tasks", "due date"):
        assert f">{name}</text>" in drawn[0]


def test_text_stays_inside_its_box(page: Path, tmp_path: Path) -> None:
    """The browser's own measure of each text in the diagram is within that of its box."""
    script = """<script>
      const out = [...document.querySelectorAll('svg.erd .box')].flatMap(box => {
        const frame = box.querySelector('.frame').getBoundingClientRect();
        return [...box.querySelectorAll('text')].filter(text => {
          const its = text.getBoundingClientRect();
          return its.left < frame.left || its.right > frame.right || its.bottom > frame.bottom;
        }).map(text => text.textContent);
      });
      document.title = 'outside: ' + JSON.stringify(out);
    </script></body>"""
    assert "<title>outside: []</title>" in _measured(page, tmp_path, script)


@pytest.mark.parametrize(("width", "shown"), [(420, "block"), (1240, "table-row")])
def test_a_narrow_window_has_a_block_for_each_revision(
    page: Path, tmp_path: Path, width: int, shown: str
) -> None:
    """There, five columns would be of letters; nothing is wider than the window either way."""
    script = """<script>
      const lines = [...document.querySelectorAll('table.revisions tbody tr')];
      const shown = new Set(lines.map(line => getComputedStyle(line).display));
      const narrow = [...document.querySelectorAll('table.revisions td')].filter(
        cell => cell.clientWidth < 80).length;
      const root = document.documentElement;
      document.title = [...shown, narrow, root.scrollWidth <= root.clientWidth].join();
    </script></body>"""
    made = _measured(page, tmp_path, script, f"--window-size={width},900")
    assert f"<title>{shown},0,true</title>" in made


def _measured(page: Path, folder: Path, script: str, *flags: str) -> str:
    """Give what the browser makes of a page with a script in it."""
    measured = folder / "measured.html"
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    measured.write_text(text.replace("</body>", script), encoding="utf-8")
    return _browse(measured, folder, "--dump-dom", *flags)


def _asked(page: Path, folder: Path) -> set[str]:
    """List what a page asks the network for, by the browser's own log."""
    log = folder / "network.json"
    _browse(page, folder, "--dump-dom", f"--log-net-log={log}")
    asked = re.findall(r'"url":"((?:https?|wss?|ftp):[^"]*)"', log.read_text(encoding="utf-8"))
    return {url for url in asked if not _OF_THE_BROWSER.match(url)}


def test_the_page_asks_for_nothing(page: Path, tmp_path: Path) -> None:
    """The browser's log has no request for it, where it has one for a page with a picture."""
    other = tmp_path / "other.html"
    other.write_text('<img src="http://elsewhere.test/picture.png">', encoding="utf-8")
    assert _asked(other, tmp_path) == {"http://elsewhere.test/picture.png"}
    assert _asked(page, tmp_path) == set()
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"<(?:script|link|img|iframe|object|foreignObject)\b|\burl\(", text)
    # What a reader may follow is not asked for: the page of a rule.
    text = re.sub(r'<a href="https://squawkhq\.com/docs/[a-z-]+" rel="noreferrer">', "", text)
    assert not re.search(r"""\b(?:src|href|xlink:href|action)\s*=""", text)
