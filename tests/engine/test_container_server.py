"""A server in a container through what happens to it, on the real engine and a real Docker."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.engine.container import ContainerStack
from tests.engine.programs import SERVER_ALONE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.docker.daemon import Docker

pytestmark = pytest.mark.long

_ROWS = "SELECT count(*) FROM kept"
_CLEAN = "database system was shut down"


@pytest.fixture(scope="module")
def stack(scratch: Path, docker: Docker, docker_image: str) -> Iterator[ContainerStack]:
    """A server that is up, with a table of one row."""
    folder = scratch / f"server-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    stack = ContainerStack(folder, docker=docker, image=docker_image, program=SERVER_ALONE)
    try:
        stack.configure(volume=docker.name("server"))
        stack.up()
        stack.query("CREATE TABLE kept AS SELECT 1 AS one")
        yield stack
    finally:
        stack.destroy(check=False)
        docker("image", "rm", _other(stack), check=False)
        shutil.rmtree(folder)


def test_the_container_may_do_little_and_is_reached_from_here_alone(stack: ContainerStack) -> None:
    """Loopback, read-only root, few capabilities, a health check, memory for parallel builds."""
    found = stack.described()
    host, config = found["HostConfig"], found["Config"]

    assert [each["HostIp"] for each in host["PortBindings"]["5432/tcp"]] == ["127.0.0.1"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges" in host["SecurityOpt"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["ShmSize"] > 64 * 1024 * 1024  # maintenance_work_mem
    assert found["State"]["Health"]["Status"] == "healthy"
    assert "--host=127.0.0.1" in config["Healthcheck"]["Test"]
    assert config["StopTimeout"] == 60
    for thing in stack.things():
        said = stack.docker("inspect", "--format", "{{json .}}", thing).stdout
        assert '"groundwork.stack":"test"' in said, thing


def test_the_cluster_is_as_everywhere(stack: ContainerStack) -> None:
    """SCRAM, checksums, UTF-8, the built-in locale; dead clients are noticed in seconds."""
    shown = {
        "password_encryption": "scram-sha-256",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "client_connection_check_interval": "5s",
    }
    for name, value in shown.items():
        assert stack.query(f"SHOW {name}") == [(value,)]
    assert stack.query(
        "SELECT datlocprovider::text, datlocale FROM pg_database WHERE datname = 'postgres'"
    ) == [("b", "C.UTF-8")]
    assert stack.query("SELECT DISTINCT auth_method FROM pg_hba_file_rules WHERE type <> 'local'")


def test_a_second_run_changes_nothing(stack: ContainerStack) -> None:
    """The engine agrees in each of its ways to ask."""
    stack.up("--expect-no-changes")
    stack.refresh("--expect-no-changes")


def test_no_secret_is_in_docker_or_in_the_state(stack: ContainerStack) -> None:
    """Neither in what Docker tells of the containers, nor in the log, nor in the state."""
    secrets = stack.secrets()
    told = "".join(stack.docker("inspect", thing).stdout for thing in stack.things())
    log = stack.docker.logs(stack.container())

    assert len(secrets) >= 3  # password, verifier, URL
    for secret in secrets:
        for place in (told, log, stack.state()):
            assert secret not in place


def test_a_stopped_container_is_started_with_its_rows(stack: ContainerStack) -> None:
    """A preview sees that it is down; `up` starts the same one."""
    before = stack.container()
    stack.docker("stop", "--time", "60", before, timeout=90)

    assert stack.steps()["server"] == "update"
    assert "it will be started" in stack.up().text

    assert stack.container() == before
    assert stack.query(_ROWS) == [(1,)]
    stack.preview("--expect-no-changes")


def test_a_refresh_sees_that_a_container_is_stopped(stack: ContainerStack) -> None:
    """And `up` brings it back with the rows."""
    stack.docker("stop", "--time", "60", stack.container(), timeout=90)
    stack.look()

    stack.up()

    assert stack.query(_ROWS) == [(1,)]


def test_a_container_that_is_gone_is_made_anew_with_the_rows(stack: ContainerStack) -> None:
    """A preview says what to do; after that, `up` makes another one on the volume."""
    stack.docker("rm", "--force", "--volumes", stack.container())

    refused = stack.preview(check=False)
    assert refused.status
    assert "is gone; the rows are in the volume" in refused.text
    assert "pulumi refresh --target urn:pulumi:test::groundwork::docker:" in refused.text
    stack.look()
    stack.up()

    assert stack.query(_ROWS) == [(1,)]
    stack.preview("--expect-no-changes")


def test_another_password_keeps_sessions_and_container(stack: ContainerStack) -> None:
    """The former one opens no new session; the new one holds after a restart, too."""
    former, container = stack.outputs()["url"], stack.described()["Id"]

    async def rotate() -> int:
        session = await asyncpg.connect(former)
        try:
            stack.configure(adminPasswordVersion="2")
            await asyncio.to_thread(stack.up)
            return int(await session.fetchval("SELECT 7"))
        finally:
            await session.close()

    assert asyncio.run(rotate()) == 7
    assert stack.described()["Id"] == container
    with pytest.raises(asyncpg.InvalidPasswordError):
        stack.query("SELECT 1", url=former)
    stack.preview("--expect-no-changes")
    stack.docker("restart", "--time", "60", stack.container(), timeout=90)
    stack.docker.ready(stack.container())
    assert stack.query(_ROWS) == [(1,)]


def test_another_image_and_other_settings_keep_the_rows(stack: ContainerStack) -> None:
    """The former container ends in order: the next one's log says so."""
    other = _another_image(stack)
    stack.configure(image=other, memory="700", cpus="1.5")
    stack.configure(**{"parameters.maintenance_work_mem": "256MB"})
    stack.up()
    found = stack.described()

    assert stack.query(_ROWS) == [(1,)]
    assert _CLEAN in stack.docker.logs(stack.container())
    assert stack.query("SHOW maintenance_work_mem") == [("256MB",)]
    assert found["HostConfig"]["ShmSize"] > 256 * 1024 * 1024
    assert found["HostConfig"]["Memory"] == 700 * 1024 * 1024
    assert found["Config"]["Labels"]["groundwork.other"] == "image"
    stack.configure(memory="800")
    stack.up()
    assert stack.described()["Id"] == found["Id"]  # limits change in place
    assert stack.described()["HostConfig"]["Memory"] == 800 * 1024 * 1024
    stack.configure(memory=None)
    stack.up()
    assert stack.described()["HostConfig"]["Memory"] == 0
    stack.refresh("--expect-no-changes")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("parameters.shared_buffers", "x", 'invalid value for parameter "shared_buffers"'),
        ("memory", "200", "groundwork:memory is 200 MiB, and PostgreSQL needs"),
        ("shmSize", "64", "shmSize"),
        ("image", "groundwork.test/no/such:image", "groundwork.test/no/such:image"),
    ],
)
def test_what_cannot_be_is_refused_and_the_server_stays(
    stack: ContainerStack, key: str, value: str, said: str
) -> None:
    """One message, no traceback; the container is the same and answers."""
    before = stack.described()["Id"]
    former = stack.configured(key)
    stack.configure(**{key: value})
    refused = stack.up(check=False)
    stack.configure(**{key: former})

    assert refused.status
    assert said in refused.text
    assert "Traceback" not in refused.text
    assert stack.described()["Id"] == before
    assert stack.query(_ROWS) == [(1,)]


