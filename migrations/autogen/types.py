"""Types of columns, written the way a revision can keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pgvector.sqlalchemy import BIT, HALFVEC, SPARSEVEC, Vector
from sqlalchemy import Computed, DefaultClause, Enum, TextClause

from autogen.change import escaped
from autogen.expressions import computed_text

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext

__all__ = ["render_item"]

# pgvector's types under the names that revisions import.
_VECTORS = {Vector: "Vector", HALFVEC: "HALFVEC", SPARSEVEC: "SPARSEVEC", BIT: "BIT"}


def _default(item: Any) -> str | Literal[False]:
    r"""Write a default as the model has it.

    Alembic takes the backslash of "\:name" away, and a quote at either end of a text.
    """
    if isinstance(item, Computed):
        persisted = "" if item.persisted is None else f", persisted={item.persisted}"
        return f"sa.Computed({escaped(computed_text(item))!r}{persisted})"
    value = item.arg if isinstance(item, DefaultClause) else None
    if isinstance(value, str):
        return repr(value)
    if not isinstance(value, TextClause):
        return False
    return f"sa.text({(escaped(value.text) if item.reflected else value.text)!r})"


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write pgvector's types as they are imported, enums by name, texts of defaults; no others.

    An enum by name alone is not made along with a table, unseen and never dropped, and a later
    change of its values doesn't make this revision untrue.
    """
    if kind == "server_default":
        return _default(item)
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
