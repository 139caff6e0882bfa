"""Lint of pending revisions: squawk's rules, what is new, levels and suppressions."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra.schema import history, lint, plan, view
from infra.schema.linting import levels, squawk
from infra.schema.linting.errors import LintError
from infra.schema.model import Catalog, Live, Policy, Revision, Script
from infra.schema.review import Finding, Rehearsal, Rehearsed, Sent
from tests.migrations.place import MIGRATIONS
from tests.schema.applying import autocommit, script, together
from tests.schema.linted import chain, found, look, rules

_COLUMNS = {
    "column public.t.short": "character varying(50) NOT NULL",
    "column public.t.price": "numeric(10,2)",
    "column public.t.n": "integer",
}
_LIVE = Live(
    heads=(),
    server=170004,
    schema="public",
    search_path='"$user", public',
    role="me",
    catalog=Catalog(
        format=1,
        objects={"table public.t": "", 'table app."Odd ""💥 Näme"': "", **_COLUMNS},
    ),
)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE INDEX i ON t (n)", ("error", "require-concurrent-index-creation")),
        ("DROP INDEX i", ("warning", "require-concurrent-index-deletion")),
        ("ALTER TABLE t ALTER n TYPE bigint", ("error", "changing-column-type")),
        ("ALTER TABLE t ALTER n SET NOT NULL", ("error", "adding-not-nullable-field")),
        ("ALTER TABLE t ADD x int NOT NULL", ("error", "adding-required-field")),
        ("ALTER TABLE t ADD x float DEFAULT random()", ("error", "adding-field-with-default")),
        ("ALTER TABLE t ADD CHECK (n > 0)", ("error", "constraint-missing-not-valid")),
        (
            "ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES u (id)",
            ("error", "adding-foreign-key-constraint"),
        ),
        ("ALTER TABLE t ADD PRIMARY KEY (n)", ("error", "adding-serial-primary-key-field")),
        ("ALTER TABLE t ADD UNIQUE (n)", ("error", "disallowed-unique-constraint")),
        ("DROP TABLE t", ("error", "ban-drop-table")),
        ('ALTER TABLE app."Odd ""💥 Näme" DROP COLUMN "a b"', ("error", "ban-drop-column")),
        ("ALTER TABLE t RENAME COLUMN n TO m", ("error", "renaming-column")),
        ("ALTER TABLE t RENAME TO u", ("error", "renaming-table")),
        ("TRUNCATE t CASCADE", ("error", "ban-truncate-cascade")),
        ("REINDEX TABLE t", ("error", "require-concurrent-reindex")),
        ("SELEC 1", ("error", "syntax-error")),
        ("DROP VIEW v", ("warning", "ban-drop-view")),
    ],
)
def test_what_holds_up_or_breaks_is_told_once(sql: str, expected: tuple[str, str]) -> None:
    """One rule for one mistake, on a table that is there, with the statement itself."""
    findings = look(chain(sql), _LIVE)

    assert rules(findings) == [expected]
    assert {each.statement for each in findings if each.level != "note"} == {sql}


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ADD x int",
        "ALTER TABLE t ADD x int NOT NULL DEFAULT 1",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0) NOT VALID",
        "ALTER TABLE t ALTER short TYPE varchar(51), ALTER price TYPE numeric(12, 2)",
        "ALTER TABLE t ALTER short TYPE text",
        "CREATE TABLE IF NOT EXISTS u (id bigint REFERENCES t (n))",
        "UPDATE t SET n = 1",
        "",
        "-- nothing",
    ],
)
def test_what_holds_nobody_up_passes(sql: str) -> None:
    """A column more, a constraint to be validated later, a type that is just wider."""
    assert rules(look(chain(sql), _LIVE)) == []


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ALTER short TYPE varchar(49)",
        "ALTER TABLE t ALTER price TYPE numeric(12, 3)",
        "ALTER TABLE t ALTER short TYPE text USING lower(short)",
        "ALTER TABLE t ALTER short TYPE text, ALTER n TYPE bigint",
    ],
)
def test_a_type_that_does_not_take_all_is_an_error(sql: str) -> None:
    """Shorter, another scale, a conversion, or one of several that rewrites."""
    assert rules(look(chain(sql), _LIVE)) == [("error", "changing-column-type")]


def test_an_index_built_concurrently_passes_and_its_name_is_enough() -> None:
    """Apply knows it by its name, so that IF NOT EXISTS is not asked for."""
    up = script(together("SELECT 1"), autocommit("CREATE INDEX CONCURRENTLY i ON t (n)"))

    assert rules(look(chain(up), _LIVE)) == []


def test_what_a_check_has_proven_is_set_at_once() -> None:
    """NOT VALID, VALIDATE and SET NOT NULL in revisions of their own, the check dropped at last."""
    add = "ALTER TABLE t ADD CONSTRAINT c CHECK (n IS NOT NULL AND n > 0) NOT VALID"
    validate, set_ = "ALTER TABLE t VALIDATE CONSTRAINT c", "ALTER TABLE t ALTER n SET NOT NULL"
    drop = "ALTER TABLE t DROP CONSTRAINT c"
    slow = [("error", "adding-not-nullable-field")]

    assert rules(look(chain(add, validate, f"{set_}; {drop}"), _LIVE)) == []
    assert rules(look(chain(add, set_), _LIVE)) == slow
    assert rules(look(chain(add, validate, drop, set_), _LIVE)) == slow
    assert rules(look(chain(add, validate, f"{set_}, DROP CONSTRAINT c"), _LIVE)) == slow
    assert rules(look(chain(add, validate, f"{set_}, ALTER short SET NOT NULL"), _LIVE)) == slow
    assert rules(look(chain(add.replace("AND", "OR"), validate, set_), _LIVE)) == slow


def test_a_function_and_an_extension_of_this_plan_may_go_again() -> None:
    """What the database has is somebody's; so is all in a plan that runs history again."""
    drop = "DROP FUNCTION app.f(int); DROP PROCEDURE p; DROP EXTENSION pgcrypto"
    files = chain("CREATE FUNCTION app.f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'", drop)
    objects = {"function app.f(integer)": "", 'procedure public."P"()': ""}
    there = replace(_LIVE, catalog=Catalog(format=1, objects=objects))

    assert rules(look(files)) == rules(look(files, _LIVE)) == []
    assert rules(look(files, there)) == [("warning", "ban-drop-function")]
    assert rules(look(files, replace(_LIVE, extensions={"pgcrypto": "public"}))) == [
        ("warning", "ban-drop-extension")
    ]


