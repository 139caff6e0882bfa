"""Inspects a server and a history: what a stack would adopt, at which revision, with what added."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.database.urls import search_path
from infra.extensions import Extension
from infra.inspect import database as inside
from infra.inspect import proposal
from infra.roles import role_names
from infra.schema import adopt, catalog, live, options, plan
from infra.schema import history as histories
from infra.schema.errors import PlanError
from infra.schema.invocation import Invocation
from infra.schema.model import Catalog
from infra.schema.running.versions import VersionTable
from infra.schema.statements import making
from infra.servers.remote import adminurl, facts
from infra.servers.remote.adoption import Known, refusals
from infra.servers.remote.changes import changes
from infra.servers.remote.facts import Wanted
from infra.settings.key import spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from infra.inspect.database import Login, Table
    from infra.schema.model import History, Live
    from infra.servers.remote.adminurl import AdminUrl
    from infra.servers.remote.facts import Facts

__all__ = ["Inspection", "inspect"]

_SECONDS = 10.0
_LINES = 10
_NOTHING = Catalog(format=catalog.FORMAT, objects={})
_INVOCATION = Invocation()


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What came of it.

    Attributes:
        sections: What was found and what would change, a list of lines by heading.
        keys: The configuration that adopts it, without its namespace.
        refused: Whether a stack with it would not go up as things are.
    """

    sections: dict[str, list[str]]
    keys: dict[str, Any]
    refused: bool


def inspect(
    admin_url: str,
    *,
    database: str,
    migrations: Path,
    seconds: float,
    say: Callable[[str], None],
) -> Inspection:
    """Inspect; nothing is written to the server.

    Args:
        admin_url: Of the administrator.
        database: Its name; empty takes the URL's, or the one that has tables.
        migrations: Folder with Alembic's configuration.
        seconds: How long to look for the revision of a database without a version table.
        say: Told of what takes a while.

    Raises:
        GroundworkError: The URL, the server, the files or the database can't be read.
    """
    admin = adminurl.parse(admin_url)
    seen = _look(admin, Wanted(roles={"owner": ""}, database=admin.database), say)
    chosen = database or ("" if admin.database == "postgres" else admin.database)
    chosen = chosen or inside.choose(admin, seen)
    history = histories.read(migrations, _INVOCATION)
    if _look(admin, _wanted({"database": chosen}), say).database is None:
        raise inside.InspectionError(
            f"The server has no database {chosen!r}, so that there is nothing to adopt. Nothing was"
            " changed. Without it, a stack of the target existing makes one."
        )
    return _Found(admin, seen, chosen, history, migrations).inspect(seconds, say)


