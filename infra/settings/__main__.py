"""`python -m infra.settings docs`: what people and Pulumi read, written from the table of keys."""

from __future__ import annotations

import argparse
import os
import sys
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings import docs
from toolchain.stopped import run
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["main"]

_ROOT = Path(__file__).parents[2]
_COMMAND = "python -m infra.settings docs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite docs/settings.md and Pulumi.yaml, or with `--check` say whether they are stale.

    Returns:
        0 when both are as they should be, 1 when one is not and nothing was written.
    """
    parser = argparse.ArgumentParser(prog="python -m infra.settings", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser("docs", help=main.__doc__.splitlines()[0] if main.__doc__ else "")
    command.add_argument("--check", action="store_true", help="write nothing; status 1 when stale")
    command.add_argument("--root", type=Path, default=_ROOT, help="the project's folder")
    asked = parser.parse_args(arguments)
    root: Path = asked.root
    written = {root / "docs" / "settings.md": docs.page, root / "Pulumi.yaml": docs.project}
    try:
        changed = _changed(written)
    except (OSError, ValueError) as exc:
        sys.stderr.write(visible(f"error: {_worded(exc)}. Nothing was written.\n"))
        return 1
    if asked.check:
        return _report(changed)
    for path, (_, after) in changed.items():
        path.write_text(after, encoding="utf-8")
    return 0


def _changed(written: Mapping[Path, Callable[[str], str]]) -> dict[Path, tuple[str, str]]:
    """Give the text before and after of each file that is stale."""
    texts = {}
    for path, write in written.items():
        before = path.read_text(encoding="utf-8")
        try:
            after = write(before)
        except docs.MarkersError as exc:
            raise docs.MarkersError(f"{path} {exc}") from exc
        if before != after:
            texts[path] = (before, after)
    return texts


def _report(changed: dict[Path, tuple[str, str]]) -> int:
    for path, texts in changed.items():
        before, after = (text.splitlines(keepends=True) for text in texts)
        sys.stderr.writelines(unified_diff(before, after, str(path), "the keys", n=0))
        sys.stderr.write(visible(f"error: {path} is stale: run `{_COMMAND}`.\n"))
    return 1 if changed else 0


def _worded(exc: OSError | ValueError) -> str:
    if isinstance(exc, OSError):
        return f"{exc.filename}: {os.strerror(exc.errno or 0)}"
    return str(exc)


if __name__ == "__main__":
    run(main)
