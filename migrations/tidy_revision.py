# ruff: noqa: INP001 - beside env.py, in a folder that is no package: its name is not a module's
"""Alembic's hook for a new revision: bring its file into this repository's form, where ruff is.

Where it isn't, the file stays as it was written, which is right but not pretty.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["tidy"]

_MARK = "# ruff: noqa: "
_REASON = " - the message is as Alembic shows it, and SQL as long as it is"
# What the message and long SQL break, and nobody can mend afterwards.
_ACCEPTED = frozenset({"D205", "D301", "D415", "E501", "RUF001", "RUF002", "W505"})


def tidy(path: Path) -> None:
    """Drop what is unused, sort imports, format, and accept what a message or SQL must break."""
    beside = Path(sys.executable).with_name("ruff")
    ruff = str(beside) if beside.exists() else shutil.which("ruff")
    if ruff is None:
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and lines[0].startswith(_MARK):
        path.write_text("".join(lines[1:]), encoding="utf-8")
    _run(ruff, "check", "--fix-only", "--select", "F401,I,PIE790", path)
    _run(ruff, "format", path)
    found = json.loads(_run(ruff, "check", "--output-format", "json", path) or "[]")
    codes = sorted({str(entry["code"]) for entry in found} & _ACCEPTED)
    if codes:
        text = path.read_text(encoding="utf-8")
        path.write_text(f"{_MARK}{', '.join(codes)}{_REASON}\n{text}", encoding="utf-8")


def _run(ruff: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [ruff, arguments[0], "--quiet", *arguments[1:]],
        check=False,  # it is no reason to fail that a file could be prettier
        capture_output=True,
        encoding="utf-8",
    )
    return done.stdout


if __name__ == "__main__":
    tidy(Path(sys.argv[1]))
