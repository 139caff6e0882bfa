"""Progress of a long step, on a terminal and in a log."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from toolchain import progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import TextIOWrapper

_LABEL = "installing Python packages into .venv"
_LONG = "installing " + ", ".join(f"package-{number}" for number in range(100))


class Terminal:
    """A terminal that progress is drawn on."""

    def __init__(self, side: int, stderr: TextIOWrapper, patch: pytest.MonkeyPatch) -> None:
        """Take both ends."""
        self._side, self._stderr, self._patch = side, stderr, patch
        os.set_blocking(side, False)  # nothing to read is an error, not a wait

    def resize(self, columns: int) -> None:
        """Make it that wide."""
        size = struct.pack("HHHH", 24, columns, 0, 0)
        fcntl.ioctl(self._stderr.fileno(), termios.TIOCSWINSZ, size)

    def draw(self, *states: str) -> list[str]:
        """Draw each state; gives what then stood in the line, one after the other."""
        # Here, since pytest puts its own stderr back between a fixture and the test.
        self._patch.setattr(sys, "stderr", self._stderr)
        _update(self._patch, *states)
        self._stderr.flush()
        text = b""
        with suppress(BlockingIOError):  # that was all
            while True:
                text += os.read(self._side, 65536)
        return re.split(r"\r\x1b\[K", text.decode())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal of 80 columns."""
    side, other = pty.openpty()
    with os.fdopen(other, "w") as stderr, pytest.MonkeyPatch.context() as patch:
        monkeypatch.setenv("TERM", "xterm")
        made = Terminal(side, stderr, patch)
        made.resize(80)
        yield made
    os.close(side)


def _update(patch: pytest.MonkeyPatch, *states: str) -> None:
    """Give a step those states, a second apart."""
    shown = progress.Progress(_LABEL)
    for second, state in enumerate(states, start=1):
        with patch.context() as clock:
            clock.setattr("time.monotonic", lambda now=shown.begin + second: now)
            shown.update(state)


@pytest.mark.parametrize("columns", [20, 40, 80, 110, 200])
def test_a_line_is_cut_to_the_terminal(terminal: Terminal, columns: int) -> None:
    """It stays in one row, so that the next drawing replaces it; the time is still there."""
    terminal.resize(columns)

    before, first, second = terminal.draw(_LONG, _LONG)

    assert before == ""
    assert len(first) == len(second) == columns - 1
    assert first.endswith("..., 1 s")
    assert second.endswith("..., 2 s")


def test_a_terminal_that_became_narrower_is_measured_again(terminal: Terminal) -> None:
    """Each drawing has the width of its moment."""
    wide = terminal.draw(_LONG)
    terminal.resize(50)
    narrow = terminal.draw(_LONG)

    assert [len(line) for line in (wide[-1], narrow[-1])] == [79, 49]


def test_a_line_that_fits_is_whole(terminal: Terminal) -> None:
    """Nothing is cut where there is room."""
    assert terminal.draw("using a wheel")[1:] == [f"toolchain: {_LABEL}: using a wheel, 1 s"]


@pytest.mark.parametrize("state", ["漢字" * 60, "one\ntwo\t\r\x1b[31m" * 20, "e\u0301é" * 90])
def test_what_takes_more_or_less_than_a_column_stays_in_one_row(
    terminal: Terminal, state: str
) -> None:
    """Wide characters count twice; what would move the cursor is a space."""
    (line,) = terminal.draw(state)[1:]

    assert line.isprintable()
    assert line.endswith("..., 1 s")
    assert len(line) + sum(unicodedata.east_asian_width(each) in "WF" for each in line) <= 79


def test_a_terminal_that_does_not_say_its_width_is_taken_for_80_columns(
    terminal: Terminal,
) -> None:
    """As a serial line: 0 columns are no width."""
    terminal.resize(0)

    assert [len(line) for line in terminal.draw(_LONG)[1:]] == [79]


def test_without_a_terminal_there_is_a_line_every_10_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole lines that stay, as in the log of a CI job."""
    _update(monkeypatch, *["working"] * 29)

    assert capsys.readouterr().err.splitlines() == [
        f"toolchain: {_LABEL}: working, 10 s",
        f"toolchain: {_LABEL}: working, 20 s",
    ]


def test_a_terminal_that_cannot_redraw_gets_lines_too(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TERM=dumb knows no way back to the line's start."""
    monkeypatch.setenv("TERM", "dumb")

    (text,) = terminal.draw(*["working"] * 29)

    assert text.splitlines() == [
        f"toolchain: {_LABEL}: working, 10 s",
        f"toolchain: {_LABEL}: working, 20 s",
    ]
