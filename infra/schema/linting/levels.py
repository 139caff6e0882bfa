"""The rules of lint, and how bad each one is where the configuration says nothing else.

An error is what stops readers or writers of a table that is in use for as long as the table is
large, what breaks the release that is running, and what can't run at all. A warning is what may do
so, or does it for a moment. A note is a matter of taste, or of knowing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DATA",
    "NOW",
    "OWN",
    "RULES",
    "SQUAWK",
    "Rule",
    "included",
    "known",
    "level",
    "page",
    "rule_named",
]

Level = Literal["error", "warning", "note", "off"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is known of a rule.

    Attributes:
        level: Where the configuration says nothing else.
        why: What it finds, or why it is off.
        used: Whether it is about what is in use: nothing where that is made by the same plan.
        asked: Whether squawk looks for it only when it is told to.
    """

    level: Level
    why: str
    used: bool = False
    asked: bool = False


def _used(level: Level, why: str) -> Rule:
    return Rule(level=level, why=why, used=True)


def _style(why: str) -> Rule:
    return Rule(level="note", why=why)


def _off(why: str, *, asked: bool = False) -> Rule:
    return Rule(level="off", why=why, used=asked, asked=asked)


def _asked(why: str) -> Rule:
    return _off(why, asked=True)


_OWN_LIMITS = "apply sets both timeouts for every revision"
_WHOLE = "a revision runs as a whole or not at all; what commits by itself is gone on behind"
_APPLY_BEGINS = "apply begins and ends transactions, and refuses revisions that do"
_GROWS = "what only comes on top is how a schema grows; squawk looks when told to"
_RIGHTS = "rights follow the stack, which shows them; squawk looks when told to"
_HARMLESS = "PostgreSQL does it at once and clients seldom notice; squawk looks when told to"

