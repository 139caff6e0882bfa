"""Every kind of Alembic directory, run by plain Alembic and by the node: what comes of it is one.

Each is run to head, run again, taken back to base, and brought to head once more.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.schema import history, node, options
from tests.forking import servers
from tests.histories import contents
from tests.histories.contents import Noise
from tests.histories.kinds import FIXTURES, KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import PostgresServer
    from tests.histories.contents import Contents

_PLAIN = Path(__file__).parents[1] / "histories" / "plain_alembic.py"
_STAGES = (("upgrade", "heads"), ("downgrade", "base"), ("upgrade", "heads"))


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A kind, copied to a folder of its own, and what plain Alembic makes of it.

    Attributes:
        kind: Which.
        folder: The copy's root.
        plain: What is in the database at head, at base, and at head again.
    """

    kind: Kind
    folder: Path
    plain: list[Contents]

    @property
    def migrations(self) -> Path:
        """Give the folder with the configuration."""
        return (self.folder / self.kind.ini).parent if self.kind.ini else self.folder

    def place(self, url: str, **chosen: str) -> node.Place:
        """Give the node's place, with what its stack would say of this kind."""
        kind = self.kind
        called = {
            "url_variable": kind.variable,
            "iniSection": kind.section,
            "xArguments": json.dumps(kind.x),
        }
        # What a review says of the revisions is not the subject here.
        alone = {"lint": "off", "dataChecks": "false"}
        parsed = options.parse({**options.DEFAULTS, **alone, **called, **kind.options, **chosen})
        return node.Place(folder=self.migrations, url=url, options=parsed)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(kind, id=kind.name, marks=[pytest.mark.long] if kind.long else [])
        for kind in KINDS
    ],
)
def beside(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
) -> Beside:
    """Run a kind by plain Alembic."""
    kind: Kind = request.param
    folder = tmp_path_factory.mktemp("history") / kind.folder
    shutil.copytree(FIXTURES / kind.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    root = folder / kind.root
    with _database(postgres_server, kind) as url:
        plain = []
        for words in _STAGES:
            _run_plain(kind, root, url, words)
            plain.append(contents.read(url))
    return Beside(kind=kind, folder=root, plain=plain)


def _run_plain(kind: Kind, root: Path, url: str, words: tuple[str, ...]) -> None:
    target = url.partition("?")[0].replace("postgresql://", "postgresql+asyncpg://")
    task = {
        "root": str(root),
        "ini": str(root / kind.ini) if kind.ini else None,
        "toml": str(root / "pyproject.toml"),
        "section": kind.section,
        "url": target,
        "commands": [[*(word for each in kind.x for word in ("-x", each)), *words]],
        "greenlet": kind.synchronous,
    }
    done = subprocess.run(
        servers.command(str(_PLAIN)),
        cwd=root,
        input=json.dumps(task),
        env={**os.environ, kind.variable: target},
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def _database(server: PostgresServer, kind: Kind) -> Iterator[str]:
    admin = server.url(user=server.user, database="postgres")
    name = f"beside_{os.urandom(4).hex()}"
    contents.create_database(admin, name)
    url = server.url(user=server.user, database=name)
    try:
        if kind.prepare:
            contents.execute(url, kind.prepare)
        yield url
    finally:
        contents.drop_database(admin, name)


@pytest.mark.parametrize("apply", ["compiled", pytest.param("online", marks=pytest.mark.long)])
def test_the_result_is_that_of_plain_alembic(
    beside: Beside, apply: str, postgres_server: PostgresServer
) -> None:
    """At head, at base and at head again: definitions, rows, sequences; a rerun does nothing."""
    head, base, again = beside.plain
    with _database(postgres_server, beside.kind) as url:
        up = beside.place(url, apply=apply)
        _bring(up)
        assert contents.differences(head, contents.read(url), Noise()) == []
        seen = node.look(up)
        assert seen.plan
        assert not seen.plan.steps
        assert not seen.plan.drift
        _bring(beside.place(url, apply=apply, revision="base", downgrade="allow"))
        assert contents.differences(base, contents.read(url), Noise()) == []
        _bring(up)
        assert contents.differences(again, contents.read(url), Noise()) == []


def _bring(place: node.Place) -> None:
    node.bring(place, shown="", say=lambda *_, **__: None, cancelled=lambda: False)


def test_what_can_be_rendered_is_rendered(beside: Beside) -> None:
    """A history runs online as far as it has to, and no further."""
    place = beside.place("postgresql://")
    found = history.read(place.folder, place.invocation)
    rendered = [each.id for each in found.revisions if not each.upgrade.live]
    assert (len(rendered), len(found.revisions)) == beside.kind.rendered


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE boxes DROP COLUMN name; ALTER TABLE boxes ADD COLUMN name text",
        "UPDATE boxes SET name = 'tall' WHERE name = 'large'",
        "DELETE FROM boxes WHERE id = 1",
        "SELECT nextval('boxes_id_seq')",
        "CREATE INDEX ON boxes (name)",
        "COMMENT ON COLUMN boxes.name IS 'x'",
        "CREATE TYPE size AS ENUM ('small')",
    ],
)
def test_a_difference_is_found(postgres_server: PostgresServer, change: str) -> None:
    """The comparison notices columns in another order, rows, values, sequences and definitions."""
    kind = Kind(
        folder="",
        prepare="CREATE TABLE boxes (id serial PRIMARY KEY, name text, size text);"
        "INSERT INTO boxes (name) VALUES ('small'), ('large')",
    )
    with _database(postgres_server, kind) as url:
        before = contents.read(url)
        assert contents.differences(before, contents.read(url), Noise()) == []
        contents.execute(url, change)
        assert contents.differences(before, contents.read(url), Noise()) != []
