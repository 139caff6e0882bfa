"""The list of extensions: read from the texts that the engine hands over, each entry checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infra.extensions import Extension
from infra.settings.key import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.settings.draft import Draft

__all__ = ["check", "extensions"]

_BYTES = 63
_FORM = (
    "a list of names, or of maps with name and schema, is wanted: pulumi config set --path"
    f" '{spelled('extensions')}[0]' vector; [] for none"
)


def check(draft: Draft) -> None:
    """Note the mistakes of the list."""
    given = _read(draft["extensions"])
    if given is None:
        draft.refuse("extensions", f"{draft['extensions']!r} is no list; {_FORM}")
        return
    seen: set[str] = set()
    for why in _mistakes(given, seen):
        draft.refuse("extensions", why)


def extensions(draft: Draft) -> tuple[Extension, ...]:
    """Give the extensions, in the order in which they are to be made."""
    return tuple(map(_extension, _read(draft["extensions"]) or ()))


def _read(text: str) -> list[Any] | None:
    """Read a JSON list, or names with commas in between; None for anything else."""
    if text.lstrip().startswith(("[", "{", '"')):
        try:
            given = json.loads(text)
        except ValueError:
            return None
        return given if isinstance(given, list) else None
    return [name.strip() for name in text.split(",") if name.strip()]


def _extension(entry: Any) -> Extension:
    if isinstance(entry, str):
        return Extension(name=entry)
    return Extension(name=entry["name"], schema=entry.get("schema") or "")


def _mistakes(given: list[Any], seen: set[str]) -> Iterator[str]:
    for entry in given:
        why = _mistake(entry)
        if why:
            yield f"{json.dumps(entry, ensure_ascii=False)} {why}"
            continue
        name = _extension(entry).name
        if name in seen:
            yield f"{name!r} is listed twice"
        if name == "plpgsql":
            yield "'plpgsql' is in every database; take it out"
        seen.add(name)


def _mistake(entry: Any) -> str:
    named = entry if isinstance(entry, dict) else {"name": entry}
    strange = [key for key in named if key not in ("name", "schema")]
    if strange:
        return f"has {strange[0]!r}; {_FORM}"
    name, schema = named.get("name"), named.get("schema", "")
    if not isinstance(name, str) or not isinstance(schema, str) or not name:
        return f"is no extension; {_FORM}"
    if any(len(each.encode(errors="replace")) > _BYTES or "\0" in each for each in (name, schema)):
        return f"has a name that PostgreSQL does not take: 1 to {_BYTES} bytes"
    if schema.startswith("pg_") or schema == "information_schema":
        return f"has the schema {schema!r}, which is PostgreSQL's own"
    return ""
