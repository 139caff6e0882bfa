"""An application's own environment has older packages and another driver than this project."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from typing import TYPE_CHECKING

import pytest

from infra.schema import interpreter, node, options
from tests.histories import contents, environments
from tests.histories.contents import Noise
from tests.histories.kinds import FIXTURES, KINDS, Kind

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.histories.contents import Contents

pytestmark = pytest.mark.long
_OLD = ("alembic==1.9.4", "sqlalchemy[asyncio]==2.0.4")
_KINDS = {kind.folder: kind for kind in KINDS}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make an environment with what is old, and psycopg alone."""
    folder = tmp_path_factory.mktemp("environment") / "env"
    try:
        environments.install(folder, _OLD, drivers=("psycopg[binary]",))
    except environments.InstallError as exc:
        warnings.warn(f"the old packages can't be had: {exc}", UserWarning, stacklevel=1)
        pytest.skip(f"the old packages can't be had: {exc}")
    return str(folder)


@pytest.mark.parametrize(
    ("name", "apply"), [("enums_in_mixtures", "compiled"), ("autocommit_and_data", "online")]
)
def test_it_renders_and_runs_online_all_the_same(
    name: str, apply: str, python: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """The plan, its digest and what is in the database afterwards are those of this project's."""
    found = dict(interpreter.examine(interpreter.path(python)).packages)
    assert found["alembic"] == "1.9.4"
    assert "asyncpg" not in found

    kind = _KINDS[name]
    folder = tmp_path / kind.folder
    shutil.copytree(FIXTURES / kind.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    plans, results = zip(
        *(_run(kind, folder, each, apply, postgres_server) for each in ("", python)), strict=True
    )
    assert plans[0] == plans[1]
    assert contents.differences(results[0], results[1], Noise()) == []


def _run(
    kind: Kind, folder: Path, python: str, apply: str, server: PostgresServer
) -> tuple[str, Contents]:
    """Bring a new database to head; gives the plan's digest, and what is there."""
    admin = server.url(user=server.user, database="postgres")
    name = f"old_{os.urandom(4).hex()}"
    contents.create_database(admin, name)
    try:
        called = {"url_variable": kind.variable, "xArguments": json.dumps(kind.x), "lint": "off"}
        place = node.Place(
            folder=(folder / kind.root / kind.ini).parent,
            url=server.url(user=server.user, database=name),
            options=options.parse({**called, "apply": apply, "migrationsPython": python}),
        )
        plan = node.look(place).plan
        assert plan
        node.bring(place, shown="", say=lambda *_, **__: None, cancelled=lambda: False)
        return plan.digest, contents.read(str(place.url))
    finally:
        contents.drop_database(admin, name)
