"""The plugin under test and a fresh stack."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.plugins.postgresql.catalog import Catalog
from tests.plugins.stack import Stack
from toolchain import offline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import PostgresServer
    from tests.plugins.provider import Providers

PLUGIN_VARIABLE = "GROUNDWORK_POSTGRESQL_PLUGIN"
"""A folder with the plugin to test; not set: the offline one of this checkout."""

PROGRAM = "pulumi-resource-postgresql"

OFFLINE = offline.sources("postgresql")
"""What the offline plugin consists of."""

MakeStack = Callable[..., Stack]


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the plugin under test."""
    chosen = os.environ.get(PLUGIN_VARIABLE)
    if chosen:
        # Another one that PATH leads to must not be taken for it.
        assert shutil.which(PROGRAM, path=chosen), f"{PLUGIN_VARIABLE}: no {PROGRAM} in {chosen}"
        return Path(chosen).resolve()
    folder = tmp_path_factory.mktemp("plugin")
    wrapper = folder / PROGRAM
    sources = os.pathsep.join(map(str, OFFLINE))
    wrapper.write_text(
        f'#!/bin/sh\nPYTHONPATH="{sources}" exec "{sys.executable}" -m groundwork_postgresql "$@"\n'
    )
    wrapper.chmod(0o755)
    return folder


@pytest.fixture
def reached(postgres_server: PostgresServer) -> dict[str, str]:
    """Variables that lead the default provider to the test's server."""
    return {
        "PGHOST": postgres_server.host,
        "PGPORT": str(postgres_server.port),
        "PGUSER": postgres_server.user,
        "PGPASSWORD": postgres_server.password,
        "PGSSLMODE": "disable",
    }


@pytest.fixture
def package() -> str:
    """Whose plugin is under test."""
    return "postgresql"


@pytest.fixture
def make_stack(providers: Providers, plugin: Path, reached: dict[str, str]) -> MakeStack:
    """Makes stacks whose default provider reaches the test's server."""

    def make(**environment: str) -> Stack:
        return Stack(
            providers,
            folder=plugin,
            package="postgresql",
            environment={**reached, **environment},
        )

    return make


@pytest.fixture
def stack(make_stack: MakeStack) -> Stack:
    """A fresh stack whose default provider is the server's superuser."""
    return make_stack()


@pytest.fixture
def catalog(postgres_server: PostgresServer) -> Catalog:
    """The server's catalog, as a superuser sees it."""
    return Catalog(postgres_server)


@pytest.fixture(autouse=True)
def left_as_it_was(catalog: Catalog) -> Iterator[None]:
    """Removes the databases and roles that a test leaves, so that the next one can make them."""
    before = catalog.objects()
    yield
    catalog.remove(catalog.objects() - before)
