"""What stands around the language host that is built: the project's environment, its packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.toolchain.conftest import executable
from toolchain import engine, shell, versions


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The wrapper, before a host that shows its arguments and the first folder of its PATH."""
    shown = '#!/bin/sh\nprintf \'%s\\n\' "${PATH%%:*}" "$@"\n'
    executable(tmp_path / "engine dir" / "libexec" / "pulumi-language-python", shown)
    wrapper = tmp_path / "engine dir" / "bin" / "pulumi-language-python"
    wrapper.parent.mkdir()
    shutil.copy(versions.ROOT / "toolchain" / "languagehost.sh", wrapper)
    wrapper.chmod(0o755)
    return wrapper


def _start(host: Path, folder: Path) -> list[str]:
    done = subprocess.run(
        [host, "127.0.0.1:4 2"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    first, *arguments = done.stdout.splitlines()
    assert arguments == ["127.0.0.1:4 2"]
    return [first]


@pytest.mark.parametrize(
    ("option", "venv"),
    [
        ("", ".venv"),
        ("    virtualenv: env", "env"),
        ('    virtualenv: "an env"  # ours', "an env"),
        ("    virtualenv: 'é'", "é"),
    ],
)
@pytest.mark.parametrize("below", ["", "program/deep"])
def test_environment_first(tmp_path: Path, host: Path, option: str, venv: str, below: str) -> None:
    """The environment that Pulumi.yaml names, else .venv, is first on PATH, from any folder."""
    project = tmp_path / "a project"
    executable(project / venv / "bin" / "python", "#!/bin/sh\n")
    yaml = f"name: x\nruntime:\n  name: python\n  options:\n    toolchain: pip\n{option}\n"
    (project / "Pulumi.yaml").write_text(yaml)
    (project / below).mkdir(parents=True, exist_ok=True)
    assert _start(host, project / below) == [str(project / venv / "bin")]


def test_no_environment(tmp_path: Path, host: Path) -> None:
    """Where there is no environment, PATH stays as it is."""
    (tmp_path / "Pulumi.yaml").write_text("name: x\nruntime: python\n")
    assert _start(host, tmp_path) == [os.environ["PATH"].split(":")[0]]


def test_through_a_link(tmp_path: Path, host: Path) -> None:
    """The wrapper finds the host also when it is started through a symbolic link."""
    link = tmp_path / "pulumi-language-python"
    link.symlink_to(host)
    assert _start(link, tmp_path)


PYTHON = versions.ROOT / "toolchain" / "languagehost-python.sh"
"""What the host starts in the place of Python."""


def _environment() -> dict[str, str]:
    """Give a PATH whose first Python is that of these tests, as the wrapper makes it."""
    return os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath])}


def test_the_packages_are_those_that_pip_lists() -> None:
    """Name, version and folder of each, which is what the host looks at for plugins."""
    asked = ("-m", "pip", "list", "-v", "--format", "json")
    listed = []
    for python in (PYTHON, sys.executable):
        done = subprocess.run(
            [python, *asked], env=_environment(), capture_output=True, text=True, check=True
        )
        listed.append(
            {(each["name"], each["version"], each["location"]) for each in json.loads(done.stdout)}
        )

    assert listed[0] == listed[1]
    assert "pulumi_postgresql" in {name for name, _, _ in listed[0]}


def test_anything_else_is_pythons() -> None:
    """Arguments, standard input and exit status reach the first Python on PATH."""
    code = "import sys; print(sys.prefix, sys.argv[1:], sys.stdin.read()); sys.exit(7)"
    done = subprocess.run(
        [PYTHON, "-c", code, "a b", "-m", "pip"],
        env=_environment(),
        input="typed",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == f"{sys.prefix} ['a b', '-m', 'pip'] typed\n"
    assert done.returncode == 7


@pytest.mark.parametrize("route", ["path", "download", "build"])
def test_only_a_host_that_was_built_gets_it(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others know tools that are as quick; what the user has set stays."""
    monkeypatch.delenv("PULUMI_PYTHON_CMD", raising=False)
    found = engine.Found(path=Path("/somewhere/pulumi"), route=route, why="")
    monkeypatch.setattr(engine, "find", lambda: found)

    assert shell.environment().get("PULUMI_PYTHON_CMD") == (
        str(PYTHON) if route == "build" else None
    )
    monkeypatch.setenv("PULUMI_PYTHON_CMD", "python3.12")
    assert shell.environment().get("PULUMI_PYTHON_CMD") == (
        "python3.12" if route == "build" else None
    )
