"""The image that tests run on behaves as the official one is documented to."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.docker.conftest import PASSWORD, Server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.conftest import Boot
    from tests.docker.daemon import Docker

pytestmark = pytest.mark.long

_DATA = "/var/lib/postgresql/data"
_REFUSED = "Database is uninitialized and superuser password is not specified"
_SKIPPED = "PostgreSQL Database directory appears to contain a database; Skipping initialization"


def _log_in(server: Server, password: str) -> str:
    """Log in from this machine through the published port, and give what vectors are good for."""

    async def ask() -> str:
        port = server.docker.port(server.container)
        connection = await asyncpg.connect(
            host="127.0.0.1", port=port, user="postgres", password=password, database="postgres"
        )
        try:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            return str(await connection.fetchval("SELECT '[1,2]'::vector <-> '[4,6]'"))
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_what_it_declares(docker: Docker, docker_image: str) -> None:
    """Port, volume, signal, environment and command are those that stacks rely on."""
    config = json.loads(docker("image", "inspect", docker_image).stdout)[0]["Config"]
    env = dict(each.split("=", 1) for each in config["Env"])

    assert list(config["ExposedPorts"]) == ["5432/tcp"]
    assert list(config["Volumes"]) == [_DATA]
    assert config["StopSignal"] == "SIGINT"
    assert config["Entrypoint"] == ["docker-entrypoint.sh"]
    assert config["Cmd"] == ["postgres"]
    assert not config.get("User")
    assert (env["PGDATA"], env["PG_MAJOR"], env["LANG"]) == (_DATA, "17", "en_US.utf8")
    assert "/usr/lib/postgresql/17/bin" in env["PATH"].split(":")


def test_the_network_asks_for_the_password(plain: Server) -> None:
    """Over the published port the right password gets in, and a wrong one doesn't."""
    assert _log_in(plain, PASSWORD) == "5.0"
    with pytest.raises(asyncpg.InvalidPasswordError):
        _log_in(plain, "wrong")
    assert (
        plain.shell("tail", "-n", "1", f"{_DATA}/pg_hba.conf") == "host all all all scram-sha-256"
    )


def test_a_cluster_as_initdb_makes_it_there(plain: Server) -> None:
    """PostgreSQL 17 listens everywhere, sorts as en_US does, and speaks UTF-8."""
    asked = "SELECT current_setting('server_version_num')::int / 10000, datcollate, "
    asked += "pg_encoding_to_char(encoding), current_setting('listen_addresses') "

    told = plain.sql(asked + "FROM pg_database WHERE datname = 'postgres'")

    assert told == "17|en_US.utf8|UTF8|*"


def test_root_drops_to_postgres(plain: Server) -> None:
    """The server is process 1, runs as 999, and owns its files, which are closed to others."""
    assert plain.shell("stat", "-c", "%u:%g", "/proc/1") == "999:999"
    assert plain.shell("cat", "/proc/1/comm") == "postgres"
    assert plain.shell("stat", "-c", "%U %a", _DATA, "/var/run/postgresql").splitlines() == [
        "postgres 700",
        "postgres 3775",
    ]


def test_no_password_no_server(boot: Boot) -> None:
    """Without a password it ends with status 1 and says what is missing."""
    server = boot(POSTGRES_PASSWORD="")

    assert server.ended() == 1
    assert _REFUSED in server.logs()


@pytest.mark.long
def test_trust_needs_no_password_but_is_warned_of(boot: Boot) -> None:
    """POSTGRES_HOST_AUTH_METHOD=trust starts without a password and lets all in, with a warning."""
    options = ("--publish", "127.0.0.1::5432")
    server = boot(options=options, POSTGRES_PASSWORD="", POSTGRES_HOST_AUTH_METHOD="trust").ready()

    assert _log_in(server, "whatever") == "5.0"
    assert "POSTGRES_HOST_AUTH_METHOD has been set to" in server.logs()