SQUAWK: Mapping[str, Rule] = {
    # What holds everybody up while a table is read or written anew.
    "adding-field-with-default": _used("error", "a column that rewrites its table"),
    "adding-foreign-key-constraint": _used("error", "a foreign key checked while writers wait"),
    "adding-not-nullable-field": _used("error", "SET NOT NULL scans the table while all wait"),
    "adding-serial-primary-key-field": _used("error", "a primary key built while all wait"),
    "ban-alter-domain-with-add-constraint": _used("error", "checked on all tables of the domain"),
    "changing-column-type": _used("error", "another type rewrites the table while all wait"),
    "constraint-missing-not-valid": _used("error", "a constraint checked while writers wait"),
    "disallowed-unique-constraint": _used("error", "a unique index built while all wait"),
    "prefer-repack": _used("error", "VACUUM FULL or CLUSTER: the table is copied while all wait"),
    "require-concurrent-index-creation": _used("error", "an index built while writers wait"),
    "require-concurrent-reindex": _used("error", "an index built anew while all wait"),
    "require-concurrent-index-deletion": _used("warning", "all wait, for a moment"),
    "require-concurrent-partition-detach": _used("warning", "all wait, for a moment"),
    # What breaks the running release, or takes data away.
    "adding-required-field": _used("error", "a column that the running release does not fill"),
    "ban-drop-column": _used("error", "a column goes, with its data"),
    "ban-drop-database": _used("error", "a database goes, with its data"),
    "ban-drop-schema": _used("error", "a schema goes, with all that is in it"),
    "ban-drop-table": _used("error", "a table goes, with its data"),
    "ban-set-schema": _used("error", "it is no longer where the running release looks"),
    "ban-truncate-cascade": _used("error", "tables are emptied that the statement does not name"),
    "renaming-column": _used("error", "the running release uses the old name"),
    "renaming-table": _used("error", "the running release uses the old name"),
    "renaming-object": _used("warning", "the running release may use the old name"),
    "ban-alter-identity": _used("warning", "inserts of the running release may fail"),
    "ban-drop-default": _used("warning", "inserts of the running release may need it"),
    "ban-drop-domain": _used("warning", "the running release may use it"),
    "ban-drop-extension": _used("warning", "its functions, types and operators go too"),
    "ban-drop-function": _used("warning", "the running release may call it"),
    "ban-drop-generated-expression": _used("warning", "the running release does not fill it"),
    "ban-drop-not-null": _used("warning", "the running release may not expect NULL"),
    "ban-drop-sequence": _used("warning", "the running release may use it"),
    "ban-drop-type": _used("warning", "the running release may use it"),
    "ban-drop-view": _used("warning", "the running release may read it"),
    "ban-drop-constraint": _used("note", "the running release may rely on it"),
    # What can't run, or does not do what it seems to.
    "syntax-error": Rule(level="error", why="PostgreSQL can't read it"),
    "ban-concurrent-index-creation-in-transaction": Rule(
        level="error", why="CONCURRENTLY can't be in a transaction"
    ),
    "ban-duplicate-column-assignments": Rule(level="error", why="a column is given two values"),
    "identifier-too-long": Rule(level="warning", why="PostgreSQL cuts names at 63 bytes"),
    # A matter of taste.
    "ban-char-field": _style("char(n) is padded with blanks; text is not"),
    "ban-create-domain-with-constraint": _style("a domain's constraint is hard to change later"),
    "prefer-bigint-over-int": _style("int ends at 2,147,483,647"),
    "prefer-bigint-over-smallint": _style("smallint ends at 32,767"),
    "prefer-identity": _style("an identity column instead of serial"),
    "prefer-text-field": _style("text with a check instead of varchar(n)"),
    "prefer-timestamp-tz": _style("timestamp forgets the time zone"),
    "require-enum-value-ordering": _style("where a new value of an enum stands"),
    # What does not fit the way in which revisions run here.
    "prefer-robust-stmts": _off(_WHOLE),
    "require-lock-timeout": _off(_OWN_LIMITS),
    "require-statement-timeout": _off(_OWN_LIMITS),
    "require-timeout-settings": _off(_OWN_LIMITS),
    "transaction-nesting": _off(_APPLY_BEGINS),
    "ban-uncommitted-transaction": _off(_APPLY_BEGINS),
    "unused-ignore": _off("squawk's comments do not count: a suppression stands in lint_ignore"),
    # What squawk looks for only when it is told to.
    "require-table-schema": _off("search_path says the schema here", asked=True),
    "ban-add-column": _asked(_GROWS),
    "ban-add-composite-attribute": _asked(_GROWS),
    "ban-add-enum-value": _asked(_GROWS),
    "ban-alter-extension": _asked(_GROWS),
    "ban-new-write-restriction": _asked(_GROWS),
    "ban-alter-policy-condition": _asked(_RIGHTS),
    "ban-alter-policy-roles": _asked(_RIGHTS),
    "ban-alter-role-options": _asked(_RIGHTS),
    "ban-alter-row-level-security": _asked(_RIGHTS),
    "ban-create-policy": _asked(_RIGHTS),
    "ban-drop-policy": _asked(_RIGHTS),
    "ban-revoke": _asked(_RIGHTS),
    "ban-alter-database-options": _asked(_HARMLESS),
    "ban-alter-function-options": _asked(_HARMLESS),
    "ban-alter-generated-expression": _asked(_HARMLESS),
    "ban-alter-sequence-values": _asked(_HARMLESS),
    "ban-alter-system-options": _asked(_HARMLESS),
    "ban-alter-view-options": _asked(_HARMLESS),
    "ban-detach-inheritance": _asked(_HARMLESS),
    "ban-disable-trigger": _asked(_HARMLESS),
    "ban-drop-index": _asked(_HARMLESS),
    "ban-drop-trigger": _asked(_HARMLESS),
    "ban-replace-view-function": _asked(_HARMLESS),
    "ban-replica-identity": _asked(_HARMLESS),
    "ban-set-default": _asked(_HARMLESS),
}
"""Every rule of squawk 2.70."""

