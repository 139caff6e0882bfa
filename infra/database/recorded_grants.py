"""What the schema's ledger remembers of a role's privileges on tables, functions and the like."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.schema import catalog, ledger
from infra.schema.catalog import NAME
from infra.schema.statements.sql import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Own", "absorb", "statements"]

_RECORDED = f"SELECT objects::text FROM {ledger.SCHEMA}.catalogs"  # noqa: S608 - a constant
_KINDS = "schema|sequence|function|procedure|aggregate|type|domain"
_GRANT = re.compile(
    rf"grant (?:(?P<kind>{_KINDS}) )?(?P<place>.+) to (?P<role>{NAME})\Z", re.DOTALL
)
_DEFAULT = re.compile(
    rf"default privileges(?: of {NAME})?(?P<place> in {NAME})? on (?P<kind>\w+)s"
    rf" to (?P<role>{NAME})\Z"
)
_CATALOGS = f"""
SELECT version_table, objects::text AS objects,
       to_jsonb(catalogs) ->> 'unaccepted' AS unaccepted,  -- a column that not every ledger has
       parse_ident(version_table) AS place FROM {ledger.SCHEMA}.catalogs WHERE format = $1
"""  # noqa: S608 - a constant
_FORGET = (
    f"UPDATE {ledger.SCHEMA}.catalogs SET unaccepted = unaccepted - $2::text[]"  # noqa: S608 - a constant
    " WHERE version_table = $1"
)
_KEEP = f"UPDATE {ledger.SCHEMA}.catalogs SET objects = $2::jsonb WHERE version_table = $1"  # noqa: S608 - a constant
_ROUTINES = ("function", "procedure", "aggregate")
_WORDS = {"aggregate": "FUNCTION", "domain": "TYPE"}
_OPTION = " WITH GRANT OPTION"
_COLUMN = re.compile(rf"(?P<table>{NAME}\.{NAME})\.(?P<column>{NAME})\Z")


@dataclass(frozen=True, kw_only=True)
class Own:
    """The privileges that the program gives and takes itself.

    Attributes:
        owner: Of what migrations make; it keeps EXECUTE on functions where PUBLIC loses it.
        groups: By group and kind of object ("table", "sequence", "function"), its privileges.
        logins: Members of the groups, which have none of their own.
    """

    owner: str
    groups: Mapping[str, Mapping[str, Sequence[str]]]
    logins: Sequence[str]

    def made(self, name: str, now: str | None) -> bool:
        """Tell whether a privilege is as it is by the program's own doing.

        Args:
            name: Of an object in a catalog.
            now: Its definition; None where there is no such object any more.
        """
        match = _GRANT.match(name) or _DEFAULT.match(name)
        if match is None:
            return False
        role, kind = _plain(match["role"]), match["kind"] or "table"
        if role in self.logins or (role == "PUBLIC" and kind == "schema"):
            return now is None
        if role == self.owner:
            owns = {"schema": "CREATE, USAGE"} if _GRANT.match(name) else {"function": "EXECUTE"}
            return now is not None and owns.get(kind) == now
        kind = "function" if kind in _ROUTINES else kind
        expected = ["USAGE"] if kind == "schema" else self.groups.get(role, {}).get(kind)
        return now is not None and expected is not None and set(now.split(", ")) == set(expected)


async def absorb(connection: Any, own: Own) -> int:
    """Record privileges that the program changed itself, so that they are no drift.

    Args:
        connection: To the database, as a role that may write into the ledger.
        own: What the program does.

    Returns:
        How many were recorded.
    """
    if not await connection.fetchval(ledger.EXISTS):
        return 0
    number = 0
    for row in await connection.fetch(_CATALOGS, catalog.FORMAT):
        schema, table = row["place"]
        found = await catalog.read(connection, version_table=table, version_schema=schema)
        before, now = json.loads(row["objects"]), found.objects
        changed = {
            name: now.get(name)
            for name in before.keys() | now.keys()
            if before.get(name) != now.get(name) and own.made(name, now.get(name))
        }
        if changed:
            after = {name: text for name, text in {**before, **changed}.items() if text}
            objects = json.dumps(after, ensure_ascii=False)
            await connection.execute(_KEEP, row["version_table"], objects)
            number += len(changed)
        # What was noted as drift by a run in between.
        noted = [
            name for name in json.loads(row["unaccepted"] or "{}") if own.made(name, now.get(name))
        ]
        if noted:
            await connection.execute(_FORGET, row["version_table"], noted)
            number += len(set(noted) - set(changed))
    return number


def _plain(name: str) -> str:
    """Take the quotes off a name of SQL."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


async def statements(connection: Any, roles: Sequence[str]) -> list[str]:
    """Write the GRANTs that give roles again what the ledger of a database has of them.

    Args:
        connection: To the database.
        roles: Their names, unquoted.
    """
    if not roles or not await connection.fetchval(ledger.EXISTS):
        return []
    found: list[str] = []
    for row in await connection.fetch(_RECORDED):
        found += _granted(json.loads(row[0]), {identifier(role) for role in roles} | set(roles))
    return found


def _granted(objects: Mapping[str, str], roles: set[str]) -> Iterator[str]:
    for name, privileges in objects.items():
        match = _GRANT.match(name)
        if not match or match["role"] not in roles or privileges == "nothing":
            continue
        kind, place, columns = match["kind"] or "table", match["place"], ""
        if kind == "table" and (column := _COLUMN.match(place)):
            place, columns = column["table"], f" ({column['column']})"
        word = _WORDS.get(kind, kind.upper())
        for privilege in privileges.split(", "):
            plain = privilege.removesuffix(_OPTION)
            option = _OPTION if plain != privilege else ""
            yield f"GRANT {plain}{columns} ON {word} {place} TO {match['role']}{option}"
