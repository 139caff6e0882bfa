"""What a user may choose about the schema node: names, defaults, and what each one takes."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from infra.schema import drift, interpreter
from infra.schema.invocation import (
    ALEMBIC,
    DRIVERS,
    NO_LIMIT,
    SHORTEST_SECRET,
    Invocation,
    secret_parts,
)
from infra.schema.model import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CHOICES",
    "DEFAULTS",
    "DURATIONS",
    "MOST_ROWS",
    "RULE_LEVELS",
    "USUAL_ROWS",
    "Options",
    "duration_mistake",
    "mistakes",
    "parse",
    "seconds",
]

DEFAULTS = {
    "revision": "head",
    "downgrade": "refuse",
    "drift": "report",
    "acceptedDrift": "[]",
    "driftIgnore": "[]",
    "edited": "refuse",
    "adopt": "",
    "apply": "compiled",
    "approved_plan": "",
    "on_destroy": "retain",
    "lock_timeout": "",
    "statement_timeout": "",
    "url_variable": "DATABASE_URL",
    "iniSection": "alembic",
    "xArguments": "[]",
    "migrationsRoot": "",
    "engineName": "",
    "driver": "",
    "migrationsEnvironment": "{}",
    "migrationsPython": "",
    "renderTimeout": "15min",
    "lint": "report",
    "lint_levels": "{}",
    "since": "",
    "rehearse": "false",
    "rehearse_rows": "-1",
    "rehearse_timeout": "10min",
    "dataChecks": "true",
    "dataCheckTimeout": "2s",
    "dataChecksTimeout": "20s",
    "longTransaction": "1min",
}

CHOICES = {
    "downgrade": ("refuse", "allow"),
    "drift": ("report", "refuse", "accept"),
    "edited": ("refuse", "accept"),
    "apply": ("compiled", "online"),
    "on_destroy": ("retain", "downgrade"),
    "lint": ("off", "report", "refuse"),
    "rehearse": ("true", "false"),
    "dataChecks": ("true", "false"),
    "driver": ("", *DRIVERS),
}
DURATIONS = (
    "lock_timeout",
    "statement_timeout",
    "rehearse_timeout",
    "dataCheckTimeout",
    "dataChecksTimeout",
    "longTransaction",
    "renderTimeout",
)
RULE_LEVELS = ("error", "warning", "note", "off")
MOST_ROWS = 10_000_000
USUAL_ROWS = 1_000
"""Made-up rows of a table where no number is set: enough for a row that is in the way to show,
and made in some 20 ms."""
_APART = ("x_arguments", "x_secret", "variables", "variables_secret")
_PATTERNS = ("acceptedDrift", "driftIgnore")
_NUMBER = re.compile(r"[0-9]{1,9}")
_DURATION = re.compile(r"([0-9]{1,9}) ?(us|ms|s|min|h|d)?")
# In milliseconds, as PostgreSQL takes a number without a unit, and the most that it takes.
_UNITS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST = 2**31 - 1
_DIGEST = re.compile(r"[0-9a-fA-F]{64}|")
_HEX = re.compile(r"[0-9a-fA-F]{1,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Whatever else git may take for a commit: with a dash first it would be an option of git's.
_COMMIT = re.compile(r"[^\s-]\S*|")


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
        ini_section: The section of alembic.ini, as `-n` names it.
        x_arguments: What follows each `-x`; no part of `dump`.
        x_secret: Whether these are not to be shown; the same.
        migrations_root: The folder that Alembic is called in; empty finds it.
        engine_name: The section of the one database of an env.py with several; empty for others.
        driver: The driver that env.py's URL is to name; empty takes the one that was there before.
        variables: Environment variables for env.py and the revisions; no part of `dump`.
        variables_secret: Whether their values are not to be shown; the same.
        migrations_python: The interpreter, or the folder of its virtual environment, that renders
            and runs online; empty takes this project's.
        render_timeout: How long env.py and the revisions may take to be rendered.
        lint: "off"; "report" tells what a review finds in pending revisions; "refuse" lets `up`
            run none with an error among it.
        lint_levels: The level of a rule where it is not its own: "error", "warning", "note", "off".
        since: Commit, tag or branch of the previous release; what it has is history. Empty takes
            the commit that the ledger knows.
        rehearse: Whether a preview runs what is pending on a throwaway server first.
        rehearse_rows: How many rows each table has there at the most; -1 for as many as the live
            one has, up to `USUAL_ROWS`, and none where the live statistics show none.
        rehearse_timeout: How long all of that may take, as PostgreSQL writes a duration.
        data_checks: Whether a review asks the live rows what statements depend on.
        data_check_timeout: How long one such question may take, as PostgreSQL writes a duration.
        data_checks_timeout: How long all of them may take.
        long_transaction: From which age on a transaction that is in the way is told.
        roles: The roles that the stack declares; empty where nobody said.
        environment: The kind of environment, "prod" for example; empty outside of a stack.
        moved_to: The cluster and database that the stack has moved to on purpose; empty for none.
        schema: The schema that the stack works in; empty where the search_path alone decides.
    """

    policy: Policy = field(default_factory=Policy)
    on_destroy: Literal["retain", "downgrade"] = "retain"
    lock_timeout: str = ""
    statement_timeout: str = ""
    url_variable: str = DEFAULTS["url_variable"]
    ini_section: str = ALEMBIC
    x_arguments: tuple[str, ...] = field(default=(), repr=False)
    x_secret: bool = False
    migrations_root: str = ""
    engine_name: str = ""
    driver: str = ""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables_secret: bool = False
    migrations_python: str = ""
    render_timeout: str = DEFAULTS["renderTimeout"]
    lint: Literal["off", "report", "refuse"] = "report"
    lint_levels: Mapping[str, str] = field(default_factory=dict)
    since: str = ""
    rehearse: bool = False
    rehearse_rows: int = -1
    rehearse_timeout: str = DEFAULTS["rehearse_timeout"]
    data_checks: bool = True
    data_check_timeout: str = DEFAULTS["dataCheckTimeout"]
    data_checks_timeout: str = DEFAULTS["dataChecksTimeout"]
    long_transaction: str = DEFAULTS["longTransaction"]
    roles: tuple[str, ...] = ()
    environment: str = ""
    moved_to: str = ""
    schema: str = ""

    @property
    def invocation(self) -> Invocation:
        """How Alembic is called."""
        root = self.migrations_root
        return Invocation(
            variable=self.url_variable,
            section=self.ini_section,
            arguments=self.x_arguments,
            root=str(Path(root).expanduser().absolute()) if root else "",
            engine=self.engine_name,
            driver=self.driver,
            python=interpreter.path(self.migrations_python),
            seconds=seconds(self.render_timeout) or NO_LIMIT,
            environment=tuple(sorted(self.variables.items())),
            secrets=self._secrets(),
        )

    def _secrets(self) -> tuple[str, ...]:
        hidden = secret_parts(self.x_arguments) if self.x_secret else ()
        values = tuple(self.variables.values()) if self.variables_secret else ()
        return (*hidden, *(value for value in values if len(value) >= SHORTEST_SECRET))

    def dump(self) -> dict[str, Any]:
        """Give it as plain data, without what may be secret."""
        data = asdict(self)
        for name in _APART:
            del data[name]
        return data

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Options:
        """Build one from what `dump` gave."""
        roles = tuple(data.get("roles", ()))
        policy = dict(data["policy"])
        for name in ("accepted_drift", "drift_ignore"):
            policy[name] = tuple(policy.get(name, ()))
        return cls(**{**data, "policy": Policy(**policy), "roles": roles})


