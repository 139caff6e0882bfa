"""The commands of README.md, as they are printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.engine.project import ROOT
from tests.engine.test_make import Checkout
from toolchain import shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
_ELSEWHERE = {
    "make test": "what runs this test",
    "make up STACK=container": "needs Docker, and is run by the tests of the target",
}
_OWN = "pulumi stack init dev"  # begins the block for those who have a backend of their own


def _blocks() -> list[list[str]]:
    """Give the commands of each block, without their remarks."""
    text = _FENCED.sub("", (ROOT / "README.md").read_text())
    return [
        [re.sub(r"\s+#.*", "", line).strip() for line in block.splitlines()]
        for block in _BLOCK.findall(text)
    ]


def _run(commands: list[str], folder: Path, environment: dict[str, str], typed: str = "") -> str:
    """Enter commands into one shell, one after the other, which stops at the first that fails."""
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(commands)],
        cwd=folder,
        env=environment,
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def checkout(scratch: Path, tmp_path: Path) -> Iterator[Checkout]:
    """A checkout where nothing is up."""
    folder = scratch / f"readme of {tmp_path.name}"
    folder.mkdir(mode=0o755)
    made = Checkout(folder)
    made.environment.pop("PULUMI_STACK", None)
    yield made
    if (folder / ".groundwork").exists():
        made.make("down")
    shutil.rmtree(folder)


def test_the_commands_work_in_their_order(checkout: Checkout) -> None:
    """In one shell, from nothing; what was set is honoured, and `make down` leaves nothing."""
    commands = [each for block in _blocks() if _OWN not in block for each in block]
    assert set(_ELSEWHERE) < set(commands)
    entered = [each for each in commands if each not in _ELSEWHERE]
    assert 'eval "$(.venv/bin/python -m toolchain env)"' in entered

    text = _run(
        [*entered, "make down"],
        checkout.folder,
        checkout.environment,
        typed="SELECT current_user || ' waits ' || current_setting('statement_timeout');\n",
    )

    assert "groundwork_app waits 20s" in text
    assert re.search(r"\npostgresql://groundwork_app:[^@]+@127\.0\.0\.1:\d+/groundwork", text)
    configured = (checkout.folder / "Pulumi.dev.yaml").read_text()
    assert configured == (
        (ROOT / "Pulumi.dev.yaml").read_text() + "  groundwork:appStatementTimeout: 20s\n"
    )
    assert not (checkout.folder / ".groundwork").exists()


def test_secrets_that_are_set_beside_make_are_honoured(checkout: Checkout) -> None:
    """Pulumi then writes a salt of its own; `make`, plain commands and a new shell agree on it."""
    env = 'eval "$(.venv/bin/python -m toolchain env)"'
    password = "chosen-by-a-user-1"  # noqa: S105 - of a server on loopback
    set_it = f"pulumi config set --secret groundwork:appPassword {password}"

    text = _run(["make up", env, set_it, "make up"], checkout.folder, checkout.environment)
    assert password not in text
    url = "pulumi stack output app_url --show-secrets"
    assert f":{password}@" in _run([env, url], checkout.folder, checkout.environment)
    again = _run([env, "pulumi preview"], checkout.folder, checkout.environment)
    assert "unchanged" in again
    assert "update" not in again.partition("Resources:")[2]
    assert "updated" not in checkout.make("up")


def test_the_commands_for_a_backend_of_ones_own(checkout: Checkout, tmp_path: Path) -> None:
    """With a pulumi on PATH, a backend and a passphrase; `make` has no part in it."""
    (commands,) = (block for block in _blocks() if _OWN in block)
    (tmp_path / "state").mkdir()
    environment = checkout.environment | shell.environment()
    environment["PATH"] = f"{checkout.folder}/.venv/bin{os.pathsep}{environment['PATH']}"
    environment |= {
        "PULUMI_BACKEND_URL": (tmp_path / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "a passphrase",
        "PULUMI_SKIP_CONFIRMATIONS": "true",  # there is no terminal to ask
    }

    text = _run(
        [*commands, "pulumi stack output psql -s dev", "pulumi destroy --yes -s dev"],
        checkout.folder,
        environment,
    )

    assert "groundwork_app@127.0.0.1:" in text
    assert not (checkout.folder / ".groundwork" / "backend").exists()
