"""The wrapper around the language host that is built: it finds the project's environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.toolchain.conftest import executable
from toolchain import versions

if TYPE_CHECKING:
    from pathlib import Path


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
