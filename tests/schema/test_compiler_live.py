"""What can't be rendered without a database is known, with its reason and its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.schema import history
from infra.schema.errors import HistoryError
from tests.schema.histories import project as projects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.schema.model import Script

_HEAD = """\
import random, time, uuid
import sqlalchemy.orm
from datetime import date, datetime
"""
_LINE = 18  # the first one of upgrade in a revision with this head

_LIVE = [
    ("op.get_bind().execute(sa.text('SELECT 1'))", "asks the database"),
    ("op.get_bind().scalar(sa.text('SELECT 1'))", "asks the database"),
    ("op.get_context().bind.execute(sa.text('SELECT 1'))", "asks the database"),
    ("op.get_context().connection.execute(sa.text('SELECT 1'))", "asks the database"),
    ("op.get_context().impl.connection.begin()", "asks the database"),
    ("context.get_bind().engine", "asks the database"),
    ("sa.inspect(op.get_bind()).get_table_names()", "asks the database"),
    ("sa.MetaData().reflect(bind=op.get_bind())", "asks the database"),
    ("sa.Enum('a', name='e').create(op.get_bind(), checkfirst=True)", "asks the database"),
    ("sa.orm.Session(op.get_bind()).execute(sa.text('SELECT 1'))", "asks the database"),
    ("op.run_async(lambda connection: connection.execute(sa.text('x')))", "asks the database"),
    ("if context.is_offline_mode(): pass", "asks whether it runs offline"),
    ("if op.get_context().as_sql: pass", "asks whether it runs offline"),
    ("if op.get_context().impl.as_sql: pass", "asks whether it runs offline"),
    ("if context.requires_connection(): pass", "asks whether it runs offline"),
    ("op.get_context().get_current_revision()", "asks for the database's revision"),
    ("op.get_bind().dialect.server_version_info", "asks for the server's version"),
    ("if op.get_context().dialect.server_version_info: pass", "asks for the server's version"),
    ("sa.create_engine('postgresql+asyncpg://h/d').connect()", "connects to a database"),
    ("__import__('socket').create_connection(('127.0.0.1', 1))", "uses the network"),
    ("__import__('subprocess').run(['true'])", "runs a program"),
    ("open('/tmp/made-by-a-revision', 'w')", "writes a file"),
    ("op.execute('COMMIT')", "controls the transaction itself"),
    ("op.execute('begin; SELECT 1')", "controls the transaction itself"),
    ("op.execute('/* c */ ROLLBACK')", "controls the transaction itself"),
    ("op.get_context().begin_transaction(_per_migration=False).__enter__()", "controls"),
    ("op.execute('create index concurrently i on t (x)')", "runs CREATE INDEX CONCURRENTLY"),
    ("op.execute('VACUUM t')", "runs VACUUM T outside of an autocommit block"),
    ('op.execute("SELECT \'open")', "sends SQL in which a quotation does not end"),
    ("op.execute(sa.text('SELECT :value'))", "raises CompileError: the parameter value has no"),
    ("op.execute(sa.table('t', sa.column('x')).insert())", "raises CompileError"),
    ("op.execute(sa.text('SELECT :v').bindparams(v=object()))", "raises CompileError"),
    ("raise SystemExit('done')", "ends the process"),
    ("raise KeyError('secret\\nmore')", "raises KeyError: 'secret\\nmore'"),
    ("op.execute(f\"SELECT '{datetime.now().date()}'\")", "asks the clock"),
    ("op.execute(f\"SELECT '{date.today()}'\")", "asks the clock"),
    ("op.execute(f'SELECT {int(time.time())}')", "asks the clock"),
]
_BLOCK = "with op.get_context().autocommit_block():\n"
_CAUGHT = [
    "    try:\n        op.execute('SELECT 1')\n    except Exception:\n        pass",
    "    try:\n        op.execute('SELECT 1')\n    except:\n        print('there')",
    (
        "    try:\n        op.execute('SELECT 1')\n    except (KeyError, sa.exc.DBAPIError) as e:\n"
        "        if 'exists' not in str(e):\n            raise"
    ),
    (
        "    with __import__('contextlib').suppress(sa.exc.ProgrammingError):\n"
        "        op.execute('SELECT 1')"
    ),
    (
        "    def send():\n        op.execute('SELECT 1')\n"
        "    try:\n        send()\n    except sa.exc.DBAPIError:\n        pass"
    ),
]
_RAISED = [
    "    try:\n        op.execute('SELECT 1')\n    finally:\n        print('done')",
    "    try:\n        op.execute('SELECT 1')\n    except KeyError:\n        pass",
    (
        "    try:\n        op.execute('SELECT 1')\n    except Exception:\n"
        "        print('failed')\n        raise"
    ),
    "    try:\n        1 / 0\n    except Exception:\n        op.execute('SELECT 1')",
    (
        "    try:\n        def send():\n            op.execute('SELECT 1')\n"
        "    except Exception:\n        pass\n    send()"
    ),
]
_SWALLOWED = [
    "op.get_bind().execute('x')",
    "context.is_offline_mode()",
    "op.get_bind().engine.name",
]
_CHANGING = ["random.random()", "uuid.uuid4()", "time.perf_counter()"]
_RENDERED = [
    "assert op.get_bind().dialect.name == 'postgresql'",
    "assert op.get_context().dialect.name == 'postgresql'",
    "op.execute('SAVEPOINT a')\nop.execute('ROLLBACK TO SAVEPOINT a')\nop.execute('RELEASE a')",
    "op.execute(\"SELECT 'COMMIT; VACUUM'\")",
    "op.execute('SELECT 1 /* COMMIT; */ -- VACUUM')",
    "import logging\nlogging.getLogger('x').warning('a logger asks the clock')",
    "print('noise')",
    "context.static_output('-- a comment')",
    "import uuid\nop.execute(f\"SELECT '{uuid.UUID(int=3)}'\")",
    "import random\nop.execute(f'SELECT {random.Random(4).random()}')",
    *(_BLOCK + body for body in _RAISED),
    "try:\n    op.execute('SELECT 1')\nexcept Exception:\n    pass",
    "for name in {'b', 'a', 'c'}:\n    op.execute(f'SELECT 1 AS {name}')",
]
_BODIES = [
    *(body for body, _ in _LIVE),
    *(
        f"try:\n    {asks}\nexcept Exception:\n    pass\nop.execute('SELECT 1')"
        for asks in _SWALLOWED
    ),
    *(f"op.execute(f\"SELECT '{{{value}}}'\")" for value in _CHANGING),
    *(_BLOCK + body for body in _CAUGHT),
    *_RENDERED,
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another one compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Script]]:
    """What each body is compiled to, all of them in one history."""
    root = tmp_path_factory.mktemp("bodies")
    project = projects.bare(root)
    below = None
    for number, body in enumerate(_BODIES):
        project.revision(f"r{number:03}", below, body, head=_HEAD.strip())
        below = f"r{number:03}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root))
        yield [revision.upgrade for revision in history.read(root).revisions]


@pytest.mark.parametrize(("number", "reason"), list(enumerate(reason for _, reason in _LIVE)))
def test_a_revision_that_needs_a_database_runs_live(
    scripts: list[Script], number: int, reason: str
) -> None:
    """With the line that asks, and the reason in one line."""
    script = scripts[number]

    assert script.parts == ()
    assert script.locks == ()
    assert "\n" not in script.live
    assert script.live.startswith(f"line {_LINE} {reason}"), _BODIES[number]


def test_a_refusal_that_a_revision_swallows_counts_all_the_same(scripts: list[Script]) -> None:
    """Otherwise its data part would be left out without a word."""
    begin = len(_LIVE)
    for script in scripts[begin : begin + len(_SWALLOWED)]:
        assert script.live.startswith(f"line {_LINE + 1} asks ")


def test_a_statement_whose_error_is_caught_runs_live(scripts: list[Script]) -> None:
    """In an autocommit block, where a run goes on after it; elsewhere the transaction is lost."""
    begin = len(_LIVE) + len(_SWALLOWED) + len(_CHANGING)
    for script in scripts[begin : begin + len(_CAUGHT)]:
        assert script.live.endswith("sends SQL whose error is caught")


def test_a_revision_that_renders_something_else_each_time_runs_live(scripts: list[Script]) -> None:
    """What was reviewed would not be what runs."""
    begin = len(_LIVE) + len(_SWALLOWED)
    for script in scripts[begin : begin + len(_CHANGING)]:
        assert "something else each time" in script.live


def test_what_needs_no_database_is_rendered(scripts: list[Script]) -> None:
    """A dialect's name, savepoints, words inside of texts, logs, fixed values."""
    rendered = dict(zip(_RENDERED, scripts[-len(_RENDERED) :], strict=True))

    assert {body: script.live for body, script in rendered.items() if script.live} == {}


