"""What differs between two lives of the same program."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["differences"]

_NUMBER = re.compile(r"\b[0-9a-f]{12}(?:[0-9a-f]{52})?\b|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
"""An id of Docker's, short or long, or a MAC address, which are other ones in every life."""

_ABSENT = "(absent)"


def differences(one: Any, other: Any, *, path: str = "") -> list[str]:
    """Where two values are not the same, ciphertexts and made-up numbers aside.

    Args:
        one: The first.
        other: The second.
        path: How to name both.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(key, one.get(key, _ABSENT), other.get(key, _ABSENT)) for key in {**one, **other}]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(str(at), *both) for at, both in enumerate(zip(one, other, strict=True))]
    else:
        same = path.endswith(".ciphertext") or _readable(one) == _readable(other)
        return [] if same else [f"{path}: {one!r}, {other!r}"]
    return [line for key, *both in pairs for line in differences(*both, path=f"{path}.{key}")]


def _readable(value: Any) -> Any:
    return _NUMBER.sub("[number]", value) if isinstance(value, str) else value
