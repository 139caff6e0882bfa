"""Makes Alembic projects: from Alembic's own templates, and of other shapes."""

from __future__ import annotations

import io
import textwrap
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alembic import config

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ASYNC_ENV", "SYNC_TEMPLATES", "TEMPLATES", "Project", "bare", "from_template"]

SYNC_TEMPLATES = ("generic", "pyproject")
TEMPLATES = (*SYNC_TEMPLATES, "async", "pyproject_async")

ASYNC_ENV = """\
import asyncio
import os

from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

OPTIONS = {{{options}}}


def run(connection):
    context.configure(connection=connection, target_metadata=None, **OPTIONS)
    with context.begin_transaction():
        {online}
        context.run_migrations()


async def online():
    engine = create_async_engine(os.environ["{variable}"])
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


if context.is_offline_mode():
    context.configure(url="postgresql://", literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        {offline}
        context.run_migrations()
else:
    asyncio.run(online())
"""

_REVISION = '''\
"""{message}

Made for a test.
"""
import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql
{head}
revision = {id!r}
down_revision = {parents!r}
branch_labels = {labels!r}
depends_on = {depends_on!r}


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''


@dataclass(frozen=True, kw_only=True)
class Project:
    """An Alembic project.

    Attributes:
        root: Where `alembic` is called.
        scripts: The folder with env.py.
        sync: Whether env.py makes a synchronous engine.
    """

    root: Path
    scripts: Path
    sync: bool = False

    @property
    def versions(self) -> Path:
        """Where revisions are by default."""
        return self.scripts / "versions"

    def revision(  # noqa: PLR0913 - everything that a file may declare
        self,
        id_: str,
        parents: str | tuple[str, ...] | None,
        upgrade: str = "pass",
        downgrade: str = "pass",
        *,
        message: str = "made by a test",
        labels: tuple[str, ...] | None = None,
        depends_on: str | tuple[str, ...] | None = None,
        head: str = "",
        file: str = "",
        folder: Path | None = None,
    ) -> Path:
        """Write a revision file; `upgrade` and `downgrade` are the bodies of the functions."""
        path = (folder or self.versions) / (file or f"{id_}_made.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            _REVISION.format(
                message=message,
                id=id_,
                parents=parents,
                labels=labels,
                depends_on=depends_on,
                head=head,
                upgrade=_body(upgrade),
                downgrade=_body(downgrade),
            )
        )
        return path


def _body(text: str) -> str:
    return textwrap.indent(textwrap.dedent(text).strip("\n"), "    ")


def from_template(root: Path, template: str) -> Project:
    """Make a project with `alembic init`, and leave it as it is."""
    with chdir(root), redirect_stdout(io.StringIO()):
        config.main(["init", "-t", template, "migrations"], prog="alembic")
    return Project(root=root, scripts=root / "migrations", sync=template in SYNC_TEMPLATES)


def bare(
    root: Path,
    *,
    variable: str = "DATABASE_URL",
    options: str = "",
    offline: str = "",
    online: str = "",
    ini: str = "",
) -> Project:
    """Make a project whose env.py knows only its environment variable.

    Args:
        root: Where.
        variable: The variable.
        options: What is given to `context.configure` in both modes.
        offline: A statement before the revisions in offline mode.
        online: The same in online mode.
        ini: More lines for alembic.ini.
    """
    (root / "alembic.ini").write_text(
        f"[alembic]\nscript_location = %(here)s/migrations\npath_separator = newline\n{ini}"
    )
    scripts = root / "migrations"
    scripts.mkdir()
    env = ASYNC_ENV.format(
        variable=variable, options=options, offline=offline or "pass", online=online or "pass"
    )
    (scripts / "env.py").write_text(env)
    (scripts / "versions").mkdir()
    return Project(root=root, scripts=scripts)
