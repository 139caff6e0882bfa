"""Whatever is compiled makes the same database as Alembic makes online, and unmakes it as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.schema import history
from infra.schema.invocation import Invocation
from tests.migrations.place import MIGRATIONS
from tests.schema.histories import project as projects
from tests.schema.histories import ways

if TYPE_CHECKING:
    from pathlib import Path

    from infra.schema.model import History
    from tests.conftest import PostgresServer
    from tests.schema.histories.project import Project


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another one compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def _both_ways(
    project: Project, server: PostgresServer, *, variable: str = "DATABASE_URL"
) -> History:
    """Run a project compiled and online, up and down, and compare what each step leaves."""
    read = history.read(project.root, Invocation(variable=variable))
    assert read.offline == ""
    with ways.made(server) as one, ways.made(server) as other:
        up = ways.compiled(read, "up", one)
        expected = ways.online(project, "up", other, variable=variable)
        assert sorted(set(up) ^ set(expected)) == []
        assert up == expected
        assert any(line.startswith("row of ") for line in up), (
            "a history of the tests fills a table"
        )
        down = ways.compiled(read, "down", one)
        assert down == ways.online(project, "down", other, variable=variable)
    return read


def _fill(project: Project) -> None:
    project.revision(
        "aaaa1111",
        None,
        """
        op.create_table(
            "people",
            sa.Column("id", sa.Integer(), primary_key=True),
            sa.Column("name", sa.String(50), nullable=False, server_default="O'Neil % :x"),
            sa.Column("mood", sa.Enum("sad", "so-so", "it's ok", name="mood")),
            comment="100% 'people'",
        )
        """,
        "op.drop_table('people')\nop.execute('DROP TYPE mood')",
        message="people\n\nand more",
    )
    project.revision(
        "bbbb2222",
        "aaaa1111",
        """
        people = sa.table("people", sa.column("id", sa.Integer), sa.column("mood", sa.String))
        op.bulk_insert(people, [{"id": 1}, {"id": 2}])
        with op.batch_alter_table("people") as batch:
            batch.add_column(sa.Column("age", sa.Integer(), server_default=sa.text("7")))
            batch.alter_column("name", existing_type=sa.String(50), type_=sa.Text())
            batch.create_index(op.f("ix_people_age"), ["age"])
        op.execute(people.update().where(people.c.id == 2).values(mood=op.inline_literal("sad")))
        """,
        """
        op.drop_column("people", "age")
        op.alter_column("people", "name", type_=sa.String(50))
        op.execute("DELETE FROM people")
        """,
    )
    project.revision(
        "cccc3333",
        "bbbb2222",
        """
        op.create_check_constraint("ck_age", "people", "age > 0")
        with op.get_context().autocommit_block():
            op.execute("ALTER TYPE mood ADD VALUE 'great' AFTER 'so-so'")
            op.create_index("ix_name", "people", ["name"], postgresql_concurrently=True)
        op.execute("UPDATE people SET mood = 'great' WHERE id = 1")
        """,
        "op.drop_index('ix_name', 'people')\nop.drop_constraint('ck_age', 'people')",
    )


@pytest.mark.parametrize("template", projects.TEMPLATES)
def test_projects_from_alembics_templates_compile_unchanged(
    tmp_path: Path, postgres_server: PostgresServer, template: str
) -> None:
    """Configured in ini or pyproject, with a synchronous or an asynchronous env.py."""
    project = projects.from_template(tmp_path, template)
    _fill(project)

    read = _both_ways(project, postgres_server)

    assert [revision.id for revision in read.revisions] == ["aaaa1111", "bbbb2222", "cccc3333"]
    assert read.heads == ("cccc3333",)
    assert read.revisions[0].message == "people"
    assert [part.autocommit for part in read.revisions[2].upgrade.parts] == [False, True, False]
    assert len(read.revisions[2].upgrade.parts[1].statements) == 2


def test_values_mean_the_same_as_literals(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Quotes, backslashes, tabs, colons, percent signs, bytes, spans, numbers that are none."""
    project = projects.bare(tmp_path)
    project.revision(
        "aaaa1111",
        None,
        r"""
        op.create_table(
            "odd table",
            sa.Column("id", sa.Integer(), primary_key=True),
            sa.Column("text", sa.Text(), server_default="tab\there 'quoted' \\ back :colon 50%"),
            sa.Column("bytes", sa.LargeBinary()),
            sa.Column("real", sa.Float()),
            sa.Column("exact", sa.Numeric()),
            sa.Column("span", sa.Interval()),
            sa.Column("at", sa.DateTime(timezone=True)),
            sa.Column("day", sa.Date()),
            sa.Column("key", sa.Uuid()),
            sa.Column("yes", sa.Boolean()),
            sa.Column("names", postgresql.ARRAY(sa.Text())),
            sa.Column("kind", sa.Enum("a\\b", "c:d", "e%f", "g\th", name="Odd Kind")),
        )
        """,
        "op.drop_table('odd table')\nop.execute('DROP TYPE \"Odd Kind\"')",
    )
    project.revision(
        "bbbb2222",
        "aaaa1111",
        r'''
        table = sa.table(
            "odd table",
            *(sa.column(name, type_) for name, type_ in {
                "id": sa.Integer, "text": sa.Text, "bytes": sa.LargeBinary, "real": sa.Float,
                "exact": sa.Numeric, "span": sa.Interval, "at": sa.DateTime(timezone=True),
                "day": sa.Date, "key": sa.Uuid, "yes": sa.Boolean,
                "names": postgresql.ARRAY(sa.Text()),
                "kind": sa.Enum("a\\b", "c:d", "e%f", "g\th", name="Odd Kind"),
            }.items()),
        )
        odd = "tab\there\nline 'quoted' \\ back \\n :colon ::cast 50% %s %(x)s $$ $1 {} \u00e9"
        op.bulk_insert(table, [
            {"id": 1, "text": odd, "bytes": b"\\101\x00\xff'", "real": 1.5e300, "kind": "a\\b"},
            {"id": 2, "text": "", "bytes": b"", "real": float("nan"), "kind": "c:d"},
            {"id": 3, "text": None, "bytes": None, "real": float("-inf"), "kind": "e%f"},
            {"id": 4, "text": "\t", "bytes": b"\t", "real": -0.1, "kind": "g\th"},
        ])
        op.execute(table.update().where(table.c.id == 1).values(
            exact=Decimal("12345678901234567890.000100"),
            span=timedelta(days=-3, seconds=5, microseconds=7),
            at=datetime(2024, 3, 31, 2, 30, 0, 5, tzinfo=timezone.utc),
            day=date(1, 1, 2),
            key=UUID(int=7),
            yes=True,
            names=["a", "it's", "\\", "b,c", "{}"],
        ))
        op.execute(table.update().where(table.c.id.in_([2, 3])).values(exact=Decimal("NaN")))
        update = "UPDATE \"odd table\" SET text = :new || '12:30' || E'\\:x' WHERE id = :id"
        op.execute(sa.text(update).bindparams(new="it's 5% :new \\", id=4))
        op.execute("""DO $body$ BEGIN PERFORM 'a;b -- ''c'; EXECUTE $$SELECT 1;$$; END $body$;""")
        op.execute("COMMENT ON TABLE \"odd table\" IS 'tab\there; -- no comment' -- a comment")
        op.execute("/* before; */ SELECT ';100%'; -- after")
        ''',
        "op.execute('DELETE FROM \"odd table\"')",
        head="from datetime import date, datetime, timedelta, timezone\n"
        "from decimal import Decimal\nfrom uuid import UUID",
    )

    _both_ways(project, postgres_server)


