"""Plans: from any history and any database the target is reached, or one clear refusal comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from infra.schema import plan
from infra.schema.errors import (
    DowngradeRefusedError,
    DriftError,
    EditedRevisionError,
    HeadsError,
    LedgerMismatchError,
    NotApprovedError,
    NoWayBackError,
    PlanError,
    TargetError,
    UnknownRevisionError,
)
from infra.schema.graph import Present, closure
from infra.schema.model import (
    Applied,
    Catalog,
    Drift,
    History,
    Live,
    Part,
    Plan,
    Policy,
    Revision,
    Script,
)

_ALLOW = Policy(downgrade="allow")


def _script(text: str) -> Script:
    return Script(parts=(Part(statements=(text,)),))


def _revision(id_: str, *parents: str, depends_on: tuple[str, ...] = ()) -> Revision:
    return Revision(
        id=id_,
        parents=parents,
        depends_on=depends_on,
        message=f"message of {id_}",
        file=f"{id_}.py",
        sha256=f"sum-{id_}",
        upgrade=_script(f"up {id_}"),
        downgrade=_script(f"down {id_}"),
    )


def _history(*revisions: Revision) -> History:
    parents = {parent for revision in revisions for parent in revision.parents}
    heads = sorted(revision.id for revision in revisions if revision.id not in parents)
    return History(revisions=revisions, heads=tuple(heads), digest="of the files")


def _line(length: int) -> History:
    ids = [f"rev{number:04}" for number in range(length)]
    return _history(*(_revision(id_, *ids[max(0, n - 1) : n]) for n, id_ in enumerate(ids)))


def _applied(revision: Revision, **changes: Any) -> Applied:
    entry = Applied(
        revision=revision.id,
        message=revision.message,
        sha256=revision.sha256,
        needs=revision.needs,
        downgrade=revision.downgrade,
    )
    return replace(entry, **changes)


def _live(history: History, *heads: str, recorded: bool = True) -> Live:
    needs = {revision.id: revision.needs for revision in history.revisions}
    there = closure(heads, needs)
    entries = {id_: _applied(history.by_id[id_]) for id_ in there} if recorded else {}
    return Live(heads=tuple(sorted(heads)), versioned=bool(heads), applied=entries)


def _run(made: Plan, live: Live) -> Live:
    """Do what an apply does, without a database."""
    applied = dict(live.applied)
    heads = live.heads
    for step in made.steps:
        assert step.before == heads
        heads = step.after
        if step.direction == "down":
            applied.pop(step.revision, None)  # it may have come by hand
        else:
            applied[step.revision] = Applied(
                revision=step.revision,
                message=step.message,
                sha256=step.sha256,
                needs=step.needs,
                downgrade=step.undo,
            )
    assert heads == made.after
    return Live(heads=heads, versioned=True, applied=applied)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw any graph of revisions: bases, branches, merges, dependencies across branches."""
    made: list[Revision] = []
    for number in range(draw(st.integers(1, 12))):
        ids = [revision.id for revision in made]
        parents = draw(st.lists(st.sampled_from(ids), unique=True, max_size=3)) if ids else []
        others = [id_ for id_ in ids if id_ not in parents]
        needed = draw(st.lists(st.sampled_from(others), unique=True, max_size=2)) if others else []
        made.append(_revision(f"rev{number:04}", *parents, depends_on=tuple(needed)))
    return _history(*made)


@st.composite
def databases(draw: st.DrawFn) -> tuple[History, Live]:
    """Draw a history and a database that has any part of it, recorded in the ledger or not."""
    history = draw(histories())
    needs = {revision.id: revision.needs for revision in history.revisions}
    some = draw(st.lists(st.sampled_from(list(needs)), unique=True))
    there = closure(some, needs)
    recorded = draw(st.sets(st.sampled_from(sorted(there)))) if there else set()
    live = Live(
        heads=Present(there, needs).heads,
        versioned=bool(there),
        applied={id_: _applied(history.by_id[id_]) for id_ in recorded},
    )
    return history, live


