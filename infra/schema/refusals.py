"""The words of a plan that can't be made: what is in the way, on what, and what to do about it.

Nothing has been changed when one of these is raised, and each says so.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from infra.project import spelled
from infra.schema import catalog
from infra.schema.errors import (
    AdoptionError,
    DowngradeRefusedError,
    DriftError,
    EditedRevisionError,
    HeadsError,
    LedgerMismatchError,
    MisplacedError,
    NotApprovedError,
    NoWayBackError,
    PlanMovedError,
    TargetError,
    UnknownRevisionError,
    UnsendableError,
    UnsoundError,
)
from infra.schema.statements.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.schema.model import Applied, Drift, History, Live, Plan, Revision, Step
    from infra.schema.review import Finding

__all__ = [
    "PREFIX",
    "downgrade",
    "drifted",
    "edited",
    "misplaced",
    "moved",
    "no_drift",
    "no_target",
    "no_way_back",
    "not_alike",
    "not_approved",
    "redundant_rows",
    "several_heads",
    "unknown",
    "unsendable",
    "unsound",
    "version_table_gone",
]

_RELATIVE = re.compile(r"[+-]\d+$")
PREFIX = 4
"""Characters of a revision that name it at least, as in Alembic."""

_KEPT = "Nothing was changed."
_SHORT = 12  # digits of a checksum that a person compares
_LINES = 20


def several_heads(history: History) -> HeadsError:
    """Word that the files end in more than one revision."""
    known = history.by_id
    heads = "\n".join(f"  {head}  {known[head].message}" for head in history.heads)
    return HeadsError(
        f"The migrations have {len(history.heads)} heads, so that head means nothing:\n{heads}\n"
        f'{_KEPT} Merge them: alembic merge -m "merge heads" {" ".join(history.heads)}\n'
        "Or, where the directory is not yours: set revision to heads, which runs all of them; to"
        f" some, {history.heads[0]} or LABEL@head, with commas between several; or merge them in a"
        " version location of your own (docs/schema-node.md, Several heads).",
        heads=history.heads,
    )


def no_target(history: History, name: str, found: Sequence[str]) -> TargetError:
    """Word that a name means no revision, or more than one."""
    what = f"means {len(found)}: {', '.join(sorted(found))}" if found else "is none of them"
    if _RELATIVE.search(name):
        what += " (what is relative to the database would lead further with each run)"
    return TargetError(
        f"The migrations have {len(history.revisions)} revisions, and {name!r} {what}. {_KEPT}"
        " Name a whole revision, LABEL@head, head, heads or base, or several with commas."
    )


def unknown(history: History, heads: Sequence[str]) -> UnknownRevisionError:
    """Word that the database is at a revision that nobody knows here."""
    return UnknownRevisionError(
        f"The database is at {_listed(heads)}, which the migrations lack and the ledger has no"
        f" record of. {_KEPT} Take the checkout that has it, or another database; if its file was"
        f" deleted, restore it. alembic_version here: {history.version_table}."
    )


def redundant_rows(history: History, rows: Sequence[str]) -> LedgerMismatchError:
    """Word that the version table lists a revision beside one that includes it."""
    return LedgerMismatchError(
        f"The table {history.version_table} lists {_listed(rows)} beside a revision that includes"
        f" it already. {_KEPT} Somebody wrote that table by hand: delete that row, then run again."
    )


def version_table_gone(history: History, live: Live, there: Sequence[str]) -> LedgerMismatchError:
    """Word that the ledger knows of revisions, and the version table is not there."""
    return LedgerMismatchError(
        f"The ledger has {len(there)} applied revisions, and the table {history.version_table} is"
        f" not in schema {live.schema}: it was dropped, renamed, or the search_path leads"
        f" elsewhere. {_KEPT} Restore it; or, where the tables are still there, set adopt to the"
        " revision that they have."
    )


def misplaced(history: History, live: Live, *, wanted: str, found: str) -> MisplacedError:
    """Word that the tables are in another schema than the one to migrate."""
    table = f"{identifier(wanted)}.{identifier(history.version_table)}"
    return MisplacedError(
        f"The database {live.database} has {history.version_table}, or the tables that these"
        f" migrations make, in schema {found!r}, and this stack's schema is {wanted!r}, which has"
        f" none of them: they would be made there once more, empty. {_KEPT} Set the schema with:"
        f" pulumi config set {spelled('schema')} {shlex.quote(found)}. If those are another"
        f" application's, make the version table first: CREATE TABLE {table} (version_num"
        " varchar(32) PRIMARY KEY)."
    )


def edited(revisions: Sequence[tuple[Revision, Applied]]) -> EditedRevisionError:
    """Word that files are no longer what ran."""
    lines = "\n".join(
        f"  {revision.id} in {revision.file}: ran as {entry.sha256[:_SHORT]}, is now"
        f" {revision.sha256[:_SHORT]}"
        for revision, entry in revisions
    )
    return EditedRevisionError(
        f"Edited after it ran:\n{lines}\n{_KEPT} Restore the file and write what you want in a new"
        " revision; or set edited to accept, if the change means nothing to the database."
    )


def downgrade(history: History, lost: Sequence[Applied]) -> DowngradeRefusedError:
    """Word that the way leads back, and the stack does not allow that."""
    files = history.by_id
    lines = "\n".join(f"  {_entry(entry, files.get(entry.revision))}" for entry in lost[:_LINES])
    missing = [entry for entry in lost if entry.revision not in files]
    why = (
        f"The database has {_count(missing)} this checkout lacks"
        if missing
        else f"The database has {_count(lost)} the target does not include"
    )
    return DowngradeRefusedError(
        f"{why}:\n{lines}\n{_KEPT} Take a checkout that has them; or set downgrade to allow, and"
        " they are taken back, newest first.",
        revisions=tuple(entry.revision for entry in lost),
    )


def no_way_back(history: History, live: Live, stuck: Sequence[str]) -> NoWayBackError:
    """Word that a revision can't be taken back."""
    known = history.by_id
    lines = []
    for id_ in stuck:
        entry, revision = live.applied.get(id_), known.get(id_)
        script = revision.downgrade if revision else entry.downgrade if entry else None
        why = script.live if script and script.live else "nobody recorded how"
        lines.append(f"  {id_}: {why}")
    return NoWayBackError(
        "There is no way back through:\n" + "\n".join(lines) + f"\n{_KEPT} Take a checkout that has"
        " the file and can run its downgrade, or restore a backup."
    )


