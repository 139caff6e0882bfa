"""Databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from groundwork_plugin.properties import Property, text

from .resource import Named
from .sql import acting_for, identifier, literal, name_problem

if TYPE_CHECKING:
    from groundwork_plugin.values import Value, Values

    from .server import Server
    from .session import Session

__all__ = ["Database"]

_DEFAULT = "DEFAULT"
_TEMPLATE = "template0"

_READ = """
SELECT d.datname::text AS name, pg_get_userbyid(d.datdba)::text AS owner,
       pg_encoding_to_char(d.encoding)::text AS encoding, d.datcollate::text AS "lcCollate",
       d.datctype::text AS "lcCtype", t.spcname::text AS "tablespaceName",
       d.datconnlimit AS "connectionLimit", d.datallowconn AS "allowConnections",
       d.datistemplate AS "isTemplate"
FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = $1
"""


class Database(Named):
    """`postgresql.Database`."""

    token: ClassVar[str] = "postgresql:index/database:Database"  # noqa: S105 - a type, no secret
    noun: ClassVar[str] = "database"
    properties: ClassVar[tuple[Property, ...]] = (
        Property(name="name", problem=name_problem),
        Property(name="allowConnections", kind="boolean", default=True),
        Property(name="alterObjectOwnership", kind="boolean", default=False),
        Property(name="connectionLimit", kind="integer", default=-1, minimum=-1),
        Property(name="encoding", computed=True, replaces=True),
        Property(name="isTemplate", kind="boolean", computed=True),
        Property(name="lcCollate", computed=True, replaces=True),
        Property(name="lcCtype", computed=True, replaces=True),
        Property(name="owner", computed=True, problem=name_problem),
        Property(name="tablespaceName", computed=True, problem=name_problem),
        Property(name="template", computed=True, replaces=True, problem=name_problem),
    )

    async def read(self, server: Server, values: Values) -> Values | None:
        """See `Resource.read`."""
        async with server.session() as session:
            row = await session.fetchrow(_READ, text(values, "name"))
        if row is None:
            return None
        found: Values = dict(row.items())
        for key in ("owner", "encoding", "lcCollate", "lcCtype", "tablespaceName"):
            if _is_default(values.get(key)):
                found[key] = values[key]
        # The catalog does not remember the template.
        found["template"] = text(values, "template") or _TEMPLATE
        found["alterObjectOwnership"] = values.get("alterObjectOwnership", False)
        return found

    async def create(self, server: Server, wanted: Values) -> None:
        """See `Resource.create`."""
        owner = _owner(server, wanted)
        statement = f"CREATE DATABASE {identifier(text(wanted, 'name'))} {_options(owner, wanted)}"
        async with server.writing() as session, acting_for(session, [owner]):
            await session.execute(statement)

    async def update(self, server: Server, state: Values, wanted: Values) -> None:
        """See `Resource.update`."""
        old, name = text(state, "name"), text(wanted, "name")
        if wanted.get("tablespaceName") and state.get("tablespaceName") != wanted["tablespaceName"]:
            # Moving the files is the one change that no transaction may contain.
            async with server.writing() as session:
                await _move(session, old, text(wanted, "tablespaceName"))
        owner, previous = _owner(server, wanted), text(state, "owner")
        transfer = bool(text(wanted, "owner")) and owner != previous
        if transfer and wanted.get("alterObjectOwnership") and previous:
            await _reassign(server, old, previous=previous, owner=owner)

        async def work(session: Session) -> None:
            if old != name:
                await session.execute(
                    f"ALTER DATABASE {identifier(old)} RENAME TO {identifier(name)}"
                )
            if transfer:
                async with acting_for(session, [previous, owner]):
                    await session.execute(
                        f"ALTER DATABASE {identifier(name)} OWNER TO {identifier(owner)}"
                    )
            for clause in _changed_options(state, wanted):
                await session.execute(f"ALTER DATABASE {identifier(name)} WITH {clause}")

        await server.transact(work)

    async def delete(self, server: Server, state: Values) -> None:
        """See `Resource.delete`."""
        name = text(state, "name")
        async with server.writing() as session:
            row = await session.fetchrow(
                "SELECT datistemplate, pg_get_userbyid(datdba)::text AS owner FROM pg_database"
                " WHERE datname = $1",
                name,
            )
            async with acting_for(session, [row["owner"]] if row else []):
                if row and row["datistemplate"]:
                    await session.execute(f"ALTER DATABASE {identifier(name)} IS_TEMPLATE false")
                await session.execute(f"ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS false")
                # The genuine plugin writes the name as it stands, and fails where it has a '.
                await session.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"  # noqa: S608 - as said
                    f" WHERE datname = '{name}' AND pid <> pg_backend_pid()"
                )
                await session.execute(f"DROP DATABASE {identifier(name)} WITH (FORCE)")


def _is_default(value: Value) -> bool:
    return isinstance(value, str) and value.upper() == _DEFAULT


def _owner(server: Server, wanted: Values) -> str:
    owner = text(wanted, "owner")
    return server.configuration.role if not owner or _is_default(owner) else owner


def _options(owner: str, wanted: Values) -> str:
    template = text(wanted, "template") or _TEMPLATE
    parts = [f"OWNER {identifier(owner)}"]
    parts.append(f"TEMPLATE {_DEFAULT if _is_default(template) else identifier(template)}")
    encoding = text(wanted, "encoding") or "UTF8"
    parts.append(f"ENCODING {_DEFAULT if _is_default(encoding) else literal(encoding)}")
    for key, word in (("lcCollate", "LC_COLLATE"), ("lcCtype", "LC_CTYPE")):
        locale = text(wanted, key)
        if locale and not _is_default(locale):
            parts.append(f"{word} {literal(locale)}")
    tablespace = text(wanted, "tablespaceName")
    if tablespace and not _is_default(tablespace):
        parts.append(f"TABLESPACE {identifier(tablespace)}")
    parts.append(f"ALLOW_CONNECTIONS {_truth(wanted.get('allowConnections', True))}")
    parts.append(f"CONNECTION LIMIT {wanted.get('connectionLimit', -1)}")
    parts.append(f"IS_TEMPLATE {_truth(wanted.get('isTemplate'))}")
    return " ".join(parts)


def _changed_options(state: Values, wanted: Values) -> list[str]:
    clauses = []
    if state.get("connectionLimit") != wanted.get("connectionLimit"):
        clauses.append(f"CONNECTION LIMIT {wanted.get('connectionLimit', -1)}")
    if state.get("allowConnections") != wanted.get("allowConnections"):
        clauses.append(f"ALLOW_CONNECTIONS {_truth(wanted.get('allowConnections'))}")
    is_template = wanted.get("isTemplate")
    if is_template is not None and state.get("isTemplate") != is_template:
        clauses.append(f"IS_TEMPLATE {_truth(is_template)}")
    return clauses


def _truth(value: Value) -> str:
    return "true" if value else "false"


async def _move(session: Session, database: str, tablespace: str) -> None:
    target = "pg_default" if _is_default(tablespace) else tablespace
    await session.execute(
        f"ALTER DATABASE {identifier(database)} SET TABLESPACE {identifier(target)}"
    )


async def _reassign(server: Server, database: str, *, previous: str, owner: str) -> None:
    """Hands over what the previous owner has inside the database, from a session there."""

    async def work(session: Session) -> None:
        async with acting_for(session, [previous, owner]):
            await session.execute(
                f"REASSIGN OWNED BY {identifier(previous)} TO {identifier(owner)}"
            )

    await server.transact(work, database=database)
