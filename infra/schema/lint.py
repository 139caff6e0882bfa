"""What a reviewer should know of the revisions that would be applied; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

from infra.schema.linting import (
    course,
    levels,
    numbering,
    pending,
    quick,
    reach,
    released,
    server,
    session_settings,
    squawk,
    suppressions,
    trees,
    wanted,
    wayback,
    widening,
)
from infra.schema.linting.remark import Remark
from infra.schema.review import LEVELS, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from infra.schema.linting.course import Moment
    from infra.schema.linting.pending import Pending
    from infra.schema.model import History, Live, Plan
    from infra.schema.options import Options
    from infra.schema.review import Level, Rehearsal

__all__ = ["lint", "refusing", "told"]

_MAJOR = 17
"""The server's version where nobody knows it: what this project makes."""

# A rehearsal saw whether these wrote their table anew.
_REWRITES = frozenset({"adding-field-with-default", "changing-column-type"})


def lint(  # noqa: PLR0913 - a plan, and all that may be known beside it
    plan: Plan,
    history: History,
    live: Live | None,
    *,
    options: Options,
    folder: Path,
    url: str | None,
    rehearsal: Rehearsal | None = None,
    beside: Iterable[Remark] = (),
) -> tuple[Finding, ...]:
    """Look at the revisions that a plan would apply; the worst first, then in the plan's order.

    Args:
        plan: What would run; what goes back is not looked at.
        history: What the files say.
        live: What the database has; None where it is still to be made.
        options: `lint`, `lint_levels`, `since`, and the stack's roles.
        folder: The folder that was compiled, inside of its repository.
        url: libpq URL of the database, which is asked for types, extensions and roles; None
            leaves that out.
        rehearsal: Tells what live revisions send, and which tables are written anew.
        beside: What others have found, about rows for example; it is there with lint off too.

    Raises:
        LintError: `since` is no commit here, or squawk can't be run.
        LiveError: The database does not answer.
    """
    if options.lint == "off" or not any(step.direction == "up" for step in plan.steps):
        return told(beside, plan, options)
    old = released.history_files(history, folder, options.since) if options.since else ()
    all_ = pending.read(plan, old, rehearsal)
    if all(each.history for each in all_):
        return told(beside, plan, options)
    way = tuple(course.follow(all_, history, live))
    seen = _Seen(
        way=way,
        live=live,
        history=history,
        options=options,
        folder=folder,
        url=url,
        beside=tuple(beside),
    )
    return _settled(seen, rehearsal)


def told(remarks: Iterable[Remark], plan: Plan, options: Options) -> tuple[Finding, ...]:
    """Give remarks of others their levels, and the reasons of files to let them pass.

    Args:
        remarks: What was found.
        plan: Its steps say what their files let pass.
        options: `lint_levels`.
    """
    steps = {step.revision: pending.Pending(step=step, statements=()) for step in plan.steps}
    found = [_finding(each, steps.get(each.revision), options) for each in remarks]
    return _ordered(filter(None, found))


