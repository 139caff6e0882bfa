"""Runs the programs of PostgreSQL."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from infra.servers.errors import ClusterError

if TYPE_CHECKING:
    from infra.servers.local.account import Account

__all__ = ["attempt", "run"]


def run(account: Account, program: str, *args: str, doing: str, stdin: str = "") -> None:
    """Run one program of PostgreSQL under an account, and wait for it.

    Args:
        account: The user to run it as.
        program: Its path.
        args: Its arguments; no secret, since every user sees them.
        doing: What it is to do, for the message of a failure: "start the server in ...".
        stdin: Its standard input.

    Raises:
        ClusterError: It could not be started, or it failed; the message has its own words.
    """
    done = attempt(account, program, *args, doing=doing, stdin=stdin)
    if done.returncode != 0 or (stdin and "ERROR" in done.stderr):
        said = _errors(done.stderr) or _errors(done.stdout) or f"exit status {done.returncode}"
        msg = f"Could not {doing}: {Path(program).name} said: {said}."
        raise ClusterError(msg)


def attempt(
    account: Account, program: str, *args: str, doing: str = "", stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run one program of PostgreSQL as `run` does, and leave it to the caller whether it failed.

    Raises:
        ClusterError: It could not be started.
    """
    # A clean environment: the server lives on, and must not carry the secrets and
    # PG* variables of the program that happened to start it.
    env = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    try:
        return subprocess.run(
            account.command(program, *args),
            check=False,
            capture_output=True,
            input=stdin,
            text=True,
            errors="replace",
            cwd="/",
            env=env,
            umask=0o077,
        )
    except OSError as exc:
        msg = f"Could not {doing or 'ask PostgreSQL'}: {program}: {exc.strerror}."
        raise ClusterError(msg) from exc


def _errors(text: str) -> str:
    """Pick what a program of PostgreSQL said of its failure, without its advice."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if "error:" in line or "FATAL" in line or "ERROR" in line]
    return " | ".join(said or lines[-2:])
