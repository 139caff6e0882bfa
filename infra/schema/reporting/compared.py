"""Each changed table before and after, as a difference of lines."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from infra.schema.reporting import objects, words
from infra.schema.reporting.content import Code, Said, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.schema.model import Catalog
    from infra.schema.reporting.content import Block

__all__ = ["before_and_after"]

_AROUND = 3  # unchanged lines around a change, where a table is too long to be shown whole
_WHOLE = 60  # lines
_DOTS = "  …"


def before_and_after(before: Catalog, after: Catalog) -> Section | None:
    """Show what is different in each table and view, and in what belongs to none of them."""
    old, new = objects.by_relation(before), objects.by_relation(after)
    names = objects.changed(before, after)
    if not names:
        return None
    blocks: list[Block] = [Said(text="The lines with + are how it will be, those with - go.")]
    for name in sorted(names, key=lambda name: (not name, name)):  # the others come last
        lines = _difference(old.get(name, {}), new.get(name, {}), name)
        blocks.append(Code(text="\n".join(lines), language="diff", title=_title(name, old, new)))
    return Section(
        title="Before and after",
        about=words.joined([words.line(objects.plain(name)) or "others" for name in names], most=6),
        blocks=tuple(blocks),
        unit="table",
        keep=1,
    )


def _title(
    name: str, old: Mapping[str, Mapping[str, str]], new: Mapping[str, Mapping[str, str]]
) -> str:
    if not name:
        return "Objects of no table"
    said = words.line(objects.plain(name))
    if name not in old:
        return f"{said} (new)"
    return said if name in new else f"{said} (dropped)"


def _difference(old: Mapping[str, str], new: Mapping[str, str], relation: str) -> list[str]:
    """Show the objects of a table one after the other, those that are the same too."""
    said: list[str] = []
    for name in sorted({*old, *new}, key=objects.place):
        before = list(_lines(name, old[name], relation)) if name in old else []
        after = list(_lines(name, new[name], relation)) if name in new else []
        # Of all that is in a database and in no table only what is different says anything.
        if before != after or relation:
            said += _marked(before, after)
    return said if len(said) <= _WHOLE else _around_changes(said)


def _marked(before: list[str], after: list[str]) -> Iterator[str]:
    for what, start, end, from_, to in SequenceMatcher(None, before, after).get_opcodes():
        if what == "equal":
            yield from (f"  {line}" for line in before[start:end])
        else:
            yield from (f"- {line}" for line in before[start:end])
            yield from (f"+ {line}" for line in after[from_:to])


def _around_changes(lines: list[str]) -> list[str]:
    kept = {
        near
        for place, line in enumerate(lines)
        if not line.startswith(" ")
        for near in range(place - _AROUND, place + _AROUND + 1)
    }
    shown: list[str] = []
    for place, line in enumerate(lines):
        if place in kept:
            shown.append(line)
        elif shown[-1:] != [_DOTS]:
            shown.append(_DOTS)
    return shown


def _lines(name: str, definition: str, relation: str) -> Iterator[str]:
    """Describe an object: in one line where its definition is one."""
    its = objects.kind(name)
    short = words.line(name.replace(f" {relation}.", " ", 1) if relation else name)
    text = words.visible(definition).strip().removeprefix(f"{its}, ")
    if text in (its, ""):
        yield short
    elif "\n" in text:
        yield f"{short}:"
        yield from (f"    {line}" for line in text.splitlines())
    elif its in objects.TABLES or its == "comment on":
        yield f"{short}: {text}"
    else:
        yield f"{short} {text}"
