"""The name of the project, and what a stack is told that was made under another one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from toolchain import backend, engine, project, versions
from toolchain.errors import ToolchainError
from toolchain.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file Pulumi.yaml of the test's own, which is not there yet."""
    path = tmp_path / "Pulumi.yaml"
    monkeypatch.setattr(project, "_FILE", path)
    project.name.cache_clear()
    yield path
    project.name.cache_clear()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("name: shop\nruntime: python\n", "shop"),
        ("# name: no\nruntime:\n  name: python\nname: 'my-shop.2'  # ours\n", "my-shop.2"),
        ('name: "shop"\n', "shop"),
        ("runtime: python\n", "groundwork"),
    ],
)
def test_the_name_is_what_pulumi_reads(described: Path, text: str, name: str) -> None:
    """With quotes or without; where there is none, Pulumi says so itself."""
    described.write_text(text)

    assert project.name() == name


def test_a_stack_of_the_former_name_is_taken_along_by_commands(
    described: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instead of a second stack from nothing beside it."""
    described.write_text("name: shop\n")
    monkeypatch.setattr(backend, "STATES", tmp_path)
    state = tmp_path / ".pulumi" / "stacks" / "groundwork" / "dev.json"
    state.parent.mkdir(parents=True)
    state.touch()

    with pytest.raises(ToolchainError) as caught:
        Stack("dev")._refuse_former_name()  # noqa: SLF001 - its callers need an engine
    assert "pulumi stack rename --stack organization/groundwork/dev organization/shop/dev" in str(
        caught.value
    )
    Stack("test")._refuse_former_name()  # noqa: SLF001 - as above

    own = tmp_path / ".pulumi" / "stacks" / "shop" / "dev.json"
    own.parent.mkdir()
    own.touch()
    Stack("dev")._refuse_former_name()  # noqa: SLF001 - as above


def test_a_salt_in_the_users_own_file_is_no_stack(
    described: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `make down` a salt that `pulumi stack init` wrote is there alone: it is made again."""
    described.write_text("name: shop\n")
    monkeypatch.setattr(backend, "FOLDER", tmp_path)
    monkeypatch.setattr(backend, "STATES", tmp_path)
    (tmp_path / "Pulumi.dev.yaml").write_text("encryptionsalt: v1:abc\n")
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(Stack, "_ask", lambda _, *words, **__: asked.append(words))

    Stack("dev")._initialise()  # noqa: SLF001 - its callers need an engine
    assert [words[:2] for words in asked] == [("stack", "init")]

    state = tmp_path / ".pulumi" / "stacks" / "shop" / "dev.json"
    state.parent.mkdir(parents=True)
    state.touch()
    Stack("dev")._initialise()  # noqa: SLF001 - as above
    assert len(asked) == 1


@pytest.mark.parametrize("secrets", [True, False])
def test_the_passphrase_of_the_users_own_files_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, secrets: bool
) -> None:
    """The last stack's end removes it only where no file of the project was encrypted with it."""
    folder = tmp_path / ".groundwork"
    folder.mkdir()
    (folder / "passphrase").write_text("of the files")
    monkeypatch.setattr(backend, "FOLDER", folder)
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    monkeypatch.setattr(Stack, "_ask", lambda *_, **__: "")
    (tmp_path / "Pulumi.dev.yaml").write_text("encryptionsalt: v1:abc\n" if secrets else "")

    Stack("dev")._forget()  # noqa: SLF001 - its callers need an engine

    assert (folder / "passphrase").exists() == secrets


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ("", "gone, with all that it made"),
        ('  groundwork:existingObjects: "adopt"\n', "roles stay on the server"),
        ("  groundwork:environment: prod\n", "stay where they are"),
    ],
)
def test_the_end_of_a_stack_says_what_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configuration: str, said: str
) -> None:
    """What was adopted or is to be kept is not gone."""
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: groundwork\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(f"config:\n{configuration}")

    assert said in f"gone{Stack('dev')._what_stays()}"  # noqa: SLF001 - its callers need an engine


def test_a_backend_of_the_users_own_is_asked_for_the_former_name(
    described: Path, tmp_path: Path, pulumi: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine lists it; a stack file that has never been in use is another matter."""
    described.write_text("name: groundwork\nruntime: python\n")
    (tmp_path / "states").mkdir()
    monkeypatch.setenv("PULUMI_BACKEND_URL", (tmp_path / "states").as_uri())
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    monkeypatch.setattr(engine, "locate", lambda: pulumi)
    stack = Stack("dev")
    stack._environment = dict(os.environ)  # noqa: SLF001 - as `make` prepares it
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    stack._ask("stack", "init", folder=tmp_path)  # noqa: SLF001 - the engine's own
    stack._initialise()  # noqa: SLF001 - its callers need a project that runs

    described.write_text("name: shop\nruntime: python\n")
    project.name.cache_clear()
    with pytest.raises(ToolchainError) as caught:
        stack._initialise()  # noqa: SLF001 - as above
    assert "--stack organization/groundwork/dev organization/shop/dev" in str(caught.value)

    (tmp_path / "Pulumi.dev.yaml").unlink()
    stack._initialise()  # noqa: SLF001 - as above
    assert "encryptionsalt" in (tmp_path / "Pulumi.dev.yaml").read_text()
    stack._initialise()  # noqa: SLF001 - as above
