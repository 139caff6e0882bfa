"""Settings: what is accepted, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.schema.model import Policy
from infra.schema.options import Options
from infra.settings import SettingsError, parse
from infra.settings.key import LOGINS
from infra.settings.keys import KEYS
from tests.unit.settings_project import ADMIN_URL

if TYPE_CHECKING:
    from tests.unit.settings_project import SettingsProject


def test_defaults_are_enough(project: SettingsProject) -> None:
    """A stack that sets nothing gets an embedded server on a free port."""
    chosen = project.parse()

    assert (chosen.target, chosen.database, chosen.port) == ("embedded", "groundwork", 0)
    assert (chosen.environment, chosen.protect, chosen.retain) == ("dev", False, False)
    assert chosen.data_dir is None
    assert chosen.migrations == project.folder / "migrations"


def test_defaults_that_are_given_are_as_if_they_were_not(project: SettingsProject) -> None:
    """The engine hands the defaults of Pulumi.yaml over like what somebody has set."""
    defaults = {name: key.default for name, key in KEYS.items()}

    assert project.parse(**defaults) == project.parse()
    assert project.parse(**defaults | {"environment": "preview"}).schema.policy == Policy(
        downgrade="allow", drift="refuse"
    )


def test_every_mistake_is_listed_in_one_message_with_its_key(project: SettingsProject) -> None:
    """Several mistakes come together, each with the key to set, and nothing is changed."""
    values = {
        "target": "cloud",
        "port": "70000",
        "database": "",
        "migrations": "nowhere",
        "auditor": "perhaps",
        "cpus": "many",
        "parameters": '{"port": 1}',
        "appPassword": "short",
        "ownerRole": "pg_owner",
        "lock_timeout": "soon",
        "nonsense": "1",
    }
    with pytest.raises(SettingsError) as caught:
        parse(values, root=project.folder)

    text = str(caught.value)
    assert f"{len(values)} mistakes; nothing was changed" in text
    for key in values:
        assert text.count(f"- groundwork:{key}: ") == 1
    assert "pulumi config set" in text


@pytest.mark.parametrize(
    ("key", "low", "high", "beside"),
    [(key.name, *key.span, key.beside) for key in KEYS.values() if key.type == "integer"],
)
def test_a_number_is_a_whole_one_in_its_range(
    project: SettingsProject, key: str, low: int, high: int, beside: int | None
) -> None:
    """The ends belong to the range, what is next to them doesn't, and words are no numbers."""
    wrong = ["", "http", "54.3", "1e3", " 5", "٣", "1_000", "9" * 30, str(low - 1), str(high + 1)]
    if beside is not None:
        wrong = [text for text in wrong if text != str(beside)]

    for text in wrong:
        mistakes = project.mistakes(**{key: text})
        assert any(line.startswith(f"groundwork:{key}: ") for line in mistakes), text
    for number in (low, high, beside):
        given = {key: str(number), "target": (KEYS[key].targets or ("embedded",))[0]}
        mistakes = project.mistakes(**given) if number is not None else []
        # It may be too much together with other keys, and is right by itself.
        assert not [line for line in mistakes if "out of range" in line or "not a number" in line]


@pytest.mark.parametrize("text", ["True", "yes", "1", ""])
def test_a_boolean_is_true_or_false(project: SettingsProject, text: str) -> None:
    """Other words for it are refused: YAML and people differ on them."""
    assert project.mistake(auditor=text) == (
        f"groundwork:auditor: {text!r} is neither true nor false"
    )


@pytest.mark.parametrize("key", [key.name for key in KEYS.values() if key.shape == "duration"])
@pytest.mark.parametrize("text", ["5 seconds", "-1", "1m", "1.5s", "25d", "99999999h", "5s; x"])
def test_a_duration_is_one_that_postgresql_takes(
    project: SettingsProject, key: str, text: str
) -> None:
    """Another unit, or more than 24 days, would fail only at the server."""
    given = {key: text, **({"auditor": "true"} if key.startswith("auditor") else {})}

    assert project.mistake(**given).startswith(f"groundwork:{key}: {text!r} is ")


