"""The SQL of the pending revisions, statement by statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.schema.linting import trees
from infra.schema.rendering.transactions import objection
from infra.schema.statements.lexer import UnfinishedError, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.schema.model import Plan, Script, Step
    from infra.schema.review import Rehearsal

__all__ = ["Pending", "Statement", "pieces", "read", "statements"]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement.

    Attributes:
        revision: Its revision.
        number: Its place in the plan, from 1.
        sql: Its text.
        nodes: What PostgreSQL's parser makes of it: (kind, fields); those inside CREATE SCHEMA too.
        wrong: What the parser says where it can't read it; else empty.
        autocommit: Whether it commits by itself.
    """

    revision: str
    number: int
    sql: str
    nodes: tuple[tuple[str, dict[str, Any]], ...]
    wrong: str = ""
    autocommit: bool = False

    @property
    def hides(self) -> str:
        """SQL inside of it that nobody can see before it runs; empty where there is none."""
        return next((trees.body(fields) for kind, fields in self.nodes if kind == "DoStmt"), "")


@dataclass(frozen=True, kw_only=True)
class Pending:
    """One revision that is to be applied.

    Attributes:
        step: From the plan.
        statements: Its SQL, as far as that is known.
        unknown: Why it is not, or not all; else empty.
        history: Whether the previous release has its file: then it is not looked at.
    """

    step: Step
    statements: tuple[Statement, ...]
    unknown: str = ""
    history: bool = False


def read(plan: Plan, old: Iterable[str], rehearsal: Rehearsal | None) -> tuple[Pending, ...]:
    """Take the revisions to be applied apart, in the order of the plan.

    Args:
        plan: What would run.
        old: The revisions whose files the previous release has.
        rehearsal: Where it is known what a live revision sends.
    """
    pending: list[Pending] = []
    before, known = 0, frozenset(old)
    for step in plan.steps:
        if step.direction == "down":
            continue
        texts, unknown = pieces(step, rehearsal)
        found = tuple(statements(step.revision, texts, before))
        before += len(found)
        pending.append(
            Pending(
                step=step,
                statements=found,
                unknown=unknown,
                history=step.revision in known,
            )
        )
    return tuple(pending)


def pieces(step: Step, rehearsal: Rehearsal | None) -> tuple[list[tuple[str, bool]], str]:
    """Give the texts of a step, whether each commits by itself, and why that is not all."""
    script = step.script
    if not script.live or script.own.parts:  # `apply: online` alone keeps the rendered SQL beside
        return list(_rendered(script)), ""
    own = list(_rendered(script))
    ran = rehearsal.step(step.revision) if rehearsal else None
    if ran is None:
        return own, f"its SQL is known only when it runs: {script.live}"
    alone = [(sent.sql, bool(objection(sent.sql, autocommit=False))) for sent in ran.sent]
    why = f"the rehearsal of it failed, and what came before is all that is known: {ran.failure}"
    known = {text for text, _ in alone}
    return [*(each for each in own if each[0] not in known), *alone], why if ran.failure else ""


def _rendered(script: Script) -> Iterator[tuple[str, bool]]:
    for part in script.parts:
        for text in part.statements:
            yield text, part.autocommit


def statements(
    revision: str, texts: Iterable[tuple[str, bool]], before: int
) -> Iterator[Statement]:
    """Parse the statements of texts; `before` is the number of those that come before them."""
    number = before
    for text, autocommit in texts:
        for sql in _split(text):
            nodes, wrong = trees.parse(sql)
            if any(kind == "TransactionStmt" for kind, _ in nodes):
                continue  # of a rehearsal: env.py's own, which brackets the rest
            number += 1
            yield Statement(
                revision=revision,
                number=number,
                sql=sql,
                nodes=nodes,
                wrong=wrong,
                autocommit=autocommit,
            )


def _split(text: str) -> list[str]:
    try:
        return split(text)
    except UnfinishedError:
        return [text]