def test_branches_labels_merges_and_dependencies_keep_alembics_order(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """Several version locations, one of them nested, and names as people give them."""
    other, nested = tmp_path / "more versions", tmp_path / "deep"
    project = projects.bare(
        tmp_path,
        ini="recursive_version_locations = true\nversion_locations = %(here)s/migrations/versions\n"
        "    %(here)s/more versions\n    %(here)s/deep\n",
    )

    def add(id_: str, parents: str | None, needs: str = "", **options: Any) -> None:
        made = f"op.create_table('t_{id_}', sa.Column('id', sa.Integer()))"
        rows = f"op.execute('INSERT INTO t_{id_} SELECT 1 {needs and f'FROM t_{needs}'}')"
        project.revision(id_, parents, f"{made}\n{rows}", f"op.drop_table('t_{id_}')", **options)

    add("first", None, file="2024-01-01 first, with spaces é.py")
    add("left", "first", "first", labels=("left_side",))
    add("right", "first", "first", folder=other, labels=("right_side", "r2"))
    add("alone", None, "left", depends_on="left_side", folder=nested / "2024" / "02")
    add("right2", "right", "alone", depends_on=("alone",), folder=other)
    project.revision("merged", ("left", "right2"), message="")
    add("last", "merged", "right2")

    read = _both_ways(project, postgres_server)

    by_id = read.by_id
    place = {revision.id: number for number, revision in enumerate(read.revisions)}
    assert all(place[need] < place[r.id] for r in read.revisions for need in r.needs)
    assert read.heads == ("alone", "last")
    assert by_id["alone"].depends_on == ("left",)
    assert by_id["merged"].parents == ("left", "right2")
    assert by_id["right"].labels == ("right_side", "r2")
    assert by_id["last"].labels == ()
    assert by_id["alone"].file == "2024/02/alone_made.py"
    assert by_id["first"].file == "2024-01-01 first, with spaces é.py"


def test_what_env_py_sends_first_is_the_prologue(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """A search_path, and a version table of another name in another schema."""
    project = projects.bare(
        tmp_path,
        options='"version_table": "odd alembic", "version_table_schema": "Meta"',
        offline="context.execute('SET search_path TO app')",
        online='connection.exec_driver_sql("SET search_path TO app")',
    )
    _fill(project)
    read = history.read(tmp_path)

    assert read.prologue == ("SET search_path TO app",)
    assert (read.version_table, read.version_schema) == ("odd alembic", "Meta")
    with ways.made(postgres_server) as one, ways.made(postgres_server) as other:
        for base in (one, other):
            base.execute('CREATE SCHEMA app; CREATE SCHEMA "Meta"')
        content = ways.compiled(read, "up", one)
        assert any(line.startswith("row of app.people") for line in content)
        assert content == ways.online(project, "up", other)


def test_an_env_that_reads_a_variable_of_its_own_is_told_by_name(
    tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the user has in it stays out of the rendering."""
    project = projects.bare(tmp_path, variable="MY_APP_DSN")
    _fill(project)
    env = project.scripts / "env.py"
    env.write_text(
        env.read_text().replace("OPTIONS =", 'URL = os.environ["MY_APP_DSN"]\nOPTIONS =')
    )

    assert "KeyError: 'MY_APP_DSN'" in history.read(tmp_path).offline
    monkeypatch.setenv("MY_APP_DSN", "postgresql://elsewhere.invalid/x")
    _both_ways(project, postgres_server, variable="MY_APP_DSN")


def test_an_env_that_runs_a_program_by_its_bare_name_when_it_is_imported(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """Python looks for it in `os.environb`, whose keys are bytes."""
    project = projects.bare(tmp_path)
    _fill(project)
    env = project.scripts / "env.py"
    env.write_text(
        'import os, subprocess\n\nsubprocess.run(["uname", "-s"], check=True)\n'
        'os.environ.get("RELEASE")\n' + env.read_text()
    )

    _both_ways(project, postgres_server)


def test_three_hundred_revisions(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """A long history is no other case than a short one."""
    project = projects.bare(tmp_path)
    below = None
    for number in range(300):
        below = _numbered(project, number, below)

    read = _both_ways(project, postgres_server)

    assert [r.id for r in read.revisions] == [f"r{number:04}" for number in range(300)]


def _numbered(project: Project, number: int, below: str | None) -> str:
    id_ = f"r{number:04}"
    project.revision(
        id_,
        below,
        f"""
        table = op.create_table("t{number}", sa.Column("id", sa.Integer(), primary_key=True))
        op.bulk_insert(table, [{{"id": {number}}}])
        """,
        f"op.drop_table('t{number}')",
    )
    return id_


def test_the_projects_own_migrations(postgres_server: PostgresServer) -> None:
    """All of them are rendered, both ways, and go up and down."""
    read = history.read(MIGRATIONS)
    assert read.offline == ""
    assert [r.id for r in read.revisions if r.upgrade.live or r.downgrade.live] == []

    project = projects.Project(root=MIGRATIONS, scripts=MIGRATIONS)
    with ways.made(postgres_server) as one, ways.made(postgres_server) as other:
        for direction in ways.DIRECTIONS:
            content = ways.compiled(read, direction, one)
            assert content == ways.online(project, direction, other)
