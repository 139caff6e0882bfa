"""How Alembic is called on a folder: what its command line and its environment would say."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALEMBIC", "DRIVERS", "NO_LIMIT", "SHORTEST_SECRET", "Invocation", "secret_parts"]

ALEMBIC = "alembic"  # the section of alembic.ini that is read without -n
NO_LIMIT = 10 * 365 * 86_400.0  # seconds
DRIVERS = ("psycopg", "psycopg2", "asyncpg", "pg8000", "psycopg2cffi", "psycopg_async")
"""Drivers of PostgreSQL, as SQLAlchemy's URLs name them."""
SHORTEST_SECRET = 3  # a shorter text is in every message
_HIDDEN = "***"


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """How Alembic is called. Hashable, and plain data for the processes that call it.

    Attributes:
        variable: The environment variable that env.py reads its URL from.
        section: The section of alembic.ini, as `-n` names it.
        arguments: What follows each `-x`, for env.py.
        root: The folder to call it in, absolute; "" finds it.
        engine: Of an env.py with several databases, the section of the one to run; "" for others.
        secrets: Texts that no message, plan or state may show.
        driver: The driver that its URL names; empty takes the one that was there before.
        environment: Environment variables that env.py has beside its own, by name.
        python: The interpreter that renders and runs online, absolute; "" for this process's own.
        seconds: How long env.py and the revisions may take to be rendered.
    """

    variable: str = "DATABASE_URL"
    section: str = ALEMBIC
    arguments: tuple[str, ...] = ()
    root: str = ""
    engine: str = ""
    secrets: tuple[str, ...] = ()
    driver: str = ""
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    python: str = ""
    seconds: float = 900.0

    def dump(self) -> dict[str, Any]:
        """Give it as data for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Invocation:
        """Build one from what `dump` gave."""
        lists = {name: _tuple(value) for name, value in data.items() if isinstance(value, list)}
        return cls(**{**data, **lists})

    def command(self) -> str:
        """Write what is not as usual as options, without secrets; "" where all is."""
        words = ["-n", self.section] if self.section != ALEMBIC else []
        for argument in self.arguments:
            words += ["-x", argument]
        words += ["--engine-name", self.engine] if self.engine else []
        return self.redacted(shlex.join(words))

    def redacted(self, text: str) -> str:
        """Take what is secret out of a text."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return text

    def shows_secret(self, text: str) -> bool:
        """Tell whether a text has something in it that is secret."""
        return any(secret in text for secret in self.secrets)


def _tuple(value: list[Any]) -> tuple[Any, ...]:
    return tuple(_tuple(each) if isinstance(each, list) else each for each in value)


def secret_parts(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Give what is secret in arguments that are: the values, or a whole one without a name."""
    values = (text.partition("=")[2] or text for text in arguments)
    return tuple(dict.fromkeys(value for value in values if len(value) >= SHORTEST_SECRET))