def test_defaults_that_python_computes_are_not_rendered_as_null(tmp_path: Path) -> None:
    """SQLAlchemy would render NULL, and a live run inserts the value."""
    head = "table = sa.Table('t', sa.MetaData(), sa.Column('a', sa.Integer, default=5),\n"
    head += "    sa.Column('b', sa.Integer), sa.Column('c', sa.Integer, onupdate=6))"
    project = projects.bare(tmp_path)
    project.revision(
        "aaaa",
        None,
        "op.bulk_insert(table, [{'b': 1}])",
        "op.execute(table.update().values(b=1))",
        head=head,
    )
    project.revision("bbbb", "aaaa", "op.bulk_insert(table, [{'a': 1, 'b': 1}])", head=head)
    first, second = history.read(tmp_path).revisions

    assert "default of column a is computed in Python" in first.upgrade.live
    assert "default of column c is computed in Python" in first.downgrade.live
    assert second.upgrade.statements == ("INSERT INTO t (a, b) VALUES (1, 1)",)


def test_a_file_may_ask_to_run_live(tmp_path: Path) -> None:
    """With `online = True` beside its id."""
    project = projects.bare(tmp_path)
    project.revision("aaaa", None, "op.execute('SELECT 1')", head="online = True")
    only = history.read(tmp_path).revisions[0]

    assert only.upgrade.live == only.downgrade.live == "its file says online = True"


