"""What a script takes away: named as SQL names it, and counted where it is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from infra.schema.statements import losses

if TYPE_CHECKING:
    from tests.conftest import PostgresServer


@pytest.mark.parametrize(
    ("sql", "texts"),
    [
        ("DROP TABLE a", ["table a"]),
        ('drop table if exists app.a, "Odd; name" CASCADE', ["table app.a", 'table "Odd; name"']),
        ("TRUNCATE TABLE ONLY a, b RESTART IDENTITY", ["table a", "table b"]),
        ("DROP MATERIALIZED VIEW m", ["table m"]),
        ("ALTER TABLE a DROP COLUMN b", ["column a.b"]),
        ("ALTER TABLE IF EXISTS ONLY s.a DROP b, DROP IF EXISTS c", ["column s.a.b"]),
        ("ALTER TABLE a DROP CONSTRAINT b, ALTER c DROP NOT NULL, ADD d int", []),
        ("DROP INDEX a; DROP VIEW b; SELECT 'DROP TABLE c'", []),
        ("CREATE TABLE a (b int); DROP TABLE c; -- DROP TABLE d", ["table c"]),
        ("SELECT 'never ends", []),
    ],
)
def test_what_goes_is_named(sql: str, texts: list[str]) -> None:
    """Tables, columns, whatever way they are written; nothing else."""
    found = [loss.text for loss in losses.named([sql])]

    assert found[: len(texts)] == texts
    assert bool(found) == bool(texts)


@pytest.mark.parametrize(
    ("up", "down", "lost"),
    [
        ("ALTER TABLE a ADD COLUMN b int", "ALTER TABLE a DROP COLUMN b", []),
        ("ALTER TABLE s.a ADD b int DEFAULT 7, ADD c text", "ALTER TABLE a DROP b, DROP c", []),
        ('CREATE TABLE "Odd" (id int)', 'DROP TABLE "Odd"', []),
        ("CREATE TABLE a (id int)", "ALTER TABLE a DROP id; DROP TABLE a", []),
        ("ALTER TABLE a ADD b int", "ALTER TABLE a DROP c", ["column a.c"]),
        ("ALTER TABLE a ADD b int", "DROP TABLE a", ["table a"]),
        ("ALTER TABLE x.a ADD b int", "ALTER TABLE y.a DROP b", ["column y.a.b"]),
        ("ALTER TABLE a ADD b int; UPDATE a SET b = c", "ALTER TABLE a DROP b", ["column a.b"]),
        ("ALTER TABLE a ADD IF NOT EXISTS b int", "ALTER TABLE a DROP b", ["column a.b"]),
        ("CREATE TABLE IF NOT EXISTS a (id int)", "DROP TABLE a", ["table a"]),
        ("CREATE TABLE a AS SELECT 1", "DROP TABLE a", ["table a"]),
        ("CREATE TABLE a (id int); INSERT INTO a VALUES (1)", "DROP TABLE a", ["table a"]),
        ("ALTER TABLE a ADD CONSTRAINT b CHECK (c > 0)", "ALTER TABLE a DROP b", ["column a.b"]),
    ],
)
def test_what_was_made_empty_is_not_lost(up: str, down: str, lost: list[str]) -> None:
    """Taking back a column or a table that nothing has filled takes no data away."""
    made = losses.made_empty([up])

    assert [each.text for each in losses.named([down]) if not losses.kept_by(each, made)] == lost


def test_what_is_there_is_counted(postgres_server: PostgresServer) -> None:
    """Rows of a table, values of a column; what isn't there is left out."""

    async def count(sql: str) -> list[str]:
        connection = await asyncpg.connect(
            host=postgres_server.host,
            port=postgres_server.port,
            user=postgres_server.user,
            password=postgres_server.password,
            database="postgres",
        )
        try:
            await connection.execute(
                'CREATE TEMP TABLE "Odd; name" (a int, "b c" int);'
                'INSERT INTO "Odd; name" VALUES (1, NULL), (2, 3), (3, NULL)'
            )
            return [loss.text for loss in await losses.counted(connection, losses.named([sql]))]
        finally:
            await connection.close()

    counted = asyncio.run(
        count(
            'DROP TABLE "Odd; name", absent; ALTER TABLE "Odd; name" DROP "b c", DROP nowhere;'
            "DROP TABLE pg_catalog.pg_views"
        )
    )

    assert counted == ['table "Odd; name" with 3 rows', 'column "Odd; name"."b c" with 1 row']
