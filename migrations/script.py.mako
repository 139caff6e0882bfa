<%
    # A message may hold anything: here it must not end the docstring.
    text = " ".join((message or "a revision without a message").split())
    text = text.replace("\\", "\\\\").replace(3 * '"', 3 * '\\"')
    text = text[:-1] + '\\"' if text.endswith('"') else text
%># ruff: noqa: D415 - the first line is the message that Alembic shows
"""${text}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date}

Before this is run where data is:
- one purpose a revision; expand first, contract in a later revision, when no code uses the old;
- a new column is nullable or has a constant default: anything else rewrites the table;
- NOT NULL, CHECK and FOREIGN KEY on a big table: add them NOT VALID, validate in the next revision;
- an index on a table in use: CREATE INDEX CONCURRENTLY, alone in its revision, in
  `with op.get_context().autocommit_block():`, after a DROP INDEX CONCURRENTLY IF EXISTS of what a
  killed run may have left INVALID;
- data is changed in SQL, in batches, and never together with the tables it is in;
- a new value of an enum can't be used before it is committed;
- no op.get_bind(), no reflection, no look at the data: the SQL stays readable in advance;
- locks are waited for 5 s, a statement may take 1 h; where that isn't enough, say why:
  op.execute("SET LOCAL lock_timeout = '30s'").
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Say what changes for whoever reads the tables."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Undo it; say which data is lost."""
    ${downgrades if downgrades else "pass"}
