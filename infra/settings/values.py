"""What each key takes by itself, whatever the others have."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from infra.schema import options
from infra.settings.keys import KEYS

if TYPE_CHECKING:
    from pathlib import Path

    from infra.settings.draft import Draft
    from infra.settings.key import Key

__all__ = ["check"]

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_PASSWORD_LENGTH = 12
_CORES = re.compile(r"[0-9]{1,4}(\.[0-9]{1,3})?")
_LEAST_CORES = 0.01
# As Docker's engine spells them (distribution/reference, volume names).
_DOMAIN = r"([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(:[0-9]+)?/"
_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_TAG_OR_DIGEST = r"(:[\w][\w.-]{0,127})?(@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,})?"
_IMAGE = re.compile(rf"({_DOMAIN})?{_COMPONENT}(/{_COMPONENT})*{_TAG_OR_DIGEST}", re.ASCII)
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,254}")
_MOVED_TO = re.compile(r"([0-9]{1,20}|ledger-[0-9a-z-]{1,36})/.+|", re.DOTALL)
_CONFIGURATIONS = ("alembic.ini", "pyproject.toml")


def check(draft: Draft) -> None:
    """Note the mistakes of each key."""
    for key in KEYS.values():
        _check_type(draft, key)
        if key.shape == "duration":
            _refuse(draft, key.name, options.duration_mistake(draft[key.name]))
        elif key.shape == "password":
            _check_password(draft, key.name)
        elif key.shape == "path":
            _refuse(draft, key.name, _no_path(draft, key.name))
    _check_container(draft)
    if not _MOVED_TO.fullmatch(draft["movedTo"]):
        draft.refuse(
            "movedTo",
            f"{draft['movedTo']!r} names no cluster and database; SYSTEM_IDENTIFIER/DATABASE, as"
            " the refusal says it",
        )
    if draft.sound("migrations"):
        _check_migrations(draft)
    chosen = {name: draft[name] for name in options.DEFAULTS}
    for mistake in options.mistakes(chosen):
        name, _, why = mistake.partition(": ")
        if draft.sound(name):
            draft.refuse(name, why)


def _refuse(draft: Draft, name: str, why: str) -> None:
    if why:
        draft.refuse(name, why)


def _check_type(draft: Draft, key: Key) -> None:
    text = draft[key.name]
    if key.choices and text not in key.choices:
        draft.refuse(key.name, _no_choice(key, text))
    elif key.type == "boolean" and text not in ("true", "false"):
        draft.refuse(key.name, f"{text!r} is neither true nor false")
    elif key.type == "integer":
        _refuse(draft, key.name, _no_integer(key, text))


def _no_choice(key: Key, text: str) -> str:
    if key.name == "sslmode" and text in ("allow", "prefer"):
        return (
            f"{text!r} goes on without TLS where the server offers none, without a word, so that"
            " whoever is in between reads everything; write require, verify-ca or verify-full,"
            " or disable where the network can be trusted"
        )
    named = ", ".join(filter(None, key.choices))
    return f"{text!r} is unknown; one of: {named}"


def _no_integer(key: Key, text: str) -> str:
    if not _INTEGER.fullmatch(text):
        return f"{text!r} is not a number"
    number, (low, high) = int(text), key.span
    if low <= number <= high or number == key.beside:
        return ""
    other = "" if key.beside is None else f", or {key.beside}"
    return f"{number} is out of range; {low} to {high}{other}"


def _no_path(draft: Draft, name: str) -> str:
    try:
        os.fsencode(draft.path(name) or "")
    except RuntimeError:
        return f"{draft[name]!r} begins with the home of a user whom this machine doesn't know"
    except UnicodeEncodeError:
        return f"{draft[name]!r} has half of a character, which is in no path"
    return f"{draft[name]!r} has a NUL byte, which is in no path" if "\0" in draft[name] else ""


def _check_password(draft: Draft, name: str) -> None:
    """Note what is wrong with a chosen password, without a word of it."""
    text = draft[name]
    if not text:
        return
    # SCRAM prepares other characters in ways on which clients differ.
    if not (text.isascii() and text.isprintable()):
        draft.refuse(name, "holds a character that is not printable ASCII")
    elif len(text) < _PASSWORD_LENGTH:
        draft.refuse(name, f"has {len(text)} characters; at least {_PASSWORD_LENGTH}")


def _check_container(draft: Draft) -> None:
    cpus, volume = draft["cpus"], draft["volume"]
    if cpus and not (_CORES.fullmatch(cpus) and float(cpus) >= _LEAST_CORES):
        draft.refuse("cpus", f"{cpus!r} is no number of cores; 2 or 1.5, at least {_LEAST_CORES}")
    if not _IMAGE.fullmatch(draft["image"]):
        draft.refuse(
            "image",
            f"{draft['image']!r} is no name of an image; [HOST[:PORT]/]NAME[:TAG][@DIGEST], the"
            " name in lower case",
        )
    if volume and not _VOLUME.fullmatch(volume):
        draft.refuse("volume", f"{volume!r} is no name of a volume; 2 to 255 of A-Z a-z 0-9 _ . -")


def _check_migrations(draft: Draft) -> None:
    given = draft["migrations"]
    folder = draft.path("migrations")
    if folder is not None and _is_file(folder):
        return
    if folder is None or not _is_folder(folder):
        draft.refuse("migrations", f"there is no folder {given!r}")
    elif not any((folder / name).is_file() for name in _CONFIGURATIONS):
        draft.refuse(
            "migrations", f"the folder {given!r} has no {' and no '.join(_CONFIGURATIONS)}"
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # as below
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, or a place that nobody may look into
        return False