def test_an_index_on_only_a_partitioned_table_reads_nothing() -> None:
    """CONCURRENTLY can't be there; its partitions get theirs before."""
    objects = {"table public.p": "table, partitioned by RANGE (a)", "table public.t": "table"}
    there = replace(_LIVE, catalog=Catalog(format=1, objects=objects))
    slow = [("error", "require-concurrent-index-creation")]

    assert rules(look(chain("CREATE INDEX i ON ONLY p (a)"), there)) == []
    assert rules(look(chain("CREATE INDEX i ON p (a)"), there)) == slow
    assert rules(look(chain("CREATE INDEX i ON ONLY t (a)"), there)) == slow


def test_parts_of_a_revision_are_transactions_of_their_own() -> None:
    """NOT VALID and VALIDATE in one transaction are an error; with a commit between, they pass."""
    add = "ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0) NOT VALID"
    validate = "ALTER TABLE t VALIDATE CONSTRAINT c"
    index = "CREATE INDEX CONCURRENTLY i ON t (n)"

    together_ = look(chain(script(together(add, validate))), _LIVE)
    apart = look(chain(script(together(add), autocommit(index), together(validate))), _LIVE)

    assert rules(together_) == [("error", "constraint-missing-not-valid")]
    assert found(together_, "constraint-missing-not-valid")[0].statement == validate
    assert rules(apart) == []


def test_each_finding_has_its_own_statement() -> None:
    """Several on a line, some of many lines, with odd names and texts in them."""
    text = (
        "SELECT 'DROP TABLE x;\n\n\r\n💥'; DROP TABLE t; /* ; */ CREATE FUNCTION f() RETURNS int"
        " LANGUAGE sql AS $$ SELECT 1;\n DROP TABLE t; $$;\n"
        'ALTER TABLE app."Odd ""💥 Näme"\n  DROP COLUMN "a;\nb" -- gone;'
    )
    findings = look(chain(text), _LIVE)

    assert [
        (each.rule, each.statement.split()[0:2]) for each in findings if each.level == "error"
    ] == [
        ("ban-drop-table", ["DROP", "TABLE"]),
        ("ban-drop-column", ["ALTER", "TABLE"]),
    ]
    assert found(findings, "ban-drop-column")[0].message.endswith(': app."Odd ""💥 Näme"')


