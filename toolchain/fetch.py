"""Downloads over HTTP that give up soon where there is no network, and not before."""

import base64
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from toolchain import progress
from toolchain.errors import ToolchainError

__all__ = ["LIMIT", "connects", "download", "reachable", "redact", "text"]

LIMIT = 10.0
"""Seconds until the first byte of an answer; a route without network ends within it."""

_STALL = 60.0  # seconds without a single byte after which a download that began is dead
_CHUNK = 1 << 18  # bytes
_SMALL = 1 << 20  # bytes that a checksum file may have at most


def download(url: str, place: Path, *, label: str, limit: float = LIMIT) -> None:
    """Fetch `url` into the file `place`, telling how far it is.

    Args:
        url: an http, https or file address.
        place: the file to write; its folder exists.
        label: what is fetched, for the progress line.
        limit: seconds until the first byte; after that only a stall ends the download.

    Raises:
        ToolchainError: with the reason, when it can't be had.
    """
    answer = _open(url, limit)
    length = int(answer.headers.get("Content-Length") or 0)
    done = 0
    with answer, place.open("wb") as file, progress.step(label) as shown:
        while chunk := _read(answer, url):
            file.write(chunk)
            done += len(chunk)
            of = f" of {length / 1e6:.1f}" if length else ""
            shown.update(f"{done / 1e6:.1f}{of} MB")
    if length and done != length:
        raise ToolchainError(f"{redact(url)} ended after {done} of {length} bytes")


def text(url: str, *, limit: float = LIMIT) -> str:
    """Fetch a small text.

    Raises:
        ToolchainError: with the reason, when it can't be had.
    """
    with _open(url, limit) as answer:
        return answer.read(_SMALL).decode("utf-8", "replace")


def reachable(url: str, *, limit: float = LIMIT) -> str:
    """Tell why nobody answers at `url`; an empty text when somebody does.

    Any answer counts, also a refusal: the tool that asks next has its own credentials
    and certificates.
    """
    try:
        _open(url, limit).close()
    except _AnsweredError:
        return ""
    except ToolchainError as exc:
        return str(exc)
    return ""


def connects(url: str, *, limit: float = LIMIT) -> str:
    """Tell why no connection to `url`, or to the proxy before it, can be made; else nothing.

    For programs that keep to time limits of their own once they are connected.
    """
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme, "")
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    try:
        address = (parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80))
    except ValueError:
        return f"{redact(url)} has no valid port"
    outcome = _bounded(lambda: socket.create_connection(address, timeout=limit), limit)
    if isinstance(outcome, Exception):
        return str(_failure(url, outcome, limit))
    outcome.close()
    return ""


def redact(url: str) -> str:
    """Give `url` without user name, password and query."""
    return re.sub(r"//[^/@\s]*@", "//", url).partition("?")[0]


@runtime_checkable
class _Closable(Protocol):
    def close(self) -> object: ...


class _AnsweredError(ToolchainError):
    """There is somebody, but not with what was asked for."""


def _open(url: str, limit: float) -> HTTPResponse:
    """Open `url` within `limit` seconds in all."""
    begin = time.monotonic()
    outcome: Any = _bounded(
        lambda: urllib.request.urlopen(_request(url), timeout=limit),  # noqa: S310 - the user chooses the address
        limit,
    )
    if isinstance(outcome, Exception):
        raise _failure(url, outcome, time.monotonic() - begin) from outcome
    sock = getattr(getattr(outcome.fp, "raw", None), "_sock", None)
    if sock is not None:  # a file: address has none
        sock.settimeout(_STALL)
    return outcome  # type: ignore[no-any-return] # urlopen is typed as Any by the standard stubs


def _bounded(
    attempt: Callable[[], HTTPResponse | socket.socket], limit: float
) -> HTTPResponse | socket.socket | Exception:
    """Give what `attempt` gives or raises within `limit` seconds, else a TimeoutError.

    In a thread, since neither the look-up of a name nor a proxy's handshake heeds a
    socket's timeout. One that hangs is left to die with the process.
    """
    result: list[HTTPResponse | socket.socket | Exception] = []
    given_up = threading.Event()

    def run() -> None:
        try:
            answer = attempt()
        except (OSError, HTTPException, ValueError) as exc:
            result.append(exc)
        else:
            result.append(answer)
        if given_up.is_set() and isinstance(late := result[0], _Closable):
            late.close()

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    worker.join(limit)
    given_up.set()
    return result[0] if result else TimeoutError()


def _request(url: str) -> urllib.request.Request:
    """Move a user name and password from the address into a header, as browsers do."""
    parts = urllib.parse.urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    headers = {"User-Agent": "groundwork"}
    if at:
        token = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    bare = urllib.parse.urlunsplit(parts._replace(netloc=host))
    return urllib.request.Request(bare, headers=headers)  # noqa: S310 - the user chooses the address


def _read(answer: HTTPResponse, url: str) -> bytes:
    try:
        return answer.read1(_CHUNK) if hasattr(answer, "read1") else answer.read(_CHUNK)
    except (OSError, HTTPException) as exc:
        raise ToolchainError(f"the download of {redact(url)} broke off: {_reason(exc)}") from exc


def _failure(url: str, exc: Exception, seconds: float) -> ToolchainError:
    if isinstance(exc, urllib.error.HTTPError):
        exc.close()
        return _AnsweredError(f"{redact(url)} answers {exc.code} {exc.reason}")
    reason = getattr(exc, "reason", exc)
    if isinstance(reason, ssl.SSLError):
        return _AnsweredError(f"{redact(url)}: {reason}")
    if isinstance(reason, TimeoutError):
        return ToolchainError(f"no answer from {redact(url)} within {seconds:.0f} s")
    return ToolchainError(f"{redact(url)} can't be reached: {_reason(exc)}")


def _reason(exc: Exception) -> str:
    inner = getattr(exc, "reason", exc)
    return str(getattr(inner, "strerror", None) or inner) or type(inner).__name__