@given(databases())
def test_a_plan_reaches_the_heads(given_: tuple[History, Live]) -> None:
    """From wherever a database is, all revisions are there afterwards, each run once, in order."""
    history, live = given_
    needs = {revision.id: revision.needs for revision in history.revisions}

    made = plan.make(history, live, Policy(target="heads"))

    there = closure(live.heads, needs)
    for step in made.steps:
        assert step.direction == "up"
        assert step.revision not in there
        assert there.issuperset(step.needs)
        there.add(step.revision)
        assert step.after == Present(there, needs).heads
    assert there == set(needs)
    assert _run(made, live).heads == made.after


@given(databases(), st.data())
def test_a_plan_reaches_any_revision(given_: tuple[History, Live], data: st.DataObject) -> None:
    """Any target is reached, going back where that is allowed, and never a step twice."""
    history, live = given_
    wanted = data.draw(st.sampled_from(["base", *history.by_id]))
    needs = {revision.id: revision.needs for revision in history.revisions}

    made = plan.make(history, live, Policy(target=wanted, downgrade="allow"))

    reached = closure(made.after, needs)
    assert reached == (closure([wanted], needs) if wanted != "base" else set())
    steps = [step.revision for step in made.steps]
    assert len(steps) == len(set(steps))
    assert _run(made, live).heads == made.after


@given(databases(), st.data())
def test_going_back_is_refused_unless_allowed(
    given_: tuple[History, Live], data: st.DataObject
) -> None:
    """Without the stack's word, no plan holds a step back."""
    history, live = given_
    wanted = data.draw(st.sampled_from(["base", *history.by_id]))

    allowed = plan.make(history, live, Policy(target=wanted, downgrade="allow"))
    back = {step.revision for step in allowed.steps if step.direction == "down"}

    if back:
        with pytest.raises(DowngradeRefusedError) as caught:
            plan.make(history, live, Policy(target=wanted))
        assert set(caught.value.revisions) == back
    else:
        assert plan.make(history, live, Policy(target=wanted)) == allowed


@given(histories())
def test_up_and_down_and_up_is_the_identity(history: History) -> None:
    """What was taken back to base comes again in the same way."""
    up = plan.make(history, Live(), Policy(target="heads"))
    at_head = _run(up, Live())

    down = plan.make(history, at_head, Policy(target="base", downgrade="allow"))
    empty = _run(down, at_head)
    again = plan.make(history, empty, Policy(target="heads"))

    assert empty.heads == ()
    assert [step.revision for step in again.steps] == [step.revision for step in up.steps]
    assert again.digest == up.digest
    assert _run(again, empty).heads == at_head.heads


@given(databases())
def test_at_the_heads_there_is_nothing_to_do(given_: tuple[History, Live]) -> None:
    """A plan that has run leaves an empty plan."""
    history, live = given_
    policy = Policy(target="heads")

    done = _run(plan.make(history, live, policy), live)

    assert plan.make(history, done, policy).steps == ()


@given(databases(), st.data())
def test_an_older_checkout_goes_back_with_the_ledger(
    given_: tuple[History, Live], data: st.DataObject
) -> None:
    """Revisions without a file are taken back by what the ledger kept, or the plan is refused."""
    history, live = given_
    kept = data.draw(st.integers(0, len(history.revisions)))
    older = _history(*history.revisions[:kept])
    recorded = set(live.applied)
    assume(set(live.heads) <= recorded | set(older.by_id))

    try:
        made = plan.make(older, live, Policy(target="heads", downgrade="allow"))
    except (NoWayBackError, UnknownRevisionError):
        assert recorded < closure(live.heads, {r.id: r.needs for r in history.revisions})
    else:
        back = {step.revision: step.script for step in made.steps if step.direction == "down"}
        assert not set(back) & set(older.by_id)
        for id_, script in back.items():
            assert script == live.applied[id_].downgrade


