"""Runs Alembic's own command on the project in this folder: told the direction, URL and kind.

In SQLAlchemy's greenlet, a synchronous engine can use an asynchronous driver.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.util import greenlet_spawn

_RUN = {"up": (command.upgrade, "heads"), "down": (command.downgrade, "base")}


def _main() -> None:
    direction, url, kind = sys.stdin.read().split()
    ini, toml = Path("alembic.ini"), Path("pyproject.toml")
    config = Config(str(ini) if ini.exists() else None, toml_file=toml if toml.exists() else None)
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    run, target = _RUN[direction]

    async def spawned() -> None:
        await greenlet_spawn(run, config, target)

    if kind == "sync":
        asyncio.run(spawned())
    else:
        run(config, target)


if __name__ == "__main__":
    _main()
