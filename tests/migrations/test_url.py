"""The database URL: where it is looked for, which forms it may have, what a mistake says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from alembic.util import CommandError
from sqlalchemy import make_url

from .history import HEAD
from .place import MIGRATIONS, Place, cli, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECRET = "s3cret"  # noqa: S105 - of nobody


@pytest.fixture
def login(maintenance: Place) -> Iterator[Callable[[str], Place]]:
    """Make superusers with a given password on the maintenance database."""
    made: list[str] = []

    def make(password: str) -> Place:
        name = f"user {len(made)} of @/:%😀 {id(made)}"
        literal = password.replace("'", "''")
        maintenance.execute(f"CREATE ROLE {quoted(name)} LOGIN SUPERUSER PASSWORD '{literal}'")
        made.append(name)
        return maintenance.as_user(name, password)

    yield make
    for name in made:
        maintenance.execute(f"DROP ROLE {quoted(name)}")


@pytest.mark.parametrize(
    "password",
    ["%", "%40", "100%%", "a@b", "a/b", "a:b", "a?b", "a#b", "a b", "a+b", "'\\\"", "[😀]", "&=;"],
)
def test_any_password_works_in_a_url(login: Callable[[str], Place], password: str) -> None:
    """A percent-encoded password reaches the server as it is, and so does a user's name."""
    login(password).alembic("current")


def test_any_database_name_works_in_a_url(make_database: Callable[..., Place]) -> None:
    """Quotes, spaces, slashes, percent signs and emoji in the name of the database are kept."""
    place = make_database('it\'s "my" data/base? 100%25 #1 @😀')

    place.alembic("upgrade", "head")

    assert place.value("SELECT version_num FROM alembic_version") == HEAD


@pytest.mark.parametrize(
    "form",
    [
        "postgresql://{rest}",
        "postgres://{rest}",
        "postgresql+asyncpg://{rest}",
        "postgresql+psycopg2://{rest}",
        "postgresql://{rest}?sslmode=disable&connect_timeout=10",
        "postgresql://{rest}?sslmode=prefer&gssencmode=prefer&keepalives=1",
        "postgresql+asyncpg://{rest}?ssl=false&prepared_statement_cache_size=0",
        "postgresql://{rest}?application_name=ledger%20clerk&options=-c%20jit%3Doff",
    ],
)
def test_forms_of_other_tools_are_understood(maintenance: Place, form: str) -> None:
    """A URL from psql, another driver or a hosting service works as it is."""
    rest = maintenance.url.removeprefix("postgresql://")

    maintenance.alembic("current", attributes={"url": form.format(rest=rest)})


def test_a_url_object_is_understood(empty: Place) -> None:
    """SQLAlchemy's own URL may be handed in as well."""
    empty.alembic("upgrade", "head", attributes={"url": make_url(empty.url)})

    assert empty.value("SELECT to_regclass('tasks')") is not None


