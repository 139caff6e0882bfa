"""A new stack as files: `pulumi stack init` once a process, and copies for every project."""

from __future__ import annotations

import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import toolchain

__all__ = ["PASSPHRASE", "copy"]

PASSPHRASE = "tests"  # noqa: S105 - of stacks that live as long as a test
_CONFIGURATION = Path("Pulumi.test.yaml")


def copy(folder: Path, *, configuration: bool = True) -> None:
    """Put the stack `test` without resources into a folder.

    Args:
        folder: Of the project; its backend is in `state` there.
        configuration: Whether its configuration file, with the salt, is put there too.
    """
    for path, content in _made().items():
        if configuration or path != _CONFIGURATION:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)


@cache
def _made() -> dict[Path, bytes]:
    """Make the stack: its files by their paths in the project."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "state").mkdir()
        (folder / "Pulumi.yaml").write_text("name: groundwork\nruntime: python\n")
        subprocess.run(
            ["pulumi", "stack", "init", "--non-interactive", "test"],
            cwd=folder,
            env=os.environ
            | toolchain.environment()
            | {
                "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            },
            check=True,
            capture_output=True,
        )
        files = [folder / _CONFIGURATION, *(folder / "state").rglob("*")]
        return {path.relative_to(folder): path.read_bytes() for path in files if path.is_file()}
