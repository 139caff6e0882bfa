"""What a review of a plan holds: findings, what a rehearsal measured, both catalogs; plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.schema.model import Catalog, Direction, Drift, Plan

__all__ = [
    "LEVELS",
    "Built",
    "DataCheck",
    "Finding",
    "Held",
    "Level",
    "Rehearsal",
    "Rehearsed",
    "Review",
    "Rewritten",
    "Sent",
]

Level = Literal["error", "warning", "note"]

LEVELS: tuple[Level, ...] = ("error", "warning", "note")
"""From the worst; `lint: refuse` stops at the first of them."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that a reviewer should know of a revision.

    Attributes:
        rule: Its name, squawk's or one of our own: "ban-drop-column".
        level: How bad it is, after the configuration.
        revision: The revision that it is about.
        message: One line: what is wrong, and on what.
        help: What to do instead, one line; may be empty.
        statement: The SQL that it is about; empty where it is about the revision as a whole.
        suppressed: The reason that the revision's file gives for letting it pass; else empty.
    """

    rule: str
    level: Level
    revision: str
    message: str
    help: str = ""
    statement: str = ""
    suppressed: str = ""


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """What is known of the rows that a statement depends on.

    Attributes:
        revision: Whose statement it is.
        direction: Which way that revision goes.
        undo: Whether it is the downgrade of a revision that the plan applies.
        number: The statement's place in the revision, from 1; 0 for the revision as a whole.
        statement: Its SQL; empty where that is known only when it runs.
        relation: The table, as SQL writes it; empty where it is not known.
        live: Schema and name of the table in the live database; empty where the plan makes it.
        outcome: "violated": it will fail. "holds": no row stands in its way. "likely": statistics
            say that it will fail. "unchecked": not known. "rehearsed": the live rows can't tell,
            and a rehearsal ran it over rows.
        text: The same in words, one line.
    """

    revision: str
    direction: Direction
    undo: bool = False
    number: int = 0
    statement: str = ""
    relation: str = ""
    live: tuple[str, ...] = ()
    outcome: Literal["violated", "holds", "likely", "unchecked", "rehearsed"]
    text: str


@dataclass(frozen=True, kw_only=True)
class Held:
    """A lock that a rehearsal saw, from the statement that took it until it was given back.

    On relations that were there before: nobody waits for what a revision makes itself.

    Attributes:
        mode: As pg_locks names it, "AccessExclusiveLock".
        relation: Of a table, index, view or sequence: "app.clients", as SQL writes it.
        seconds: How long it was held.
        statement: Number of the statement that took it, from 1; 0 for env.py's own.
        by: "pg_locks", or "manual" where a statement outside of transactions was too quick to be
            looked at, and the lock is the one that PostgreSQL's documentation names.
    """

    mode: str
    relation: str
    seconds: float
    statement: int
    by: Literal["pg_locks", "manual"] = "pg_locks"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A statement that a rehearsal sent.

    Attributes:
        sql: Its text; values that were sent beside it stand behind it in a comment.
        seconds: How long it took.
        wal: Bytes of WAL that it wrote.
    """

    sql: str
    seconds: float
    wal: int


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """A table that was written anew as a whole.

    Attributes:
        relation: Its name, as SQL writes it.
        rows: How many rows the real one has, by the planner's estimate; None where nobody knows.
        bytes: Size of the real one; None where nobody knows.
    """

    relation: str
    rows: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Built:
    """An index that was built, or built anew.

    Attributes:
        index: Its name, as SQL writes it.
        relation: Its table.
        fresh: Whether the table was made by the same revision.
        bytes: Size of the index after the rehearsal.
    """

    index: str
    relation: str
    fresh: bool = False
    bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """One revision as it went on the throwaway server.

    Attributes:
        revision: Its id.
        direction: Whether it was applied or taken back.
        seconds: From the first byte to its commit.
        wal: Bytes of WAL.
        sent: Its statements, in order; of a live revision what env.py sent.
        locks: Every lock on relations of the project, strongest first, each mode and relation once.
        rewritten: Tables that were there before and were written anew.
        emptied: Tables that were truncated.
        built: Indexes.
        failure: Why it failed, in a line; empty where it did not.
    """

    revision: str
    direction: Direction
    seconds: float = 0.0
    wal: int = 0
    sent: tuple[Sent, ...] = ()
    locks: tuple[Held, ...] = ()
    rewritten: tuple[Rewritten, ...] = ()
    emptied: tuple[str, ...] = ()
    built: tuple[Built, ...] = ()
    failure: str = ""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What happened on the throwaway server.

    Attributes:
        base: What the revisions began with, in words: "the live schema, without its rows".
        server: Version of the throwaway server, "17.4".
        steps: The plan's steps in order; after one that failed there are none.
        back: The downgrades that ran afterwards, newest first.
        before: The catalog before the steps.
        after: The catalog after them; None where one failed.
        returned: What is not as before once the downgrades ran; empty where all is, or where they
            did not run.
        unreturned: Why the downgrades did not run, or not to the end; else empty.
        differs: What the models say otherwise than the catalog, a line each.
        uncompared: Why the models were not compared; else empty.
        rows: Rows of each table of the live database, by the planner's estimate, by name as in the
            catalog without "table ".
        generated: Rows that were made up on the throwaway server, by table.
        notes: What a reader should know, a line each: what could not be remade, for example.
        failure: Why the rehearsal failed, the whole message; empty where it did not.
        refused: What failed over made-up rows, in a line, where it ran without rows after all.
    """

    base: str
    server: str
    steps: tuple[Rehearsed, ...] = ()
    back: tuple[Rehearsed, ...] = ()
    before: Catalog
    after: Catalog | None = None
    returned: tuple[Drift, ...] = ()
    unreturned: str = ""
    differs: tuple[str, ...] = ()
    uncompared: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)
    generated: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    failure: str = ""
    refused: str = ""

    def step(self, revision: str) -> Rehearsed | None:
        """Give how a step of the plan went; None where it did not run."""
        return next((step for step in self.steps if step.revision == revision), None)


@dataclass(frozen=True, kw_only=True)
class Review:
    """All that a person should see before they say yes.

    Attributes:
        stack: "project/stack"; empty outside of one.
        plan: What would run; None where there is no plan.
        unplanned: Why there is none; else empty.
        findings: What lint says, the worst first; suppressed ones too.
        rehearsal: What a rehearsal saw; None where there was none.
        refuses: Why `up` would refuse to run this, a line each.
        lint: The stack's `lint`: "off", "report" or "refuse".
        released: The revisions of the plan that the previous release has: history to a reader.
        data_checks: What is known of the rows that statements depend on, in the plan's order.
    """

    stack: str = ""
    plan: Plan | None = None
    unplanned: str = ""
    findings: tuple[Finding, ...] = ()
    rehearsal: Rehearsal | None = None
    refuses: tuple[str, ...] = ()
    lint: str = "report"
    released: tuple[str, ...] = ()
    data_checks: tuple[DataCheck, ...] = ()
