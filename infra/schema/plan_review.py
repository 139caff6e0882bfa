"""Review of a plan: lint, preflight, data checks and rehearsal, and the refusal of `up` by them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from infra.schema import plan, refusals
from infra.schema.data_checks import findings as data_checks
from infra.schema.review import Review

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infra.schema.data_checks.live_rows import Checked
    from infra.schema.linting.remark import Remark
    from infra.schema.model import History, Plan
    from infra.schema.node import Look, Place, Say, Seen
    from infra.schema.review import DataCheck, Finding, Rehearsal

__all__ = ["refuse_unsound", "review"]


def review(place: Place, seen: Look, *, say: Say, rehearsed: bool) -> Review:
    """Look at a plan as a reviewer does: lint it, and rehearse it where that is wanted.

    Args:
        place: Where.
        seen: What `look` gave.
        say: Told of the rehearsal's progress.
        rehearsed: Whether to rehearse it.

    Raises:
        GroundworkError: Lint or the rehearsal could not be done; a step that fails in a rehearsal
            is no error here, but told in the review.
    """
    options, made = place.options, seen.plan
    if made is None:
        return Review(stack=place.stack, unplanned=seen.unseen, lint=options.lint)
    old = _released(place, seen.history, made)
    rows = _ask_rows(place, seen, made)
    rehearsal = _rehearse(place, seen, made, old, rows.deletes, say) if rehearsed else None
    first = rows.checks
    if rehearsal is not None and any(step.script.live for step in made.steps):
        rows = _ask_rows(place, seen, made, rehearsal)
    checks = data_checks.with_rehearsal(rows.checks, rehearsal)
    ahead = _look_ahead(place, seen, made)
    beside = (*data_checks.remarks(checks, rehearsal), *ahead)
    findings = _lint(place, seen, made, rehearsal, beside)
    # An update has no rehearsal to know the SQL of live revisions from: it refuses without.
    known = findings if rehearsal is None else None
    errors = sorted({each.rule for each in _refusing(place, seen, made, known, first, ahead)})
    refuses = [f"lint found errors, and lint is refuse: {', '.join(errors)}"] if errors else []
    if not plan.approved(made, options.policy):
        refuses.append(f"approved_plan is {options.policy.approved_plan}, and this is another plan")
    return Review(
        stack=place.stack,
        plan=made,
        findings=findings,
        rehearsal=rehearsal,
        refuses=tuple(refuses),
        lint=options.lint,
        released=old,
        data_checks=checks,
    )


def _ask_rows(place: Place, seen: Look, made: Plan, rehearsal: Rehearsal | None = None) -> Checked:
    """Ask the live rows what statements of a plan depend on."""
    from infra.schema.data_checks import live_rows  # noqa: PLC0415 - it loads a parser

    if not made.steps:
        return live_rows.Checked()
    return live_rows.check(
        made, seen.history, seen.live, place.url, place.options, rehearsal=rehearsal
    )


def _released(place: Place, files: History, made: Plan) -> tuple[str, ...]:
    """List the revisions of a plan whose files the previous release has, where `since` says it."""
    if not place.options.since or not made.steps:
        return ()
    from infra.schema.linting import released  # noqa: PLC0415 - at head git is not asked

    old = released.history_files(files, place.folder, place.options.since)
    up = (step.revision for step in made.steps if step.direction == "up")
    return tuple(revision for revision in up if revision in old)


def _rehearse(
    place: Place,
    seen: Look,
    made: Plan,
    old: tuple[str, ...],
    deletes: Sequence[str],
    say: Say,
) -> Rehearsal | None:
    if not made.steps:
        return None
    from infra.schema import rehearse  # noqa: PLC0415 - it runs servers, for those who want it

    terms = rehearse.Terms(
        folder=place.folder,
        url=place.url,
        options=place.options,
        binaries=place.binaries,
        released=old,
        deletes=deletes,
    )
    return rehearse.rehearse(made, seen.history, seen.live, terms, say=say)


def _lint(
    place: Place,
    seen: Look,
    made: Plan,
    rehearsal: Rehearsal | None = None,
    beside: Iterable[Remark] = (),
) -> tuple[Finding, ...]:
    """Lint a plan; what was found `beside` gets its level and its reasons to pass there too."""
    beside = tuple(beside)
    if not made.steps or (place.options.lint == "off" and not beside):
        return ()
    from infra.schema import lint  # noqa: PLC0415 - it loads a parser, where something is pending

    there = seen.live
    if place.borrowed and there is not None and place.options.roles:
        # What the migrator will act as; an administrator looks in its place.
        there = replace(there, role=place.options.roles[0])
    return lint.lint(
        made,
        seen.history,
        there,
        options=place.options,
        folder=place.folder,
        url=place.url,
        rehearsal=rehearsal,
        beside=beside,
    )


def _look_ahead(place: Place, seen: Look, made: Plan) -> tuple[Remark, ...]:
    """Look at what is in a plan's way on the server at this moment."""
    if place.options.lint == "off" or not made.steps:
        return ()
    from infra.schema.preflight import findings  # noqa: PLC0415 - it loads a parser

    return findings.look(made, seen.history, seen.live, place.url, place.options)


def refuse_unsound(place: Place, seen: Seen, say: Say) -> None:
    """Stop before anything runs, where lint finds errors and the stack refuses them.

    What is in the way at this moment is told whatever the stack says.

    Raises:
        UnsoundError: Lint or the live rows have found an error.
    """
    if not seen.plan.steps:
        return
    ahead = _look_ahead(place, seen, seen.plan)
    if place.options.lint == "refuse":
        checks = _ask_rows(place, seen, seen.plan).checks
        refusing = _refusing(place, seen, seen.plan, None, checks, ahead)
        if refusing:
            raise refusals.unsound(refusing)
    if ahead:
        from infra.schema import lint  # noqa: PLC0415 - as in _lint

        for each in lint.told(ahead, seen.plan, place.options):
            if each.level != "note" and not each.suppressed:
                say(f"{each.level}: {each.rule}: {each.message}", warning=True)


def _refusing(
    place: Place,
    seen: Look,
    made: Plan,
    known: tuple[Finding, ...] | None,
    checks: Sequence[DataCheck],
    ahead: Sequence[Remark],
) -> tuple[Finding, ...]:
    """Give the findings for which `up` stops; `known` are those without a rehearsal, if at hand."""
    if place.options.lint != "refuse" or not made.steps:
        return ()
    from infra.schema import lint  # noqa: PLC0415 - it loads a parser, where something is pending

    if known is None:
        known = _lint(place, seen, made, beside=(*data_checks.remarks(checks), *ahead))
    return lint.refusing(known)