def test_secrets_come_from_files(boot: Boot, tmp_path: Path) -> None:
    """The variables with _FILE name files; a line's end at the end of one is not part of it."""
    tmp_path.chmod(0o755)
    for name, text in {"user": "some one", "db": 'of "odd" name', "password": PASSWORD}.items():
        (tmp_path / name).write_text(f"{text}\n")
    env = {f"POSTGRES_{name.upper()}_FILE": f"/run/secrets/{name}" for name in ("user", "db")}

    server = boot(
        options=("--volume", f"{tmp_path}:/run/secrets:ro"),
        POSTGRES_PASSWORD="",
        POSTGRES_PASSWORD_FILE="/run/secrets/password",  # noqa: S106 - the name of a file
        **env,
    ).ready()

    asked = "SELECT current_user, current_database(), rolsuper FROM pg_roles WHERE rolname = user"
    told = server.sql(asked, user="some one", database='of "odd" name')
    assert told == 'some one|of "odd" name|t'
    overtcp = server.docker(
        *("exec", "-e", f"PGPASSWORD={PASSWORD}", server.container),
        *("psql", "-h", "127.0.0.1", "-U", "some one", "-d", 'of "odd" name', "-c", "SELECT 1"),
    )
    assert "(1 row)" in overtcp.stdout


def test_a_variable_and_its_file_exclude_each_other(boot: Boot) -> None:
    """Both at once is an error that names both."""
    server = boot(POSTGRES_PASSWORD_FILE="/etc/hostname")  # noqa: S106 - the name of a file

    assert server.ended() == 1
    assert "POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set" in server.logs()


@pytest.mark.long
def test_the_database_is_called_like_the_user(boot: Boot) -> None:
    """POSTGRES_USER alone names both, and no role `postgres` is made."""
    server = boot(POSTGRES_USER="someone").ready()

    asked = "SELECT string_agg(rolname, ',') FROM pg_roles WHERE rolcanlogin"
    assert server.sql(asked, user="someone", database="someone") == "someone"


@pytest.mark.long
def test_initdb_takes_arguments_and_a_place_for_the_log(boot: Boot) -> None:
    """POSTGRES_INITDB_ARGS is split as a shell does, POSTGRES_INITDB_WALDIR holds pg_wal."""
    server = boot(
        POSTGRES_INITDB_ARGS="--no-sync --data-checksums --set 'application_name=two words'",
        POSTGRES_INITDB_WALDIR="/a wal",
        POSTGRES_HOST_AUTH_METHOD="reject",
    ).ready()

    settings = "SELECT current_setting('data_checksums'), reset_val FROM pg_settings "
    settings += "WHERE name = 'application_name'"
    assert server.sql(settings).split("|")[0] == "on"
    assert "application_name = 'two words'" in server.shell("cat", f"{_DATA}/postgresql.conf")
    assert server.shell("readlink", f"{_DATA}/pg_wal") == "/a wal"
    assert server.shell("tail", "-n", "1", f"{_DATA}/pg_hba.conf") == "host all all all reject"


def test_settings_on_the_command_line(boot: Boot) -> None:
    """`docker run IMAGE -c name=value` sets it, in the first boot too, but for the addresses."""
    server = boot("-c", "work_mem=7MB", "-c", "log_line_prefix=a b: ").ready()

    assert server.sql("SHOW work_mem") == "7MB"
    assert server.logs().count("a b: LOG:  database system is ready to accept connections") == 2


@pytest.mark.parametrize("command", [("postgres", "--version"), ("psql", "--version"), ("-V",)])
def test_other_commands_make_no_cluster(boot: Boot, command: tuple[str, ...]) -> None:
    """Whatever isn't a server runs as it stands, without a password."""
    server = boot(*command, POSTGRES_PASSWORD="")

    assert server.ended() == 0
    assert server.logs().split("(PostgreSQL) ")[1].startswith("17.")


def test_a_volume_keeps_its_rows(boot: Boot, docker: Docker) -> None:
    """The next container on a volume initializes nothing, and ignores another password."""
    options = ("--volume", f"{docker.volume()}:{_DATA}", "--publish", "127.0.0.1::5432")
    first = boot(options=options).ready()
    first.sql("CREATE TABLE kept AS SELECT 42 AS answer")
    docker("stop", first.container)

    second = boot(options=options, POSTGRES_PASSWORD="another").ready()  # noqa: S106 - of a throwaway container

    assert second.sql("SELECT answer FROM kept") == "42"
    assert _SKIPPED in second.logs()
    assert _SKIPPED not in first.logs()
    assert _log_in(second, PASSWORD) == "5.0"


