"""`ci/comment`: one comment in a pull request, the same one at each run."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ci import report_file, surroundings
from ci.api import ApiError, UnsureError
from ci.forges import Comment, Forge, open_forge
from ci.report_file import ReportFileError
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["main"]

_MARKER = re.compile(r"<!-- groundwork: \S+ -->")
_TRIES, _PAUSE = 4, 1.0  # how often, and seconds between, where nobody knows what came of it
_REFUSED = (401, 403, 404)
_GONE = 404
_CUT = "\n\n*The report is longer than a comment may be; the job has all of it.*\n"
_FENCES, _FOLDS = 80, 8  # characters of a fence, and folds, that are closed behind a cut
_FENCE = re.compile(r"^(`{3,}|~{3,})", re.MULTILINE)


def main(*, description: str, arguments: Sequence[str] | None = None) -> int:
    """Write or edit the comment, and give the exit status."""
    options = _options(description, arguments)
    try:
        report = report_file.read(options.report)
        print(visible(f"ci/comment: {_run(report, options, os.environ)}"))
    except (OSError, ApiError, ReportFileError, surroundings.SurroundingsError) as exc:
        print(visible(f"error: {exc}"), file=sys.stderr)
    else:
        return 0
    return 1


def _options(description: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ci/comment",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--forge", choices=sorted(surroundings.FORGES), default="")
    parser.add_argument("--number", metavar="N", default="")
    parser.add_argument("report", metavar="REPORT.md", type=Path)
    return parser.parse_args(arguments)


def _run(report: str, options: argparse.Namespace, environment: Mapping[str, str]) -> str:
    marker = report.partition("\n")[0].strip()
    if not _MARKER.fullmatch(marker):
        raise ApiError(f"{options.report} doesn't begin with <!-- groundwork: PROJECT/STACK -->")
    request = surroundings.find(environment, forge=options.forge, number=options.number)
    try:
        forge = open_forge(request)
        return _publish(forge, marker, _fitted(report, forge.limit))
    except ApiError as exc:
        if exc.status not in _REFUSED:
            raise
        kept = _summarise(report, environment)
        if not request.foreign:
            raise
        # Nothing is wrong: a fork's code must not get a token that writes.
        return f"no comment, since this pull request's token may not write one{kept}"


def _publish(forge: Forge, marker: str, body: str) -> str:
    """Give the one comment the text; what became of a failed try is looked at, not guessed."""
    for again in reversed(range(_TRIES)):
        found = _oldest(forge, marker)
        try:
            if found is None:
                return f"made {forge.create(body)}"
            if _same(found.body, body):
                return f"{found.place} says it already"
            return f"edited {forge.edit(found, body)}"
        except UnsureError:
            if not again:
                raise
            time.sleep(_PAUSE)
        except ApiError as exc:
            if found is None or exc.status != _GONE or not again:
                raise  # else somebody deleted it just now
    raise AssertionError("the last try either returns or raises")


def _oldest(forge: Forge, marker: str) -> Comment | None:
    marked = (one for one in forge.mine() if one.body.partition("\n")[0].strip() == marker)
    return min(marked, key=lambda one: one.number, default=None)


def _same(one: str, other: str) -> bool:
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def _fitted(report: str, limit: int) -> str:
    """Cut a report to what a comment takes, at the end of a line and outside of a fence."""
    if len(report) <= limit:
        return report
    room = limit - len(_CUT) - _FENCES - _FOLDS * len("</details>") - 2
    kept = report[:room].rpartition("\n")[0]
    fences = _FENCE.findall(kept)
    closing = f"\n{fences[-1][:_FENCES]}\n" if len(fences) % 2 else "\n"
    folded = kept.count("<details") - kept.count("</details")
    return f"{kept}{closing}{'</details>' * min(max(folded, 0), _FOLDS)}{_CUT}"


def _summarise(report: str, environment: Mapping[str, str]) -> str:
    """Show a report on the job's own page, where there is one; give the words for it."""
    path = environment.get("GITHUB_STEP_SUMMARY", "")
    if not path:
        return ""
    with Path(path).open("a", encoding="utf-8") as summary:
        summary.write(f"{report}\n")
    return "; the report is in the job's summary"
