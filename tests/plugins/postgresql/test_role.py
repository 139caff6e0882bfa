"""Roles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.plugins.run import RunError

if TYPE_CHECKING:
    from tests.plugins.postgresql.catalog import Catalog
    from tests.plugins.stack import Stack

ODD = "Ro\"le's ☕ \\x"
LONG = "r" * 63
VERIFIER = (
    "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$"
    "UJTQ0nU1RAkZQmDVyPGwEEZqXgHJBDv5bF0Du6CFjWI=:Yx1LqLbQbmrYBvF2FbuQgIwSs7bPA9CIkwHMAF1Pcjw="
)
OTHER_VERIFIER = VERIFIER.replace("UJTQ", "VKUR")
NEXT = "next-one"
PASSWORD = "cl3ar-text' \"$1;"  # noqa: S105 - made up, with what quoting stumbles on

FLAGS = """
SELECT rolsuper, rolcreatedb, rolcreaterole, rolinherit, rolcanlogin, rolreplication, rolbypassrls,
       rolconnlimit FROM pg_roles WHERE rolname = $1
"""
PLAIN = (False, False, False, True, False, False, False, -1)
SETTINGS = "SELECT unnest(rolconfig) FROM pg_roles WHERE rolname = $1 ORDER BY 1"
GROUPS = """
SELECT DISTINCT pg_get_userbyid(roleid)::text FROM pg_auth_members
WHERE pg_get_userbyid(member) = $1 ORDER BY 1
"""
EXISTS = "SELECT 1 FROM pg_roles WHERE rolname = $1"
STORED = "SELECT rolpassword FROM pg_authid WHERE rolname = $1"


def role(**args: object) -> dict[str, object]:
    """A role as the test program reads it."""
    return {"type": "Role", "args": args}


def test_roles_are_made_as_declared(stack: Stack, catalog: Catalog) -> None:
    """Names, flags, settings, memberships and passwords arrive, and a second preview is empty."""
    made = stack.up(
        group=role(),
        odd=role(
            name=ODD,
            login=True,
            password={"secret": PASSWORD},
            create_database=True,
            create_role=True,
            inherit=False,
            bypass_row_level_security=True,
            replication=True,
            connection_limit=7,
            roles=[{"output": "group.name"}],
            search_paths=["a b", "public"],
            statement_timeout=5000,
            idle_in_transaction_session_timeout=60000,
        ),
        long=role(name=LONG, login=True, password=VERIFIER, valid_until="infinity"),
    )
    assert made.steps == {"group": ["create"], "odd": ["create"], "long": ["create"]}
    stack.assert_settled()
    outputs = stack.outputs()
    group = outputs["group"]["name"]
    # A name that is not given is the logical one with a random suffix.
    assert re.fullmatch(r"group-[0-9a-f]{7}", group)
    assert catalog.rows(FLAGS, group) == [PLAIN]
    assert catalog.rows(FLAGS, ODD) == [(False, True, True, False, True, True, True, 7)]
    assert [setting for (setting,) in catalog.rows(SETTINGS, ODD)] == [
        "idle_in_transaction_session_timeout=60000",
        'search_path="a b", public',
        "statement_timeout=5000",
    ]
    assert catalog.rows(GROUPS, ODD) == [(group,)]
    assert catalog.login(ODD, PASSWORD)
    assert catalog.value(STORED, ODD).startswith("SCRAM-SHA-256$")
    assert catalog.value(STORED, LONG) == VERIFIER
    assert (outputs["odd"]["id"], outputs["long"]["id"]) == (ODD, LONG)
    assert (outputs["long"]["connectionLimit"], outputs["long"]["inherit"]) == (-1, True)
    state = stack.exported()
    assert "cl3ar-text" not in state
    assert "UJTQ0nU1" not in state
    stack.destroy()
    assert [catalog.value(EXISTS, name) for name in (group, ODD, LONG)] == [None] * 3


def test_changes_by_hand_are_seen_and_repaired(stack: Stack, catalog: Catalog) -> None:
    """Refresh reports flags, settings, verifiers and missing roles; an update puts them back."""
    stack.up(
        flags=role(name="flags", login=True, connection_limit=3),
        settings=role(name="settings", search_paths=["app"], statement_timeout=1000),
        verifier=role(name="verifier", login=True, password=VERIFIER),
        gone=role(name="gone"),
        kept=role(name="kept", login=True, password=PASSWORD),
    )
    catalog.run(
        "ALTER ROLE flags NOLOGIN CONNECTION LIMIT 9",
        "ALTER ROLE settings RESET search_path",
        "ALTER ROLE settings SET statement_timeout TO 2000",
        f"ALTER ROLE verifier PASSWORD '{OTHER_VERIFIER}'",
        "DROP ROLE gone",
    )
    assert stack.drift().steps == {
        "flags": ["update"],
        "settings": ["update"],
        "verifier": ["update"],
        "gone": ["delete"],
    }
    repaired = stack.up("--refresh")
    assert repaired.steps["gone"][-1] == "create"
    assert "kept" not in repaired.steps
    stack.assert_settled()
    assert catalog.rows(FLAGS, "flags") == [(*PLAIN[:4], True, *PLAIN[5:7], 3)]
    assert catalog.rows(SETTINGS, "settings") == [
        ("search_path=app",),
        ("statement_timeout=1000",),
    ]
    assert catalog.value(STORED, "verifier") == VERIFIER
    assert catalog.value(EXISTS, "gone") == 1


def test_changes_of_the_program_are_made_in_place(stack: Stack, catalog: Catalog) -> None:
    """No property of a role replaces it, and what is left away goes back to its default."""
    first = role(name="first")
    second = role(name="second")
    after = {"after": ["first", "second"]}
    stack.up(
        first=first,
        second=second,
        changed=role(
            name="changed",
            login=True,
            password=PASSWORD,
            roles=["first"],
            search_paths=["app"],
            statement_timeout=1000,
            connection_limit=3,
            valid_until="2030-01-01 00:00:00+00",
        )
        | after,
    )
    changed = stack.up(
        first=first,
        second=second,
        changed=role(
            name="changed", login=True, password=NEXT, roles=["second"], create_database=True
        )
        | after,
    )
    assert changed.steps == {"changed": ["update"]}
    stack.assert_settled()
    assert catalog.rows(FLAGS, "changed") == [(False, True, False, True, True, False, False, -1)]
    assert catalog.rows(SETTINGS, "changed") == []
    assert catalog.rows(GROUPS, "changed") == [("second",)]
    assert catalog.value("SELECT rolvaliduntil::text FROM pg_roles WHERE rolname = 'changed'") == (
        "infinity"
    )
    assert catalog.login("changed", NEXT)
    assert not catalog.login("changed", PASSWORD)


def test_a_removed_role_leaves_its_objects_to_the_provider(stack: Stack, catalog: Catalog) -> None:
    """What it owns in the provider's database changes hands; a role to be skipped stays."""
    stack.up(
        owner=role(name="owner"),
        dropped=role(name="dropped"),
        skipped=role(name="skipped", skip_drop_role=True),
    )
    catalog.run(
        "CREATE TABLE public.heirloom (id int)",
        "ALTER TABLE public.heirloom OWNER TO owner",
    )
    try:
        stack.up(dropped=role(name="dropped"))
        owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 'heirloom'"
        assert catalog.value(owner) == catalog.user
    finally:
        catalog.run("DROP TABLE public.heirloom")
    assert catalog.value(EXISTS, "owner") is None
    assert catalog.value(EXISTS, "skipped") == 1
    assert catalog.value(EXISTS, "dropped") == 1


def test_numbers_out_of_range_are_refused(stack: Stack, catalog: Catalog) -> None:
    """A limit that PostgreSQL has no meaning for ends the run, by name, and nothing is made."""
    with pytest.raises(RunError, match=r"(?i)connection_?limit"):
        stack.up(wrong=role(name="wrong", connection_limit=-2))
    assert catalog.value(EXISTS, "wrong") is None
