"""Runs squawk on the SQL of revisions, and finds the statements that it speaks of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema.errors import LintError
from infra.schema.linting import levels
from infra.schema.linting.remark import Remark
from infra.schema.statements.lexer import UnfinishedError, closed, tokens

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from infra.schema.linting.pending import Pending, Statement

__all__ = ["look"]

_SECONDS = 120.0  # a thousand revisions take about two
_SYNTAX = "syntax-error"
_NEWEST = 17
"""The grammar that pgparse has; what a newer server takes it may not know."""

# What says more about the same clause, and what to do instead: NOT VALID is no way for an index.
_CLOSER = {
    "adding-foreign-key-constraint",
    "adding-serial-primary-key-field",
    "disallowed-unique-constraint",
}


@dataclass(frozen=True, kw_only=True)
class _Said:
    statement: Statement
    rule: str
    message: str
    help: str
    end: tuple[int, int]


def look(
    pending: Iterable[Pending],
    *,
    major: int,
    settings: Mapping[str, str],
    idle: Container[int] = (),
) -> list[Remark]:
    """Give what squawk says of each revision by itself, in the order of the plan.

    Args:
        pending: The revisions.
        major: Version of the server.
        settings: Levels by rule; what is opt-in is looked for only where one is given.
        idle: Numbers of statements that do nothing: a table that IF NOT EXISTS leaves as it is
            would be taken for a new one.

    Raises:
        LintError: Squawk can't be run, or did not answer as it should.
    """
    whole = ([s for s in each.statements if s.number not in idle] for each in pending)
    files = [file for file in whole if file]
    said = _run(files, major, settings)
    unread = {each.statement.number for each in said if each.rule == _SYNTAX}
    if unread:
        unread |= {s.number for file in files for s in file if s.wrong}
        # One that it can't read keeps it from looking at the rest of the file.
        again = [[s for s in file if s.number not in unread] for file in files]
        rest = [file for file in again if file]
        said += [each for each in _run(rest, major, settings) if each.rule != _SYNTAX]
    found = [*_syntax(files, said, major), *_findings(said)]
    return sorted(dict.fromkeys(found), key=lambda remark: remark.number)


def _syntax(
    files: Iterable[Iterable[Statement]], said: Iterable[_Said], major: int
) -> Iterable[Remark]:
    """Tell bad SQL from SQL that squawk alone can't read: PostgreSQL's own parser knows."""
    unread = {
        each.statement.number: each.message for each in reversed(list(said)) if each.rule == _SYNTAX
    }
    for statement in (statement for file in files for statement in file):
        squawks = unread.get(statement.number, "")
        if statement.wrong and (squawks or major <= _NEWEST):
            yield Remark.of(statement, _SYNTAX, statement.wrong)
        elif squawks and not statement.wrong:
            why = f"squawk can't read a statement that PostgreSQL can: {squawks}"
            yield Remark.of(statement, "not-linted", why)


def _findings(said: Iterable[_Said]) -> Iterable[Remark]:
    found = [each for each in said if each.rule != _SYNTAX]
    closer = {(each.statement.number, each.end) for each in found if each.rule in _CLOSER}
    for each in found:
        place = (each.statement.number, each.end)
        if each.rule != "constraint-missing-not-valid" or place not in closer:
            yield Remark.of(each.statement, each.rule, each.message, each.help)


def _run(
    files: Sequence[Sequence[Statement]], major: int, settings: Mapping[str, str]
) -> list[_Said]:
    """Let squawk look at files of statements; a transaction is written as one."""
    with tempfile.TemporaryDirectory(prefix="groundwork-lint-") as name:
        folder = Path(name)
        folder.joinpath("empty.toml").touch()  # else it takes .squawk.toml of wherever we are
        places = []
        for number, file in enumerate(files):
            text, lines = _written(file)
            folder.joinpath(f"{number}.sql").write_text(text, encoding="utf-8", newline="\n")
            places.append(lines)
        if not places:
            return []
        arguments = [
            *("--config", "empty.toml", "--reporter", "json", "--pg-version", str(major)),
            *(f"--include={rule}" for rule in levels.included(settings)),
            *(f"{number}.sql" for number in range(len(places))),
        ]
        answer = _answer(arguments, folder)
    said = (_said(each, places) for each in answer)
    return sorted((each for each in said if each), key=lambda each: each.statement.number)


def _written(file: Iterable[Statement]) -> tuple[str, list[Statement | None]]:
    """Write statements, each from the beginning of a line; give whose each line is."""
    text: list[str] = []
    lines: list[Statement | None] = []
    inside = False
    for statement in file:
        if inside == statement.autocommit:
            text.append("COMMIT;" if inside else "BEGIN;")
            lines.append(None)
            inside = not inside
        sql = _deaf(_closed(statement.sql)) + ";"
        text.append(sql)
        lines += [statement] * (sql.count("\n") + 1)
    if inside:
        text.append("COMMIT;")
        lines.append(None)
    return "\n".join(text) + "\n", lines


def _closed(sql: str) -> str:
    """End a comment that would swallow the semicolon after it."""
    try:
        return closed(sql)
    except UnfinishedError:
        return sql


def _deaf(sql: str) -> str:
    """Take out what squawk would obey: only the revision's file says what may pass, and why."""
    text = sql.encode("utf-8", "replace").decode().replace("\0", " ")
    if "squawk-" not in text:
        return text
    try:
        comments = [token for token in tokens(text) if token.kind == "comment"]
    except UnfinishedError:
        return text
    for token in comments:
        quiet = text[token.start : token.end].replace("squawk-", "squawk ")
        text = text[: token.start] + quiet + text[token.end :]
    return text


def _said(each: Mapping[str, Any], places: Sequence[Sequence[Statement | None]]) -> _Said | None:
    lines = places[int(Path(each["file"]).stem)]
    line = min(int(each["line"]), len(lines) - 1)
    statement = lines[line]
    if statement is None:  # BEGIN and COMMIT are ours
        return None
    return _Said(
        statement=statement,
        rule=levels.rule_named(each["rule_name"]),
        message=each["message"],
        help=each["help"] or "",
        end=(int(each["line_end"]), int(each["column_end"])),
    )


def _answer(arguments: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    program = Path(sys.executable).with_name("squawk.exe" if os.name == "nt" else "squawk")
    command = str(program) if program.is_file() else "squawk"
    try:
        done = subprocess.run(
            [command, *arguments],
            cwd=folder,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
            env={key: value for key, value in os.environ.items() if "SQUAWK" not in key},
        )
        answer: list[dict[str, Any]] = json.loads(done.stdout)
    except subprocess.TimeoutExpired as exc:
        raise _failed(f"it did not end within {_SECONDS:g} s") from exc
    except OSError as exc:
        raise _failed(f"{command}: {exc.strerror or exc}") from exc
    except ValueError as exc:
        said = done.stderr.decode(errors="replace").strip().splitlines()[:1]
        raise _failed(said[0] if said else f"exit status {done.returncode}") from exc
    return answer


def _failed(why: str) -> LintError:
    return LintError(
        f"squawk, which looks at the pending revisions, can't be run: {why}. Nothing was changed."
        f" Install what the project needs (pip install -r requirements.txt, with {sys.executable}),"
        " or set lint to off."
    )
