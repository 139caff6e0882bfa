"""Declares the resources that `resources.json` lists, so that tests need no programs."""  # noqa: INP001 - the engine runs it as a script

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import pulumi

package = importlib.import_module(f"pulumi_{os.environ['CONFORMANCE_PACKAGE']}")
made: dict[str, Any] = {}


def resolved(value: object) -> object:
    """Replaces `{"output": "name.property"}` and `{"secret": "text"}` in an argument."""
    if isinstance(value, list):
        return [resolved(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "secret" in value:
        return pulumi.Output.secret(value["secret"])
    if "output" not in value:
        return {key: resolved(item) for key, item in value.items()}
    name, _, key = str(value["output"]).partition(".")
    return getattr(made[name], key)


for name, declared in json.loads(Path("resources.json").read_text(encoding="utf-8")).items():
    options = pulumi.ResourceOptions(
        provider=made.get(declared.get("provider", "")),
        depends_on=[made[other] for other in declared.get("after", [])],
        **declared.get("options", {}),
    )
    arguments = {key: resolved(value) for key, value in declared["args"].items()}
    made[name] = getattr(package, declared["type"])(name, opts=options, **arguments)
