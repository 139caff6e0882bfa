"""The engine, built from published Go modules: the way of a closed network."""

import shutil
from pathlib import Path

from toolchain import golang, modules, versions

__all__ = ["ENGINE", "HOST", "build", "engine_program", "host_program"]

_HERE = Path(__file__).parent
_SDK = "github.com/pulumi/pulumi/sdk/v3"

ENGINE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
"""The import path of the engine's command."""

HOST = f"{_SDK}/python/cmd/pulumi-language-python"
"""The import path of the Python language host."""


def engine_program() -> modules.Program:
    """Describe the build of the engine."""
    # Without its version the engine calls itself a development build, which the
    # Automation API refuses.
    version = f"-X {_SDK}/go/common/version.Version=v{versions.engine()}"
    return modules.Program(
        folder=_HERE / "engine",
        package=ENGINE,
        label=f"the Pulumi engine {versions.engine()}",
        ldflags=f"-s -w {version}",
        about="about 6 minutes on 2 cores the first time, and 4 GB of disk",
    )


def host_program() -> modules.Program:
    """Describe the build of the Python language host."""
    return modules.Program(
        folder=_HERE / "host",
        package=HOST,
        label="Pulumi's Python language host",
        ldflags=f"-s -w -X {_SDK}/go/common/version.Version=v{versions.HOST}",
        about="under a minute",
    )


def build(place: Path) -> None:
    """Build the engine and all that it needs for Python programs into `place`.

    `bin/` gets what belongs on PATH. The language host itself goes to `libexec/`, behind
    the wrapper that takes its place in `bin/`, with the script that it looks for beside it.

    Raises:
        ToolchainError: when there is no Go, no modules, or they don't compile.
    """
    go = golang.find()
    binaries, behind = place / "bin", place / "libexec"
    binaries.mkdir()
    behind.mkdir()
    engine, host = engine_program(), host_program()
    modules.build(host, behind / "pulumi-language-python", go=go)  # the shorter one fails sooner
    modules.build(engine, binaries / "pulumi", go=go)
    scripts = modules.module_folder(engine, _SDK, go=go) / "python"
    old = modules.module_folder(host, _SDK, go=go) / "python"
    executor = scripts / "cmd" / "pulumi-language-python-exec"
    _copy(executor, behind / executor.name)
    _copy(executor, binaries / executor.name)
    _copy(scripts / "dist" / "pulumi-resource-pulumi-python", binaries)
    _copy(old / "dist" / "pulumi-analyzer-policy-python", binaries)
    _copy(_HERE / "languagehost.sh", binaries / "pulumi-language-python")


def _copy(source: Path, target: Path) -> None:
    copied = Path(shutil.copyfile(source, target / source.name if target.is_dir() else target))
    copied.chmod(0o755)  # the module cache holds its files read-only and not executable