def test_limits_reach_the_roles_that_they_are_for(project: SettingsProject) -> None:
    """Every role that logs in has four keys; an empty one sets no limit."""
    own = {
        f"{kind}{suffix}": f"{number}{index}s"
        for number, kind in enumerate(LOGINS, 1)
        for index, suffix in enumerate(("StatementTimeout", "LockTimeout", "IdleTimeout"))
    }
    connections = {f"{kind}Connections": str(10 + n) for n, kind in enumerate(LOGINS)}

    limits = project.parse(auditor="true", **own, **connections).access.limits

    assert set(limits) == set(LOGINS)
    for number, kind in enumerate(LOGINS, 1):
        limit = limits[kind]
        assert (limit.statement_timeout, limit.lock_timeout, limit.idle_timeout) == (
            f"{number}0s",
            f"{number}1s",
            f"{number}2s",
        )
        assert limit.connections == 9 + number
    assert project.parse(appStatementTimeout="").access.limits["app"].statement_timeout == ""


def test_a_misspelt_key_is_refused_with_the_nearest_right_one(project: SettingsProject) -> None:
    """An unknown key never passes for a default, in whatever case it is written."""
    near = {
        "databse": "database",
        "app_password": "appPassword",
        "PORT": "port",
        "onDestroy": "on_destroy",
        "tlscert": "tlsCertificate",
        "sslMode": "sslmode",
    }
    for wrong, right in near.items():
        assert project.mistake(**{wrong: "x"}) == (
            f"groundwork:{wrong}: no such key; did you mean groundwork:{right}?"
        )
    assert project.mistake(qqqqqq="x") == "groundwork:qqqqqq: no such key"


def test_a_missing_configuration_of_alembic_is_told_before_anything_is_made(
    project: SettingsProject,
) -> None:
    """The folder is there, and nothing that Alembic would read."""
    (project.folder / "migrations" / "alembic.ini").unlink()

    assert project.mistake() == (
        "groundwork:migrations: the folder 'migrations' has no alembic.ini and no pyproject.toml"
    )


@pytest.mark.parametrize("folder", ["nowhere", "", "x" * 300, "migrations/alembic.ini/x"])
def test_migrations_that_are_no_folder_are_refused(project: SettingsProject, folder: str) -> None:
    """Nothing there, what is below a file, or no path at all."""
    assert project.mistake(migrations=folder).startswith("groundwork:migrations: ")


def test_a_pyproject_is_a_configuration_too(project: SettingsProject) -> None:
    """Alembic takes its options from pyproject.toml as well."""
    folder = project.folder / "migrations"
    (folder / "alembic.ini").rename(folder / "pyproject.toml")

    assert project.parse().migrations == folder


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("downgrade", "yes"),
        ("drift", "maybe"),
        ("edited", "ignore"),
        ("apply", "offline"),
        ("on_destroy", "drop"),
        ("lock_timeout", "5 seconds"),
        ("statement_timeout", "-1"),
        ("approved_plan", "abc"),
        ("approved_plan", "the one of Monday"),
        ("revision", ""),
        ("url_variable", "MY-URL"),
    ],
)
def test_an_option_of_the_schema_that_means_nothing_is_refused(
    project: SettingsProject, key: str, value: str
) -> None:
    """Each has its words, and the message begins with the key to set."""
    assert project.mistake(**{key: value}).startswith(f"groundwork:{key}: ")


@pytest.mark.parametrize("length", [12, 63])
def test_a_part_of_a_digest_approves_nothing(project: SettingsProject, length: int) -> None:
    """The message says why, and what to write instead."""
    said = project.mistake(approved_plan=("0123456789abcdef" * 4)[:length])

    assert f"has {length} of 64 characters" in said
    assert "can be made on purpose" in said
    assert "write all 64 characters that preview shows" in said


def test_options_of_the_schema_reach_the_plan(project: SettingsProject) -> None:
    """What the stack allows is what a plan is made with."""
    digest = "0123456789abcdef" * 4
    chosen = project.parse(
        downgrade="allow", revision="base", approved_plan=digest, lock_timeout="0"
    ).schema

    assert chosen.policy == Policy(downgrade="allow", target="base", approved_plan=digest)
    assert (chosen.on_destroy, chosen.lock_timeout) == ("retain", "0")
    assert Options.of(chosen.dump()) == chosen


def test_paths_refer_to_the_project_or_to_home(project: SettingsProject) -> None:
    """A relative path starts at the project, `~` is the user's home."""
    assert project.parse(dataDir="pg").data_dir == project.folder / "pg"
    assert project.parse(dataDir="~/pg").data_dir == Path.home() / "pg"


