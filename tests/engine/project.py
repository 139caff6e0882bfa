"""One stack of the real project, driven by the real engine, in a folder of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import yaml

import toolchain
from tests.engine import stack_template

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
        self._configuration = folder / "Pulumi.test.yaml"
        self._exported: tuple[str, list[dict[str, Any]]] = ("", [])
        for part in _PARTS:
            (folder / part).symlink_to(ROOT / part)
        if program:
            (folder / _PROGRAM).write_text(program)
        else:
            (folder / _PROGRAM).symlink_to(ROOT / _PROGRAM)
        self.migrations = folder / "migrations"
        self._copy(migrations, self.migrations)
        self.environment = (
            os.environ
            | toolchain.environment()
            | {
                "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
                "PULUMI_STACK": "test",
                "PULUMI_CONFIG_PASSPHRASE": stack_template.PASSPHRASE,
                "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/of-the-user",
            }
        )
        stack_template.copy(folder)
        self.configure(dataDir=str(self.data))

    def move(self, folder: Path) -> None:
        """Move the whole to another folder, the backend with it; a server in it goes on."""
        self.folder.rename(folder)
        self.folder, self.data = folder, folder / "data"
        self.migrations = folder / "migrations"
        self._configuration = folder / "Pulumi.test.yaml"
        self.environment["PULUMI_BACKEND_URL"] = (folder / "state").as_uri()

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

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start one command of the engine, with its output in a pipe."""
        return subprocess.Popen(
            ["pulumi", "--non-interactive", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def configure(self, **values: str | list[Any] | None) -> None:
        """Set keys of the stack's configuration, or `map.entry` of one; None removes it.

        In the file, as `pulumi config set` and `rm` would: a run of the engine takes 0.2 s.
        """
        content = yaml.safe_load(self._configuration.read_text())
        for key, value in values.items():
            config = content.setdefault("config", {})
            name, _, entry = _full_name(key).partition(".")
            if entry:
                config, name = config.setdefault(name, {}), entry
            if value is None:
                config.pop(name, None)
            else:
                config[name] = value
        self._configuration.write_text(yaml.safe_dump(content, allow_unicode=True))

    def configured(self, key: str) -> str | None:
        """Give what a key of the stack's configuration, or `map.entry` of one, is set to."""
        name, _, entry = _full_name(key).partition(".")
        value = yaml.safe_load(self._configuration.read_text()).get("config", {}).get(name)
        return (value or {}).get(entry) if entry else value

    def configure_secret(self, key: str, value: str) -> None:
        """Set a secret key, past every list of processes."""
        self.pulumi("config", "set", "--secret", _full_name(key), answer=value)

    def up(self, *options: str, check: bool = True) -> Outcome:
        """Run `pulumi up` as `make up` does."""
        return self.pulumi("up", "--yes", "--skip-preview", *options, check=check)

    def preview(self, *options: str, check: bool = True) -> Outcome:
        """Run `pulumi preview`."""
        return self.pulumi("preview", *options, check=check)

    def refresh(self, *options: str, check: bool = True) -> Outcome:
        """Run `pulumi refresh` as `make refresh` does."""
        return self.pulumi("refresh", "--yes", "--skip-preview", *options, check=check)

    def destroy(self, *options: str, check: bool = True) -> Outcome:
        """Run `pulumi destroy` as `make down` does."""
        return self.pulumi("destroy", "--yes", "--skip-preview", *options, check=check)

    def forget(self) -> None:
        """Lose the state; the configuration stays."""
        shutil.rmtree(self.folder / "state")
        stack_template.copy(self.folder, configuration=False)

    def steps(self) -> dict[str, str]:
        """Give what a preview would do: the operation of each resource by its name."""
        return {name: step["op"] for name, step in self.previewed().items()}

    def previewed(self) -> dict[str, dict[str, Any]]:
        """Give what a preview says in JSON of each resource by its name."""
        done = subprocess.run(
            ["pulumi", "preview", "--json", "--non-interactive"],
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
        (stack,) = [each for each in self.resources() if each["type"] == "pulumi:pulumi:Stack"]
        outputs: dict[str, Any] = _decrypted(stack["outputs"])
        return outputs

    def resources(self) -> list[dict[str, Any]]:
        """Give all resources of the state, decrypted; the engine is asked once for each state."""
        state = self.state()
        if state != self._exported[0]:
            text = self.pulumi("stack", "export", "--show-secrets").text
            self._exported = (state, json.loads(text)["deployment"].get("resources", []))
        return self._exported[1]

    def secrets(self) -> set[str]:
        """Give every secret text of the state, decrypted."""
        values = (json.loads(text) for text in _plaintexts(self.resources()))
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


def _full_name(key: str) -> str:
    """Give a key of the configuration with its namespace, which is the project's by default."""
    return key if ":" in key else f"groundwork:{key}"


def _decrypted(node: Any) -> Any:
    """Give properties with their secrets' values in the secrets' places."""
    if isinstance(node, dict):
        if "plaintext" in node:
            return json.loads(node["plaintext"])
        return {key: _decrypted(child) for key, child in node.items()}
    return [_decrypted(child) for child in node] if isinstance(node, list) else node


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
