"""The schema as a node of the graph: a thin shell over what the node does."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import dynamic

from infra import cancellation, declarations
from infra.dynamic import Provider, known
from infra.errors import GroundworkError
from infra.row import Row
from infra.schema import database_guard, history, node, previewed, refusals, reviewed, view
from infra.schema.errors import HeadsError, HistoryError, StoppedError
from infra.schema.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.schema.model import Live
    from infra.schema.node import Look

__all__ = ["Schema", "SchemaProvider"]

# Given by the program, and kept in the state: `read` and `delete` have nothing else to go by.
_GIVEN = (
    "url",
    "database",
    "migrations",
    "options",
    "stack",
    "urn",
    "binaries",
    "arguments",
    "arguments_secret",
    "variables",
    "variables_secret",
)
_ARGUMENTS_TO_COME = "the arguments of env.py (-x) are not known yet"
_VARIABLES_TO_COME = "the environment variables of env.py are not known yet"
_STOPPED = "The run was asked to stop while the revisions were rendered. Nothing was changed."
_KEPT, _MISSING = "kept", "missing"
_LOST_LEDGER = (
    "the ledger (schema_ledger) was removed: `up` makes it again and records the catalog as it is"
    " now; what it remembered of earlier runs is gone"
)
_TYPE = "pulumi-python:dynamic/groundwork:Schema"


class Schema(dynamic.Resource, module="groundwork", name="Schema"):
    """The schema of a database, where an Alembic directory says it should be.

    Attributes:
        revision: What the database has, after the last look; empty where it has nothing.
        plan: What there was to do, in a line.
        approve: Digest of what would run, for `approved_plan`; empty where nothing would.
        drift: What was changed by hand, by object.
    """

    revision: pulumi.Output[str]
    plan: pulumi.Output[str]
    approve: pulumi.Output[str]
    drift: pulumi.Output[dict[str, str]]

    def __init__(  # noqa: PLR0913 - each says another thing of one node
        self,
        name: str,
        *,
        url: pulumi.Input[str],
        migrations: Path,
        options: Options,
        binaries: str = "",
        database: pulumi.Input[str] = "",
        admin_url: pulumi.Input[str] | None = None,
        x_arguments: pulumi.Input[Sequence[pulumi.Input[str]]] | None = None,
        variables: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare that the database at `url` (secret) is where `migrations` lead it.

        Args:
            name: Of the resource.
            url: libpq URL of the migrator.
            migrations: Folder with Alembic's configuration.
            options: How to act.
            binaries: Folder with PostgreSQL's programs, for a throwaway server where one is
                needed; empty uses the machine's or fetches them.
            database: Tells one database from another, whatever its URL; where it is the same as
                before, a preview looks at it although a password of the URL is still to be made.
            admin_url: An administrator's URL of a database that is there although the migrator is
                still to be made (secret): a preview looks through it, and nothing keeps it.
            x_arguments: What follows each `-x` for env.py; secret where one of them is. None takes
                those of `options`.
            variables: Environment variables for env.py and the revisions; secret where one of them
                is. None takes those of `options`.
            opts: The engine's.
        """
        arguments = _arguments(options, x_arguments)
        environment = _variables(options, variables)
        stack, project = pulumi.get_stack(), pulumi.get_project()
        inputs = {
            "url": url,
            "database": database,
            # Relative, so that the state means the same in every checkout.
            "migrations": os.path.relpath(migrations),
            "options": options.dump(),
            "stack": f"{project}/{stack}",
            "binaries": binaries,
            "arguments": arguments,
            "arguments_secret": arguments.is_secret(),
            "variables": environment,
            "variables_secret": environment.is_secret(),
            # A provider isn't told the URN, and shows its progress under it.
            "urn": f"urn:pulumi:{stack}::{project}::{_TYPE}::{name}",
            "preview": pulumi.runtime.is_dry_run(),
            "admin_url": admin_url if pulumi.runtime.is_dry_run() else None,
            **dict.fromkeys(("revision", "plan", "approve", "drift")),
        }
        super().__init__(SchemaProvider(), name, inputs, opts)


