"""Whether a declared role owns or reaches the tables that pending revisions make."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from infra.schema.linting import effects, trees
from infra.schema.linting.remark import Remark
from infra.schema.linting.server import Default

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infra.schema.linting.course import Moment
    from infra.schema.linting.pending import Pending, Statement
    from infra.schema.linting.server import Server
    from infra.schema.linting.trees import Name
    from infra.schema.model import Live

__all__ = ["RULES", "look"]

RULES = frozenset({"owner-unknown", "table-out-of-reach"})
_TABLES = frozenset({"CreateForeignTableStmt", "CreateStmt", "CreateTableAsStmt"})
_ALL_ROWS = frozenset({"pg_read_all_data", "pg_write_all_data"})
_EVERYBODY = ""


@dataclass(frozen=True, kw_only=True)
class _Table:
    statement: Statement
    owner: str
    readers: frozenset[str] = frozenset()


def look(
    course: Sequence[tuple[Pending, tuple[Moment, ...]]],
    server: Server,
    live: Live,
    declared: Sequence[str],
) -> Iterator[Remark]:
    """Give the tables that nobody of the stack could use, and owners that the server lacks.

    Args:
        course: The plan, statement by statement.
        server: What it told of roles and default privileges.
        live: Who acts.
        declared: The stack's roles; where there are none, the acting role and those that its
            default privileges are for.
    """
    state = _State(server, live)
    for pending, moments in course:
        state.begin(pending)
        for moment in moments:
            remarks = state.meet(moment)
            if not pending.history:
                yield from remarks
    roles = set(declared) or {live.role, *state.grantees(live.role)}
    for name, table in state.stranded(roles):
        yield Remark.of(
            table.statement,
            "table-out-of-reach",
            f"makes table {trees.written(*name)}, owned by {trees.written(table.owner)}, which no"
            f" declared role owns or may use: {', '.join(map(trees.written, sorted(roles)))}",
            "GRANT what is needed to one of them, or let one of them own it.",
        )


@dataclass(kw_only=True)
class _Roles:
    """Who is a member of what."""

    members: dict[str, set[str]] = field(default_factory=dict)

    def all_of(self, roles: set[str]) -> set[str]:
        """Give roles, and all that they are members of, however far away."""
        found: set[str] = set()
        waiting = list(roles)
        while waiting:
            role = waiting.pop()
            if role not in found:
                found.add(role)
                waiting.extend(self.members.get(role, ()))
        return found


class _State:
    """The tables that the plan has made up to a statement, and who acts."""

    def __init__(self, server: Server, live: Live) -> None:
        self._server = server
        self._login = self._acting = live.role
        self._roles = _Roles(members={role: set(of) for role, of in server.members.items()})
        self._known = set(server.roles)
        self._defaults = list(server.defaults)
        self._tables: dict[Name, _Table] = {}
        self._hidden = ""
        self._old = False

    def begin(self, pending: Pending) -> None:
        """Begin with a revision."""
        self._acting = self._login
        self._old = pending.history
        if pending.unknown:
            self._tables.clear()  # it may have given rights on all of them

    def grantees(self, owner: str) -> set[str]:
        """List whom the default privileges of a role are for."""
        found = {each.grantee for each in self._defaults if each.owner == owner}
        return found - {_EVERYBODY}

    def stranded(self, declared: set[str]) -> Iterator[tuple[Name, _Table]]:
        """Give the tables that none of these roles owns or has a right on."""
        reach = self._roles.all_of(declared)
        if reach & _ALL_ROWS or any(self._server.roles.get(role) for role in reach):
            return
        for name, table in self._tables.items():
            if table.owner not in reach and not table.readers & {*reach, _EVERYBODY}:
                yield name, table

    def meet(self, moment: Moment) -> list[Remark]:
        """Note what a statement does; give what is wrong about its owners."""
        statement = moment.statement
        remarks = []
        for kind, fields in statement.nodes:
            remarks += [
                _unknown(statement, owner)
                for owner in self._owners(kind, fields)
                if owner not in self._known and owner.casefold() not in self._hidden
            ]
            self._act(kind, fields)
            if kind in _TABLES and not self._old:
                self._make(statement, kind, fields, moment.path)
            self._change(kind, fields, moment)
        body = statement.hides.casefold()
        self._hidden += body
        if "grant" in body or "owner" in body:
            self._tables.clear()  # by a loop, often
        return remarks

    def _owners(self, kind: str, fields: Mapping[str, Any]) -> Iterator[str]:
        """Give the roles that are to own something, or to act."""
        if kind in {"AlterOwnerStmt", "CreateSchemaStmt"}:
            spec = fields.get("newowner") or fields.get("authrole")
            yield trees.role(spec, self._acting) or self._acting
        if kind == "AlterTableStmt":
            for _, command in trees.elements(fields.get("cmds")):
                if command.get("subtype") == "AT_ChangeOwner":
                    yield trees.role(command.get("newowner"), self._acting)
        if kind == "VariableSetStmt":
            yield from _acting(kind, fields) or ()

    def _act(self, kind: str, fields: Mapping[str, Any]) -> None:
        acting = _acting(kind, fields)
        if acting is not None:
            self._acting = next(iter(acting), self._login)
        if kind == "CreateRoleStmt":
            self._known.add(str(fields.get("role", "")))
        if kind == "RenameStmt" and fields.get("renameType") == "OBJECT_ROLE":
            self._known.add(str(fields.get("newname", "")))
        if kind == "GrantRoleStmt" and fields.get("is_grant"):
            granted = {
                str(role.get("priv_name"))
                for _, role in trees.elements(fields.get("granted_roles"))
            }
            for _, member in trees.elements(fields.get("grantee_roles")):
                self._roles.members.setdefault(trees.role(member, self._acting), set()).update(
                    granted
                )
        if kind == "AlterDefaultPrivilegesStmt":
            self._defaults += _defaults(fields, self._acting)

    def _make(
        self, statement: Statement, kind: str, fields: Mapping[str, Any], path: Sequence[str]
    ) -> None:
        inner = fields.get("base", fields)
        relation = inner.get("relation") or inner.get("into", {}).get("rel") or {}
        name = trees.relation(relation)
        # A partition is reached through its parent, and a temporary table by nobody else anyway.
        if name is None or "partbound" in inner or relation.get("relpersistence") == "t":
            return
        if kind == "CreateTableAsStmt" and fields.get("objtype") != "OBJECT_TABLE":
            return
        placed = (name[0] or next(iter(path), ""), name[1])
        given = {
            each.grantee
            for each in self._defaults
            if each.owner == self._acting and each.schema in ("", placed[0])
        }
        self._tables.setdefault(
            placed, _Table(statement=statement, owner=self._acting, readers=frozenset(given))
        )

    def _change(self, kind: str, fields: Mapping[str, Any], moment: Moment) -> None:
        if kind == "GrantStmt" and fields.get("is_grant"):
            self._grant(fields, moment.path)
        elif kind == "AlterTableStmt":
            for owner in self._owners(kind, fields):
                for name in moment.about:
                    self._own(name, owner)
        elif kind == "ReassignOwnedStmt":
            new = trees.role(fields.get("newrole"), self._acting)
            old = {
                trees.role(each, self._acting) for _, each in trees.elements(fields.get("roles"))
            }
            for name in [name for name, table in self._tables.items() if table.owner in old]:
                self._own(name, new)
        found = effects.of(kind, fields)
        becomes = dict(found.becomes)
        for old_name in found.gone:
            placed = self._placed(old_name, moment.path)
            table = self._tables.pop(placed, None)
            new_name = becomes.get(old_name)
            if table is not None and new_name is not None:
                self._tables[new_name[0] or placed[0], new_name[1]] = table
        for name in [name for name in self._tables if name[0] in found.schemas_gone]:
            del self._tables[name]

    def _own(self, name: Name, owner: str) -> None:
        if name in self._tables:
            self._tables[name] = replace(self._tables[name], owner=owner)

    def _grant(self, fields: Mapping[str, Any], path: Sequence[str]) -> None:
        grantees = self._named(fields.get("grantees"))
        if fields.get("objtype") != "OBJECT_TABLE":
            return
        if fields.get("targtype") == "ACL_TARGET_ALL_IN_SCHEMA":
            schemas = {text for each in fields.get("objects", ()) for text in trees.strings(each)}
            names = [name for name in self._tables if name[0] in schemas]
        else:
            found = (trees.relation(each) for _, each in trees.elements(fields.get("objects")))
            names = [self._placed(name, path) for name in found if name is not None]
        for name in names:
            table = self._tables.get(name)
            if table is not None:
                self._tables[name] = replace(table, readers=table.readers | grantees)

    def _named(self, specs: Any) -> frozenset[str]:
        return frozenset(trees.role(each, self._acting) for _, each in trees.elements(specs))

    def _placed(self, name: Name, path: Sequence[str]) -> Name:
        if name[0]:
            return name
        there = ((schema, name[1]) for schema in path)
        return next((each for each in there if each in self._tables), name)


def _acting(kind: str, fields: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Give the role that a statement lets act, () for the login; None where it does not."""
    for name in ("role", "session_authorization"):
        found = trees.setting(kind, fields, name)
        if found is not None:
            return tuple(role for role in found if role and role != "none")
    return None


def _defaults(fields: Mapping[str, Any], acting: str) -> Iterator[Default]:
    action = fields.get("action", {})
    if not action.get("is_grant") or action.get("objtype") != "OBJECT_TABLE":
        return
    listed = trees.element(trees.option(fields.get("options"), "roles"))[1].get("items", ())
    owners = [trees.role(each, acting) for _, each in trees.elements(listed)] or [acting]
    schemas = trees.strings(trees.option(fields.get("options"), "schemas")) or ("",)
    for _, grantee in trees.elements(action.get("grantees")):
        for owner in owners:
            for schema in schemas:
                yield Default(owner=owner, schema=schema, grantee=trees.role(grantee, acting))


def _unknown(statement: Statement, owner: str) -> Remark:
    return Remark.of(
        statement,
        "owner-unknown",
        f"names {trees.written(owner)} as an owner, or to act, and the server has no such role",
        "Make the role first: outside of the revisions, as a role belongs to the whole server.",
    )
