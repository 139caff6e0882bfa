"""Dialects of PostgreSQL that take the options of any driver, installed or not.

An application makes its engine when it is imported, with options of the driver that it runs with:
`executemany_mode` is psycopg2's alone. A history must be readable all the same, whichever driver is
installed here, and whichever URL it is given.
"""

from __future__ import annotations

import importlib.util
import sqlite3
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool
from sqlalchemy.util import get_cls_kwargs

from infra.schema.invocation import DRIVERS

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.engine import Dialect

__all__ = [
    "ASYNCHRONOUS",
    "ERRORS",
    "default_driver",
    "dialects",
    "entry",
    "installed",
    "lenient",
    "offer_unconnected",
    "usable",
]

ASYNCHRONOUS = frozenset({"asyncpg", "psycopg_async"})
"""Drivers that an event loop awaits."""
_MODULES = {"psycopg_async": "psycopg"}
_CLASSES = {
    "psycopg": ("psycopg", "PGDialect_psycopg", "PGDialectAsync_psycopg"),
    "psycopg_async": ("psycopg", "PGDialect_psycopg", "PGDialectAsync_psycopg"),
    "psycopg2": ("psycopg2", "PGDialect_psycopg2", ""),
    "psycopg2cffi": ("psycopg2cffi", "PGDialect_psycopg2cffi", ""),
    "pg8000": ("pg8000", "PGDialect_pg8000", ""),
    "asyncpg": ("asyncpg", "PGDialect_asyncpg", "PGDialect_asyncpg"),
}
ERRORS = (
    *("Warning", "Error", "InterfaceError", "DatabaseError", "DataError", "OperationalError"),
    *("IntegrityError", "InternalError", "ProgrammingError", "NotSupportedError"),
)
"""Exceptions that Python's interface for databases asks of every driver, by name."""


def installed(driver: str) -> bool:
    """Tell whether a driver can be imported in this process."""
    try:
        return importlib.util.find_spec(_MODULES.get(driver, driver)) is not None
    except (ImportError, ValueError):
        return False


def usable(driver: str) -> bool:
    """Tell whether a driver is installed, and this SQLAlchemy has a dialect for it."""
    if not installed(driver):
        return False
    try:
        dialects(driver)
    except ImportError:
        return False
    return True


class _AnyOptions:
    """Takes the options of all drivers, and hands on those that the driver has."""

    supports_statement_cache = True
    groundwork_own: type[Any]

    def __init__(  # noqa: PLR0913, PLR0917 - SQLAlchemy looks at the names
        self,
        client_encoding: Any = None,
        executemany_batch_page_size: Any = None,
        executemany_mode: Any = None,
        executemany_values_page_size: Any = None,
        use_batch_mode: Any = None,
        use_native_hstore: Any = None,
        use_native_unicode: Any = None,
        use_native_uuid: Any = None,
        **options: Any,
    ) -> None:
        """Hand on what was set and is known."""
        given = {
            "client_encoding": client_encoding,
            "executemany_batch_page_size": executemany_batch_page_size,
            "executemany_mode": executemany_mode,
            "executemany_values_page_size": executemany_values_page_size,
            "use_batch_mode": use_batch_mode,
            "use_native_hstore": use_native_hstore,
            "use_native_unicode": use_native_unicode,
            "use_native_uuid": use_native_uuid,
        }
        own = get_cls_kwargs(type(self).groundwork_own)
        taken = {name: given[name] for name in given if name in own and given[name] is not None}
        super().__init__(**taken, **options)


def lenient(dialect: type[Any]) -> type[Any]:
    """Give a dialect that takes the options of other drivers as well."""
    members = {"supports_statement_cache": True, "groundwork_own": dialect}
    return type(dialect.__name__, (_AnyOptions, dialect), members)


def entry(plain: type[Any], asynchronous: type[Any]) -> type[Any]:
    """Give what SQLAlchemy loads for the name in a URL: the dialect depends on the engine's kind.

    Args:
        plain: The dialect of `create_engine`.
        asynchronous: The dialect of `create_async_engine`.
    """

    def get_dialect_cls(_: type[Any], url: URL) -> type[Dialect]:
        del url
        return plain

    def get_async_dialect_cls(_: type[Any], url: URL) -> type[Dialect]:
        del url
        return asynchronous

    members = {
        "get_dialect_cls": classmethod(get_dialect_cls),
        "get_async_dialect_cls": classmethod(get_async_dialect_cls),
        "supports_statement_cache": True,
    }
    return type(plain.__name__, (plain,), members)


def dialects(driver: str) -> tuple[type[Any], type[Any] | None]:
    """Give SQLAlchemy's dialects of a driver, synchronous and asynchronous; None for none.

    Raises:
        ImportError: This SQLAlchemy has none.
    """
    module, plain, asynchronous = _CLASSES[driver]
    loaded = importlib.import_module(f"sqlalchemy.dialects.postgresql.{module}")
    if not hasattr(loaded, plain):
        raise ImportError(f"SQLAlchemy has no {plain}")
    return getattr(loaded, plain), getattr(loaded, asynchronous, None) if asynchronous else None


def offer_unconnected(given: str = "") -> None:
    """Let engines be made with every driver in this process, of which none ever connects.

    A driver that is installed keeps its own dialect; for another one stands a general one.

    Args:
        given: The driver that a URL without one means; empty for SQLAlchemy's choice.
    """
    default = given or default_driver()
    for driver in DRIVERS:
        registry.impls[f"postgresql.{driver}"] = _loader(driver)
    registry.impls["postgresql"] = _loader(default)


def default_driver() -> str:
    """Give the driver that SQLAlchemy takes for `postgresql://`."""
    from sqlalchemy.dialects.postgresql import base  # noqa: PLC0415 - by its own name

    chosen = importlib.import_module(base.__package__).dialect
    return str(chosen.driver)


def _loader(driver: str) -> Any:
    def load() -> type[Any]:
        plain: type[Any] | None = None
        asynchronous: type[Any] | None = None
        if installed(driver):
            with suppress(ImportError):
                plain, asynchronous = dialects(driver)
        return entry(
            lenient(plain) if plain else _stand_in(driver, asynchronous=driver in ASYNCHRONOUS),
            lenient(asynchronous) if asynchronous else _stand_in(driver, asynchronous=True),
        )

    return load


def _stand_in(driver: str, *, asynchronous: bool) -> type[Any]:
    """Give a dialect under the name of a driver that is not here."""

    def import_dbapi(_: type[Any]) -> Any:
        errors = {name: getattr(sqlite3, name) for name in ERRORS}
        return SimpleNamespace(paramstyle="pyformat", __version__="0", apilevel="2.0", **errors)

    def get_pool_class(_: type[Any], url: URL) -> type[Any]:
        del url
        return AsyncAdaptedQueuePool if asynchronous else QueuePool

    members = {
        "driver": driver,
        "is_async": asynchronous,
        "supports_statement_cache": True,
        "get_pool_class": classmethod(get_pool_class),
        "import_dbapi": classmethod(import_dbapi),
    }
    if not hasattr(PGDialect, "import_dbapi"):  # SQLAlchemy 1.4
        members["dbapi"] = members["import_dbapi"]
    return lenient(type(f"Unconnected_{driver}", (PGDialect,), members))
