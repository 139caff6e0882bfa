"""Live rows and sessions in a review and in `up`: what is in the way is told, or stops them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.schema import node, report, view
from infra.schema.errors import MigrationError, UnsoundError
from tests.review.cases import Case
from tests.review.making import stage
from tests.schema.sessions import session

if TYPE_CHECKING:
    from pathlib import Path

    from infra.schema.review import Review
    from tests.conftest import PostgresServer

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("shared_server")]


def _executed(*statements: str) -> str:
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


def _reviewed(
    server: PostgresServer, root: Path, *up: str, down: str = "", **chosen: str
) -> Review:
    """Review one revision over 20,000 clients without a note and 50,000 tasks that are due."""
    case = Case(says="x", up=_executed(*up), down=_executed(down) if down else "pass")
    with stage(case, server, root) as made:
        return made.review(**chosen)


def test_live_rows_without_a_value_stop_a_plan(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The verdict and the preview say which rows, and a stack that refuses runs nothing."""
    up = "op.execute('ALTER TABLE clients ALTER COLUMN note SET NOT NULL')"
    with stage(Case(says="notes", up=up), postgres_server, tmp_path) as made:
        found = made.review()
        with pytest.raises(UnsoundError, match="has no note: this will fail"):
            made.up(lint="refuse")
        assert made.live.fetch("SELECT version_num FROM alembic_version") == [("1a",)]

    said = "at least one of about 20,000 rows has no note: this will fail"
    place = "fails over the rows that are there: revision 2b: public.clients: "
    assert report.verdict(found).startswith(f"{place}{said}")
    assert f"error: 2b rows-violate: public.clients: {said}" in view.reviewed(found)
    assert found.rehearsal is not None
    assert "(23502)" in found.rehearsal.failure


