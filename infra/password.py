"""Passwords made inside the graph, or chosen: secret in the state, shown nowhere."""

from __future__ import annotations

import secrets
from typing import Any

import pulumi
from pulumi import dynamic

from infra.dynamic import Provider, known
from infra.scram import scram_verifier

__all__ = ["Password"]

# 24 bytes give 192 bits in 32 characters that need no escaping in a URL, a shell or SQL.
_BYTES = 24
_SALT_BYTES = 16
# Of a state from before there were versions.
_FIRST_VERSION = 1
# Of a replacement, whose delete comes first: by the resource's name, which is "" in a state from
# before that was kept.
_deleted: dict[str, list[dict[str, Any]]] = {}


class PasswordProvider(Provider):
    """Keeps a password until its version or the choice of it changes, or the resource goes."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """Report a change where another password is wanted; it is made in place."""
        chosen = news.get("chosen")
        if not known(chosen):
            return dynamic.DiffResult(changes=True)
        if chosen is not None:
            return dynamic.DiffResult(changes=chosen != olds["password"])
        same = olds.get("generated", True) and _version(olds) == _version(news)
        return dynamic.DiffResult(changes=not same)

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Take the chosen password or generate one, and derive its verifier.

        One that is made in the place of another has the same password.
        """
        return dynamic.CreateResult("password", _deleted_before(props) or _make(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Put another password into the place of the former one."""
        return dynamic.UpdateResult(_make(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remember the password for a replacement, which is made next in the same process."""
        _deleted.setdefault(props.get("name") or "", []).append(dict(props))


def _version(props: dict[str, Any]) -> int:
    return int(props.get("version") or _FIRST_VERSION)  # the engine's numbers are floats


def _deleted_before(props: dict[str, Any]) -> dict[str, Any] | None:
    """Give the outputs of the resource that this one replaces; None where it is new."""
    for name in (props.get("name") or "", ""):
        found = _deleted.get(name, [])
        if len(found) == 1 and not PasswordProvider().diff("", found[0], props).changes:
            return {**found.pop(), "name": props.get("name")}
    return None


def _make(props: dict[str, Any]) -> dict[str, Any]:
    chosen = props.get("chosen")
    password = secrets.token_urlsafe(_BYTES) if chosen is None else str(chosen)
    return {
        "password": password,
        "verifier": scram_verifier(password, salt=secrets.token_bytes(_SALT_BYTES)),
        "version": _version(props),
        "generated": chosen is None,
        "name": props.get("name"),
    }


class Password(dynamic.Resource, module="groundwork", name="Password"):
    """A password.

    Attributes:
        password: The chosen one, or 32 characters of the URL-safe base64 alphabet; secret.
        verifier: Its SCRAM-SHA-256 verifier for CREATE ROLE; secret.
    """

    password: pulumi.Output[str]
    verifier: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        version: int = _FIRST_VERSION,
        chosen: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the password.

        Args:
            name: Of the resource.
            version: Another one than before has a new password generated in place.
            chosen: ASCII; taken instead of a generated one. It is made secret here.
            opts: As for every resource.
        """
        inputs: dict[str, Any] = {
            "password": None,
            "verifier": None,
            "version": version,
            "name": name,
        }
        if chosen is not None:
            inputs["chosen"] = pulumi.Output.secret(chosen)
        own = pulumi.ResourceOptions(
            additional_secret_outputs=["password", "verifier"],
            # So that a replacement can keep the password.
            delete_before_replace=True,
        )
        super().__init__(PasswordProvider(), name, inputs, pulumi.ResourceOptions.merge(opts, own))
