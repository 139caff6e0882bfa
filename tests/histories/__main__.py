"""`python -m tests.histories PACKAGE`: one package's history beside plain Alembic.

The package goes into an environment of its own, which is removed afterwards. Exit status: 0 where
the node did what plain Alembic does; 1 where it did not; 2 where there was nothing to compare.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from infra.servers.throwaway import throwaway
from tests.histories import discovery, environments, settings, tables
from tests.histories.comparison import MODES, compare
from tests.histories.runs import Application
from tests.memory import memory_folder

if TYPE_CHECKING:
    from infra.servers.throwaway import Throwaway
    from tests.histories.comparison import Result
    from tests.histories.discovery import Shipped
    from tests.histories.environments import Environment
    from tests.histories.settings import Settings

SAME, DIFFERS, NOTHING = 0, 1, 2

# What `alembic init` writes, as far as an env.py reads it.
_INI = """\
[alembic]
script_location = {location}
path_separator = newline

[loggers]
keys = root

[handlers]
keys = console

[formatters]
keys = generic

[logger_root]
level = WARNING
handlers = console
qualname =

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = generic

[formatter_generic]
format = %(levelname)-5.5s [%(name)s] %(message)s
"""


def main() -> int:
    """Run what the command line asks for."""
    asked = _parser().parse_args()
    chosen = {**vars(asked), "variables": dict(each.split("=", 1) for each in asked.set)}
    results: list[Result] = []
    with throwaway(parent=memory_folder()) as server:
        for name in [asked.requirement] if asked.requirement else settings.known():
            wanted = settings.for_package(name, {**chosen, "requirement": ""})
            try:
                results += _run(wanted, asked, server)
            except environments.InstallError as exc:
                _say(f"{name} can't be installed: {exc}")
    sys.stdout.write(f"{tables.table(results)}\n")
    if not any(result.ways for result in results):
        return NOTHING
    return SAME if all(result.agrees for result in results) else DIFFERS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.histories",
        description="Run the Alembic history of a published package beside plain Alembic.",
    )
    add = parser.add_argument
    add("requirement", nargs="?", help="the package, as pip takes it; default: all known ones")
    add("more", nargs="*", help="further requirements of its environment")
    add("--interpreter", help="the Python that the environment is made with")
    add("--environment", type=Path, help="where the environment is, or is made and kept")
    add("--directory", help="the Alembic directory in site-packages; default: all of the package")
    add("--ini", help="the ini in site-packages; default: the one that leads to the directory")
    add("--section", help="its section")
    add("--root", help="the folder in site-packages to call Alembic in")
    add("--variable", help="the variable that env.py takes its URL from")
    add("--driver", help="the driver in the URL that env.py is given")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="environment variables")
    add("-x", action="append", help="arguments that env.py reads")
    add("--prepare", help="Python to run before the first revision; it finds the URL in URL")
    add("--apply", choices=MODES, help="one value of `apply` alone; default: both")
    add("--option", dest="options", action="append", help="for the node: --option=--key=value")
    add("-v", action="store_true", help="show what the processes write")
    return parser


def _run(wanted: list[Settings], asked: argparse.Namespace, server: Throwaway) -> list[Result]:
    """Install a package, and run its histories."""
    with tempfile.TemporaryDirectory(prefix="groundwork-history-") as temporary:
        first = wanted[0]
        environment = environments.Environment(folder=asked.environment or Path(temporary, "env"))
        if not environment.python.exists():
            _say(f"{first.requirement}: installing")
            needed = [first.requirement, *first.more, *environments.OURS]
            environments.install(environment.folder, needed, interpreter=first.interpreter)
        version = environment.version(first.package)
        shipped = discovery.find(environment, first.package)
        pairs = [
            (each, own)
            for own in wanted
            for each in shipped
            if own.directory in {"", each.name(environment.packages)}
        ]
        if not pairs:
            _say(f"{first.package}: no Alembic directory in the package")
        results = []
        for number, (each, own) in enumerate(pairs):
            home = Path(temporary, f"home-{number}")
            home.mkdir()
            title = f"{own.package} {version}"
            if len(pairs) > 1:
                title += f" {each.name(environment.packages)} {own.section}".rstrip()
            application = _application(environment, each, own, home)
            application = replace(application, verbose=asked.v)
            modes = (asked.apply,) if asked.apply else MODES
            results.append(compare(application, server, title, modes=modes, say=_say))
        return results


def _application(
    environment: Environment, shipped: Shipped, own: Settings, home: Path
) -> Application:
    packages = environment.packages
    shipped = discovery.chosen(
        shipped,
        ini=packages / own.ini if own.ini else None,
        root=packages / own.root if own.root else None,
        section=own.section,
    )
    return Application(
        environment=environment,
        shipped=shipped,
        folder=_folder(shipped, home),
        home=home,
        settings=own,
    )


def _folder(shipped: Shipped, home: Path) -> Path:
    """Give what `--migrations` names: the ini, or a folder with one where the package has none."""
    if shipped.ini is not None:
        return shipped.ini
    folder = home / "alembic"
    folder.mkdir()
    text = _INI.format(location=str(shipped.scripts).replace("%", "%%"))
    (folder / "alembic.ini").write_text(text, encoding="utf-8")
    return folder


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
