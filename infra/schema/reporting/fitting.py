"""Makes a section fit into what room there is: long code first, then pieces from the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infra.schema.reporting import words
from infra.schema.reporting.content import Code, Drawing, Grid, Points

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.schema.reporting.content import Block, Section

__all__ = ["Fitted", "fit"]

_LONGEST = (20_000, 8_000, 3_000, 1_000)  # letters of one piece of code, tried in this order
_MARKS = {"sql": "-- ", "sh": "# ", "diff": "  ", "text": ""}


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What is left of a section.

    Attributes:
        section: It; None where nothing of it fits.
        cut: What is gone, in words; empty where it is whole.
    """

    section: Section | None
    cut: str = ""


def fit(section: Section, room: int, measure: Callable[[Section], int]) -> Fitted:
    """Cut a section down until `measure` says that it fits into `room`."""
    # A letter takes at least one unit of room, which spares writing millions of them to see.
    if _letters(section) <= room and measure(section) <= room:
        return Fitted(section=section)
    for longest in _LONGEST:
        short, number = _shortened(section, longest)
        if number and _letters(short) <= room and measure(short) <= room:
            return Fitted(section=short, cut=_words(section, 0, number))
    return _fewer(section, room, measure)


def _fewer(section: Section, room: int, measure: Callable[[Section], int]) -> Fitted:
    short, _ = _shortened(section, _LONGEST[-1])
    total = _pieces(section.blocks)
    low, high = 0, total - 1
    while low < high:  # the largest number of pieces that fits
        middle = (low + high + 1) // 2
        if measure(replace(short, blocks=_first(short.blocks, middle))) <= room:
            low = middle
        else:
            high = middle - 1
    kept = replace(short, blocks=_first(short.blocks, low)) if low > 0 else None
    if kept is None or measure(kept) > room:
        return Fitted(section=None, cut=f"{section.title} ({section.about})")
    _, number = _shortened(replace(section, blocks=_first(section.blocks, low)), _LONGEST[-1])
    return Fitted(section=kept, cut=_words(section, total - low, number))


def _words(section: Section, gone: int, shortened: int) -> str:
    said = []
    if gone:
        total = words.plural(_pieces(section.blocks), section.unit)
        said.append(f"{gone:,} of {total}")
    if shortened:
        said.append(f"the ends of {words.plural(shortened, f'long {section.unit}')}")
    return f"{section.title}: {' and '.join(said)}"


def _shortened(section: Section, longest: int) -> tuple[Section, int]:
    """Cut each piece of code that is longer; gives how many."""
    blocks: list[Block] = []
    number = 0
    for block in section.blocks:
        if isinstance(block, Code) and len(block.text) > longest:
            number += 1
            blocks.append(replace(block, text=_beginning(block, longest)))
        else:
            blocks.append(block)
    return replace(section, blocks=tuple(blocks)), number


def _beginning(block: Code, longest: int) -> str:
    kept = block.text[:longest]
    whole_lines = kept.rpartition("\n")[0]
    kept = whole_lines if len(whole_lines) > longest // 2 else kept
    gone = words.plural(len(block.text) - len(kept), "character")
    return f"{kept}\n{_MARKS[block.language]}… cut here: {gone} more"


def _size(block: Block) -> int:
    """Count the pieces of a block: those that stand for something, not the words between them."""
    if isinstance(block, Points):
        return len(block.points)
    if isinstance(block, Grid):
        return len(block.rows)
    return int(isinstance(block, Code | Drawing))


def _pieces(blocks: tuple[Block, ...]) -> int:
    return sum(map(_size, blocks))


def _first(blocks: tuple[Block, ...], number: int) -> tuple[Block, ...]:
    """Keep the first pieces, and the words that stand before them."""
    kept: list[Block] = []
    for block in blocks:
        size = _size(block)
        if number <= 0:
            break
        if size > number and isinstance(block, Points):
            kept.append(replace(block, points=block.points[:number]))
        elif size > number and isinstance(block, Grid):
            kept.append(replace(block, rows=block.rows[:number]))
        else:
            kept.append(block)
        number -= size
    return tuple(kept)


def _letters(section: Section) -> int:
    return sum(len(block.text) for block in section.blocks if isinstance(block, Code))
