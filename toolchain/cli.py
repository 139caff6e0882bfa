"""The command line of the toolchain: what `make` calls."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from toolchain import engine, plugins, shell
from toolchain.errors import ToolchainError
from toolchain.stopped import STOPPED
from toolchain.visible_text import visible

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _COMMANDS[options.command](options)
    except (ToolchainError, OSError) as exc:
        print(visible(f"error: {exc}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nerror: interrupted. What was complete is kept; run it again", file=sys.stderr)
        return STOPPED


def _install(options: argparse.Namespace) -> int:
    engine.install()
    for name in options.plugin:
        plugins.install(name)
    return 0


def _status(options: argparse.Namespace) -> int:
    from toolchain import status  # noqa: PLC0415 - an install must not wait for its imports

    text, ready = status.describe(options.plugin)
    print(visible(text))
    return 0 if ready else 1


def _env(options: argparse.Namespace) -> int:
    print(shell.exports(options.stack))
    return 0


def _lock(_: argparse.Namespace) -> int:
    from toolchain import lock, requirements  # noqa: PLC0415 - as above

    requirements.write()
    lock.write()
    return _checksums(_)


def _checksums(_: argparse.Namespace) -> int:
    from toolchain import checksums  # noqa: PLC0415 - as above

    for name in checksums.write():
        print(visible(f"no checksum of {name}: it is not fetched, and the next route is taken"))
    return 0


def _venv(options: argparse.Namespace) -> int:
    from toolchain import venv  # noqa: PLC0415 - as above

    venv.install(dev=options.dev)
    return 0


def _workflows(options: argparse.Namespace) -> int:
    from toolchain import actionlint  # noqa: PLC0415 - as above

    return actionlint.check(
        [Path(name).resolve() for name in options.file] or actionlint.workflows()
    )


def _on_stack(options: argparse.Namespace) -> int:
    from toolchain.stack import Stack  # noqa: PLC0415 - as above

    stack = Stack(options.stack, existing=getattr(options, "existing", False))
    command: Callable[[], int] = getattr(stack, options.command)
    return command()


def _revision(options: argparse.Namespace) -> int:
    from toolchain.stack import Stack  # noqa: PLC0415 - as above

    words = [f"--head={options.head}"] if options.head else []
    words += ["--splice"] if options.splice else []
    words += [f"--branch-label={options.branch_label}"] if options.branch_label else []
    words += [f"--version-path={options.version_path}"] if options.version_path else []
    words += [f"--rev-id={options.rev_id}"] if options.rev_id else []
    words += [f"--depends-on={each}" for each in options.depends_on]
    return Stack(options.stack).revision(options.message, words=words, empty=options.empty)


def _inspect(options: argparse.Namespace) -> int:
    import subprocess  # noqa: PLC0415 - an install must not wait for its imports

    from toolchain import venv  # noqa: PLC0415 - as above

    venv.install()
    command = [str(venv.python()), "-m", "infra.inspect"]
    if options.database:
        command.append(f"--database={options.database}")
    command.append(f"--migrations={options.migrations}")
    return subprocess.call(command)


_COMMANDS = {
    "install": _install,
    "status": _status,
    "env": _env,
    "lock": _lock,
    "checksums": _checksums,
    "venv": _venv,
    "workflows": _workflows,
}
_STACK = {
    "up": "bring a stack to what the program says, and tell how to go on",
    "preview": "show what `up` would do",
    "refresh": "compare a stack's state with what is really there",
    "down": "take a stack away, and all that it made",
    "url": "print the application's URL, with its password",
    "psql": "open psql as the application",
}
_COMMANDS |= dict.fromkeys(_STACK, _on_stack)
_COMMANDS["revision"] = _revision
_COMMANDS["inspect"] = _inspect
_HELP = {
    "install": "get the engine, and the plugins that are named, unless they are there",
    "status": "tell what is used, and why; status 1 when something is missing",
    "revision": "write a revision from what the models have and the stack's database hasn't",
    "inspect": "print the stack configuration that adopts an existing database",
    "env": 'print what a shell needs: eval "$(python -m toolchain env)"',
    "venv": "have .venv hold what the lock files name",
    "lock": "write requirement files, go.mod, go.sum and checksums for the pinned versions",
    "checksums": "pin the sha256 of the engine and the plugins on Pulumi's download site",
    "workflows": "look for mistakes in .github/workflows, or in the workflows that are named",
}


def _add_revision(command: argparse.ArgumentParser) -> None:
    """Take what `alembic revision` takes."""
    command.add_argument("--message", default="", metavar="TEXT", help="what it does")
    command.add_argument("--empty", action="store_true", help="compare nothing, write no operation")
    for option, name, told in (
        ("--head", "REVISION", "the head to go on from, where there are several; LABEL@head, base"),
        ("--branch-label", "LABEL", "begin a branch of that name"),
        ("--version-path", "FOLDER", "which of version_locations the file goes into"),
        ("--rev-id", "ID", "the id, instead of a random one"),
    ):
        command.add_argument(option, default="", metavar=name, help=told)
    command.add_argument("--splice", action="store_true", help="let --head be no head")
    command.add_argument(
        "--depends-on", action="append", default=[], metavar="REVISION", help="needed before it"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m toolchain", description=__doc__)
    commands = parser.add_subparsers(
        dest="command",
        required=True,
        metavar="COMMAND",
    )
    for name, text in (_HELP | _STACK).items():
        command = commands.add_parser(name, help=text, description=text)
        if name in {"install", "status"}:
            command.add_argument(
                "--plugin", action="append", default=[], metavar="NAME", help="such as postgresql"
            )
        if name == "venv":
            command.add_argument("--dev", action="store_true", help="with tests and lint")
        if name == "preview":
            command.add_argument("--existing", action="store_true", help="make no missing stack")
        if name == "workflows":
            command.add_argument("file", nargs="*", metavar="FILE", help="default: all")
        if name == "revision":
            _add_revision(command)
        if name == "env":
            told = "default: dev, or what a backend of your own has selected"
            command.add_argument("--stack", default="", metavar="NAME", help=told)
        if name == "inspect":
            command.add_argument("--database", default="", metavar="NAME", help="the one in use")
            command.add_argument("--migrations", default="migrations", metavar="FOLDER")
        if name in _STACK or name == "revision":
            told = "default: PULUMI_STACK, else dev"
            chosen = shell.chosen_stack()
            command.add_argument("--stack", default=chosen, metavar="NAME", help=told)
    return parser
