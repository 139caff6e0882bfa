"""An application's database and login are adopted: what it had stays, what was named is added."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import asyncpg
import pytest
import yaml

from infra.servers.throwaway import throwaway
from tests.engine import histories
from tests.engine.existing import Server, Stack, quoted
from tests.engine.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

_PASSWORD = "the shop's own pass-word"  # noqa: S105 - of a throwaway server
_MADE = (
    "CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL)",
    "CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers)",
)
_ROLES = """
SELECT rolname::text, rolsuper, rolcreatedb, rolcanlogin, rolinherit, rolconnlimit, rolpassword,
       (SELECT array_agg(setconfig) FROM pg_db_role_setting WHERE setrole = a.oid)
FROM pg_authid a WHERE rolname IN ('shop', 'billing', 'report') ORDER BY 1
"""
_TABLES = """
SELECT c.oid::regclass::text, relowner::regrole::text, ARRAY(
    SELECT a.grantee::regrole || ' ' || a.privilege_type
    FROM aclexplode(coalesce(relacl, acldefault('r', relowner))) a
    WHERE a.grantee::regrole::text NOT IN ('shop_readwrite', 'shop_readonly') ORDER BY 1)
FROM pg_class c WHERE relname IN ('customers', 'orders', 'invoices') ORDER BY 1
"""
_REST = """
SELECT d.datdba::regrole::text, d.datconnlimit, n.nspname::text, n.nspowner::regrole::text, ARRAY(
    SELECT privilege_type FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))
    WHERE grantee = 0 ORDER BY 1), ARRAY(
    SELECT privilege_type FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
    WHERE grantee = 0 ORDER BY 1), (SELECT array_agg(extname || extversion ORDER BY 1)
    FROM pg_extension)
FROM pg_database d, pg_namespace n
WHERE datname = current_database() AND nspname !~ '^pg_|information_schema|schema_ledger|^ext$'
ORDER BY 3
"""


@contextmanager
def _application(schema: str = "public", *, versioned: str = "") -> Iterator[Server]:
    """Run a server of another team, with an application's database in use."""
    with throwaway(password="admin's-%-@-/-\"-+word") as made:  # noqa: S106 - of a throwaway server
        server = Server(throwaway=made)
        server.run(
            f"CREATE ROLE shop LOGIN CREATEDB CONNECTION LIMIT 7 PASSWORD '{_PASSWORD}'".replace(
                "the shop's", "the shop''s"
            ),
            "CREATE ROLE billing LOGIN",
            "CREATE ROLE report LOGIN",
            "GRANT pg_monitor TO shop",
            "CREATE DATABASE shop OWNER shop",
            "ALTER ROLE shop IN DATABASE shop SET work_mem = '5MB'",
            f"ALTER ROLE shop IN DATABASE shop SET search_path = {quoted(schema)}",
            "SELECT 1",
        )
        server.run(
            "CREATE EXTENSION vector SCHEMA public",
            "SET ROLE shop",
            f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}",
            f"SET search_path = {quoted(schema)}",
            *_MADE,
            "INSERT INTO customers (name) SELECT 'n' || g FROM generate_series(1, 20) g",
            "GRANT SELECT ON orders TO report",
            f"GRANT CREATE, USAGE ON SCHEMA {quoted(schema)} TO billing",
            "RESET ROLE",
            "SET ROLE billing",
            "CREATE TABLE invoices (id int)",
            "SELECT 1",
            database="shop",
        )
        if versioned:
            server.run(
                "SET ROLE shop",
                f"SET search_path = {quoted(schema)}",
                "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
                f"INSERT INTO alembic_version VALUES ('{versioned}')",  # noqa: S608 - of a test
                "SELECT 1",
                database="shop",
            )
        yield server


@contextmanager
def _stack(scratch: Path, server: Server, **keys: Any) -> Iterator[Stack]:
    """Lay out a stack whose migrations made the application's tables, with one more to come."""
    folder = scratch / f"adoption-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    stack = Stack(folder, database="shop")
    shutil.rmtree(stack.migrations)
    histories.init(stack.migrations)
    for revision, parent, up, down in (
        ("aaa1", None, _MADE[0], "DROP TABLE customers"),
        ("bbb2", "aaa1", _MADE[1], "DROP TABLE orders"),
        ("ccc3", "bbb2", "ALTER TABLE orders ADD note text", "ALTER TABLE orders DROP note"),
        ("ddd4", "ccc3", "CREATE TABLE later (id int)", "DROP TABLE later"),
    ):
        histories.add(
            stack.migrations, revision, parent, f"op.execute({up!r})", f"op.execute({down!r})"
        )
    stack.admin(server.url())
    stack.configure(existingObjects="adopt", extensions=["vector"], **keys)
    try:
        yield stack
    finally:
        stack.destroy(check=False)
        shutil.rmtree(folder)