@pytest.mark.long
def test_stopping_is_a_fast_shutdown(boot: Boot) -> None:
    """`docker stop` disconnects clients, writes all down, and ends with status 0."""
    server = boot().ready()
    server.docker(
        "exec", "--detach", server.container, "psql", "-U", "postgres", "-c", "SELECT pg_sleep(60)"
    )

    server.docker("stop", "--time", "20", server.container)

    assert server.ended() == 0
    assert "received fast shutdown request" in server.logs()
    assert server.logs().rstrip().endswith("database system is shut down")


def test_init_scripts_run_once_in_order(boot: Boot, docker: Docker, tmp_path: Path) -> None:
    """Shell and SQL run by name, on POSTGRES_DB, with the server on its socket alone."""
    tmp_path.chmod(0o755)
    log = "psql -v ON_ERROR_STOP=1 -U postgres -d shop -c "
    quiet = "INSERT INTO seen SELECT '{}', current_database(), current_setting('listen_addresses')"
    (tmp_path / "1.sql").write_text("CREATE TABLE seen (n text, db text, listens text);")
    (tmp_path / "2-sourced.sh").write_text(f'{log} "{quiet.format(2)}"; sourced=yes\n')
    (tmp_path / "3-run.sh").write_text(f'#!/bin/sh\n{log} "{quiet.format(3)}"\necho "<$sourced>"\n')
    (tmp_path / "3-run.sh").chmod(0o755)
    (tmp_path / "4.sql.gz").write_bytes(gzip.compress(f"{quiet.format(4)};".encode()))
    (tmp_path / "5.txt").write_text("not for it")
    volume = docker.volume()
    mounts = (f"{tmp_path}:/docker-entrypoint-initdb.d:ro", f"{volume}:{_DATA}")
    options = tuple(word for each in mounts for word in ("--volume", each))

    server = boot(options=options, POSTGRES_DB="shop").ready()
    docker("restart", server.container)
    server.ready()

    rows = server.sql("SELECT n, db, listens FROM seen", database="shop").splitlines()
    assert rows == ["2|shop|", "3|shop|", "4|shop|"]
    assert "ignoring /docker-entrypoint-initdb.d/5.txt" in server.logs()
    assert "<>" in server.logs()  # a sourced script's variables are not exported
    assert "init process complete; ready for start up" in server.logs()


def test_a_failing_init_script_ends_it(boot: Boot, tmp_path: Path) -> None:
    """A mistake in an init script is the container's end, not a warning."""
    tmp_path.chmod(0o755)
    (tmp_path / "1.sql").write_text("SELECT 1/0;")

    server = boot(options=("--volume", f"{tmp_path}:/docker-entrypoint-initdb.d:ro"))

    assert server.ended() != 0
    assert "division by zero" in server.logs()
    assert "ready for start up" not in server.logs()


@pytest.mark.long
@pytest.mark.parametrize(("user", "uid"), [("postgres", "999"), ("1234:1234", "1234")])
def test_any_account_will_do(boot: Boot, user: str, uid: str) -> None:
    """`--user` runs it without root, even as a number that has no name, where it may write."""
    server = boot(options=("--user", user), PGDATA=f"{_DATA}/inside").ready()

    assert server.sql("SELECT 1") == "1"
    assert server.shell("stat", "-c", "%u", "/proc/1", f"{_DATA}/inside").split() == [uid, uid]


def test_its_root_can_be_read_only(boot: Boot) -> None:
    """It writes to its volume, its sockets' folder and /tmp, and nowhere else."""
    writable = ("--tmpfs", "/tmp", "--tmpfs", "/var/run/postgresql")  # noqa: S108 - in the container

    server = boot(options=("--read-only", *writable)).ready()

    assert server.sql("SELECT 1") == "1"


def test_a_volume_of_another_major_is_refused(
    boot: Boot, docker: Docker, docker_image: str
) -> None:
    """PostgreSQL ends and names both versions; the files stay as they were."""
    volume = docker.volume()
    docker.pretend_major(volume, docker_image, 16)

    server = boot(options=("--volume", f"{volume}:{_DATA}"))

    assert server.ended() == 1
    assert _SKIPPED in server.logs()
    assert "initialized by PostgreSQL version 16, which is not compatible" in server.logs()
