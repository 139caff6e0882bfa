"""What autogenerate writes for a changed model: it runs, goes back, and can be rendered before."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from alembic.util import CommandError

from .changes import CHANGES, JOBS, hnsw, job, thing, vectors
from .place import ROOT

if TYPE_CHECKING:
    from .place import Place
    from .workshop import Workshop

pytestmark = pytest.mark.long


def _evolve(workshop: Workshop, before: str, after: str, *, rows: str = "") -> str:
    """Go from one model to another and back, live and as SQL; give the revision's code."""
    workshop.begin(before, rows=rows)
    old = workshop.catalog()

    workshop.model(after)
    assert not workshop.is_clean()
    file = workshop.revise("change")
    code = file.read_text(encoding="utf-8").partition("def upgrade")[2]
    assert workshop.catalog() == old  # to look changes nothing
    assert "get_bind" not in code
    assert "public" not in code
    up, down = workshop.offline()

    workshop.alembic("upgrade", "head")
    assert workshop.is_clean()
    new = workshop.catalog()
    assert new != old
    workshop.alembic("downgrade", "-1")
    assert workshop.catalog() == old
    file.unlink()
    workshop.model(before)
    assert workshop.is_clean()
    for script, result in ((up, new), (down, old), (up, new)):
        _run(workshop.place, script)
        assert workshop.catalog() == result
    return code


def _run(place: Place, script: str) -> None:
    """Run a rendered script as psql does: a statement at a time, on one connection."""
    place.execute(*(part for part in script.split(";\n\n") if part.strip()))


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_runs_there_and_back(workshop: Workshop, change: str) -> None:
    """The revision runs live and as SQL, is clean after, and its way back leaves what was there."""
    before, after = CHANGES[change]
    rows = JOBS if "class Job" in before and "class Job" in after else ""
    _evolve(workshop, before, after, rows=rows)


def test_an_index_alone_is_built_beside_writers(workshop: Workshop) -> None:
    """In both directions, after what a killed run left, and with operator class and parameters."""
    up, _, down = _evolve(workshop, vectors(hnsw()), vectors()).partition("def downgrade")

    for code in (up, down):
        assert "autocommit_block" in code
        assert code.count("postgresql_concurrently=True") == code.count("_index(")
    assert down.index("op.drop_index(") < down.index("op.create_index(")
    assert "vector_cosine_ops" in down
    assert "ef_construction" in down


def test_an_index_among_other_changes_stays_in_their_transaction(workshop: Workshop) -> None:
    """A kill in the middle would else leave half a revision; the comment says what to consider."""
    code = _evolve(workshop, *CHANGES["an index on a column that is new"])

    assert "autocommit_block" not in code
    assert "# Blocks writers of thing while it is built." in code


def test_a_new_value_is_committed_only_where_the_revision_uses_it(workshop: Workshop) -> None:
    """PostgreSQL lets nobody use a value before; otherwise the revision is one transaction."""
    used = _evolve(workshop, *CHANGES["a value that a check uses"], rows=JOBS)
    assert "autocommit_block" in used.partition("def downgrade")[0]


def test_a_new_value_that_is_not_used_stays_in_the_transaction(workshop: Workshop) -> None:
    """One revision, one transaction, and a run that is repeated finds the value."""
    code = _evolve(workshop, *CHANGES["a value in the middle"], rows=JOBS)

    assert "autocommit_block" not in code
    assert "ADD VALUE IF NOT EXISTS 'running' AFTER 'new'" in code


def test_rows_with_a_value_that_goes_stop_the_revision(workshop: Workshop) -> None:
    """Nothing is lost or guessed: PostgreSQL names the value, and everything is as it was."""
    workshop.begin(
        job(values="'new', 'never', 'done'"), rows="INSERT INTO job (state) VALUES ('never')"
    )
    workshop.model(job())
    code = workshop.revise("change").read_text(encoding="utf-8")
    before = workshop.catalog()

    with pytest.raises(CommandError, match='enum state: "never"'):
        workshop.alembic("upgrade", "head")

    assert "# Rows that still have never stop this" in code
    assert workshop.catalog() == before


_VIEW = "CREATE VIEW open_job AS SELECT * FROM job WHERE state <> 'done'"


