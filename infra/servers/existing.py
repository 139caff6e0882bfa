"""A PostgreSQL that is there already, by its admin's URL: a managed service, an operator's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import dynamic
from pulumi.runtime.sync_await import _sync_await

from infra.database.urls import TLS, search_path, url
from infra.dynamic import Provider
from infra.errors import GroundworkError
from infra.identity import NO_LEDGER, Identity, refuse_other
from infra.project import spelled
from infra.schema import history, live, misplaced
from infra.schema.errors import HistoryError, LiveError
from infra.servers import Endpoint, Found
from infra.servers.probe import ProbeError, RefusedError
from infra.servers.remote import adminurl, changes, facts
from infra.servers.remote.adoption import Known, refusals, renamed
from infra.servers.remote.facts import Facts, Wanted
from infra.settings.key import LOGINS
from toolchain.visible_text import visible

if TYPE_CHECKING:
    from infra.servers.remote.adminurl import AdminUrl
    from infra.settings import Settings

__all__ = ["ExistingProvider", "ExistingServer", "provision"]

_PREVIEW_SECONDS = 5.0
_READ_SECONDS = 10.0
# What the stack remembers of the server; the first four lead `read` to it.
_GIVEN = ("url", "sslmode", "roles", "database")
_SEEN = ("host", "port", "user", "cluster", "version", "superuser")
_KEPT = (*_GIVEN, *_SEEN, "adopted", "untouched", "confirmed")


def provision(settings: Settings) -> Endpoint:
    """Declare the server behind `settings.admin_url`, after a look at it.

    The look comes while the graph is declared, since the graph depends on it: whether the admin is
    a superuser, which roles and database are to be imported, and where the extension is, have to
    be plain values, and an output of a resource is none. A preview goes on without a server that
    doesn't answer; otherwise nothing is declared before it does.

    Raises:
        AdminUrlError: The URL can't be used.
        ProbeError: No server took writes in time, or it refused.
        MisplacedError: The tables of the migrations are in another schema.
    """
    admin = adminurl.parse(settings.admin_url, sslmode=settings.sslmode)
    wanted = _wanted(settings)
    seen = _look(admin, wanted, settings.wait_seconds)
    if seen is not None:
        with ThreadPoolExecutor(1) as aside:  # as for the look
            aside.submit(_refuse_misplaced, admin, seen, settings).result()
    server = ExistingServer("server", settings=settings, wanted=wanted, seen=seen)
    return Endpoint(
        host=server.host,
        port=server.port,
        addresses=pulumi.Output.from_input(admin.addresses),
        user=pulumi.Output.from_input(admin.user),
        password=pulumi.Output.secret(admin.password),
        sslmode=admin.sslmode,
        sslrootcert=admin.sslrootcert,
        sslcert=admin.sslcert,
        sslkey=admin.sslkey,
        session_attrs=admin.session_attrs,
        maintenance=admin.database,
        superuser=seen is not None and seen.superuser,
        cluster=server.cluster,
        version=server.version,
        major=seen.major if seen else Endpoint.major,
        server=server,
        programs=pulumi.Output.from_input(""),
        owned=False,
        found=_found(seen, wanted, _untouched(server) if seen else frozenset()),
    )


def _adopts(settings: Settings) -> bool:
    return settings.existing_objects == "adopt"


def _wanted(settings: Settings) -> Wanted:
    names, access = asdict(settings.access.roles), settings.access
    everybody = access.password_version > 1
    return Wanted(
        roles={kind: name for kind, name in names.items() if name},
        database=settings.database,
        schema=settings.app_schema,
        extension_schema=settings.extension_schema,
        extensions=settings.extensions,
        passwords=tuple(kind for kind in LOGINS if everybody or kind in access.passwords),
    )


def _look(admin: AdminUrl, wanted: Wanted, seconds: float) -> Facts | None:
    """Ask the server; None in a preview where it doesn't answer."""
    preview = pulumi.runtime.is_dry_run()
    patience = min(seconds, _PREVIEW_SECONDS) if preview else seconds
    say = _ignore if preview else _say
    with ThreadPoolExecutor(1) as aside:  # the program itself runs inside an event loop
        asked = aside.submit(facts.look, admin, wanted, root=Path.cwd(), seconds=patience, say=say)
        try:
            return asked.result()
        except RefusedError:
            raise
        except ProbeError as exc:
            if not preview:
                raise
            text = (
                f"{exc} This preview can't say what is there already, and `up` will fail unless"
                " the server answers by then."
            )
            pulumi.log.warn(visible(text))
    return None


