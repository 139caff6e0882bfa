"""What a report says, in all three forms."""

from __future__ import annotations

import html
import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from infra.schema import report
from infra.schema.model import Drift, Lock, Script
from infra.schema.review import Finding, Held, Rehearsed, Review, Rewritten, Sent
from tests.schema import reviews
from tests.schema.reviews import plan, rehearsal, review, script, step

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGE = re.compile(r"<[^>]*>")


def _printed(found: Review, *, width: int = 220, **more: bool) -> str:
    console = Console(file=io.StringIO(), width=width, **more)  # type: ignore[arg-type]
    report.terminal(found, console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _shown(found: Review) -> str:
    return html.unescape(_PAGE.sub(" ", report.page(found)))


def _read(found: Review) -> str:
    """Markdown as a browser shows it."""
    return html.unescape(_PAGE.sub(" ", report.markdown(found))).replace("\u200b", "")


def _flat(text: str) -> str:
    return " ".join(re.sub(r"[│╭╮╰╯├┤┬┴┼─━]", " ", text).split())


_FORMS = {"markdown": _read, "terminal": _printed, "page": _shown}


@pytest.mark.parametrize("form", _FORMS.values(), ids=_FORMS)
@pytest.mark.parametrize(
    "fact",
    [
        "look closely: destroys data in 1 revision",
        "5 revisions to apply, about 4.8 s in rehearsal",
        "pulumi config set groundwork:approved_plan " + (reviews.full().plan or plan()).digest,
        "83c01ef4c8fc",
        "longer numbers for taxes, and an address for mail",
        "AccessExclusiveLock on app.clients (about 1.2 million rows),",
        "ShareUpdateExclusiveLock on app.clients, 1.1 s (by the manual)",
        "table app.faxes with 48,210 rows",
        "1 error, 1 warning, 1 note, 1 let pass",
        "the release before this one still reads app.clients.fax (revision d1903c6e58fb)",
        "instead: drop it in the release after the one that stops reading it",
        "let pass, since: nobody has sent one since 2019",
        "ALTER TABLE app.clients ALTER COLUMN vat TYPE bigint",
        "statement 1 of 1, 3.2 s, 398 MB of WAL",
        "Runs live: line 14 reads rows with op.get_bind().",
        "statement 1, 390 ms (recorded)",
        "about 1.2 million rows",
        "412 MB",
        "app.clients_email_key",
        "WAL: 429 MB on the throwaway server.",
        "reads and writes",
        "python -m infra.schema upgrade --downgrade allow",
        "Not taken back to the end: d1903c6e58fb has no way back",
        "column app.clients.fax was removed",
        "has none: line 31 raises NotImplementedError: they are gone",
        "index app.by_hand was added: on app.tasks USING btree (x)",
        "column app.clients.email: the models say varchar(320)",
        "rehearsed on PostgreSQL 17.4, from the live schema, without its rows",
        "the extension postgis could not be remade",
        "app.old was applied by hand",
        "SELECT 'back of 83c01ef4c8fc'",
        "- column vat integer",
        "+ column vat bigint",
        "app.faxes (dropped)",
        "due date",
    ],
)
def test_the_same_is_said_in_all_forms(form: Callable[[Review], str], fact: str) -> None:
    """Whoever reads a comment, a terminal or a page reads the same facts."""
    assert _flat(fact) in _flat(form(reviews.full()))


_FINE = Rehearsed(revision="b1", direction="up", seconds=0.02)
_VERDICTS = {
    "nothing": (review(plan()), "nothing to do: at a0"),
    "adopted": (
        review(plan(stamp=("a0", "b1"))),
        "ready: 2 revisions to adopt without running",
    ),
    "ready": (
        review(plan(step("b1", "SELECT 1")), rehearsal=rehearsal(_FINE)),
        "ready: 1 revision to apply, about 20 ms in rehearsal, way back for all",
    ),
    "ready, not rehearsed": (
        review(plan(step("b1", "SELECT 1"))),
        "ready: 1 revision to apply, not rehearsed",
    ),
    "a warning": (
        review(
            plan(step("b1", "SELECT 1")),
            findings=(Finding(rule="r", level="warning", revision="b1", message="m"),),
            rehearsal=rehearsal(_FINE),
        ),
        "look closely: 1 warning",
    ),
    "a warning that is let pass": (
        review(
            plan(step("b1", "SELECT 1")),
            findings=(
                Finding(rule="r", level="error", revision="b1", message="m", suppressed="so"),
            ),
            rehearsal=rehearsal(_FINE),
        ),
        "ready: 1 revision to apply, about 20 ms in rehearsal, way back for all",
    ),
    "losses": (
        review(plan(step("b1", "DROP TABLE t", loses=("table t with 3 rows",)))),
        "look closely: destroys data in 1 revision",
    ),
    "emptied": (
        review(
            plan(step("b1", "SELECT f()")),
            rehearsal=rehearsal(replace(_FINE, emptied=("app.t",))),
        ),
        "look closely: destroys data in 1 revision",
    ),
    "no way back": (
        review(plan(step("b1", "SELECT 1", undo=Script(absent=True)))),
        "look closely: no sure way back for 1 revision",
    ),
    "a long lock": (
        review(
            plan(step("b1", "SELECT 1")),
            rehearsal=rehearsal(
                replace(
                    _FINE,
                    locks=(Held(mode="ShareLock", relation="app.t", seconds=2.5, statement=1),),
                )
            ),
        ),
        "look closely: ShareLock on app.t for 2.5 s",
    ),
    "written anew": (
        review(
            plan(step("b1", "SELECT 1")),
            rehearsal=rehearsal(replace(_FINE, rewritten=(Rewritten(relation="app.t"),))),
        ),
        "look closely: writes app.t anew",
    ),
    "live": (
        review(plan(step("b1", script=Script(live="it asks the clock")))),
        "look closely: 1 revision runs live and not rehearsed",
    ),
    "models": (
        review(plan(step("b1", "SELECT 1")), rehearsal=rehearsal(_FINE, differs=("a line",))),
        "look closely: the models say otherwise than the revisions",
    ),
    "by hand": (
        review(plan(drift=(Drift(change="added", object="table app.x", after="table"),))),
        "look closely: 1 object changed by hand",
    ),
    "refused": (
        review(plan(step("b1", "SELECT 1")), refuses=("drift is refused", "and so is this")),
        "refused: drift is refused (and 1 more)",
    ),
    "fails": (
        review(
            plan(step("b1", "SELECT 1", "SELECT 2")),
            rehearsal=rehearsal(
                replace(
                    _FINE,
                    failure="The rehearsal failed in revision b1, statement 2: SELECT 2\n"
                    "PostgreSQL said (42P01): no such table",
                ),
                failure="The rehearsal failed in revision b1, statement 2: SELECT 2\n"
                "PostgreSQL said (42P01): no such table",
                after=None,
            ),
        ),
        (
            "fails in rehearsal: revision b1 (message of b1), statement 2: "
            "PostgreSQL said (42P01): no such table"
        ),
    ),
    "could not be rehearsed": (
        review(plan(step("b1", "SELECT 1")), rehearsal=rehearsal(failure="no server", after=None)),
        "fails in rehearsal: no server",
    ),
    "can't be told": (
        review(None, unplanned="the database does not answer"),
        "can't be told: the database does not answer",
    ),
    "no plan": (review(None), "can't be told: no plan was made"),
}


@pytest.mark.parametrize("case", _VERDICTS)
def test_the_verdict_says_how_it_looks(case: str) -> None:
    """One line with what a reviewer has to decide about, the same in all forms."""
    found, line = _VERDICTS[case]
    assert report.verdict(found) == line
    for form in _FORMS.values():
        assert line in _flat(form(found))


_BACKS = {
    "rehearsed": (step("b1", "SELECT 1"), rehearsal(_FINE), (), "rehearsed"),
    "loses data": (
        step("b1", "SELECT 1"),
        rehearsal(_FINE),
        (Finding(rule="downgrade-loses-data", level="note", revision="b1", message="m"),),
        "loses data rehearsed",
    ),
    "differs": (
        step("b1", "SELECT 1"),
        rehearsal(_FINE, returned=(Drift(change="removed", object="table app.x"),)),
        (),
        "**rehearsed, differs**",
    ),
    "differs for nothing": (
        step("b1", "SELECT 1", undo=script()),
        rehearsal(_FINE, returned=(Drift(change="added", object="table app.x"),)),
        (),
        "**its downgrade does nothing**",
    ),
    "fails": (
        step("b1", "SELECT 1"),
        rehearsal(_FINE, back=(Rehearsed(revision="b1", direction="down", failure="no"),)),
        (),
        "**fails**",
    ),
    "none": (step("b1", "SELECT 1", undo=Script(absent=True)), None, (), "**none**"),
    "live": (step("b1", "SELECT 1", undo=Script(live="x")), None, (), "runs live, not rehearsed"),
    "empty": (step("b1", "SELECT 1", undo=script()), None, (), "**its downgrade does nothing**"),
    "available": (step("b1", "SELECT 1"), None, (), "available, not rehearsed"),
    "down": (step("b1", "SELECT 1", direction="down"), None, (), "apply it again"),
}


@pytest.mark.parametrize("case", _BACKS)
def test_the_table_tells_the_way_back(case: str) -> None:
    """Each revision says whether it can be undone, and what is known of that."""
    taken, ran, found, said = _BACKS[case]
    text = report.markdown(review(plan(taken), rehearsal=ran, findings=found))
    (row,) = (line for line in text.splitlines() if line.startswith("| 1. "))
    assert row.split(" | ")[-1].replace("<br>", " ").removesuffix(" |") == said


def test_locks_are_by_the_manual_where_nothing_was_rehearsed() -> None:
    """The mark says that nobody has seen them held; a rehearsal says for how long."""
    locked = script("SELECT 1", locks=(Lock(mode="AccessExclusiveLock", relation="app.t"),))
    text = _read(review(plan(step("b1", script=locked))))
    assert "AccessExclusiveLock on app.t (by the manual)" in text
    held = Held(mode="AccessExclusiveLock", relation="app.t", seconds=0.012, statement=1)
    ran = rehearsal(replace(_FINE, locks=(held,)))
    text = _read(review(plan(step("b1", script=locked)), rehearsal=ran))
    assert "AccessExclusiveLock on app.t, 12 ms" in text
    assert "by the manual" not in text


def test_a_step_that_goes_back_says_so() -> None:
    """It is marked in the table and beside its SQL."""
    text = _read(review(plan(step("b1", "DROP TABLE t", direction="down"))))
    assert "takes back" in text
    assert "1/1 take back b1 message of b1" in _flat(text)


def test_a_live_revision_shows_what_was_recorded_and_promises_nothing() -> None:
    """Its SQL is what the rehearsal saw, and is marked as such."""
    live = step("b1", script=Script(live="it asks the clock"))
    ran = rehearsal(replace(_FINE, sent=(Sent(sql="DELETE FROM t", seconds=0.1, wal=9),)))
    text = _read(review(plan(live), rehearsal=ran))
    assert "Runs live: it asks the clock. This is what the rehearsal recorded" in text
    assert "not promised" in text
    assert "statement 1, 100 ms, 9 bytes of WAL (recorded)" in text


def test_times_that_are_of_other_statements_are_not_shown_beside_the_plan() -> None:
    """A time stands beside a statement only where the rehearsal sent the very same."""
    ran = rehearsal(replace(_FINE, sent=(Sent(sql="SELECT 2", seconds=7.0, wal=9),)))
    text = report.markdown(review(plan(step("b1", "SELECT 1")), rehearsal=ran))
    assert "statement 1 of 1\n" in text


@pytest.mark.long
def test_what_the_previous_release_has_makes_room_for_what_is_new() -> None:
    """Its SQL comes last and is cut first; what it destroys is told all the same."""
    old = [step(f"old{n}", f"SELECT {n} -- {'x' * 900}", undo=script()) for n in range(120)]
    loses = replace(old[1], loses=("table kept",))
    found = review(
        plan(*old[:1], loses, *old[2:], step("new", "SELECT 'of new'")),
        released=tuple(each.revision for each in old),
    )
    document = report.markdown(found)
    assert "look closely: destroys data in 1 revision" in document
    assert "1 new revision to apply" in document
    assert "120 revisions that the previous release has already would run too" in document
    rows = [line for line in document.splitlines() if re.match(r"\| \d", line)]
    assert [("old1<" in line, "new<" in line) for line in rows] == [(True, False), (False, True)]
    assert "SELECT 'of new'" in document
    assert document.index("SELECT 'of new'") < document.index("SELECT 0 --")
    assert "SQL that the previous release has already: " in document.partition("Cut to fit")[2]
    assert all(f"SELECT {n} --" in report.page(found) for n in range(120))


def test_a_change_without_a_revision_says_so() -> None:
    """A new database gets all that there is, and a reader has nothing to look at."""
    found = review(plan(step("old"), step("older")), released=("old", "older"))
    assert report.verdict(found) == "ready: no new revision, not rehearsed"
    assert "| Revision |" not in report.markdown(found)


def test_what_nobody_reached_is_not_told_as_done() -> None:
    """After a revision that failed the others have no time, and say why."""
    failed = replace(_FINE, failure="no")
    ran = rehearsal(failed, failure="no", after=None)
    text = report.markdown(review(plan(step("b1", "A"), step("b2", "B")), rehearsal=ran))
    assert "**fails**" in text
    assert "**not reached**" in text


def test_a_report_of_a_stack_begins_with_its_mark() -> None:
    """Whoever posts it finds the comment of the same stack by the first line, and no other's."""
    text = report.markdown(review(plan()))
    assert text.startswith("<!-- groundwork: shop/prod -->\n")
    assert text.startswith(report.marker("shop/prod"))
    odd = report.marker("a--> <b>\n--x")
    assert odd.count("-->") == 1
    assert odd.count("--") == 2
    assert re.fullmatch(r"<!-- groundwork: \S+ -->", odd)
    assert report.marker("a-b") != report.marker("a--b")
    assert report.marker("") == "<!-- groundwork: schema -->"


def test_secrets_stay_out() -> None:
    """URLs of databases and logins in URLs are hidden, wherever they stand."""
    sql = (
        "CREATE SUBSCRIPTION s CONNECTION 'host=a.example user=b password=hush1'"
        " PUBLICATION p -- postgresql://u:hush2@h/d https://u:hush3@h/"
    )
    role = "CREATE ROLE r PASSWORD 'hush''4'"
    found = review(plan(step("b1", sql, role)), refuses=("no postgresql://u:hush5@h/d",))
    for form in (report.markdown, report.page, _printed):
        assert "hush" not in form(found)
        assert "[hidden]" in form(found)


def test_what_is_hidden_to_the_eye_is_shown() -> None:
    """Direction marks and control characters in SQL are escaped: they make it read otherwise."""
    found = review(plan(step("b1", "SELECT '\u202eabc\x1b[31m\x00\ud800'")))
    for form in (report.markdown, report.page, _printed):
        text = form(found)
        assert "\\u202e" in text
        assert "\\x1b" in text
        text.encode()


def test_the_words_of_squawk_are_rendered_and_its_rules_explained() -> None:
    """Code between backticks, and a link to the rule; a name with one backtick stays a name."""
    found = Finding(
        rule="require-concurrent-index-creation",
        level="error",
        revision="a1",
        message="Building blocks writes to `clients`",
        help="Use `CONCURRENTLY` on `a<b`",
        statement="SELECT '`'",
    )
    own = Finding(rule="no-way-back", level="warning", revision="a1", message="there is none")
    made = review(plan(step("a1", "SELECT 1")), findings=(found, own))

    text, page = report.markdown(made), report.page(made)

    url = "https://squawkhq.com/docs/require-concurrent-index-creation"
    assert f"[<code>require-concurrent-index-creation</code>]({url}) Building" in text
    assert "writes to <code>clients</code> (revision a1)" in text
    assert "instead: Use <code>CONCURRENTLY</code> on <code>a&#60;b</code>" in text
    assert "in: SELECT '&#96;'" in text
    assert "- <code>no-way-back</code> there is none" in text
    assert f'<a href="{url}" rel="noreferrer"><code>require-concurrent' in page
    assert "Use <code>CONCURRENTLY</code> on <code>a&lt;b</code>" in page
    assert "`clients`" not in _printed(made)


def test_the_sql_of_a_short_plan_is_open() -> None:
    """Of a long one it is folded: the comment is read in two minutes."""
    short = report.markdown(review(plan(step("a1", "SELECT 1"))))
    long = report.markdown(review(plan(step("a1", *["SELECT 1"] * 60))))

    assert "<details open><summary><b>SQL</b>" in short
    assert "<details><summary><b>SQL</b>" in long


def test_a_terminal_takes_names_as_they_are() -> None:
    """Nothing in a name is rich's markup, and without a terminal there are no colours."""
    found = review(plan(step("b1", "SELECT '[bold]x[/bold]'", message="[red]stop[/red] [/]")))
    text = _printed(found)
    assert "[red]stop[/red] [/]" in text
    assert "[bold]x[/bold]" in text
    assert "\x1b" not in text
    assert "\x1b[" in _printed(found, force_terminal=True)


def test_a_terminal_without_the_letters_shows_the_rest() -> None:
    """A sign that its encoding lacks becomes a question mark, and the report goes on."""
    code = (
        "from infra.schema import report; from tests.schema import reviews;"
        "report.terminal(reviews.full())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert "? look closely" in run.stdout
    assert "erDiagram" in run.stdout


@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_a_terminal_of_any_width_is_enough(width: int) -> None:
    """No line is longer than the terminal, and nothing is left out."""
    text = _printed(reviews.full(), width=width)
    assert max(map(len, text.splitlines())) <= width
    digest = (reviews.full().plan or plan()).digest
    assert digest in re.sub(r"[\s│]", "", text)


def test_a_page_is_html_of_one_piece() -> None:
    """Names are text, never tags; there is a policy that lets nothing load."""
    found = review(plan(step("b1", "SELECT '</pre><script>x()</script>'", message="<b>x")))
    text = report.page(found)
    assert "<script" not in text
    assert "<b>x" not in text
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")