def test_what_this_plan_makes_is_used_by_nobody_yet() -> None:
    """Neither in the revision that makes a table nor in a later one, whatever it is called then."""
    files = chain(
        'CREATE TABLE app."New 💥" (a int); CREATE INDEX i ON app."New 💥" (a)',
        'ALTER TABLE app."New 💥" RENAME TO newer; ALTER TABLE app.newer SET SCHEMA public',
        "ALTER TABLE newer ALTER a TYPE bigint; DROP INDEX app.i; ALTER TABLE newer ADD UNIQUE (a)",
        "DROP TABLE public.newer",
    )

    assert [each for each in look(files, _LIVE) if each.level == "error"] == []


def test_a_table_that_is_there_already_is_in_use() -> None:
    """IF NOT EXISTS makes it no newer, and an own search_path leads to it."""
    files = chain(
        "CREATE TABLE IF NOT EXISTS t (n int); CREATE INDEX i ON t (n)",
        'SET LOCAL search_path TO app; DROP TABLE "Odd ""💥 Näme"',
    )

    assert rules(look(files, _LIVE)) == [
        ("error", "require-concurrent-index-creation"),
        ("error", "ban-drop-table"),
    ]


def test_a_table_that_is_dropped_and_made_anew_is_new() -> None:
    """The drop is told, and nothing of what follows."""
    files = chain("DROP TABLE t; CREATE TABLE t (n int); CREATE INDEX i ON t (n)")

    assert rules(look(files, _LIVE)) == [("error", "ban-drop-table")]


def test_our_own_history_onto_nothing_has_no_error() -> None:
    """A first `up` meets tables that nobody uses."""
    files = history.read(MIGRATIONS)

    assert [each for each in look(files, folder=MIGRATIONS) if each.level == "error"] == []


def test_garbage_hides_nothing_and_breaks_nothing() -> None:
    """What can't be read is told, and the rest is looked at all the same."""
    nested = "SELECT " + "(" * 600 + "1" + ")" * 600
    texts = ("DROP TABLE t", "SELEC 1", "SELECT 'never ends", "\0", "💥", "SELECT '\ud800'", nested)
    findings = look(chain(script(together(*texts))), _LIVE)

    assert ("error", "ban-drop-table") in rules(findings)
    assert ("error", "syntax-error") in rules(findings)


def test_what_squawk_alone_cannot_read_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's own parser knows better."""
    said = {"file": "0.sql", "line": 1, "column": 0, "line_end": 1, "column_end": 1}
    answers = [[{**said, "message": "what?", "help": None, "rule_name": "syntax-error"}], []]
    monkeypatch.setattr(squawk, "_answer", lambda *_: answers.pop(0))

    findings = look(chain("SELECT 1"), _LIVE)

    assert [(each.level, each.rule) for each in findings] == [("note", "not-linted")]


def test_comments_of_squawk_do_not_count() -> None:
    """Only the revision's file says what may pass, and it says why."""
    sql = "-- squawk-ignore-file\n-- squawk-ignore ban-drop-table\nDROP TABLE t"

    assert rules(look(chain(sql), _LIVE)) == [("error", "ban-drop-table")]


def test_a_configuration_of_squawk_nearby_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack's levels are the only ones."""
    (tmp_path / ".squawk.toml").write_text('excluded_rules = ["ban-drop-table"]\n')
    monkeypatch.chdir(tmp_path)

    assert rules(look(chain("DROP TABLE t"), _LIVE)) == [("error", "ban-drop-table")]


def test_levels_are_the_configurations() -> None:
    """Another level, off, one that squawk looks for only when told to, one that nobody knows."""
    sql = "DROP TABLE t; ALTER TABLE t ALTER n SET DEFAULT 1; CREATE INDEX i ON t (n)"
    levels_ = (
        "ban-drop-table=note, require-concurrent-index-creation=off, ban-set-default=error,"
        " no-such=error, downgrade-loses-data=warning"
    )

    findings = look(chain(sql), _LIVE, lint_levels=levels_)

    assert rules(findings) == [("error", "ban-set-default"), ("warning", "unknown-rule")]
    assert "no-such" in found(findings, "unknown-rule")[0].message
    assert "warning: unknown-rule: " in view.findings(findings)  # it is about no revision
    assert found(findings, "ban-drop-table")[0].level == "note"


