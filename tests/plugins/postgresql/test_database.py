"""Databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.plugins.run import RunError

if TYPE_CHECKING:
    from tests.plugins.postgresql.catalog import Catalog
    from tests.plugins.stack import Stack

ODD = 'Da"ta base ☕'
ROW = """
SELECT pg_get_userbyid(datdba)::text, pg_encoding_to_char(encoding)::text, datconnlimit,
       datallowconn, datistemplate FROM pg_database WHERE datname = $1
"""
COLLATION = "SELECT datcollate::text, datctype::text FROM pg_database WHERE datname = $1"
NUMBER = "SELECT oid FROM pg_database WHERE datname = $1"


def database(**args: object) -> dict[str, object]:
    """A database as the test program reads it."""
    return {"type": "Database", "args": args}


def role(name: str) -> dict[str, object]:
    """A role as the test program reads it."""
    return {"type": "Role", "args": {"name": name}}


def test_databases_are_made_as_declared(stack: Stack, catalog: Catalog) -> None:
    """Name, owner, locale and limits arrive, what is not given is read back, and it settles."""
    stack.up(
        owner=role("Own\"er's"),
        odd=database(
            name=ODD,
            owner={"output": "owner.name"},
            connection_limit=5,
            lc_collate="C",
            lc_ctype="C",
        ),
        plain=database(name="plain"),
        template=database(name="template", is_template=True, allow_connections=False),
        # The name of one resource is not known before the other one is made.
        copied={"type": "Database", "args": {"name": "copied", "template": "template"}}
        | {"after": ["template"]},
    )
    stack.assert_settled()
    assert catalog.rows(ROW, ODD) == [("Own\"er's", "UTF8", 5, True, False)]
    assert catalog.rows(COLLATION, ODD) == [("C", "C")]
    assert catalog.rows(ROW, "plain") == [(catalog.user, "UTF8", -1, True, False)]
    assert catalog.rows(ROW, "template") == [(catalog.user, "UTF8", -1, False, True)]
    outputs = stack.outputs()
    plain = outputs["plain"]
    assert (plain["id"], plain["owner"], plain["encoding"]) == ("plain", catalog.user, "UTF8")
    assert (plain["template"], plain["tablespaceName"]) == ("template0", "pg_default")
    assert (plain["lcCollate"], plain["lcCtype"]) == catalog.rows(COLLATION, "plain")[0]
    with catalog.hold(ODD):
        stack.destroy()
    assert not catalog.rows(
        "SELECT 1 FROM pg_database WHERE datname = ANY($1)", [ODD, "plain", "template", "copied"]
    )


def test_changes_are_made_in_place_or_by_replacement(stack: Stack, catalog: Catalog) -> None:
    """Limits and owner change in place, with the objects where asked for; the template replaces."""
    roles = {"first": role("first"), "second": role("second")}
    after = {"after": ["first", "second"]}
    stack.up(**roles, data=database(name="data", owner="first", connection_limit=5) | after)
    number = catalog.value(NUMBER, "data")
    catalog.run("CREATE TABLE kept (id int)", "ALTER TABLE kept OWNER TO first", database="data")
    changed = database(
        name="data", owner="second", alter_object_ownership=True, allow_connections=True
    )
    assert stack.up(**roles, data=changed | after).steps == {"data": ["update"]}
    stack.assert_settled()
    assert catalog.value(NUMBER, "data") == number
    assert catalog.rows(ROW, "data") == [("second", "UTF8", -1, True, False)]
    owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 'kept'"
    assert catalog.value(owner, database="data") == "second"
    replaced = database(name="data", owner="second", template="template1")
    assert "replace" in stack.up(**roles, data=replaced | after).steps["data"]
    stack.assert_settled()
    assert catalog.value(NUMBER, "data") != number
    assert catalog.rows(ROW, "data") == [("second", "UTF8", -1, True, False)]


def test_changes_by_hand_are_seen_and_repaired(stack: Stack, catalog: Catalog) -> None:
    """Refresh reports a changed limit and owner and a dropped database; an update repairs them."""
    stack.up(
        owner=role("keeper"),
        altered=database(name="altered", owner="keeper", connection_limit=5) | {"after": ["owner"]},
        dropped=database(name="dropped"),
        kept=database(name="kept"),
    )
    catalog.run(
        "ALTER DATABASE altered CONNECTION LIMIT 9",
        f"ALTER DATABASE altered OWNER TO {catalog.user}",
        "DROP DATABASE dropped",
    )
    assert stack.drift().steps == {"altered": ["update"], "dropped": ["delete"]}
    stack.up("--refresh")
    stack.assert_settled()
    assert catalog.rows(ROW, "altered") == [("keeper", "UTF8", 5, True, False)]
    assert catalog.rows(ROW, "dropped") == [(catalog.user, "UTF8", -1, True, False)]


def test_a_name_that_is_taken_is_refused(stack: Stack, catalog: Catalog) -> None:
    """A database that exists already is not taken over; the run fails and names it."""
    catalog.run("CREATE DATABASE taken CONNECTION LIMIT 3")
    with pytest.raises(RunError, match='"taken" already exists'):
        stack.up(wanted=database(name="taken"))
    assert catalog.rows(ROW, "taken") == [(catalog.user, "UTF8", 3, True, False)]
