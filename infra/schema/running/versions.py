"""Alembic's version table: read, compared and moved exactly as Alembic would."""

from __future__ import annotations

from dataclasses import dataclass

from infra.schema.statements.sql import array, identifier, literal, quoted_block

__all__ = ["MOVED", "WIDTH", "VersionTable"]

# ruff: noqa: S608 - a script takes no parameters: every name and value here is quoted

MOVED = "GWMV1"
"""SQLSTATE of the error that a script raises when the rows are not those that it expects."""

WIDTH = 32
"""Characters of a revision id that Alembic's own version table holds."""


@dataclass(frozen=True, kw_only=True)
class VersionTable:
    """Where it is.

    Attributes:
        schema: Name of its schema, bare.
        table: Its name, bare.
        columns: What CREATE TABLE has in its parentheses where env.py's implementation says so;
            empty for Alembic's own.
    """

    schema: str
    table: str
    columns: str = ""

    @property
    def name(self) -> str:
        """Both, quoted."""
        return f"{identifier(self.schema)}.{identifier(self.table)}"

    @property
    def width(self) -> str:
        """SQL that asks how many characters an id may have: no row without table, 0 for any."""
        return (
            "SELECT greatest(atttypmod - 4, 0) FROM pg_catalog.pg_attribute"
            f" WHERE attrelid = pg_catalog.to_regclass({literal(self.name)})"
            " AND attname = 'version_num' AND NOT attisdropped"
        )

    @property
    def rows(self) -> str:
        """SQL that reads them as one array, sorted."""
        return (
            'SELECT ARRAY(SELECT version_num::pg_catalog.text COLLATE pg_catalog."C"'
            f" FROM {self.name} ORDER BY 1)"
        )

    @property
    def create(self) -> list[str]:
        """SQL that makes it where it is missing, as Alembic or env.py's implementation would.

        Default privileges may let others write to every new table; to this one its owner alone.
        """
        body = (
            "DECLARE\n    other pg_catalog.text;\n"
            "BEGIN\n    FOR other IN SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC'\n"
            "        ELSE a.grantee::pg_catalog.regrole::pg_catalog.text END\n"
            "        FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a\n"
            f"        WHERE c.oid = {literal(self.name)}::pg_catalog.regclass"
            " AND a.grantee <> c.relowner\n"
            "    LOOP\n"
            "        EXECUTE 'REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON '\n"
            f"            || {literal(self.name)} || ' FROM ' || other;\n"
            "    END LOOP;\nEND"
        )
        columns = self.columns or (
            f"version_num varchar({WIDTH}) NOT NULL,\n"
            f"    CONSTRAINT {identifier(f'{self.table}_pkc')} PRIMARY KEY (version_num)"
        )
        table = f"CREATE TABLE IF NOT EXISTS {self.name} (\n    {columns}\n)"
        return [table, f"DO {quoted_block(body)}"]

    def compare(self, heads: tuple[str, ...]) -> list[str]:
        """Write SQL that holds the table until the transaction ends, and fails if it is not so.

        The lock keeps a plain `alembic upgrade` from moving the rows meanwhile, and hinders no
        reader.

        Args:
            heads: The rows that must be there.
        """
        body = (
            "DECLARE\n    found pg_catalog.text[];\n"
            f"BEGIN\n    found := ({self.rows});\n"
            f"    IF found OPERATOR(pg_catalog.<>) {array(sorted(heads))} THEN\n"
            "        RAISE EXCEPTION USING MESSAGE = 'the version table has moved',"
            f" ERRCODE = {literal(MOVED)};\n"
            "    END IF;\nEND"
        )
        return [
            f"LOCK TABLE {self.name} IN SHARE ROW EXCLUSIVE MODE",
            f"DO {quoted_block(body)}",
        ]

    def move(self, before: tuple[str, ...], after: tuple[str, ...]) -> list[str]:
        """Write SQL that turns the rows `before` into the rows `after`."""
        gone = sorted(set(before) - set(after))
        new = sorted(set(after) - set(before))
        moved = list(zip(gone, new, strict=False))
        return [
            *(
                f"UPDATE {self.name} SET version_num = {literal(to)}"
                f" WHERE version_num = {literal(from_)}"
                for from_, to in moved
            ),
            *(
                f"DELETE FROM {self.name} WHERE version_num = {literal(id_)}"
                for id_ in gone[len(moved) :]
            ),
            *(
                f"INSERT INTO {self.name} (version_num) VALUES ({literal(id_)})"
                for id_ in new[len(moved) :]
            ),
        ]
