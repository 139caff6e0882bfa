"""The process that runs revisions live, through the project's own env.py.

Reads JSON from standard input, a line each: first the task with `folder`, `variable`, `url` and
`parent`, a process id; then one order after the other. Answers each order with a line: `done`, or
`error`. Ends with its input, after the revision that is running; or at once with its parent.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from infra.schema import child, dsn
from infra.schema.rendering import directory, environment
from infra.schema.running import driver
from infra.schema.running.guard import Guarded, Order

__all__ = ["main"]

_INTEGRITY = "23"  # the class of errors whose detail quotes rows


def main() -> int:
    """Do what standard input says."""
    # Whatever env.py or a revision prints or asks must not come between us and the caller.
    asked = os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8")
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    task = json.loads(asked.readline())
    child.end_with(task["parent"])
    project: _Project | None = None
    for line in asked:
        try:
            project = project or _Project(task)
            project.run(Order.of(json.loads(line)))
            answer: dict[str, Any] = {"done": True}
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - revisions are anybody's code
            answer = {"error": _worded(exc, task["url"])}
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()
    return 0


class _Project:
    """An Alembic directory, opened once for all orders."""

    def __init__(self, task: dict[str, Any]) -> None:
        """Open it, and lead every env.py to the database."""
        place = directory.find(Path(task["folder"]))
        url = dsn.portable(task["url"])
        configured = _configured(place)
        self._config = environment.enter(place, variable=task["variable"], url=url)
        main = driver.url_for(url, configured)
        self._config.set_main_option("sqlalchemy.url", main.replace("%", "%%"))
        self._scripts = ScriptDirectory.from_config(self._config)
        source = Path(self._scripts.dir, "env.py").read_text(encoding="utf-8", errors="replace")
        driver.offer(asynchronous="async" in source)

    def run(self, order: Order) -> None:
        """Run one revision through env.py."""
        guarded = Guarded(self._config, self._scripts, order)

        def run_environment() -> None:
            with guarded:
                self._scripts.run_env()

        driver.drive(run_environment)
        if not guarded.finished:
            raise CommandError("env.py ended without running the revision.")


def _configured(place: directory.Directory) -> str:
    """Give the URL that the configuration has; empty where it has none that can be read."""
    ini = str(place.ini) if place.ini else None
    try:
        return Config(ini).get_main_option("sqlalchemy.url") or ""
    except Exception:  # noqa: BLE001 - interpolations of somebody else's file
        return ""


def _worded(exc: BaseException, url: str) -> dict[str, Any]:
    """Say what failed, without values and secrets."""
    wrapped, cause = _of_database(exc)
    said: dict[str, Any] = {"text": "", "sqlstate": "", "detail": "", "hint": "", "statement": ""}
    said["lost"] = _lost(wrapped, cause)
    if wrapped is not None:
        said["statement"] = wrapped.statement or ""
    if cause is not None:
        said["sqlstate"] = str(getattr(cause, "sqlstate", None) or "")
        said["text"] = str(cause.args[0] if cause.args else cause)
        said["hint"] = str(getattr(cause, "hint", None) or "")
        if not said["sqlstate"].startswith(_INTEGRITY):
            said["detail"] = str(getattr(cause, "detail", None) or "")
    elif isinstance(exc, CommandError):
        said["text"] = str(exc)
    else:
        said["text"] = f"{type(exc).__name__}: {exc}"
    return {
        name: dsn.redacted(value, url) if isinstance(value, str) else value
        for name, value in said.items()
    }


def _of_database(exc: BaseException) -> tuple[DBAPIError | None, BaseException | None]:
    """Find SQLAlchemy's wrapper and the driver's own exception among the causes."""
    wrapped: DBAPIError | None = None
    current: BaseException | None = exc
    while current is not None:
        if isinstance(current, DBAPIError):
            wrapped = current
        if getattr(current, "sqlstate", None) and not isinstance(current, DBAPIError):
            inner = current.__cause__
            # SQLAlchemy's own exception of its driver has a deeper one, with all fields.
            return wrapped, inner if getattr(inner, "sqlstate", None) else current
        following = current.orig if isinstance(current, DBAPIError) else None
        current = following or current.__cause__
    return wrapped, None


def _lost(wrapped: DBAPIError | None, cause: BaseException | None) -> bool:
    """Say whether the connection went."""
    sqlstate = str(getattr(cause, "sqlstate", None) or "")
    if sqlstate.startswith(("08", "57P")):
        return True
    return wrapped is not None and wrapped.connection_invalidated


if __name__ == "__main__":
    sys.exit(main())
