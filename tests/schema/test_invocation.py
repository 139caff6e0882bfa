"""How Alembic is called: the folder, the section, arguments, several databases in one env.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from infra.schema import apply, history, live, plan
from infra.schema.environment_sql import files_digest
from infra.schema.errors import HeadsError, HistoryError, MigrationError
from infra.schema.invocation import Invocation
from infra.schema.model import Policy
from tests.schema.histories import project as projects
from tests.schema.histories import ways

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.schema.model import History
    from tests.conftest import PostgresServer

_INI = "[alembic]\nscript_location = {location}\npath_separator = newline\n{more}"
_ENV = """
import asyncio
import os

from alembic import context
{head}
from sqlalchemy.ext.asyncio import create_async_engine

ARGUMENTS = context.get_x_argument(as_dictionary=True)


def run(connection=None):
    if connection:
        context.configure(connection=connection)
    else:
        context.configure(url="postgresql://", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


async def online():
    async with create_async_engine(os.environ["DATABASE_URL"]).connect() as connection:
        await connection.run_sync(run)
        await connection.commit()


if context.is_offline_mode():
    run()
else:
    asyncio.run(online())
"""
_ARGUMENT = "context.get_x_argument(as_dictionary=True)"


class Layout:
    """An Alembic directory whose parts lie in different folders."""

    def __init__(self, root: Path, *, location: str, ini: str, named: str | None = None) -> None:
        """Write env.py, one revision and the configuration.

        Args:
            root: Where Alembic is called.
            location: Of env.py, below the root.
            ini: The INI file, below the root.
            named: script_location; None for `location`.
        """
        self.root, self.ini, self.scripts = root, root / ini, root / location
        self.project = projects.Project(root=root, scripts=self.scripts)
        self.scripts.mkdir(parents=True)
        self.env()
        self.ini.parent.mkdir(parents=True, exist_ok=True)
        self.configure(named or location)
        self.project.revision("aaaa", None, "op.execute('CREATE TABLE one (id int)')")

    def env(self, head: str = "") -> None:
        """Write env.py."""
        (self.scripts / "env.py").write_text(_ENV.format(head=head))

    def configure(self, location: str, more: str = "") -> None:
        """Write the INI file."""
        self.ini.write_text(_INI.format(location=location, more=more))


def _upgraded(
    place: Path, base: ways.Base, invocation: Invocation, *, how: Any = "compiled"
) -> History:
    """Bring a database to head as the node does."""
    files = history.read(place, invocation)
    url = base.url.replace("+asyncpg", "") + "?sslmode=disable"
    made = plan.make(files, live.read_for(files, url), Policy(target="heads", apply=how))
    apply.run(made, files, apply.Terms(url=url, folder=place, invocation=invocation))
    return files


def _as_alembic(
    server: PostgresServer, place: Path, invocation: Invocation, root: Path, *words: str
) -> History:
    """Bring two databases to head as the node does, a third by `alembic`; all three are alike."""
    with ways.made(server) as theirs:
        _alembic(root, theirs, *words, "upgrade", "heads")
        expected = theirs.content()
    for how in ("compiled", "online"):
        with ways.made(server) as mine:
            files = _upgraded(place, mine, invocation, how=how)
            assert [line for line in mine.content() if "schema_ledger" not in line] == expected
    return files


def _alembic(root: Path, base: ways.Base, *words: str) -> None:
    """Run the `alembic` command in a folder, as people do."""
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *words],
        cwd=root,
        env={**os.environ, "DATABASE_URL": base.url},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_an_ini_three_folders_below_its_root(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """As `alembic -c a/b/ç d/prod.ini` in the root, of another name, with spaces and letters."""
    layout = Layout(tmp_path, location="src/über tool/migrations", ini="a/b/ç d/prod.ini")
    (tmp_path / "shop.py").write_text("NAME = 'one'\n")
    layout.env("import shop")
    layout.project.revision("bbbb", "aaaa", "op.execute('CREATE TABLE two (id int)')")

    files = _as_alembic(
        postgres_server, layout.ini, Invocation(), tmp_path, "-c", "a/b/ç d/prod.ini"
    )

    assert files.root == "../../.."
    assert files.offline == ""


def _in_pyproject(layout: Layout) -> Path:
    layout.ini.unlink()
    text = '[tool.alembic]\nscript_location = "%(here)s/db/migrations"\nprepend_sys_path = ["."]\n'
    (layout.root / "pyproject.toml").write_text(text)
    return layout.root / "pyproject.toml"


def _beside_pyproject(layout: Layout) -> Path:
    layout.ini.write_text("[alembic]\n")
    text = '[tool.alembic]\nscript_location = "db/migrations"\n'
    (layout.root / "pyproject.toml").write_text(text)
    return layout.ini.parent


def _by_import(layout: Layout) -> Path:
    layout.configure("%(here)s/../db/migrations", "prepend_sys_path = .")
    (layout.root / "only_in_the_root").mkdir()
    (layout.root / "only_in_the_root" / "tables.py").write_text("")
    layout.env("from only_in_the_root import tables")
    return layout.ini


def _by_package(layout: Layout) -> Path:
    layout.configure("db:migrations", "version_locations = db:more\n")
    for name in ("db", "db/migrations", "db/more"):
        (layout.root / name).mkdir(exist_ok=True)
        (layout.root / name / "__init__.py").write_text("")
    layout.project.revision("aaaa", None, folder=layout.root / "db" / "more")
    return layout.ini


def _by_link(layout: Layout) -> Path:
    link = layout.root.with_name(f"{layout.root.name} link")
    link.symlink_to(layout.root)
    return link / "conf"


def _by_env_alone(layout: Layout) -> Path:
    layout.ini.rename(layout.root / "alembic.ini")
    return layout.scripts


def test_what_lies_further_up_does_not_move_the_root(tmp_path: Path) -> None:
    """A broken pyproject.toml of others above, and a module that is missing everywhere."""
    (tmp_path / "pyproject.toml").write_text("[not toml")
    layout = Layout(tmp_path / "own", location="conf/db", ini="conf/alembic.ini", named="db")
    assert history.read(layout.ini.parent).root == "."

    layout.configure("conf/db")
    assert history.read(layout.ini.parent).root == ".."
    layout.configure("%(here)s/db")
    layout.env("import nowhere_at_all")
    with pytest.raises(HistoryError, match=r"nowhere_at_all.*called in .*own/conf,"):
        history.read(layout.ini.parent)


@pytest.mark.parametrize(
    "change",
    [_in_pyproject, _beside_pyproject, _by_import, _by_package, _by_link, _by_env_alone],
)
def test_the_root_is_found(tmp_path: Path, change: Callable[[Layout], Path]) -> None:
    """By script_location, version_locations, what env.py imports, or the way back from env.py."""
    root = tmp_path / "root"
    root.mkdir()
    place = change(Layout(root, location="db/migrations", ini="conf/alembic.ini"))

    read = history.read(place)

    assert (read.heads, read.offline) == (("aaaa",), "")
    start = place if place.is_dir() else place.parent
    assert (start / read.root).resolve() == root


def test_two_roots_that_would_do_need_a_name(tmp_path: Path) -> None:
    """Each leads to another env.py: both are named, and the key that chooses."""
    for root, id_ in ((tmp_path, "aaaa"), (tmp_path / "inner", "bbbb")):
        root.mkdir(exist_ok=True)
        layout = Layout(root, location="migrations", ini="inner/conf/x/alembic.ini")
        layout.project.revision(id_, None)
    for path in (tmp_path / "inner" / "migrations" / "versions").glob("aaaa*"):
        path.unlink()
    ini = tmp_path / "inner" / "conf" / "x"
    ini.mkdir(parents=True, exist_ok=True)
    (ini / "alembic.ini").write_text(_INI.format(location="migrations", more=""))

    with pytest.raises(HistoryError, match=r"each of these folders: .*inner, .*migrationsRoot"):
        history.read(ini)
    assert history.read(ini, Invocation(root=str(tmp_path))).heads == ("aaaa",)
    assert history.read(ini, Invocation(root=str(tmp_path / "inner"))).heads == ("bbbb",)
    with pytest.raises(HistoryError, match=r"no folder .*nowhere.*migrationsRoot"):
        history.read(ini, Invocation(root=str(tmp_path / "nowhere")))


def test_a_named_section_and_arguments_reach_env(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """As with `alembic -n billing -x name=two -x flag`: by config, get_x_argument and cmd_opts."""
    layout = Layout(tmp_path, location="shop", ini="alembic.ini")
    billing = Layout(tmp_path, location="billing", ini="alembic.ini", named="shop")
    billing.ini.write_text(
        f"{_INI.format(location='shop', more='')}\n[billing]\nscript_location = %(here)s/billing\n"
        "path_separator = newline\nprefix = b\n"
    )
    billing.env(
        "import sys\n"
        "assert context.config.get_main_option('prefix') == 'b'\n"
        "assert context.config.cmd_opts.x[1:] == ['flag']\n"
        "assert context.config.cmd_opts.name == 'billing'\n"
        "assert context.config.cmd_opts.cmd[0].__name__ == 'upgrade'\n"
        "assert sys.argv[0].endswith(('alembic', '__main__.py'))\n"
    )
    billing.project.revision(
        "bbbb", "aaaa", f"op.execute('CREATE TABLE ' + {_ARGUMENT}['name'] + ' (id int)')"
    )
    called = Invocation(section="billing", arguments=("name=two", "flag"))

    words = ("-n", "billing", "-x", "name=two", "-x", "flag")
    _as_alembic(postgres_server, tmp_path, called, tmp_path, *words)

    assert history.read(layout.root).heads == ("aaaa",)
    other = history.read(tmp_path, replace(called, arguments=("name=three", "flag")))
    assert other.revisions[1].upgrade.statements == ("CREATE TABLE three (id int)",)
    assert files_digest(other) != files_digest(history.read(tmp_path, called))
    with pytest.raises(HistoryError, match=r"no section \[shipping\]\..* It has: alembic, billing"):
        history.read(tmp_path, Invocation(section="shipping"))


def test_a_secret_argument_is_shown_nowhere(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """Neither in the history, the plan and the errors nor in the kept file; it takes effect."""
    layout = Layout(tmp_path, location="db", ini="alembic.ini")
    layout.project.revision(
        "bbbb", "aaaa", f"op.execute(\"COMMENT ON TABLE one IS '\" + {_ARGUMENT}['word'] + \"'\")"
    )
    called = Invocation(arguments=("word=hunter22",), secrets=("hunter22",))

    with ways.made(postgres_server) as base:
        files = _upgraded(tmp_path, base, called)
        assert [line for line in base.content() if "hunter22" in line]
    layout.project.revision(
        "cccc", "bbbb", f"op.get_bind()\nop.execute('SELECT ' + {_ARGUMENT}['word'])"
    )
    with ways.made(postgres_server) as base, pytest.raises(MigrationError) as refused:
        _upgraded(tmp_path, base, called)
    layout.env(f"raise LookupError({_ARGUMENT})")

    assert "hunter22" not in str(files)
    assert files.revisions[1].upgrade.live == "its SQL holds a secret of env.py's arguments"
    assert "hunter22" not in str(refused.value)
    assert "***" in str(refused.value)
    assert "hunter22" not in str(history.read(tmp_path, called).offline)
    assert called.command() == "-x word=***"


def _multidb(root: Path) -> projects.Project:
    """Two databases as Alembic's own template has them, with one revision for each."""
    project = projects.from_template(root, "multidb")
    for id_, parent, engine in (("aaaa", None, "engine1"), ("bbbb", "aaaa", "engine2")):
        functions = "\n\n".join(
            f"def {way}_{each}():\n    op.{call if each == engine else 'f'}('{id_}')"
            for way, call in (("upgrade", "create_table"), ("downgrade", "drop_table"))
            for each in ("engine1", "engine2")
        )
        (project.versions / f"{id_}.py").write_text(
            f'"""{engine}"""\nfrom alembic import op\nrevision = {id_!r}\n'
            f"down_revision = {parent!r}\n\n\ndef upgrade(engine_name):\n"
            '    globals()["upgrade_%s" % engine_name]()\n\n\ndef downgrade(engine_name):\n'
            f'    globals()["downgrade_%s" % engine_name]()\n\n\n{functions}\n'
        )
    return project


@pytest.mark.parametrize("how", ["compiled", "online"])
def test_two_nodes_have_the_two_databases_of_one_env(
    tmp_path: Path, postgres_server: PostgresServer, how: str
) -> None:
    """Alembic's multidb template as it is: each node runs its own, and writes no file."""
    project = _multidb(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    with ways.made(postgres_server) as one, ways.made(postgres_server) as two:
        for base, engine in ((one, "engine1"), (two, "engine2")):
            files = _upgraded(tmp_path, base, Invocation(engine=engine), how=how)
            assert (files.offline, files.heads) == ("", ("bbbb",))

        tables = [
            sorted(set(re.findall(r"table \S*?\b(aaaa|bbbb)\b", "\n".join(base.content()))))
            for base in (one, two)
        ]
    assert tables == [["aaaa"], ["bbbb"]]
    assert [path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in path.parts] == [
        path for path in before if "__pycache__" not in path.parts
    ]
    with pytest.raises(HistoryError, match=r"databases: engine1, engine2\..*engineName"):
        history.read(project.root)
    with pytest.raises(HistoryError, match=r"no section \[engine3\]\. It has: engine1, engine2"):
        history.read(project.root, Invocation(engine="engine3"))


def test_two_heads_of_others_are_merged_in_a_version_location_of_ones_own(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """By the documented command; their folder stays as it is, and `head` means something."""
    theirs = Layout(tmp_path, location="theirs/migrations", ini="theirs/alembic.ini")
    for id_ in ("bbbb", "cccc"):
        theirs.project.revision(id_, "aaaa", f"op.execute('CREATE TABLE {id_} (id int)')")
    (theirs.scripts / "script.py.mako").write_text(
        "revision = ${repr(up_revision)}\ndown_revision = ${repr(down_revision)}\n\n\n"
        "def upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n"
    )
    (tmp_path / "mine" / "versions").mkdir(parents=True)
    ini = tmp_path / "mine" / "alembic.ini"
    locations = "theirs/migrations/versions\n    %(here)s/versions\n"
    ini.write_text(
        _INI.format(location="theirs/migrations", more=f"version_locations = {locations}")
    )
    before = sorted(theirs.project.versions.glob("*.py"))
    words = ("revision", "-m", "merge heads", "--head", "heads", "--version-path", "mine/versions")

    with ways.made(postgres_server) as base:
        _alembic(tmp_path, base, "-c", "mine/alembic.ini", *words)
    files = _as_alembic(postgres_server, ini, Invocation(), tmp_path, "-c", "mine/alembic.ini")

    with pytest.raises(HeadsError, match=r"bbbb.*cccc"):
        plan.target(history.read(theirs.ini), "head")
    assert files.by_id[plan.target(files, "head")[0]].parents == ("bbbb", "cccc")
    assert sorted(theirs.project.versions.glob("*.py")) == before
