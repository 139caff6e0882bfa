"""What a user may choose about the schema node: names, defaults, and what each one takes."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from infra.schema.model import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CHOICES", "DEFAULTS", "Options", "mistakes", "parse"]

DEFAULTS = {
    "revision": "head",
    "downgrade": "refuse",
    "drift": "report",
    "edited": "refuse",
    "adopt": "",
    "apply": "compiled",
    "approved_plan": "",
    "on_destroy": "retain",
    "lock_timeout": "",
    "statement_timeout": "",
    "url_variable": "DATABASE_URL",
}

CHOICES = {
    "downgrade": ("refuse", "allow"),
    "drift": ("report", "refuse", "accept"),
    "edited": ("refuse", "accept"),
    "apply": ("compiled", "online"),
    "on_destroy": ("retain", "downgrade"),
}
_DURATION = re.compile(r"(\d{1,9} ?(us|ms|s|min|h|d)?)?")
_DIGEST = re.compile(r"[0-9a-fA-F]{12,64}|")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the schema node is to act.

    Attributes:
        policy: What a plan may hold.
        on_destroy: What becomes of the schema when the node goes and its database stays.
        lock_timeout: PostgreSQL's, for each wait for a lock, "5s" for example; empty leaves what
            role or URL say, or takes 5 s.
        statement_timeout: PostgreSQL's, for each statement; empty the same, or one hour.
        url_variable: The environment variable that env.py reads its URL from.
    """

    policy: Policy = field(default_factory=Policy)
    on_destroy: Literal["retain", "downgrade"] = "retain"
    lock_timeout: str = ""
    statement_timeout: str = ""
    url_variable: str = DEFAULTS["url_variable"]

    def dump(self) -> dict[str, Any]:
        """Give it as plain data."""
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Options:
        """Build one from what `dump` gave."""
        return cls(**{**data, "policy": Policy(**data["policy"])})


def mistakes(values: Mapping[str, str]) -> list[str]:
    """List what is wrong with the values, a line each that begins with the key."""
    given = {**DEFAULTS, **values}
    found = [
        f"{key}: {given[key]!r} is unknown; one of: {', '.join(allowed)}"
        for key, allowed in CHOICES.items()
        if given[key] not in allowed
    ]
    found += [
        f"{key}: {given[key]!r} is no duration; write 500ms, 5s, 10min, 1h, or 0 for no limit"
        for key in ("lock_timeout", "statement_timeout")
        if not _DURATION.fullmatch(given[key])
    ]
    if not given["revision"]:
        found.append("revision: is empty; head, base, a revision or a branch label")
    if not _DIGEST.fullmatch(given["approved_plan"]):
        found.append("approved_plan: is no digest; take the one that preview shows as approve")
    if not _VARIABLE.fullmatch(given["url_variable"]):
        found.append(f"url_variable: {given['url_variable']!r} is no name of a variable")
    return found


def parse(values: Mapping[str, str]) -> Options:
    """Turn values without mistakes into options; a missing key has its default."""
    given = {**DEFAULTS, **values}
    policy = {key: given[key] for key in ("downgrade", "drift", "edited", "adopt", "apply")}
    return Options(
        policy=Policy(
            target=given["revision"], approved_plan=given["approved_plan"], **cast("Any", policy)
        ),
        on_destroy=cast("Any", given["on_destroy"]),
        lock_timeout=given["lock_timeout"],
        statement_timeout=given["statement_timeout"],
        url_variable=given["url_variable"],
    )
