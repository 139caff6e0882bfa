"""GitHub's, Gitea's and GitLab's comments on loopback, as their REST APIs are documented."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Account", "Answer", "ForgeServer", "forge_server"]

_REPOSITORY, _NUMBER, _PROJECT = "acme/db", 7, 42


@dataclass(frozen=True, kw_only=True)
class Account:
    """Whoever has a token.

    Attributes:
        login: Their name.
        id: Their number.
        bot: Whether it is an app's or a workflow's, which GitHub doesn't tell who it is.
        writes: Whether they may write comments.
    """

    login: str
    id: int
    bot: bool = False
    writes: bool = True


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server says next, whatever it is asked.

    Attributes:
        status: An HTTP status.
        headers: More headers.
        after: Whether it does what it was asked first, as a server that breaks while it answers.
        method: The only method that it is for; empty for any.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    method: str = ""


@dataclass(kw_only=True)
class ForgeServer:
    """A forge with one pull request.

    Attributes:
        url: Its address.
        accounts: By token.
        comments: In the order they were written: id, author, text.
        next: Answers that come before the usual ones.
        asked: Method and path of each request.
        page_size: The most comments on a page, whatever is asked for.
    """

    url: str = ""
    accounts: dict[str, Account] = field(default_factory=dict)
    comments: list[tuple[int, Account, str]] = field(default_factory=list)
    next: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    page_size: int = 100

    def write(self, account: Account, text: str) -> int:
        """Write a comment, and give its id."""
        number = 1000 + len(self.comments)
        self.comments.append((number, account, text))
        return number

    def texts(self) -> list[str]:
        """Give the text of each comment."""
        return [text for _, _, text in self.comments]

    def count(self, method: str) -> int:
        """Count the requests of a method, without those that ask who somebody is."""
        return sum(m == method and "graphql" not in path for m, path in self.asked)


class _Failure(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    forge: ForgeServer

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        data = json.loads(self.rfile.read(length)) if length else {}
        self.forge.asked.append((self.command, self.path))
        planned = next((a for a in self.forge.next if a.method in ("", self.command)), None)
        if planned:
            self.forge.next.remove(planned)
            if planned.after:
                self._result(data)
            self._send(planned.status, {"message": "planned"}, planned.headers)
            return
        try:
            status, answer, headers = self._result(data)
        except _Failure as exc:
            status, answer, headers = exc.status, {"message": exc.message}, {}
        self._send(status, answer, headers)

    do_GET = do_POST = do_PATCH = do_PUT = _serve  # noqa: N815 - the names that http.server calls

    def _send(self, status: int, answer: Any, headers: dict[str, str]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _result(self, data: Any) -> tuple[int, Any, dict[str, str]]:
        parts = urlsplit(self.path)
        if parts.path.startswith("/api/v4/"):
            return self._gitlab(parts.path.removeprefix("/api/v4"), parse_qs(parts.query), data)
        return self._github(parts.path.removeprefix("/api/v1"), parse_qs(parts.query), data)

    def _github(
        self, path: str, query: dict[str, list[str]], data: Any
    ) -> tuple[int, Any, dict[str, str]]:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        account = self._account(token if scheme in ("Bearer", "token") else "")
        issues = f"/repos/{_REPOSITORY}/issues"
        if path == "/user":
            if account.bot:
                raise _Failure(403, "Resource not accessible by integration")
            return 200, {"login": account.login, "id": account.id, "type": "User"}, {}
        if path == "/graphql":
            return 200, {"data": {"viewer": {"login": account.login}}}, {}
        if path == f"{issues}/{_NUMBER}/comments" and self.command == "GET":
            return self._page(query, _as_github)
        if path == f"{issues}/{_NUMBER}/comments" and self.command == "POST":
            return 201, _as_github(self._written(account, data["body"], limit=65_536)), {}
        if path.startswith(f"{issues}/comments/") and self.command == "PATCH":
            return 200, _as_github(self._edited(account, path, data["body"])), {}
        raise _Failure(404, "Not Found")

    def _gitlab(
        self, path: str, query: dict[str, list[str]], data: Any
    ) -> tuple[int, Any, dict[str, str]]:
        account = self._account(self.headers.get("PRIVATE-TOKEN", ""))
        notes = f"/projects/{_PROJECT}/merge_requests/{_NUMBER}/notes"
        if path == "/user":
            return 200, {"id": account.id, "username": account.login}, {}
        if path == notes and self.command == "GET":
            assert query["sort"] == ["asc"]
            return self._page(query, _as_gitlab)
        if path == notes and self.command == "POST":
            return 201, _as_gitlab(self._written(account, data["body"], limit=1_000_000)), {}
        if path.startswith(f"{notes}/") and self.command == "PUT":
            return 200, _as_gitlab(self._edited(account, path, data["body"])), {}
        raise _Failure(404, "404 Not found")

    def _account(self, token: str) -> Account:
        try:
            return self.forge.accounts[token]
        except KeyError:
            raise _Failure(401, "Bad credentials") from None

    def _page(self, query: dict[str, list[str]], form: Any) -> tuple[int, Any, dict[str, str]]:
        size = min(int(query.get("per_page", ["30"])[0]), self.forge.page_size)
        page = int(query.get("page", ["1"])[0])
        shown = self.forge.comments[(page - 1) * size : page * size]
        headers = {}
        if page * size < len(self.forge.comments):
            # As GitHub does it: by another path, and here even by another server.
            rest = urlencode({**query, "page": [page + 1]}, doseq=True)
            first = '<http://127.0.0.1:9/?page=1>; rel="first"'
            headers["Link"] = f'{first}, <http://127.0.0.1:9/repositories/1?{rest}>; rel="next"'
        return 200, [form(comment) for comment in shown], headers

    def _written(self, account: Account, text: str, *, limit: int) -> tuple[int, Account, str]:
        self._may_write(account)
        if len(text) > limit:
            raise _Failure(422, f"body is too long (maximum is {limit} characters)")
        self.forge.write(account, text)
        return self.forge.comments[-1]

    def _edited(self, account: Account, path: str, text: str) -> tuple[int, Account, str]:
        self._may_write(account)
        number = int(path.rpartition("/")[2])
        for place, (known, author, _) in enumerate(self.forge.comments):
            if known == number:  # whoever may write may edit what others wrote
                self.forge.comments[place] = (number, author, text)
                return self.forge.comments[place]
        raise _Failure(404, "Not Found")

    def _may_write(self, account: Account) -> None:
        if not account.writes:
            raise _Failure(403, "Resource not accessible by integration")

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


def _as_github(comment: tuple[int, Account, str]) -> dict[str, Any]:
    number, author, text = comment
    kind = "Bot" if author.bot else "User"
    return {
        "id": number,
        "html_url": f"https://github.test/{_REPOSITORY}/pull/{_NUMBER}#issuecomment-{number}",
        "user": {"login": author.login, "id": author.id, "type": kind},
        "body": text.replace("\n", "\r\n"),
    }


def _as_gitlab(comment: tuple[int, Account, str]) -> dict[str, Any]:
    number, author, text = comment
    return {"id": number, "author": {"id": author.id}, "body": text, "system": False}


@contextmanager
def forge_server() -> Iterator[ForgeServer]:
    """Run a forge on a free port of loopback."""
    forge = ForgeServer()
    handler = type("Handler", (_Handler,), {"forge": forge})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    forge.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
