"""The rules that keep the rooms apart."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
# Where Pulumi's SDK may be imported; everything else works without it.
_PULUMI_ROOMS = (
    "__main__.py",
    "infra/settings/",
    "infra/dynamic.py",
    "infra/outputs.py",
    "infra/password.py",
    "infra/row.py",
    "infra/servers/",
    "infra/database/",
    "infra/schema/resource.py",
    "policy/",
    "tests/",
    "toolchain/plugins/",
)


def _modules() -> list[Path]:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=_ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    return [Path(name) for name in tracked if (_ROOT / name).exists()]


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse((_ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_pulumi_is_imported_only_where_the_graph_is_declared() -> None:
    """Planning, applying and the servers' mechanics run without Pulumi."""
    strangers = [
        str(path)
        for path in _modules()
        if not str(path).startswith(_PULUMI_ROOMS)
        and _imports(path) & {"pulumi", "pulumi_postgresql", "pulumi_docker"}
    ]

    assert strangers == []


def test_migrations_know_neither_infra_nor_pulumi() -> None:
    """They work with the plain `alembic` command and a URL."""
    own = [path for path in _modules() if path.parts[0] == "migrations"]

    assert own
    for path in own:
        assert not _imports(path) & {"infra", "pulumi", "toolchain"}, path


def test_the_toolchain_needs_the_standard_library_alone() -> None:
    """It runs before there is any environment to import something from."""
    own = [
        path for path in _modules() if path.parts[0] == "toolchain" and path.parts[1] != "plugins"
    ]

    assert own
    for path in own:
        assert _imports(path) <= sys.stdlib_module_names | {"toolchain"}, path


def test_the_entry_point_reads_as_a_summary() -> None:
    """The program stays under 60 lines."""
    assert len((_ROOT / "__main__.py").read_text().splitlines()) < 60


@pytest.mark.parametrize(
    "module",
    ["infra.servers.local.cluster", "infra.schema.online", "infra.settings", "infra.readme"],
)
def test_mechanics_load_without_pulumi(module: str) -> None:
    """No import further down brings the SDK in by the back door."""
    code = f"import sys, {module}; sys.exit('pulumi' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=False).returncode == 0


# Where what is printed has been through `visible`, is JSON, or goes to the process that waits.
_PRINTED = {
    "infra/row.py",
    "infra/schema/child.py",
    "infra/schema/cli.py",
    "infra/schema/reporting/terminal.py",
    "toolchain/progress.py",
}
_EXITS = {"print", "sys.stderr.write", "sys.stdout.write", "pulumi.log.warn", "pulumi.log.error"}


def test_what_is_printed_is_visible() -> None:
    """A text with a name or a message in it goes through `visible` on its way to a person."""
    raw = [
        f"{path}:{node.lineno}"
        for path in _modules()
        if str(path).startswith(("__main__.py", "infra/", "ci/", "toolchain/"))
        and not str(path).startswith("toolchain/plugins/")
        and str(path) not in _PRINTED
        for node in ast.walk(ast.parse((_ROOT / path).read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _EXITS and node.args
        for holes in [[each for each in ast.walk(node.args[0]) if _is_hole(each)]]
        if holes and not ast.unparse(node.args[0]).startswith("visible(")
    ]

    assert raw == []


def _is_hole(node: ast.AST) -> bool:
    """Tell a part of a text that is put in when it runs; upper-case names are constants."""
    if not isinstance(node, ast.FormattedValue):
        return False
    value = ast.unparse(node.value)
    return not (value.isupper() or value.startswith("visible("))
