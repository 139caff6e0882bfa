"""What a person sees of a long step: on stderr, in place on a terminal."""

import os
import sys
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from toolchain.visible_text import visible

__all__ = ["Progress", "say", "step"]

_LINE_EVERY = 10.0  # seconds between two lines where nothing can be redrawn
_DRAW_EVERY = 0.2  # seconds between two drawings on a terminal
_COLUMNS = 80  # where a terminal does not say how wide it is


def say(text: str) -> None:
    """Print one line of information to stderr."""
    print(visible(f"toolchain: {text}"), file=sys.stderr, flush=True)


class Progress:
    """A line that tells how far a step is.

    Attributes:
        begin: when the step began, by `time.monotonic`.
    """

    def __init__(self, label: str) -> None:
        """Begin to tell of the step that `label` names."""
        self._label = label
        self.begin = time.monotonic()
        # A dumb terminal can't move its cursor back: there each line is one more.
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._every = _DRAW_EVERY if self._terminal else _LINE_EVERY
        self._last = self.begin if not self._terminal else 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.begin

    def update(self, state: str) -> None:
        """Show `state`, unless something was shown a moment ago."""
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        clock = f", {_clock(self.elapsed)}"
        text = f"{self._label}: {state}"
        if self._terminal:
            line = _fit(visible(f"toolchain: {text}"), clock, _columns())
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        else:
            say(text + clock)

    def clear(self) -> None:
        """Take the line away from a terminal, so that the next print begins at its start."""
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextmanager
def step(label: str, *, about: str = "") -> Iterator[Progress]:
    """Announce a step, give the `Progress` to tell of it, and say how long it took.

    Args:
        label: what is done, such as 'compiling the engine'.
        about: what to expect, for the announcement alone, such as 'about 6 minutes'.
    """
    say(f"{label}{f' ({about})' if about else ''} ...")
    shown = Progress(label)
    try:
        yield shown
    except BaseException:
        shown.clear()
        raise
    shown.clear()
    say(f"{label}: done in {_clock(shown.elapsed)}")


def _columns() -> int:
    """Measure the terminal at each drawing, since it may be resized meanwhile."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS
    except (OSError, ValueError):
        return _COLUMNS


def _fit(text: str, clock: str, columns: int) -> str:
    """Cut `text` so that it stands in one row with the clock after it.

    A longer line would wrap, and only its last row would be redrawn. The last column stays free:
    some terminals wrap as soon as it is written.
    """
    text = "".join(each if each.isprintable() else " " for each in text)
    room = columns - 1 - len(clock)
    if _width(text) > room:
        while text and _width(text) > room - 3:
            text = text[:-1]
        text += "..."
    return (text + clock)[: max(columns - 1, 0)]


def _width(text: str) -> int:
    """Count the columns that a text takes: an East Asian wide character has two of them."""
    return len(text) + sum(unicodedata.east_asian_width(each) in "WF" for each in text)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
