"""Declares the server and the database under mocks, and prints what was asked of the engine.

`python -m tests.unit.declare DATABASE [KEY=VALUE ...]` writes one JSON object: `made`, the inputs
of each resource by its name, and `urls`. The keys are those of the stack's configuration.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks

from infra import servers
from infra.database import Database
from infra.settings import parse

__all__ = ["main"]

_ROOT = Path(__file__).parents[2]


class _Engine(mocks.Mocks):
    """Answers as the providers would, and remembers what it was asked to make."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        inputs = dict(args.inputs)
        self.made[args.name] = dict(inputs)
        if args.typ.endswith(":Password"):
            inputs |= {"password": f"clear-{args.name}", "verifier": f"SCRAM-SHA-256${args.name}"}
        if args.typ.endswith(":EmbeddedServer"):
            inputs |= {"host": "127.0.0.1", "port": 15432, "user": "postgres", "version": "17.4"}
        return f"{args.name}-id", inputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        return {**args.args, "outputs": {}}, []  # of the stack's state: it has nothing yet


def main(database: str, *more: str) -> None:
    """Declare, and print."""
    values = {"database": database, **dict(each.split("=", 1) for each in more)}
    asyncio.set_event_loop(asyncio.new_event_loop())  # the SDK asks for a current one
    engine = _Engine()
    pulumi.runtime.set_mocks(engine, project="groundwork", stack="unit", preview=False)
    urls: dict[str, str] = {}

    def program() -> pulumi.Output[None]:
        settings = parse(values, root=_ROOT)
        made = Database("db", endpoint=servers.provision(settings), settings=settings)
        all_urls = {"app": made.app_url, "migrator": made.migrator_url, "reader": made.reader_url}
        if made.auditor_url is not None:
            all_urls["auditor"] = made.auditor_url
        return pulumi.Output.all(**all_urls).apply(urls.update)

    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]  # the SDK's own
    json.dump({"made": engine.made, "urls": urls}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
