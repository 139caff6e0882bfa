"""Under whose name the embedded server runs: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.errors import GroundworkError
from infra.project import spelled

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Account", "AccountError", "of", "run", "server_account"]

# Not `subprocess`'s own way to another user: it forks, which gRPC, present in the process of
# a provider, does not bear without a warning on the user's screen. Nothing may be imported
# after the change: the new user may not read the folder that this Python lives in.
_BECOME = """\
import os, sys
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[1]))
os.execv(sys.argv[3], sys.argv[3:])
"""
# Debian's own account where PostgreSQL is installed, else the one that every Linux has.
_CANDIDATES = ("postgres", "nobody")


class AccountError(GroundworkError):
    """No account to run the server under, or one that may not enter a folder."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user of this machine.

    Attributes:
        name: Login name.
        uid: User id; never 0.
        gid: Its primary group.
        switch: True where the present process is root and has to become this user first.
    """

    name: str
    uid: int
    gid: int
    switch: bool

    def command(self, *program: str) -> list[str]:
        """Give the command line that runs `program` under this account."""
        if not self.switch:
            return list(program)
        become = [sys.executable, "-ISc", _BECOME, str(self.uid), str(self.gid)]
        return [*become, shutil.which(program[0]) or program[0], *program[1:]]

    def own(self, path: Path) -> None:
        """Hand `path`, and no file that it links to, over to this account.

        Only for what is in a folder that this account can't enter yet.
        """
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_enter(self, folder: Path) -> bool:
        """Tell whether this account may pass through `folder` and everything above it."""
        if not self.switch:
            return os.access(folder, os.X_OK)
        # Asked of the kernel as that user: mode bits alone miss ACLs and mount options.
        return run(self, "test", "-x", str(folder)).returncode == 0


def run(account: Account, *program: str) -> subprocess.CompletedProcess[bytes]:
    """Run a program of the system under an account, and give what it said."""
    return subprocess.run(
        account.command(*program),
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd="/",
        env={"PATH": os.defpath},
    )


def of(entry: pwd.struct_passwd) -> Account:
    """Give the account of an entry of the user database, which root becomes."""
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, switch=True)


def server_account(data: Path) -> Account:
    """Choose the account for the server of the data directory `data`.

    An existing directory decides: it is run by the user it belongs to. For a new one root
    takes Debian's `postgres`, else `nobody`; anybody else takes themselves.

    Raises:
        AccountError: The directory belongs to root or to another user than the one who asks,
            or to nobody here; or root finds no account to run the server as.
    """
    me = os.geteuid()
    try:
        owner = data.stat().st_uid
    except OSError:
        owner = None
    if me != 0:
        if owner not in (None, me):
            msg = (
                f"The data directory {data} belongs to the user '{_name(owner)}', and only that "
                "user or root can run its server. Nothing was changed. Run as that user, or set "
                f"{spelled('dataDir')} to another folder."
            )
            raise AccountError(msg)
        return Account(name=_name(me), uid=me, gid=os.getegid(), switch=False)
    if owner:
        return of(_owner(data, owner))
    for candidate in _CANDIDATES:
        try:
            return of(pwd.getpwnam(candidate))
        except KeyError:
            continue
    msg = (
        "PostgreSQL does not run as root, and this machine has no other account for it "
        f"({' or '.join(_CANDIDATES)}). Make one: useradd --system postgres."
    )
    raise AccountError(msg)


def _owner(data: Path, uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError as exc:
        msg = (
            f"The data directory {data} belongs to the user id {uid}, whom this machine doesn't"
            " know: it may come from another one. Nothing was changed. Give it to the account that"
            f" is to run the server: chown -R {' or '.join(_CANDIDATES)} {data}"
        )
        raise AccountError(msg) from exc


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return str(uid)
