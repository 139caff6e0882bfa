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
        """Take the chosen password or generate one, and derive its verifier."""
        return dynamic.CreateResult("password", _make(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Put another password into the place of the former one."""
        return dynamic.UpdateResult(_make(news))


def _version(props: dict[str, Any]) -> int:
    return int(props.get("version") or _FIRST_VERSION)  # the engine's numbers are floats


def _make(props: dict[str, Any]) -> dict[str, Any]:
    chosen = props.get("chosen")
    password = secrets.token_urlsafe(_BYTES) if chosen is None else str(chosen)
    return {
        "password": password,
        "verifier": scram_verifier(password, salt=secrets.token_bytes(_SALT_BYTES)),
        "version": _version(props),
        "generated": chosen is None,
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
        inputs: dict[str, Any] = {"password": None, "verifier": None, "version": version}
        if chosen is not None:
            inputs["chosen"] = pulumi.Output.secret(chosen)
        secret = pulumi.ResourceOptions(additional_secret_outputs=["password", "verifier"])
        super().__init__(
            PasswordProvider(), name, inputs, pulumi.ResourceOptions.merge(opts, secret)
        )