def test_a_rule_of_two_names_has_one_level() -> None:
    """Squawk knows prefer-timestamp-tz by an older name too."""
    sql = "CREATE TABLE u (a timestamp)"

    findings = look(chain(sql), lint_levels="prefer-timestamptz=error")

    assert rules(findings) == [("error", "prefer-timestamp-tz")]


def test_off_says_nothing_and_nothing_pending_says_nothing() -> None:
    """Not even that a rule is unknown."""
    files = chain("DROP TABLE t")

    assert look(files, _LIVE, lint="off", lint_levels="no-such=error") == ()
    assert look(files, replace(_LIVE, heads=("r1",), versioned=True), lint_levels="x=off") == ()


def test_only_what_goes_up_is_looked_at() -> None:
    """A step back is shown by what it loses."""
    files = chain(
        "SELECT 1", Revision(id="", parents=(), downgrade=script("DROP TABLE t"), upgrade=Script())
    )
    there = replace(_LIVE, heads=("r2",), versioned=True)

    assert look(files, there, policy=Policy(target="r1", downgrade="allow")) == ()


def test_the_worst_comes_first_then_the_order_of_the_plan() -> None:
    """Errors of the first revision before those of the second, warnings after both, then notes."""
    files = chain("DROP VIEW v; DROP TABLE t", "DROP TABLE t")

    findings = look(files, _LIVE)

    assert [(each.level, each.revision) for each in findings] == [
        ("error", "r1"),
        ("error", "r2"),
        ("warning", "r1"),
        ("note", "r1"),
    ]


def test_refusing_gives_errors_without_a_reason() -> None:
    """A warning does not stop `up`, nor an error that may pass."""
    made = Finding(rule="a", level="error", revision="r", message="m")
    others = (replace(made, suppressed="why"), replace(made, level="warning"))

    assert lint.refusing((*others, made)) == (made,)


def _suppressing(sql: str, **ignores: str) -> Revision:
    named = {rule.replace("_", "-"): reason for rule, reason in ignores.items()}
    return Revision(id="", parents=(), upgrade=script(sql), ignores=named)


def test_a_suppressed_finding_stays_with_its_reason() -> None:
    """In its revision alone."""
    files = chain(_suppressing("DROP TABLE t", ban_drop_table="nobody reads it"), "DROP TABLE t")

    findings = found(look(files, _LIVE), "ban-drop-table")

    assert [(each.revision, each.suppressed) for each in findings] == [
        ("r1", "nobody reads it"),
        ("r2", ""),
    ]
    assert [each.revision for each in lint.refusing(look(files, _LIVE))] == ["r2"]


def test_an_unused_suppression_is_told() -> None:
    """By its rule; also where no rule has that name."""
    files = chain(_suppressing("SELECT 1", ban_drop_table="gone", no_such="gone"))

    unused = found(look(files, _LIVE), "unused-suppression")

    assert [each.level for each in unused] == ["warning", "warning"]
    assert "ban-drop-table" in unused[0].message
    assert "no rule of that name" in unused[1].message


def test_a_suppression_without_a_reason_does_not_count() -> None:
    """Both the finding and the missing reason are errors."""
    files = chain(_suppressing("DROP TABLE t", ban_drop_table=" "))

    findings = look(files, _LIVE)

    assert rules(findings) == [("error", "suppression-without-reason"), ("error", "ban-drop-table")]
    assert not any(each.suppressed for each in findings)


def test_a_suppression_that_counts_elsewhere_is_not_unused() -> None:
    """On an empty database nothing is in use, no server is asked, and a rule may be off there."""
    files = chain(
        "CREATE TABLE t (n int)",
        _suppressing(
            "CREATE INDEX i ON t (n); ALTER TABLE t DROP n",
            require_concurrent_index_creation="small",
            ban_drop_column="unread",
            column_still_used="unread",
            extension_missing="elsewhere",
            prefer_robust_stmts="off here",
        ),
    )

    assert found(look(files), "unused-suppression") == []


