"""What `python -m tests.histories` finds in a package, and what it is told of one."""

from __future__ import annotations

import venv
from typing import TYPE_CHECKING

import pytest

from tests.histories import discovery, settings, tables
from tests.histories.comparison import Result, Way
from tests.histories.environments import Environment

if TYPE_CHECKING:
    from pathlib import Path

_ENV = "from alembic import context\ncontext.run_migrations()\n"


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An environment without any package."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    return Environment(folder=tmp_path / "env")


def _install(environment: Environment, files: dict[str, str]) -> None:
    """Lay out a distribution "shop" as an installer leaves it."""
    for name, text in files.items():
        path = environment.packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    about = environment.packages / "shop-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.2\n")
    (about / "RECORD").write_text("".join(f"{name},,\n" for name in files))


@pytest.mark.parametrize(
    ("ini", "location", "root"),
    [
        ("shop/db/alembic.ini", "%(here)s/alembic", "shop/db"),
        ("shop/db/alembic.ini", "alembic", "shop/db"),
        ("shop/deploy/config/alembic.ini", "shop/db/alembic", "."),
        ("shop/alembic.ini", "shop.db:alembic", "shop"),
    ],
)
def test_the_ini_that_leads_to_a_directory_is_found(
    environment: Environment, ini: str, location: str, root: str
) -> None:
    """Beside env.py, folders above or below it, by a path or by the name of a package."""
    text = f"[alembic]\nscript_location = {location}\n"
    _install(environment, {"shop/db/alembic/env.py": _ENV, ini: text, "shop/env.py": "X = 1\n"})
    (found,) = discovery.find(environment, "shop")
    packages = environment.packages
    assert found.name(packages) == "shop/db/alembic"
    assert found.ini == packages / ini
    assert found.root.resolve() == (packages / root).resolve()
    assert environment.version("shop") == "1.2"


def test_a_directory_without_an_ini_is_found(environment: Environment) -> None:
    """As packages ship it whose code makes the configuration."""
    _install(environment, {"shop/db/env.py": _ENV, "shop/setup.ini": "no section\n"})
    (found,) = discovery.find(environment, "shop")
    assert found.ini is None


def test_the_command_line_goes_before_what_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What single packages need is in a file; options replace it, and variables are added."""
    known = tmp_path / "packages.toml"
    known.write_text(
        '[shop]\ndriver = "asyncpg"\nvariables = { A = "1", B = "2" }\n'
        '[[shop.history]]\nsection = "one"\n[[shop.history]]\nsection = "two"\ndriver = "psycopg"\n'
    )
    monkeypatch.setattr(settings, "_KNOWN", known)
    one, two = settings.for_package("shop[extra]==1", {"variables": {"B": "3"}, "x": ["a=b"]})
    assert (one.package, one.requirement) == ("shop", "shop[extra]==1")
    assert (one.section, one.driver, two.section, two.driver) == (
        "one",
        "asyncpg",
        "two",
        "psycopg",
    )
    assert one.variables == {"A": "1", "B": "3"}
    assert one.x == ("a=b",)
    (other,) = settings.for_package("other", {})
    assert other.requirement == "other"


def test_a_difference_is_in_the_table() -> None:
    """A result that differs says so, and what differs."""
    same = Result(name="same 1", ways=[Way(apply="compiled"), Way(apply="online")])
    other = Result(name="other 2", ways=[Way(apply="compiled", problems=["at head: extra: x"])])
    assert same.agrees
    assert not other.agrees
    text = tables.table([same, other])
    assert "1 differences" in text
    assert "at head: extra: x" in text