def test_an_unasked_database_is_planned_as_empty() -> None:
    """Before there is a database, all revisions are pending."""
    history = _line(3)

    made = plan.make(history, None, Policy())

    assert [step.revision for step in made.steps] == list(history.by_id)
    assert made.digest == plan.make(history, Live(), Policy()).digest


def test_two_heads_are_refused_with_the_merge_command() -> None:
    """Which of two heads is meant is the user's choice."""
    history = _history(_revision("base0"), _revision("aaaa1", "base0"), _revision("bbbb1", "base0"))

    with pytest.raises(
        HeadsError, match=r"merge heads.* aaaa1 bbbb1\n.* heads.*LABEL@head"
    ) as caught:
        plan.make(history, Live(), Policy())

    assert plan.make(history, Live(), Policy(target="heads")).after == ("aaaa1", "bbbb1")
    assert plan.make(history, Live(), Policy(target="bbbb1, aaaa1")).after == ("aaaa1", "bbbb1")
    assert plan.make(history, Live(), Policy(target="bbbb1,base0")).after == ("bbbb1",)
    assert caught.value.heads == ("aaaa1", "bbbb1")


def test_an_empty_directory_wants_nothing() -> None:
    """A history without revisions has no head, and an empty database is there already."""
    made = plan.make(_history(), Live(), Policy())

    assert made == Plan(notes=made.notes)
    assert "have no revision" in made.notes[0]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("head", ("rev0002",)),
        ("heads", ("rev0002",)),
        ("base", ()),
        ("rev0001", ("rev0001",)),
    ],
)
def test_a_target_has_the_names_of_alembic(name: str, wanted: tuple[str, ...]) -> None:
    """head, heads, base and ids mean what they mean on Alembic's command line."""
    assert plan.target(_line(3), name) == wanted


def test_a_target_may_be_the_beginning_of_an_id_or_a_label() -> None:
    """Four characters are enough where they are enough; a label means its branch's head."""
    labelled = replace(_revision("cafe01", "base00"), labels=("books",))
    history = _history(
        _revision("base00"),
        labelled,
        _revision("cafe02", "cafe01"),
        _revision("cafe99", "base00"),
        _revision("cafe98", "base00"),
    )

    assert plan.target(history, "base0") == ("base00",)
    assert plan.target(history, "books@heads") == ("cafe02",)
    assert plan.target(history, "books@cafe01") == ("cafe01",)
    assert plan.target(history, "books@cafe02, cafe01, cafe98") == ("cafe02", "cafe98")
    assert plan.target(history, "books") == ("cafe02",)
    assert plan.target(history, "books@head") == ("cafe02",)


@pytest.mark.parametrize(
    "name", ["cafe", "none", "", "caf", "books@base", "cafe01,", "cafe01, none", "+1", "cafe01+1"]
)
def test_a_target_that_means_nothing_or_too_much_is_refused(name: str) -> None:
    """A name is one revision, or the plan ends there."""
    history = _history(_revision("cafe01"), _revision("cafe02", "cafe01"))

    with pytest.raises(TargetError, match="Nothing was changed"):
        plan.make(history, Live(), Policy(target=name))


def test_a_revision_that_nobody_knows_is_named() -> None:
    """A database of another application is not migrated."""
    live = Live(heads=("ffff",), versioned=True)

    with pytest.raises(UnknownRevisionError, match="ffff"):
        plan.make(_line(2), live, Policy())


def test_an_older_checkout_is_told_what_it_lacks() -> None:
    """The ledger knows the message and the commit of a revision without a file."""
    newer = _line(3)
    entry = _applied(newer.revisions[2], commit="0123456789abcdef")
    live = replace(_live(newer, "rev0002"), applied={**_live(newer, "rev0001").applied})
    live = replace(live, applied={**live.applied, "rev0002": entry})

    with pytest.raises(DowngradeRefusedError, match=r"message of rev0002.*commit 0123456789ab"):
        plan.make(_line(2), live, Policy())


