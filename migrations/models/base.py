"""What every table shares: names of constraints, types of columns, kinds of keys."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, DateTime, Identity, MetaData, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

__all__ = ["Base", "CreatedAt", "IdentityKey", "UuidKey"]

# PostgreSQL reports a refused row by the name of the constraint, and Alembic finds a constraint
# again by its name: so each one has a name that says what it is, made by one rule.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

UuidKey = Annotated[
    uuid.UUID, mapped_column(primary_key=True, server_default=func.gen_random_uuid())
]
"""Key of a row that other rows or other systems refer to: known before the row is written."""

IdentityKey = Annotated[int, mapped_column(BigInteger, Identity(always=True), primary_key=True)]
"""Key of a row that only piles up: eight bytes, in the order of writing, never chosen by hand."""

CreatedAt = Annotated[datetime, mapped_column(server_default=func.now())]
"""When the row was written, by the clock of the server."""


class Base(DeclarativeBase):
    """The base of all models; `Base.metadata` is what autogenerate compares with a database."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    # `varchar(n)` would refuse a long text with a message that names no constraint, and a
    # timestamp without a zone means another instant to each reader.
    type_annotation_map = {  # noqa: RUF012 - DeclarativeBase declares it without ClassVar
        datetime: DateTime(timezone=True),
        # None is SQL NULL, as for any other column, and not the JSON value `null`.
        dict[str, Any]: JSONB(none_as_null=True),
        str: Text,
        uuid.UUID: Uuid,
    }
