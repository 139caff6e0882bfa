"""Amounts of memory as PostgreSQL's settings have them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["mebibytes", "of", "shared"]

_KIB = 1024
_MIB = _KIB * 1024
_UNITS = {"B": 1, "KB": _KIB, "MB": _MIB, "GB": _MIB * _KIB, "TB": _MIB * _KIB * _KIB}
_FOR_QUERIES_MIB = 192
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)\s*")
# The settings that decide how much memory a server takes: bytes of their unit, default in MiB.
_SETTINGS = {
    "shared_buffers": (8 * _KIB, 128),
    "maintenance_work_mem": (_KIB, 64),
}


def mebibytes(text: str, *, unit: int) -> int | None:
    """Read an amount, '2GB' for example.

    Args:
        text: As in postgresql.conf.
        unit: What a number without a unit counts, in bytes.

    Returns:
        MiB, rounded up; None where PostgreSQL alone knows what it means.
    """
    found = _AMOUNT.fullmatch(text)
    size = _UNITS.get(found[2].upper() or "?", 0) if found else 0
    if found and not found[2]:
        size = unit
    return math.ceil(float(found[1]) * size / _MIB) if found and size else None


def of(parameters: Mapping[str, str], name: str) -> int:
    """Give a setting in MiB: the chosen one, or PostgreSQL's default.

    Args:
        parameters: The chosen settings by their names in small letters.
        name: "shared_buffers" or "maintenance_work_mem".
    """
    unit, default = _SETTINGS[name]
    return mebibytes(parameters.get(name, ""), unit=unit) or default


def shared(parameters: Mapping[str, str], *, chosen: int) -> int:
    """Give the size of /dev/shm in MiB.

    A parallel build of an index (HNSW above all) keeps its graph there, up to
    maintenance_work_mem; parallel queries keep their hash tables there.

    Args:
        parameters: The chosen settings by their names in small letters.
        chosen: What the stack says; 0 where it says nothing.
    """
    return chosen or of(parameters, "maintenance_work_mem") + _FOR_QUERIES_MIB
