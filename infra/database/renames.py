"""Refuses other names for the database and the roles that the stack's state has."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

from infra.errors import GroundworkError
from infra.roles import role_names
from infra.servers.stack_state import StackState
from infra.settings.key import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.settings import Settings

__all__ = ["RenameError", "refuse"]


_ROLE = "postgresql:index/role:Role"
_SCHEMA = "postgresql:index/schema:Schema"
_GRANT = "postgresql:index/grant:Grant"
_DATABASE = "postgresql:index/database:Database"


class RenameError(GroundworkError):
    """The configuration names what the stack has under another name."""


def refuse(name: str, settings: Settings) -> None:
    """Compare the configured names with those in the state, before anything is declared.

    Neither PostgreSQL nor the provider renames all that hangs on a name: privileges, default
    privileges, schemas and the extension would be deleted under the former name, which fails once
    the database or the role has another one.

    Args:
        name: Of the component `Database`.
        settings: The stack's.

    Raises:
        RenameError: A name is another one, or the provider can't drop a database of such a name.
    """
    state = StackState.read()
    changes = list(_changes(state, name, settings))
    if not changes:
        _refuse_undroppable(state, name, settings)
        return
    lines = "\n".join(f"  - {said}" for said, _ in changes)
    commands = "\n".join(f"    {command}" for _, command in changes)
    raise RenameError(
        "The configuration gives other names to what this stack has; nothing was changed:\n"
        f"{lines}\nNothing is renamed in place: privileges, settings and the rows' owner go by the"
        f" name. Set the former names again:\n{commands}\nFor other names, make another stack with"
        " them, move the rows (pg_dump, pg_restore), and destroy this one. A further login needs no"
        " other name: CREATE ROLE ... LOGIN IN ROLE a group of this database."
    )


def _changes(state: StackState, name: str, settings: Settings) -> Iterator[tuple[str, str]]:
    """Give what is named otherwise, and the command that sets the former name again."""
    former = _former(state, _DATABASE, f"{name}-database")
    if former and former != settings.database:
        yield (
            f"the database is {former!r}, and {spelled('database')} says {settings.database!r}",
            _set("database", former),
        )
    yield from _changed_schemas(state, name, settings)
    roles = asdict(settings.access.roles)
    by_default = asdict(role_names(settings.database, auditor=bool(settings.access.roles.auditor)))
    defaults = asdict(role_names(former or settings.database, auditor=True))
    for kind, wanted in roles.items():
        before = _former(state, _ROLE, f"{name}-role-{kind}")
        if not wanted or not before or before == wanted:
            continue
        if former != settings.database and (before, wanted) == (defaults[kind], by_default[kind]):
            continue  # it goes by the name of the database, which is told already
        key = f"{kind}Role"
        command = _set(key, before)
        if before == defaults[kind]:
            command = f"pulumi config rm {spelled(key)}"
        yield f"the {kind} is {before!r}, and {spelled(key)} would make it {wanted!r}", command


def _changed_schemas(state: StackState, name: str, settings: Settings) -> Iterator[tuple[str, str]]:
    of_extensions = [settings.extension_schema, *(each.schema for each in settings.extensions)]
    for kind, key, wanted in (
        ("app", "schema", [settings.app_schema]),
        ("ext", "extensionSchema", of_extensions),
    ):
        former = _former(state, _SCHEMA, f"{name}-schema-{kind}")
        if kind == "app":
            # `public` and an adopted schema are no resources; what PUBLIC may do there is one.
            grant = state.outputs(_GRANT, f"{name}-grant-public-usage")
            former = former or str(grant.get("schema") or "")
        if former and former not in wanted:
            said = f"the schema is {former!r}, and {spelled(key)} says {wanted[0]!r}"
            yield said, _set(key, former)


def _refuse_undroppable(state: StackState, name: str, settings: Settings) -> None:
    """Refuse a new database whose name the provider writes unquoted as it drops it."""
    if "'" in settings.database and not _former(state, _DATABASE, f"{name}-database"):
        other = _set("database", settings.database.replace("'", "_"))
        raise RenameError(
            f"The database's name {settings.database!r} has a ', and the provider postgresql can't"
            " drop a database of such a name: it would stay, closed to connections. Nothing was"
            f" changed. Choose another name: {other}"
        )


def _former(state: StackState, kind: str, name: str) -> str:
    return str(state.outputs(kind, name).get("name") or "")


def _set(key: str, value: str) -> str:
    return f"pulumi config set {spelled(key)} {shlex.quote(value)}"
