"""The processes that render and run online need little of the environment that they run in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
# SQLAlchemy and Alembic need the others by themselves: what is loaded for them is no business of
# ours, but what our own files name is.
_ALLOWED = {"alembic", "greenlet", "sqlalchemy"}
_IMPORTED = """
import builtins, json, sys
own, real = set(), builtins.__import__
def noting(name, named=None, *rest):
    if (named or {}).get("__name__", "").partition(".")[0] == "infra" and not rest[-1]:
        own.add(name.partition(".")[0])
    return real(name, named, *rest)
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
builtins.__import__ = noting
real(sys.argv[1])
print(json.dumps(sorted(own - set(sys.stdlib_module_names))))
"""
_ABSENT = ("asyncpg", "grpc", "pgparse", "pgvector", "psycopg", "psycopg2", "pulumi", "rich")


@pytest.mark.parametrize("module", ["infra.schema.compiler", "infra.schema.online"])
def test_a_worker_imports_alembic_and_sqlalchemy_alone(module: str) -> None:
    """It starts where no driver and none of this project's other dependencies are installed."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, module, ",".join((*_ABSENT, "toolchain"))],
        cwd=_ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) - {"infra"} <= _ALLOWED
