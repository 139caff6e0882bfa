"""The revisions, oldest first, as Alembic reads them from the folder."""

from __future__ import annotations

from alembic.config import Config
from alembic.script import ScriptDirectory

from .place import MIGRATIONS

__all__ = ["HEAD", "INITIAL", "REVISIONS"]

_SCRIPTS = ScriptDirectory.from_config(Config(str(MIGRATIONS / "alembic.ini")))

REVISIONS = tuple(script.revision for script in _SCRIPTS.walk_revisions())[::-1]
INITIAL, HEAD = REVISIONS[0], REVISIONS[-1]
