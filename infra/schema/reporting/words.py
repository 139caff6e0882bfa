"""Numbers as people say them, and text that shows every character it has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolchain import visible_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["about", "cut", "joined", "line", "plural", "seconds", "size", "unique", "visible"]

_KEPT = 12  # names in a sentence; more are a number
_HIDDEN = "[hidden]"
# What a report must not carry to a public page: a URL's login, and whole URLs of databases.
_DATABASE_URL = re.compile(r"\bpostgres(?:ql)?(?:\+\w+)?://[^\s'\"<>`]*", re.IGNORECASE)
_LOGIN = re.compile(r"(://)[^\s/@'\"<>`]*:[^\s/@'\"<>`]*@")
# In a connection string; a comparison of a column of that name is left as it is.
_PASSWORD = re.compile(
    r"((?:\b(?:host|hostaddr|port|user|dbname|sslmode)\s*=\s*[^\s']+\s+|')password\s*=\s*)[^\s'\"]+",
    re.IGNORECASE,
)
_PASSWORD_OF_ROLE = re.compile(
    r"(\bPASSWORD\s+)(?:E?'(?:[^']|'')*'|\$(\w*)\$.*?\$\2\$)", re.IGNORECASE | re.DOTALL
)


def seconds(value: float) -> str:
    """Say a time: 35 ms, 1.2 s, 4 min 10 s, 2 h 5 min."""
    if value < 0.0005:  # noqa: PLR2004 - what rounds to 0 ms
        return "under 1 ms"
    if value < 0.9995:  # noqa: PLR2004 - what rounds to 1,000 ms
        return f"{value * 1000:.0f} ms"
    if value < 9.95:  # noqa: PLR2004 - two digits are enough
        return f"{value:.1f} s"
    whole = round(value)
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{whole} s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def size(value: int) -> str:
    """Say a number of bytes, in powers of ten: 812 bytes, 35 kB, 4.1 MB."""
    if value < 1000:  # noqa: PLR2004 - the first power
        return plural(value, "byte")
    scaled = float(value)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        scaled /= 1000
        if scaled < 999.5 or unit == "PB":  # noqa: PLR2004 - what rounds to the next power
            break
    return f"{scaled:.1f} {unit}" if scaled < 9.95 else f"{scaled:,.0f} {unit}"  # noqa: PLR2004


def about(rows: int) -> str:
    """Say an estimate of rows: about 1.2 million rows."""
    if rows >= 1_000_000:  # noqa: PLR2004 - where digits say less than a word
        return f"about {rows / 1_000_000:,.1f} million rows"
    return f"about {plural(rows, 'row')}"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """Say how many there are of something."""
    return f"{number:,} {noun if number == 1 else nouns or f'{noun}s'}"


def joined(names: Sequence[str], *, most: int = _KEPT) -> str:
    """List names in a sentence, the first of them where there are many."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def visible(text: str) -> str:
    r"""Show what would be hidden: control and direction marks become `\u202e`; secrets go.

    Line ends become those of Unix; tabs stay. What can't be encoded is escaped too.
    """
    hidden = _DATABASE_URL.sub(f"the database's URL {_HIDDEN}", text)
    hidden = _LOGIN.sub(rf"\1{_HIDDEN}@", hidden)
    hidden = _PASSWORD_OF_ROLE.sub(rf"\1'{_HIDDEN}'", _PASSWORD.sub(rf"\1{_HIDDEN}", hidden))
    return visible_text.visible(hidden)


def line(text: str) -> str:
    """Put text on one line."""
    return " ".join(visible(text).split())


def cut(text: str, width: int) -> str:
    """Put text on one line of at most `width` characters."""
    short = line(text)
    return short if len(short) <= width else f"{short[: width - 1]}…"


def unique(texts: Iterable[str]) -> tuple[str, ...]:
    """Give each once, in order."""
    return tuple(dict.fromkeys(texts))
