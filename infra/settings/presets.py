"""What `environment: prod` promises, and what may not be set against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.settings import placement
from infra.settings.certificates import FILES
from infra.settings.key import spelled

if TYPE_CHECKING:
    from infra.settings.draft import Draft

__all__ = ["check"]

_DOWN = (
    f"to take it down on purpose: pulumi config set {spelled('environment')} dev, `pulumi up`,"
    " which takes the protection off, and `pulumi destroy`"
)
_BACK = (
    "go forward with another revision; where it has to be, once: set"
    f" {spelled('environment')} dev with {spelled('protect')} and {spelled('retain')} true"
)
_REFUSED = {
    "protect": ("false", "would let anybody destroy it", _DOWN),
    "retain": ("false", "would let destroy delete the data", _DOWN),
    "downgrade": ("allow", "would lose data by going back", _BACK),
    "on_destroy": ("downgrade", "would lose all data with the schema node", _DOWN),
}
_CHECKED = ("verify-full", "verify-ca")


def check(draft: Draft) -> None:
    """Note what contradicts the environment, or contradicts itself in any."""
    if draft.environment != "prod":
        if draft["on_destroy"] == "downgrade" and draft["retain"] == "true":
            draft.refuse(
                "on_destroy", f"'downgrade' empties what {spelled('retain')} true is to keep"
            )
    else:
        for name, (value, why, way) in _REFUSED.items():
            if draft[name] == value:
                draft.refuse(name, f"{value!r} is refused in prod, since it {why}; {way}")
        _check_tls(draft)
    _check_reason(draft)


def _check_tls(draft: Draft) -> None:
    target = draft["target"]
    if target == "embedded":
        draft.refuse(
            "target",
            "'embedded' is refused in prod: it has no TLS and is one with this machine; container,"
            " or existing",
        )
    elif target == "container" and draft.sound(*FILES) and not draft["tlsCertificate"]:
        names = ", ".join(spelled(name) for name in FILES)
        draft.refuse("tlsCertificate", f"is missing, and prod requires TLS; set {names}")
    elif draft.sound("target", "sslmode", "adminUrl", *FILES):
        _check_sslmode(draft)


def _check_sslmode(draft: Draft) -> None:
    found = placement.admin(draft)
    mode = found.sslmode if found else draft["sslmode"] or _CHECKED[0]
    if mode in _CHECKED:
        return
    if mode == "require" and draft["target"] == "existing" and draft["sslmodeReason"].strip():
        return
    way = f"; where its certificate can't be checked, say why in {spelled('sslmodeReason')}"
    draft.refuse(
        "sslmode",
        f"{mode!r} is refused in prod, where clients make sure whom they talk to: verify-full, or"
        f" verify-ca{way if mode == 'require' and found else ''}",
    )


def _check_reason(draft: Draft) -> None:
    if not draft["sslmodeReason"] or not draft.sound("target", "sslmode", "adminUrl"):
        return
    found = placement.admin(draft)
    if draft.environment != "prod" or (found and found.sslmode != "require"):
        draft.refuse(
            "sslmodeReason", "does nothing but in prod, where sslmode is require; take it out"
        )
