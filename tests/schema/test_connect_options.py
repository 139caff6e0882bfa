"""Options of `connect_args` that another driver has do not keep env.py from its database."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from infra.schema import options as settings
from infra.schema.running.connect_options import for_libpq

_UNVERIFIED = ssl.create_default_context()
_UNVERIFIED.check_hostname, _UNVERIFIED.verify_mode = False, ssl.CERT_NONE


@pytest.mark.parametrize(
    ("driver", "given", "taken"),
    [
        ("psycopg2", {"prepare_threshold": None, "autocommit": False}, {}),
        ("psycopg", {"prepare_threshold": None}, {"prepare_threshold": None}),
        ("psycopg2", {"statement_cache_size": 0, "command_timeout": 5}, {}),
        ("psycopg", {"timeout": 0.5, "database": "d"}, {"connect_timeout": 2, "dbname": "d"}),
        ("psycopg", {"timeout": 9.0, "connect_timeout": 5}, {"connect_timeout": 5}),
        ("psycopg2", {"tcp_keepalive": True, "connection_factory": 1}, {"connection_factory": 1}),
        ("psycopg2", {"server_settings": {"jit": "off"}}, {"options": "-c jit=off"}),
        (
            "psycopg",
            {"server_settings": {"search_path": "a, b"}, "options": "-c jit=off"},
            {"options": "-c search_path=a,\\ b -c jit=off"},
        ),
        ("psycopg2", {"ssl": "require"}, {"sslmode": "require"}),
        ("psycopg2", {"ssl": False}, {"sslmode": "disable"}),
        ("psycopg2", {"ssl": True}, {"sslmode": "verify-full"}),
        ("psycopg", {"ssl": _UNVERIFIED, "sslmode": "prefer"}, {"sslmode": "prefer"}),
        ("psycopg", {"ssl_context": _UNVERIFIED}, {"sslmode": "require"}),
        ("psycopg", {"ssl": ssl.create_default_context()}, {"sslmode": "verify-full"}),
        ("psycopg2", {"keepalives": 1, "unknown": 1}, {"keepalives": 1, "unknown": 1}),
    ],
)
def test_options_of_other_drivers_become_those_of_libpq(
    driver: str, given: dict[str, Any], taken: dict[str, Any]
) -> None:
    """A meaning is kept, never with weaker TLS; what tunes a client is left out."""
    assert for_libpq(driver, given) == taken


def test_an_unknown_driver_is_refused_with_those_that_are_known() -> None:
    """Empty is the usual one, and stands in no list."""
    (said,) = settings.mistakes({"driver": "oracle"})

    assert said.startswith("driver: 'oracle' is unknown; one of: psycopg, psycopg2, asyncpg")
