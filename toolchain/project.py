"""The name of the project, which is the namespace of its configuration."""

import re
from functools import cache
from pathlib import Path

__all__ = ["name"]

# Not resolved: where a package is a link, the project is the one that has the link.
_FILE = Path(__file__).parent.parent / "Pulumi.yaml"
_NAME = re.compile(r"""^name:\s*["']?([A-Za-z0-9._-]+)""", re.MULTILINE)
_DEFAULT = "groundwork"


@cache
def name() -> str:
    """Give the name that Pulumi.yaml has."""
    try:
        found = _NAME.search(_FILE.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return _DEFAULT  # Pulumi says what is wrong with the file
    return found[1] if found else _DEFAULT
