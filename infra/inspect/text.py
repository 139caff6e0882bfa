"""Writes what was found, and the configuration, as one YAML file with comments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infra.settings.key import spelled
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["write"]


def write(sections: Mapping[str, Sequence[str]], keys: Mapping[str, Any]) -> str:
    """Write the file.

    Args:
        sections: What was found and what would change, a list of lines by heading.
        keys: The configuration, without its namespace.
    """
    lines: list[str] = []
    for heading, said in sections.items():
        lines += [f"# {heading}", *(f"#   {line}" for each in said for line in _lines(each)), "#"]
    lines += ["config:", *(line for name, value in keys.items() for line in _entry(name, value))]
    return "\n".join(lines) + "\n"


def _lines(text: str) -> Iterable[str]:
    return (visible(line) for line in text.splitlines())


def _entry(name: str, value: Any) -> Iterable[str]:
    """Write a key; a list with an entry on each line, in JSON, which YAML reads alike."""
    if isinstance(value, list) and value:
        yield f"  {spelled(name)}:"
        for each in value:
            yield f"    - {visible(json.dumps(each, ensure_ascii=False))}"
    else:
        yield f"  {spelled(name)}: {visible(json.dumps(value, ensure_ascii=False))}"
