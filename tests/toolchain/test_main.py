"""The command line, as a user meets it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.toolchain.conftest import CLOSED, engine_scripts, executable
from toolchain import versions


def _run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "toolchain", *arguments],
        cwd=versions.ROOT,
        env=os.environ | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _old_python(version: str) -> str:
    """Find an old Python where pyenv, or PATH, has one; it must start by itself."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [str(path) for path in kept.glob(f"{version}.*/bin/python")]
    found += [path for path in [shutil.which(f"python{version}")] if path]
    for path in found:
        if subprocess.run([path, "-c", ""], check=False, capture_output=True).returncode == 0:
            return path
    pytest.skip(f"this machine has no Python {version}")


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8", "3.10"])
def test_old_python(version: str) -> None:
    """An old Python gets one message that names it and what is needed, and no traceback."""
    done = subprocess.run(
        [_old_python(version), "-m", "toolchain", "install"],
        cwd=versions.ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"Python 3.11 or later is needed, and this is Python {version}" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_standard_library_alone() -> None:
    """Every module of the toolchain imports where no package is installed."""
    modules = [f"toolchain.{path.stem}" for path in Path(versions.ROOT, "toolchain").glob("*.py")]
    names = [name for name in modules if not name.endswith(("__main__", "__init__"))]
    code = f"import sys; sys.path.insert(0, {str(versions.ROOT)!r})\n"
    code += "\n".join(f"import {name}" for name in [*names, "toolchain.plugins"])
    done = subprocess.run(
        [sys.executable, "-ISc", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("cache_home")
def test_second_install_is_light(bare_path: Path, tmp_path: Path) -> None:
    """Where all is there, nothing is started and nothing slow is imported: it costs every run."""
    scripts = engine_scripts(versions.engine()) | {"pulumi-resource-postgresql": "#!/bin/sh\n"}
    for name, text in scripts.items():
        executable(bare_path / name, text)
    slow = "{'subprocess', 'ssl', 'urllib.request', 'tempfile', 'tarfile', 'zipfile'}"
    code = (
        "import sys; from toolchain import cli\n"
        "status = cli.main(['install', '--plugin', 'postgresql'])\n"
        f"print(status, sorted({slow} & set(sys.modules)))"
    )
    for expected in ("0 ['", "0 []\n"):  # the first asks the engine for its version
        done = subprocess.run(
            [
                sys.executable,
                "-Ic",
                f"import sys; sys.path.insert(0, {str(versions.ROOT)!r}); {code}",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(expected), done
    assert done.stderr == ""


@pytest.mark.usefixtures("cache_home", "bare_path")
def test_no_route_works() -> None:
    """Without any network: one error soon, with each route's reason and what to do by hand."""
    begin = time.monotonic()
    done = _run(
        "install",
        GROUNDWORK_ENGINE_URL=CLOSED,
        GOPROXY=CLOSED,
        PIP_INDEX_URL=CLOSED,
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS="",
    )
    assert time.monotonic() - begin < 120
    assert done.returncode == 1
    error = done.stderr[done.stderr.index("error: ") :]
    assert "no route to a Pulumi engine" in error
    assert "on PATH: no pulumi on PATH" in error
    assert "download: " in error
    assert "build: no go on PATH" in error
    assert "by hand" in error
    assert "Traceback" not in done.stderr


def test_unwritable_cache(bare_path: Path, tmp_path: Path) -> None:
    """A cache folder that can't be made ends in one line, with the variable to set."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = _run("install", XDG_CACHE_HOME=str(blocked), PATH=str(bare_path))
    assert done.returncode == 1
    assert "Set XDG_CACHE_HOME" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("cache_home", "bare_path")
def test_unknown_plugin(bare_path: Path) -> None:
    """A plugin that the project doesn't pin is refused with the line to add."""
    for name, text in engine_scripts(versions.engine()).items():
        executable(bare_path / name, text)
    done = _run("install", "--plugin", "nonesuch")
    assert done.returncode == 1
    assert 'write "pulumi-nonesuch==X.Y.Z"' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("cache_home")
def test_status(bare_path: Path, tmp_path: Path) -> None:
    """Status 1 and what to do where something is missing; 0 and the reasons where all is there."""
    missing = _run("status", PULUMI_HOME=str(tmp_path))
    assert missing.returncode == 1
    assert "python -m toolchain install" in missing.stdout
    scripts = engine_scripts(versions.engine()) | {"pulumi-resource-postgresql": "#!/bin/sh\n"}
    for name, text in scripts.items():
        executable(bare_path / name, text)
    ready = _run("status", "--plugin", "postgresql", PULUMI_HOME=str(tmp_path))
    assert ready.returncode == 0, ready.stdout
    assert f"in use: {bare_path / 'pulumi'} (it is on PATH and recent enough)" in ready.stdout
    assert "route 2, download: not kept" in ready.stdout
    assert "the one on PATH, which comes before any installed one" in ready.stdout


@pytest.mark.usefixtures("cache_home")
def test_env(tmp_path: Path, bare_path: Path) -> None:
    """What `env` prints makes a shell find the engine, whatever its folder is called."""
    folder = tmp_path / 'it\'s "odd" $HOME'
    for name, text in engine_scripts(versions.engine()).items():
        executable(folder / name, text)
    path = f"{bare_path}:{folder}:{os.environ['PATH']}"
    done = _run("env", PATH=path)
    assert done.returncode == 0, done.stderr
    shell = f"{done.stdout}\ncommand -v pulumi; echo $PULUMI_SKIP_UPDATE_CHECK"
    found = subprocess.run(
        ["sh", "-c", shell], env={"PATH": path}, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == [str(folder / "pulumi"), "true"]
