"""What a report shows of the schema: before and after, and the diagram, of real catalogs."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import asyncpg
import mermaidx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.schema import catalog, report
from infra.schema.model import Catalog
from infra.schema.reporting import compared, drawing, erd, objects
from infra.schema.reporting.content import Code
from infra.schema.review import Rehearsed
from tests.schema import reviews
from tests.schema.applying import database
from tests.schema.reviews import plan, rehearsal, review, step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import PostgresServer
    from tests.migrations.place import Place

_BEFORE = """
CREATE SCHEMA app;
CREATE TABLE app.clients (id bigint PRIMARY KEY, name varchar(200) NOT NULL, fax text,
    at timestamp(3) with time zone, amount numeric(10, 2));
CREATE TABLE app."my table" ("a b" int PRIMARY KEY, "c""d" int, client_id bigint NOT NULL
    REFERENCES app.clients (id), CHECK ("c""d" <> 1));
CREATE TABLE app.far (id int PRIMARY KEY, mine int REFERENCES app."my table" ("a b"));
CREATE TABLE app.pair (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE app.alone (id int);
CREATE INDEX ON app.clients (name);
CREATE VIEW app.names AS SELECT name FROM app.clients;
"""
_CHANGE = """
ALTER TABLE app.clients DROP COLUMN fax, ALTER COLUMN amount TYPE numeric(12, 2),
    ADD COLUMN "Größe|x" app.mood[], ADD COLUMN boss bigint REFERENCES app.clients (id);
CREATE TABLE app.child (a int NOT NULL, b int, UNIQUE (a, b),
    FOREIGN KEY (a, b) REFERENCES app.pair (a, b));
CREATE OR REPLACE VIEW app.names AS SELECT name, id FROM app.clients;
CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE TRIGGER touch BEFORE UPDATE ON app.clients FOR EACH ROW EXECUTE FUNCTION app.f();
ALTER TABLE app.clients ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON app.clients USING (true);
COMMENT ON INDEX app.clients_name_idx IS 'by name';
GRANT SELECT (name) ON app.clients TO PUBLIC;
"""


async def _read(place: Place, *statements: str) -> list[Catalog]:
    connection = await asyncpg.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password,
        database=place.database,
    )
    try:
        found = []
        for statement in statements:
            await connection.execute(statement)
            found.append(await catalog.read(connection))
        return found
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def catalogs(postgres_server: PostgresServer) -> Iterator[list[Catalog]]:
    """A schema before and after a change of about everything."""
    with database(postgres_server) as place:
        mood = "CREATE TYPE app.mood AS ENUM ('a', 'b');"
        yield asyncio.run(_read(place, _BEFORE + mood, _CHANGE))


def _differences(catalogs: list[Catalog]) -> dict[str, list[str]]:
    section = compared.before_and_after(*catalogs)
    assert section is not None
    codes = [block for block in section.blocks if isinstance(block, Code)]
    return {code.title: code.text.splitlines() for code in codes}


def test_each_changed_table_is_shown_whole(catalogs: list[Catalog]) -> None:
    """What stays is there too, so that a reader sees what the table looks like afterwards."""
    shown = _differences(catalogs)
    assert list(shown) == ["app.child (new)", "app.clients", "app.names", "Objects of no table"]
    assert shown["app.clients"] == [
        "- table app.clients",
        "+ table app.clients: row security",
        "- column amount numeric(10,2)",
        "+ column amount numeric(12,2)",
        "  column at timestamp(3) with time zone",
        "+ column boss bigint",
        "- column fax text",
        '+ column "Größe|x" app.mood[]',
        "  column id bigint NOT NULL",
        "  column name character varying(200) NOT NULL",
        "+ constraint clients_boss_fkey FOREIGN KEY (boss) REFERENCES app.clients(id)",
        "  constraint clients_pkey PRIMARY KEY (id)",
        "  index app.clients_name_idx on app.clients USING btree (name)",
        "+ policy own PERMISSIVE FOR ALL TO PUBLIC USING (true)",
        (
            "+ trigger touch CREATE TRIGGER touch BEFORE UPDATE ON app.clients FOR EACH ROW"
            " EXECUTE FUNCTION app.f()"
        ),
        "+ comment on index app.clients_name_idx: 'by name'",
        "+ grant name to PUBLIC SELECT",
    ]


def test_views_and_functions_are_shown_line_by_line(catalogs: list[Catalog]) -> None:
    """Of a definition with several lines only those that differ are marked."""
    shown = _differences(catalogs)
    assert "-     SELECT name" in shown["app.names"]
    assert "+     SELECT name," in shown["app.names"]
    assert any(
        "CREATE OR REPLACE FUNCTION app.f()" in line for line in shown["Objects of no table"]
    )
    assert not any("schema app" in line for line in shown["Objects of no table"])


def test_a_long_table_is_shown_around_its_changes() -> None:
    """Three lines around each change, and dots for what is left out."""
    many = {f"column app.t.c{place:03}": "text" for place in range(200)}
    before = Catalog(format=1, objects={"table app.t": "table", **many})
    changed = {**many, "column app.t.c100": "int"}
    after = Catalog(format=1, objects={"table app.t": "table", **changed})
    assert _differences([before, after]) == {
        "app.t": [
            "  …",
            *(f"  column c{place:03} text" for place in (97, 98, 99)),
            "- column c100 text",
            "+ column c100 int",
            *(f"  column c{place:03} text" for place in (101, 102, 103)),
            "  …",
        ]
    }


def test_the_diagram_has_the_changed_and_their_neighbours(catalogs: list[Catalog]) -> None:
    """Columns say what becomes of them; a neighbour shows its keys, what is further off nothing."""
    found = erd.diagram(*catalogs)
    assert found is not None
    assert found.mermaid.splitlines() == [
        "erDiagram",
        '  e1["app.child (new)"] {',
        "    integer a FK",
        "    integer b FK",
        "  }",
        '  e2["app.clients (changed)"] {',
        "    bigint id PK",
        '    numeric(12‚2) amount "changed"',  # noqa: RUF001
        "    timestamptz(3) at",
        '    bigint boss FK "new"',
        '    app․mood[] Größe_x "new"',  # noqa: RUF001
        "    varchar(200) name",
        '    text fax "dropped"',
        "  }",
        '  e3["app.my table"] {',
        "    integer a_b PK",
        "    bigint client_id FK",
        '    more columns_1 "1 more column"',
        "  }",
        '  e4["app.pair"] {',
        "    integer a PK",
        "    integer b PK",
        "  }",
        '  e4 |o--o| e1 : "a, b (new)"',
        '  e2 |o--o{ e2 : "boss (new)"',
        '  e2 ||--o{ e3 : "client_id"',
    ]


@pytest.mark.long
def test_mermaid_itself_takes_the_diagram(catalogs: list[Catalog]) -> None:
    """The library that GitHub draws with reads it, names and all."""
    found = erd.diagram(*catalogs)
    assert found is not None
    drawn = mermaidx.render(found.mermaid).svg()
    for said in ("app.clients", "Größe_x", "dropped"):
        assert said in drawn


_ODD = (
    '"`%\\#<b>;&*$~{}[]()|', "end", "pk", "FK.x", "1st", "__x__", "日本", "🎉", "style", "a,b", "-",
    "e1", "class", "\u202e", "%%{init: {}}%%", "x\ny", "ª", "x'y",
)  # fmt: skip


@pytest.mark.long
def test_mermaid_itself_takes_any_name() -> None:
    """Names that its grammar has no place for are written in a similar way."""
    quoted = ['"' + name.replace('"', '""') + '"' for name in _ODD]
    columns = {f"column app.{name}.{name}": f"{name}.{name}" for name in quoted}
    tables = {f"table app.{name}": "table" for name in quoted}
    first, second = quoted[0], quoted[5]
    key = f"FOREIGN KEY ({second}) REFERENCES app.{first}({first})"
    after = {**tables, **columns, f"constraint app.{second}.{first}": key}
    found = erd.diagram(reviews.catalog(), Catalog(format=1, objects=after))
    assert found is not None
    assert len(found.relations) == 1
    assert "app.日本" in mermaidx.render(found.mermaid).svg()


# Mermaid 11's lexer, for what stands between the braces of an entity; older ones take less.
_WORD = r"[A-Za-z_\u00C0-\U0010FFFF][A-Za-z0-9\-_\[\]()\u00C0-\U0010FFFF]*"
_LINE = re.compile(
    rf'  e\d+\["[^"%\\\n]+"\] {{|    {_WORD} (?!(?i:pk|fk|uk)\b){_WORD}( [PFU]K(, [PFU]K)*)?'
    r'( "[^"\n]*")?|  }|  e\d+ (\|\||\|o)--(o\||o{) e\d+ : "[^"\n]*"'
)


@given(name=st.text(min_size=1, max_size=20), kind=st.text(max_size=20))
def test_no_name_leaves_the_grammar(name: str, kind: str) -> None:
    """Each line of a diagram is one that the grammar has."""
    table = '"' + name.replace('"', '""') + '"'
    described = {f"table app.{table}": "table", f"column app.{table}.{table}": kind}
    found = erd.diagram(reviews.catalog(), Catalog(format=1, objects=described))
    assert found is not None
    first, *lines = found.mermaid.split("\n")
    assert first == "erDiagram"
    for line in lines:
        assert _LINE.fullmatch(line), line
    ET.fromstring(drawing.svg(found))  # noqa: S314 - it was written here


def test_nothing_changed_has_no_diagram(catalogs: list[Catalog]) -> None:
    """Nor has a change that touches no table."""
    assert erd.diagram(catalogs[0], catalogs[0]) is None
    assert compared.before_and_after(catalogs[0], catalogs[0]) is None
    more = Catalog(format=1, objects={**catalogs[0].objects, "schema other": "schema"})
    assert erd.diagram(catalogs[0], more) is None


def test_a_large_change_is_drawn_in_part() -> None:
    """As many tables and columns as can be read, and the report says how many more there are."""
    tables = {f"table app.t{place:02}": "table" for place in range(50)}
    columns = {f"column app.t00.c{place:02}": "text" for place in range(50)}
    after = Catalog(format=1, objects={**tables, **columns})
    found = erd.diagram(reviews.catalog(), after)
    assert found is not None
    assert len(found.entities) == erd.MOST_TABLES
    assert len(found.entities[0].attributes) == erd.MOST_COLUMNS
    assert found.entities[0].more == 50 - erd.MOST_COLUMNS
    ran = Rehearsed(revision="b1", direction="up")
    text = report.markdown(
        review(plan(step("b1", "SELECT 1")), rehearsal=rehearsal(ran, after=after))
    )
    assert "30 tables more that this change touches had no room in it." in text


def test_tables_that_refer_in_a_circle_are_drawn() -> None:
    """Every table has its place, and no two boxes lie on each other."""
    described = {}
    for place in range(6):
        other = (place + 1) % 6
        described[f"table app.t{place}"] = "table"
        described[f"column app.t{place}.id"] = "int NOT NULL"
        key = f"FOREIGN KEY (id) REFERENCES app.t{other}(id)"
        described[f"constraint app.t{place}.k"] = key
    found = erd.diagram(reviews.catalog(), Catalog(format=1, objects=described))
    assert found is not None
    places = re.findall(r'class="box new" transform="([^"]*)"', drawing.svg(found))
    assert len(set(places)) == 6


def test_a_diagram_that_can_not_be_drawn_leaves_its_text(
    catalogs: list[Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page is there all the same, with what Mermaid would draw."""

    def fail(_: erd.Diagram) -> str:
        raise RuntimeError

    monkeypatch.setattr(drawing, "svg", fail)
    ran = rehearsal(Rehearsed(revision="b1", direction="up"), before=catalogs[0], after=catalogs[1])
    text = report.page(review(plan(step("b1", "SELECT 1")), rehearsal=ran))
    assert "<svg" not in text
    assert "erDiagram" in text


def test_keys_and_references_are_read_from_their_definitions(catalogs: list[Catalog]) -> None:
    """Quoted names, several columns and what stands behind them included."""
    tables = objects.tables(catalogs[1])
    assert tables['app."my table"'].columns['"a b"'].type == "integer"
    assert [key.columns for key in tables['app."my table"'].keys] == [('"a b"',)]
    assert [each.to for each in tables["app.far"].references] == ['app."my table"']
    assert tables["app.child"].references[0].columns == ("a", "b")
    assert list(tables["app.pair"].columns) == ["a", "b"]
    assert "app.names" not in tables