def test_a_suppression_is_no_part_of_what_runs() -> None:
    """An approved plan stays approved."""
    with_, without = chain(_suppressing("SELECT 1", a="b")), chain("SELECT 1")
    made = plan.make(with_, None, Policy())

    assert made.steps[0].ignores == {"a": "b"}
    assert made.digest == plan.make(without, None, Policy()).digest


def test_a_way_back_that_loses_or_is_missing_is_told() -> None:
    """By name; a revision that only adds an index loses nothing."""
    files = chain(
        Revision(id="", parents=(), downgrade=script('DROP TABLE "a b"; ALTER TABLE c DROP d')),
        Revision(id="", parents=(), downgrade=Script(live="it raises", absent=True)),
        Revision(id="", parents=(), downgrade=script("DROP INDEX i")),
    )

    findings = look(files, _LIVE)

    assert [(each.rule, each.level, each.revision) for each in findings] == [
        ("no-way-back", "warning", "r2"),
        ("downgrade-loses-data", "note", "r1"),
    ]
    assert 'table "a b", column c.d' in findings[1].message


def _rehearsal(*sent: str, failure: str = "") -> Rehearsal:
    step = Rehearsed(
        revision="r1",
        direction="up",
        sent=tuple(Sent(sql=sql, seconds=0, wal=0) for sql in sent),
        failure=failure,
    )
    return Rehearsal(base="", server="17.4", before=Catalog(format=1, objects={}), steps=(step,))


def test_a_live_revision_is_looked_at_by_what_the_rehearsal_sent() -> None:
    """Without a rehearsal a note says why it is not; a failed one is looked at in part."""
    files = chain(Script(live="line 3 asks the database"))

    [note] = look(files, _LIVE)
    sent = look(files, _LIVE, rehearsal=_rehearsal("BEGIN;", "DROP TABLE t", "COMMIT"))
    failed = look(files, _LIVE, rehearsal=_rehearsal("DROP TABLE t", failure="no"))

    assert (note.rule, note.level) == ("not-linted", "note")
    assert "line 3 asks the database" in note.message
    assert [each.rule for each in sent] == ["ban-drop-table", "models-unknown"]
    assert {each.rule for each in failed} == {"ban-drop-table", "models-unknown", "not-linted"}


def test_a_revision_that_the_stack_sends_online_is_looked_at_as_rendered() -> None:
    """Its SQL is known all the same."""
    findings = look(chain("DROP TABLE t"), _LIVE, policy=Policy(apply="online"))

    assert rules(findings) == [("error", "ban-drop-table")]


def test_what_a_live_revision_may_have_made_is_not_taken_for_in_use() -> None:
    """What the database does not have was made by what can't be read; what it has was not."""
    files = chain(Script(live="it reflects"), "DROP TABLE unseen", "DROP TABLE t")

    assert [each.revision for each in found(look(files, _LIVE), "ban-drop-table")] == ["r3"]


def test_squawk_that_cannot_run_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do; no traceback."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(LintError, match=r"squawk.*Nothing was changed.*Install"):
        look(chain("SELECT 1"), _LIVE)


def test_every_rule_of_squawk_is_in_the_table() -> None:
    """Squawk takes each name that we know, and every rule has a reason."""
    program = Path(sys.executable).with_name("squawk")
    asked = [
        f"--exclude={rule}"
        for rule in levels.SQUAWK
        if rule not in {"syntax-error", "unused-ignore"}
    ]
    done = subprocess.run(
        [program, "--stdin-filepath", "a.sql", *asked],
        input="SELECT 1;",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert len(levels.SQUAWK) == 79
    assert all(rule.why for rule in levels.RULES.values())


def test_the_document_lists_every_rule_with_its_level() -> None:
    """The tables in docs/lint.md are those of the code."""
    whole = (MIGRATIONS.parent / "docs" / "lint.md").read_text()
    text = whole[whole.index("## Rules of our own") :]
    written = {
        (cells[1].strip().strip("`"), cells[2].strip(), cells[3].strip())
        for line in text.splitlines()
        if line.startswith("| `") and len(cells := line.split("|")) == 5
    }

    assert written == {(name, rule.level, rule.why) for name, rule in levels.RULES.items()}
