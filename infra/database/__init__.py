"""What is inside a server: roles, database, schemas, extension, privileges."""

from __future__ import annotations

from infra.database.component import Database
from infra.database.urls import url

__all__ = ["Database", "url"]
