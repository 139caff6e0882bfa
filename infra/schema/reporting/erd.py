"""The entity diagram of what changes: which tables, which columns, and it as Mermaid's text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from infra.schema.reporting import objects, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from infra.schema.model import Catalog
    from infra.schema.reporting.objects import Column, Reference, Table

__all__ = ["MOST_COLUMNS", "MOST_TABLES", "Attribute", "Diagram", "Entity", "Relation", "diagram"]

MOST_TABLES = 20
"""What can still be read; the changed ones come before their neighbours."""
MOST_COLUMNS = 24
"""Of a table; keys and changed ones come before the others."""

Mark = Literal["", "new", "changed", "dropped"]


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """A column: its name and type as a person says them, "PK, FK", and what becomes of it."""

    name: str
    type: str
    keys: tuple[str, ...] = ()
    mark: Mark = ""


@dataclass(frozen=True, kw_only=True)
class Entity:
    """A table.

    Attributes:
        name: As SQL writes it.
        label: As a person says it.
        mark: What becomes of it; empty for a neighbour, of which only keys are shown.
        attributes: Its columns.
        more: How many further columns it has.
    """

    name: str
    label: str
    mark: Mark
    attributes: tuple[Attribute, ...]
    more: int = 0


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A foreign key between two tables of the diagram.

    Attributes:
        parent: The table that is referred to.
        child: The one that refers.
        columns: Its columns that do, as a person says them.
        optional: Whether a row may refer to nothing.
        single: Whether at most one row refers to the same.
        mark: What becomes of it.
    """

    parent: str
    child: str
    columns: tuple[str, ...]
    optional: bool
    single: bool
    mark: Mark = ""


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """Tables and what is between them.

    Attributes:
        entities: The changed ones first.
        relations: Between them.
        left_out: How many tables there was no room for.
    """

    entities: tuple[Entity, ...]
    relations: tuple[Relation, ...]
    left_out: int = 0

    @property
    def mermaid(self) -> str:
        """The text that Mermaid draws; names that it can't take are written in a similar way."""
        ids = {entity.name: f"e{number}" for number, entity in enumerate(self.entities, 1)}
        lines = ["erDiagram"]
        for entity in self.entities:
            mark = f" ({entity.mark})" if entity.mark else ""
            lines.append(f'  {ids[entity.name]}["{_label(entity.label)}{mark}"] {{')
            lines += [f"    {_attribute(each)}" for each in entity.attributes]
            if entity.more:
                more = words.plural(entity.more, "more column", "more columns")
                lines.append(f'    more columns_{entity.more} "{more}"')
            lines.append("  }")
        for each in self.relations:
            ends = f"{'|o' if each.optional else '||'}--{'o|' if each.single else 'o{'}"
            mark = f" ({each.mark})" if each.mark else ""
            said = f'"{_label(", ".join(each.columns))}{mark}"'
            lines.append(f"  {ids[each.parent]} {ends} {ids[each.child]} : {said}")
        return "\n".join(lines)


def diagram(before: Catalog, after: Catalog) -> Diagram | None:
    """Choose what to draw: changed tables, and those that they refer to or that refer to them.

    Returns:
        None where no table changed.
    """
    old, new = objects.tables(before), objects.tables(after)
    there = {**old, **new}
    altered = [name for name in objects.changed(before, after) if name in there]
    if not altered:
        return None
    near = sorted(_neighbours(altered, there, old))
    shown = [*altered, *near][:MOST_TABLES]
    relations = tuple(_relations(shown, old, new))
    return Diagram(
        entities=tuple(
            _entity(name, old.get(name), new.get(name), relations, whole=name in altered)
            for name in shown
        ),
        relations=relations,
        left_out=len(altered) + len(near) - len(shown),
    )


def _neighbours(
    altered: Iterable[str], there: Mapping[str, Table], old: Mapping[str, Table]
) -> set[str]:
    changed = set(altered)
    found = set()
    for name, table in there.items():
        for reference in (*table.references, *(old[name].references if name in old else ())):
            if name in changed:
                found.add(reference.to)
            elif reference.to in changed:
                found.add(name)
    return {name for name in found if name in there} - changed


def _relations(
    shown: Sequence[str], old: Mapping[str, Table], new: Mapping[str, Table]
) -> Iterator[Relation]:
    for name in shown:
        was = {each.constraint: each for each in old[name].references} if name in old else {}
        will = {each.constraint: each for each in new[name].references} if name in new else {}
        for constraint, reference in {**was, **will}.items():
            if reference.to in shown:
                mark: Mark = ""
                if constraint not in will:
                    mark = "dropped"
                elif constraint not in was:
                    mark = "new"
                elif was[constraint].definition != reference.definition:
                    mark = "changed"
                yield _relation((new if constraint in will else old)[name], reference, mark)


