"""The image that tests run on behaves as the official one is documented to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.docker.daemon import Docker

_PASSWORD = ("--env", 'POSTGRES_PASSWORD=it\'s a "secret" $PATH')


def test_a_server_with_pgvector_comes_up(docker: Docker, docker_image: str) -> None:
    """A password is all that it needs; then PostgreSQL 17 answers and knows vectors."""
    container = docker.start(docker_image, options=_PASSWORD)
    docker.ready(container)

    told = docker(
        "exec",
        container,
        "psql",
        "-U",
        "postgres",
        "-Atc",
        "CREATE EXTENSION vector; SELECT '[1,2]'::vector <-> '[4,6]'; SHOW server_version_num",
    )

    assert told.stdout.split()[:3] == ["CREATE", "EXTENSION", "5"]
    assert told.stdout.split()[3].startswith("17")