def _refuse_misplaced(admin: AdminUrl, seen: Facts, settings: Settings) -> None:
    """Refuse a schema beside the one with the tables, before there is anything of the stack's.

    Whatever else keeps the files or the database from being read, the schema node tells.
    """
    inside = seen.database
    if inside is None or inside.refused or inside.versioned:
        return
    text = url(
        user=admin.user,
        password=admin.password,
        addresses=adminurl.written(seen.host, seen.port),
        database=settings.database,
        options={name: getattr(admin, name) for name in TLS} | search_path([settings.app_schema]),
    )
    with suppress(HistoryError, LiveError):
        files = history.read(settings.migrations, settings.schema.invocation)
        misplaced.refuse(
            files, live.read_for(files, text, catalog=False), text, schema=settings.app_schema
        )


def _say(text: str) -> None:
    print(visible(text), flush=True)  # noqa: T201 - the engine shows it, while its log waits for the program


def _ignore(text: str) -> None:
    """Say nothing of a wait that is short."""
    del text


def _untouched(server: ExistingServer) -> frozenset[str]:
    """Wait for what the stack leaves as it is: that is in its state, and decides the graph."""
    # As a call of a function of a provider waits: the SDK has no public way to do so.
    known = _sync_await(server.untouched.future())
    return frozenset(known or ())


def _found(seen: Facts | None, wanted: Wanted, untouched: frozenset[str]) -> Found:
    """Say what is to be imported: all that is there.

    What isn't the stack's ends the run in `ExistingProvider.check`, before anything is imported.
    What is, and is in the state, is left alone; where a run was killed before the state had it,
    the next one gets it back.
    """
    if seen is None:
        return Found()
    roles = frozenset(role.name for role in seen.roles)
    logins = frozenset(role.name for role in seen.roles if role.login)
    inside = seen.database
    if inside is None:
        return Found(roles=roles, adopted=untouched, logins=logins)
    whole = f"database {wanted.database}" in untouched
    public = {"": inside.public} | {each.name: each.public for each in inside.places}
    return Found(
        roles=roles,
        database=True,
        extensions={each.name: each.schema for each in inside.installed},
        adopted=untouched,
        owners=changes.owners(seen, wanted) if whole else (),
        creates=whole and changes.held_by_others(seen, wanted),
        logins=logins,
        public=public if whole else {},
        settings=inside.settings,
    )


