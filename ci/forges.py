"""Where comments are written: GitHub, Gitea and GitLab, as their REST APIs are documented."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ci.api import Api, ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.surroundings import PullRequest

__all__ = ["Comment", "Forge", "open_forge"]

_UNKNOWN = 401
_REFUSED = (403, 404)  # what a token is told that may not ask who it is


@dataclass(frozen=True, kw_only=True)
class Comment:
    """One comment in a pull request.

    Attributes:
        number: Its id; a later one has a larger one.
        body: Its text.
        place: Its address, or words for where it is.
    """

    number: int
    body: str
    place: str


class Forge(ABC):
    """The comments of one pull request, as far as one token goes."""

    limit: int
    """Characters that a comment may have."""

    @abstractmethod
    def mine(self) -> Iterator[Comment]:
        """Give those that this token's account wrote."""

    @abstractmethod
    def create(self, body: str) -> str:
        """Write one, and give its place."""

    @abstractmethod
    def edit(self, comment: Comment, body: str) -> str:
        """Give one another text, and give its place."""


class _GitHub(Forge):
    limit = 65_536
    _missing = (
        "a workflow needs `permissions: pull-requests: write`, another token the permission"
        " 'Pull requests: read and write'"
    )

    def __init__(self, request: PullRequest) -> None:
        who = request.token_variable
        self._request = request
        self._comments = f"/repos/{quote(request.repository)}/issues"
        self._api = Api(
            request.api,
            headers=self._headers(request.token),
            meanings={
                401: f"{who} is not valid, or not any more",
                403: f"{who} may not do that; {self._missing}",
                404: f"there is no pull request {request.number} in {request.repository}, or"
                f" {who} may not see it; {self._missing}",
            },
        )

    @staticmethod
    def _headers(token: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def mine(self) -> Iterator[Comment]:
        accounts = self._accounts()
        for found in self._api.pages(f"{self._comments}/{self._request.number}/comments"):
            user = found.get("user") or {}  # null where the account is gone
            if (user.get("login"), user.get("type") == "Bot") in accounts:
                yield _github_comment(found)

    def create(self, body: str) -> str:
        path = f"{self._comments}/{self._request.number}/comments"
        return _github_comment(self._api.ask("POST", path, {"body": body})).place

    def edit(self, comment: Comment, body: str) -> str:
        path = f"{self._comments}/comments/{comment.number}"
        return _github_comment(self._api.ask("PATCH", path, {"body": body})).place

    def _accounts(self) -> set[tuple[str, bool]]:
        """Give whom this token writes as: login, and whether that is a bot's."""
        try:
            user = self._api.ask("GET", "/user")
            return {(user["login"], user.get("type") == "Bot")}
        except ApiError as exc:
            if exc.status not in _REFUSED:
                raise
        # The token of a workflow or an app is nobody's, and only GraphQL tells of whom.
        try:
            asked = {"query": "{viewer{login}}"}
            answer = self._api.ask("POST", self._request.graphql, asked, reads=True)
            viewer = (answer.get("data") or {}).get("viewer") or {}
        except ApiError as exc:
            if exc.status not in _REFUSED:
                raise
            viewer = {}
        login = viewer.get("login") or "github-actions"
        return {(f"{login.removesuffix('[bot]')}[bot]", True)}


class _Gitea(_GitHub):
    _missing = "the token needs to read and write issues and to read its user"

    @staticmethod
    def _headers(token: str) -> dict[str, str]:
        return {"Authorization": f"token {token}"}

    def _accounts(self) -> set[tuple[str, bool]]:
        return {(self._api.ask("GET", "/user")["login"], False)}


class _GitLab(Forge):
    limit = 1_000_000

    def __init__(self, request: PullRequest) -> None:
        who = request.token_variable
        self._request = request
        project = quote(request.repository, safe="")
        self._notes = f"/projects/{project}/merge_requests/{request.number}/notes"
        needed = f"{who} needs the scope api and at least the role Reporter in the project"
        self._api = Api(
            request.api,
            headers={"PRIVATE-TOKEN": request.token},
            meanings={
                401: f"{who} is not valid, or not any more",
                403: f"{who} may not do that; {needed}",
                404: f"there is no merge request {request.number} in project"
                f" {request.repository}, or {who} may not see it; {needed}",
            },
        )

    def mine(self) -> Iterator[Comment]:
        account = self._api.ask("GET", "/user")["id"]
        for note in self._api.pages(f"{self._notes}?sort=asc&order_by=created_at"):
            if not note.get("system") and note["author"]["id"] == account:
                yield self._comment(note)

    def create(self, body: str) -> str:
        return self._comment(self._api.ask("POST", self._notes, {"body": body})).place

    def edit(self, comment: Comment, body: str) -> str:
        path = f"{self._notes}/{comment.number}"
        return self._comment(self._api.ask("PUT", path, {"body": body})).place

    def _comment(self, note: Any) -> Comment:
        number = int(note["id"])
        page = self._request.page
        place = f"{page}#note_{number}" if page else f"note {number}"
        return Comment(number=number, body=note["body"], place=place)


def _github_comment(found: Any) -> Comment:
    number = int(found["id"])
    place = found.get("html_url") or f"comment {number}"
    return Comment(number=number, body=found.get("body") or "", place=place)


_FORGES = {"github": _GitHub, "gitea": _Gitea, "gitlab": _GitLab}


def open_forge(request: PullRequest) -> Forge:
    """Give the forge of a pull request.

    Raises:
        ApiError: There is no token.
    """
    if not request.token:
        raise ApiError(f"{request.token_variable} is not set", status=_UNKNOWN)
    return _FORGES[request.forge](request)
