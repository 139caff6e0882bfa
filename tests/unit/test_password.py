"""Passwords and their verifiers."""

from __future__ import annotations

import base64
import hmac
import re
from typing import Any

import pytest

from infra.password import PasswordProvider
from infra.scram import scram_verifier

_CHOSEN = "a chosen one: %@/ 'x'"


def _made(**inputs: object) -> dict[str, Any]:
    made: dict[str, Any] = PasswordProvider().create(inputs).outs or {}
    return made


def _updated(olds: dict[str, Any], **inputs: object) -> dict[str, Any]:
    updated: dict[str, Any] = PasswordProvider().update("id", olds, inputs).outs or {}
    return updated


def _changes(olds: dict[str, Any], **inputs: object) -> bool:
    changes = PasswordProvider().diff("id", olds, inputs).changes
    assert changes is not None
    return changes


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
    made = {_made()["password"] for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", password) for password in made)


@pytest.mark.parametrize("olds", [{"password": "a", "verifier": "b"}, _made(version=1.0)])
def test_a_password_stays_as_it_was_made(olds: dict[str, Any]) -> None:
    """Whether its state is of today or from before there were versions."""
    assert _changes(olds, version=1.0, password=None) is False


def test_another_version_is_another_password_in_its_place() -> None:
    """It is replaced in place, once."""
    olds = _made(version=1.0)
    assert _changes(olds, version=2.0)

    news = _updated(olds, version=2.0)

    assert news["password"] != olds["password"]
    assert news["verifier"] != olds["verifier"]
    assert not _changes(news, version=2.0)


def test_a_chosen_password_is_taken_as_it_is() -> None:
    """Chosen, changed and chosen no more: each is a change, and no version changes it."""
    olds = _made(version=1.0)
    assert _changes(olds, version=1.0, chosen=_CHOSEN)
    chosen = _updated(olds, version=1.0, chosen=_CHOSEN)

    assert chosen["password"] == _CHOSEN
    salt = base64.b64decode(chosen["verifier"].split("$")[1].partition(":")[2])
    assert chosen["verifier"] == scram_verifier(_CHOSEN, salt=salt)
    assert not _changes(chosen, version=2.0, chosen=_CHOSEN)
    assert _changes(chosen, version=1.0, chosen="another one")
    assert _changes(chosen, version=1.0)
    assert _updated(chosen, version=1.0)["password"] != _CHOSEN


def test_a_replacement_keeps_the_password() -> None:
    """Its delete comes first; another version, or another resource, still gets a new one."""
    first, second = _made(name="db-app"), _made(name="db-reader")
    for each in (first, second):
        PasswordProvider().delete("password", each)

    assert _made(name="db-reader", version=2)["password"] != second["password"]
    assert _made(name="db-app") == first
    assert _made(name="db-reader") == second
    assert _made(name="db-app")["password"] != first["password"]


def test_a_replacement_keeps_the_password_of_a_former_state() -> None:
    """It doesn't know its name yet."""
    former = {"password": "a", "verifier": "b"}
    PasswordProvider().delete("password", former)

    assert _made(name="db-app") == {**former, "name": "db-app"}
