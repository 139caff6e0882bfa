"""The file groundwork.conf of a data directory: what the stack says of the server."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.project import spelled
from infra.servers.errors import ClusterError
from infra.servers.local import owned_files
from infra.servers.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = [
    "AUTO",
    "FILE",
    "INCLUDE",
    "MAIN",
    "Configuration",
    "absolute",
    "included",
    "parse",
    "without",
    "written",
]

FILE = "groundwork.conf"
MAIN = "postgresql.conf"
# What ALTER SYSTEM writes, and what PostgreSQL reads last.
AUTO = "postgresql.auto.conf"
# Of postgresql.conf, its last line.
INCLUDE = f"include '{FILE}'"

_HEAD = "# Written at every start; what you put here is lost.\n"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*")
# As guc-file.l reads a line: a name, '=' or not, a value in quotes or bare, a comment.
_LINE = re.compile(r"\s*([A-Za-z_][\w$.]*)\s*=?\s*('(?:[^'\\\n]|\\.|'')*'|[^\s#']*)")
_INCLUDE = re.compile(r"^(\s*include(?:_if_exists|_dir)?\s*=?\s*')(?!/)([^']*)'", re.MULTILINE)
_ESCAPES = {"\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
_ESCAPED = re.compile(r"''|\\([0-7]{1,3})|\\(.)", re.DOTALL)
_LETTERS = {escape[1]: character for character, escape in _ESCAPES.items()}
# Of a server that can be found, reached and trusted again; other keys and targets are for these.
_OWNED = (
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "include",
    "include_dir",
    "include_if_exists",
)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The settings of a server.

    Attributes:
        port: TCP port on 127.0.0.1.
        parameters: Settings of postgresql.conf beside the project's own, by their names.
    """

    port: int
    parameters: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> dict[str, str]:
        """Give all settings, by names in small letters, as PostgreSQL sees them.

        Raises:
            ClusterError: A parameter that can't be set here.
        """
        return {**self._chosen(), **self._own()}

    def render(self) -> str:
        """Give the text of the file, in which no value can end its line or its quotes.

        Raises:
            ClusterError: A parameter that can't be set here.
        """
        lines = [f"{name} = {_quoted(value)}\n" for name, value in self.settings().items()]
        return _HEAD + "".join(lines)

    def _chosen(self) -> dict[str, str]:
        chosen = {}
        for name, value in sorted(self.parameters.items()):
            if not _NAME.fullmatch(name) or name.lower() in {*_OWNED, *self._own()}:
                msg = (
                    f"The setting {name!r} can't be made by {spelled('parameters')}: it is"
                    " groundwork's own, or no setting at all. Nothing was changed. Remove it."
                )
                raise ClusterError(msg)
            if "\0" in value:
                msg = f"The setting {name!r} has a NUL byte in its value. Nothing was changed."
                raise ClusterError(msg)
            chosen[name.lower()] = value
        return chosen

    def _own(self) -> dict[str, str]:
        return {
            "listen_addresses": HOST,
            "port": str(self.port),
            # No socket: its path has a limit of 107 bytes, and one way in is enough.
            "unix_socket_directories": "",
            "password_encryption": "scram-sha-256",
            # A backend whose client was killed ends within this time and frees its locks.
            "client_connection_check_interval": "5s",
        }

    def on_disk(self, data: Path) -> dict[str, str]:
        """Give the parameters as they are in the files, by names in small letters.

        These are the ones of the configuration itself, with what ALTER SYSTEM says over them,
        and others that somebody has written into the file. What ALTER SYSTEM says of settings
        that the configuration doesn't name is nobody's concern.
        """
        own = self._own()
        names = {*own, *(name.lower() for name in self.parameters)}
        file = written(data)
        found = {name: value for name, value in file.items() if own.get(name) != value}
        altered = parse(_text(data, AUTO))
        return found | {name: value for name, value in altered.items() if name in names}

    def is_kept(self, data: Path) -> bool:
        """Tell whether the files of a data directory say the same."""
        return written(data) == self.settings() and not self.altered(data)

    def altered(self, data: Path) -> list[str]:
        """Name the settings of the configuration that ALTER SYSTEM has a word on, too."""
        return sorted(parse(_text(data, AUTO)).keys() & self.settings().keys())


def parse(text: str) -> dict[str, str]:
    """Read the settings of a file by their names in small letters; the last one counts."""
    return dict(_pairs(text))


def written(data: Path) -> dict[str, str]:
    """Read groundwork.conf of a data directory."""
    return parse(_text(data, FILE))


def without(text: str, names: Mapping[str, str]) -> str:
    """Give the text of a file without its lines on some settings."""
    return "\n".join(line for line in text.split("\n") if not parse(line).keys() & names)


def included(text: str) -> str:
    """Give postgresql.conf with the include of groundwork.conf as its last word."""
    lines = text.rstrip().split("\n")
    if lines[-1].strip() == INCLUDE:
        return text
    others = [line for line in lines if line.strip() != INCLUDE]
    return "\n".join([*others, INCLUDE, ""])


def absolute(text: str, data: Path) -> str:
    """Give postgresql.conf as it means the same from another folder, groundwork.conf aside."""

    def place(found: re.Match[str]) -> str:
        relative = found[2] == FILE
        return f"{found[1]}{found[2] if relative else data / found[2]}'"

    return _INCLUDE.sub(place, text)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):  # unlike splitlines, at what PostgreSQL takes for an end alone
        found = _LINE.match(line)
        if found:
            yield found[1].lower(), _plain(found[2])


def _quoted(value: str) -> str:
    text = value.replace("\\", "\\\\").replace("'", "''")
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return f"'{text}'"


def _plain(value: str) -> str:
    if not value.startswith("'"):
        return value

    def unescaped(found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 8))
        return "'" if found[0] == "''" else _LETTERS.get(found[2], found[2])

    return _ESCAPED.sub(unescaped, value[1:-1])


def _text(data: Path, name: str) -> str:
    try:
        return owned_files.read_text(data, name)
    except OSError:
        return ""
