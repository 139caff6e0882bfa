"""Which pull request a CI runs for, and the token it has, by the CI's own variables."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FORGES", "PullRequest", "SurroundingsError", "find"]

_REF = re.compile(r"refs/pull/([0-9]+)/")
# Its pull requests get a token that only reads, as those from forks do.
_READER = "dependabot[bot]"


class SurroundingsError(Exception):
    """It can't be told where a comment belongs."""


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """A pull request, and the way to it.

    Attributes:
        forge: One of `FORGES`.
        api: The address of the forge's REST API.
        repository: As the API names it.
        number: As the API counts it.
        foreign: Whether it comes from a fork, so that its token can't write.
        token: May be empty.
        token_variable: Where the token comes from, or should.
        graphql: The address of the GraphQL API; GitHub's alone.
        page: The address of the pull request's page, where it is known.
    """

    forge: str
    api: str
    repository: str
    number: str
    foreign: bool
    token: str = field(repr=False)
    token_variable: str
    graphql: str = ""
    page: str = ""


def find(environment: Mapping[str, str], *, forge: str = "", number: str = "") -> PullRequest:
    """Read the variables of a CI.

    Args:
        environment: The variables.
        forge: One of `FORGES`, where they don't say it.
        number: That of the pull request, where they don't say it.

    Raises:
        SurroundingsError: Something is missing; the message says what.
    """
    chosen = forge or _detected(environment)
    if not chosen:
        raise SurroundingsError(
            "no CI of GitHub, Gitea or GitLab that says where the comment belongs; give --forge"
        )
    return FORGES[chosen](environment, number)


def _detected(environment: Mapping[str, str]) -> str:
    if environment.get("GITEA_ACTIONS") or environment.get("FORGEJO_ACTIONS"):
        return "gitea"
    if environment.get("GITLAB_CI"):
        return "gitlab"
    return "github" if environment.get("GITHUB_ACTIONS") else ""


def _github(environment: Mapping[str, str], number: str) -> PullRequest:
    api = environment.get("GITHUB_API_URL") or "https://api.github.com"
    # GitHub Enterprise Server has the one at /api/v3 and the other at /api/graphql.
    graphql = environment.get("GITHUB_GRAPHQL_URL") or f"{api.removesuffix('/v3')}/graphql"
    return _hub("github", environment, number, tokens=("GITHUB_TOKEN",), api=api, graphql=graphql)


def _gitea(environment: Mapping[str, str], number: str) -> PullRequest:
    server = environment.get("GITHUB_SERVER_URL", "")
    api = environment.get("GITHUB_API_URL") or f"{server}/api/v1"
    return _hub("gitea", environment, number, tokens=("GITEA_TOKEN", "GITHUB_TOKEN"), api=api)


def _hub(
    forge: str,
    environment: Mapping[str, str],
    number: str,
    *,
    tokens: tuple[str, ...],
    api: str,
    graphql: str = "",
) -> PullRequest:
    event = _event(environment)
    pull = event.get("pull_request") or {}
    reference = _REF.match(environment.get("GITHUB_REF", ""))
    number = number or str(pull.get("number") or (reference[1] if reference else ""))
    variable = next(filter(environment.get, tokens), tokens[0])
    return PullRequest(
        forge=forge,
        api=api,
        repository=_needed(environment, "GITHUB_REPOSITORY"),
        number=_counted(number),
        foreign=_from_fork(pull) or environment.get("GITHUB_ACTOR") == _READER,
        token=_token(environment, variable),
        token_variable=variable,
        graphql=graphql,
    )


def _gitlab(environment: Mapping[str, str], number: str) -> PullRequest:
    project = environment.get("CI_MERGE_REQUEST_PROJECT_ID") or _needed(
        environment, "CI_PROJECT_ID"
    )
    source = environment.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") or project
    number = _counted(number or environment.get("CI_MERGE_REQUEST_IID", ""))
    page = environment.get("CI_MERGE_REQUEST_PROJECT_URL", "")
    return PullRequest(
        forge="gitlab",
        api=environment.get("CI_API_V4_URL") or "https://gitlab.com/api/v4",
        repository=project,
        number=number,
        foreign=source != project,
        token=_token(environment, "GITLAB_TOKEN"),
        token_variable="GITLAB_TOKEN",  # noqa: S106 - the variable's name
        page=f"{page}/-/merge_requests/{number}" if page else "",
    )


def _event(environment: Mapping[str, str]) -> dict[str, Any]:
    path = environment.get("GITHUB_EVENT_PATH", "")
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}


def _from_fork(pull: Mapping[str, Any]) -> bool:
    if not pull:
        return False
    sides = ((pull.get(side) or {}).get("repo") or {} for side in ("head", "base"))
    head, base = (side.get("full_name") for side in sides)  # a fork that is gone has no name
    return bool(head != base)


def _needed(environment: Mapping[str, str], name: str) -> str:
    if value := environment.get(name):
        return value
    raise SurroundingsError(f"{name} is not set, so that nobody knows where the comment belongs")


def _counted(number: str) -> str:
    if not number:
        raise SurroundingsError("this run is not for a pull request; give --number")
    if not (number.isascii() and number.isdecimal()):
        raise SurroundingsError(f"{number!r} is no number of a pull request")
    return number


def _token(environment: Mapping[str, str], name: str) -> str:
    token = environment.get(name, "").strip()
    # Python's own message would show it.
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise SurroundingsError(f"{name} holds characters that no token has")
    return token


FORGES: Mapping[str, Callable[[Mapping[str, str], str], PullRequest]] = {
    "github": _github,
    "gitea": _gitea,
    "gitlab": _gitlab,
}
