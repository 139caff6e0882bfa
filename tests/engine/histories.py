"""Small Alembic directories, as `alembic init` makes them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["add", "init", "init_three"]


def init(folder: Path, *, template: str = "async") -> Path:
    """Make an Alembic directory from one of Alembic's own templates; gives its folder."""
    folder.mkdir(parents=True)
    config = Config(str(folder / "alembic.ini"))
    command.init(config, str(folder / "alembic"), template=template)
    ini = folder / "alembic.ini"
    ini.write_text(ini.read_text().replace(str(folder), "%(here)s"))
    return folder


def add(  # noqa: PLR0913 - the parts of a revision file
    folder: Path,
    revision: str,
    parent: str | None,
    up: str,
    down: str = "pass",
    *,
    message: str = "",
    head: str = "",
) -> Path:
    """Write a revision; `up` and `down` are bodies of functions, `head` goes before them."""
    path = folder / "alembic" / "versions" / f"{revision}_.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f'"""{message or f"message of {revision}"}"""\n'
        "from alembic import op\nimport sqlalchemy as sa\n"
        f"revision = {revision!r}\ndown_revision = {parent!r}\n{head}\n"
        f"def upgrade():\n{textwrap.indent(textwrap.dedent(up), '    ')}\n"
        f"def downgrade():\n{textwrap.indent(textwrap.dedent(down), '    ')}\n"
    )
    return path


def init_three(folder: Path) -> Path:
    """Make an Alembic directory with three small revisions; gives its folder."""
    init(folder)
    add(
        folder,
        "aaa1",
        None,
        "op.execute('CREATE TABLE one (id int PRIMARY KEY)')",
        "op.execute('DROP TABLE one')",
    )
    add(
        folder,
        "bbb2",
        "aaa1",
        "op.add_column('one', sa.Column('note', sa.Text()))",
        "op.drop_column('one', 'note')",
    )
    add(
        folder,
        "ccc3",
        "bbb2",
        "op.create_index('ix_one_note', 'one', ['note'])",
        "op.drop_index('ix_one_note')",
    )
    return folder