def _inspected(server: Server, stack: Stack) -> str:
    """Run the inspection as `make inspect` does; it would go up."""
    done = subprocess.run(
        [sys.executable, "-m", "toolchain", "inspect", f"--migrations={stack.migrations}"],
        cwd=ROOT,
        env=os.environ | {"ADMIN_URL": server.url()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _state(server: Server) -> list[Any]:
    inside = (_TABLES, _REST)
    return [server.run(_ROLES), *(server.run(each, database="shop") for each in inside)]


def _as_the_application(server: Server, sql: str) -> list[Any]:
    """Log in as the application did before, with its password."""

    async def run() -> list[Any]:
        place = f"{server.throwaway.host}:{server.throwaway.port}"
        url = f"postgresql://shop:{quote(_PASSWORD, safe='')}@{place}/shop?sslmode=disable"
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    return asyncio.run(run())


def test_an_application_in_public_is_adopted_and_keeps_what_it_had(scratch: Path) -> None:
    """Named in the preview, exact although roles are to be made; kept in up, and after destroy."""
    with _application() as server, _stack(scratch, server) as stack:
        server.run("DROP TABLE invoices", "SELECT 1", database="shop")
        before, objects = _state(server), server.objects()
        found = _inspected(server, stack)
        assert "bbb2: the database has no version table, and is what it makes" in found
        assert "'shop' becomes a member of 'shop_readwrite'" in found
        assert server.throwaway.password not in found
        assert (_state(server), server.objects()) == (before, objects)
        chosen = yaml.safe_load(found)["config"]
        assert chosen.pop("groundwork:migrations") == str(stack.migrations)
        stack.configure(**chosen)

        said = stack.preview().text

        assert server.objects() == objects
        assert "2 to adopt without running, 2 to apply" in said
        assert "read as the administrator" in said
        assert "from nothing" not in said
        assert "adopts the role 'shop' as app: attributes, password" in said
        assert "'shop' becomes a member of 'shop_readwrite'" in said
        assert "'shop_owner' becomes a member of 'shop', so that migrations may change" in said
        stack.up()
        stack.up("--expect-no-changes")
        stack.refresh("--expect-no-changes")
        stack.preview("--expect-no-changes")

        assert _state(server) == before
        assert _as_the_application(server, "SELECT count(*), max(name) FROM customers") == [
            (20, "n9")
        ]
        assert _as_the_application(
            server, "INSERT INTO orders (customer, note) VALUES (1, 'new') RETURNING note"
        ) == [("new",)]
        assert _as_the_application(server, "INSERT INTO later VALUES (1) RETURNING id") == [(1,)]
        outputs = stack.outputs()
        assert outputs["app_url"].startswith("postgresql://shop@127.0.0.1:")
        assert outputs["password"] == ""
        assert stack.query("SELECT count(*) FROM customers", url=outputs["reader_url"]) == [(20,)]

        stack.destroy()
        assert _state(server) == before
        assert _as_the_application(server, "SELECT count(*) FROM customers") == [(20,)]


def test_a_version_table_in_another_schema_is_refused_with_the_key_to_set(scratch: Path) -> None:
    """Before anything runs; in the schema that the key names, the database goes on from there."""
    schema = 'My "Shop"; 📚'
    with (
        _application(schema, versioned="ccc3") as server,
        _stack(scratch, server, appRole="shop") as stack,
    ):
        before, objects = _state(server), server.objects()
        for refused in (stack.preview(check=False), stack.up(check=False)):
            assert refused.status != 0
            assert f"in schema {schema!r}, and this stack's schema is 'app'" in refused.text
            assert "pulumi config set groundwork:schema" in refused.text
            assert "Traceback" not in refused.text
        assert server.objects() == objects

        stack.configure(schema=schema)
        assert "1 to apply; then at ddd4" in stack.preview().text
        stack.up()
        stack.up("--expect-no-changes")

        assert _state(server) == before
        assert _as_the_application(server, "INSERT INTO later VALUES (1) RETURNING id") == [(1,)]
        assert stack.query("SHOW search_path", url=stack.outputs()["reader_url"]) == [
            (f"{quoted(schema)}, public",)
        ]


def test_the_applications_login_is_refused_as_owner_before_anything_runs(scratch: Path) -> None:
    """With the two ways out; an extension that can't be had, in the same message."""
    with (
        _application() as server,
        _stack(scratch, server, schema="public", ownerRole="shop", adopt="bbb2") as stack,
    ):
        stack.configure(extensions=["vector", {"name": "no such", "schema": "public"}])
        before, objects = _state(server), server.objects()

        for refused in (stack.preview(check=False), stack.up(check=False)):
            assert refused.status != 0
            assert "set groundwork:appRole shop" in refused.text
            assert 'CREATE ROLE "shop_owner" NOLOGIN' in refused.text
            assert "has no extension 'no such'" in refused.text
        assert (server.objects(), _state(server)) == (objects, before)


def test_a_chosen_password_is_the_adopted_logins_and_nothing_else_is_changed(
    scratch: Path,
) -> None:
    """`appPassword` says otherwise; without extensions none is touched."""
    with _application() as server, _stack(scratch, server, schema="public", adopt="bbb2") as stack:
        server.run("DROP TABLE invoices", "SELECT 1", database="shop")
        stack.configure(appRole="shop", extensions=[])
        stack.configure_secret("appPassword", "another pass-word")
        before = _state(server)

        assert "'shop' gets the password that the stack has for it" in stack.preview().text
        stack.up()
        stack.up("--expect-no-changes")

        assert stack.query("SELECT current_user::text, count(*) FROM customers") == [("shop", 20)]
        after = _state(server)
        assert [row[:6] + row[7:] for row in after[0]] == [row[:6] + row[7:] for row in before[0]]
        assert after[1:] == before[1:]
