"""The name of the project, and what a stack is told that was made under another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toolchain import backend, project
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
