"""Tries settings on PostgreSQL before a server gets them: what it would refuse is refused here."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from infra.servers.errors import ClusterError
from infra.servers.local import tool
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
        " changed. Correct groundwork:parameters."
    )
    raise ClusterError(msg)


def _ask(binaries: Binaries, account: Account, data: Path, wanted: Configuration) -> str:
    """Give what PostgreSQL says against a configuration; "" where it would start."""
    place = tempfile.gettempdir()
    if not account.can_enter(Path(place)):
        place = str(data.parent)
    with tempfile.TemporaryDirectory(prefix="groundwork-trial-", dir=place) as name:
        folder = Path(name)
        _lay_out(folder, data, wanted)
        for path in (folder, *folder.rglob("*")):
            account.own(path)
        heard = [word for each in _HEARD for word in ("-c", each)]
        # The first looks at combinations and libraries, the second at memory; neither both.
        for how in (("-C", "shared_memory_size"), ("--check",)):
            options = (*how, "-D", str(folder), *heard)
            done = tool.attempt(account, binaries.tool("postgres"), *options)
            if done.returncode:
                return _said(done.stderr) or f"exit status {done.returncode}"
    return ""


def _lay_out(folder: Path, data: Path, wanted: Configuration) -> None:
    for name in ("global", "pg_notify"):
        (folder / name).mkdir(mode=0o700)
    for name in ("PG_VERSION", "global/pg_control"):
        shutil.copyfile(data / name, folder / name)
    main = (data / MAIN).read_text(errors="surrogateescape")
    (folder / MAIN).write_text(absolute(main, data), errors="surrogateescape")
    (folder / FILE).write_text(wanted.render())
    auto = data / AUTO
    text = auto.read_text(errors="surrogateescape") if auto.exists() else ""
    (folder / AUTO).write_text(without(text, wanted.settings()), errors="surrogateescape")


def _said(stderr: str) -> str:
    lines = [_PLACE.sub("", _LEVEL.sub("", line)).strip() for line in stderr.splitlines()]
    return "; ".join(
        line.rstrip(".") for line in lines if line and not line.startswith(_SAYS_NOTHING)
    )
