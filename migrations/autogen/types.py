"""Types of columns, written the way a revision can keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pgvector.sqlalchemy import BIT, HALFVEC, SPARSEVEC, Vector
from sqlalchemy import Enum

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext

__all__ = ["render_item"]

# pgvector's types under the names that revisions import.
_VECTORS = {Vector: "Vector", HALFVEC: "HALFVEC", SPARSEVEC: "SPARSEVEC", BIT: "BIT"}


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write pgvector's types the way they are imported, and enums by name; leave the rest.

    An enum by name alone is not made along with a table, unseen and never dropped, and a later
    change of its values doesn't make this revision untrue.
    """
    if kind != "type":
        return False
    if type(item) in _VECTORS:
        name = _VECTORS[type(item)]
        size = item.length if isinstance(item, BIT) else item.dim
        autogen.imports.add(f"from pgvector.sqlalchemy import {name}")
        return f"{name}({size or ''})"
    if isinstance(item, Enum) and item.native_enum and item.name and item.schema is None:
        autogen.imports.add("from sqlalchemy.dialects.postgresql import ENUM")
        return f"ENUM(name={str(item.name)!r}, create_type=False)"
    return False
