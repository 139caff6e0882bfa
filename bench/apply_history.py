"""What applying a history costs: plain Alembic, the schema node, and the same SQL alone.

Run it with `make bench`. Whole processes, taken in turn, each on an empty database of one server;
the node's history is compiled before, as it is after the first preview of a directory.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from infra.servers.throwaway import throwaway

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.servers.throwaway import Throwaway

__all__ = ["main", "write_history"]

_ROOT = Path(__file__).parents[1]
_RUNS = 5
_REVISIONS = 300
_REVISION = '''\
"""revision {number}"""
{head}from alembic import op
import sqlalchemy as sa
revision = "rev{number:04}"
down_revision = {parent!r}
def upgrade():
    op.create_table("t{number}", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("t{number}", sa.Column("note", sa.Text))
def downgrade():
    op.drop_table("t{number}")
'''
_ALONE = """\
import asyncio, asyncpg, os
async def main():
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    for number in range({revisions}):
        async with connection.transaction():
            await connection.execute(
                f"CREATE TABLE t{{number}} (id SERIAL NOT NULL PRIMARY KEY);"
                f"ALTER TABLE t{{number}} ADD COLUMN note TEXT")
    await connection.close()
asyncio.run(main())
"""
_ENV = """\
import asyncio, os
from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine

def run(connection):
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()

async def online():
    url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url.replace("sslmode", "ssl"), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)

if context.is_offline_mode():
    context.configure(url="postgresql://", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(online())
"""


def main() -> None:
    """Measure, and print seconds and ratios as a table in Markdown."""
    with tempfile.TemporaryDirectory() as folder, throwaway() as server:
        files = write_history(Path(folder), _REVISIONS)
        _measure(server, files)


def write_history(folder: Path, revisions: int, head: str = "") -> Path:
    """Write an Alembic directory; gives its folder.

    Args:
        folder: An empty one.
        revisions: How many.
        head: Lines of Python before the others of each revision.
    """
    (folder / "versions").mkdir()
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    (folder / "env.py").write_text(_ENV)
    for number in range(revisions):
        parent = f"rev{number - 1:04}" if number else None
        text = _REVISION.format(number=number, parent=parent, head=head)
        (folder / "versions" / f"rev{number:04}.py").write_text(text)
    return folder


def _measure(server: Throwaway, files: Path) -> None:
    alembic = [sys.executable, "-m", "alembic", "-c", str(files / "alembic.ini"), "upgrade", "head"]
    node = [sys.executable, "-m", "infra.schema", "upgrade", "--migrations", str(files)]
    alone = [sys.executable, "-c", _ALONE.format(revisions=_REVISIONS)]
    database = (f"bench{number}" for number in count())

    def fresh() -> str:
        name = next(database)
        _run(_create(name), server.url(user=server.user, database="postgres"))
        return server.url(user=server.user, database=name)

    _run(node, fresh())  # compiles
    _table(f"{_REVISIONS} revisions", {"alembic": alembic, "node": node, "SQL alone": alone}, fresh)
    head = fresh()
    _run(node, head)
    check = [sys.executable, "-m", "infra.schema", "check", "--migrations", str(files)]
    _table("at head", {"alembic": alembic, "node": check}, lambda: head)


def _create(name: str) -> list[str]:
    program = (
        "import asyncio, asyncpg, os\n"
        "async def main():\n"
        "    connection = await asyncpg.connect(os.environ['DATABASE_URL'])\n"
        f"    await connection.execute('CREATE DATABASE {name}')\n"
        "    await connection.close()\n"
        "asyncio.run(main())\n"
    )
    return [sys.executable, "-c", program]


def _table(title: str, commands: dict[str, list[str]], url: Callable[[], str]) -> None:
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(_RUNS):
        for name, command in commands.items():
            target = url()
            begin = time.perf_counter()
            _run(command, target)
            taken[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    print(f"\n| {title} | s | against the node |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.2f} | {median / medians['node']:.2f} |")


def _run(command: list[str], url: str) -> None:
    subprocess.run(
        command,
        cwd=_ROOT,
        env={**os.environ, "DATABASE_URL": url},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
