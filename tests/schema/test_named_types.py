"""Enum types and domains are made once, in any mixture of rendered and online revisions."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from infra.schema import apply, history, live, named_types, plan
from infra.schema.apply import Terms
from infra.schema.model import Policy, TypeUse
from infra.schema.statements import locks
from tests.schema.histories import project as projects
from tests.schema.histories import ways

if TYPE_CHECKING:
    from infra.schema.model import Script
    from tests.conftest import PostgresServer
    from tests.schema.histories.project import Project

_ASKS = "op.get_bind().scalar(sa.text('SELECT 1'))"
_TABLE = """
op.create_table({table!r}, sa.Column('id', sa.Integer),
    sa.Column('size', sa.Enum('small', 'large', name={type!r}, schema={schema!r})))
"""


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    """No test finds what another one compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def _table(table: str, type_: str = "size", schema: str | None = None) -> str:
    return _TABLE.format(table=table, type=type_, schema=schema)


def _bring(project: Project, base: ways.Base, *targets: str, online: bool = False) -> ways.Content:
    """Take a database to one target after the other, each in a run of its own."""
    url = f"{base.url.replace('+asyncpg', '')}?sslmode=disable"
    for target in targets:
        policy = Policy(target=target, downgrade="allow", apply="online" if online else "compiled")
        files = history.read(project.root)
        made = plan.make(files, live.read_for(files, url), policy)
        apply.run(made, files, Terms(url=url, folder=project.root, pause=0.01, policy=policy))
    return [line for line in base.content() if "schema_ledger" not in line]


def _plain(
    project: Project, base: ways.Base, direction: Literal["up", "down"] = "up"
) -> ways.Content | None:
    """Run plain Alembic; None where it fails."""
    try:
        return ways.online(project, direction, base)
    except AssertionError:
        return None


def _same(project: Project, server: PostgresServer, *targets: str) -> None:
    with ways.made(server) as theirs, ways.made(server) as ours:
        expected = _plain(project, theirs)
        assert expected is not None
        assert _bring(project, ours, *targets) == expected


@pytest.mark.parametrize("asking", [(0,), (1,), (0, 2)])
@pytest.mark.parametrize("targets", [("head",), ("r0", "r1", "head")], ids=["one", "each"])
def test_a_type_of_several_tables_is_made_once(
    tmp_path: Path, postgres_server: PostgresServer, asking: tuple[int, ...], targets: tuple[str]
) -> None:
    """Whichever of three revisions run through env.py, in one run or in a run each."""
    project = projects.bare(tmp_path)
    for number in range(3):
        body = _table(f"t{number}")
        below = f"r{number - 1}" if number else None
        project.revision(
            f"r{number}", below, f"{_ASKS}\n{body}" if number in asking else body, "pass"
        )

    _same(project, postgres_server, *targets)


