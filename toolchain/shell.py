"""What a shell or a child process needs in its environment to use the toolchain."""

import os

from toolchain import ambient, engine, versions

__all__ = ["chosen_stack", "environment", "exports"]

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


def chosen_stack() -> str:
    """Give the stack of a command that names none: what the shell has chosen, else `dev`."""
    return os.environ.get("PULUMI_STACK") or "dev"


def exports(stack: str = "") -> str:
    """Give all that `make` uses on a stack as lines for a shell's eval.

    Args:
        stack: Its name; empty leaves what the user has chosen, or takes `dev` in the backend of
            this checkout.

    Raises:
        ToolchainError: No engine is there yet, or the backend's folder can't be made.
    """
    import shlex  # noqa: PLC0415 - every command imports this module, and one needs that

    from toolchain import backend  # noqa: PLC0415 - as above

    given = environment() | backend.variables()
    if not stack and not backend.is_chosen():
        stack = chosen_stack()
    if stack:
        given["PULUMI_STACK"] = stack
    if not backend.is_chosen() and (folder := backend.psql_folder(stack)):
        given["PATH"] = os.pathsep.join([given["PATH"], str(folder)])
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in given.items())
