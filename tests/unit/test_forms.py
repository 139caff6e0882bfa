"""The forms in which a URL is given lead where the URL leads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from infra import forms, readme
from infra.settings import parse
from tests.servers.front import Authority, Front

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.unit.settings_project import SettingsProject


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority whose file has a name that URLs stumble on."""
    folder = tmp_path / "my tls & more"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def front(authority: Authority, postgres_server: PostgresServer) -> Iterator[Front]:
    """A server of the name `localhost` with TLS alone."""
    context = authority.context("localhost", clients=False)
    front = Front(postgres_server.host, postgres_server.port, context)
    yield front
    front.close()


def _ask(url: str, question: str) -> object:
    """Ask through SQLAlchemy, with the URL as it is."""

    async def ask() -> object:
        engine = create_async_engine(url)
        try:
            async with engine.connect() as connection:
                return await connection.scalar(text(question))
        finally:
            await engine.dispose()

    return asyncio.run(ask())


def _url(server: PostgresServer, hosts: str, options: str) -> str:
    user, password = quote(server.user, safe=""), quote(server.password, safe="")
    return f"postgresql://{user}:{password}@{hosts}/postgres?{options}"


def test_sqlalchemy_checks_the_certificate_that_the_url_says(
    front: Front, authority: Authority, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """With the authority's file it gets in over TLS, with another authority's it doesn't."""
    stranger = Authority(tmp_path)
    hosts = f"localhost:{front.port}"
    url = "sslmode=verify-full&sslrootcert={}"

    right = _url(postgres_server, hosts, url.format(quote(str(authority.file), safe="")))
    wrong = _url(postgres_server, hosts, url.format(quote(str(stranger.file), safe="")))

    assert _ask(forms.sqlalchemy(right), "SELECT current_user") == postgres_server.user
    assert front.sessions == 1
    with pytest.raises(Exception, match="certificate verify failed"):
        _ask(forms.sqlalchemy(wrong), "SELECT 1")


def test_sqlalchemy_requires_tls_where_the_url_does(
    front: Front, postgres_server: PostgresServer
) -> None:
    """A server without TLS is refused, one with it is taken."""
    plain = f"127.0.0.1:{postgres_server.port}"
    with_tls = _url(postgres_server, f"127.0.0.1:{front.port}", "sslmode=require")

    assert _ask(forms.sqlalchemy(with_tls), "SELECT 1") == 1
    assert front.sessions == 1
    with pytest.raises(Exception, match=r"(?i)ssl"):
        _ask(forms.sqlalchemy(_url(postgres_server, plain, "sslmode=require")), "SELECT 1")


def test_sqlalchemy_goes_to_the_next_host_when_one_is_gone(
    postgres_server: PostgresServer,
) -> None:
    """Of several hosts the one that takes writes."""
    hosts = f"127.0.0.1:1,[::1]:2,127.0.0.1:{postgres_server.port}"
    url = _url(postgres_server, hosts, "sslmode=disable&target_session_attrs=read-write")

    assert _ask(forms.sqlalchemy(url), "SELECT inet_server_port()") == postgres_server.port


def test_the_password_alone_is_the_one_of_the_url() -> None:
    """Whatever characters are in it."""
    assert forms.password("postgresql://a%20b:p%40%3A%2F%25@h:1/d?sslmode=disable") == "p@:/%"


def test_psql_gets_a_line_that_any_shell_takes_as_one() -> None:
    """A quote in a name ends nothing, and the password is not in it."""
    url = "postgresql://o'app:geheim@h:1/d%22x?sslmode=verify-full&sslrootcert=my%20ca.pem"

    line = forms.psql(url, password_from="ask me")  # noqa: S106 - a command, and no password
    assert line == (
        'PGPASSWORD="$(ask me)" psql '
        "'postgresql://o'\"'\"'app@h:1/d%22x?sslmode=verify-full&sslrootcert=my%20ca.pem'"
    )


def _page(project: SettingsProject, **given: str) -> str:
    settings = parse(given, root=project.folder)
    server = readme.Server(endpoint="h:1", version="17.4", data_dir="/var/lib/it's here")
    return readme.write(settings, stack="s", server=server, revision="", psql="psql x")


def test_the_readme_says_what_destroy_does_to_this_stack(project: SettingsProject) -> None:
    """Deletes, keeps, or is held off, and how to go about that."""
    url = "postgresql://admin:x@db.test/postgres"
    prod = {"environment": "prod", "target": "existing", "adminUrl": url}
    reason = {"sslmode": "require", "sslmodeReason": "no | CA *here*"}

    assert "`pulumi destroy --stack s` deletes the data." in _page(project)
    assert "The data is in `/var/lib/it's here`." in _page(project)
    assert "leaves the data where it is." in _page(project, retain="true")
    assert "protected by `groundwork:protect`" in _page(project, protect="true")
    page = _page(project, **prod, **reason)
    assert "`pulumi config set groundwork:environment dev --stack s`" in page
    assert "certificate: no \\| CA \\*here\\*" in page
    assert "adminPasswordVersion" not in page
    assert "leaves database and roles on the server" in _page(
        project, target="existing", adminUrl=url, existingObjects="adopt"
    )


def test_the_readme_tells_how_each_password_is_changed(project: SettingsProject) -> None:
    """Generated ones by a version, chosen ones by another choice; none is shown."""
    page = _page(project, appPassword="geheim-geheim", passwordVersion="4")

    assert "    pulumi config set groundwork:passwordVersion 5 --stack s\n" in page
    assert "    pulumi config set groundwork:adminPasswordVersion 2 --stack s\n" in page
    assert "    pulumi config set --secret groundwork:appPassword --stack s\n" in page
    assert "readerPassword" not in page
    assert "geheim" not in page
