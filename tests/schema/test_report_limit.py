"""A report fits into a comment: what is cut, in which order, and that nothing breaks out of it."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from infra.schema import report
from infra.schema.model import Catalog, Drift, Script
from infra.schema.review import Finding, Review
from tests.schema import reviews
from tests.schema.reviews import plan, rehearsal, review, step

_FENCE = re.compile(r"(`{3,})(\w*)")


def _units(text: str) -> int:
    """Count as JavaScript does."""
    return len(text.encode("utf-16-le")) // 2


def _outside(text: str) -> str:
    """Give what is outside of fences, which are checked to be closed."""
    kept, fence = [], ""
    for line in text.splitlines():
        opened = _FENCE.fullmatch(line)
        if fence:
            if re.fullmatch(r"`+", line) and len(line) >= len(fence):
                fence = ""
        elif opened:
            fence = opened[1]
        else:
            kept.append(line)
    assert not fence
    return "\n".join(kept)


def _checked(text: str, limit: int) -> str:
    """Check that a report is whole: its size, its fences, its folds, its tables."""
    assert _units(text) <= limit
    assert len(text) <= limit
    assert len(text.encode()) <= 4 * limit
    outside = _outside(text)
    assert outside.count("<details") == outside.count("</details>")
    assert text.count("<!--") == 1 or "<!--" not in outside[4:]
    tags = set(re.findall(r"<(/?[a-zA-Z!][\w-]*)", outside))
    allowed = {"details", "summary", "b", "code", "sub", "br"}
    assert tags <= {*allowed, *(f"/{tag}" for tag in allowed), "!--"}
    columns = 0
    for line in outside.splitlines():
        if line.startswith("|"):
            columns = columns or line.count("|")
            assert line.count("|") == columns
        else:
            assert "|" not in line
            columns = 0
    return outside


def _large(number: int, sql: str, **more: object) -> Review:
    steps = [step(f"{place:012x}", sql.format(place=place)) for place in range(number)]
    return review(plan(*steps), **more)


def _cut(text: str) -> str:
    found = re.search(r"^> ✂️ Cut to fit into a comment: (.*)$", text, re.MULTILINE)
    assert found is not None
    return found[1]


def test_what_fits_is_whole() -> None:
    """Nothing is cut, and nothing is said of it, where there is room."""
    text = report.markdown(reviews.full())
    assert "Cut to fit" not in text
    assert text.count("<details") == 11
    _checked(text, report.LIMIT)


@pytest.mark.long
def test_last_things_are_cut_first() -> None:
    """The diagram goes before the table before and after, that before SQL, and findings last."""
    found = reviews.full()
    order = ["Diagram", "Before and after", "SQL of the way back", "SQL", "Findings"]
    there = [
        [name for name in order if f"<b>{name}</b>" in report.markdown(found, limit=limit)]
        for limit in range(report.LEAST, 16_000, 100)
    ]
    for fewer, more in pairwise(there):
        assert set(fewer) <= set(more)
    gone = [{*order} - set(names) for names in there]
    assert {"Diagram"} in gone
    for names in gone:
        assert sorted(names, key=order.index) == order[: len(names)]


def test_what_was_cut_is_said_with_where_the_whole_is() -> None:
    """The words stand below the table, before the details."""
    text = report.markdown(reviews.full(), limit=9_000)
    assert "Diagram (4 tables, after the change)" in _cut(text)
    assert "python -m infra.schema report" in _cut(text)
    assert text.index("✂️") < text.index("<details")
    _checked(text, 9_000)


def test_two_thousand_revisions_fit() -> None:
    """Rows are cut with a count; those with something to look at stay."""
    steps = [step(f"{place:012x}", f"SELECT {place}") for place in range(2000)]
    steps[1900] = step("bad000000000", "DROP TABLE t", loses=("table t with 7 rows",))
    text = report.markdown(review(plan(*steps)))
    rows = len(re.findall(r"^\| \d+\. ", text, re.MULTILINE))
    assert 200 < rows < 2000
    assert "| 1901. <code>bad000000000</code>" in text
    assert f"Table: {2000 - rows:,} of 2,000 revisions, none with a worry" in _cut(text)
    assert re.search(r"SQL: [\d,]+ of 2,000 statements", _cut(text))
    _checked(text, report.LIMIT)


def test_megabytes_of_sql_fit_in_a_moment() -> None:
    """One statement of 5 MB is cut at its end, which is marked; others stay whole."""
    long = "INSERT INTO t VALUES\n" + ",\n".join(f"('{place}')" for place in range(450_000))
    found = review(plan(step("b1", long), step("b2", "SELECT 'this one is short'")))
    begun = time.process_time()
    text = report.markdown(found)
    assert time.process_time() - begun < 10
    assert re.search(r"^-- … cut here: [\d,]{7,} characters more$", text, re.MULTILINE)
    assert "SELECT 'this one is short';" in text
    assert "SQL: the ends of 1 long statement" in _cut(text)
    _checked(text, report.LIMIT)


def test_findings_stay_where_sql_goes() -> None:
    """Hundreds of findings take the room of the SQL; of thousands the first stay."""
    finding = Finding(rule="r", level="error", revision="b1", message="m" * 200)
    found = _large(200, "SELECT {place}, '" + "x" * 2000 + "'", findings=(finding,) * 120)
    text = report.markdown(found)
    assert text.count("<code>r</code>") == 120
    _checked(text, report.LIMIT)
    text = report.markdown(_large(1, "SELECT 1", findings=(finding,) * 3000))
    assert 100 < text.count("<code>r</code>") < 3000
    assert re.search(r"Findings: [\d,]+ of 3,000 findings", _cut(text))
    _checked(text, report.LIMIT)


def test_many_reasons_are_folded() -> None:
    """The first stand at the top, all of them below."""
    refuses = tuple(f"reason {place}" for place in range(40))
    text = report.markdown(review(plan(step("b1", "SELECT 1")), refuses=refuses))
    top, _, below = text.partition("<details")
    assert "reason 7" in top
    assert "reason 8" not in top
    assert "reason 39" in below


def test_a_limit_without_room_for_the_top_is_refused() -> None:
    """A report that could not say its verdict would be none."""
    with pytest.raises(ValueError, match="4096"):
        report.markdown(review(plan()), limit=report.LEAST - 1)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("@somebody", "@&#8203;somebody"),
        ("a|b", "a&#124;b"),
        ("`x`", "&#96;x&#96;"),
        ("<b>", "&lt;b&gt;"),
        ("<!-- x -->", "&lt;!-- x --&gt;"),
        ("#12", "&#35;&#8203;12"),
        (":tada:", ":&#8203;tada:"),
        ("https://a.example", "https:&#8203;//a.example"),
        ("[a](b)", "&#91;a&#93;(b)"),
        ("**bold** _em_ a_b", "&#42;&#42;bold&#42;&#42; &#95;em&#95; a_b"),
        ("$x$", "&#36;x&#36;"),
        ("- item", "&#45; item"),
        ("1. item", "1&#46; item"),
        ("🎉 é 日本", "🎉 é 日本"),
        ("two\nlines", "two lines"),
    ],
)
def test_text_reads_as_it_was_written(written: str, shown: str) -> None:
    """Nothing in a message is Markdown, HTML, a mention or a link to GitHub."""
    text = report.markdown(review(plan(step("b1", "SELECT 1", message=written))))
    shown = shown.replace("&lt;", "&#60;").replace("&gt;", "&#62;")
    assert f"<br>{shown} |" in text


def test_a_fence_is_longer_than_any_in_the_code() -> None:
    """SQL with backticks stays in its block."""
    sql = "SELECT '\n```\n</details>\n`````\n@somebody'"
    outside = _checked(report.markdown(review(plan(step("b1", sql)))), report.LIMIT)
    assert "@somebody" not in outside


_TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from("`|<>&*_[]()#@~$\\\"'\n\r\t-=+!:;.% a1é日🎉\u202e\x00\ud800"),
        st.characters(),
    ),
    max_size=60,
)
_WORDS = st.one_of(
    _TEXT, st.sampled_from(["```", "-->", "<!--", "</details>", "```\n</details>", "| a |", "~~~"])
)


@settings(suppress_health_check=list(HealthCheck))
@given(
    words=st.lists(_WORDS, min_size=6, max_size=6),
    limit=st.sampled_from([4_096, 5_000, 9_000, 65_536]),
    times=st.sampled_from([1, 3, 80]),
    long=st.sampled_from([1, 400]),
)
@example(words=["@" * 300] * 6, limit=4_096, times=80, long=400)
@example(words=["🎉" * 400] * 6, limit=4_096, times=80, long=1)
def test_nothing_breaks_out(words: list[str], limit: int, times: int, long: int) -> None:
    """Whatever names and SQL hold: the limit is kept, and fences, folds and tables are whole."""
    message, sql, relation, why, said, name = words
    objects = {f"table app.{name}": "table", f"column app.{name}.{relation}": said}
    steps = [
        step(
            f"b{place}",
            sql * long,
            message=message,
            loses=(relation,),
            undo=Script(absent=True, live=why) if place % 2 else reviews.script(sql),
        )
        for place in range(times)
    ]
    found = review(
        plan(*steps, drift=(Drift(change="added", object=name, after=said),), notes=(why,)),
        stack=name,
        refuses=(why,) * (times % 5),
        findings=(Finding(rule=name, level="error", revision="b0", message=said, help=why),)
        * times,
        rehearsal=rehearsal(after=Catalog(format=1, objects=objects), notes=(said,) * times),
    )
    text = report.markdown(found, limit=limit)
    _checked(text, limit)
    text.encode()
    assert "approved_plan" in text