def unsendable(steps: Sequence[Step]) -> UnsendableError:
    """Word that revisions send what only psql can, or what waits for data of the client."""
    lines = [f"  {each.revision} ({each.file}): {each.script.refused}" for each in steps]
    return UnsendableError("What is pending can't be sent:\n" + "\n".join(lines) + f"\n{_KEPT}")


def drifted(drift: Sequence[Drift]) -> DriftError:
    """Word what was changed by hand."""
    return DriftError(
        f"Changed by hand, and neither reverted nor accepted:\n{_changes(drift)}\n{_KEPT} Revert"
        " it; or accept it, object by object, by the name before 'was': in acceptedDrift of the"
        " stack's configuration, or with python -m infra.schema drift accept OBJECT",
        drift=tuple(drift),
    )


def no_drift(name: str, drift: Sequence[Drift]) -> TargetError:
    """Word that an object was not changed by hand."""
    there = f" These are:\n{_changes(drift)}\n" if drift else " Nothing is. "
    return TargetError(f"{name!r} is not changed by hand.{there}{_KEPT}")


def not_approved(plan: Plan, approved: str) -> NotApprovedError:
    """Word that the plan is not the one that was reviewed."""
    if approved.lower() == plan.former_digest:
        return NotApprovedError(
            f"approved_plan is {approved}, as an earlier version would call this plan. That digest"
            " left out the SQL that env.py itself sends, and the files that revisions without SQL"
            f" in advance load; the digest of today covers them: {plan.digest}. {_KEPT} Review the"
            " preview again, then set approved_plan to its digest."
        )
    return NotApprovedError(
        f"The plan is {plan.digest}, and approved_plan is {approved}: what would run is not what"
        f" was reviewed. {_KEPT} Review the preview again, then set approved_plan to its digest."
    )


def unsound(findings: Sequence[Finding]) -> UnsoundError:
    """Word that lint found errors, and the stack refuses them."""
    lines = [f"  {each.revision} {each.rule}: {each.message}" for each in findings[:_LINES]]
    if len(findings) > _LINES:
        lines.append(f"  and {len(findings) - _LINES} more")
    listed = "\n".join(lines)
    return UnsoundError(
        f"Lint found errors, and the stack refuses them (lint is refuse):\n{listed}\n{_KEPT} Fix"
        ' the revisions; or let one pass with lint_ignore = {"RULE": "REASON"} in its file.',
        findings=tuple(findings),
    )


def moved(plan: Plan) -> PlanMovedError:
    """Word that the plan is not the one that was shown."""
    return PlanMovedError(
        f"Files or database have moved since the preview: what would run now, from"
        f" {_listed(plan.before) or 'base'}, is another plan ({plan.digest}). {_KEPT} Look"
        " at a new preview, then run again."
    )


def not_alike(revision: str, different: Sequence[Drift]) -> AdoptionError:
    """Word what a database lacks or has too much to be taken for a revision."""
    return AdoptionError(
        f"The database is not what {revision} makes:\n{_changes(different)}\n{_KEPT} Here 'added'"
        " is what the database has and the revision does not make. Bring the one to the other, or"
        " set adopt to another revision.",
        drift=tuple(different),
    )


def _changes(drift: Sequence[Drift]) -> str:
    lines = [f"  {catalog.worded(change)}" for change in drift[:_LINES]]
    if len(drift) > _LINES:
        lines.append(f"  and {len(drift) - _LINES} more")
    return "\n".join(lines)


def _count(entries: Sequence[Applied]) -> str:
    return "a revision that" if len(entries) == 1 else f"{len(entries)} revisions that"


def _entry(entry: Applied, revision: Revision | None) -> str:
    message = entry.message or (revision.message if revision else "")
    commit = f" (commit {entry.commit[:_SHORT]})" if entry.commit else ""
    return f"{entry.revision}  {message}{commit}".rstrip()


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids)
