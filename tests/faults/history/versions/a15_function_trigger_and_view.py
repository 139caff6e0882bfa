"""Function, trigger and view."""

from alembic import op

revision = "a15"
down_revision = "r14"


def upgrade() -> None:
    """Go up."""
    op.execute(
        "CREATE FUNCTION trim_number() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.number := trim(NEW.number); RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER trim BEFORE INSERT OR UPDATE ON invoices"
        " FOR EACH ROW EXECUTE FUNCTION trim_number()"
    )
    op.execute("CREATE VIEW open_invoices AS SELECT id, number FROM invoices WHERE state = 'open'")


def downgrade() -> None:
    """Go down."""
    op.execute("DROP VIEW open_invoices")
    op.execute("DROP TRIGGER trim ON invoices")
    op.execute("DROP FUNCTION trim_number()")