def test_the_first_url_wins(
    make_database: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-x url=` goes before DATABASE_URL, and that before what a caller put in."""
    argument, variable, attribute = (make_database() for _ in range(3))
    databases = (argument, variable, attribute)

    attribute.alembic("upgrade", "head")
    monkeypatch.setenv("DATABASE_URL", variable.url)
    attribute.alembic("downgrade", "base")
    attribute.alembic("upgrade", "head", x=[f"url={argument.url}"])

    seen = [place.value("SELECT to_regclass('tasks')::text") for place in databases]
    assert seen == ["tasks", None, "tasks"]


@pytest.mark.parametrize("folder", ["root", "migrations"])
def test_without_a_url_the_command_says_how_to_give_one(folder: str) -> None:
    """The plain command fails with one message, no traceback, from either folder."""
    if folder == "root":
        done = cli("-c", "migrations/alembic.ini", "upgrade", "head")
    else:
        done = cli("upgrade", "head", cwd=MIGRATIONS)

    assert done.returncode != 0
    assert "No database URL. Nothing was done." in done.stdout + done.stderr
    assert "DATABASE_URL" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_argument_is_no_fallback(empty: Place) -> None:
    """`-x url=$UNSET` is an error: going on to the next URL would migrate another database."""
    with pytest.raises(CommandError, match="no value"):
        empty.alembic("upgrade", "head", x=["url="])

    assert empty.value("SELECT to_regclass('tasks')") is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"mysql://u:{_SECRET}@h/d", "begin with postgresql://"),
        (f"u:{_SECRET}@h/d", "begin with postgresql://"),
        (f"postgresql:u:{_SECRET}@h/d", "begin with postgresql://"),
        (f"postgresql://u:{_SECRET}@x@h/d", "must be encoded"),
        (f"postgresql://u:{_SECRET}/x@h/d", "must be encoded"),
        (f"postgresql://u:12/{_SECRET}@h/d", "must be encoded"),
        (f"postgresql://u:{_SECRET}#x@h/d", "must be encoded"),
        (f"postgresql://u:{_SECRET}?x@h/d", "must be encoded"),
        (f"postgresql://u:{_SECRET}[@h/d", "can't be read"),
        (f"postgresql://u:{_SECRET}@h:port/d", "must be encoded"),
        (f"postgresql://u:{_SECRET}@h:0/d", "must be encoded"),
        (f"postgresql://u:{_SECRET}@h:65536/d", "must be encoded"),
        (f"postgresql://u:{_SECRET}@h/d?connect_timeout=soon", "connect_timeout"),
        (f"postgresql://u:{_SECRET}@h/d?channel_binding=require", "channel_binding=require"),
        (f"postgresql://u:{_SECRET}@h/d?gssencmode=require", "gssencmode=require"),
        (f"postgresql://u:{_SECRET}@127.0.0.1:1/d", "Can't connect to 127.0.0.1:1/d"),
        (f"postgresql://u:{_SECRET}@no-such-host.invalid/d", "no-such-host.invalid/d"),
        (f"postgresql://u:{_SECRET}@127.0.0.1:1/d?sslmode=maybe", "sslmode"),
        (f"postgresql://u:{_SECRET}@127.0.0.1:1/d?sslmode=verify-full&sslrootcert=/no", "TLS"),
    ],
)
def test_a_mistake_in_the_url_is_told_without_it(
    maintenance: Place, url: str, message: str
) -> None:
    """Every mistake is one message, which never quotes the password."""
    with pytest.raises(CommandError) as caught:
        maintenance.alembic("upgrade", "head", attributes={"url": url})

    assert message in str(caught.value)
    assert "Nothing was done." in str(caught.value)
    assert _SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": "wrong " + _SECRET}, "password authentication failed"),
        ({"database": "no such database"}, "does not exist"),
        ({"user": "nobody here"}, "authentication failed"),
    ],
)
def test_a_refused_login_is_told_without_the_password(
    maintenance: Place, change: dict[str, Any], message: str
) -> None:
    """What the server says about the login is passed on."""
    with pytest.raises(CommandError, match=message) as caught:
        replace(maintenance, **change).alembic("upgrade", "head")

    assert "Nothing was done." in str(caught.value)
    assert _SECRET not in str(caught.value)


def test_the_plain_command_migrates_from_either_folder(empty: Place) -> None:
    """`alembic` alone, with a URL in the environment, does the whole job."""
    up = cli("-c", "migrations/alembic.ini", "upgrade", "head", url=empty.url)
    current = cli("current", cwd=MIGRATIONS, url=empty.url)

    assert (up.returncode, current.returncode) == (0, 0), up.stderr + current.stderr
    assert current.stdout.strip() == f"{HEAD} (head)"


def test_the_plain_command_shows_no_traceback_on_a_refused_statement(empty: Place) -> None:
    """A failing revision ends with what PostgreSQL said, and an exit status that is not 0."""
    empty.execute("CREATE TABLE clients (id int)")

    done = cli("upgrade", "head", cwd=MIGRATIONS, url=empty.url)

    assert done.returncode != 0
    assert 'relation "clients" already exists' in done.stdout
    assert "Traceback" not in done.stderr


def test_no_file_holds_a_url() -> None:
    """A URL comes from outside, always."""
    for path in MIGRATIONS.rglob("*"):
        if path.suffix in {".ini", ".py", ".mako"}:
            assert "sqlalchemy.url =" not in path.read_text(encoding="utf-8"), path
