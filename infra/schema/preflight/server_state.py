"""Asks the server for what may be in a plan's way; one query, read-only."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema import live as database

if TYPE_CHECKING:
    from infra.schema.model import History
    from infra.schema.preflight.demands import Needs

__all__ = ["read"]

_QUERY = Path(__file__).with_suffix(".sql")
_AGAIN = 1.0  # seconds between two looks at a transaction whose age the role may not see


def read(history: History, url: str, needed: Needs) -> dict[str, Any]:
    """Give sessions, replication slots, sequences, sizes and what a CASCADE reaches.

    Where the age of a transaction is not shown to the role, it is looked for again a second later:
    one that is there still has `lasted`.

    Raises:
        LiveError: The server does not answer.
    """
    arguments = (
        [name[0] for name in needed.tables],
        [name[1] for name in needed.tables],
        bool(needed.concurrently),
        [each.kind for each in needed.cascades],
        [each.name[0] for each in needed.cascades],
        [each.name[1] for each in needed.cascades],
    )

    async def question(connection: Any) -> dict[str, Any]:
        query = _QUERY.read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(await connection.fetchval(query, *arguments))
        ageless = [each for each in found["sessions"] if each["seconds"] is None]
        if ageless:
            await asyncio.sleep(_AGAIN)
            again = json.loads(await connection.fetchval(query, *arguments))["sessions"]
            there = {(each["pid"], each["transaction"]) for each in again}
            for each in ageless:
                each["lasted"] = (each["pid"], each["transaction"]) in there
        return found

    answer: dict[str, Any] = database.ask(history, url, question)
    return answer
