"""SCRAM verifiers, so that a password in clear never reaches the server or its log."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

__all__ = ["is_verifier", "verifier"]

_ITERATIONS = 4096
"""PostgreSQL's own number (`scram_iterations`)."""

_SALT_BYTES = 16


def is_verifier(password: str) -> bool:
    """Whether the text is what the catalog holds rather than what a user types.

    Args:
        password: In clear, or a SCRAM-SHA-256 or MD5 verifier.
    """
    return password.startswith(("SCRAM-SHA-256$", "md5"))


def verifier(password: str) -> str | None:
    """What the server would store for the password; None where only the server can tell.

    Args:
        password: In clear. Outside printable ASCII, the text would have to be normalised first.
    """
    if not (password.isascii() and password.isprintable()):
        return None
    salt = secrets.token_bytes(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(_keyed(salted, b"Client Key")).digest()
    server = _keyed(salted, b"Server Key")
    texts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{texts[0]}${texts[1]}:{texts[2]}"


def _keyed(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