@pytest.mark.parametrize(
    "downgrade",
    [
        Script(live="it asks the database"),
        Script(live="it says that there is none", absent=True),
    ],
)
def test_no_way_back_stops_before_anything_runs(downgrade: Script) -> None:
    """One revision without a way back refuses the whole plan, whatever is newer."""
    newer = _line(4)
    live = _live(newer, "rev0003")
    entry = replace(live.applied["rev0002"], downgrade=downgrade)
    live = replace(live, applied={**live.applied, "rev0002": entry})

    with pytest.raises(NoWayBackError, match=f"rev0002: {downgrade.live}"):
        plan.make(_line(2), live, _ALLOW)


def test_a_live_downgrade_runs_where_its_file_is() -> None:
    """What could not be rendered can still run through env.py."""
    history = _line(2)
    asks = replace(history.revisions[1], downgrade=Script(live="it asks"))
    history = _history(history.revisions[0], asks)

    made = plan.make(history, _live(history, "rev0001"), Policy(target="base", downgrade="allow"))

    assert [step.script.live for step in made.steps] == ["it asks", ""]


def test_an_edited_revision_is_named_with_both_sums() -> None:
    """What ran is not rewritten behind a database's back, unless the stack accepts it."""
    history = _line(2)
    live = _live(history, "rev0000")
    edited = _applied(history.revisions[0], sha256="another")
    live = replace(live, applied={"rev0000": edited})

    with pytest.raises(EditedRevisionError, match=r"rev0000 in rev0000.py: .*another.*sum-rev0000"):
        plan.make(history, live, Policy())

    made = plan.make(history, live, Policy(edited="accept"))
    assert [step.revision for step in made.steps] == ["rev0001"]
    assert "edited" in made.notes[0]


def test_a_version_table_that_is_gone_is_not_begun_again() -> None:
    """A ledger with revisions and no version table is a mishap, not an empty database."""
    history = _line(2)
    live = replace(_live(history, "rev0001"), heads=(), versioned=False)

    with pytest.raises(LedgerMismatchError, match="alembic_version"):
        plan.make(history, live, Policy())

    made = plan.make(history, live, Policy(adopt="rev0001"))
    assert (made.stamp, made.steps) == (("rev0000", "rev0001"), ())


def test_a_version_table_with_a_row_too_many_is_refused() -> None:
    """A row beside one that includes it was written by hand."""
    with pytest.raises(LedgerMismatchError, match="rev0000"):
        plan.make(_line(2), Live(heads=("rev0000", "rev0001"), versioned=True), Policy())


def test_what_was_done_by_hand_is_a_note() -> None:
    """Plain Alembic beside the node is nobody's mistake."""
    history = _line(3)
    live = replace(_live(history, "rev0000"), heads=("rev0001",))
    assert plan.make(history, live, Policy()).notes == (
        "applied by hand, not by this node: rev0001",
    )

    live = replace(_live(history, "rev0002"), heads=("rev0001",))
    assert plan.make(history, live, Policy()).notes == ("taken back by hand: rev0002",)


def test_an_adopted_database_runs_only_what_it_lacks() -> None:
    """Revisions up to the adopted one are stamped, the others run."""
    made = plan.make(_line(4), Live(), Policy(adopt="rev0001"))

    assert made.stamp == ("rev0000", "rev0001")
    assert [step.revision for step in made.steps] == ["rev0002", "rev0003"]
    assert made.steps[0].before == ("rev0001",)


def test_adopting_again_does_nothing() -> None:
    """The setting may stay: a database with a version is not stamped."""
    history = _line(2)

    made = plan.make(history, _live(history, "rev0000"), Policy(adopt="rev0001"))

    assert made.stamp == ()
    assert [step.revision for step in made.steps] == ["rev0001"]


def test_an_interrupted_revision_is_run_again() -> None:
    """A revision that was begun and is not there may have left a part of itself."""
    history = _line(1)
    live = Live(applied={"rev0000": _applied(history.revisions[0], finished=False)})

    (step,) = plan.make(history, live, Policy()).steps

    assert step.again


