"""A practice of 100,000 rows: the schema under load, and the plans that PostgreSQL chooses on it.

No setting steers the planner here: a plan is what anybody gets on such tables.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import ChainMap, Counter
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from pgvector.asyncpg import register_vector

from tests.tables import TABLES

from .load import COUNTS, client_ids, copy_all, query_vector, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .place import Place

pytestmark = pytest.mark.long

_SEED = 17
_BEFORE_VECTOR_INDEXES = "83c01ef4c8fc"
_CLIENTS = client_ids(seed=_SEED)
_LARGEST, _SECOND, _MIDDLING = _CLIENTS[0], _CLIENTS[1], _CLIENTS[60]
_QUERIES = [query_vector(number, seed=_SEED) for number in range(6)]
_EXACT = {"enable_indexscan": "off"}  # of vectors: every row is compared
# The index gives 40 candidates (hnsw.ef_search), of which row security leaves those of the client;
# this makes it go on until the LIMIT is full.
_ITERATIVE = {"hnsw.iterative_scan": "strict_order"}

_DOCUMENTS = "SELECT id, client_id FROM document_embeddings ORDER BY embedding <=> $1 LIMIT 10"
_SKILLS = "SELECT id FROM skill_embeddings ORDER BY embedding <=> $1 LIMIT 10"
_WORDS = (
    "SELECT id FROM skill_embeddings"
    " WHERE to_tsvector('english', chunk_text) @@ websearch_to_tsquery('english', $1)"
)
_OF_CLIENT = {
    "clients": "pk_clients",
    "client_profile_entries": "ix_client_profile_entries_client_id_created_at",
    "tasks": "ix_tasks_client_id",
    "escalations": "ix_escalations_task_id",
    "task_artifacts": "ix_task_artifacts_task_id",
    "feedback_entries": "ix_feedback_entries_task_id",
    "document_embeddings": "ix_document_embeddings_client_id",
    "agent_logs": "ix_agent_logs_client_id",
}


@dataclass(frozen=True, kw_only=True)
class Login:
    """A login of the loaded database, and the settings that its sessions begin with."""

    place: Place
    settings: dict[str, str]

    def having(self, *settings: dict[str, str]) -> Login:
        """Return the same login with more settings."""
        return replace(self, settings=dict(ChainMap(*settings, self.settings)))

    def fetch(self, query: str, *arguments: object) -> list[Any]:
        """Return the rows of a query in a session of its own."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(
                self.place.url, ssl=False, server_settings=self.settings
            )
            try:
                await register_vector(connection)
                return list(await connection.fetch(query, *arguments))
            finally:
                await connection.close()

        return asyncio.run(run())

    def plan(self, query: str, *arguments: object) -> tuple[set[str], set[str]]:
        """Return the kinds of nodes in the plan of a query, and the indexes it uses."""
        (row,) = self.fetch(f"EXPLAIN (FORMAT JSON) {query}", *arguments)
        nodes = list(_nodes(json.loads(row[0])[0]["Plan"]))
        kinds = {str(node["Node Type"]) for node in nodes}
        return kinds, {str(node["Index Name"]) for node in nodes if "Index Name" in node}


def _client(key: uuid.UUID) -> dict[str, str]:
    return {"app.client_id": str(key)}


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


async def _load(place: Place) -> None:
    connection = await asyncpg.connect(place.url, ssl=False)
    try:
        await copy_all(connection, seed=_SEED)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def loaded(maintenance: Place) -> Iterator[Place]:
    """A database with all rows at head.

    The rows come before the vector indexes: these revisions are for tables in use, and building
    takes a fraction of adding one vector after the other.
    """
    place = replace(maintenance, database=f"m_load_{uuid.uuid4().hex}")
    maintenance.execute(f"CREATE DATABASE {place.database} TEMPLATE template0")
    place.alembic("upgrade", _BEFORE_VECTOR_INDEXES)
    asyncio.run(_load(place))
    place.alembic("upgrade", "head")
    place.execute("VACUUM ANALYZE")
    yield place
    maintenance.execute(f"DROP DATABASE {place.database} WITH (FORCE)")


@pytest.fixture(scope="module")
def superuser(loaded: Place) -> Login:
    """A login that row security does not apply to."""
    return Login(place=loaded, settings={})


@pytest.fixture(scope="module")
def application(loaded: Place, maintenance: Place) -> Iterator[Login]:
    """The application's login, which works for no client yet."""
    role, password = f"app_{uuid.uuid4().hex}", "of a throwaway %@/ role"
    maintenance.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
    loaded.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    yield Login(place=loaded.as_user(role, password), settings={})
    loaded.execute(f"DROP OWNED BY {role}")
    maintenance.execute(f"DROP ROLE {role}")


@pytest.fixture
def at_largest(application: Login) -> Login:
    """The application, working for the client that has most of the documents."""
    return application.having(_client(_LARGEST), _ITERATIVE)


def test_the_same_seed_gives_the_same_rows() -> None:
    """Rows depend on the seed alone, in every table."""
    for table in COUNTS:
        first, again = (list(islice(rows(table, seed=1), 50)) for _ in range(2))
        assert first == again, table
        assert first != list(islice(rows(table, seed=2), 50)), table


