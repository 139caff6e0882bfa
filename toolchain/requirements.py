"""Writes the hash-locked requirement files from what pyproject.toml and the plugins ask for."""

from toolchain import offline, run, venv, versions
from toolchain.errors import ToolchainError

__all__ = ["write"]

# Universal: one file serves every Python from 3.11 on and every platform. Versions and hashes
# alone, since where packages come from is the machine's business.
_OPTIONS = (
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-header",
    "--no-emit-index-url",
)


def write() -> None:
    """Lock the project's packages, those of its development, and each plugin's, in agreement.

    Versions that still fit are kept.

    Raises:
        ToolchainError: when uv is missing or finds no versions that agree.
    """
    main = "requirements.txt"
    _compile("pyproject.toml", main)
    _compile("pyproject.toml", "requirements-dev.txt", "--extra=dev", f"--constraint={main}")
    for name in offline.names():
        folder = f"toolchain/plugins/{name}"
        _compile(f"{folder}/requirements.in", f"{folder}/{main}", f"--constraint={main}")


def _compile(source: str, target: str, *options: str) -> None:
    uv = str(venv.FOLDER / "bin" / "uv")
    command = [uv, "pip", "compile", source, f"--output-file={target}", *_OPTIONS, *options]
    try:
        run.output(command, cwd=versions.ROOT, timeout=300)
    except run.CommandError as exc:
        raise ToolchainError(f"{target} can't be written, and was kept: {exc}") from exc
