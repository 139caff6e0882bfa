"""Roles: users and groups of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from groundwork_plugin.differences import same
from groundwork_plugin.errors import PluginError
from groundwork_plugin.properties import Failure, Property, text

from . import scram
from .resource import Named
from .role_settings import read_settings, settings_statements
from .sql import acting_for, identifier, literal, name_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from groundwork_plugin.values import Value, Values

    from .server import Server
    from .session import Session

__all__ = ["Role"]

_FLAGS = {
    "superuser": ("SUPERUSER", "rolsuper"),
    "createDatabase": ("CREATEDB", "rolcreatedb"),
    "createRole": ("CREATEROLE", "rolcreaterole"),
    "inherit": ("INHERIT", "rolinherit"),
    "login": ("LOGIN", "rolcanlogin"),
    "bypassRowLevelSecurity": ("BYPASSRLS", "rolbypassrls"),
    "replication": ("REPLICATION", "rolreplication"),
}

_FOREVER = "infinity"

_READ = """
SELECT rolname::text AS name, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,
       rolreplication, rolbypassrls, rolconnlimit, rolconfig,
       COALESCE(rolvaliduntil::text, 'infinity') AS valid_until,
       ARRAY(SELECT DISTINCT g.rolname::text FROM pg_auth_members m JOIN pg_roles g
             ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1) AS memberships