def _relation(table: Table, reference: Reference, mark: Mark) -> Relation:
    columns = [table.columns[each] for each in reference.columns if each in table.columns]
    return Relation(
        parent=reference.to,
        child=table.name,
        columns=tuple(_said(column) for column in reference.columns),
        optional=any(column.nullable for column in columns),
        single=any(set(key.columns) <= set(reference.columns) for key in table.keys),
        mark=mark,
    )


def _entity(
    name: str,
    was: Table | None,
    will: Table | None,
    relations: Iterable[Relation],
    *,
    whole: bool,
) -> Entity:
    mark: Mark = ""
    if whole:
        mark = "changed" if was and will else "new" if will else "dropped"
    attributes = list(_attributes(was, will))
    used = {column for each in relations if each.child == name for column in each.columns}
    first = [each for each in attributes if each.mark or "PK" in each.keys or each.name in used]
    ranked = sorted(attributes, key=lambda each: each not in first) if whole else first
    kept = ranked[:MOST_COLUMNS]
    return Entity(
        name=name,
        label=words.line(objects.plain(name)),
        mark=mark,
        attributes=tuple(each for each in attributes if each in kept),
        more=len(attributes) - len(kept),
    )


def _attributes(was: Table | None, will: Table | None) -> Iterator[Attribute]:
    old = was.columns if was else {}
    new = will.columns if will else {}
    for name in {**new, **old}:
        mark: Mark = ""
        if was and will and old.get(name) != new.get(name):
            mark = "changed" if name in old and name in new else "new" if name in new else "dropped"
        table = will if will and name in new else was
        if table:
            yield Attribute(
                name=_said(name),
                type=_short(new.get(name) or old[name]),
                keys=_keys(table, name),
                mark=mark,
            )


def _keys(table: Table, column: str) -> tuple[str, ...]:
    primary = any(key.primary and column in key.columns for key in table.keys)
    foreign = any(column in reference.columns for reference in table.references)
    unique = any(not key.primary and key.columns == (column,) for key in table.keys)
    marks = (("PK", primary), ("FK", foreign), ("UK", unique and not primary))
    return tuple(mark for mark, is_so in marks if is_so)


def _said(name: str) -> str:
    return words.line(objects.plain(name))


# Names that PostgreSQL takes for the same, and that leave room.
_SHORT = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time without time zone": "time",
    "time with time zone": "timetz",
    "double precision": "float8",
    "character varying": "varchar",
    "character": "char",
}
_LONG = re.compile("|".join(_SHORT))


def _short(column: Column) -> str:
    # timestamp(3) with time zone has its digits in the middle
    digits = re.sub(r"\A(time(?:stamp)?)(\(\d\)) (with(?:out)? time zone)", r"\1 \3\2", column.type)
    return words.cut(objects.plain(_LONG.sub(lambda found: _SHORT[found[0]], digits)), 40)


# What Mermaid would act on, and the letter that looks most like it. Full-width ones are letters
# for its grammar and for Markdown, which it applies to labels.
_LOOKALIKE = str.maketrans('"`%\\#<>&*$~', "''％＼＃‹›＆＊＄～")  # noqa: RUF001
_EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_DOTS = str.maketrans({",": "‚", ".": "․", " ": "_"})  # noqa: RUF001
_KEYWORD = re.compile(r"(?:pk|fk|uk)(?![A-Za-z0-9_])", re.IGNORECASE)


def _label(text: str) -> str:
    return _EDGE.sub("＿", text.translate(_LOOKALIKE))  # noqa: RUF001


def _attribute(each: Attribute) -> str:
    keys = f" {', '.join(each.keys)}" if each.keys else ""
    mark = f' "{each.mark}"' if each.mark else ""
    return f"{_word(each.type, '()[]-')} {_word(each.name, '')}{keys}{mark}"


def _word(text: str, also: str) -> str:
    """Write a word as Mermaid's grammar takes it: letters, digits, `_`; a letter first."""
    kept = "".join(
        c if (c.isascii() and (c.isalnum() or c in f"_{also}")) or _letter(c) else "_"
        for c in text.translate(_DOTS)
    )
    if not kept or not (kept[0].isalpha() or kept[0] == "_") or _KEYWORD.match(kept):
        kept = f"_{kept}"
    return kept


def _letter(character: str) -> bool:
    return character in "‚․" or (character >= "\u00c0" and character.isalnum())  # noqa: RUF001
