"""A process of a plugin, started as the engine starts it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["PluginProcess", "clean_environment"]

_LIMIT_SECONDS = 60

_FOREIGN = ("PG", "DOCKER_", "PULUMI_", "ALL_PROXY", "all_proxy")
"""How variables begin that would lead the engine or a plugin elsewhere, past the test's own."""

_ENGINE = "127.0.0.1:1"
"""The address that a plugin gets for its engine; nothing answers there, and no test needs it."""


def clean_environment() -> dict[str, str]:
    """The environment without what would lead the engine or a plugin elsewhere."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}


class PluginProcess:
    """A running plugin, whose port is known."""

    def __init__(self, folder: Path, package: str, environment: Mapping[str, str]) -> None:
        """Starts it.

        Args:
            folder: Where its program is.
            package: Whose plugin it is, such as 'postgresql'.
            environment: How it reaches the server.
        """
        program = shutil.which(f"pulumi-resource-{package}", path=str(folder))
        assert program, f"no plugin {package} in {folder}"
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 - `stop` closes it
        self._process = subprocess.Popen(
            [program, _ENGINE],
            cwd=folder,
            env={**clean_environment(), **environment},
            stdout=subprocess.PIPE,
            stderr=self._told,
        )
        assert self._process.stdout is not None
        limit = threading.Timer(_LIMIT_SECONDS, self._process.kill)
        limit.start()
        port = self._process.stdout.readline().strip()
        limit.cancel()
        assert port.isdigit(), f"no port but {port!r}: {self.printed()}"
        self.address = f"127.0.0.1:{int(port)}"
        threading.Thread(target=self._drain, daemon=True).start()

    def printed(self) -> str:
        """What it has printed besides its port."""
        self._told.flush()
        return os.pread(self._told.fileno(), 1 << 20, 0).decode(errors="replace")

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        try:
            self._process.wait(timeout=_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=_LIMIT_SECONDS)
        self._told.close()

    def _drain(self) -> None:
        """Keeps its output from filling the pipe; what it says there counts as printed."""
        pipe = self._process.stdout
        assert pipe is not None
        with pipe:
            for line in pipe:
                os.write(self._told.fileno(), line)
