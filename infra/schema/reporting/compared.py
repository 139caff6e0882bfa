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
    if not relation:  # of all that is in a database only what is different says anything
        same = {name for name in old if old[name] == new.get(name)}
        old, new = (
            {name: text for name, text in each.items() if name not in same} for each in (old, new)
        )
    before, after = list(_lines(old, relation)), list(_lines(new, relation))
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    around = _AROUND if max(len(before), len(after)) > _WHOLE else len(before) + len(after)
    said: list[str] = []
    for group in matcher.get_grouped_opcodes(around):
        said += ["  …"] if group[0][1] else []
        for what, start, end, from_, to in group:
            if what == "equal":
                said += [f"  {line}" for line in before[start:end]]
            else:
                said += [f"- {line}" for line in before[start:end]]
                said += [f"+ {line}" for line in after[from_:to]]
    return said


def _lines(described: Mapping[str, str], relation: str) -> Iterator[str]:
    """Describe objects: one line each where the definition is one line."""
    for name, definition in sorted(described.items(), key=lambda item: objects.place(item[0])):
        its = objects.kind(name)
        short = words.line(name.replace(f" {relation}.", " ", 1) if relation else name)
        text = words.visible(definition).strip()
        if text in (its, ""):
            yield short
        elif "\n" in text:
            yield f"{short}:"
            yield from (f"    {line}" for line in text.splitlines())
        elif its in objects.TABLES or its == "comment on":
            yield f"{short}: {text}"
        else:
            yield f"{short} {text}"
