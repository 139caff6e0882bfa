"""The files of a server's TLS: read, and tried with each other before a server gets them."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

from infra.servers.ports import HOST
from infra.settings.key import spelled
from infra.settings.model import Tls

if TYPE_CHECKING:
    from pathlib import Path

    from infra.settings.draft import Draft

__all__ = ["FILES", "check", "files"]

FILES = ("tlsCertificate", "tlsKey", "tlsCa")

# A handshake is over after the third; what is left then are messages that nobody answers.
_FLIGHTS = 4
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEY = b"PRIVATE KEY-----"
_ENCRYPTED = (b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")


def check(draft: Draft) -> None:
    """Note the mistakes of the files: one that is missing, unreadable, or doesn't fit."""
    if not draft.sound(*FILES):
        return
    given = [name for name in FILES if draft[name]]
    missing = [name for name in FILES if not draft[name]]
    for name in missing if given else ():
        others = " and ".join(spelled(other) for other in given)
        draft.refuse(name, f"is missing; it belongs to {others}: all three or none")
    for name in given:
        why = _unreadable(draft.path(name), name)
        if why:
            draft.refuse(name, f"{draft[name]!r} {why}")
    tls = files(draft)
    if tls and draft.sound("sslmode", *FILES):
        _try(draft, tls)


def files(draft: Draft) -> Tls | None:
    """Give the files, absolute; None where not all three are named."""
    certificate, key, ca = (draft.path(name) for name in FILES)
    if certificate and key and ca:
        return Tls(certificate=certificate, key=key, ca=ca)
    return None


def _unreadable(path: Path | None, name: str) -> str:
    if path is None:
        return ""
    try:
        content = path.read_bytes()
    except OSError as exc:
        return f"can't be read: {os.strerror(exc.errno or 0)}"
    if name != "tlsKey":
        return "" if _CERTIFICATE in content else "holds no certificate in PEM"
    if any(mark in content for mark in _ENCRYPTED):
        return "holds a key with a passphrase, for which nobody could be asked; take it off"
    return "" if _KEY in content else "holds no private key in PEM"


def _try(draft: Draft, tls: Tls) -> None:
    """Let a server and a client shake hands in memory, as they would over the network."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = draft["sslmode"] in ("", "verify-full")
    try:
        server.load_cert_chain(tls.certificate, tls.key)
    except ssl.SSLError as exc:
        mismatch = "MISMATCH" in (exc.reason or "")
        said = "is no key of" if mismatch else "can't be read together with"
        draft.refuse("tlsKey", f"{draft['tlsKey']!r} {said} {spelled('tlsCertificate')}")
        return
    try:
        client.load_verify_locations(tls.ca)
    except ssl.SSLError:
        draft.refuse("tlsCa", f"{draft['tlsCa']!r} holds no certificate that can be read")
        return
    why = _handshake(server, client)
    if why:
        draft.refuse(
            "tlsCertificate",
            f"{draft['tlsCertificate']!r}, checked with {spelled('tlsCa')} as a client on this"
            f" machine would: {why}",
        )


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """Connect the two; gives why the client refuses, "" where it doesn't."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(down, up, server_hostname=HOST),
        server.wrap_bio(up, down, server_side=True),
    )
    for _ in range(_FLIGHTS):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as exc:
                return exc.verify_message.rstrip(".")
            except ssl.SSLError as exc:
                return exc.reason or "the two don't agree on TLS"
    return ""
