"""What holds for the offline plugin alone, whichever plugin the rest of the suite drives."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import grpc.aio
import pytest
from google.protobuf import (
    json_format,
    struct_pb2,
)
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from tests.plugins.postgresql.conftest import OFFLINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import PostgresServer
    from tests.plugins.postgresql.catalog import Catalog

ROLE = "urn:pulumi:s::p::postgresql:index/role:Role::one"
GRANT = "urn:pulumi:s::p::postgresql:index/grant:Grant::one"
DATABASE = "urn:pulumi:s::p::postgresql:index/database:Database::one"


class Plugin:
    """A process of the plugin, from a copy of its folder, and a client of it."""

    def __init__(self, folder: Path) -> None:
        """Starts it and reads its port."""
        for source in OFFLINE:
            shutil.copytree(source, folder, dirs_exist_ok=True)
        environment = {key: value for key, value in os.environ.items() if key[:2] != "PG"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "groundwork_postgresql", "127.0.0.1:1"],
            cwd=folder,
            env={**environment, "PYTHONPATH": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> str:
        """Ends it; everything that it printed after its port."""
        self.process.terminate()
        printed = self.process.communicate(timeout=30)
        return "".join(printed)

    def call(self, *requests: tuple[str, object]) -> list[object]:
        """Sends requests at the same time; answers, or errors as texts, in their order."""

        async def send() -> list[object]:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
                stub = provider_pb2_grpc.ResourceProviderStub(channel)
                calls = [getattr(stub, method)(request) for method, request in requests]
                answers = await asyncio.gather(*calls, return_exceptions=True)
            return [
                answer.details() if isinstance(answer, grpc.aio.AioRpcError) else answer
                for answer in answers
            ]

        return asyncio.run(send())

    def configure(self, server: PostgresServer, **settings: object) -> None:
        """Points it at a server, with settings as the SDK sends them."""
        given = {
            "host": server.host,
            "port": str(server.port),
            "username": server.user,
            "password": server.password,
            "sslmode": "disable",
            **settings,
        }
        self.call(("Configure", provider_pb2.ConfigureRequest(args=struct(**given))))


def struct(**values: object) -> struct_pb2.Struct:
    """Properties on the wire."""
    return json_format.Parse(json.dumps(values), struct_pb2.Struct())


def make(urn: str, **values: object) -> tuple[str, object]:
    """A request to create a resource."""
    return "Create", provider_pb2.CreateRequest(urn=urn, properties=struct(**values))


@pytest.fixture(scope="module")
def plugin_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugin]:
    """The plugin in a folder of its own, which must print nothing but its port."""
    plugin = Plugin(tmp_path_factory.mktemp("offline") / "installed")
    yield plugin
    assert plugin.stop() == ""


def test_grants_on_one_object_at_the_same_time(
    plugin_process: Plugin, tmp_path: Path, catalog: Catalog, postgres_server: PostgresServer
) -> None:
    """Grants that would collide in the catalog all succeed, from one process and from two."""
    other = Plugin(tmp_path / "other")
    roles = [f"crowd{number}" for number in range(12)]
    catalog.run("CREATE DATABASE busy", *(f"CREATE ROLE {role}" for role in roles))
    try:
        for process in (plugin_process, other):
            process.configure(postgres_server)

        async def both() -> list[list[object]]:
            halves = zip((plugin_process, other), (roles[::2], roles[1::2]), strict=True)
            return await asyncio.gather(
                *(
                    asyncio.to_thread(
                        process.call,
                        *(
                            make(
                                GRANT,
                                role=role,
                                database="busy",
                                objectType="database",
                                privileges=["CONNECT"],
                            )
                            for role in half
                        ),
                    )
                    for process, half in halves
                )
            )

        for answers in asyncio.run(both()):
            assert not [answer for answer in answers if isinstance(answer, str)]
    finally:
        assert other.stop() == ""
    query = """
    SELECT count(DISTINCT grantee) FROM pg_database, aclexplode(datacl)
    WHERE datname = 'busy' AND grantee::regrole::text LIKE 'crowd%'
    """
    assert catalog.value(query) == len(roles)


def test_an_administrator_without_superuser_grants_on_a_database(
    plugin_process: Plugin, catalog: Catalog, postgres_server: PostgresServer
) -> None:
    """It acts for the owner for that time; PostgreSQL would only warn that nothing is granted."""
    secret = "hidden"  # noqa: S105 - made up
    catalog.run(f"CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD '{secret}'")
    plugin_process.configure(postgres_server, username="admin", password=secret, superuser="false")
    grant = {"role": "app", "database": "data", "objectType": "database"}
    for request in (
        make(ROLE, name="owner"),
        make(ROLE, name="app"),
        make(DATABASE, name="data", owner="owner"),
        make(GRANT, **grant, privileges=["CONNECT"]),
    ):
        (answer,) = plugin_process.call(request)
        assert isinstance(answer, provider_pb2.CreateResponse), answer
    query = """
    SELECT privilege_type FROM pg_database, aclexplode(datacl)
    WHERE datname = 'data' AND grantee = 'app'::regrole
    """
    assert catalog.rows(query) == [("CONNECT",)]
    query = "SELECT count(*) FROM pg_auth_members WHERE member = 'admin'::regrole AND set_option"
    assert catalog.value(query) == 0


def test_failures_are_one_message_without_secrets(
    plugin_process: Plugin, catalog: Catalog, postgres_server: PostgresServer
) -> None:
    """A refused statement names the object, and neither password nor stack trace is told."""
    secret = "hidden'pass"  # noqa: S105 - made up
    plugin_process.configure(postgres_server)
    catalog.run("CREATE ROLE taken")
    answers = plugin_process.call(
        make(ROLE, name="taken", login=True, password=secret),
        make("urn:pulumi:s::p::postgresql:index/function:Function::f", name="f"),
    )
    taken, function = (str(answer) for answer in answers)
    assert "role 'taken' cannot be made" in taken
    assert "already exists" in taken
    assert "pulumi import" in taken
    assert "postgresql:index/function:Function" in function
    assert "covers only Role, Database" in function
    for text in (taken, function):
        assert secret not in text
        assert postgres_server.password not in text
        assert "Traceback" not in text


def test_settings_that_need_the_genuine_plugin_are_refused(plugin_process: Plugin) -> None:
    """Cloud logins, unknown schemes and words that mean nothing are failures, each by its name."""
    news = struct(awsRdsIamAuth="true", scheme="gcppostgres", sslmode="maybe", port="0", hosts="x")
    (answer,) = plugin_process.call(("CheckConfig", provider_pb2.CheckRequest(news=news)))
    assert isinstance(answer, provider_pb2.CheckResponse)
    assert {failure.property for failure in answer.failures} == {
        "awsRdsIamAuth",
        "scheme",
        "sslmode",
        "port",
        "hosts",
    }


def test_a_preview_needs_no_server(plugin_process: Plugin) -> None:
    """What is to be made is told from the inputs, although nothing answers at the address."""
    settings = struct(host="127.0.0.1", port="1", sslmode="disable", connectTimeout="1")
    request = provider_pb2.CreateRequest(urn=ROLE, properties=struct(name="later"), preview=True)
    plugin_process.call(("Configure", provider_pb2.ConfigureRequest(args=settings)))
    (answer,) = plugin_process.call(("Create", request))
    assert isinstance(answer, provider_pb2.CreateResponse)
    assert answer.properties["name"] == "later"
    (failure,) = plugin_process.call(make(ROLE, name="later"))
    assert "cannot connect to PostgreSQL at 127.0.0.1:1" in str(failure)
    assert "nothing was changed" in str(failure)


def test_a_name_that_postgresql_would_cut_is_refused(plugin_process: Plugin) -> None:
    """64 bytes are one too many, counted in UTF-8."""
    requests = [
        ("Check", provider_pb2.CheckRequest(urn=ROLE, news=struct(name=name)))
        for name in ("é" * 32, "é" * 31 + "e")
    ]
    long, fitting = plugin_process.call(*requests)
    assert isinstance(long, provider_pb2.CheckResponse)
    assert isinstance(fitting, provider_pb2.CheckResponse)
    assert [failure.property for failure in long.failures] == ["name"]
    assert "64 bytes" in long.failures[0].reason
    assert list(fitting.failures) == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"objectType": "nonsense"}, {"objectType"}),
        ({"objectType": "table"}, {"schema"}),
        ({"objectType": "column", "schema": "s", "objects": ["t"]}, {"columns"}),
        ({"objectType": "database", "columns": ["c"], "objects": ["t"]}, {"columns", "objects"}),
        ({"objectType": "schema", "schema": "s", "privileges": ["CONNECT"]}, {"privileges"}),
        ({"objectType": "database", "role": None, "grantee": "x"}, {"role", "grantee"}),
        ({"objectType": "database", "withGrantOption": "maybe"}, {"withGrantOption"}),
    ],
)
def test_grants_that_make_no_sense_are_refused(
    plugin_process: Plugin, wrong: dict[str, object], named: set[str]
) -> None:
    """Each wrong, missing or unknown property is told by its name."""
    news = {"role": "r", "database": "d", "privileges": ["ALL"], **wrong}
    request = provider_pb2.CheckRequest(urn=GRANT, news=struct(**news))
    (answer,) = plugin_process.call(("Check", request))
    assert isinstance(answer, provider_pb2.CheckResponse)
    assert {failure.property for failure in answer.failures} == named
