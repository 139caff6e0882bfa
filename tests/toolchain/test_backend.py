"""What a shell gets beside the engine: the backend of the checkout, its passphrase, a psql."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.toolchain.conftest import executable
from toolchain import backend, cli, shell, stack, versions

if TYPE_CHECKING:
    from pathlib import Path

_VARIABLES = (
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "PULUMI_STACK",
)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of which nothing is there yet, for a user who has set nothing."""
    folder = tmp_path / "a check out" / ".groundwork"
    folder.parent.mkdir()
    monkeypatch.setattr(backend, "FOLDER", folder)
    monkeypatch.setattr(backend, "STATES", folder / "backend")
    monkeypatch.setattr(backend, "_PASSPHRASE", folder / "passphrase")
    monkeypatch.setattr(backend, "_PROGRAMS", folder / "bin")
    monkeypatch.setattr(shell, "environment", lambda: {"PATH": "/bin"})
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return folder


def _exported(stack: str = "") -> dict[str, str]:
    """Give what a shell has after an eval."""
    script = f"{shell.exports(stack)}\nfor name in PATH {' '.join(_VARIABLES)}; do\n"
    script += 'eval "echo $name=\\"\\${$name-unset}\\""; done'
    done = subprocess.run(
        ["/bin/sh", "-c", script], env={}, capture_output=True, text=True, check=True
    )
    pairs = dict(line.split("=", 1) for line in done.stdout.splitlines())
    return {name: value for name, value in pairs.items() if value != "unset"}


def test_a_shell_gets_what_make_uses(checkout: Path) -> None:
    """The folder and the passphrase are made as `make` makes them, once."""
    first, second = _exported(), _exported("other")

    assert first["PULUMI_BACKEND_URL"] == (checkout / "backend").as_uri()
    assert first["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(checkout / "passphrase")
    assert (first["PULUMI_STACK"], second["PULUMI_STACK"]) == ("dev", "other")
    assert stat.S_IMODE(checkout.stat().st_mode) == 0o700
    assert stat.S_IMODE((checkout / "passphrase").stat().st_mode) == 0o600
    assert (checkout / "backend").is_dir()
    assert len((checkout / "passphrase").read_text()) >= 32


def test_make_in_that_shell_is_make_in_any_other(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkout's own backend, however written, is no choice of the user; another one is."""
    assert not backend.is_chosen()
    for address in (_exported()["PULUMI_BACKEND_URL"], f"file://{checkout}/../.groundwork/backend"):
        monkeypatch.setenv("PULUMI_BACKEND_URL", address)
        assert not backend.is_chosen()
    for address in (f"file://{checkout}", "file://~/backend", "s3://bucket", "https://pulumi.test"):
        monkeypatch.setenv("PULUMI_BACKEND_URL", address)
        assert backend.is_chosen()


@pytest.mark.parametrize(
    ("chosen", "given", "taken"),
    [("other", [], "other"), ("other", ["STACK=one"], "one"), ("", [], "dev"), (None, [], "dev")],
)
def test_make_takes_the_stack_of_its_shell(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, given: list[str], taken: str
) -> None:
    """So that `make up` after `pulumi config set` is of the stack that was configured."""
    outside = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    outside.pop("PULUMI_STACK", None)
    done = subprocess.run(
        ["make", "--dry-run", "up", *given],
        cwd=versions.ROOT,
        env=outside | ({} if chosen is None else {"PULUMI_STACK": chosen}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith(f" -m toolchain up --stack {taken}\n")

    if chosen is None:
        monkeypatch.delenv("PULUMI_STACK", raising=False)
    else:
        monkeypatch.setenv("PULUMI_STACK", chosen)
    asked: list[str] = []

    def up(made: stack.Stack) -> int:
        asked.append(made.name)
        return 0

    monkeypatch.setattr(stack.Stack, "up", up)
    cli.main(["up", *(f"--stack={each.partition('=')[2]}" for each in given)])
    assert asked == [taken]


def test_a_users_own_choices_stay(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend, a passphrase, a selected stack: nothing of the checkout's is made or named."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")

    assert set(_exported()) == {"PATH"}
    assert _exported("prod")["PULUMI_STACK"] == "prod"
    assert not checkout.exists()


@pytest.mark.parametrize("library", ["lib", ""])
def test_a_machine_without_psql_gets_the_servers(
    checkout: Path, bare_path: Path, tmp_path: Path, library: str
) -> None:
    """By its name, with its library where it brings one; psql of the machine goes before it."""
    programs = tmp_path / "server's own" / "bin"
    programs.mkdir(parents=True)
    executable(programs / "psql", '#!/bin/sh\necho "${LD_LIBRARY_PATH-none}" "$@"\n')
    (programs.parent / library).mkdir(exist_ok=True)
    states = checkout / "backend" / ".pulumi" / "stacks" / "groundwork"
    states.mkdir(parents=True)
    outputs = {"type": "pulumi:pulumi:Stack", "outputs": {"programs": str(programs)}}
    state = {"checkpoint": {"latest": {"resources": [outputs]}}}
    (states / "dev.json").write_text(json.dumps(state))

    path = _exported()["PATH"]

    assert path == f"/bin:{checkout / 'bin'}"
    done = subprocess.run(
        [str(checkout / "bin" / "psql"), "a b"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{programs.parent / library if library else 'none'} a b\n"

    executable(bare_path / "psql", "")
    assert _exported()["PATH"] == "/bin"