def mistakes(values: Mapping[str, str]) -> list[str]:
    """List what is wrong with the values, a line each that begins with the key."""
    given = {**DEFAULTS, **values}
    found = [
        f"{key}: {given[key]!r} is unknown; one of: {', '.join(filter(None, allowed))}"
        for key, allowed in CHOICES.items()
        if given[key] not in allowed
    ]
    found += [f"{key}: {why}" for key in DURATIONS if (why := duration_mistake(given[key]))]
    if not given["revision"]:
        found.append("revision: is empty; head, heads, base, a revision or LABEL@head")
    if not _DIGEST.fullmatch(given["approved_plan"]):
        found.append(f"approved_plan: {_digest_mistake(given['approved_plan'])}")
    if not _VARIABLE.fullmatch(given["url_variable"]):
        found.append(f"url_variable: {given['url_variable']!r} is no name of a variable")
    if not _COMMIT.fullmatch(given["since"]):
        found.append(f"since: {given['since']!r} is no commit, tag or branch of git")
    if not given["iniSection"].strip():
        found.append("iniSection: is empty; the section of alembic.ini that -n names")
    if _variables(given["migrationsEnvironment"]) is None:
        found.append("migrationsEnvironment: is no object of texts by the names of variables")
    if _arguments(given["xArguments"]) is None:
        found.append('xArguments: is no list of texts: ["tenant=blue", "flag"]')
    rows = given["rehearse_rows"]
    if rows != "-1" and not (_NUMBER.fullmatch(rows) and int(rows) <= MOST_ROWS):
        found.append(f"rehearse_rows: {rows!r} is no number of rows; 0 to {MOST_ROWS}, or -1")
    for key in _PATTERNS:
        names = _names(given[key])
        said = ["is no list of objects"] if names is None else map(drift.mistake, names)
        found += [f"{key}: {why}" for why in said if why]
    return found + [f"lint_levels: {why}" for why in _levels_mistakes(given["lint_levels"])]


def _digest_mistake(text: str) -> str:
    """Tell what is wrong with a digest that is not all of one."""
    take = "write all 64 characters that preview shows as approve"
    if _HEX.fullmatch(text):
        return (
            f"{text!r} has {len(text)} of 64 characters, and another plan that begins like it can"
            f" be made on purpose (12 characters took four minutes); {take}"
        )
    return f"{text!r} is no digest of 64 hexadecimal characters; {take}"