class ExistingServer(dynamic.Resource, module="groundwork", name="ExistingServer"):
    """A server that is used, and neither made nor taken away.

    Attributes:
        host: Where it takes writes now.
        port: The port there.
        user: The admin, as the server knows it.
        cluster: System identifier of the cluster; "" where the admin may not ask for it.
        version: The server's version.
        superuser: Whether the admin is one.
        adopted: What the stack took over, and must not drop: "role NAME", "database NAME".
        untouched: What of that is as it was then, but for what the stack added; also "schema
            NAME". What an earlier version took over, it brought into the shape of its own.
    """

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    user: pulumi.Output[str]
    cluster: pulumi.Output[str]
    version: pulumi.Output[str]
    superuser: pulumi.Output[bool]
    adopted: pulumi.Output[list[str]]
    untouched: pulumi.Output[list[str]]

    def __init__(
        self,
        name: str,
        *,
        settings: Settings,
        wanted: Wanted,
        seen: Facts | None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare it by what was seen of it; None where it doesn't answer, in a preview."""
        inputs: dict[str, Any] = {
            **dict.fromkeys((*_SEEN, "adopted", "untouched")),
            "url": pulumi.Output.secret(settings.admin_url),
            "sslmode": settings.sslmode,
            "roles": dict(wanted.roles),
            "database": wanted.database,
            "adopt": _adopts(settings),
            "environment": settings.environment,
            "moved_to": settings.moved_to,
            "wanted": wanted.dump(),
            "seen": seen.dump() if seen else None,
        }
        own = pulumi.ResourceOptions(protect=settings.protect or None)
        super().__init__(ExistingProvider(), name, inputs, pulumi.ResourceOptions.merge(own, opts))


class ExistingProvider(Provider):
    """Guards what an existing server has already, and remembers what of it is the stack's."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Refuse what is somebody else's, and tell where the server is: known in a preview."""
        given = {key: news[key] for key in _GIVEN}
        if not news.get("seen"):  # a preview; the program doesn't come here otherwise
            return dynamic.CheckResult(given, [])
        seen = Facts.of(news["seen"])
        wanted = Wanted.of(news["wanted"])
        adopt = bool(news["adopt"])
        meant = _is_meant(seen, wanted, olds, news)
        _refuse_renames(_remembered_names(olds), wanted, given)
        stack = _of_the_stack(seen, olds, meant=meant)
        _refuse_incomplete(seen, olds, meant=meant)
        _refuse(seen, wanted, stack, adopt=adopt)
        adopted = _adopted(seen, wanted, stack)
        if adopted and not adopt:
            raise GroundworkError(
                f"The stack took over what it didn't make: {', '.join(adopted)}. Without"
                f" {spelled('existingObjects')} adopt it would be dropped at destroy. Nothing was"
                " changed. Set that again."
            )
        untouched = _left_untouched(seen, wanted, stack)
        _tell(seen, wanted, new=set(untouched) - set(stack.get("untouched") or ()))
        found = {**given, **_outputs(seen), "adopted": adopted, "untouched": untouched}
        return dynamic.CheckResult({**found, "confirmed": _confirm(found, seen, olds)}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Report a change where anything is new; nothing is ever replaced."""
        places = [f"{props.get('host')}:{_number(props.get('port'))}" for props in (olds, news)]
        if news.get("host") and places[0] != places[1]:
            print(visible(f"the server that takes writes is {places[1]} now, and was {places[0]}"))  # noqa: T201 - the engine shows it
        # A state of an earlier version lacks what came later, where there is nothing to say.
        same = all((olds.get(key) or None) == (news.get(key) or None) for key in _KEPT)
        return dynamic.DiffResult(changes=not same)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Remember it."""
        return dynamic.CreateResult("server", _remembered(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Remember what is new."""
        return dynamic.UpdateResult(_remembered(news))

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Look again, by the URL that the state knows.

        On another cluster than before nothing is known to be the stack's. Which one that was stays
        known: only an `up` confirms another.
        """
        try:
            seen = _look_again(props, _remembered_names(props))
        except RefusedError as exc:
            msg = (
                f"{exc} This is by the URL of the last `up`: where it was changed, run `up` first."
            )
            raise ProbeError(msg) from exc
        found = {**_remembered(props), **_outputs(seen), "confirmed": _confirmed(props)}
        if _moved(seen, _of_the_stack(seen, props, meant=False)):
            found |= {"roles": {}, "database": "", "adopted": [], "untouched": []}
        return dynamic.ReadResult(id_, found, found)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Leave it as it is: it was there before."""


def _refuse_renames(before: Wanted, wanted: Wanted, given: dict[str, Any]) -> None:
    """Refuse other names for what is on the server under those of an earlier run.

    It is imported by its name, and the engine would take another name for another object. What
    an earlier run never came to make may be named anew.
    """
    changed = renamed(before, wanted)
    if not (changed.roles or changed.database):
        return
    there = _look_again(given, changed)
    found = [f"the role {role.name!r}" for role in there.roles]
    found += [f"the database {changed.database!r}"] if there.database else []
    if found:
        raise GroundworkError(
            f"On an existing server nothing is renamed, and this stack has {', '.join(found)} on"
            f" {_place(there)}. Nothing was changed. Set the former names again; other names take"
            " a stack of their own."
        )


def _is_meant(seen: Facts, wanted: Wanted, olds: dict[str, Any], news: dict[str, Any]) -> bool:
    """Tell whether the stack says that another cluster than it knows is its own from now on.

    Raises:
        WrongDatabaseError: It does not, and the database there holds something.
    """
    before = _confirmed(olds)
    known = Identity(cluster=before["cluster"], database=before["database"], place=before["place"])
    found = Identity(cluster=_told_by(seen), database=wanted.database, place=_place(seen))
    holds = seen.database.holds if seen.database else ""
    if news.get("environment") != "preview":
        moved_to = news.get("moved_to") or ""
        refuse_other(known, found, holds=holds, kept="Nothing was changed.", moved_to=moved_to)
    return known.differs(found) and news.get("moved_to") == found.key


def _told_by(seen: Facts) -> str:
    """Give what tells the database from others: its cluster, or its ledger where that is closed."""
    return seen.cluster or (seen.database.ledger if seen.database else NO_LEDGER)


def _confirmed(props: dict[str, Any]) -> dict[str, Any]:
    """Give what the last `up` knew of the server; a state of an earlier version says it itself."""
    if props.get("confirmed"):
        return dict(props["confirmed"])
    port = _number(props.get("port"))
    return {
        "cluster": props.get("cluster") or "",
        "database": props.get("database") or "",
        "place": adminurl.written(props["host"], port) if props.get("host") and port else "",
        "roles": props.get("roles") or {},
        "adopted": props.get("adopted") or [],
        # Only where there is any: a state of an earlier version has none.
        **({"untouched": props["untouched"]} if props.get("untouched") else {}),
    }


def _confirm(found: dict[str, Any], seen: Facts, olds: dict[str, Any]) -> dict[str, Any]:
    """Give what this `up` makes known; what the admin may not ask for stays as it was."""
    cluster = _told_by(seen) or _confirmed(olds)["cluster"]
    return _confirmed({**found, "cluster": cluster})


def _of_the_stack(seen: Facts, olds: dict[str, Any], *, meant: bool) -> dict[str, Any]:
    """Give what the stack knows of the cluster that answers.

    That is what the last `up` knew, where it is that cluster again after a refresh has met another
    one, or the one that the stack has moved to.
    """
    before = _confirmed(olds)
    if meant:
        return {**olds, **before, "cluster": seen.cluster}
    if before["cluster"] and before["cluster"] == seen.cluster:
        return {**olds, **before}
    return olds


def _refuse_incomplete(seen: Facts, olds: dict[str, Any], *, meant: bool) -> None:
    """Refuse another cluster that lacks what the state has: the engine would only change it."""
    if not (meant or _moved(seen, _of_the_stack(seen, olds, meant=False))) or not olds.get("roles"):
        return
    missing = _missing(seen, olds)
    if missing:
        raise GroundworkError(
            f"Another cluster than before answers at {_place(seen)}, and it lacks"
            f" {', '.join(missing)}. Nothing was changed. Run `pulumi refresh`, so that the"
            " stack learns what is gone, and `up` again."
        )


def _refuse(seen: Facts, wanted: Wanted, olds: dict[str, Any], *, adopt: bool) -> None:
    moved = _moved(seen, olds)
    known = Known() if moved else _known(olds)
    reasons = refusals(seen, wanted, known, adopt=adopt)
    if reasons:
        again = " since it is another cluster than before" if moved else ""
        lines = "\n".join(f"  - {reason}" for reason in reasons)
        raise GroundworkError(
            f"The server at {_place(seen)} can't be used as it is{again}; nothing was changed:\n"
            f"{lines}"
        )


def _adopted(seen: Facts, wanted: Wanted, olds: dict[str, Any]) -> list[str]:
    """Name all that is wanted and was there before the stack, now or at an earlier time."""
    moved = _moved(seen, olds)
    known = Known() if moved else _known(olds)
    before = set() if moved else set(olds.get("adopted") or ())
    there = {role.name for role in seen.roles}
    found = {f"role {name}" for name in there - known.roles.keys()}
    kept = {f"role {name}" for name in wanted.roles.values()}
    kept.add(f"database {wanted.database}")
    if seen.database and wanted.database != known.database:
        found.add(f"database {wanted.database}")
    return sorted(found | (before & kept))


def _left_untouched(seen: Facts, wanted: Wanted, olds: dict[str, Any]) -> list[str]:
    """Name what is adopted as it is: what was found and is not known, now or at an earlier time."""
    moved = _moved(seen, olds)
    known = Known() if moved else _known(olds)
    before = set() if moved else set(olds.get("untouched") or ())
    found = {f"role {role.name}" for role in seen.roles if role.name not in known.roles}
    kept = {f"role {name}" for name in wanted.roles.values()}
    if seen.database:
        kept |= {f"database {wanted.database}", f"schema {wanted.schema}"}
        if wanted.database != known.database:
            found.add(f"database {wanted.database}")
            if seen.database.place(wanted.schema):
                found.add(f"schema {wanted.schema}")
    there = {f"role {role.name}" for role in seen.roles}
    if seen.database:
        there |= {f"database {wanted.database}", f"schema {wanted.schema}"}
    return sorted(found | (before & kept & there))


def _tell(seen: Facts, wanted: Wanted, *, new: set[str]) -> None:
    """Say what is changed of what the stack adopts with this run."""
    for line in changes.changes(seen, wanted, new):
        print(visible(line), flush=True)  # noqa: T201 - the engine shows it


def _look_again(given: dict[str, Any], wanted: Wanted) -> Facts:
    admin = adminurl.parse(given["url"], sslmode=given["sslmode"])
    return facts.look(admin, wanted, root=Path.cwd(), seconds=_READ_SECONDS, say=_ignore)


def _remembered_names(props: dict[str, Any]) -> Wanted:
    return Wanted(roles=props.get("roles") or {}, database=props.get("database") or "")


def _known(olds: dict[str, Any]) -> Known:
    roles = olds.get("roles") or {}
    return Known(
        roles={name: kind for kind, name in roles.items()}, database=olds.get("database") or ""
    )


def _moved(seen: Facts, olds: dict[str, Any]) -> bool:
    """Tell whether it is another cluster than the stack knows, as far as that can be told."""
    before = olds.get("cluster")
    return bool(before and seen.cluster and before != seen.cluster)


def _missing(seen: Facts, olds: dict[str, Any]) -> list[str]:
    there = {role.name for role in seen.roles}
    missing = [f"the role {name!r}" for name in olds["roles"].values() if name not in there]
    return missing + ([] if seen.database else [f"the database {olds['database']!r}"])


def _place(seen: Facts) -> str:
    return adminurl.written(seen.host, seen.port)


def _outputs(seen: Facts) -> dict[str, Any]:
    return {key: getattr(seen, key) for key in _SEEN}


def _remembered(props: dict[str, Any]) -> dict[str, Any]:
    return {key: props.get(key) for key in _KEPT}


def _number(port: Any) -> int | None:
    return None if port is None else int(port)  # the engine's numbers are floats
