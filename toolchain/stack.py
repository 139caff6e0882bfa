"""Pulumi's commands on a stack, with whatever the user has not set: backend, passphrase, stack.

A user who has set PULUMI_BACKEND_URL keeps their own backend, configuration file and secrets
provider. Everybody else gets a backend in the ignored folder `.groundwork` of the checkout, so
that a first run leaves the work tree clean: Pulumi writes the salt of a stack's secrets into its
configuration file, which is therefore a copy.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from toolchain import engine, plugins, run, shell, venv, versions
from toolchain.errors import ToolchainError

__all__ = ["Stack"]

FOLDER = versions.ROOT / ".groundwork"
_BACKEND = FOLDER / "backend"
_PASSPHRASE = FOLDER / "passphrase"
_SALT = re.compile(r"^encryptionsalt:.*$", re.MULTILINE)


class Stack:
    """One stack of this project, and the commands of `make` on it."""

    def __init__(self, name: str) -> None:
        """Take the stack `name`; nothing is made or read yet."""
        self.name = name
        self._own_backend = bool(os.environ.get("PULUMI_BACKEND_URL"))
        self._copy = FOLDER / f"Pulumi.{name}.yaml"

    # -- commands -------------------------------------------------------------------------

    def up(self) -> int:
        """Bring the stack to what the program says, and tell how to go on."""
        self._prepare()
        # Without anybody to ask, a preview first would do the same work twice; `make preview`
        # is the one to read.
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
            print(f"Stack {self.name} is not up: there is nothing to take down.")
            return 0
        self._prepare()
        status = self._pulumi("destroy", "--yes", "--skip-preview")
        if status == 0 and not self._own_backend:
            self._forget()
            print(f"Stack {self.name} is gone, with all that it made.")
        return status

    def url(self) -> int:
        """Print the application's URL, which holds its password."""
        print(self._outputs(secret=True)["url"])
        return 0

    def psql(self) -> int:
        """Open psql as the application, with the password out of everybody's sight."""
        outputs = self._outputs(secret=True)
        program = shutil.which("psql") or str(Path(outputs["programs"], "psql"))
        env = os.environ | {"PGDATABASE": outputs["database"], **_login(outputs["url"])}
        library = Path(program).resolve().parent.parent / "lib"
        if (library / "libpq.so.5").exists():  # a relocatable PostgreSQL brings its own
            env["LD_LIBRARY_PATH"] = str(library)
        return subprocess.call([program], env=env)

    # -- preparation ----------------------------------------------------------------------

    def _prepare(self) -> None:
        venv.install()
        engine.install()
        plugins.install("postgresql")
        self._environment = os.environ | shell.environment() | self._defaults()
        if not self._own_backend:
            self._write_copy()
            self._free_stale_lock()
        self._initialise()

    def _defaults(self) -> dict[str, str]:
        # The toolchain has installed what the program needs; without this the engine looks on
        # its download site for the plugins of all Python packages, at every run.
        added = {"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}
        if not self._own_backend:
            _make_folder()
            _BACKEND.mkdir(exist_ok=True)
            added["PULUMI_BACKEND_URL"] = f"file://{quote(str(_BACKEND))}"
        if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & set(os.environ):
            added["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_passphrase_file())
        return {key: value for key, value in added.items() if key not in os.environ}

    def _write_copy(self) -> None:
        """Give the local stack today's configuration and the salt that it was made with."""
        source = versions.ROOT / f"Pulumi.{self.name}.yaml"
        text = source.read_text() if source.exists() else ""
        before = self._copy.read_text() if self._copy.exists() else ""
        salt = _SALT.search(before)
        if salt and not _SALT.search(text):
            text = f"{text.rstrip()}\n{salt.group()}\n"
        if text != before:
            self._copy.write_text(text)

    def _initialise(self) -> None:
        folder = versions.ROOT
        if not self._own_backend:
            if _SALT.search(self._copy.read_text()):
                return
            # `stack init` writes into the configuration file beside Pulumi.yaml, and takes no
            # other: so it is run beside a copy of that, where the file is ours.
            folder = FOLDER
            shutil.copy(versions.ROOT / "Pulumi.yaml", folder)
        try:
            run.output(
                [
                    str(engine.locate()),
                    "stack",
                    "init",
                    "--no-select",
                    "--non-interactive",
                    "--stack",
                    self.name,
                ],
                env=self._environment,
                cwd=folder,
                timeout=120,
            )  # fmt: skip - one command
        except run.CommandError as exc:
            if "already exists" not in str(exc):
                raise ToolchainError(f"the stack {self.name} can't be made: {exc}") from exc

    def _free_stale_lock(self) -> None:
        """Unlock a stack whose engine was killed: its lock names a process that is gone."""
        for lock in _BACKEND.glob(f".pulumi/locks/**/{self.name}/*.json"):
            try:
                pid = int(json.loads(lock.read_text())["pid"])
                os.kill(pid, 0)
            except ProcessLookupError:
                lock.unlink(missing_ok=True)
            except (OSError, ValueError, KeyError, TypeError):
                continue  # of a living process, or in a form that only Pulumi can judge

    # -- running --------------------------------------------------------------------------

    def _command(self, *arguments: str) -> list[str]:
        chosen = ["--stack", self.name]
        if not self._own_backend:
            chosen += ["--config-file", str(self._copy)]
        return [str(engine.locate()), *arguments, *chosen]

    def _pulumi(self, *arguments: str) -> int:
        command = self._command(*arguments)
        try:
            return subprocess.call(command, env=self._environment, cwd=versions.ROOT)
        except KeyboardInterrupt:
            # The engine has had the same signal and is ending in good order; wait for it.
            return 130

    def _outputs(self, *, secret: bool) -> dict[str, str]:
        arguments = ["stack", "output", "--json", "--stack", self.name]
        if secret:
            self._prepare()
            arguments.append("--show-secrets")
        text = run.output(
            [str(engine.locate()), *arguments],
            env=self._environment,
            cwd=versions.ROOT,
            timeout=60,
        )
        outputs: dict[str, str] = json.loads(text)
        if "url" not in outputs:
            raise ToolchainError(f"the stack {self.name} is not up: run `make up` first")
        return outputs

    def _summary(self) -> None:
        outputs = self._outputs(secret=False)
        suffix = "" if self.name == "dev" else f" STACK={self.name}"
        print(
            f"\nPostgreSQL {outputs['version']} is ready.\n"
            f"  endpoint   {outputs['endpoint']}, database {outputs['database']}\n"
            f"  revision   {outputs['revision'] or '(none)'}\n"
            f"  its URL    make url{suffix}\n"
            f"  look       make psql{suffix}\n"
            f"  take down  make down{suffix}"
        )

    def _forget(self) -> None:
        run.output(
            [
                str(engine.locate()),
                "stack",
                "rm",
                "--yes",
                "--preserve-config",
                "--stack",
                self.name,
            ],
            env=self._environment,
            cwd=versions.ROOT,
            timeout=120,
        )  # fmt: skip - one command
        self._copy.unlink(missing_ok=True)
        if not any(FOLDER.glob("Pulumi.*.yaml")):
            shutil.rmtree(FOLDER)


def _make_folder() -> None:
    try:
        FOLDER.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise ToolchainError(
            f"{FOLDER} can't be made: {exc.strerror}. It holds the local stacks' state; make "
            "the checkout writable, or set PULUMI_BACKEND_URL to a backend of your own"
        ) from exc


def _passphrase_file() -> Path:
    """Give the file with the local backend's passphrase, generated at its first use."""
    if not _PASSPHRASE.exists():
        _make_folder()
        aside = _PASSPHRASE.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(aside, _PASSPHRASE)  # unlike a rename, it spares one made meanwhile
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    return _PASSPHRASE


def _login(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or ""),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGSSLMODE": parts.query.partition("sslmode=")[2] or "prefer",
    }
