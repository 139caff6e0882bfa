"""How `make psql` gets in without a password on its command line."""

from __future__ import annotations

import pytest

from toolchain import login

_USER = {"PGUSER": "my app", "PGPASSWORD": "p@:/?#%", "PGDATABASE": 'My "Books"'}
_LOGIN = "my%20app:p%40%3A%2F%3F%23%25"
_TLS = "sslmode=verify-full&sslrootcert=tls%2Fmy%20ca.pem"
_PATH = "My%20%22Books%22"


@pytest.mark.parametrize(
    ("rest", "variables"),
    [
        (
            f"127.0.0.1:5433/{_PATH}?sslmode=disable",
            {"PGHOST": "127.0.0.1", "PGPORT": "5433", "PGSSLMODE": "disable"},
        ),
        (
            f"a.test:1,b.test,[::1]:3/{_PATH}?{_TLS}&target_session_attrs=read-write",
            {
                "PGHOST": "a.test,b.test,::1",
                "PGPORT": "1,5432,3",
                "PGSSLMODE": "verify-full",
                "PGSSLROOTCERT": "tls/my ca.pem",
                "PGTARGETSESSIONATTRS": "read-write",
            },
        ),
    ],
)
def test_a_url_is_told_to_psql_by_variables(rest: str, variables: dict[str, str]) -> None:
    """Hosts, ports, login, database and TLS are what the URL says, whatever is in a name."""
    assert login.variables(f"postgresql://{_LOGIN}@{rest}") == _USER | variables
