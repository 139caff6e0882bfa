"""Orders the sets of SQLAlchemy's schema objects, so that the same files give the same SQL.

SQLAlchemy keeps the indexes and constraints of a table in sets, and its objects hash by their
address, which differs in each process: two `index=True` would be rendered in either order.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.sql.schema import SchemaItem
from sqlalchemy.sql.sqltypes import SchemaType
from sqlalchemy.util import OrderedSet

__all__ = ["begin_function", "order_schema_items"]

_DECLARED = {Table: ("indexes", "constraints", "foreign_keys"), Column: ("constraints",)}
# A set goes by the low bits of a hash. Above these, a number keeps the hashes of two functions
# apart: SQLAlchemy takes columns with one hash for equal.
_FUNCTION_BITS = 44
_NUMBER = "_groundwork_number"

_numbers = count(1)
_functions = count(1)
_function = 0


class _InOrder:
    """An attribute whose sets keep the order in which they are filled."""

    def __init__(self, name: str) -> None:
        """Keep them under the attribute's own name, as SQLAlchemy's copies of objects expect."""
        self._name = name

    def __get__(self, owner: Any, _kind: type) -> Any:
        """Give the set; of the class, the attribute itself."""
        if owner is None:
            return self
        try:
            return vars(owner)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None

    def __set__(self, owner: Any, values: Any) -> None:
        """Keep a set."""
        vars(owner)[self._name] = OrderedSet(values)


def order_schema_items() -> None:
    """Order them in this process, for all tables that are made from now on."""
    for kind, names in _DECLARED.items():
        for name in names:
            setattr(kind, name, _InOrder(name))
    for kind in (SchemaItem, SchemaType):
        kind.__hash__ = _number  # type: ignore[method-assign,assignment] # in this process alone


def begin_function() -> None:
    """Begin to count again: what a revision makes is then independent of the files before it."""
    global _numbers, _function
    _numbers, _function = count(1), next(_functions)


def _number(item: Any) -> int:
    """Hash an object by its place among those of the revision that made it."""
    owner, number = vars(item).get(_NUMBER, (None, 0))
    if owner != id(item):  # a copy, which took the number of its original along
        number = (_function << _FUNCTION_BITS) + next(_numbers)
        vars(item)[_NUMBER] = (id(item), number)
    return int(number)
