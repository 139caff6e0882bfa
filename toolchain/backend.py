"""The backend of a checkout whose user has none: its folder, its passphrase, a command on the side.

Everything that a command of Pulumi's needs to find it is in variables, so that `make` and a shell
with `python -m toolchain env` see the same stacks.
"""

import json
import os
import secrets
import shlex
import shutil
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from toolchain import versions
from toolchain.errors import ToolchainError

__all__ = ["FOLDER", "STATES", "is_chosen", "make_folder", "psql_folder", "variables"]

FOLDER = versions.ROOT / ".groundwork"
STATES = FOLDER / "backend"
_PASSPHRASE = FOLDER / "passphrase"
_PROGRAMS = FOLDER / "bin"
_PASSPHRASES = frozenset({"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"})


def is_chosen() -> bool:
    """Tell whether the user has a backend of their own: any but that of this checkout."""
    address = os.environ.get("PULUMI_BACKEND_URL", "")
    if not address:
        return False
    parts = urlsplit(address)
    place = Path(unquote(parts.netloc + parts.path)).expanduser()
    return parts.scheme != "file" or place.resolve() != STATES.resolve()


def variables() -> dict[str, str]:
    """Give what leads Pulumi's commands to the user's stacks, unless the user has set it.

    The folder and the passphrase are made at the first use.

    Raises:
        ToolchainError: They can't be made.
    """
    added = {}
    if not is_chosen():
        make_folder()
        STATES.mkdir(exist_ok=True)
        added["PULUMI_BACKEND_URL"] = f"file://{quote(str(STATES))}"
    if not _PASSPHRASES & set(os.environ):
        added["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_passphrase_file())
    return added


def make_folder() -> None:
    """Make the folder that is for its user alone, unless it is there.

    Raises:
        ToolchainError: The checkout can't be written to.
    """
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
        make_folder()
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


def psql_folder(stack: str) -> Path | None:
    """Give a folder for PATH with the psql that a stack's server brings.

    None where there is a psql on PATH, or the server brings none.

    Args:
        stack: Name of a stack in the backend of this checkout.
    """
    programs = _programs(stack)
    if shutil.which("psql") or not programs or not (programs / "psql").is_file():
        return None
    _PROGRAMS.mkdir(mode=0o700, exist_ok=True)
    script = _PROGRAMS / "psql"
    # A PostgreSQL that can be moved brings its own library.
    library = programs.resolve().parent / "lib"
    chosen = f"export LD_LIBRARY_PATH={shlex.quote(str(library))}\n" if library.is_dir() else ""
    aside = script.with_suffix(f".{os.getpid()}")
    aside.write_text(f'#!/bin/sh\n{chosen}exec {shlex.quote(str(programs / "psql"))} "$@"\n')
    aside.chmod(0o700)
    aside.replace(script)
    return _PROGRAMS


def _programs(stack: str) -> Path | None:
    """Read from a stack's state where its server's programs are."""
    for path in STATES.glob(f".pulumi/stacks/*/{stack}.json"):
        try:
            resources = json.loads(path.read_text(encoding="utf-8"))["checkpoint"]["latest"][
                "resources"
            ]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for each in resources or []:
            if each.get("type") == "pulumi:pulumi:Stack":
                found = (each.get("outputs") or {}).get("programs")
                return Path(found) if isinstance(found, str) and found else None
    return None
