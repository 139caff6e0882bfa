"""Declares the resources that `resources.json` lists."""  # noqa: INP001 - the engine runs it as a script

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.plugins.declaration import declare

declare(
    os.environ["CONFORMANCE_PACKAGE"],
    json.loads(Path("resources.json").read_text(encoding="utf-8")),
)