def test_online_sends_everything_through_env_py() -> None:
    """With apply: online nothing is sent as rendered, and the preview says why."""
    history = _line(2)
    up = plan.make(history, Live(), Policy(apply="online"))
    down = plan.make(
        history,
        _live(history, "rev0001"),
        Policy(apply="online", target="base", downgrade="allow"),
    )

    assert len(up.steps) == len(down.steps) == 2
    assert all("apply: online" in step.script.live for step in (*up.steps, *down.steps))


def test_online_takes_back_by_the_ledger_what_has_no_file() -> None:
    """Env.py can't run a revision that the checkout lacks."""
    newer = _line(2)

    policy = Policy(apply="online", downgrade="allow")
    (step,) = plan.make(_line(1), _live(newer, "rev0001"), policy).steps

    assert step.script == newer.revisions[1].downgrade


def _drifted(before: dict[str, str], after: dict[str, str]) -> Live:
    history = _line(1)
    return replace(
        _live(history, "rev0000"),
        recorded=Catalog(format=1, objects=before),
        recorded_heads=("rev0000",),
        catalog=Catalog(format=1, objects=after),
    )


def test_drift_is_reported_refused_or_accepted() -> None:
    """An object that was changed by hand is in the plan, or stops it, as the stack says."""
    live = _drifted({"table app.a": "x"}, {"table app.a": "x", "table app.b": "y"})
    expected = (Drift(change="added", object="table app.b", after="y"),)

    assert plan.make(_line(1), live, Policy()).drift == expected
    assert plan.make(_line(1), live, Policy(drift="accept")).drift == expected
    with pytest.raises(DriftError, match=r"app\.b") as caught:
        plan.make(_line(1), live, Policy(drift="refuse"))
    assert caught.value.drift == expected


def test_drift_is_not_told_against_another_revision() -> None:
    """After a run by hand the recorded catalog is that of other heads."""
    live = replace(_drifted({}, {"table app.b": "y"}), recorded_heads=("other",))

    assert plan.make(_line(1), live, Policy(drift="refuse")).drift == ()


def test_only_the_approved_plan_passes() -> None:
    """The digest is of what runs: another statement or another start is another plan."""
    history = _line(2)
    made = plan.make(history, Live(), Policy())

    plan.refuse_unapproved(made, Policy(approved_plan=made.digest))
    plan.refuse_unapproved(made, Policy(approved_plan=made.digest.upper()))
    for approved in (made.digest[:12], made.digest[:63], "0" * 64):
        with pytest.raises(NotApprovedError, match=made.digest):
            plan.refuse_unapproved(made, Policy(approved_plan=approved))
    other = plan.make(history, _live(history, "rev0000"), Policy())
    with pytest.raises(NotApprovedError):
        plan.refuse_unapproved(other, Policy(approved_plan=made.digest))


def test_a_plan_with_nothing_to_run_needs_no_approval() -> None:
    """An approval from last week doesn't stop a run at head."""
    history = _line(1)

    plan.refuse_unapproved(
        plan.make(history, _live(history, "rev0000"), Policy()), Policy(approved_plan="x")
    )


def test_the_digest_changes_with_the_sql_and_not_with_the_words() -> None:
    """A review approves statements; a better message needs no second one."""
    history = _line(1)
    made = plan.make(history, Live(), Policy()).digest

    reworded = _history(replace(history.revisions[0], message="better"))
    rewritten = _history(replace(history.revisions[0], upgrade=_script("other")))

    assert plan.make(reworded, Live(), Policy()).digest == made
    assert plan.make(rewritten, Live(), Policy()).digest != made


def test_every_refusal_says_that_nothing_was_changed() -> None:
    """Whoever reads one knows where they stand."""
    newer = _line(2)
    with pytest.raises(PlanError, match="Nothing was changed"):
        plan.make(_line(1), _live(newer, "rev0001"), Policy())
