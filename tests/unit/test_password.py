"""Passwords and their verifiers."""

from __future__ import annotations

import base64
import hmac
import re

from infra.password import PasswordProvider, scram_verifier


def test_the_verifier_proves_the_password_as_rfc_7677_has_it() -> None:
    """Its ServerKey signs the RFC's example exchange with the RFC's signature."""
    salt = "W22ZaJ0SNY7soEsUEjb6gQ=="
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    exchange = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s={salt},i=4096,c=biws,r={nonce}"

    verifier = scram_verifier("pencil", salt=base64.b64decode(salt))

    assert verifier.startswith(f"SCRAM-SHA-256$4096:{salt}$")
    server_key = base64.b64decode(verifier.rpartition(":")[2])
    signature = base64.b64encode(hmac.digest(server_key, exchange.encode(), "sha256")).decode()
    assert signature == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_a_password_is_new_each_time_and_fits_everywhere() -> None:
    """32 characters that need no escaping, never the same twice."""
    made = {(PasswordProvider().create({}).outs or {})["password"] for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", password) for password in made)


def test_a_password_stays_as_it_was_made() -> None:
    """No difference of inputs changes it."""
    assert PasswordProvider().diff("id", {"password": "a"}, {"password": None}).changes is False
