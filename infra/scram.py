"""SCRAM-SHA-256 verifiers: what PostgreSQL keeps of a password, derived before it is sent."""

from __future__ import annotations

import base64
import hashlib
import hmac

__all__ = ["scram_verifier"]

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
