"""Resources that the program of the running deployment declares, as their providers have seen.

The engine doesn't tell a provider whether a delete belongs to a replacement or is meant. In a
replacement the program declares the resource still, so that the engine has called `check` of it in
the same process before; a destroy runs no program, and of what left the program nothing is checked.
"""

from __future__ import annotations

__all__ = ["clear", "declared", "note"]

_noted: set[tuple[str, str]] = set()


def note(kind: str, key: str) -> None:
    """Note that the program declares a resource; called by `check` of its provider.

    Args:
        kind: Of resource.
        key: Tells it from others of its kind. Not the whole URN, of which a renamed stack has
            another one than its state.
    """
    _noted.add((kind, key))


def declared(kind: str, key: str) -> bool:
    """Tell whether a delete belongs to a replacement.

    Args:
        kind: Of resource.
        key: As for `note`; where a former state has none, any of the kind will do.
    """
    return (kind, key) in _noted if key else any(noted == kind for noted, _ in _noted)


def clear() -> None:
    """Forget everything, as a new process does."""
    _noted.clear()