def _arguments(
    options: Options, given: pulumi.Input[Sequence[pulumi.Input[str]]] | None
) -> pulumi.Output[Any]:
    if given is not None:
        return pulumi.Output.from_input(given)
    plain = list(options.x_arguments)
    return pulumi.Output.secret(plain) if options.x_secret else pulumi.Output.from_input(plain)


def _variables(
    options: Options, given: pulumi.Input[Mapping[str, pulumi.Input[str]]] | None
) -> pulumi.Output[Any]:
    if given is not None:
        return pulumi.Output.from_input(given)
    plain = dict(options.variables)
    return (
        pulumi.Output.secret(plain) if options.variables_secret else pulumi.Output.from_input(plain)
    )


class SchemaProvider(Provider):
    """Brings a database to where an Alembic directory leads. The database is the truth."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Put the plan into the inputs, which the engine shows, stores and hands to policies."""
        given: dict[str, Any] = {key: news.get(key) for key in _GIVEN}
        declarations.note(_TYPE, _name(given))
        for name, to_come in (("arguments", _ARGUMENTS_TO_COME), ("variables", _VARIABLES_TO_COME)):
            if not known(given[name]):
                return dynamic.CheckResult({**given, **view.blind(to_come), "ledger": ""}, [])
        place = _borrowed(_place(_reachable(olds, given)), news.get("admin_url"))
        try:
            with Row(given["urn"] or "") as row, history.observed(_observer(row)):
                seen = node.look(place)
            if seen.live is not None and place.cluster:
                # Another target, or another server, than when the schema was last brought up.
                database_guard.refuse_other_cluster(
                    replace(place, cluster=_cluster(olds)), seen.live
                )
        except GroundworkError as exc:
            if news["preview"]:
                reviewed.unplanned(place, str(exc))
            if isinstance(exc, HistoryError | HeadsError):
                return dynamic.CheckResult(given, [dynamic.CheckFailure("migrations", str(exc))])
            raise
        if news["preview"]:
            _preview(given["urn"], place, seen)
        elif seen.plan is not None and previewed.differs(given["urn"], seen.plan):
            raise refusals.moved(seen.plan)
        return dynamic.CheckResult({**given, **_shown(seen)}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Tell of a change where something is to run or was changed by hand, whatever state says.

        `check` has just asked the database. A refresh asks too: what it read against what it had.
        """
        moved = any(olds.get(key) != news.get(key) for key in ("url", "migrations", "drift"))
        moved = moved or _called(olds) != _called(news)
        kept = olds.get("options", {}).get("on_destroy") == news["options"]["on_destroy"]
        to_do = bool(news["approve"] or news["drift"] or news["pending"] or olds.get("pending"))
        blind = news["plan"].startswith(view.BLIND)
        # A stack that has moved on purpose has to know where to.
        other = _cluster(olds) != _cluster(news) and bool(_cluster(olds) and _cluster(news))
        lost = (olds.get("ledger"), news.get("ledger")) == (_KEPT, _MISSING)
        if lost:
            with Row(news["urn"]) as row:
                row.say(_LOST_LEDGER)
        return dynamic.DiffResult(changes=moved or to_do or blind or other or lost or not kept)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Apply the plan; a database that is there already loses nothing."""
        return dynamic.CreateResult("schema", _bring(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Apply the plan."""
        return dynamic.UpdateResult(_bring(news))

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Tell what the database has; without a database there is no schema."""
        given = {key: props.get(key) for key in _GIVEN}
        try:
            seen = node.look(_place(given))
        except GroundworkError as exc:
            return _blind(id_, props, given, str(exc))
        if seen.live is None and not seen.unseen:
            return dynamic.ReadResult("", {})
        if seen.live is None:
            # As where its role is gone with the server: `up` makes both again, after a refresh.
            with Row(props.get("urn") or "") as row:
                row.say(f"the schema could not be looked at: {seen.unseen}", warning=True)
            return _blind(id_, props, given, seen.unseen)
        with Row(props.get("urn") or "") as row:
            node.tell_drift(_place(given), seen, say=row.say)
        inputs = {**given, **_shown(seen)}
        return dynamic.ReadResult(id_, {**inputs, "revision": _worded(seen.live)}, inputs)

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Leave the schema of a database that stays, unless the stack says to downgrade it.

        A replacement never downgrades: the resource that takes its place has the same schema.
        """
        cancellation.listen()
        if declarations.declared(_TYPE, _name(props)):
            return
        with Row(props.get("urn", "")) as row:
            node.leave(_place(props), say=row.say, cancelled=cancellation.requested)


def _blind(id_: str, props: dict[str, Any], given: dict[str, Any], why: str) -> dynamic.ReadResult:
    inputs = {**given, **view.blind(why)}
    return dynamic.ReadResult(id_, {**inputs, "revision": props["revision"]}, inputs)


def _called(props: dict[str, Any]) -> tuple[Any, ...]:
    """Give how Alembic is called; what an earlier version did not know is the default."""
    options = {**Options().dump(), **(props.get("options") or {})}
    named = ["url_variable", "ini_section", "migrations_root", "engine_name", "driver"]
    named.append("migrations_python")
    given = (props.get("arguments") or [], props.get("variables") or {})
    return (*given, *(options[name] for name in named))


def _observer(row: Row) -> history.Observer:
    """Show how far the revisions are rendered, until something else is to be shown."""

    def interrupt() -> None:
        if cancellation.requested():
            raise StoppedError(_STOPPED)

    return history.Observer(report=lambda text: row.say(text, live=True), interrupt=interrupt)


def _reachable(olds: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Go by the former URL while a new password is to come and the database is the same."""
    same = known(given["database"]) and given["database"] == (olds.get("database") or None)
    if known(given["url"]) or not same or not known(olds.get("url")):
        return given
    return {**given, "url": olds["url"]}


def _borrowed(place: node.Place, admin_url: Any) -> node.Place:
    """Look through the administrator's connection while the migrator's is to come."""
    if place.url is not None or not admin_url or not known(admin_url):
        return place
    return replace(place, url=admin_url, borrowed=True)


def _name(props: dict[str, Any]) -> str:
    """Give the resource's name; "" in a state from before the URN was kept."""
    return str(props.get("urn") or "").rpartition("::")[2]


def _place(props: dict[str, Any]) -> node.Place:
    """Say where; a state of an earlier version lacks what came later."""
    options = Options.of(props["options"]) if props.get("options") else Options()
    options = replace(
        options,
        x_arguments=tuple(props.get("arguments") or ()),
        x_secret=bool(props.get("arguments_secret")),
        variables=dict(props.get("variables") or {}),
        variables_secret=bool(props.get("variables_secret")),
    )
    return node.Place(
        folder=Path(props["migrations"]),
        url=props["url"] if known(props["url"]) else None,
        options=options,
        stack=props.get("stack") or "",
        binaries=props.get("binaries") or "",
        cluster=_cluster(props),
    )


def _cluster(props: dict[str, Any]) -> str:
    """Give the cluster that the stack knows; "" where it does not matter, or is still to come."""
    database = props.get("database") or ""
    if not known(database) or (props.get("options") or {}).get("environment") == "preview":
        return ""
    cluster, _, _ = str(database).partition("/")
    return cluster


def _shown(seen: Look) -> dict[str, Any]:
    shown = view.blind(seen.unseen) if seen.plan is None else view.properties(seen.plan)
    return {**shown, "ledger": _ledger(seen.live)}


def _ledger(live: Live | None) -> str:
    """Say whether the catalog of the database's heads is kept in the ledger."""
    if live is None or not live.heads:
        return ""
    return _MISSING if live.recorded is None else _KEPT


def _preview(urn: str, place: node.Place, seen: Look) -> None:
    """Review a plan, and tell of it among the messages: properties are shown only when asked for.

    Raises:
        RehearsalError: A step failed where it was rehearsed.
    """
    if seen.plan is not None:
        previewed.remember(urn, seen.plan, exact=seen.live is not None)
    with Row(urn) as row:
        reviewed.preview(place, seen, say=row.say)


def _worded(live: Live) -> str:
    return ", ".join(live.heads)


def _bring(props: dict[str, Any]) -> dict[str, Any]:
    cancellation.listen()
    with Row(props["urn"]) as row, history.observed(_observer(row)):
        done = node.bring(
            _place(props),
            shown=props["approve"],
            say=row.say,
            cancelled=cancellation.requested,
        )
    given = {key: props.get(key) for key in _GIVEN}
    return {**given, **_shown(done), "revision": _worded(done.live)}
