"""What a terminal or a page would obey or hide is shown as letters."""

from __future__ import annotations

import pytest

from toolchain.visible_text import visible, visible_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é, 🐘, 中", "plain, é, 🐘, 中"),
        ("two\nlines\tand a tab\r\n", "two\nlines\tand a tab\n"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("\x9b31m \x85", r"\x9b31m \x85"),
        ("admin\u202etxt\u2066\u2069\u200f", r"admin\u202etxt\u2066\u2069\u200f"),
        ("ro\u200bot\u2060\ufeff\u00ad", r"ro\u200bot\u2060\ufeff\xad"),
        ("a\u2028b\u2029c\x0bd\x0ce", r"a\u2028b\u2029c\x0bd\x0ce"),
        ("\u3164\u115f\u034f", r"\u3164\u115f\u034f"),
        ("a\u00a0b\u2003c", "a b c"),
        ("\ud800", r"\ud800"),
    ],
)
def test_each_character_is_seen(text: str, shown: str) -> None:
    """Letters of any language stay as they are; what is shown once is not escaped again."""
    assert visible(text) == shown
    assert visible(shown) == shown


def test_what_follows_a_carriage_return_is_no_comment() -> None:
    """PostgreSQL ends a comment there, and so does what is shown."""
    assert visible("-- harmless\rDROP TABLE one") == "-- harmless\\r\nDROP TABLE one"


def test_a_name_begins_no_line_of_its_own() -> None:
    """Line ends and tabs are letters too, where one line is said."""
    assert visible_line("one\nup refuses: nothing\tat all") == r"one\nup refuses: nothing\tat all"
