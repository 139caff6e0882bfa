"""Which versions of the engine and of the plugins this project asks for.

The exact pins in pyproject.toml are the only place where they are written by hand.
"""

import re
import tomllib
from functools import cache
from pathlib import Path

from toolchain.errors import ToolchainError

__all__ = [
    "ACTIONLINT",
    "HOST",
    "ROOT",
    "clear",
    "engine",
    "parse",
    "pinned",
    "plugin",
    "satisfies",
]

ROOT = Path(__file__).resolve().parent.parent
"""The checkout that this package belongs to."""

HOST = "3.79.0"
"""The last release of Pulumi's Go SDK that holds the Python language host as a package.

Later ones keep it in a module of its own whose go.mod points into Pulumi's repository,
so it can't be built from published modules alone.
"""

ACTIONLINT = "1.7.12"
"""The release of actionlint, which is no Python package and so has no pin in pyproject.toml."""

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[0-9][0-9A-Za-z.+!-]*)$")


@cache
def _pins() -> dict[str, str]:
    path = ROOT / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    except (OSError, UnicodeDecodeError, KeyError, tomllib.TOMLDecodeError) as exc:
        raise ToolchainError(f"the pinned versions can't be read from {path}: {exc}") from exc
    found = (_PIN.match(line.replace(" ", "")) for line in project.get("dependencies", ()))
    return {match["name"].lower(): match["version"] for match in found if match}


def clear() -> None:
    """Forget what was read, after a change of pyproject.toml in the same process."""
    _pins.cache_clear()


def _pin(package: str) -> str:
    try:
        return _pins()[package]
    except KeyError:
        raise ToolchainError(
            f"pyproject.toml has no exact pin for {package}: "
            f'write "{package}==X.Y.Z" among the project\'s dependencies'
        ) from None


def engine() -> str:
    """Give the version of the engine, such as '3.259.0': that of the `pulumi` package."""
    return _pin("pulumi")


def plugin(name: str) -> str:
    """Give the version of the provider plugin `name`: that of its `pulumi-NAME` package."""
    return _pin(f"pulumi-{name}")


def pinned(requirements: Path, package: str) -> str:
    """Give the version of a package that a requirements file pins."""
    text = requirements.read_text(encoding="utf-8")
    match = re.search(rf"^{re.escape(package)}==(\S+)", text, re.MULTILINE)
    if match is None:
        raise ToolchainError(f"{requirements.name} doesn't pin {package}")
    return match[1]


def parse(text: str) -> tuple[int, ...]:
    """Read the leading numbers of a version such as 'v3.259.0-alpha.1' or 'go1.26.8'.

    Raises:
        ValueError: when no number is there.
    """
    match = re.search(r"\d+(?:\.\d+)*", text)
    if match is None:
        raise ValueError(f"no version in {text!r}")
    return tuple(int(part) for part in match.group().split("."))


def satisfies(found: str, wanted: str) -> bool:
    """Tell whether an engine of version `found` can stand in for `wanted`.

    It can when it has the same major version and at least the same minor one: the
    Python SDK refuses nothing by itself, but asks older engines for features they lack.
    """
    have, want = parse(found), parse(wanted)
    return have[0] == want[0] and have[:2] >= want[:2]