def test_live_rows_stop_also_what_the_rehearsal_passes(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """Without made-up rows a rehearsal finds nothing; the live rows still say that it fails."""
    found = _reviewed(
        postgres_server,
        tmp_path,
        "ALTER TABLE clients ADD CONSTRAINT low CHECK (vat < 100)",
        rehearse_rows="0",
    )

    assert report.verdict(found).startswith(
        "fails over the rows that are there: revision 2b: public.clients: at least one of about"
        " 20,000 rows violates the check low: this will fail"
    )


def test_what_live_rows_satisfy_does_not_fail_over_made_up_ones(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """Made-up rows that no live row is like are taken out before, and the others stay."""
    found = _reviewed(
        postgres_server,
        tmp_path,
        "ALTER TABLE clients ADD CONSTRAINT named CHECK (name LIKE 'client %' OR id > 500)",
        "ALTER TABLE clients ADD CONSTRAINT one UNIQUE (vat)",
    )

    assert found.rehearsal is not None
    assert found.rehearsal.failure == ""
    assert 0 < found.rehearsal.generated["public.clients"] <= 1000
    assert {each.outcome for each in found.data_checks} == {"holds"}


def test_a_backfill_that_leaves_nulls_fails_in_the_rehearsal(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """What an earlier statement changes is run over rows as often NULL as the live ones."""
    half = "UPDATE clients SET note = '' WHERE id % 2 = 0"
    set_ = "ALTER TABLE clients ALTER COLUMN note SET NOT NULL"
    found = _reviewed(postgres_server, tmp_path, half, set_)

    assert found.rehearsal is not None
    assert "(23502)" in found.rehearsal.failure
    assert "made-up rows, of which as many are NULL as of the live ones" in found.rehearsal.failure


def test_a_backfill_that_fills_all_is_rehearsed_over_rows(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The answer says that the rehearsal ran it, and over how many rows."""
    found = _reviewed(
        postgres_server,
        tmp_path,
        "UPDATE clients SET note = ''",
        "ALTER TABLE clients ALTER COLUMN note SET NOT NULL",
    )

    (answer,) = found.data_checks
    assert answer.outcome == "rehearsed"
    assert answer.text.endswith("; the rehearsal ran it over 1,000 made-up rows")
    assert "over 2,000 made-up rows in 2 of its tables" in view.reviewed(found)
    assert "1,000 made-up rows" in report.markdown(found)


def test_made_up_values_alone_stop_nothing(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """What fails over made-up values alone is a warning, and is rehearsed again without."""
    found = _reviewed(
        postgres_server,
        tmp_path,
        "UPDATE clients SET name = name || ' ' WHERE id = 1",
        "ALTER TABLE clients ADD CONSTRAINT named CHECK (name LIKE 'client %')",
    )

    assert found.rehearsal is not None
    assert found.rehearsal.failure == ""
    assert "failed over made-up rows" in found.rehearsal.refused
    assert ("warning", "made-up-rows-fail") in {(f.level, f.rule) for f in found.findings}
    assert "without rows" in report.markdown(found)


def test_a_downgrade_that_production_refuses_is_not_called_rehearsed(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """ADD COLUMN NOT NULL over rows fails, with made-up rows and without."""
    for number, rows in enumerate(("-1", "0")):
        root = tmp_path / str(number)
        root.mkdir()
        found = _reviewed(
            postgres_server,
            root,
            "ALTER TABLE clients DROP COLUMN note",
            down="ALTER TABLE clients ADD COLUMN note text NOT NULL",
            rehearse_rows=rows,
        )
        text = report.markdown(found)
        assert "**fails over the live rows**" in text
        assert "way back for all" not in report.verdict(found)
        assert "downgrade-rows-violate" in {each.rule for each in found.findings}


def test_a_plan_that_goes_back_over_rows_that_refuse_it_stops(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """A planned downgrade is asked of the live rows like an upgrade, and refused like one."""
    case = Case(
        says="no notes",
        up=_executed("ALTER TABLE clients DROP COLUMN note"),
        down=_executed("ALTER TABLE clients ADD COLUMN note text NOT NULL"),
        back=True,
    )
    back = {"revision": "1a", "downgrade": "allow"}
    with stage(case, postgres_server, tmp_path) as made:
        found = made.review(**back)
        with pytest.raises(UnsoundError, match="would have no note"):
            made.up(lint="refuse", **back)

    assert report.verdict(found).startswith("fails over the rows that are there: revision 2b")


def test_an_online_revision_may_change_what_its_next_statement_needs(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The live rows are no answer to what an online revision has sent to other rows."""
    up = """
for id, name in op.get_bind().execute(sa.text('SELECT id, name FROM clients')).all():
    op.get_bind().execute(
        sa.text('UPDATE clients SET note = :note WHERE id = :id'), {'note': name, 'id': id}
    )
op.execute('ALTER TABLE clients ALTER COLUMN note SET NOT NULL')
"""
    with stage(Case(says="x", up=up), postgres_server, tmp_path) as made:
        filled, empty = made.review(), made.review(rehearse_rows="0")

    assert {each.outcome for each in filled.data_checks} == {"rehearsed"}
    assert {each.outcome for each in empty.data_checks} == {"unchecked"}
    assert "rows-violate" not in {each.rule for each in (*filled.findings, *empty.findings)}


def test_up_tells_who_is_in_its_way(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """An old transaction on the table is a warning of `up` and a finding of the preview."""
    up = "op.execute('ALTER TABLE clients ADD phone text')"
    told: list[str] = []

    def say(text: str, *, live: bool = False, warning: bool = False) -> None:
        del live
        told.extend([text] if warning else [])

    chosen = {"longTransaction": "0", "lock_timeout": "100ms"}
    with (
        stage(Case(says="x", up=up), postgres_server, tmp_path) as made,
        session(made.live, "SELECT * FROM clients LIMIT 1") as pid,
    ):
        found = made.review(longTransaction="0")
        with pytest.raises(MigrationError):
            node.bring(made.place(**chosen), shown="", say=say, cancelled=lambda: False)
        with pytest.raises(UnsoundError, match="long-transaction"):
            made.up(lint="refuse", lint_levels="long-transaction=error", longTransaction="0")

    wanted = f"long-transaction: process {pid} of "
    assert any(text.startswith(f"warning: {wanted}") for text in told)
    assert f"warning: 2b {wanted}" in view.reviewed(found)
