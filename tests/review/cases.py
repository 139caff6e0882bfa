"""Twelve kinds of change, each as a history of two releases and the database between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.schema.histories.project import bare

if TYPE_CHECKING:
    from pathlib import Path

    from tests.schema.histories.project import Project

__all__ = ["CASES", "Case"]

_BASE_UP = """
op.execute("CREATE EXTENSION IF NOT EXISTS vector")
op.execute("CREATE TYPE status AS ENUM ('open', 'done')")
op.execute('''
    CREATE TABLE clients (
        id bigint PRIMARY KEY, name text NOT NULL, email text, vat int, note text
    )''')
op.execute('''
    CREATE TABLE tasks (
        id bigint PRIMARY KEY, client_id bigint NOT NULL REFERENCES clients (id),
        state status NOT NULL DEFAULT 'open', due date, summary text, place vector(3)
    )''')
op.execute("CREATE INDEX tasks_client_id ON tasks (client_id)")
"""
_BASE_DOWN = """
op.execute("DROP TABLE tasks")
op.execute("DROP TABLE clients")
op.execute("DROP TYPE status")
"""
_ROWS = """
INSERT INTO clients (id, name, vat) SELECT g, 'client ' || g, g FROM generate_series(1, 20000) g;
INSERT INTO tasks (id, client_id, due)
    SELECT g, 1 + g % 20000, '2026-01-01' FROM generate_series(1, 50000) g;
ANALYZE clients, tasks
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One change.

    Attributes:
        says: What it is about.
        up: Body of the pending revision's upgrade; empty where nothing is pending.
        down: Body of its downgrade.
        files: What else the file declares, at its top.
        by_hand: SQL that somebody runs on the live database, past the node.
        back: Whether the database has the revision and the stack goes back before it.
        options: Of the node, beside a rehearsal.
    """

    says: str
    up: str = ""
    down: str = "pass"
    files: str = ""
    by_hand: str = ""
    back: bool = False
    options: dict[str, str] = field(default_factory=dict)

    def project(self, root: Path) -> Project:
        """Write the first release; the second one is added by `release`."""
        made = bare(root)
        made.revision("1a", None, _BASE_UP, _BASE_DOWN, message="clients and their tasks")
        return made

    def release(self, project: Project) -> None:
        """Write the pending revision."""
        if self.up:
            more: dict[str, Any] = {"head": self.files} if self.files else {}
            project.revision("2b", "1a", self.up, self.down, message=self.says, **more)

    @property
    def rows(self) -> str:
        """SQL that fills the live database."""
        return _ROWS


def _execute(*statements: str) -> str:
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


CASES = {
    "adds": Case(
        says="invoices of a client",
        up=_execute(
            "CREATE TABLE invoices (id bigint PRIMARY KEY, client_id bigint NOT NULL"
            " REFERENCES clients (id), total numeric(12, 2) NOT NULL)",
            "CREATE INDEX invoices_client_id ON invoices (client_id)",
            "ALTER TABLE clients ADD COLUMN phone text",
        ),
        down=_execute("ALTER TABLE clients DROP COLUMN phone", "DROP TABLE invoices"),
    ),
    "drops": Case(
        says="no more notes and summaries",
        up=_execute(
            "ALTER TABLE clients DROP COLUMN note", "ALTER TABLE tasks DROP COLUMN summary"
        ),
        down=_execute(
            "ALTER TABLE tasks ADD COLUMN summary text", "ALTER TABLE clients ADD COLUMN note text"
        ),
        files="lint_ignore = {'ban-drop-column': 'nobody has read them since the last release'}",
    ),
    "renames": Case(
        says="call things by their names",
        up=_execute(
            "ALTER TABLE clients RENAME COLUMN vat TO vat_number",
            "ALTER TABLE tasks RENAME TO assignments",
        ),
        down=_execute(
            "ALTER TABLE assignments RENAME TO tasks",
            "ALTER TABLE clients RENAME COLUMN vat_number TO vat",
        ),
    ),
    "rewrite": Case(
        says="longer numbers for taxes",
        up=_execute("ALTER TABLE clients ALTER COLUMN vat TYPE bigint"),
        down=_execute("ALTER TABLE clients ALTER COLUMN vat TYPE int"),
    ),
    "not-null": Case(
        says="every task is due some day",
        up=_execute("ALTER TABLE tasks ALTER COLUMN due SET NOT NULL"),
        down=_execute("ALTER TABLE tasks ALTER COLUMN due DROP NOT NULL"),
    ),
    "concurrently": Case(
        says="find tasks by their day",
        up="with op.get_context().autocommit_block():\n"
        "    op.execute('CREATE INDEX CONCURRENTLY tasks_due ON tasks (due)')",
        down="with op.get_context().autocommit_block():\n"
        "    op.execute('DROP INDEX CONCURRENTLY tasks_due')",
    ),
    "enum": Case(
        says="tasks can be cancelled",
        up=_execute("ALTER TYPE status ADD VALUE 'cancelled'"),
        down="raise NotImplementedError('a value of an enum stays')",
    ),
    "vector-index": Case(
        says="search tasks by meaning",
        up="with op.get_context().autocommit_block():\n"
        "    op.execute('CREATE INDEX CONCURRENTLY tasks_place ON tasks"
        " USING hnsw (place vector_l2_ops)')",
        down="with op.get_context().autocommit_block():\n"
        "    op.execute('DROP INDEX CONCURRENTLY tasks_place')",
    ),
    "data": Case(
        says="names without blanks around them",
        up="connection = op.get_bind()\n"
        "rows = connection.execute(sa.text('SELECT id, name FROM clients')).all()\n"
        "for id, name in rows:\n"
        "    connection.execute(sa.text('UPDATE clients SET name = :name WHERE id = :id'),"
        " {'id': id, 'name': name.strip()})",
    ),
    "downgrade": Case(
        says="faxes, which nobody wants any more",
        up=_execute("ALTER TABLE clients ADD COLUMN fax text"),
        down=_execute("ALTER TABLE clients DROP COLUMN fax"),
        back=True,
        options={"revision": "1a", "downgrade": "allow"},
    ),
    "drift": Case(
        says="phones",
        up=_execute("ALTER TABLE clients ADD COLUMN phone text"),
        down=_execute("ALTER TABLE clients DROP COLUMN phone"),
        by_hand="ALTER TABLE tasks ADD COLUMN urgent boolean; CREATE INDEX by_hand ON tasks (due)",
    ),
    "failure": Case(
        says="one client for each address",
        up=_execute(
            "ALTER TABLE clients ADD COLUMN address text",
            "ALTER TABLE clients ADD COLUMN email text",
        ),
        down=_execute("ALTER TABLE clients DROP COLUMN address"),
    ),
}
