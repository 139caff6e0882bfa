"""What is written from the table of keys: the page docs/settings.md, the schema in Pulumi.yaml."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from infra.settings.key import ENVIRONMENTS, SECTIONS
from infra.settings.keys import KEYS

if TYPE_CHECKING:
    from infra.settings.key import Key

__all__ = ["MarkersError", "page", "project"]

BEGIN = "<!-- keys: from here to their end written by `python -m infra.settings docs` -->\n"
END = "<!-- keys: end -->\n"
# A top-level key of YAML with all that is indented below it.
_SECTION = re.compile(r"^config:\n(?:[ #].*\n|\n)*", re.MULTILINE)

_ITEMS = "    items:\n      type: string\n"


class MarkersError(ValueError):
    """The page does not have the two markers, each once and in order, around the keys."""


def page(text: str) -> str:
    """Put the tables of all keys between the markers of the page; the rest stays as it is.

    Raises:
        MarkersError: The markers are missing, doubled or in the wrong order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise MarkersError(f"wants one line {BEGIN.strip()} and after it one {END.strip()}")
    before, rest = text.split(BEGIN)
    tables = "\n".join((_presets(), *(_section(name) for name in SECTIONS)))
    return f"{before}{BEGIN}\n{tables}\n{END}{rest.split(END)[1]}"


def project(text: str) -> str:
    """Put the schema of the configuration into the text of Pulumi.yaml; the rest stays as it is.

    It is text and no YAML here: what is read and written again would lose its form.
    """
    section = "config:\n" + "".join(_declared(key) for key in KEYS.values())
    if not _SECTION.search(text):
        return f"{text.rstrip()}\n{section}"
    return _SECTION.sub(lambda _: section, text, count=1)


def _declared(key: Key) -> str:
    # What JSON quotes, YAML reads alike.
    default = json.dumps(key.default, ensure_ascii=False) if key.type == "string" else key.default
    # The engine checks a list by the one type of its items; these have two, so none is declared.
    items = _ITEMS if key.type == "array" else ""
    typed = "" if key.type == "list" else f"    type: {key.type}\n{items}"
    values = _values(key)
    says = f"{key.description} ({values})" if values else key.description
    if key.secret:
        says += f"; set it with: pulumi config set --secret {key.name}"
    return (
        f"  {key.name}:\n"
        f"{typed}"
        f"    default: {default}\n"
        f"    description: {json.dumps(says, ensure_ascii=False)}\n"
    )


def _values(key: Key) -> str:
    """Say which values there are; "" where any text will do."""
    if key.choices:
        return ", ".join(filter(None, key.choices))
    if key.type == "integer":
        low, high = key.span
        return f"{low} to {high}" + ("" if key.beside is None else f", or {key.beside}")
    return {"duration": "500ms, 5s, 10min, 1h; 0 for no limit"}.get(key.shape, "")


def _presets() -> str:
    lines = [
        "## By environment",
        "",
        f"| key | {' | '.join(f'`{environment}`' for environment in ENVIRONMENTS)} |",
        f"|---|{'---|' * len(ENVIRONMENTS)}",
    ]
    for key in KEYS.values():
        if key.presets:
            cells = (f"`{key.presets[environment]}`" for environment in ENVIRONMENTS)
            lines.append(f"| `{key.name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _section(name: str) -> str:
    keys = [key for key in KEYS.values() if key.section == name]
    lines = [f"## {SECTIONS[name]}", "", "| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join((*lines, *(_row(key) for key in keys))) + "\n"


def _row(key: Key) -> str:
    default = f"`{key.default}`" if key.default else "by environment" if key.presets else ""
    about = [f"{key.description}."]
    values = _values(key)
    if values and key.choices:
        about.append(", ".join(f"`{choice}`" for choice in key.choices if choice) + ".")
    elif key.type == "integer":
        about.append(f"{values}.")
    if key.targets:
        about.append(f"Only for {' and '.join(f'`{target}`' for target in key.targets)}.")
    kind = "secret" if key.secret else "duration" if key.shape == "duration" else key.type
    meaning = " ".join(about).replace("|", r"\|")
    return f"| `{key.name}` | {kind} | {default} | {meaning} |"
