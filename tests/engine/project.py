"""One stack of the real project, driven by the real engine, in a folder of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

import toolchain

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ROOT", "Outcome", "Project"]

ROOT = Path(__file__).parents[2]
_PROGRAM = "__main__.py"
_PARTS = ("Pulumi.yaml", ".venv", "infra", "toolchain")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one command of the engine did.

    Attributes:
        status: Its exit status.
        text: Everything that it printed.
    """

    status: int
    text: str


class Project:
    """A checkout in miniature: the code by links, the migrations and the state its own."""

    def __init__(
        self, folder: Path, *, program: str = "", migrations: Path = ROOT / "migrations"
    ) -> None:
        """Lay the project out.

        Args:
            folder: Empty.
            program: Text of another program than the project's own.
            migrations: What is copied as the stack's migrations.
        """
        self.folder = folder
        self.data = folder / "data"
        for part in _PARTS:
            (folder / part).symlink_to(ROOT / part)
        if program:
            (folder / _PROGRAM).write_text(program)
        else:
            (folder / _PROGRAM).symlink_to(ROOT / _PROGRAM)
        self.migrations = folder / "migrations"
        self._copy(migrations, self.migrations)
        (folder / "state").mkdir()
        self.environment = (
            os.environ
            | toolchain.environment()
            | {
                "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": "tests",
                "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/of-the-user",
            }
        )
        self.pulumi("stack", "init", "test")
        self.configure(dataDir=str(self.data))

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        tracked = [path for path in source.rglob("*") if path.suffix != ".pyc" and path.is_file()]
        for path in tracked:
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())

    def pulumi(self, *arguments: str, check: bool = True, answer: str = "") -> Outcome:
        """Run one command of the engine, with `answer` on its standard input."""
        done = subprocess.run(
            ["pulumi", "--non-interactive", *arguments],
            cwd=self.folder,
            env=self.environment,
            input=answer,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        outcome = Outcome(status=done.returncode, text=done.stdout)
        if check and done.returncode:
            msg = f"pulumi {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}"
            raise AssertionError(msg)
        return outcome

    def configure(self, **values: str) -> None:
        """Set keys of the stack's configuration."""
        for key, value in values.items():
            self.pulumi("config", "set", f"groundwork:{key}", "--", value)

    def configure_secret(self, key: str, value: str) -> None:
        """Set a secret key, past every list of processes."""
        self.pulumi("config", "set", "--secret", f"groundwork:{key}", answer=value)

    def up(self, *options: str, check: bool = True) -> Outcome:
        """Run `pulumi up` as `make up` does."""
        return self.pulumi(
            "up", "--yes", "--skip-preview", "--stack", "test", *options, check=check
        )

    def preview(self, *options: str, check: bool = True) -> Outcome:
        """Run `pulumi preview`."""
        return self.pulumi("preview", "--stack", "test", *options, check=check)

    def steps(self) -> dict[str, str]:
        """Give what a preview would do: the operation of each resource by its name."""
        return {name: step["op"] for name, step in self.previewed().items()}

    def previewed(self) -> dict[str, dict[str, Any]]:
        """Give what a preview says in JSON of each resource by its name."""
        done = subprocess.run(
            ["pulumi", "preview", "--json", "--non-interactive", "--stack", "test"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        steps = json.loads(done.stdout)["steps"]
        return {step["urn"].rpartition("::")[2]: step for step in steps}

    def outputs(self) -> dict[str, Any]:
        """Give the stack's outputs with their secrets."""
        outputs: dict[str, Any] = json.loads(
            self.pulumi("stack", "output", "--json", "--show-secrets", "--stack", "test").text
        )
        return outputs

    def secrets(self) -> set[str]:
        """Give every secret text of the state, decrypted."""
        export = self.pulumi("stack", "export", "--show-secrets", "--stack", "test").text
        values = (json.loads(text) for text in _plaintexts(json.loads(export)))
        return {value for value in values if isinstance(value, str) and value}

    def state(self) -> str:
        """Give the state as it is stored."""
        return (self.folder / "state/.pulumi/stacks/groundwork/test.json").read_text()

    def pid(self) -> int:
        """Give the process id of the stack's server."""
        return int((self.data / "postmaster.pid").read_text().split("\n")[0])

    def query(self, sql: str, *, url: str = "") -> list[tuple[Any, ...]]:
        """Run SQL on the stack's database, as the application or by another URL."""

        async def query() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(url or self.outputs()["url"])
            try:
                return [tuple(row) for row in await connection.fetch(sql)]
            finally:
                await connection.close()

        return asyncio.run(query())


def _plaintexts(node: Any) -> Iterator[str]:
    """Walk through a state for what its encrypted values are."""
    if isinstance(node, dict):
        if "plaintext" in node:
            yield node["plaintext"]
        for child in node.values():
            yield from _plaintexts(child)
    elif isinstance(node, list):
        for child in node:
            yield from _plaintexts(child)
