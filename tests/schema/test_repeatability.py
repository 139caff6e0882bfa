"""Rendered once is what surely stays the same; the rest is rendered twice, or runs online."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.schema import history
from tests.schema.histories import project as projects

if TYPE_CHECKING:
    from pathlib import Path

    from infra.schema.model import History
    from tests.schema.histories.project import Project

# At the head of env.py: notes in a file what is executed again from then on.
_NOTED = """\
from alembic.util import pyfiles
loads = pyfiles.load_module_py
def noted(name, path):
    with open("again.txt", "a") as stream:
        stream.write(f"{path}\\n")
    return loads(name, path)
pyfiles.load_module_py = noted
"""

# Nothing of these differs in another run.
_FIXED = [
    "op.add_column('t', sa.Column('at', sa.DateTime, server_default=sa.func.now()))",
    "from datetime import date\nop.execute(f\"SELECT '{date(2020, 1, 2)}'\")",
    "import uuid\nop.execute(f\"SELECT '{uuid.UUID(int=3)}'\")",
    "for name in sorted(['b', 'a']):\n    op.execute(f'SELECT 1 AS {name}')",
    "from sqlalchemy.dialects import postgresql\nop.execute(postgresql.JSONB.__name__)",
    "import textwrap\nop.execute(textwrap.dedent('SELECT 1'))",
    "op.bulk_insert(sa.table('t', sa.column('a')), [{'a': n - 1} for n in range(3)])",
    "raise NotImplementedError",
    "parts: list[str] | None = ['x']\nop.execute('SELECT 1')",
]
# What is compared with a second time, or never rendered; each gives another SQL each time.
_CHANGING = [
    "import random\nop.execute(f'SELECT {random.random()}')",
    "from random import randint\nop.execute(f'SELECT {randint(1, 10**12)}')",
    "import random\nop.execute(f'SELECT {random.SystemRandom().random()}')",
    "import secrets\nop.execute(f\"SELECT '{secrets.token_hex()}'\")",
    "import uuid\nop.execute(f\"SELECT '{uuid.uuid1()}'\")",
    "from uuid import uuid4 as make\nop.execute(f\"SELECT '{make()}'\")",
    "import os\nop.execute(f\"SELECT '{os.urandom(8).hex()}'\")",
    "import os as o\nop.execute(f\"SELECT '{o.getrandom(8).hex()}'\")",
    "import time\nop.execute(f'SELECT {time.time()}')",
    "import time\nop.execute(f'SELECT {time.monotonic_ns()}')",
    "import datetime as d\nop.execute(f\"SELECT '{d.datetime.now()}'\")",
    "from datetime import datetime\nop.execute(f\"SELECT '{datetime.utcnow()}'\")",
    "op.execute(f\"SELECT '{object()}'\")",
    "op.execute(f\"SELECT '{(lambda: 1)}'\")",
    "op.execute(f'SELECT {id(object())}')",
    "op.execute(f'SELECT {hash(object)} + {id(op)}')",
    "import os\nop.execute(f'SELECT {os.getpid()}')",
    "import socket\nop.execute(f\"SELECT '{socket.gethostname()}'\")",
    "import platform\nop.execute(f\"SELECT '{platform.node()}'\")",
    "import threading\nop.execute(f'SELECT {threading.get_ident()}')",
    "import subprocess\nop.execute(subprocess.check_output(['date', '+SELECT %N'], text=True))",
    "from pathlib import Path\nop.execute('SELECT ' + Path('/proc/uptime').read_text().split()[0])",
    "op.execute('SELECT ' + open('/dev/urandom', 'rb').read(8).hex())",
    "import tempfile\nop.execute(f\"SELECT '{tempfile.mktemp()}'\")",
]
# Sources that may give the same twice in one process: no more is asked than to look again.
_UNSURE = [
    "import os\nop.execute(f'SELECT {len(os.listdir(chr(47)))}')",
    "import glob\nop.execute(f'SELECT {len(glob.glob(chr(47)))}')",
    "for each in {'a', 'b'}:\n    op.execute(f'SELECT 1 AS {each}')",
    "for each in frozenset('ab'):\n    op.execute(f'SELECT 1 AS {each}')",
    "for each in {n for n in 'ab'}:\n    op.execute(f'SELECT 1 AS {each}')",
    "for each in {'a': 1}.keys() & {'a': 2}.keys():\n    op.execute(f'SELECT 1 AS {each}')",
    "import os\nfor each in os.environ:\n    op.execute('SELECT 1')",
    "import locale\nop.execute(f\"SELECT '{locale.getlocale()}'\")",
    "import getpass\nop.execute(f\"SELECT '{getpass.getuser()}'\")",
    "import helper\nop.execute('SELECT 1')",
    "op.execute(f\"SELECT '{getattr(sa, '__version__')}'\")",
]


# By what env.py holds: the project takes part in what is rendered of any revision.
_HOOKS = {
    "a listener": (
        "from sqlalchemy import Table, event\n"
        "@event.listens_for(Table, 'after_parent_attach')\ndef heard(*_): pass"
    ),
    "a compiler": (
        "from sqlalchemy.ext.compiler import compiles\nfrom sqlalchemy import Integer\n"
        "@compiles(Integer, 'postgresql')\ndef named(*_, **__): return 'INTEGER'"
    ),
    "an operation": (
        "from alembic.operations import Operations, MigrateOperation\n"
        "@Operations.register_operation('own')\nclass Own(MigrateOperation):\n"
        "    @classmethod\n    def own(cls, operations): pass"
    ),
    "an attribute of Alembic's": "from alembic import op\nop.own = 1",
}


def _project(tmp_path: Path, bodies: list[str], head: str = "") -> Project:
    project = projects.bare(tmp_path)
    (tmp_path / "helper.py").touch()
    below = None
    for number, body in enumerate(bodies):
        project.revision(f"r{number:03}", below, body)
        below = f"r{number:03}"
    env = project.scripts / "env.py"
    env.write_text(f"{_NOTED}{head}\n{env.read_text()}")
    return project


def _rendered(project: Project) -> tuple[History, set[int]]:
    """Give the history, and the numbers of the revisions that were executed again."""
    found = history.read(project.root)
    again = project.root / "again.txt"
    lines = again.read_text().splitlines() if again.exists() else []
    files = [line.rpartition("/")[2] for line in lines if "versions" in line]
    return found, {int(name[1:4]) for name in files}


def test_what_stays_the_same_is_rendered_once(tmp_path: Path) -> None:
    """Beside one that does not, which alone is executed again."""
    project = _project(tmp_path, [*_FIXED, *_CHANGING[:1]])

    found, again = _rendered(project)

    live = {each.id: each.upgrade.live for each in found.revisions if each.upgrade.live}
    assert again == {len(_FIXED)}
    assert set(live) == {f"r{_FIXED.index('raise NotImplementedError'):03}", f"r{len(_FIXED):03}"}


def test_what_gives_other_sql_each_time_runs_online(tmp_path: Path) -> None:
    """Whatever it takes from: random values, clocks, addresses, the machine, its files."""
    project = _project(tmp_path, _CHANGING)

    found, _ = _rendered(project)

    pairs = zip(_CHANGING, found.revisions, strict=True)
    assert [body for body, revision in pairs if not revision.upgrade.live] == []


def test_what_may_change_is_looked_at_twice(tmp_path: Path) -> None:
    """Sets, listings, the environment, and whatever another module does."""
    project = _project(tmp_path, _UNSURE)

    found, again = _rendered(project)

    assert again == set(range(len(_UNSURE)))
    assert [each.upgrade.live for each in found.revisions] == [""] * len(_UNSURE)


@pytest.mark.parametrize("hook", _HOOKS)
def test_all_are_looked_at_twice_where_the_project_takes_part(tmp_path: Path, hook: str) -> None:
    """In what Alembic and SQLAlchemy do, in whichever revision."""
    project = _project(tmp_path, _FIXED[:2], _HOOKS[hook])

    assert _rendered(project)[1] == {0, 1}


def test_all_are_looked_at_twice_where_the_project_names_constraints(tmp_path: Path) -> None:
    """By functions of its own in `naming_convention`."""
    project = _project(tmp_path, _FIXED[:1])
    env = project.scripts / "env.py"
    convention = "sa.MetaData(naming_convention={'ix': 'i_%(own)s', 'own': lambda *_: 'x'})"
    text = env.read_text().replace(
        'url="postgresql://"', f'url="x://", target_metadata={convention}'
    )
    env.write_text(f"import sqlalchemy as sa\n{text.replace('x://', 'postgresql://')}")

    assert _rendered(project)[1] == {0}


def test_random_values_that_come_through_a_library_are_noticed(tmp_path: Path) -> None:
    """Although nothing in the revision's file speaks of them."""
    head = "import uuid\nimport sqlalchemy\n"
    head += "type.__setattr__(sqlalchemy.Integer, 'token', staticmethod(lambda: uuid.uuid4()))"
    project = _project(tmp_path, ["op.execute(f\"SELECT '{sa.Integer.token()}'\")"], head)

    found, again = _rendered(project)

    assert again == {0}
    assert "something else each time" in found.revisions[0].upgrade.live
