"""Alembic's note of the types that a run has made, begun with those of earlier runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.schema import named_types

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from infra.schema.named_types import Memo

__all__ = ["Types"]

_KINDS = ("pg_", "_pg_")  # the second in SQLAlchemy 1.4


class Types(dict[str, Any]):
    """Stands for `impl.memo`, in which SQLAlchemy keeps a set of types under each kind of type."""

    def __init__(
        self, memo: Memo, connection: Connection, ask: Callable[[Connection, str], Any]
    ) -> None:
        """Begin with what is made.

        Args:
            memo: What is made, or may be.
            connection: Of the revision.
            ask: Sends a question as one of ours, and gives the one value of its answer.
        """
        super().__init__()
        self._memo = memo
        self._connection = connection
        self._ask = ask

    def __contains__(self, key: object) -> bool:
        """Have every kind of type from the beginning."""
        return super().__contains__(key) or (isinstance(key, str) and key.startswith(_KINDS))

    def __missing__(self, key: str) -> _Made:
        """Begin a set."""
        if not key.startswith(_KINDS):
            raise KeyError(key)
        self[key] = made = _Made(self._is_there)
        return made

    def _is_there(self, key: tuple[str, str]) -> bool:
        found = self._memo.find(key)
        if found is None:
            options = self._connection.get_execution_options()
            schemas = options.get("schema_translate_map") or {}
            schema = schemas.get(key[0] or None, key[0])
            question = f"SELECT {named_types.exists((schema or '', key[1]))}"
            return bool(self._ask(self._connection, question))
        return found


class _Made(set[Any]):
    """Types by schema and name."""

    def __init__(self, is_there: Callable[[tuple[str, str]], bool]) -> None:
        """Ask of those that are not in it."""
        super().__init__()
        self._is_there = is_there

    def __contains__(self, key: object) -> bool:
        """Tell whether it was made in this run, or is there from before."""
        if super().__contains__(key) or not isinstance(key, tuple):
            return super().__contains__(key)
        schema, name = key
        return self._is_there((str(schema or ""), str(name)))