@pytest.mark.parametrize("key", [key.name for key in KEYS.values() if key.shape == "path"])
def test_a_path_that_is_none_is_refused(project: SettingsProject, key: str) -> None:
    """A NUL byte, half of a character, the home of nobody."""
    target = (KEYS[key].targets or ("embedded",))[0]

    for text in ("a\0b", "a\ud800b", "~nobody-of-this-name/x"):
        mistake = project.mistake(target=target, **{key: text})
        assert mistake.startswith(f"groundwork:{key}: {text!r} ")


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("elevenchars", "has 11 characters; at least 12"),
        ("twelve-chärs", "not printable ASCII"),
        ("twelve\nchars", "not printable ASCII"),
        ("twelve\0chars", "not printable ASCII"),
    ],
)
def test_a_password_that_clients_would_differ_on_is_refused_unseen(
    project: SettingsProject, password: str, said: str
) -> None:
    """Too short, or with characters that SCRAM prepares; no message shows a part of it."""
    for kind in ("migrator", "app", "reader"):
        mistake = project.mistake(**{f"{kind}Password": password})

        assert mistake.startswith(f"groundwork:{kind}Password: ")
        assert said in mistake
        assert password not in mistake


def test_chosen_passwords_reach_their_roles_alone(project: SettingsProject) -> None:
    """The others stay generated; nothing shows a chosen one by accident."""
    chosen = project.parse(appPassword='12 "chars"\\ & %', passwordVersion="3")

    assert chosen.access.passwords == {"app": '12 "chars"\\ & %'}
    assert chosen.access.password_version == 3
    assert "12 " not in repr(chosen)


@pytest.mark.parametrize("key", [key.name for key in KEYS.values() if key.secret])
def test_a_secret_in_plain_text_is_refused_with_the_command_for_it(
    project: SettingsProject, key: str
) -> None:
    """Whatever the engine doesn't know as a secret stands in a file, readable."""
    given = {key: ADMIN_URL, "target": "existing", "auditor": "true", "adminUrl": ADMIN_URL}
    secrets = {"adminUrl", *(f"{kind}Password" for kind in LOGINS)}

    mistake = project.mistake(secrets=secrets - {key}, **given)
    assert mistake.startswith(f"groundwork:{key}: is a secret and stands in plain text")
    assert f"pulumi config set --secret groundwork:{key}" in mistake
    assert "geheim" not in mistake
    assert project.parse(secrets=secrets, **given)


def test_an_image_is_named_as_docker_names_it(project: SettingsProject) -> None:
    """By registry, port, tag and digest, in lower case."""
    digest = f"sha256:{'a1' * 32}"
    for image in (
        "pgvector/pgvector:pg17",
        "postgres",
        "localhost:5000/a/b:1.2_3",
        f"example.test/pg@{digest}",
        f"pg:17@{digest}",
    ):
        assert project.parse(target="container", image=image).image == image
    for image in ("", "a/Upper", "a b", "-rm", "pg:", "pg@sha256:12", "a//b", "pg;rm"):
        assert project.mistake(target="container", image=image).startswith("groundwork:image: ")


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ("cpus", ["1", "1.5", "0.25", "64"], ["0", "0.001", "-1", "1,5", "two", "1.", "99999"]),
        ("volume", ["data", "a.b-c_d", "x" * 255], ["x", "-data", "a/b", "a b", "x" * 256, "ä1"]),
    ],
)
def test_what_docker_would_refuse_is_told_before(
    project: SettingsProject, key: str, right: list[str], wrong: list[str]
) -> None:
    """Numbers of cores and names of volumes, as its engine takes them."""
    for text in right:
        project.parse(target="container", **{key: text})
    for text in wrong:
        assert project.mistake(target="container", **{key: text}).startswith(f"groundwork:{key}: ")


def test_arguments_of_env_are_a_list_and_secret_where_the_engine_says_so(
    project: SettingsProject,
) -> None:
    """In no part of what the state keeps in clear."""
    given = {"xArguments": '["tenant=blue", "flag"]', "iniSection": "billing"}

    plain = project.parse(**given).schema
    hidden = parse(given, root=project.folder, secrets={"xArguments"}).schema

    assert plain.invocation.arguments == ("tenant=blue", "flag")
    assert plain.invocation.command() == "-n billing -x tenant=blue -x flag"
    assert hidden.invocation.command() == "-n billing -x tenant=*** -x ***"
    assert "blue" not in f"{plain.dump()}{hidden}"
    with pytest.raises(SettingsError, match="xArguments: is no list of texts"):
        project.parse(xArguments='{"a": 1}')
