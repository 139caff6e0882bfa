"""Takes secrets out of what a failed command printed, before it is shown to everybody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["redacted"]

_MASK = "***"
# Greedy: a password may have an @ of its own.
_LOGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s\"'<>]*@")
_WORD = r"(?:password|passwd|passphrase|secret|token|api_?key)"
_ASSIGNED = re.compile(rf"(?i)({_WORD}\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s&]+)")
_QUOTED = re.compile(rf"(?i)([\"']\w*{_WORD}[\"']\s*:\s*)(\"[^\"]*\"|'[^']*')")
_NAMES = re.compile(r"TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|_KEY$|DATABASE_URL")
_PATHS = ("_FILE", "_PATH")
_LEAST = 6  # a shorter value would take words out of every text


def redacted(text: str, environment: Mapping[str, str]) -> str:
    """Give a text without logins in URLs, assigned passwords, and secrets of the environment.

    Args:
        text: What is to be shown.
        environment: The variables whose values are looked for, by their names.
    """
    values = {
        value.strip()
        for name, value in environment.items()
        if _NAMES.search(name.upper()) and not name.upper().endswith(_PATHS)
    }
    # The longest first, since one may hold another.
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _LEAST:
            text = text.replace(value, _MASK)
    text = _LOGIN.sub(rf"\1{_MASK}@", text)
    text = _ASSIGNED.sub(rf"\1{_MASK}", text)
    return _QUOTED.sub(rf'\1"{_MASK}"', text)
