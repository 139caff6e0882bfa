"""What a shell or a child process needs in its environment to use the toolchain."""

import os

from toolchain import ambient, engine, versions

__all__ = ["environment", "exports"]

_UNLESS_SET = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    # The toolchain has installed what the program needs. Without this the engine looks on its
    # download site for the plugins of all Python packages, at every run.
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
}
# Without it the language host that was built asks pip for the installed packages, at every run.
_OF_A_BUILT_ENGINE = {
    "PULUMI_PYTHON_CMD": str(versions.ROOT / "toolchain" / "languagehost-python.sh")
}


def environment() -> dict[str, str]:
    """Give what to add to the environment, so that `pulumi up` works as it stands.

    The virtual environment comes before the engine's folder: an engine of the system
    lives beside the system's Python, which must not win.

    Raises:
        ToolchainError: when no engine is there yet.
    """
    found = engine.find()
    venv = versions.ROOT / ".venv" / "bin"
    first = [str(venv)] if venv.is_dir() else []
    if next(ambient.on_path("pulumi"), None) != found.path:
        first.append(str(found.path.parent))
    rest = [entry for entry in os.get_exec_path() if entry not in first]
    unless_set = _UNLESS_SET | (_OF_A_BUILT_ENGINE if found.route == "build" else {})
    kept = {name: os.environ.get(name, value) for name, value in unless_set.items()}
    return {"PATH": os.pathsep.join([*first, *rest]), **kept}


def exports() -> str:
    """Give `environment` as lines for a shell's eval."""
    import shlex  # noqa: PLC0415 - every command imports this module, and one needs that

    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment().items())
