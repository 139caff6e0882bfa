"""The command line of the toolchain: install, status, env, lock."""

import argparse
import sys
from collections.abc import Sequence

from toolchain import engine, shell
from toolchain.errors import ToolchainError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    options = _parser().parse_args(arguments)
    try:
        _COMMANDS[options.command](options)
    except ToolchainError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nerror: interrupted; what was complete is kept, run it again", file=sys.stderr)
        return 130
    return 0


def _install(options: argparse.Namespace) -> None:
    engine.install()


def _env(_: argparse.Namespace) -> None:
    print(shell.exports())


_COMMANDS = {"install": _install, "env": _env}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m toolchain")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install")
    commands.add_parser("env")
    return parser