def test_every_table_has_its_share(superuser: Login) -> None:
    """All eleven tables are loaded, with 100,000 rows together."""
    counted = {
        table: superuser.fetch(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 - constants
        for table in sorted(TABLES)
    }

    assert counted == COUNTS
    assert sum(counted.values()) == 100_000


def test_clients_are_of_all_sizes(superuser: Login) -> None:
    """As in any practice, few clients have most of the work and most have little."""
    by_client = Counter(row[0] for row in superuser.fetch("SELECT client_id FROM tasks"))

    assert by_client.most_common(1)[0][0] == _LARGEST
    assert by_client[_LARGEST] > 50 * by_client[_MIDDLING] > 0


def test_revisions_on_loaded_tables_end_as_on_empty_ones(loaded: Place, migrated: Place) -> None:
    """The schema that rows went through on their way to head is the schema of a new database."""
    assert loaded.catalog() == migrated.catalog()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (_DOCUMENTS, "ix_document_embeddings_embedding"),
        (_SKILLS, "ix_skill_embeddings_embedding"),
    ],
    ids=["documents", "skills"],
)
def test_nearest_neighbours_come_from_hnsw(superuser: Login, query: str, index: str) -> None:
    """The planner takes the index by itself, and what it finds is nearly what is there."""
    assert superuser.plan(query, _QUERIES[0]) == ({"Limit", "Index Scan"}, {index})

    assert _recall(superuser, query) >= 0.9


def _recall(login: Login, query: str) -> float:
    """Give the share of the true nearest rows that the index finds, over all queries."""
    exact = login.having(_EXACT)
    assert "Sort" in exact.plan(query, _QUERIES[0])[0]
    shares = [
        len(
            {row["id"] for row in login.fetch(query, vector)}
            & {row["id"] for row in exact.fetch(query, vector)}
        )
        / 10
        for vector in _QUERIES
    ]
    return sum(shares) / len(shares)


def test_words_come_from_gin(superuser: Login) -> None:
    """Full-text search uses its index, and finds exactly the chunks with both words."""
    kinds, indexes = superuser.plan(_WORDS, "annuity escheat")
    found = {row["id"] for row in superuser.fetch(_WORDS, "annuity escheat")}
    both = "SELECT id FROM skill_embeddings WHERE chunk_text LIKE ALL ('{%annuity%,%escheat%}')"

    assert indexes == {"ix_skill_embeddings_chunk_text_english"}
    assert "Seq Scan" not in kinds
    assert found == {row["id"] for row in superuser.fetch(both)}
    assert 0 < len(found) < COUNTS["skill_embeddings"] / 4


def test_the_application_searches_skills_by_index(at_largest: Login) -> None:
    """Skills belong to no client: both searches work as they do without row security."""
    assert at_largest.plan(_SKILLS, _QUERIES[0])[1] == {"ix_skill_embeddings_embedding"}
    assert at_largest.plan(_WORDS, "annuity")[1] == {"ix_skill_embeddings_chunk_text_english"}
    assert len(at_largest.fetch(_SKILLS, _QUERIES[0])) == 10


def test_a_large_client_searches_its_documents_by_hnsw(at_largest: Login) -> None:
    """Under row security the index serves too: ten rows, all of the client, nearly the nearest."""
    assert at_largest.plan(_DOCUMENTS, _QUERIES[0])[1] == {"ix_document_embeddings_embedding"}

    for vector in _QUERIES:
        found = at_largest.fetch(_DOCUMENTS, vector)
        assert [row["client_id"] for row in found] == 10 * [_LARGEST]
    assert _recall(at_largest, _DOCUMENTS) >= 0.9


def test_a_limit_is_filled_by_an_iterative_scan(application: Login) -> None:
    """Without it, the candidates that belong to others are missing from the result."""
    query = _DOCUMENTS.replace("LIMIT 10", "LIMIT 30")
    short = application.having(_client(_LARGEST))
    full = short.having(_ITERATIVE)

    assert short.plan(query, _QUERIES[0])[1] == {"ix_document_embeddings_embedding"}
    assert full.plan(query, _QUERIES[0])[1] == {"ix_document_embeddings_embedding"}
    assert {len(full.fetch(query, vector)) for vector in _QUERIES} == {30}
    assert min(len(short.fetch(query, vector)) for vector in _QUERIES) < 30


def test_a_smaller_client_searches_its_documents_exactly(application: Login) -> None:
    """Where a client has a part of the documents only, comparing just these is the better plan."""
    login = application.having(_client(_SECOND))

    assert login.plan(_DOCUMENTS, _QUERIES[0])[1] == {"ix_document_embeddings_client_id"}
    assert _recall(login, _DOCUMENTS) == 1
    assert {row["client_id"] for row in login.fetch(_DOCUMENTS, _QUERIES[0])} == {_SECOND}


@pytest.mark.parametrize("table", _OF_CLIENT)
def test_rows_of_a_client_are_read_by_index(
    application: Login, superuser: Login, table: str
) -> None:
    """What a session sees of a table is found by index and is all that the client has there."""
    login = application.having(_client(_MIDDLING))
    kinds, indexes = login.plan(f"SELECT * FROM {table}")  # noqa: S608 - a constant
    key = {"clients": "id"}.get(table, "client_id")
    owned = f"{key} = $1"
    if _OF_CLIENT[table].endswith("task_id"):
        owned = "task_id IN (SELECT id FROM tasks WHERE client_id = $1)"

    assert "Seq Scan" not in kinds
    assert _OF_CLIENT[table] in indexes
    count = f"SELECT count(*) FROM {table}"  # noqa: S608 - a constant
    seen = login.fetch(count)[0][0]
    assert seen == superuser.fetch(f"{count} WHERE {owned}", _MIDDLING)[0][0]
    assert 0 < seen < COUNTS[table] / 20


@pytest.mark.parametrize("table", _OF_CLIENT)
def test_without_a_client_there_are_no_rows(application: Login, table: str) -> None:
    """A session that names no client sees nothing of the 100,000 rows."""
    assert application.fetch(f"SELECT count(*) FROM {table}")[0][0] == 0  # noqa: S608 - a constant