FROM pg_roles r WHERE rolname = $1
"""


class Role(Named):
    """`postgresql.Role`."""

    token: ClassVar[str] = "postgresql:index/role:Role"  # noqa: S105 - a type, no secret
    noun: ClassVar[str] = "role"
    properties: ClassVar[tuple[Property, ...]] = (
        Property(name="name", problem=name_problem),
        Property(name="assumeRole", problem=name_problem),
        Property(name="bypassRowLevelSecurity", kind="boolean", default=False),
        Property(name="connectionLimit", kind="integer", default=-1, minimum=-1),
        Property(name="createDatabase", kind="boolean", default=False),
        Property(name="createRole", kind="boolean", default=False),
        Property(name="encrypted"),
        Property(name="encryptedPassword", kind="boolean", default=True),
        Property(name="idleInTransactionSessionTimeout", kind="integer", minimum=0),
        Property(name="inherit", kind="boolean", default=True),
        Property(name="login", kind="boolean", default=False),
        Property(name="password", secret=True),
        Property(name="passwordWo", secret=True, write_only=True),
        Property(name="passwordWoVersion"),
        Property(name="replication", kind="boolean", default=False),
        Property(name="roles", kind="set"),
        Property(name="searchPaths", kind="list"),
        Property(name="skipDropRole", kind="boolean", default=False),
        Property(name="skipReassignOwned", kind="boolean", default=False),
        Property(name="statementTimeout", kind="integer", minimum=0),
        Property(name="superuser", kind="boolean", default=False),
        Property(name="validUntil", default=_FOREVER),
    )

    def validate(self, inputs: Values) -> Iterable[Failure]:
        """See `Resource.validate`."""
        yield from super().validate(inputs)
        if inputs.get("encryptedPassword") is False and inputs.get("password"):
            yield Failure("encryptedPassword", "PostgreSQL stores no password in clear since 10")
        if inputs.get("password") and inputs.get("passwordWo"):
            yield Failure("passwordWo", "give either it or `password`")
        if bool(inputs.get("passwordWo")) != bool(inputs.get("passwordWoVersion")):
            yield Failure("passwordWoVersion", "it and `passwordWo` belong together")
        paths = inputs.get("searchPaths")
        if isinstance(paths, list) and any(", " in path for path in paths if isinstance(path, str)):
            yield Failure("searchPaths", "a part contains ', '")

    async def read(self, server: Server, values: Values) -> Values | None:
        """See `Resource.read`."""
        async with server.session() as session:
            row = await session.fetchrow(_READ, text(values, "name"))
            if row is None:
                return None
            found: Values = {
                "name": row["name"],
                "connectionLimit": row["rolconnlimit"],
                "encrypted": values.get("encrypted"),
                "encryptedPassword": True,
                "passwordWoVersion": values.get("passwordWoVersion"),
                "roles": row["memberships"],
                "skipDropRole": values.get("skipDropRole", False),
                "skipReassignOwned": values.get("skipReassignOwned", False),
                "validUntil": await _valid_until(session, row["valid_until"], values),
            }
            for key, (_, column) in _FLAGS.items():
                found[key] = row[column]
            found.update(read_settings(row["rolconfig"] or []))
            found["password"] = await _password(server, session, found, values)
            return found

    async def create(self, server: Server, wanted: Values) -> None:
        """See `Resource.create`."""
        name = text(wanted, "name")

        async def work(session: Session) -> None:
            await _require_superuser(server, session)
            secret = text(wanted, "password") or text(wanted, "passwordWo")
            options = [*_flags(wanted, _FLAGS), _connection_limit(wanted), _validity(wanted)]
            if secret:
                options.append(await _password_clause(session, secret))
            await session.execute(f"CREATE ROLE {identifier(name)} WITH {' '.join(options)}")
            for group in _names(wanted.get("roles")):
                await session.execute(f"GRANT {identifier(group)} TO {identifier(name)}")
            for statement in settings_statements(name, {}, wanted):
                await session.execute(statement)

        await server.transact(work)

    async def update(self, server: Server, state: Values, wanted: Values) -> None:
        """See `Resource.update`."""
        name = text(wanted, "name")

        async def work(session: Session) -> None:
            await _require_superuser(server, session)
            if text(state, "name") != name:
                old = identifier(text(state, "name"))
                await session.execute(f"ALTER ROLE {old} RENAME TO {identifier(name)}")
            options = _changed_options(state, wanted)
            secret = _new_password(state, wanted)
            if secret is not None:
                options.append(await _password_clause(session, secret))
            if options:
                await session.execute(f"ALTER ROLE {identifier(name)} WITH {' '.join(options)}")
            if not same(_property("roles"), state.get("roles"), wanted.get("roles")):
                await _set_memberships(session, name, _names(wanted.get("roles")))
            for statement in settings_statements(name, state, wanted):
                await session.execute(statement)

        await server.transact(work)

    async def delete(self, server: Server, state: Values) -> None:
        """See `Resource.delete`."""
        name = text(state, "name")

        async def work(session: Session) -> None:
            if not state.get("skipReassignOwned"):
                heir = server.configuration.role
                async with acting_for(session, [name]):
                    await session.execute(
                        f"REASSIGN OWNED BY {identifier(name)} TO {identifier(heir)}"
                    )
                    await session.execute(f"DROP OWNED BY {identifier(name)}")
            if not state.get("skipDropRole"):
                await session.execute(f"DROP ROLE {identifier(name)}")

        await server.transact(work)


def _property(name: str) -> Property:
    return next(prop for prop in Role.properties if prop.name == name)


def _names(value: Value) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _flags(wanted: Values, keys: Iterable[str]) -> list[str]:
    return [("" if wanted.get(key) else "NO") + _FLAGS[key][0] for key in keys]


def _connection_limit(wanted: Values) -> str:
    return f"CONNECTION LIMIT {wanted.get('connectionLimit', -1)}"


def _validity(wanted: Values) -> str:
    until = text(wanted, "validUntil")
    if until.lower() in ("", "null", _FOREVER):
        until = _FOREVER
    return f"VALID UNTIL {literal(until)}"


def _changed_options(state: Values, wanted: Values) -> list[str]:
    options = _flags(
        wanted, [key for key in _FLAGS if bool(state.get(key)) != bool(wanted.get(key))]
    )
    if state.get("connectionLimit") != wanted.get("connectionLimit"):
        options.append(_connection_limit(wanted))
    if state.get("validUntil") != wanted.get("validUntil"):
        options.append(_validity(wanted))
    return options


def _new_password(state: Values, wanted: Values) -> str | None:
    """The password to set; empty: remove it; None: leave it."""
    if wanted.get("passwordWo"):
        changed = state.get("passwordWoVersion") != wanted.get("passwordWoVersion")
        return text(wanted, "passwordWo") if changed else None
    # Renaming clears a password that is stored as MD5, which is salted with the name.
    if text(state, "password") != text(wanted, "password") or (
        text(state, "name") != text(wanted, "name") and wanted.get("password")
    ):
        return text(wanted, "password")
    return None


async def _password_clause(session: Session, secret: str) -> str:
    if not secret or secret.upper() == "NULL":
        return "PASSWORD NULL"
    if not scram.is_verifier(secret):
        method = await session.fetchval("SHOW password_encryption")
        if method == "scram-sha-256":
            secret = scram.verifier(secret) or secret
    return f"ENCRYPTED PASSWORD {literal(secret)}"


async def _set_memberships(session: Session, name: str, groups: Iterable[str]) -> None:
    rows = await session.fetch(
        "SELECT DISTINCT g.rolname::text AS name FROM pg_auth_members m"
        " JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles u ON u.oid = m.member"
        " WHERE u.rolname = $1",
        name,
    )
    held, asked = {row["name"] for row in rows}, set(groups)
    for group in sorted(held - asked):
        await session.execute(f"REVOKE {identifier(group)} FROM {identifier(name)}")
    for group in sorted(asked - held):
        await session.execute(f"GRANT {identifier(group)} TO {identifier(name)}")


async def _valid_until(session: Session, actual: str, values: Values) -> str:
    """The program's own wording where it means the moment that the catalog holds."""
    known = text(values, "validUntil")
    if not known or known.lower() in ("null", _FOREVER):
        return known if known and actual == _FOREVER else actual
    meant = await session.fetchval(
        "SELECT $1::text::timestamptz IS NOT DISTINCT FROM $2::text::timestamptz", known, actual
    )
    return known if meant else actual


async def _password(server: Server, session: Session, found: Values, values: Values) -> str | None:
    """The password as the state should hold it.

    A password in clear cannot be read back and stays as it is known. A verifier is compared
    with the catalog, which only a superuser may read.
    """
    known = text(values, "password")
    if not found["login"] or not server.configuration.superuser or values.get("passwordWoVersion"):
        return known or None
    await _require_superuser(server, session)
    stored = await session.fetchval(
        "SELECT rolpassword FROM pg_authid WHERE rolname = $1", found["name"]
    )
    if known and stored and not scram.is_verifier(known):
        return known
    return None if stored is None else str(stored)


async def _require_superuser(server: Server, session: Session) -> None:
    if not server.configuration.superuser:
        return
    if not await session.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        raise PluginError(
            f"{server.configuration.role!r} is not a superuser, so it cannot read password "
            "verifiers from the catalog; nothing was changed; set `superuser` of the postgresql "
            "provider to false"
        )
