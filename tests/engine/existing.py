"""Stacks on a server that is there already, for the tests of the target `existing`."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import asyncpg
import pytest

from infra.servers import ports, probe
from infra.servers.local.account import server_account
from infra.servers.local.binaries import locate
from tests.engine.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.servers.throwaway import Throwaway

__all__ = ["Server", "Stack", "literal", "quoted", "standby", "trusting_binaries"]


class Stack(Project):
    """A stack of the target `existing`."""

    def __init__(self, folder: Path, *, database: str, program: str = "") -> None:
        """Lay it out; the admin's URL is still to be given."""
        super().__init__(folder, program=program)
        self.configure(dataDir=None, target="existing", database=database, waitSeconds="3")

    def admin(self, url: str) -> None:
        """Give the admin's URL."""
        self.configure_secret("adminUrl", url)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server, seen with a superuser's eyes."""

    throwaway: Throwaway

    def run(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements; gives the rows of the last one."""

        async def run() -> list[tuple[object, ...]]:
            url = self.throwaway.url(user=self.throwaway.user, database=database)
            connection = await asyncpg.connect(url)
            try:
                for statement in statements[:-1]:
                    await connection.execute(statement)
                return [tuple(row) for row in await connection.fetch(statements[-1])]
            finally:
                await connection.close()

        return asyncio.run(run())

    def url(self, user: str = "", *, hosts: str = "", tail: str = "sslmode=disable") -> str:
        """Give an admin's URL, the superuser's unless told otherwise."""
        login = f"{quote(user or self.throwaway.user)}:{quote(self.throwaway.password, safe='')}"
        place = hosts or f"{self.throwaway.host}:{self.throwaway.port}"
        return f"postgresql://{login}@{place}/postgres?{tail}"

    def make_admin(self, name: str) -> str:
        """Make an admin as managed services give one: CREATEROLE and CREATEDB, no superuser."""
        password = literal(self.throwaway.password)
        self.run(
            f"CREATE ROLE {quoted(name)} LOGIN PASSWORD {password} CREATEROLE CREATEDB", "SELECT 1"
        )
        return self.url(name)

    def objects(self) -> set[tuple[object, ...]]:
        """List the roles and databases."""
        return set(
            self.run(
                "SELECT 'role', rolname::text FROM pg_roles"
                " UNION ALL SELECT 'database', datname::text FROM pg_database"
            )
        )


def quoted(name: str) -> str:
    """Write an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write a text."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def trusting_binaries(scratch: Path) -> Iterator[str]:
    """Give programs of PostgreSQL whose `vector` an owner of a database may install.

    Managed services have it so; who builds it from source has not.
    """
    account = server_account(scratch / "nothing")
    installed = locate(configured="", account=account).folder.parent
    control = Path("share/postgresql/extension/vector.control")
    if not (installed / control).is_file():
        pytest.skip("only an installation in one folder can be copied and changed")
    copy = scratch / f"trusting-{os.urandom(4).hex()}"
    shutil.copytree(installed, copy, symlinks=True)
    text = (copy / control).read_text()
    (copy / control).write_text(f"{text}trusted = true\n")
    try:
        yield str(copy / "bin")
    finally:
        shutil.rmtree(copy)


@contextmanager
def standby(primary: Server, scratch: Path) -> Iterator[Server]:
    """Run a standby of a server, made as an operator makes one."""
    data = scratch / f"standby-{os.urandom(4).hex()}"
    data.mkdir(mode=0o700)
    account = server_account(scratch / "nothing")
    account.own(data)
    programs = locate(configured="", account=account)
    from_primary = ("-h", primary.throwaway.host, "-p", str(primary.throwaway.port))
    copy = (programs.tool("pg_basebackup"), "-U", primary.throwaway.user, *from_primary)
    environment = {"PATH": os.defpath, "PGPASSWORD": primary.throwaway.password}
    subprocess.run(
        account.command(*copy, "-D", str(data), "-R", "-c", "fast"),
        env=environment,
        cwd="/",
        check=True,
        capture_output=True,
    )
    port = ports.find_free()
    settings = (f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=")
    place = [word for each in settings for word in ("-c", each)]
    server = subprocess.Popen(
        account.command(programs.tool("postgres"), "-D", str(data), *place),
        env={"PATH": os.defpath},
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        who = primary.throwaway
        probe.wait(host=who.host, port=port, user=who.user, password=who.password, seconds=30)
        yield Server(throwaway=replace(who, port=port))
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait()
        shutil.rmtree(data)
