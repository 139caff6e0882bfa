"""The graph of revisions: what is there, which of it the version table lists, in which order."""

from __future__ import annotations

from collections import Counter
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Present", "closure", "dependents", "ordered"]


def closure(ids: Iterable[str], needs: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Give the revisions and all that they need, however far away.

    Args:
        ids: Where to begin.
        needs: Parents and dependencies by id; an id that is missing here needs nothing.
    """
    found: set[str] = set()
    waiting = list(ids)
    while waiting:
        id_ = waiting.pop()
        if id_ not in found:
            found.add(id_)
            waiting.extend(needs.get(id_, ()))
    return found


def dependents(needs: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Give the revisions that need each one, by id.

    Args:
        needs: Parents and dependencies by id.
    """
    found: dict[str, list[str]] = {}
    for id_, others in needs.items():
        for other in others:
            found.setdefault(other, []).append(id_)
    return {id_: tuple(others) for id_, others in found.items()}


def ordered(
    ids: Iterable[str], needs: Mapping[str, tuple[str, ...]], preference: Sequence[str]
) -> list[str]:
    """Order revisions so that each comes after what it needs.

    Args:
        ids: What to order.
        needs: Parents and dependencies by id.
        preference: An order to keep to where there is a choice; others come last.
    """
    place = {id_: number for number, id_ in enumerate(preference)}
    chosen = set(ids)
    sorter = TopologicalSorter({id_: chosen.intersection(needs.get(id_, ())) for id_ in chosen})
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=lambda id_: (place.get(id_, len(place)), id_))
        order += ready
        sorter.done(*ready)
    return order


class Present:
    """The revisions that are there, and the rows that the version table has for them.

    The rows are those revisions that no other one there needs; so Alembic keeps them, dependencies
    included.
    """

    def __init__(self, ids: Iterable[str], needs: Mapping[str, tuple[str, ...]]) -> None:
        """Begin with `ids`, all of whose needs are among them."""
        self.needs = needs
        self._ids = set(ids)
        self._wanted = Counter(need for id_ in self._ids for need in set(needs.get(id_, ())))
        self._rows = {id_ for id_ in self._ids if not self._wanted[id_]}

    @property
    def heads(self) -> tuple[str, ...]:
        """The rows, sorted."""
        return tuple(sorted(self._rows))

    def add(self, id_: str) -> None:
        """Put a revision in whose needs are there."""
        self._ids.add(id_)
        for need in set(self.needs.get(id_, ())):
            self._wanted[need] += 1
            self._rows.discard(need)
        self._rows.add(id_)

    def remove(self, id_: str) -> None:
        """Take a revision out that no other one needs."""
        self._ids.discard(id_)
        self._rows.discard(id_)
        for need in set(self.needs.get(id_, ())):
            self._wanted[need] -= 1
            if not self._wanted[need]:
                self._rows.add(need)
