"""Requests to a forge's REST API: limits, retries, and errors that say what is missing."""

from __future__ import annotations

import email.utils
import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import Message

__all__ = ["Api", "ApiError", "UnsureError"]

_TIMEOUT = 30.0  # seconds for one request
_PAUSES = (0.5, 1.0, 2.0)  # seconds before a request is repeated, where the server names none
_PATIENCE = 120.0  # seconds that a server may ask for
_PER_PAGE, _PAGES = 100, 500
_NONE, _REFUSED, _TOO_MANY, _BROKEN = 0, 403, 429, 500
_SUCCESS = range(200, 300)
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?')


class ApiError(Exception):
    """A request failed for good; the message is one line.

    Attributes:
        status: What the server answered, 0 where nothing came.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        """Take the message."""
        self.status = status
        super().__init__(" ".join(message.split()))


class UnsureError(ApiError):
    """Nobody knows whether the request was carried out."""


class _Answer:
    """What came back.

    Attributes:
        status: HTTP's, or `_NONE`.
        body: The content.
        headers: By names in lower case.
        reason: Why nothing came back.
        unsure: Whether the request may have been carried out although this is a failure.
    """

    def __init__(
        self,
        *,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
        reason: str = "",
        unsure: bool = False,
    ) -> None:
        self.status, self.body, self.headers, self.reason = status, body, headers, reason
        self.unsure = unsure or status >= _BROKEN

    def wait(self, otherwise: float) -> float | None:
        """Give the seconds to wait before the same request; None where that makes no sense."""
        asked = _asked(self.headers)
        if self.status in (_NONE, _TOO_MANY) or self.status >= _BROKEN:
            return otherwise if asked is None else asked
        # GitHub's limits come as a refusal that says when to come back.
        return asked if self.status == _REFUSED else None

    def said(self) -> str:
        """Give the server's own words."""
        try:
            answer = json.loads(self.body)
        except ValueError:
            return ""
        words = answer.get("message") or answer.get("error") if isinstance(answer, dict) else ""
        return str(words or "")[:200]


class Api:
    """One forge's API, with one token."""

    def __init__(
        self, base: str, *, headers: Mapping[str, str], meanings: Mapping[int, str]
    ) -> None:
        """Take where it is.

        Args:
            base: Its address, without a slash at the end.
            headers: Sent along, with the token.
            meanings: What a status says of this use: what is missing, and what to do.
        """
        parts = urllib.parse.urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ApiError(f"{base!r} is no address of an API")
        self._base, self._place = base.rstrip("/"), parts.hostname
        self._headers, self._meanings = headers, meanings
        # Redirects are not followed: the token is for this server alone.
        self._opener = urllib.request.build_opener(_Staying)

    def ask(self, method: str, path: str, data: Any = None, *, reads: bool = False) -> Any:
        """Make a request, again where that can help, and give what the answer's JSON says.

        Args:
            method: A POST is not repeated where it may have been carried out.
            path: From the base on, or a whole address.
            data: Sent as JSON.
            reads: Whether a POST changes nothing, so that it is repeated like the others.

        Raises:
            UnsureError: A POST that may have been carried out.
            ApiError: Anything else that failed.
        """
        return self._json(self._answer(method, path, data, once=method == "POST" and not reads))

    def pages(self, path: str) -> Iterator[Any]:
        """Give what a list has on all its pages."""
        query = f"per_page={_PER_PAGE}"
        for _ in range(_PAGES):
            answer = self._answer("GET", f"{path}{'&' if '?' in path else '?'}{query}")
            yield from self._json(answer)
            found = _NEXT.search(answer.headers.get("link") or "")
            if not found:
                return
            # Its query alone: whatever server the link names, the token doesn't go there.
            path, query = path.partition("?")[0], urllib.parse.urlsplit(found[1]).query

    def _answer(self, method: str, path: str, data: Any = None, *, once: bool = False) -> _Answer:
        for pause in (*_PAUSES, None):
            answer = self._once(method, path, data)
            if answer.status in _SUCCESS:
                return answer
            trouble = self._explained(answer)
            if once and answer.unsure:
                raise UnsureError(trouble, status=answer.status)
            wait = answer.wait(pause or 0.0)
            if pause is None or wait is None:
                break
            if wait > _PATIENCE:
                told = f"{trouble}; it asks to come back in {wait:.0f} s"
                raise ApiError(told, status=answer.status)
            time.sleep(wait)
        raise ApiError(trouble, status=answer.status)

    def _once(self, method: str, path: str, data: Any) -> _Answer:
        address = path if "://" in path else f"{self._base}{path}"
        body = None if data is None else json.dumps(data).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "groundwork", **self._headers}
        request = urllib.request.Request(address, data=body, headers=headers, method=method)  # noqa: S310 - http and https alone, which the constructor looked at
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as response:
                return _Answer(
                    status=response.status, body=response.read(), headers=_lower(response.headers)
                )
        except urllib.error.HTTPError as exc:
            with exc:
                return _Answer(status=exc.code, body=exc.read(), headers=_lower(exc.headers))
        except (OSError, http.client.HTTPException) as exc:
            reason = getattr(exc, "reason", exc)
            unsure = not isinstance(reason, ConnectionRefusedError)
            return _Answer(status=_NONE, reason=str(reason), unsure=unsure)

    def _explained(self, answer: _Answer) -> str:
        if answer.status == _NONE:
            return f"{self._place} can't be reached: {answer.reason}"
        said, meaning = answer.said(), self._meanings.get(answer.status, "")
        told = f"{self._place} answered {answer.status}{f' ({said})' if said else ''}"
        return f"{told}: {meaning}" if meaning else told

    def _json(self, answer: _Answer) -> Any:
        try:
            return json.loads(answer.body)
        except ValueError:
            raise ApiError(f"{self._place} answered something else than JSON") from None


class _Staying(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none."""


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _asked(headers: Mapping[str, str]) -> float | None:
    """Give the seconds that a server asks to wait."""
    after = headers.get("retry-after") or ""
    if after.isdecimal():
        return float(after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - time.time())
    except (TypeError, ValueError):
        pass
    reset = headers.get("x-ratelimit-reset") or ""
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(0.0, float(reset) - time.time())
    return None
