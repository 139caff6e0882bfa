"""Commands that are stopped from the keyboard."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_SLOW = "import time, sys; print('ready', flush=True); time.sleep(60)"


@pytest.mark.parametrize("where", ["in its main", "while it loads"])
def test_ctrl_c_ends_a_command_with_one_line_and_130(tmp_path: Path, where: str) -> None:
    """Also while its modules are loaded; without a traceback."""
    slow = f"def main():\n    {_SLOW}" if where == "in its main" else _SLOW
    (tmp_path / "slow.py").write_text(f"{slow}\n")
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    start += "from toolchain.stopped import load_and_run\nload_and_run('slow')"
    with subprocess.Popen(
        [sys.executable, "-c", start],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)

    assert (process.returncode, said) == (130, "error: stopped from the keyboard.\n")


def test_a_reader_that_has_enough_ends_a_command_without_a_word(tmp_path: Path) -> None:
    """As `head` does."""
    (tmp_path / "long.py").write_text("def main():\n    print('x' * 10**6)\n    return 0\n")
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    start += "from toolchain.stopped import load_and_run\nload_and_run('long')"
    with subprocess.Popen(
        [sys.executable, "-c", start], cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 141
