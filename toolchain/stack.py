"""Pulumi's commands on a stack, with whatever the user has not set: backend, passphrase, stack.

A user who has set PULUMI_BACKEND_URL keeps their own backend, configuration file and secrets
provider. Everybody else gets a backend in the ignored folder `.groundwork` of the checkout, so
that a first run leaves the work tree clean: Pulumi writes the salt of a stack's secrets into its
configuration file, which is therefore a copy.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolchain import (
    backend,
    engine,
    interrupted,
    login,
    plugins,
    project,
    revision,
    run,
    shell,
    venv,
    versions,
)
from toolchain.errors import ToolchainError
from toolchain.stopped import STOPPED
from toolchain.visible_text import visible

__all__ = ["Stack"]

_PARTS = 3  # of a stack's whole name: organization, project, stack
_SALT = re.compile(r"^encryptionsalt:.*$", re.MULTILINE)


class Stack:
    """One stack of this project, and the commands of `make` on it."""

    def __init__(self, name: str, *, existing: bool = False) -> None:
        """Take the stack `name`; nothing is made or read yet.

        Args:
            name: what Pulumi knows it by.
            existing: whether it has to be there already in a backend of the user's own, unless
                its environment is `preview`; otherwise a missing one is made.
        """
        self.name = name
        self._existing = existing
        self._own_backend = backend.is_chosen()
        self._copy = backend.FOLDER / f"Pulumi.{name}.yaml"

    # -- commands -------------------------------------------------------------------------

    def up(self) -> int:
        """Bring the stack to what the program says, and tell how to go on."""
        self._prepare()
        # Without anybody to ask, a preview first would do the same work twice; `make preview`
        # is the one to read.
        status = self._pulumi("up", "--yes", "--skip-preview")
        # In a backend of the user's own, where a look before each run would take its time: what an
        # engine was making when it was killed may be in the way, and stays in the state as pending.
        if self._own_backend and self._settle_pending() and status:
            status = self._pulumi("up", "--yes", "--skip-preview")
        if status == 0:
            self._summary()
        return status

    def preview(self) -> int:
        """Show what `up` would do."""
        self._prepare()
        return self._pulumi("preview")

    def refresh(self) -> int:
        """Compare the state with what is really there."""
        self._prepare()
        return self._pulumi("refresh", "--yes", "--skip-preview")

    def down(self) -> int:
        """Take everything away; a local stack's own state too."""
        if not self._own_backend and not self._copy.exists():
            print(visible(f"Stack {self.name} is not up: there is nothing to take down."))
            return 0
        self._prepare()
        status = self._pulumi("destroy", "--yes", "--skip-preview")
        if status == 0 and not self._own_backend:
            self._forget()
            print(visible(f"Stack {self.name} is gone{self._what_stays()}."))
        return status

    def url(self) -> int:
        """Print the application's URL, which holds its password."""
        print(self._outputs()["url"])
        return 0

    def revision(self, message: str, *, words: Sequence[str] = (), empty: bool = False) -> int:
        """Write a revision from what the models have and the stack's database hasn't.

        Args:
            message: What it does.
            words: More options of `alembic revision`.
            empty: Whether to compare nothing.
        """
        if not message.strip():
            raise ToolchainError(
                "what the revision does is missing. Nothing was written. Say it in a few words: "
                'make revision m="add due date to tasks"'
            )
        url, up = self._outputs()["migrator_url"], f"make up{self._suffix}"
        configured = self._configured()
        chosen = configured.get("migrations", {}).get("value") or "migrations"
        told = revision.write(
            folder=versions.ROOT / Path(chosen).expanduser(),
            url=url,
            message=message,
            up=up,
            invocation=revision.called(configured),
            words=words,
            empty=empty,
        )
        print(visible(told))
        return 0

    def psql(self) -> int:
        """Become psql as the application, with the password out of everybody's sight."""
        outputs = self._outputs()
        environment = os.environ | login.variables(outputs["url"])
        program = shutil.which("psql") or str(Path(outputs["programs"], "psql"))
        library = Path(program).resolve().parent.parent / "lib"
        if (library / "libpq.so.5").exists():  # a relocatable PostgreSQL brings its own
            environment["LD_LIBRARY_PATH"] = str(library)
        try:
            os.execve(program, [program], environment)
        except OSError as exc:
            raise ToolchainError(
                f"psql can't be started: {program}: {exc.strerror}. Install it (Debian: "
                "postgresql-client), or use another client with `make url`"
            ) from exc

    # -- preparation ----------------------------------------------------------------------

    def _prepare(self) -> None:
        venv.install()
        engine.install()
        plugins.install("postgresql")
        # The plugin of Docker is for the target that runs there alone.
        if self._sets("target", "container"):
            plugins.install("docker")
        self._environment = os.environ | shell.environment() | backend.variables()
        if not self._own_backend:
            self._write_copy()
            interrupted.remove_torn_attributes()
        self._initialise()
        if not self._own_backend:
            interrupted.free_stale_lock(self.name)
            if interrupted.is_pending(self.name):
                self._settle_pending()

    def _configuration(self) -> str:
        source = versions.ROOT / f"Pulumi.{self.name}.yaml"
        return source.read_text(encoding="utf-8") if source.exists() else ""

    def _sets(self, key: str, value: str) -> bool:
        """Tell whether the configuration file sets a key of the project to a value.

        It is YAML that Pulumi wrote or a person did: a value by itself on its line, with quotes or
        without.
        """
        name = re.escape(f"{project.name()}:{key}")
        line = rf"""^\s+["']?{name}["']?:\s*["']?{value}["']?\s*(#|$)"""
        return re.search(line, self._configuration(), re.MULTILINE) is not None

    def _write_copy(self) -> None:
        """Give the local stack today's configuration and the salt that it was made with."""
        text = self._configuration()
        before = self._copy.read_text() if self._copy.exists() else None
        salt = _SALT.search(before or "")
        if salt and not _SALT.search(text):
            text = f"{text.rstrip()}\n{salt.group()}\n"
        if text != before:
            self._copy.write_text(text)

    def _initialise(self) -> None:
        folder = versions.ROOT
        if self._own_backend and self._existing and not self._sets("environment", "preview"):
            self._find()
            return
        if self._own_backend and _SALT.search(self._configuration()):
            if self._is_known():
                return
            self._refuse_other_project()
        if not self._own_backend:
            self._refuse_former_name()
            if _SALT.search(self._copy.read_text()) and self._has_state():
                return
            # `stack init` writes into the configuration file beside Pulumi.yaml, and takes no
            # other: so it is run beside a copy of that, where the file is ours.
            folder = backend.FOLDER
            shutil.copy(versions.ROOT / "Pulumi.yaml", folder)
        try:
            self._ask("stack", "init", "--no-select", "--non-interactive", folder=folder)
        except run.CommandError as exc:
            if "already exists" not in str(exc):
                raise ToolchainError(f"the stack {self.name} can't be made: {exc}") from exc

    def _has_state(self) -> bool:
        """Tell whether the local backend has the stack.

        A salt alone does not say so: after `pulumi stack init` it is in the user's own file, which
        `make down` leaves as it is.
        """
        state = _states() / project.name() / f"{self.name}.json"
        return state.exists() or state.with_suffix(".json.gz").exists()

    def _refuse_former_name(self) -> None:
        """Raise where the local backend has the stack under a name that the project had before.

        It would be made again from nothing, and what it has made would be left alone.
        """
        if self._has_state():
            return
        for former in sorted(path.parent.name for path in _states().glob(f"*/{self.name}.json")):
            raise ToolchainError(
                f"the local backend has the stack {self.name} of the project {former}, and this "
                f"project's name is {project.name()} now. Nothing was changed. Take it along, and "
                "start again:\n"
                '  eval "$(.venv/bin/python -m toolchain env)"\n'
                f"  pulumi stack rename --stack organization/{former}/{self.name} "
                f"organization/{project.name()}/{self.name}"
            )

    def _refuse_other_project(self) -> None:
        """Raise where the stack's file was in use, and the user's backend has it elsewhere alone.

        Under a new name of the project it would be made again from nothing. A file without a salt
        says nothing: other projects have a stack of that name, too.
        """
        listed = [str(engine.locate()), "stack", "ls", "--all", "--json"]
        known = json.loads(
            run.output(listed, env=self._environment, cwd=versions.ROOT, timeout=120)
        )
        names = [each["name"].split("/") for each in known]
        for owner, former, name in (each for each in names if len(each) == _PARTS):
            if name != self.name or former == project.name():
                continue
            raise ToolchainError(
                f"the backend has no stack {name} of this project, {project.name()}, but one of "
                f"the project {former}, and Pulumi.{name}.yaml has been in use. Nothing was "
                "changed. Where the project was renamed, take the stack along:\n"
                f"  pulumi stack rename --stack {owner}/{former}/{name} "
                f"{owner}/{project.name()}/{name}\n"
                f"For another stack beside that: pulumi stack init {name}"
            )

    def _find(self) -> None:
        """Make sure that the backend has the stack, where it is not for this run to make it."""
        if not self._is_known():
            raise ToolchainError(
                f"the backend has no stack {self.name}, and a look at it makes none. Bring it up "
                f"first, with `make up{self._suffix}`; or set {project.name()}:environment to "
                f"preview in Pulumi.{self.name}.yaml, whose stacks come and go"
            )

    def _is_known(self) -> bool:
        """Ask the backend whether it has the stack."""
        try:
            self._ask("stack", "--show-name", "--non-interactive")
        except run.CommandError as exc:
            if "no stack named" not in str(exc):
                raise ToolchainError(f"the stack {self.name} can't be read: {exc}") from exc
            return False
        return True

    def _settle_pending(self) -> bool:
        """Bring what a killed engine was just making to an end; False where there was nothing."""
        return interrupted.settle(self._ask, self._call)

    # -- running --------------------------------------------------------------------------

    def _command(self, *arguments: str) -> list[str]:
        chosen = ["--stack", self.name]
        if not self._own_backend:
            chosen += ["--config-file", str(self._copy)]
        return [str(engine.locate()), *arguments, *chosen]

    def _pulumi(self, *arguments: str) -> int:
        # Ctrl-C reaches the engine too, which then ends in good order: it is waited for. (A
        # handler, since an ignored signal would be inherited.)
        stopped = threading.Event()
        before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
        try:
            child = subprocess.Popen(
                self._command(*arguments), env=self._environment, cwd=versions.ROOT
            )
            status = child.wait()
        finally:
            signal.signal(signal.SIGINT, before)
        return STOPPED if stopped.is_set() else status

    def _call(self, *arguments: str) -> str:
        """Run a command that takes the stack's configuration, and give what it says."""
        command = self._command(*arguments)
        return run.output(command, env=self._environment, cwd=versions.ROOT, timeout=120)

    def _ask(self, *arguments: str, folder: Path | None = None) -> str:
        """Run a command that is over at once, and give what it says."""
        command = [str(engine.locate()), *arguments, "--stack", self.name]
        return run.output(command, env=self._environment, cwd=folder or versions.ROOT, timeout=120)

    def _outputs(self) -> dict[str, str]:
        """Give the outputs of a stack that is up, with their secrets."""
        down = f"the stack {self.name} is not up: run `make up{self._suffix}` first"
        if not self._own_backend and not self._copy.exists():
            raise ToolchainError(down)
        self._prepare()
        outputs: dict[str, str] = json.loads(
            self._ask("stack", "output", "--json", "--show-secrets")
        )
        if "url" not in outputs:
            raise ToolchainError(down)
        return outputs

    def _configured(self) -> dict[str, dict[str, Any]]:
        """Give this stack's keys, without the project's name, as the engine knows them."""
        configured: dict[str, dict[str, Any]] = json.loads(
            self._call("config", "--json", "--show-secrets")
        )
        prefix = f"{project.name()}:"
        return {
            key.removeprefix(prefix): entry
            for key, entry in configured.items()
            if key.startswith(prefix)
        }

    @property
    def _suffix(self) -> str:
        # Another shell than this one has chosen none.
        return "" if self.name == "dev" == shell.chosen_stack() else f" STACK={self.name}"

    def _summary(self) -> None:
        outputs = json.loads(self._ask("stack", "output", "--json"))
        suffix = self._suffix
        text = (
            f"\nPostgreSQL {outputs['version']} is ready.\n"
            f"  endpoint   {outputs['endpoint']}, database {outputs['database']}\n"
            f"  revision   {outputs['revision'] or '(none)'}\n"
            f"{_data_line(outputs)}"
            f"  its URL    make url{suffix}\n"
            f"  look       make psql{suffix}\n"
            f"  take down  make down{suffix}"
        )
        print(visible(text))

    def _forget(self) -> None:
        self._ask("stack", "rm", "--yes", "--preserve-config")
        self._copy.unlink(missing_ok=True)
        if any(backend.FOLDER.glob("Pulumi.*.yaml")):
            return
        # Secrets in the user's own files can be read with the passphrase alone.
        if not any(_SALT.search(each.read_text()) for each in versions.ROOT.glob("Pulumi.*.yaml")):
            shutil.rmtree(backend.FOLDER)

    def _what_stays(self) -> str:
        """Say what a destroyed stack leaves, as the message about its end goes on."""
        if self._sets("existingObjects", "adopt"):
            return ". Its database and its roles stay on the server, those that it made too"
        if self._sets("retain", "true") or (
            self._sets("environment", "prod") and not self._sets("retain", "false")
        ):
            return ". Its data, database and roles stay where they are"
        return ", with all that it made"


def _states() -> Path:
    """Give the folder in which the local backend has the states, by project."""
    return backend.STATES / ".pulumi" / "stacks"


def _data_line(outputs: dict[str, str]) -> str:
    """Say where the data is, where that is a folder of this machine."""
    return f"  data       {outputs['data_dir']}\n" if outputs.get("data_dir") else ""
