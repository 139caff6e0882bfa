"""What is in the schemas of the migrations, object by object, and how two of these differ."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema.model import Catalog, Drift

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "FORMAT",
    "NAME",
    "ON",
    "OWNED",
    "bare",
    "comparable",
    "compare",
    "differences",
    "is_relation",
    "kind",
    "read",
    "schemas",
    "topmost",
    "wholes",
    "worded",
]

FORMAT = 1
"""Raised with every change to names or definitions: catalogs of two formats aren't compared."""

_QUERY = Path(__file__).with_suffix(".sql")
_END_OF_SCOPE = ",\n-- End of the scope.\n"

# What changes how PostgreSQL words a definition, set to what every session gets here. JIT would
# take longer to compile this query than the query takes.
_SETTINGS = """
SELECT set_config('groundwork.home', coalesce(current_schema(), ''), true);
SET LOCAL search_path = pg_catalog;
SET LOCAL quote_all_identifiers = off;
SET LOCAL standard_conforming_strings = on;
SET LOCAL DateStyle = 'ISO, YMD';
SET LOCAL IntervalStyle = postgres;
SET LOCAL TimeZone = 'UTC';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = hex;
SET LOCAL lc_monetary = 'C';
SET LOCAL jit = off;
"""


_OUTSIDE = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;", "ROLLBACK")
_INSIDE = (
    "SAVEPOINT groundwork_catalog;",
    "ROLLBACK TO SAVEPOINT groundwork_catalog; RELEASE SAVEPOINT groundwork_catalog",
)


async def read(
    connection: Any, *, version_table: str = "alembic_version", version_schema: str = ""
) -> Catalog:
    """Read what is there; changes nothing, and needs the rights of no particular role.

    It looks at the schema of the version table, and at those that the owner of that table (before
    there is one: the acting role) owns, or may create in, or has tables in; a superuser's right to
    create everywhere does not count. Left out are extensions' own objects, the version table, the
    ledger, what PostgreSQL makes along with an object, and what belongs to no schema and to
    somebody else.

    Args:
        connection: An asyncpg connection, inside a transaction or not.
        version_table: Alembic's table, which is left out.
        version_schema: Its schema; empty takes the first of the search_path that is there.

    Raises:
        asyncpg.PostgresError: PostgreSQL refused, as when the schema is changing meanwhile.
    """
    query = _QUERY.read_text(encoding="utf-8")
    rows = await _fetch(connection, query, version_table, version_schema)
    return Catalog(
        format=FORMAT,
        objects={name: _settled(text) for name, text, _ in rows},
        ids={name: id_ for name, _, id_ in rows},
    )


async def schemas(
    connection: Any, *, version_table: str = "alembic_version", version_schema: str = ""
) -> tuple[str, ...]:
    """List the schemas that `read` looks at, by their bare names, sorted.

    Args:
        connection: As for `read`.
        version_table: As for `read`.
        version_schema: As for `read`.

    Raises:
        asyncpg.PostgresError: As for `read`.
    """
    scope, _, _ = _QUERY.read_text(encoding="utf-8").partition(_END_OF_SCOPE)
    query = f"{scope} SELECT nspname::text FROM scope ORDER BY 1"  # noqa: S608 - our own file
    return tuple(row[0] for row in await _fetch(connection, query, version_table, version_schema))


async def _fetch(connection: Any, query: str, version_table: str, version_schema: str) -> list[Any]:
    from infra.schema import ledger  # noqa: PLC0415 - comparing needs no ledger

    # By hand, since asyncpg's own transactions do not nest in one that was begun as SQL.
    begin, end = _INSIDE if connection.is_in_transaction() else _OUTSIDE
    try:
        await connection.execute(begin + _SETTINGS)
        rows = await connection.fetch(query, version_table, version_schema, ledger.SCHEMA)
    except Exception:  # not where it was cancelled: nobody would wait for that to come through
        if not connection.is_closed():
            await connection.execute(end)
        raise
    await connection.execute(end)  # the settings go with it
    return list(rows)


# `x IN ('a', 'b')` on a varchar is worded in one way when it was written and in another after a
# dump and a restore; this turns the first into the second.
_LITERAL = r"'(?:[^']|'')*'::character varying"
_ELEMENT = re.compile(f"({_LITERAL})")
_LIST = re.compile(rf"\(ARRAY\[({_LITERAL}(?:, {_LITERAL})*)\]\)::text\[\]")


def _settled(definition: str) -> str:
    if "::text[]" not in definition:
        return definition
    return _LIST.sub(
        lambda found: "ARRAY[" + _ELEMENT.sub(r"(\1)::text", found[1]) + "]", definition
    )


def comparable(before: Catalog, after: Catalog) -> bool:
    """Tell whether the two were described in the same way."""
    return before.format == after.format


def compare(before: Catalog, after: Catalog) -> tuple[Drift, ...]:
    """List what became different, schemas and tables first.

    What came or went as a part of something else is not listed beside it: the columns of a table
    that was dropped, the grants on a function that was added.

    Returns:
        Nothing where the two are not comparable: see `comparable`.
    """
    if not comparable(before, after):
        return ()
    return topmost(differences(before.objects, after.objects))


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Drift, ...]:
    """List every object that is different, in no order; the parts of others included."""
    return (
        *(Drift(change="added", object=name, after=new[name]) for name in new if name not in old),
        *(
            Drift(change="removed", object=name, before=text)
            for name, text in old.items()
            if name not in new
        ),
        *(
            Drift(change="changed", object=name, before=text, after=new[name])
            for name, text in old.items()
            if name in new and new[name] != text
        ),
    )


