"""What the previous release uses, and whether a pending revision takes that away."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from infra.schema import history as histories
from infra.schema.errors import HistoryError, LintError
from infra.schema.linting import checkouts, trees
from infra.schema.linting.remark import Remark
from infra.schema.statements.sentence import Sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infra.schema.invocation import Invocation
    from infra.schema.linting.course import Gone, Moment
    from infra.schema.linting.pending import Pending
    from infra.schema.linting.trees import Name
    from infra.schema.model import Applied, History, Live
    from infra.schema.options import Options

__all__ = ["RULES", "history_files", "look"]

RULES = frozenset({"column-still-used", "table-still-used"})
_SHORT = 12
_ADVICE = "Release code that does without it first; drop or rename it with the release after that."


def history_files(history: History, folder: Path, since: str) -> frozenset[str]:
    """List the revisions whose files a commit has already, whatever stands in them.

    By their path; or where they were moved, as they are.

    Args:
        history: What the files say now.
        folder: As it was compiled.
        since: The commit, tag or branch.

    Raises:
        LintError: It can't be asked.
    """
    try:
        commit = checkouts.commit(folder, since)
        old = checkouts.files(folder, commit) | checkouts.renamed(folder, commit).keys()
    except LintError as exc:
        raise LintError(
            f"since is {since!r}, and what it holds can't be told: {exc or 'git failed'}. Nothing"
            " was changed. Name a commit, tag or branch that this checkout has, or leave since"
            " empty."
        ) from exc
    start = folder if folder.is_dir() else folder.parent
    root = Path(os.path.normpath(start.absolute() / history.root))
    places = {
        revision.id: (root / revision.path).parent.resolve() / (root / revision.path).name
        for revision in history.revisions
        if revision.path
    }
    return frozenset(id_ for id_, place in places.items() if place in old)


def look(
    course: Sequence[tuple[Pending, tuple[Moment, ...]]],
    live: Live | None,
    *,
    options: Options,
    folder: Path,
) -> Iterator[Remark]:
    """Give what goes that the previous release's models have, or why these are not known.

    They are looked up only where something goes.

    Args:
        course: The plan, statement by statement.
        live: Its ledger names the previous release where `since` does not.
        options: `since`, and how Alembic is called.
        folder: As it was compiled.
    """
    last = _made(course)
    going = [
        (moment, gone)
        for pending, moments in course
        if not pending.history
        for moment in moments
        for gone in moment.gone
        if last.get((gone.relation, gone.column), 0) <= moment.statement.number
    ]
    if not going:
        return
    release = options.since or _deployed(live)
    models: Mapping[str, tuple[str, ...]] = {}
    why = "neither since nor the ledger names a commit"
    if release:
        models, why = _models(folder, release, options.invocation)
    if why:
        yield Remark(
            rule="models-unknown",
            revision=going[0][0].statement.revision,
            message=f"whether the previous release still uses what goes can't be told: {why}",
            help="Set since to the commit or tag of the release that is running.",
            number=going[0][0].statement.number,
        )
    tables = {_key(name): columns for name, columns in models.items()}
    for moment, gone in going:
        if _used(gone, moment.path, tables):
            yield _remark(moment, gone, release)


def _made(
    course: Sequence[tuple[Pending, tuple[Moment, ...]]],
) -> Mapping[tuple[Name, str], int]:
    """Give the number of the last statement that makes each relation and column.

    What is made again under its old name is not missed: a view in place of a table, for example.
    """
    last: dict[tuple[Name, str], int] = {}
    for _, moments in course:
        for moment in moments:
            last.update({(name, ""): moment.statement.number for name in moment.made.relations})
            last.update(dict.fromkeys(moment.made.columns, moment.statement.number))
    return last


def _deployed(live: Live | None) -> str:
    """Give the commit that ran the newest revision."""
    there = [each for each in live.applied.values() if each.commit] if live else []
    return max(there, key=_time).commit if there else ""


def _time(applied: Applied) -> float:
    try:
        return datetime.fromisoformat(applied.at).timestamp()
    except ValueError:
        return 0.0


def _models(
    folder: Path, release: str, invocation: Invocation
) -> tuple[Mapping[str, tuple[str, ...]], str]:
    """Give the models of a release, or why they are not known."""
    try:
        commit = checkouts.commit(folder, release)
        return _loaded(folder.resolve(), commit, invocation), ""
    except (LintError, HistoryError) as exc:
        said = " ".join(str(exc).split()).rstrip(".") or "git failed"
        return {}, f"{_shown(release)}: {said}"


@lru_cache(maxsize=8)
def _loaded(folder: Path, commit: str, invocation: Invocation) -> Mapping[str, tuple[str, ...]]:
    """Compile the project as it was, and give its models; a commit never changes."""
    top, inside = checkouts.repository(folder), checkouts.former(folder, commit)
    with checkouts.unpacked(folder, commit) as root:
        try:
            if invocation.root:
                called = os.path.relpath(Path(invocation.root).resolve(), top)
                invocation = replace(invocation, root=str(root / called))
            found = histories.read(root / inside, invocation, keep=False)
        except HistoryError as exc:
            # The folder is gone by the time that somebody reads this.
            raise HistoryError(str(exc).replace(f"{root}/", "").replace(str(root), ".")) from exc
    if not found.models:
        raise HistoryError(
            f"its env.py renders nothing in advance: {found.offline}"
            if found.offline
            else "its env.py gives no target_metadata"
        )
    return found.models


def _used(gone: Gone, path: tuple[str, ...], tables: Mapping[Name, tuple[str, ...]]) -> bool:
    """Tell whether models have something; those without a schema mean the search_path's."""
    schema, name = gone.relation
    keys = [(schema, name)]
    if schema in ("", *path):
        keys.append(("", name))
    return any(key in tables and (not gone.column or gone.column in tables[key]) for key in keys)


def _key(name: str) -> Name:
    read = Sentence(name).name()
    key = read.key if read else (name,)
    return (key[0], key[1]) if len(key) > 1 else ("", key[0])


def _remark(moment: Moment, gone: Gone, release: str) -> Remark:
    kind = "column" if gone.column else "table"
    name = trees.written(*gone.relation, gone.column)
    return Remark(
        rule=f"{kind}-still-used",
        revision=moment.statement.revision,
        message=(
            f"{'renames' if gone.renamed else 'drops'} {kind} {name}, which the models of"
            f" the previous release ({_shown(release)}) have"
        ),
        help=_ADVICE,
        statement=moment.statement.sql,
        number=moment.statement.number,
    )


def _shown(release: str) -> str:
    whole = len(release) == 40 and all(letter in "0123456789abcdef" for letter in release)  # noqa: PLR2004 - of sha1
    return release[:_SHORT] if whole else release