OWN: Mapping[str, Rule] = {
    "column-still-used": Rule(level="error", why="the previous release's models have the column"),
    "table-still-used": Rule(level="error", why="the previous release's models have the table"),
    "models-unknown": Rule(level="note", why="why the previous release's models are not known"),
    "type-missing": Rule(level="error", why="the server has no such type, and nothing makes it"),
    "extension-missing": Rule(level="error", why="the server does not offer the extension"),
    "extension-version-missing": Rule(level="error", why="the server lacks the version"),
    "table-out-of-reach": Rule(level="warning", why="no declared role owns or reaches the table"),
    "owner-unknown": Rule(level="error", why="the server has no role that is to own something"),
    "downgrade-loses-data": Rule(
        level="note", why="what goes with its data when the revision is taken back"
    ),
    "setting-ends-with-revision": Rule(
        level="note", why="a setting that plain Alembic keeps for the revisions after it"
    ),
    "no-way-back": Rule(level="warning", why="the revision can't be taken back"),
    "rows-violate": Rule(level="error", why="rows that are there make it fail"),
    "rows-may-violate": Rule(level="warning", why="statistics say that rows make it fail"),
    "rows-not-checked": Rule(level="warning", why="whether rows make it fail is not known"),
    "made-up-rows-fail": Rule(level="warning", why="a revision fails over made-up rows alone"),
    "downgrade-rows-violate": Rule(level="warning", why="rows that are there stop the downgrade"),
    "long-transaction": Rule(level="warning", why="an old transaction is in the way now"),
    "dump-or-vacuum-running": Rule(level="warning", why="pg_dump or VACUUM is in the way now"),
    "replication-slot-behind": Rule(level="warning", why="a replication slot keeps WAL"),
    "not-enough-space": Rule(level="error", why="less space is free than a rewrite needs"),
    "cascade-reaches": Rule(level="warning", why="what a CASCADE takes along or empties"),
    "sequence-nearly-used-up": Rule(level="warning", why="a sequence is above 80% of its end"),
    "not-looked-ahead": Rule(level="note", why="what is in the way now is not known, and why"),
    "not-linted": Rule(level="note", why="SQL that can't be looked at, and why"),
    "unused-suppression": Rule(level="warning", why="lint_ignore names what is not found"),
    "suppression-without-reason": Rule(level="error", why="lint_ignore gives no reason"),
    "unknown-rule": Rule(level="warning", why="lint_levels names a rule that nobody knows"),
}
"""The rules that are our own."""

NOW = frozenset(
    {
        "cascade-reaches",
        "dump-or-vacuum-running",
        "long-transaction",
        "not-enough-space",
        "not-looked-ahead",
        "replication-slot-behind",
        "sequence-nearly-used-up",
    }
)
"""Those about what a server does at this moment: another day it does something else."""

DATA = NOW | frozenset(rule for rule in OWN if "rows-" in rule)
"""Those about one database: another one has other rows, sessions and sizes."""

RULES: Mapping[str, Rule] = {**SQUAWK, **OWN}

_ALIASES = {"prefer-timestamptz": "prefer-timestamp-tz"}  # squawk knows it by both


def known(rule: str) -> bool:
    """Tell whether there is a rule of that name."""
    return rule_named(rule) in RULES


def rule_named(name: str) -> str:
    """Give the one name of a rule that has several."""
    return _ALIASES.get(name, name)


def page(rule: str) -> str:
    """Give the URL that explains a rule of squawk's; empty for our own."""
    return f"https://squawkhq.com/docs/{rule}" if rule in SQUAWK else ""


def level(rule: str, levels: Mapping[str, str]) -> str:
    """Give the level of a rule: "error", "warning", "note" or "off".

    Args:
        rule: Its name; one that a later squawk brings is a warning.
        levels: What the configuration says, by rule.
    """
    chosen = {rule_named(name): value for name, value in levels.items()}
    found = RULES.get(rule)
    return chosen.get(rule, found.level if found else "warning")


def included(levels: Mapping[str, str]) -> tuple[str, ...]:
    """List the rules that squawk must be told to look for."""
    return tuple(
        name for name, rule in SQUAWK.items() if rule.asked and level(name, levels) != "off"
    )
