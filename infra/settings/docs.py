"""What is written from the table of keys: the page docs/settings.md, the schema in Pulumi.yaml."""

from __future__ import annotations

import json
import re
from difflib import unified_diff
from typing import TYPE_CHECKING

from infra.settings.keys import KEYS

if TYPE_CHECKING:
    from pathlib import Path

    from infra.settings.keys import Key

__all__ = ["project"]

# A top-level key of YAML with all that is indented below it.
_SECTION = re.compile(r"^config:\n(?:[ #].*\n|\n)*", re.MULTILINE)


def project(text: str) -> str:
    """Put the schema of the configuration into the text of Pulumi.yaml.

    The rest of it stays as it is: YAML that was read and written again would lose its form.
    """
    section = "config:\n" + "".join(_declared(key) for key in KEYS.values())
    if not _SECTION.search(text):
        return f"{text.rstrip()}\n{section}"
    return _SECTION.sub(lambda _: section, text, count=1)


def _declared(key: Key) -> str:
    # What JSON quotes, YAML reads alike.
    default = json.dumps(key.default, ensure_ascii=False) if key.type == "string" else key.default
    return (
        f"  {key.name}:\n"
        f"    type: {key.type}\n"
        f"    default: {default}\n"
        f"    description: {json.dumps(key.description, ensure_ascii=False)}\n"
    )