def test_a_type_of_two_branches_is_made_by_the_one_that_runs(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """A branch alone makes it, whichever comes first; both of them make it once."""
    project = projects.bare(tmp_path)
    project.revision("root", None)
    project.revision("left", "root", _table("t1"), labels=("a",))
    project.revision("right", "root", _table("t2"), labels=("b",))
    for target in ("left", "right"):
        with ways.made(postgres_server) as base:
            alone = _bring(project, base, target)
            assert any("size" in line for line in alone)

    for targets in (("heads",), ("left", "heads"), ("right", "heads")):
        _same(project, postgres_server, *targets)


def test_a_type_that_is_dropped_on_the_way_is_made_again_where_it_is_gone(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """Alembic does so in a run that begins there, and an empty database comes to head as well."""
    project = projects.bare(tmp_path)
    project.revision("r1", None, _table("t1"))
    project.revision("r2", "r1", "op.drop_table('t1')\nop.execute('DROP TYPE size')")
    project.revision("r3", "r2", _table("t2"))

    with ways.made(postgres_server) as base:
        once = _bring(project, base, "head")
    with ways.made(postgres_server) as base:
        assert _bring(project, base, "r2", "head") == once
    assert any("t2" in line for line in once)


def test_a_history_without_mixtures_is_rendered_as_alembic_renders_it(tmp_path: Path) -> None:
    """No condition stands around what is certain."""
    project = projects.bare(tmp_path)
    project.revision("r1", None, f"{_ASKS}\nop.execute('SELECT 1')")
    project.revision("r2", "r1", _table("t1", schema="s"))
    project.revision("r3", "r2", _table("t2", schema="s") + _table("t3"))

    _, second, third = history.read(tmp_path).revisions

    assert _words(second.upgrade) == ["CREATE TYPE", "CREATE TABLE"]
    assert _words(third.upgrade) == ["CREATE TABLE", "CREATE TYPE", "CREATE TABLE"]


def _words(script: Script) -> list[str]:
    return [" ".join(statement.split()[:2]) for statement in script.statements]


def test_domains_are_remembered_as_enums_are(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """SQLAlchemy makes them on the same way."""
    project = projects.bare(tmp_path)
    column = "sa.Column('n', postgresql.DOMAIN('amount', sa.Integer, check='VALUE > 0'))"
    project.revision("r1", None, f"op.create_table('t1', {column})")
    project.revision("r2", "r1", f"{_ASKS}\nop.create_table('t2', {column})")
    project.revision("r3", "r2", f"op.create_table('t3', {column})")

    _same(project, postgres_server, "r1", "head")


def test_downgrades_make_a_type_once(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Both take back a table with it: one run from the top makes it once, wherever it begins."""
    project = projects.bare(tmp_path)
    project.revision("r1", None, _table("t1") + _table("t2"), "pass")
    project.revision("r2", "r1", "op.drop_table('t1')", f"{_ASKS}\n{_table('t1')}")
    drops = "op.drop_table('t2')\nop.execute('DROP TYPE size')"
    project.revision("r3", "r2", drops, _table("t2"))

    with ways.made(postgres_server) as base:
        before = _bring(project, base, "r1")
        assert _bring(project, base, "head", "r1") == before
        assert _bring(project, base, "head", "r2", "r1") == before


def test_what_is_not_known_is_asked_of_the_database() -> None:
    """A branch beside, a type that was dropped, an online revision that makes tables."""
    size, colour = ("", "size"), ("s", "colour")
    needs = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ("d",)}
    uses = {
        "up a": TypeUse(made=(size,)),
        "up c": TypeUse(made=(colour,)),
        "up d": TypeUse(gone=(size,), open=True),
    }

    def found(revision: str) -> list[bool | None]:
        memo = named_types.memo(revision, "up", needs, uses)
        return [memo.find(size), memo.find(colour), memo.find(("", "other"))]

    assert found("a") == [False, False, False]
    assert found("b") == [True, None, False]
    assert found("d") == [None, True, False]
    assert found("e") == [None, True, None]


def test_a_type_behind_a_condition_locks_nothing() -> None:
    """What else a DO block may lock is not known."""
    sql = named_types.guarded(("s", "size"), "CREATE TYPE s.size AS ENUM ('it''s', 'large')")

    assert locks.derive([sql]) == ()
    assert locks.derive([sql.replace("END IF;", "END IF; DROP TABLE t;")]) != ()


# Each revision: how it runs, and what it does.
_KIND = st.sampled_from(["rendered", "asks first", "asks last", "asks between", "online"])
_TYPE = st.sampled_from([("size", None), ("colour", None), ("size", "other")])
_ACTION = st.one_of(
    st.tuples(st.just("table"), _TYPE),
    st.tuples(st.just("table"), _TYPE),
    st.tuples(st.just("column"), _TYPE),
    st.tuples(st.just("create"), _TYPE),
    st.tuples(st.just("drop"), _TYPE),
    st.tuples(st.just("metadata"), _TYPE),
)
_REVISION = st.tuples(_KIND, st.lists(_ACTION, min_size=1, max_size=3))


def _action(action: str, type_: tuple[str, str | None], table: str) -> str:
    name, schema = type_
    enum = f"sa.Enum('small', 'large', name={name!r}, schema={schema!r})"
    where = f"{schema or 'public'}.{name}"
    return {
        "table": _table(table, name, schema),
        "column": f"op.create_table({table!r}, sa.Column('id', sa.Integer))\n"
        f"op.add_column({table!r}, sa.Column('size', {enum}))",
        "create": f"{enum}.create(op.get_bind(), checkfirst=True)",
        "drop": f"op.execute('DROP TYPE IF EXISTS {where} CASCADE')",
        "metadata": f"sa.Table({table!r}, sa.MetaData(), sa.Column('size', {enum}))"
        ".create(op.get_bind(), checkfirst=True)",
    }[action]


def _body(prefix: str, kind: str, actions: list[tuple[str, tuple[str, str | None]]]) -> str:
    done = [_action(*each, table=f"{prefix}_{at}") for at, each in enumerate(actions)]
    if kind == "rendered":
        return "\n".join(done)
    place = {"asks first": 0, "online": 0, "asks between": 1, "asks last": len(done)}[kind]
    return "\n".join([*done[:place], _ASKS, *done[place:]])


@pytest.mark.long
@given(st.lists(st.tuples(_REVISION, _REVISION), min_size=2, max_size=4), st.data())
def test_any_mixture_ends_as_one_run_of_alembic(
    postgres_server: PostgresServer, chosen: list[Any], data: st.DataObject
) -> None:
    """Enums in tables, columns, metadata and alone, two schemas; up and down, in several runs."""
    with TemporaryDirectory() as folder, ways.made(postgres_server) as theirs:
        project = projects.bare(Path(folder))
        project.revision("r0", None, "op.execute('CREATE SCHEMA other')", "pass")
        for number, (up, down) in enumerate(chosen, start=1):
            bodies = _body(f"t{number}", *up), _body(f"d{number}", *down)
            project.revision(f"r{number}", f"r{number - 1}", *bodies)
        expected = _plain(project, theirs)
        assume(expected is not None)
        ids = [f"r{number}" for number in range(len(chosen))]
        stops = data.draw(st.lists(st.sampled_from(ids), unique=True, max_size=2).map(sorted))
        with ways.made(postgres_server) as ours:
            assert _bring(project, ours, *stops, "head") == expected
            expected = _plain(project, theirs, "down")
            if expected is not None:
                assert _bring(project, ours, *stops[::-1], "base") == expected
