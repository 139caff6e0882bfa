"""Runs one command of plain Alembic: a program for the environment that the history lives in.

It knows the standard library and Alembic alone. Standard input is one JSON object with `root`, the
folder to call Alembic in; `ini` and `section`; `url`; and `commands`, lists of the words behind
`alembic`. Everything is Alembic's own; only `sqlalchemy.url` is set, which the command line can't
name. With `greenlet`, a synchronous env.py can use an asynchronous driver.
"""

import asyncio
import json
import os
import sys

from alembic.config import CommandLine, Config


def main() -> None:
    """Do what standard input says."""
    task = json.load(sys.stdin)
    os.chdir(task["root"])
    sys.path[:] = [*sys.path[1:], task["root"]]  # instead of this program's own folder
    if not task.get("greenlet"):
        run(task)
        return
    from sqlalchemy.util import greenlet_spawn

    async def spawned() -> None:
        await greenlet_spawn(run, task)

    asyncio.run(spawned())


def run(task: dict) -> None:  # type: ignore[type-arg]  # any Python at hand runs it
    """Call Alembic."""
    for words in task["commands"]:
        sys.argv = ["alembic", *words]
        line = CommandLine(prog="alembic")
        options = line.parser.parse_args(words)
        given = {"file_": task["ini"], "ini_section": task["section"], "cmd_opts": options}
        if task.get("toml"):
            given["toml_file"] = task["toml"]
        config = Config(**given)
        config.set_main_option("sqlalchemy.url", task["url"].replace("%", "%%"))
        line.run_cmd(config, options)


if __name__ == "__main__":
    main()