class _Found:
    """One database, while it is inspected."""

    def __init__(
        self, admin: AdminUrl, seen: Facts, name: str, history: History, migrations: Path
    ) -> None:
        self._admin = admin
        self._history = history
        self._migrations = migrations
        self._name = name
        self._seen = seen
        self._url = inside.database_url(admin, seen, name)

    def inspect(self, seconds: float, say: Callable[[str], None]) -> Inspection:
        """Ask, choose, compare, and word it."""
        tables = inside.tables(self._url)
        version = proposal.version_table_of(tables, self._history, self._heads(tables))
        schema = version.schema if version else self._usual_schema(tables)
        roles = inside.logins(self._url, schema)
        found = _look(self._admin, _wanted({"database": self._name, "schema": schema}), say)
        assert found.database is not None  # noqa: S101 - it was there a moment ago
        keys = proposal.configuration(
            database=self._name,
            schema=schema,
            found=found.database,
            roles=roles,
            admin=found.user,
        )
        wanted = _wanted(keys)
        found = _look(self._admin, wanted, say)
        reasons = refusals(found, wanted, Known(), adopt=True)
        revision, alike = self._revision(schema, found, seconds, say, keys)
        against = reasons if alike else [*reasons, self._other_migrations()]
        adopted = {f"role {name}" for name in wanted.roles.values()}
        adopted |= {f"database {self._name}", f"schema {schema}"}
        if str(self._migrations) != "migrations":
            keys["migrations"] = str(self._migrations)
        sections = {
            self._heading(found): [
                "Nothing was changed. Put what is below into Pulumi.STACK.yaml, then run",
                '  eval "$(python -m toolchain env --stack STACK)"; pulumi stack init STACK',
                f"  pulumi config set --secret {spelled('adminUrl')} --stack STACK",
                "  make preview STACK=STACK",
            ],
            "Tables": _of_tables(tables),
            "Roles": _of_roles(roles),
            "Extensions": [
                f"{each.name} {each.version} in schema {each.schema}"
                for each in (found.database.installed if found.database else ())
            ]
            or ["none"],
            "Revision": revision,
            "What the first up changes of it": changes(found, wanted, adopted),
            "What stands against it": against or ["nothing"],
        }
        return Inspection(sections=sections, keys=keys, refused=bool(against))

    def _heading(self, seen: Facts) -> str:
        where = f"{adminurl.written(seen.host, seen.port)}/{self._name}"
        rank = "a superuser" if seen.superuser else "no superuser"
        return f"PostgreSQL {seen.version} at {where}, inspected as {seen.user}, {rank}"

    def _usual_schema(self, tables: Sequence[Table]) -> str:
        scripts = (text for each in self._history.revisions for text in each.upgrade.statements)
        made = making.tables(scripts) | set(self._history.models)
        return proposal.schema_of(tables, self._history, frozenset(made))

    def _heads(self, tables: Sequence[Table]) -> dict[str, list[str]]:
        table = self._history.version_table
        named = [each for each in tables if each.name == table and each.versions and each.readable]
        return {
            each.schema: inside.heads(self._url, VersionTable(schema=each.schema, table=table))
            for each in named
        }

    def _revision(
        self,
        schema: str,
        seen: Facts,
        seconds: float,
        say: Callable[[str], None],
        keys: dict[str, Any],
    ) -> tuple[list[str], bool]:
        """Say at which revision the database is, and add the key that adopts it."""
        installed = seen.database.installed if seen.database else ()
        path = list(dict.fromkeys([schema, *(each.schema for each in installed)]))
        url = inside.database_url(self._admin, seen, self._name, search_path(path))
        there = live.read_for(self._history, url)
        if there.versioned:
            return self._of_version_table(there)
        if not any(name.startswith("table ") for name in (there.catalog or _NOTHING).objects):
            return ["no tables: the migrations begin with the first revision"], True
        say("comparing the database with what the revisions make, on a throwaway server")
        alike = adopt.closest(
            self._history, there, folder=self._migrations, invocation=_INVOCATION, seconds=seconds
        )
        return self._of_likeness(alike, there, keys)

    def _other_migrations(self) -> str:
        return (
            f"The revisions of {self._migrations} do not lead to the database: see Revision above."
            " Where others do, name their folder: .venv/bin/python -m toolchain inspect --database"
            f" {shlex.quote(self._name)} --migrations FOLDER"
        )

    def _of_version_table(self, there: Live) -> tuple[list[str], bool]:
        lines = [f"{', '.join(there.heads) or 'base'}, by its version table"]
        try:
            made = plan.make(self._history, there, options.parse({}).policy)
        except PlanError as exc:
            return [*lines, str(exc)], False
        return [*lines, f"{len(made.steps)} revisions of {self._migrations} are pending"], True

    def _of_likeness(
        self, alike: adopt.Likeness, there: Live, keys: dict[str, Any]
    ) -> tuple[list[str], bool]:
        compared = f"{alike.compared} revisions were compared"
        stopped = [alike.stopped] if alike.stopped else []
        if alike.revision and not alike.different:
            keys["adopt"] = alike.revision
            after = plan.make(
                self._history, there, replace(options.parse({}).policy, adopt=alike.revision)
            )
            return [
                (
                    f"{alike.revision}: the database has no version table, and is what it makes"
                    f" ({compared})"
                ),
                f"{len(after.steps)} revisions of {self._migrations} are pending after it",
            ], True
        if not alike.revision:
            return ["none of the revisions could be compared", *stopped], False
        differences = [catalog.worded(each) for each in alike.different[:_LINES]]
        more = len(alike.different) - _LINES
        return [
            (
                f"none: the database has no version table, and is closest to {alike.revision}"
                f" ({compared}). 'added' is what the database has and the revision does not make:"
            ),
            *(f"  {each}" for each in differences),
            *([f"  and {more} more"] if more > 0 else []),
            *stopped,
            (
                "Write a revision with the difference, or bring the database to it; then set"
                f" {spelled('adopt')} to the revision."
            ),
        ], False


def _look(admin: AdminUrl, wanted: Wanted, say: Callable[[str], None]) -> Facts:
    return facts.look(admin, wanted, root=Path.cwd(), seconds=_SECONDS, say=say)


def _wanted(keys: dict[str, Any]) -> Wanted:
    """Give what a stack with these keys would ask for."""
    chosen = {kind: keys[f"{kind}Role"] for kind in ("owner", "app") if f"{kind}Role" in keys}
    names = asdict(role_names(keys["database"], **chosen))
    return Wanted(
        roles={kind: name for kind, name in names.items() if name},
        database=keys["database"],
        schema=keys.get("schema", "app"),
        extensions=tuple(Extension(**each) for each in keys.get("extensions", ())),
    )


def _of_tables(tables: Sequence[Table]) -> list[str]:
    counts: dict[tuple[str, str], int] = {}
    for each in tables:
        place = (each.schema, each.owner)
        counts[place] = counts.get(place, 0) + 1
    return [
        f"{count} of {owner} in schema {schema}" for (schema, owner), count in counts.items()
    ] or ["none"]


def _of_roles(roles: Sequence[Login]) -> list[str]:
    return [
        f"{each.name}: {'logs in' if each.login else 'no login'}"
        f"{', superuser' if each.superuser else ''}"
        f"{', owns the database' if each.owns_database else ''}"
        f", owns {each.owns} tables and writes {each.writes} of the schema"
        for each in roles
    ]