def test_a_view_in_the_way_is_named_and_nothing_is_written(workshop: Workshop) -> None:
    """What can't be dropped and made again is for its author to decide."""
    workshop.begin(job(values="'new', 'never', 'done'"), rows=_VIEW)
    workshop.model(job())

    assert not workshop.is_clean()
    with pytest.raises(CommandError, match=r"view open_job.*Nothing was written"):
        workshop.revise("change")
    assert len(list(workshop.folder.glob("versions/*.py"))) == 1


def test_a_new_value_stays_where_a_view_is_in_the_way_of_going_back(workshop: Workshop) -> None:
    """The way forth is free, and the way back says what it leaves."""
    workshop.begin(job(), rows=_VIEW)
    workshop.model(job(values="'new', 'done', 'failed'"))
    code = workshop.revise("change").read_text(encoding="utf-8")

    for run, to in (("upgrade", "head"), ("downgrade", "-1"), ("upgrade", "head")):
        workshop.alembic(run, to)

    assert "# The new values of state stay:" in code
    assert "open_job" in code
    assert workshop.is_clean()


def test_triggers_step_aside_and_come_back_as_they_were(workshop: Workshop) -> None:
    """A trigger whose condition names a value is made again, enabled as it was."""
    triggers = """
        CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'stopped'; END $$;
        CREATE TRIGGER "no Delete" BEFORE DELETE ON job FOR EACH ROW
            WHEN (OLD.state = 'done') EXECUTE FUNCTION stop();
        ALTER TABLE job ENABLE ALWAYS TRIGGER "no Delete"
    """
    workshop.begin(job(values="'new', 'never', 'done'"), rows=triggers)
    enabled = "SELECT tgenabled::text FROM pg_trigger WHERE NOT tgisinternal"
    before = workshop.catalog()
    workshop.model(job())
    workshop.revise("change")

    workshop.alembic("upgrade", "head")
    workshop.alembic("downgrade", "-1")

    assert workshop.catalog() == before
    assert workshop.place.value(enabled) == "A"


def test_two_meanings_of_one_name_are_refused(workshop: Workshop) -> None:
    """An enum has one list of values: the message names it and a column."""
    workshop.begin(thing())
    workshop.model(job() + thing("state: Mapped[str] = mapped_column(statuses('other'))"))

    with pytest.raises(CommandError, match=r"enum state different values.*\.state"):
        workshop.revise("change")


def test_comparing_needs_no_right_to_write(workshop: Workshop) -> None:
    """`alembic check` works where a transaction may only read, on a standby for example."""
    name = workshop.place.database
    workshop.begin(job() + thing("n: Mapped[int]", args="CheckConstraint('n > 0', name='n'),"))
    workshop.place.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    assert workshop.is_clean()
    workshop.model(job() + thing("n: Mapped[int]", args="CheckConstraint('n > 1', name='n'),"))
    assert not workshop.is_clean()


def test_without_the_right_to_read_a_table_its_checks_are_compared_by_name(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    """What can't be told is said, and is no difference."""
    workshop.begin(thing("n: Mapped[int]", args="CheckConstraint('n > 0', name='n'),"))
    workshop.place.execute(
        "REVOKE ALL ON thing FROM PUBLIC", "GRANT SELECT ON alembic_version TO pg_monitor"
    )
    workshop.model(thing("n: Mapped[int]", args="CheckConstraint('n > 1', name='n'),"))
    async_settings = {"url": f"{workshop.place.url}?options=-c%20role%3Dpg_monitor"}

    with caplog.at_level("WARNING", logger="alembic"):
        workshop.alembic("check", attributes=async_settings)

    assert "Can't compare expressions of table thing" in caplog.text


@pytest.mark.parametrize(
    "change", ["a value in the middle", "an HNSW index", "a table with vectors"]
)
def test_what_is_written_is_in_the_form_of_this_repository(workshop: Workshop, change: str) -> None:
    """Linter, formatter and type checker have nothing to say about a new revision."""
    before, after = CHANGES[change]
    workshop.begin(before)
    workshop.model(after)
    project = workshop.folder / "pyproject.toml"
    shutil.copy(ROOT / "pyproject.toml", project)
    message = 'it\'s "odd": \\n C:\\ \'\'\' """ ' + "and long " * 12 + '"'
    file = workshop.revise(message)
    place = workshop.folder / "migrations" / "versions" / file.name
    place.parent.mkdir(parents=True)
    file.rename(place)

    for tool in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        done = subprocess.run(
            [sys.executable, "-m", *tool, str(place.relative_to(workshop.folder))],
            cwd=workshop.folder,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
