"""The admin's URL of an existing server: what is read from it, and what is refused in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.servers.remote import adminurl
from infra.servers.remote.adminurl import AdminUrlError, parse
from tests.servers.front import Authority

if TYPE_CHECKING:
    from pathlib import Path


def test_a_plain_url_is_read_with_what_it_leaves_out() -> None:
    """Port, database and the safest mode that needs no file."""
    url = parse("postgresql://u@db.test")

    assert url.hosts == (("db.test", 5432),)
    assert (url.user, url.password, url.database, url.sslmode) == ("u", "", "postgres", "require")
    assert (url.addresses, url.session_attrs) == ("db.test:5432", "")


def test_every_part_may_hold_any_character() -> None:
    """Escapes are undone once, and a + stays a +."""
    url = parse(
        "postgresql+asyncpg://a%40b%3A:%2F%3F%23+%25%F0%9F%93%9A@h:1/my%20%22db%22"
        "?sslmode=verify-ca&sslrootcert=a+b%20c.pem"
    )

    assert (url.user, url.password) == ("a@b:", "/?#+%📚")
    assert (url.database, url.sslrootcert) == ('my "db"', "a+b c.pem")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:p@a.test:1,b.test,[::1]:3/d",
        "postgresql://u:p@/d?host=a.test,b.test,::1&port=1,5432,3",
    ],
)
def test_several_hosts_are_read_in_either_way_of_writing(text: str) -> None:
    """Other URLs get them all, and go where writes are taken."""
    url = parse(text)

    assert url.hosts == (("a.test", 1), ("b.test", 5432), ("::1", 3))
    assert url.addresses == "a.test:1,b.test:5432,[::1]:3"
    assert url.session_attrs == "read-write"
    assert (
        parse(f"{text}{'&' if '?' in text else '?'}target_session_attrs=primary").session_attrs
        == "primary"
    )


def test_the_mode_is_said_by_url_or_configuration_and_is_verify_full_with_an_authority() -> None:
    """Both may say the same."""
    authority = "?sslrootcert=ca.pem"

    assert parse(f"postgresql://u@h/{authority}").sslmode == "verify-full"
    assert parse("postgresql://u@h", sslmode="disable").sslmode == "disable"
    assert parse("postgresql://u@h/?sslmode=require", sslmode="require").sslmode == "require"
    assert parse(f"postgresql://u@h/{authority}&sslmode=disable").sslrootcert == ""


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ("?sslmode=prefer", "verify-full"),
        ("?sslmode=strict", "is none of disable, require"),
        ("?sslmode=verify-full", "needs sslrootcert=FILE"),
        ("?sslmode=verify-full&sslrootcert=system", "needs sslrootcert=FILE"),
        ("?sslcert=a.pem", "belong together"),
        ("?target_session_attrs=standby", "takes no writes"),
        ("?channel_binding=require", "channel_binding"),
        ("?options=-c%20a%3Db", "'options'"),
        ("?host=/run/postgresql", "socket"),
        ("?host=a,b&port=1,2,3", "2 hosts and 3 ports"),
    ],
)
def test_what_can_not_be_had_is_refused_with_what_to_write(tail: str, said: str) -> None:
    """One message, which names the key and the command, and no secret."""
    with pytest.raises(AdminUrlError) as refused:
        parse(f"postgresql://u:secret-word@h/{tail}")

    text = str(refused.value)
    assert said in text
    assert text.startswith("groundwork:adminUrl: ")
    assert "Nothing was changed." in text
    assert "pulumi config set --secret groundwork:adminUrl" in text
    assert "secret-word" not in text


@pytest.mark.parametrize(
    "text",
    [
        "mysql://u:secret-word@h/d",
        "postgresql://u:secret/word@h/d",
        "postgresql://u:secret#word@h/d",
        "postgresql://u:secret@word@h/d",
        "postgresql://:secret-word@h/d",
        "postgresql://u:secret-word@/d",
        "postgresql://u:secret-word@h:99999/d",
        "postgresql://u:secret-word@h:x/d",
        "postgresql://u:secret-word@[h/d",
        "h:5432 secret-word",
        "",
    ],
)
def test_a_url_that_can_not_be_read_shows_nothing_of_itself(text: str) -> None:
    """Where its parts are in doubt, any of them may be the password."""
    with pytest.raises(AdminUrlError) as refused:
        parse(text)

    assert "secret" not in str(refused.value).replace("config set --secret", "")
    assert "word" not in str(refused.value).replace("password", "").replace("PASSWORD", "")


def test_configuration_and_url_may_not_contradict_each_other() -> None:
    """Neither wins without a word."""
    with pytest.raises(AdminUrlError, match="Say it once"):
        parse("postgresql://u@h/?sslmode=verify-full&sslrootcert=x", sslmode="disable")


def test_files_are_meant_from_the_projects_folder(tmp_path: Path) -> None:
    """Those that are missing or something else are named as they were written."""
    authority = Authority(tmp_path)
    (tmp_path / "text.pem").write_text("no certificate")
    url = "postgresql://u@h/?sslrootcert="

    assert parse(f"{url}{authority.file.name}").encryption(tmp_path)
    with pytest.raises(AdminUrlError, match=r"'none\.pem' of sslrootcert.*No such file"):
        parse(f"{url}none.pem").encryption(tmp_path)
    with pytest.raises(AdminUrlError, match=r"'text\.pem' of sslrootcert holds no certificate"):
        parse(f"{url}text.pem").encryption(tmp_path)
    with pytest.raises(AdminUrlError, match=r"'text\.pem' of sslcert"):
        parse("postgresql://u@h/?sslcert=text.pem&sslkey=text.pem").encryption(tmp_path)
    assert parse("postgresql://u@h/?sslmode=disable").encryption(tmp_path) is False


def test_its_text_shows_no_password() -> None:
    """Neither in a log nor in the message of a test."""
    assert "secret-word" not in repr(parse("postgresql://u:secret-word@h"))
    assert adminurl.written("::1", 5) == "[::1]:5"


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """The provider would refuse it in the middle of an `up`; the message has the command."""
    files = Authority(tmp_path)
    url = parse("postgresql://u@h?sslmode=require&sslcert=client.pem&sslkey=client.pem")
    files.client.chmod(mode)

    with pytest.raises(AdminUrlError, match=rf"mode {mode:04o}.*chmod 06.0 client\.pem"):
        url.encryption(tmp_path)

    files.client.chmod(0o640 if files.client.stat().st_uid == 0 else 0o600)
    url.encryption(tmp_path)