def topmost(drift: Iterable[Drift]) -> tuple[Drift, ...]:
    """Leave out what came or went as a part of something else; schemas and tables first."""
    found = tuple(drift)
    added = _topmost({each.object: each.after for each in found if each.change == "added"})
    removed = _topmost({each.object: each.before for each in found if each.change == "removed"})
    kept = {"added": set(added), "removed": set(removed)}
    whole = (each for each in found if each.object in kept.get(each.change, {each.object}))
    return tuple(sorted(whole, key=_rank))


_TABLES = ("table", "foreign table", "view", "materialized view")
_KINDS = (
    "schema",
    "extension",
    *_TABLES,
    "column",
    "constraint",
    "index",
    "policy",
    "trigger",
    "rule",
    "sequence",
    "type",
    "domain",
    "function",
    "procedure",
    "aggregate",
    "operator",
    "collation",
    "text search configuration",
    "text search dictionary",
    "statistics",
    "event trigger",
    "publication",
    "grant",
    "default privileges",
    "comment",
)
_RANKS = {kind: rank for rank, kind in enumerate(_KINDS)}
_KIND = re.compile(f"({'|'.join(_KINDS)}) ")
_PARTS = ("column", "constraint", "policy", "trigger", "rule")
_LOOSE = ("schema", "extension", "event trigger", "publication")

NAME = r'(?:"(?:[^"]|"")*"|[^\s".(),:]+)'
"""Pattern of a name as SQL writes it, for the names and definitions of a catalog."""
_IN_SCHEMA = re.compile(rf"(?:of {NAME} )?(?:in )?({NAME})")
_RELATION = re.compile(rf"({NAME}\.{NAME})")
# An index and statistics say first what they are on; a sequence says last whose it is.
ON = re.compile(rf"on ({NAME}\.{NAME})[ :]")
OWNED = re.compile(rf", owned by ({NAME}\.{NAME})\.{NAME}(?:, owner .*)?\Z")
_GRANTEE = re.compile(rf" to {NAME}\Z")


def _rank(drift: Drift) -> tuple[int, str]:
    return _RANKS.get(kind(drift.object), len(_RANKS)), drift.object


def kind(name: str) -> str:
    """Give the kind that a name begins with; "" for none."""
    match = _KIND.match(name)
    return match[1] if match else ""


def _topmost(objects: Mapping[str, str]) -> list[str]:
    """List the names of those that are a part of no other one of them."""
    return [
        name
        for name, definition in objects.items()
        if not any(whole in objects for whole in wholes(name, definition))
    ]


def wholes(name: str, definition: str = "") -> Iterator[str]:
    """Give the names of everything that an object may be a part of, whether it exists or not."""
    what = kind(name)
    rest = name[len(what) + 1 :]
    if what == "comment":
        about = [rest.removeprefix("on ")]
    elif what == "grant":
        target = _GRANTEE.sub("", rest)
        about = [target, *(f"{table} {target}" for table in ("column", *_TABLES))]
    else:
        yield from _around(what, rest, definition)
        return
    for whole in about:
        yield whole
        yield from wholes(whole)


def _around(kind: str, rest: str, definition: str) -> Iterator[str]:
    """Give the schema and the tables that an object may be in."""
    if kind in _LOOSE:
        return
    if schema := _IN_SCHEMA.match(rest):
        yield f"schema {schema[1]}"
    if kind in _PARTS:
        relation = _RELATION.match(rest)
    elif kind == "sequence":
        relation = OWNED.search(definition)
    else:
        relation = ON.match(definition)
    if relation:
        yield from (f"{whole} {relation[1]}" for whole in (*_TABLES, "domain"))


def bare(name: str) -> str:
    """Give the name of an object without its kind."""
    return name[len(kind(name)) + 1 :]


def is_relation(name: str) -> bool:
    """Tell whether it is the name of a table, or of what is used like one."""
    return kind(name) in (*_TABLES, "sequence")


_WIDTH = 100  # characters of a definition that a line has room for


def worded(drift: Drift) -> str:
    """Say a difference in one short line."""
    name = _line(drift.object)
    if drift.change == "changed":
        before, after = _different(_line(drift.before), _line(drift.after))
        return f"{name} was changed: {before} -> {after}"
    if drift.change == "removed" or drift.after == kind(drift.object):
        return f"{name} was {drift.change}"
    return f"{name} was added: {_cut(_line(drift.after))}"


def _line(text: str) -> str:
    """Put it on one line, without what a terminal would act on."""
    joined = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in joined)


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _different(before: str, after: str) -> tuple[str, str]:
    """Leave out of two long definitions the words that they begin and end with in common."""
    if len(before) + len(after) <= _WIDTH:
        return before, after
    old, new = before.split(), after.split()
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    return _middle(old, head, tail), _middle(new, head, tail)


def _common(old: list[str], new: list[str]) -> int:
    pairs = enumerate(zip(old, new, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(old), len(new)))


def _middle(words: list[str], head: int, tail: int) -> str:
    start, end = "… " if head else "", " …" if tail else ""
    return _cut(f"{start}{' '.join(words[head : len(words) - tail])}{end}")