def test_with_a_certificate_the_server_takes_nobody_without_tls(stack: ContainerStack) -> None:
    """Its URL checks certificate and name, the key is nowhere in clear; without, all is back."""
    _certify(stack.folder)
    keys = {"tlsCertificate": "cert.pem", "tlsKey": "key.pem", "tlsCa": "ca.pem"}
    stack.configure(**keys)
    stack.up()
    url, _, options = stack.outputs()["url"].partition("?")

    assert options == "sslmode=verify-full&sslrootcert=ca.pem"
    full = f"{url}?sslmode=verify-full&sslrootcert={stack.folder / 'ca.pem'}"
    asked = "SELECT ssl, (SELECT count(*) FROM kept) FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert stack.query(asked, url=full) == [(True, 1)]
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        stack.query("SELECT 1", url=f"{url}?sslmode=disable")
    assert "PRIVATE KEY" not in stack.state()
    assert "PRIVATE KEY" not in stack.docker("inspect", stack.container()).stdout
    stack.preview("--expect-no-changes")
    stack.configure(**dict.fromkeys(keys))
    stack.up()
    assert stack.query(_ROWS) == [(1,)]


def test_a_protected_stack_is_not_destroyed(stack: ContainerStack) -> None:
    """Nothing of it goes: the same container answers afterwards."""
    stack.configure(protect="true")
    stack.up()
    before, things = stack.described()["Id"], stack.things()

    said = stack.destroy(check=False).text

    assert "protect" in said
    assert (stack.described()["Id"], stack.things()) == (before, things)
    assert stack.query(_ROWS) == [(1,)]
    stack.configure(protect="false")
    stack.up()


def test_a_volume_that_is_lost_is_another_cluster(stack: ContainerStack) -> None:
    """The server is replaced, so that what was inside is made anew with it."""
    cluster = stack.outputs()["cluster"]
    volume = stack.volume()
    stack.docker("rm", "--force", "--volumes", stack.container())
    stack.docker("volume", "rm", volume)
    stack.look(volume=True)

    assert stack.steps()["server"] == "replace"
    stack.up()

    assert stack.outputs()["cluster"] != cluster
    stack.preview("--expect-no-changes")


def test_destroy_leaves_nothing(stack: ContainerStack) -> None:
    """No container, no volume, no network."""
    before, made = stack.everything(), stack.things()

    stack.destroy()

    assert len(made) == 5  # two containers, two volumes, a network
    assert made <= before
    assert not made & stack.everything()


def _another_image(stack: ContainerStack) -> str:
    """Make an image that differs from the first one in a label."""
    container = stack.docker("create", "--label", stack.docker.label, stack.image).stdout.strip()
    change = ("--change", "LABEL groundwork.other=image")
    stack.docker("commit", *change, container, _other(stack))
    stack.docker("rm", "--volumes", container)
    return _other(stack)


def _other(stack: ContainerStack) -> str:
    return f"{stack.docker.prefix}image:other"


def _certify(folder: Path) -> None:
    """Make a certificate of 127.0.0.1, its key and its authority."""
    trustme: Any = pytest.importorskip("trustme", reason="trustme makes the certificates")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
    (folder / "cert.pem").write_bytes(chain)
