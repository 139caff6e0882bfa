"""What a container of the target `container` does before PostgreSQL listens."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest

from infra.servers import probe
from tests.servers.containers import Place
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.daemon import Docker

pytestmark = pytest.mark.long


@pytest.fixture
def place(docker: Docker, docker_image: str) -> Place:
    """Two empty volumes, and an image."""
    return Place.make(docker, docker_image)


def test_the_password_of_the_file_holds_at_every_start(place: Place) -> None:
    """The rows stay under a new password, which takes the place of any other; no log has it."""
    place.put("first password")
    made = place.ask(name := place.start("-c", "log_statement=all"), "first password")
    first = place.stop(name)
    place.put("second password")
    name = place.start("-c", "log_statement=all")

    assert place.ask(name, "second password") == made
    with pytest.raises(probe.RefusedError):
        place.ask(name, "first password")
    log = first + place.stop(name)
    assert "SCRAM-SHA-256" not in log
    assert "password'" not in log


def test_a_cluster_that_another_made_is_taken_over(place: Place) -> None:
    """A volume of the plain image, whose password nobody knows, gets the one of the file."""
    options = (
        f"--volume={place.data}:/var/lib/postgresql/data",
        "--env=POSTGRES_PASSWORD=forgotten",
    )
    plain = place.docker.start(place.image, options=options)
    place.docker.ready(plain)
    place.stop(plain)
    place.put("known again")

    assert place.ask(place.start(), "known again").version.startswith("17.")


def test_no_second_server_runs_on_a_volume(place: Place) -> None:
    """The second waits for the first to end, and then has its rows; they never run at once."""
    place.put("password")
    first = place.start()
    made = place.ask(first, "password")
    second = place.start()
    with pytest.raises(ToolchainError, match="no PostgreSQL"):
        place.docker.ready(second, seconds=4)
    log = place.stop(first)

    assert place.ask(second, "password") == made
    assert "database system is shut down" in log
    assert "not properly shut down" not in place.docker.logs(second)


@pytest.mark.parametrize("step", ["PG_VERSION", "base/1", "base/4", "base/5", "groundwork.done"])
def test_killed_in_its_first_start_it_comes_up_in_the_next(place: Place, step: str) -> None:
    """With half a cluster there is no cluster, whatever the moment; nothing is left of it."""
    place.put("password")
    name = place.start()
    wait = f"until [ -e $PGDATA/groundwork.new/{step} ] || [ -e $PGDATA/PG_VERSION ]; do :; done"
    place.docker("exec", name, "timeout", "20", "sh", "-c", wait)
    place.docker("kill", name)
    place.docker("rm", "--volumes", name)

    assert place.ask(place.start(), "password").version.startswith("17.")
    assert "groundwork" not in place.sh("ls $PGDATA")


def test_killed_while_its_cluster_moves_into_place_it_goes_on(place: Place) -> None:
    """What initdb has finished is kept."""
    place.put("password")
    made = place.ask(name := place.start(), "password")
    place.stop(name)
    place.sh(
        "cd $PGDATA && mkdir groundwork.new && mv base PG_VERSION groundwork.new"
        " && touch groundwork.new/groundwork.done"
    )

    assert place.ask(place.start(), "password") == made


def test_a_volume_of_another_major_version_is_left_alone(place: Place) -> None:
    """The message names both versions and what to do."""
    place.docker.pretend_major(place.data, place.image, 16)
    place.put("password")
    name = place.start()

    assert place.docker.ended(name) == 1
    log = place.docker.logs(name)
    assert "belongs to PostgreSQL 16, and the image has PostgreSQL 17" in log
    assert "groundwork:image" in log
    assert place.sh("cat $PGDATA/PG_VERSION").strip() == "16"


def test_with_a_certificate_nobody_comes_in_without_tls(place: Place, tmp_path: Path) -> None:
    """The key is the server's own and nobody else's; a session in clear is refused."""
    trustme: Any = pytest.importorskip("trustme", reason="trustme makes the certificates")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    chain = b"".join(each.bytes() for each in issued.cert_chain_pems).decode()
    place.put("password", **{"tls.crt": chain, "tls.key": issued.private_key_pem.bytes().decode()})
    files = (f"ssl_{kind}_file=/run/groundwork/tls.{end}" for kind, end in _TLS_FILES)
    flags = [word for each in ("ssl=on", *files) for word in ("-c", each)]
    name = place.start(*flags, transport="hostssl")
    place.docker.ready(name)
    login: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": place.docker.port(name),
        "user": "postgres",
        "password": "password",
    }

    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    assert probe.wait(**login, seconds=20, tls=context).version.startswith("17.")
    with pytest.raises(probe.RefusedError, match="no encryption"):
        probe.ask(**login)
    stat = place.docker("exec", name, "stat", "-c", "%U %a", "/run/groundwork/tls.key").stdout
    assert stat.strip() == "postgres 600"


_TLS_FILES = (("cert", "crt"), ("key", "key"))