def _names(text: str) -> tuple[str, ...] | None:
    """Read a list of objects: a JSON array, or a line each; None for anything else."""
    if not text.lstrip().startswith("["):
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    try:
        given = json.loads(text)
    except ValueError:
        return None
    names = tuple(each.strip() for each in given if isinstance(each, str) and each.strip())
    return names if len(names) == len(given) else None


def _arguments(text: str) -> tuple[str, ...] | None:
    """Read a JSON array of texts; None for anything else."""
    try:
        given = json.loads(text)
    except ValueError:
        return None
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        return None
    return tuple(given)


def _variables(text: str) -> dict[str, str] | None:
    """Read a JSON object of texts by name; None for anything else."""
    try:
        given = json.loads(text)
    except ValueError:
        return None
    if not isinstance(given, dict):
        return None
    pairs = {name: value for name, value in given.items() if isinstance(value, str | int | float)}
    if len(pairs) != len(given) or not all(map(_VARIABLE.fullmatch, pairs)):
        return None
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in pairs.items()
    }


def _levels_mistakes(text: str) -> list[str]:
    levels = _levels(text)
    if levels is None:
        return [f"{text!r} is no map of rules to levels: ban-drop-column=error, or as JSON"]
    return [
        f"{level!r} of {rule!r} is unknown; one of: {', '.join(RULE_LEVELS)}"
        for rule, level in levels.items()
        if level not in RULE_LEVELS
    ]


def _levels(text: str) -> dict[str, str] | None:
    """Read `rule=level, rule=level`, or the same as a JSON object; None for anything else."""
    if text.lstrip().startswith("{"):
        try:
            given = json.loads(text)
        except ValueError:
            return None
        return {str(rule): str(level) for rule, level in given.items()}
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not all(equals and rule.strip() for rule, equals, _ in pairs):
        return None
    return {rule.strip(): level.strip() for rule, _, level in pairs}


def seconds(duration: str) -> float:
    """Turn a duration as PostgreSQL writes it into seconds; 0 for none."""
    found = _DURATION.fullmatch(duration)
    return int(found[1]) * _UNITS[found[2] or "ms"] / 1000 if found else 0.0


def duration_mistake(text: str) -> str:
    """Tell what is wrong with a duration as PostgreSQL writes it; "" where nothing is, or none."""
    found = _DURATION.fullmatch(text)
    if not found:
        right = "write 500ms, 5s, 10min, 1h, or 0 for no limit"
        return f"{text!r} is no duration; {right}" if text else ""
    if int(found[1]) * _UNITS[found[2] or "ms"] > _LONGEST:
        return f"{text!r} is longer than PostgreSQL takes, 24 days; write 0 for no limit"
    return ""


def parse(  # noqa: PLR0913 - each from another place than the values
    values: Mapping[str, str],
    *,
    roles: tuple[str, ...] = (),
    environment: str = "",
    moved_to: str = "",
    schema: str = "",
    x_secret: bool = False,
    variables_secret: bool = False,
) -> Options:
    """Turn values without mistakes into options; a missing key has its default.

    Args:
        values: By key.
        roles: The roles that the stack declares.
        environment: The kind of environment that it is.
        moved_to: See `Options`.
        schema: The schema that it works in.
        x_secret: Whether the arguments of env.py are secret.
        variables_secret: Whether its environment variables are.
    """
    given = {**DEFAULTS, **values}
    policy = {key: given[key] for key in ("downgrade", "drift", "edited", "adopt", "apply")}
    return Options(
        policy=Policy(
            target=given["revision"],
            approved_plan=given["approved_plan"],
            accepted_drift=_names(given["acceptedDrift"]) or (),
            drift_ignore=_names(given["driftIgnore"]) or (),
            **cast("Any", policy),
        ),
        on_destroy=cast("Any", given["on_destroy"]),
        lock_timeout=given["lock_timeout"],
        statement_timeout=given["statement_timeout"],
        url_variable=given["url_variable"],
        ini_section=given["iniSection"].strip(),
        x_arguments=_arguments(given["xArguments"]) or (),
        x_secret=x_secret,
        migrations_root=given["migrationsRoot"],
        engine_name=given["engineName"],
        driver=given["driver"],
        variables=_variables(given["migrationsEnvironment"]) or {},
        variables_secret=variables_secret,
        migrations_python=given["migrationsPython"],
        render_timeout=given["renderTimeout"],
        lint=cast("Any", given["lint"]),
        lint_levels=_levels(given["lint_levels"]) or {},
        since=given["since"],
        rehearse=given["rehearse"] == "true",
        rehearse_rows=int(given["rehearse_rows"]),
        rehearse_timeout=given["rehearse_timeout"],
        data_checks=given["dataChecks"] == "true",
        data_check_timeout=given["dataCheckTimeout"],
        data_checks_timeout=given["dataChecksTimeout"],
        long_transaction=given["longTransaction"],
        roles=roles,
        environment=environment,
        moved_to=moved_to,
        schema=schema,
    )
