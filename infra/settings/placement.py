"""Whether the keys that are set have something to do where the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.servers.docker import amounts
from infra.servers.remote import adminurl
from infra.servers.remote.adminurl import AdminUrlError
from infra.settings import parameters
from infra.settings.certificates import FILES
from infra.settings.key import spelled
from infra.settings.keys import KEYS

if TYPE_CHECKING:
    from infra.servers.remote.adminurl import AdminUrl
    from infra.settings.draft import Draft

__all__ = ["admin", "check"]


def check(draft: Draft) -> None:
    """Note keys that do nothing here, and those that are missing."""
    if not draft.sound("target"):
        return
    _check_idle(draft)
    if draft["target"] == "existing":
        _check_admin(draft)
    elif draft.sound("sslmode", *FILES):
        _check_sslmode(draft)
    _check_memory(draft)


def admin(draft: Draft) -> AdminUrl | None:
    """Give the admin's URL of an existing server; None where it has a mistake."""
    if not (draft["adminUrl"] and draft.sound("adminUrl", "sslmode")):
        return None
    return adminurl.parse(draft["adminUrl"], sslmode=draft["sslmode"])


def _check_idle(draft: Draft) -> None:
    for name in draft.given:
        targets = KEYS[name].targets
        if targets and draft["target"] not in targets:
            draft.refuse(
                name,
                f"does nothing with the target {draft['target']}; it is for"
                f" {' and '.join(targets)}: take it out with: pulumi config rm {spelled(name)}",
            )
        elif name.startswith("auditor") and name != "auditor" and draft["auditor"] == "false":
            draft.refuse(name, f"does nothing without an auditor; set {spelled('auditor')} true")


def _check_memory(draft: Draft) -> None:
    if not draft.sound("shmSize", "memory", "parameters") or draft["target"] != "container":
        return
    shared, memory = int(draft["shmSize"]), int(draft["memory"])
    builds = amounts.of(parameters.parameters(draft), "maintenance_work_mem")
    if 0 < memory < shared:
        draft.refuse(
            "shmSize", f"{shared} MiB are more than {spelled('memory')}, {memory} MiB, has for all"
        )
    elif 0 < shared <= builds:
        draft.refuse(
            "shmSize",
            f"{shared} MiB are no more than 'maintenance_work_mem', {builds} MiB: a parallel build"
            " of an index would run out of it; raise it, or take it out to have it derived",
        )


def _check_admin(draft: Draft) -> None:
    if not draft["adminUrl"]:
        draft.refuse(
            "adminUrl",
            "is missing, and nothing else leads to an existing server; this asks for it: pulumi"
            f" config set --secret {spelled('adminUrl')}, in the form postgresql://USER:PASSWORD@"
            "HOST:PORT/postgres?sslmode=verify-full&sslrootcert=FILE",
        )
        return
    try:
        found = admin(draft)
        if found:
            found.encryption(draft.root)
    except AdminUrlError as exc:
        draft.refuse("adminUrl", exc.mistake)
        return
    if not found:
        return
    for key in (key.name for key in KEYS.values() if key.shape == "role"):
        if draft[key] == found.user:
            draft.refuse(key, f"{found.user!r} is the admin of {spelled('adminUrl')}")


def _check_sslmode(draft: Draft) -> None:
    chosen, target = draft["sslmode"], draft["target"]
    files = ", ".join(spelled(name) for name in FILES)
    if draft["tlsCertificate"]:
        if chosen == "disable":
            draft.refuse("sslmode", f"'disable' is of no use with {files}: they make TLS required")
    elif chosen not in ("", "disable"):
        way = f"; set {files}" if target == "container" else ", so that sslmode is disable"
        draft.refuse("sslmode", f"{chosen!r} asks for TLS, and this server has none{way}")
