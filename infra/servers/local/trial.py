"""Tries settings on PostgreSQL before a server gets them: what it would refuse is refused here."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from infra.project import spelled
from infra.servers.errors import ClusterError
from infra.servers.local import owned_files, tool
from infra.servers.local.configuration import AUTO, FILE, MAIN, absolute, without

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.servers.local.account import Account
    from infra.servers.local.binaries import Binaries
    from infra.servers.local.configuration import Configuration

__all__ = ["refuse_unfit"]

_LEVEL = re.compile(r"^.*?(LOG|WARNING|ERROR|FATAL|PANIC|HINT|DETAIL):\s+|^postgres: ")
# Of no use to who reads it: the files of the trial, and what follows from the line before.
_PLACE = re.compile(r' in file ".*?" (?:line|near line) \d+')
_SAYS_NOTHING = ("skipping missing configuration file", "configuration file ", "database system")
# A word in quotes is mostly the setting; the bare ones are of PostgreSQL's oldest messages.
_WORD = re.compile(r"[a-z_][a-z0-9_.]*")
# What the trial says has to be seen, wherever the server is to write it. Huge pages are counted
# by the system, and the server that runs has them.
_HEARD = ("log_destination=stderr", "logging_collector=off", "huge_pages=off")


def refuse_unfit(
    binaries: Binaries,
    account: Account,
    data: Path,
    wanted: Configuration,
    former: Mapping[str, str],
) -> None:
    """Raise where the server of a data directory would not start with a configuration.

    PostgreSQL itself reads the files of a folder that looks like the data directory, loads the
    libraries, and takes the memory: everything of a start that settings can spoil, short of
    opening the data. A running server isn't touched.

    Args:
        binaries: The programs of the server.
        account: The user that it runs as.
        data: The data directory; it has a cluster.
        wanted: What it is to have.
        former: The settings that it has now.

    Raises:
        ClusterError: PostgreSQL refuses; the message has the settings and its words.
    """
    said = _ask(binaries, account, data, wanted)
    if not said:
        return
    settings = wanted.settings()
    changed = {
        name: value
        for name, value in settings.items()
        if name in {key.lower() for key in wanted.parameters} and former.get(name) != value
    }
    words = set(_WORD.findall(said.lower()))
    guilty = {name: value for name, value in changed.items() if name in words} or changed
    listed = ", ".join(f"{name} = {value!r}" for name, value in guilty.items())
    msg = (
        f"PostgreSQL refuses {listed or 'the settings of ' + str(data)}: {said}. Nothing was"
        f" changed. Correct {spelled('parameters')}."
    )
    raise ClusterError(msg)


def _ask(binaries: Binaries, account: Account, data: Path, wanted: Configuration) -> str:
    """Give what PostgreSQL says against a configuration; "" where it would start."""
    with tempfile.TemporaryDirectory(prefix="groundwork-trial-", dir=_place(account, data)) as name:
        folder = Path(name)
        _lay_out(folder, data, wanted)
        # Itself last: until then no other user gets in and puts a link into the place of a file.
        for path in (*folder.rglob("*"), folder):
            account.own(path)
        heard = [word for each in _HEARD for word in ("-c", each)]
        # The first looks at combinations and libraries, the second at memory; neither both.
        for how in (("-C", "shared_memory_size"), ("--check",)):
            options = (*how, "-D", str(folder), *heard)
            done = tool.attempt(account, binaries.tool("postgres"), *options)
            if done.returncode:
                return _said(done.stderr) or f"exit status {done.returncode}"
    return ""


def _place(account: Account, data: Path) -> str:
    """Choose where the folder of a trial is made; the account has to reach it.

    Raises:
        ClusterError: Every such place lets other users replace it.
    """
    for place in (Path(tempfile.gettempdir()), data.parent, Path("/tmp")):  # noqa: S108 - sticky
        try:
            found = place.stat()
        except OSError:
            continue
        shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
        if found.st_uid in (0, os.geteuid()) and not shared and account.can_enter(place):
            return str(place)
    msg = (
        f"The settings of {data} can't be tried: the user '{account.name}', who runs the server,"
        f" may not enter {tempfile.gettempdir()}. Nothing was changed. Set TMPDIR to a folder"
        " that this user can enter."
    )
    raise ClusterError(msg)


def _lay_out(folder: Path, data: Path, wanted: Configuration) -> None:
    for name in ("global", "pg_notify"):
        (folder / name).mkdir(mode=0o700)
    for name in ("PG_VERSION", "global/pg_control"):
        (folder / name).write_bytes(owned_files.read_bytes(data, name))
    main = owned_files.read_text(data, MAIN, errors="surrogateescape")
    (folder / MAIN).write_text(absolute(main, data), errors="surrogateescape")
    (folder / FILE).write_text(wanted.render())
    text = ""
    with suppress(FileNotFoundError):
        text = owned_files.read_text(data, AUTO, errors="surrogateescape")
    (folder / AUTO).write_text(without(text, wanted.settings()), errors="surrogateescape")


def _said(stderr: str) -> str:
    lines = [_PLACE.sub("", _LEVEL.sub("", line)).strip() for line in stderr.splitlines()]
    return "; ".join(
        line.rstrip(".") for line in lines if line and not line.startswith(_SAYS_NOTHING)
    )
