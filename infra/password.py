"""Passwords made inside the graph: generated once, secret in the state, shown nowhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any

import pulumi
from pulumi import dynamic

from infra.dynamic import Provider

__all__ = ["Password", "scram_verifier"]

# 24 bytes give 192 bits in 32 characters that need no escaping in a URL, a shell or SQL.
_BYTES = 24
# PostgreSQL's own default for scram_iterations; a generated password does not need more.
_ITERATIONS = 4096


def scram_verifier(password: str, *, salt: bytes) -> str:
    """Derive what PostgreSQL stores of a password, so that the password itself stays here.

    Args:
        password: ASCII; other text would have to be normalised with SASLprep first.
        salt: 16 random bytes.

    Returns:
        `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, which CREATE ROLE takes as it is
        (RFC 5803 and RFC 7677).
    """
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")

    def text(raw: bytes) -> str:
        return base64.b64encode(raw).decode()

    stored = text(hashlib.sha256(client_key).digest())
    return f"SCRAM-SHA-256${_ITERATIONS}:{text(salt)}${stored}:{text(server_key)}"


class PasswordProvider(Provider):
    """Makes a password at creation and keeps it until the resource goes."""

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.DiffResult:
        """Report no change: a password stays as it was made."""
        return dynamic.DiffResult(changes=False)

    def create(self, _props: dict[str, Any]) -> dynamic.CreateResult:
        """Generate the password and its verifier."""
        password = secrets.token_urlsafe(_BYTES)
        verifier = scram_verifier(password, salt=secrets.token_bytes(16))
        return dynamic.CreateResult("password", {"password": password, "verifier": verifier})


class Password(dynamic.Resource, module="groundwork", name="Password"):
    """A generated password.

    Attributes:
        password: 32 characters of the URL-safe base64 alphabet; secret.
        verifier: Its SCRAM-SHA-256 verifier for CREATE ROLE; secret.
    """

    password: pulumi.Output[str]
    verifier: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the password."""
        secret = pulumi.ResourceOptions(additional_secret_outputs=["password", "verifier"])
        super().__init__(
            PasswordProvider(),
            name,
            {"password": None, "verifier": None},
            pulumi.ResourceOptions.merge(opts, secret),
        )
