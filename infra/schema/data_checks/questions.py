"""Goes through a plan, and lists what its statements demand of rows that are there already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infra.schema.data_checks.demands import demands
from infra.schema.data_checks.plan_state import PlanState
from infra.schema.linting import course, pending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.schema.data_checks.conditions import Condition, Source
    from infra.schema.data_checks.demands import Demand
    from infra.schema.data_checks.plan_state import Touched
    from infra.schema.linting.trees import Name
    from infra.schema.model import Direction, History, Live, Plan, Step
    from infra.schema.review import Rehearsal

__all__ = ["Question", "questions"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whether the rows of a table satisfy what a statement demands of them.

    Attributes:
        revision: Whose statement it is.
        direction: Which way the revision goes.
        undo: Whether it is the downgrade of a revision that the plan applies.
        number: The statement's place in the revision, from 1.
        statement: Its SQL.
        relation: The table by its name in the plan, as SQL writes it; empty where it is not known.
        condition: What has to hold; None where no SQL is known in advance.
        source: Where the rows are in the live database.
        depends: Why the live rows can't tell; empty where they can.
        touched: Live tables whose rows earlier statements change.
        domain: Where the domain may be whose columns it is about, in the place of one table.
        default_of: The partitioned table whose default partition it is about.
        parted: Partitions that the plan has attached or detached before.
    """

    revision: str
    direction: Direction
    undo: bool = False
    number: int = 0
    statement: str = ""
    relation: str = ""
    condition: Condition | None = None
    source: Source | None = None
    depends: str = ""
    touched: tuple[Touched, ...] = ()
    domain: tuple[Name, ...] = ()
    default_of: Name | None = None
    parted: frozenset[Name] = frozenset()


def questions(
    plan: Plan, history: History, live: Live, rehearsal: Rehearsal | None = None
) -> tuple[Question, ...]:
    """List the questions of a plan, and of the downgrades that a rehearsal of it runs.

    Args:
        plan: What would run.
        history: Its prologue says where names are looked for.
        live: The live database.
        rehearsal: Tells what online revisions send.
    """
    objects = live.catalog.objects if live.catalog else {}
    path = course.search_path(history, live)
    state = PlanState(path, live.role, course.relations(live), objects)
    found: list[Question] = []
    for step in plan.steps:
        found += _of_step(step, state, rehearsal)
    for step in reversed(plan.steps):
        if step.direction == "down" or step.undo.absent:
            break
        back = replace(step, script=step.undo, direction="down")
        found += (replace(each, undo=True) for each in _of_step(back, state, None))
    return tuple(found)


def _of_step(step: Step, state: PlanState, rehearsal: Rehearsal | None) -> Iterator[Question]:
    state.begin()
    up = step.direction == "up"
    texts, unknown = pending.pieces(step, rehearsal if up else None)
    if step.script.live and not step.script.own.parts:
        # A rehearsal has recorded what it sent to other rows: it may change these before.
        why = f"revision {step.revision} runs online, and may change any row"
        state.anything = state.anything or why
    if unknown:
        yield Question(
            revision=step.revision,
            direction=step.direction,
            depends="its SQL is known only when it runs",
        )
    for statement in pending.statements(step.revision, texts, 0):
        touched = tuple(state.touched)
        for demand in demands(statement, state):
            yield _question(step, statement, demand, touched)


def _question(
    step: Step,
    statement: pending.Statement,
    demand: Demand,
    touched: tuple[Touched, ...],
) -> Question:
    return Question(
        revision=step.revision,
        direction=step.direction,
        number=statement.number,
        statement=statement.sql,
        relation=demand.relation,
        condition=demand.condition,
        source=demand.source,
        depends=demand.depends,
        touched=touched,
        domain=demand.domain,
        default_of=demand.default_of,
        parted=demand.parted,
    )
