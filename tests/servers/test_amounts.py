"""Amounts of memory as PostgreSQL reads them."""

from __future__ import annotations

import pytest

from infra.servers.docker import amounts

_KIB = 1024


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("2GB", _KIB, 2048),
        ("2 GB", _KIB, 2048),
        ("1.5GB", _KIB, 1536),
        ("64MB", _KIB, 64),
        ("65536", _KIB, 64),
        ("16384", 8 * _KIB, 128),
        ("65537kB", _KIB, 65),
        ("1TB", _KIB, 1024 * 1024),
        ("1048576B", _KIB, 1),
        ("", _KIB, None),
        ("much", _KIB, None),
        ("2XB", _KIB, None),
        ("-1", _KIB, None),
    ],
)
def test_an_amount_is_read_with_and_without_its_unit(
    text: str, unit: int, expected: int | None
) -> None:
    """In MiB, rounded up; what PostgreSQL alone could read is nobody's guess."""
    assert amounts.mebibytes(text, unit=unit) == expected


def test_shared_memory_is_above_what_an_index_takes() -> None:
    """Derived from the parameters, unless the stack names it."""
    for text, least in (("", 64), ("2GB", 2048), ("nonsense", 64)):
        parameters = {"maintenance_work_mem": text} if text else {}
        assert amounts.shared(parameters, chosen=0) > least
    assert amounts.shared({"maintenance_work_mem": "2GB"}, chosen=3000) == 3000