def test_no_way_back_is_told_from_a_way_back_that_does_nothing(tmp_path: Path) -> None:
    """`pass` takes back nothing; NotImplementedError says that nothing can."""
    project = projects.bare(tmp_path)
    project.revision("aaaa", None, downgrade="pass")
    project.revision("bbbb", "aaaa", downgrade="raise NotImplementedError('data is gone')")
    path = project.revision("cccc", "bbbb")
    path.write_text(path.read_text().partition("def downgrade")[0])
    empty, refused, missing = (r.downgrade for r in history.read(tmp_path).revisions)

    assert (empty.parts, empty.live, empty.absent) == ((), "", False)
    assert refused.absent
    assert "raises NotImplementedError: data is gone" in refused.live
    assert missing.absent
    assert "has no function downgrade" in missing.live


def test_one_revision_that_runs_live_does_not_keep_others_from_being_rendered(
    tmp_path: Path,
) -> None:
    """Nor does what it did before it asked stay in anybody's SQL."""
    project = projects.bare(tmp_path)
    project.revision("aaaa", None, "op.execute('SELECT 1')")
    project.revision("bbbb", "aaaa", "op.execute('SELECT 2')\nop.get_bind().execute('x')")
    project.revision("cccc", "bbbb", "op.execute('SELECT 3')")
    scripts = [revision.upgrade for revision in history.read(tmp_path).revisions]

    assert [script.statements for script in scripts] == [("SELECT 1",), (), ("SELECT 3",)]
    assert [bool(script.live) for script in scripts] == [False, True, False]


