"""100,000 rows of a practice that does not exist: the same seed gives the same rows.

A few clients have most of the work, as in any practice: the weight of a client falls with its rank.
An embedding is a topic with noise around it, so that neighbours mean something; lengths are not
one, which a cosine does not see.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from operator import add
from random import Random
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from pgvector import Vector
from pgvector.asyncpg import register_vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import asyncpg

__all__ = ["COUNTS", "client_ids", "copy_all", "query_vector", "rows"]

# Rows by table, parents first: a vector weighs as much as fifty lines of a log, and takes as long
# to index as thousands, hence few of them; with fewer yet, reading all would be the better plan.
COUNTS = {
    "clients": 500,
    "client_profile_entries": 14_000,
    "tasks": 18_000,
    "escalations": 2_000,
    "task_artifacts": 15_000,
    "feedback_entries": 4_000,
    "document_embeddings": 9_000,
    "skill_files": 100,
    "skill_embeddings": 2_400,
    "agent_logs": 32_000,
    "agent_metrics": 3_000,
}

_COLUMNS = {
    "clients": "id name external_id email ssn_last4 created_at",
    "client_profile_entries": "client_id entry_type data author tax_year created_at",
    "tasks": (
        "id client_id task_type agent_type status created_at assigned_at started_at completed_at"
        " error_message"
    ),
    "escalations": "task_id reason assigned_to escalated_at resolution resolved_at",
    "task_artifacts": "task_id artifact_type file_path content created_at",
    "feedback_entries": (
        "task_id feedback_type original_content corrected_content diff_summary tags reviewer"
        " created_at"
    ),
    "document_embeddings": (
        "client_id document_type document_year file_path chunk_index content embedding created_at"
    ),
    "skill_files": "id name version effective_date content created_at",
    "skill_embeddings": "skill_file_id chunk_text embedding created_at",
    "agent_logs": "task_id client_id agent level message metadata created_at",
    "agent_metrics": (
        "agent_type period_start period_end tasks_completed tasks_failed tasks_escalated"
        " input_tokens output_tokens mean_duration_ms"
    ),
}

_DIMENSIONS = 1536
_TOPICS = 24
_NOW = datetime(2026, 1, 12, tzinfo=UTC)
_YEARS = range(2018, 2026)
_AGENTS = ("classifier", "preparer", "reviewer", "researcher", "messenger")
_KINDS = ("w2", "1099", "k1", "receipt", "bank statement", "notice")
# The more frequent, the earlier.
_WORDS = (
    *("income", "return", "client", "deduction", "form", "year", "amount", "schedule", "credit"),
    *("filing", "expense", "review", "basis", "interest", "payroll", "dividend", "partner"),
    *("estimate", "penalty", "extension", "mileage", "donation", "inventory", "dependent"),
    *("amortization", "carryover", "depreciation", "annuity", "royalty", "escheat"),
)

Row: TypeAlias = "tuple[object, ...]"
Item = TypeVar("Item")


def rows(table: str, *, seed: int) -> Iterator[Row]:
    """Yield the rows of one table.

    Args:
        table: One of `COUNTS`.
        seed: Rows of the same seed refer to each other; another seed gives another practice.
    """
    return _MAKERS[table](_random(seed, table), seed, COUNTS[table])


def client_ids(*, seed: int) -> list[uuid.UUID]:
    """Give the keys of the clients, the one with the most rows first."""
    return list(_keys(seed, "clients"))


def query_vector(number: int, *, seed: int) -> Vector:
    """Give an embedding that no row has, of a topic that many have."""
    return _embedding(_random(seed, f"query {number}"), seed)


async def copy_all(connection: asyncpg.Connection, *, seed: int) -> None:
    """Write all rows by COPY, parents first, in one transaction."""
    await register_vector(connection)
    async with connection.transaction():
        for table in COUNTS:
            await connection.copy_records_to_table(
                table, columns=_COLUMNS[table].split(), records=rows(table, seed=seed)
            )


def _random(seed: int, purpose: str) -> Random:
    """Give a stream of its own: more rows of one table change none of another."""
    return Random(f"{seed}/{purpose}")  # noqa: S311 - rows for tests, no secret


@lru_cache(maxsize=8)
def _keys(seed: int, table: str) -> tuple[uuid.UUID, ...]:
    rng = _random(seed, f"keys of {table}")
    return tuple(uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(COUNTS[table]))


@lru_cache(maxsize=2)
def _client_of_task(seed: int) -> Mapping[uuid.UUID, uuid.UUID]:
    clients = _by_rank(_random(seed, "clients of tasks"), _keys(seed, "clients"), COUNTS["tasks"])
    return dict(zip(_keys(seed, "tasks"), clients, strict=True))


@lru_cache(maxsize=2 * _TOPICS)
def _topic(seed: int, number: int) -> tuple[int, ...]:
    return tuple(3 * value for value in _bytes(_random(seed, f"topic {number}")))


def _bytes(rng: Random) -> memoryview:
    return memoryview(rng.randbytes(_DIMENSIONS)).cast("b")


def _embedding(rng: Random, seed: int) -> Vector:
    topic = _topic(seed, rng.randrange(_TOPICS))
    return Vector(list(map(add, topic, _bytes(rng))))


def _by_rank(rng: Random, items: Sequence[Item], count: int, *, power: int = 1) -> list[Item]:
    return rng.choices(items, cum_weights=_weights(len(items), power), k=count)


@lru_cache
def _weights(count: int, power: int) -> list[float]:
    return list(accumulate(rank**-power for rank in range(1, count + 1)))


def _text(rng: Random, words: int) -> str:
    return " ".join(_by_rank(rng, _WORDS, words))


def _moment(rng: Random) -> datetime:
    return _NOW - timedelta(seconds=rng.randrange(8 * 365 * 86_400))


def _clients(rng: Random, seed: int, _count: int) -> Iterator[Row]:
    for number, key in enumerate(_keys(seed, "clients")):
        email = f"client{number}@example.org" if number % 5 else None
        last4 = f"{rng.randrange(10_000):04}" if number % 3 else None
        yield key, f"Client {number}", f"C-{number:05}", email, last4, _moment(rng)


def _client_profile_entries(rng: Random, seed: int, count: int) -> Iterator[Row]:
    for client in _by_rank(rng, _keys(seed, "clients"), count):
        data = json.dumps({"note": _text(rng, 6), "amount": rng.randrange(100_000)})
        kind = rng.choice(("income", "dependent", "address", "preference"))
        author = rng.choice(("human", "ai", "ai"))
        yield client, kind, data, author, rng.choice(_YEARS), _moment(rng)


def _tasks(rng: Random, seed: int, _count: int) -> Iterator[Row]:
    states = ("completed", "completed", "failed", "in_progress", "pending", "escalated", "assigned")
    for key, client in _client_of_task(seed).items():
        status = rng.choice(states)
        created = _moment(rng)
        assigned = None if status == "pending" else created + timedelta(minutes=5)
        running = assigned is not None and status != "assigned"
        started = created + timedelta(minutes=6) if running else None
        done = created + timedelta(hours=rng.randrange(1, 72)) if status == "completed" else None
        error = _text(rng, 5) if status == "failed" else None
        kind, agent = rng.choice(("return", "estimate", "letter")), rng.choice(_AGENTS)
        yield key, client, kind, agent, status, created, assigned, started, done, error


def _escalations(rng: Random, seed: int, count: int) -> Iterator[Row]:
    for task in rng.choices(_keys(seed, "tasks"), k=count):
        raised = _moment(rng)
        solved = rng.random() < 0.8
        outcome = (_text(rng, 8), raised + timedelta(days=2)) if solved else (None, None)
        yield task, _text(rng, 6), rng.choice(("Ada", "Grace", None)), raised, *outcome


def _task_artifacts(rng: Random, seed: int, count: int) -> Iterator[Row]:
    for number, task in enumerate(rng.choices(_keys(seed, "tasks"), k=count)):
        content = json.dumps({"lines": rng.randrange(90), "note": _text(rng, 4)})
        yield task, rng.choice(("pdf", "sheet", "letter")), f"{number}.pdf", content, _moment(rng)


def _feedback_entries(rng: Random, seed: int, count: int) -> Iterator[Row]:
    for task in rng.choices(_keys(seed, "tasks"), k=count):
        kind = rng.choice(("implicit", "explicit"))
        before, after, summary = _text(rng, 9), _text(rng, 9), _text(rng, 4)
        tags = rng.sample(_WORDS, k=rng.randrange(3))
        yield task, kind, before, after, summary, tags, rng.choice(("Ada", "Grace")), _moment(rng)


def _document_embeddings(rng: Random, seed: int, count: int) -> Iterator[Row]:
    clients = _by_rank(rng, _keys(seed, "clients"), count, power=2)
    for number, client in enumerate(clients):
        kind, year = rng.choice(_KINDS), rng.choice(_YEARS)
        file, chunk = f"{client}/{year}/{number // 4}.pdf", number % 4
        yield client, kind, year, file, chunk, _text(rng, 40), _embedding(rng, seed), _moment(rng)


def _skill_files(rng: Random, seed: int, _count: int) -> Iterator[Row]:
    for number, key in enumerate(_keys(seed, "skill_files")):
        since = date(2018, 1, 1) + timedelta(days=20 * number)
        yield key, f"skill {number // 4}", f"{number % 4}.0", since, _text(rng, 300), _moment(rng)


def _skill_embeddings(rng: Random, seed: int, count: int) -> Iterator[Row]:
    for file in rng.choices(_keys(seed, "skill_files"), k=count):
        yield file, _text(rng, 40), _embedding(rng, seed), _moment(rng)


def _agent_logs(rng: Random, seed: int, count: int) -> Iterator[Row]:
    clients = _client_of_task(seed)
    for task in rng.choices(_keys(seed, "tasks"), k=count):
        level = rng.choice(("debug", "info", "info", "info", "warning", "error"))
        details = json.dumps({"tokens": rng.randrange(9_000)})
        yield task, clients[task], rng.choice(_AGENTS), level, _text(rng, 7), details, _moment(rng)


def _agent_metrics(rng: Random, _seed: int, count: int) -> Iterator[Row]:
    for number in range(count):
        day, agent = divmod(number, len(_AGENTS))
        start = _NOW - timedelta(days=day + 1)
        done, failed, escalated = (rng.randrange(most) for most in (200, 9, 5))
        tokens = (rng.randrange(9_000_000), rng.randrange(900_000))
        mean = rng.uniform(200, 90_000) if done else None
        yield (
            _AGENTS[agent],
            start,
            start + timedelta(days=1),
            done,
            failed,
            escalated,
            *tokens,
            mean,
        )


_MAKERS: Mapping[str, Callable[[Random, int, int], Iterator[Row]]] = {
    "clients": _clients,
    "client_profile_entries": _client_profile_entries,
    "tasks": _tasks,
    "escalations": _escalations,
    "task_artifacts": _task_artifacts,
    "feedback_entries": _feedback_entries,
    "document_embeddings": _document_embeddings,
    "skill_files": _skill_files,
    "skill_embeddings": _skill_embeddings,
    "agent_logs": _agent_logs,
    "agent_metrics": _agent_metrics,
}
