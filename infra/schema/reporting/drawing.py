"""An entity diagram as SVG: boxes in columns, what is referred to left of what refers.

Mermaid itself needs a browser, and what draws its text without one either takes minutes for a few
tables or cuts letters off, so the diagram is drawn here. Letters are those of a typewriter, whose
width is known without a font, so that text stays inside its box.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infra.schema.reporting.erd import Diagram, Entity, Relation

__all__ = ["svg"]

# All in pixels.
_LETTER = 7.3  # of 12 px; the widest of the usual fonts has 7.23
_ROW = 20
_HEAD = 26
_PAD = 10
_GAP = 14  # between the parts of a row
_ACROSS = 76  # between two columns of boxes, for the lines
_SIGN = 18  # what the signs at the ends of a line take
_DOWN = 26
_EDGE = 14  # around all
_TALL = 900  # what a column of boxes may have before it is broken


@dataclass
class _Box:
    entity: Entity
    texts: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]
    x: float = 0.0
    y: float = 0.0
    width: float = field(init=False)
    height: float = field(init=False)

    def __post_init__(self) -> None:
        title = f"{self.entity.label}  {self.entity.mark}"
        row = sum(self.widths) + _GAP * (sum(width > 0 for width in self.widths) - 1)
        self.width = 2 * _PAD + max(row, _width(title) + _GAP)
        self.height = _HEAD + _ROW * len(self.texts) + 4

    def row(self, column: str) -> float:
        """Give the middle of the row of a column, else that of the head."""
        for number, attribute in enumerate(self.entity.attributes):
            if attribute.name == column:
                return self.y + _HEAD + _ROW * (number + 0.5)
        return self.y + _HEAD / 2


def svg(diagram: Diagram) -> str:
    """Draw a diagram; colours are left to the classes of the page that it is in."""
    boxes = {entity.name: _box(entity) for entity in diagram.entities}
    _place(boxes, diagram.relations)
    width = max(box.x + box.width for box in boxes.values()) + _EDGE + 24  # a loop's room
    height = max(box.y + box.height for box in boxes.values()) + _EDGE
    size = f"{width:.0f} {height:.0f}"
    names = ", ".join(entity.label for entity in diagram.entities)
    parts = [
        f'<svg class="erd" role="img" viewBox="0 0 {size}" style="width: {width:.0f}px">',
        f"<title>Entity diagram: {escape(names)}</title>",
        *(_line(relation, boxes) for relation in diagram.relations),
        *(part for box in boxes.values() for part in _drawn(box)),
        "</svg>",
    ]
    return "\n".join(parts)


def _box(entity: Entity) -> _Box:
    texts = [(" ".join(each.keys), each.name, each.type, each.mark) for each in entity.attributes]
    if entity.more:
        texts.append(("", f"… {entity.more} more", "", ""))
    widths = tuple(max((_width(row[part]) for row in texts), default=0.0) for part in range(4))
    return _Box(entity=entity, texts=tuple(texts), widths=widths)


def _width(text: str) -> float:
    """Say how wide a text may be: letters of East Asia and pictures take two places."""
    places = sum(2 if unicodedata.east_asian_width(c) in "WF" or c > "\uffff" else 1 for c in text)
    return places * _LETTER


def _place(boxes: Mapping[str, _Box], relations: Sequence[Relation]) -> None:
    """Put boxes into columns by what they refer to, and within one near what they refer to."""
    x = float(_EDGE)
    for names in _columns(boxes, relations):
        y = float(_EDGE)
        for name in sorted(names, key=lambda name: _pull(name, boxes, relations)):
            boxes[name].x, boxes[name].y = x, y
            y += boxes[name].height + _DOWN
        x += max(boxes[name].width for name in names) + _ACROSS


def _pull(name: str, boxes: Mapping[str, _Box], relations: Sequence[Relation]) -> tuple[float, str]:
    above = [boxes[each.parent].y for each in relations if each.child == name != each.parent]
    return (sum(above) / len(above) if above else 0.0), name


def _columns(boxes: Mapping[str, _Box], relations: Sequence[Relation]) -> Iterator[tuple[str, ...]]:
    ranks = _ranks(list(boxes), relations)
    for rank in sorted(set(ranks.values())):
        column: list[str] = []
        height = 0.0
        for name in boxes:
            if ranks[name] != rank:
                continue
            if column and height + boxes[name].height > _TALL:
                yield tuple(column)
                column, height = [], 0.0
            column.append(name)
            height += boxes[name].height + _DOWN
        yield tuple(column)


def _ranks(names: Sequence[str], relations: Sequence[Relation]) -> dict[str, int]:
    """Number each by the longest way to it; one that turns in a circle is cut once around."""
    parents: dict[str, set[str]] = {name: set() for name in names}
    for each in relations:
        if each.parent != each.child:
            parents[each.child].add(each.parent)
    ranks: dict[str, int] = {}
    begun: set[str] = set()

    def rank(name: str) -> int:
        if name not in begun:
            begun.add(name)
            ranks[name] = 1 + max((rank(each) for each in sorted(parents[name])), default=-1)
        return ranks.get(name, -1)  # not known yet where the way turned in a circle

    for name in names:
        rank(name)
    return ranks


def _line(relation: Relation, boxes: Mapping[str, _Box]) -> str:
    parent, child = boxes[relation.parent], boxes[relation.child]
    start = parent.row(_target(parent))
    end = child.row(relation.columns[0]) if relation.columns else child.row("")
    left = parent.x + parent.width
    forward = parent.x + parent.width <= child.x
    to = child.x if forward else child.x + child.width
    side = -1 if forward else 1  # where the child's end leaves its box
    # Straight where the signs of the ends are, which the curve would leave otherwise.
    begin, finish = left + _SIGN, to + side * _SIGN
    out = max((finish - begin) / 2, 16.0) if forward else 16.0
    path = f"M{left:.1f} {start:.1f} H{begin:.1f} C{begin + out:.1f} {start:.1f} "
    path += f"{finish + side * out:.1f} {end:.1f} {finish:.1f} {end:.1f} H{to:.1f}"
    said = f"{child.entity.label} ({', '.join(relation.columns)}) refers to {parent.entity.label}"
    mark = f", {relation.mark}" if relation.mark else ""
    return (
        f'<g class="line {relation.mark}"><title>{escape(said + mark)}</title>'
        f'<path d="{path}"/>{_parent_end(left, start, optional=relation.optional)}'
        f"{_child_end(to, end, side, single=relation.single)}</g>"
    )


def _target(parent: _Box) -> str:
    """Give the column of a primary key alone: a line to it begins there."""
    keys = [each.name for each in parent.entity.attributes if "PK" in each.keys]
    return keys[0] if len(keys) == 1 else ""


def _parent_end(x: float, y: float, *, optional: bool) -> str:
    bar = f'<path d="M{x + 7:.1f} {y - 5:.1f} v10"/>'
    if optional:
        return f'{bar}<circle cx="{x + 13:.1f}" cy="{y:.1f}" r="4"/>'
    return f'{bar}<path d="M{x + 11:.1f} {y - 5:.1f} v10"/>'


def _child_end(x: float, y: float, side: int, *, single: bool) -> str:
    circle = f'<circle cx="{x + side * 14:.1f}" cy="{y:.1f}" r="4"/>'
    if single:
        return f'{circle}<path d="M{x + side * 7:.1f} {y - 5:.1f} v10"/>'
    tip = x + side * 10
    return f'{circle}<path d="M{x:.1f} {y - 5:.1f} L{tip:.1f} {y:.1f} L{x:.1f} {y + 5:.1f}"/>'


def _drawn(box: _Box) -> Iterator[str]:
    entity = box.entity
    yield f'<g class="box {entity.mark}" transform="translate({box.x:.1f} {box.y:.1f})">'
    yield f'<rect class="frame" width="{box.width:.1f}" height="{box.height:.1f}" rx="6"/>'
    head = f"M0 {_HEAD} V6 a6 6 0 0 1 6 -6 H{box.width - 6:.1f} a6 6 0 0 1 6 6 V{_HEAD} Z"
    yield f'<path class="head" d="{head}"/>'
    yield f'<text class="name" x="{_PAD}" y="17">{escape(entity.label)}</text>'
    if entity.mark:
        yield f'<text class="mark" x="{box.width - _PAD:.1f}" y="17">{entity.mark}</text>'
    marks = [*(each.mark for each in entity.attributes), ""]
    for number, texts in enumerate(box.texts):
        yield from _row(box, number, texts, marks[number])
    yield "</g>"


def _row(box: _Box, number: int, texts: tuple[str, ...], mark: str) -> Iterator[str]:
    top = _HEAD + _ROW * number
    yield f'<g class="row {mark}">'
    if mark:
        yield f'<rect x="1" y="{top}" width="{box.width - 2:.1f}" height="{_ROW}"/>'
    x = float(_PAD)
    kinds = ("key", "column", "type", "mark")
    for kind, text, width in zip(kinds, texts, box.widths, strict=True):
        at = box.width - _PAD if kind == "mark" else x
        if text:
            yield f'<text class="{kind}" x="{at:.1f}" y="{top + 14}">{escape(text)}</text>'
        x += width + _GAP if width else 0.0
    yield "</g>"
