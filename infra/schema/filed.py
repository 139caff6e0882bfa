"""Keeps the report of a preview in files, for whoever shows it: a pull request, a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from infra.schema import report, view
from infra.schema.reporting import data_checks

if TYPE_CHECKING:
    from infra.schema.review import Review

__all__ = ["folder", "write"]

_ROOT = Path(".groundwork", "review")


def folder(stack: str) -> Path:
    """Give where the report of a stack is, from the project's folder.

    Args:
        stack: "project/stack".
    """
    name = stack.rpartition("/")[2]
    return _ROOT / (re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "_")


def write(review: Review) -> Path:
    """Write report.md, report.html and review.json, each at once or not at all; gives the first.

    Raises:
        OSError: They can't be written.
    """
    place = folder(review.stack)
    _ROOT.parent.mkdir(mode=0o700, exist_ok=True)
    place.mkdir(parents=True, exist_ok=True)
    facts = {
        "verdict": report.verdict(review),
        "approve": view.approve(review.plan) if review.plan else "",
        "pending": len(review.plan.steps) if review.plan else 0,
        "lint_errors": sum(
            each.level == "error" and not each.suppressed for each in review.findings
        ),
        "refused": bool(review.refuses or review.unplanned),
        "failed": bool(review.rehearsal and review.rehearsal.failure)
        or bool(data_checks.violations(review)),
    }
    texts = {
        "report.md": report.markdown(review),
        "report.html": report.page(review),
        "review.json": json.dumps(facts, indent=2, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        new = place / f".{name}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(place / name)
    return place / "report.md"