def refusing(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Give the findings that `lint: refuse` stops at: errors without a reason to let them pass."""
    return tuple(each for each in findings if each.level == "error" and not each.suppressed)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """The plan, statement by statement, and what is known beside it."""

    way: Sequence[tuple[Pending, tuple[Moment, ...]]]
    live: Live | None
    history: History
    options: Options
    folder: Path
    url: str | None
    beside: tuple[Remark, ...]

    @property
    def new(self) -> tuple[Pending, ...]:
        """The revisions that are not history."""
        return tuple(each for each, _ in self.way if not each.history)

    @property
    def first(self) -> bool:
        """Whether nothing that is pending has run elsewhere."""
        return not any(each.history for each, _ in self.way)

    @property
    def asked(self) -> bool:
        """Whether there is a server to ask."""
        return self.live is not None and self.url is not None

    def remarks(self) -> Iterator[Remark]:
        """Give what every rule finds, suppressions apart."""
        major = self.live.server // 10_000 if self.live and self.live.server else _MAJOR
        settings = self.options.lint_levels
        idle = {each.statement.number for _, way in self.way for each in way if each.idle}
        yield from squawk.look(self.new, major=major, settings=settings, idle=idle)
        yield from numbering.look(self.new)
        yield from released.look(self.way, self.live, options=self.options, folder=self.folder)
        if self.live is not None and self.told is not None:
            yield from wanted.look(self.way, self.told, self.live)
            yield from reach.look(self.way, self.told, self.live, self.options.roles)
        yield from session_settings.look(self.new)
        yield from wayback.look(self.new)
        yield from self.beside
        for each in self.new:
            if each.unknown:
                yield Remark(rule="not-linted", revision=each.step.revision, message=each.unknown)

    @cached_property
    def told(self) -> server.Server | None:
        """What the server tells; None where there is none, or nothing to ask it about."""
        statements = [each for one, _ in self.way for each in one.statements]
        if self.live is None or self.url is None or not statements:
            return None
        return server.ask(
            self.history,
            self.url,
            types={name for each in statements for _, name in wanted.types(each)},
            extensions={name for each in statements for name in wanted.extensions(each)},
        )

    @cached_property
    def proven(self) -> frozenset[int]:
        """The statements that set NOT NULL what a check has proven."""
        return quick.proven(self.way, self.told.checks if self.told else ())

    def harmless(self, remark: Remark, moment: Moment | None) -> bool:
        """Tell whether nobody is held up after all: it is about what is new, or done at once."""
        if moment is None:
            return False
        at_once = {
            "ban-drop-extension": lambda: self.first and quick.unknown_before(moment, self.live),
            "ban-drop-function": lambda: self.first and quick.unknown_before(moment, self.live),
            "adding-not-nullable-field": lambda: moment.statement.number in self.proven,
            "changing-column-type": lambda: widening.only(moment, self.live),
            "require-concurrent-index-creation": lambda: quick.only_parent(moment, self.live),
        }
        if remark.rule in at_once and at_once[remark.rule]():
            return True
        return moment.unused and remark.rule in levels.SQUAWK and levels.SQUAWK[remark.rule].used


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(dict.fromkeys(findings), key=lambda each: LEVELS.index(each.level)))


def _settled(seen: _Seen, rehearsal: Rehearsal | None) -> tuple[Finding, ...]:
    """Give levels and suppressions to what was found, and put it in order."""
    found = list(seen.remarks())
    moments = {moment.statement.number: moment for _, way in seen.way for moment in way}
    counting = [
        _measured(_placed(each, moments), rehearsal)
        for each in found
        if not seen.harmless(each, moments.get(each.number))
    ]
    counting += suppressions.look(
        seen.new, {(each.revision, each.rule) for each in found}, _unchecked(seen, found)
    )
    counting += _unknown_rules(seen.options)
    order = {each.step.revision: place for place, each in enumerate(seen.new)}
    by_id = {each.step.revision: each for each in seen.new}
    counting.sort(key=lambda each: (order.get(each.revision, -1), each.number))
    findings = [
        finding
        for each in counting
        if (finding := _finding(each, by_id.get(each.revision), seen.options))
    ]
    return _ordered(findings)


def _placed(remark: Remark, moments: Mapping[int, Moment]) -> Remark:
    """Say on what, where squawk says only what."""
    moment = moments.get(remark.number)
    if moment is None or remark.rule not in levels.SQUAWK:
        return remark
    names = moment.about or sorted(moment.made.relations)
    on = ", ".join(dict.fromkeys(trees.written(*name) for name in names))
    return replace(remark, message=f"{remark.message.rstrip('.')}: {on}") if on else remark


def _measured(remark: Remark, rehearsal: Rehearsal | None) -> Remark:
    """Add what a rehearsal saw; the level stays, since `up` decides without a rehearsal."""
    ran = rehearsal.step(remark.revision) if rehearsal else None
    if remark.rule not in _REWRITES or ran is None or ran.failure or ran.rewritten:
        return remark
    return replace(remark, message=f"{remark.message}; the rehearsal saw no table written anew")


def _finding(remark: Remark, revision: Pending | None, options: Options) -> Finding | None:
    level = levels.level(remark.rule, options.lint_levels)
    if level == "off":
        return None
    return Finding(
        rule=remark.rule,
        level=cast("Level", level),
        revision=remark.revision,
        message=" ".join(remark.message.splitlines()),
        help=remark.help,
        statement=remark.statement,
        suppressed=suppressions.reason(revision, remark.rule) if revision else "",
    )


def _unchecked(seen: _Seen, found: Iterable[Remark]) -> set[tuple[str, str]]:
    """List what could not be looked for in a revision: a suppression of that may be of use yet."""
    rules = {rule for rule in levels.RULES if levels.level(rule, seen.options.lint_levels) == "off"}
    if not seen.asked:
        rules |= wanted.RULES | reach.RULES
    rules |= levels.DATA
    if any(each.rule == "models-unknown" for each in found):
        rules |= released.RULES
    unchecked = {(each.step.revision, rule) for each in seen.new for rule in rules}
    # On another database, these tables may be in use.
    fresh = {each.statement.revision for _, way in seen.way for each in way if each.unused}
    unchecked |= {(revision, rule) for revision in fresh for rule in released.RULES}
    partly = {each.revision for each in found if each.rule in {"not-linted", "syntax-error"}}
    return unchecked | {(revision, rule) for revision in partly for rule in levels.RULES}


def _unknown_rules(options: Options) -> Iterator[Remark]:
    for rule in options.lint_levels:
        if not levels.known(rule):
            yield Remark(
                rule="unknown-rule",
                revision="",
                message=f"lint_levels names {rule}, and there is no rule of that name",
                help="See docs/lint.md for their names.",
            )