_ENV = "from alembic import context\n"
_RUN = "context.configure(url='postgresql://')\ncontext.run_migrations()\n"


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        (_ENV + _RUN, "it never asks context.is_offline_mode()"),
        (_ENV + "context.is_offline_mode()\n", "it runs the revisions never in offline mode"),
        (_ENV + "context.is_offline_mode()\n" + _RUN + _RUN, "runs the revisions 2 times"),
        (_ENV + "context.is_offline_mode()\nraise SystemExit(3)\n", "line 3 ends the process"),
        (_ENV + "import os\nos.environ['NO_SUCH']\n", "line 3 raises KeyError: 'NO_SUCH'"),
        (
            _ENV + "from sqlalchemy import create_engine\ncontext.is_offline_mode()\n"
            "create_engine('postgresql+asyncpg://h/d').connect()\n",
            "line 4 connects to a database",
        ),
        (
            _ENV + "import asyncio\nfrom sqlalchemy.ext.asyncio import create_async_engine\n"
            "async def go():\n    async with create_async_engine('postgresql+asyncpg://h/d')"
            ".connect():\n        pass\nasyncio.run(go())\n",
            "connects to a database",
        ),
        (
            _ENV + "if context.is_offline_mode():\n    context.configure(url='postgresql://',"
            " on_version_apply=lambda **_: None)\n    context.run_migrations()\n",
            "registers on_version_apply",
        ),
        (
            _ENV + "context.is_offline_mode()\n" + _RUN + "context.execute('VACUUM')",
            "line 5 runs VACUUM outside of an autocommit block",
        ),
    ],
)
def test_an_env_without_an_offline_mode_runs_everything_live(
    tmp_path: Path, env: str, reason: str
) -> None:
    """The history is read all the same: ids, order, messages, checksums."""
    project = projects.bare(tmp_path)
    project.revision("aaaa", None, "op.execute('SELECT 1')")
    (project.scripts / "env.py").write_text(env)
    read = history.read(tmp_path)

    assert reason in read.offline
    assert read.prologue == ()
    assert [r.id for r in read.revisions] == ["aaaa"]
    assert reason in read.revisions[0].upgrade.live
    assert reason in read.revisions[0].downgrade.live


@pytest.mark.parametrize(
    "env",
    [
        "context.is_offline_mode()\ncontext.configure()\n",
        "context.is_offline_mode()\ncontext.configure(dialect_opts={'paramstyle': 'format'})",
        """assert context.is_offline_mode() and context.get_x_argument() == []
assert context.config.get_main_option('sqlalchemy.url')
context.configure(url='mysql://somewhere', transactional_ddl=False)
""",
    ],
)
def test_the_options_of_offline_mode_do_not_change_the_sql(tmp_path: Path, env: str) -> None:
    """Without a URL, with a paramstyle that doubles percent signs, for another dialect."""
    project = projects.bare(tmp_path)
    project.revision("aaaa", None, "op.execute(\"SELECT '50%'\")")
    (project.scripts / "env.py").write_text(f"{_ENV}{env}\ncontext.run_migrations()\n")
    read = history.read(tmp_path)

    assert read.offline == ""
    assert read.revisions[0].upgrade.statements == ("SELECT '50%'",)


def test_what_env_py_gives_to_the_revisions_reaches_them(tmp_path: Path) -> None:
    """Keyword arguments of run_migrations."""
    project = projects.bare(tmp_path)
    path = project.revision("aaaa", None, "op.execute(f'SELECT {number}')")
    path.write_text(path.read_text().replace("upgrade()", "upgrade(number)"))
    path.write_text(path.read_text().replace("downgrade()", "downgrade(number)"))
    env = project.scripts / "env.py"
    env.write_text(env.read_text().replace("run_migrations()", "run_migrations(number=7)"))

    assert history.read(tmp_path).revisions[0].upgrade.statements == ("SELECT 7",)


def test_timeouts_of_a_file_are_read(tmp_path: Path) -> None:
    """As PostgreSQL writes them, or as milliseconds."""
    project = projects.bare(tmp_path)
    project.revision("aaaa", None, head="lock_timeout = '30s'\nstatement_timeout = 1500")
    project.revision("bbbb", "aaaa")
    first, second = history.read(tmp_path).revisions

    assert (first.lock_timeout, first.statement_timeout) == ("30s", "1500ms")
    assert (second.lock_timeout, second.statement_timeout) == ("", "")


@pytest.mark.parametrize("value", ["'soon'", "-1", "True", "''", "'1s; DROP TABLE x'", "1.5"])
def test_a_timeout_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    """With the file and what to write instead."""
    project = projects.bare(tmp_path)
    project.revision("aaaa", None, head=f"lock_timeout = {value}")

    with pytest.raises(HistoryError, match=r"aaaa_made.py: lock_timeout is .* no time"):
        history.read(tmp_path)
