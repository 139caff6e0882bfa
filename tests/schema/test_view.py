"""How a plan reads among the messages of a preview: with its SQL, and bounded."""

from __future__ import annotations

from infra.schema import view
from tests.schema.reviews import plan, script, step


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def test_a_short_plan_is_shown_whole() -> None:
    """Each statement ends as psql wants it, also behind a comment; env.py's own is among them."""
    made = plan(step("a1", "CREATE TABLE one (\n  id int\n)", "DROP TABLE two -- it is empty"))

    text = view.brief(made)

    assert _lines(text) == [
        "CREATE TABLE one (",
        "id int",
        ");",
        "DROP TABLE two -- it is empty",
        ";",
    ]
    assert text.splitlines()[-1] == f"approve: {made.digest}"


def test_a_long_plan_shows_the_first_lines_of_each_revision() -> None:
    """And says how many there are in the report; a few are not worth to be counted."""
    many = [f"SELECT {number}" for number in range(70)]
    text = view.brief(plan(step("a1", *many), step("b2", *many[:14]), step("c3", "SELECT 'c3'")))

    assert [line for line in _lines(text) if line.startswith("...")] == [
        "... and 58 more lines, which the report has"
    ]
    assert len(_lines(text)) == 12 + 1 + 14 + 1
    assert "    SELECT 'c3';" in text


def test_a_preview_of_many_revisions_is_bounded() -> None:
    """Whatever a hundred revisions send, and however long a line is."""
    steps = [step(f"r{number}", *["SELECT 1" + " " * 5000 + "x"] * 40) for number in range(100)]

    text = view.brief(plan(*steps))

    assert len(text.splitlines()) < 300
    assert len(text) < 100_000
    assert "and 80 more" in text


def test_a_comment_ends_where_postgresql_ends_it() -> None:
    """What stands behind a carriage return runs, and is on a line of its own."""
    text = view.text(plan(step("a1", script=script("SELECT 1 -- harmless\rDROP TABLE users"))))

    assert "    SELECT 1 -- harmless\\r\n    DROP TABLE users;" in text
