"""What is in the way of a plan, as findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.schema import options as settings
from infra.schema.data_checks.answers import duration
from infra.schema.errors import LiveError
from infra.schema.linting import trees
from infra.schema.linting.remark import Remark
from infra.schema.preflight import disk, server_state
from infra.schema.preflight.demands import needs
from infra.schema.statements.lexer import UnfinishedError, tokens
from infra.schema.statements.sql import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.schema.model import History, Live, Plan
    from infra.schema.options import Options
    from infra.schema.preflight.demands import Needs
    from infra.schema.statements.lexer import Token

__all__ = ["look", "redacted"]

_WIDTH = 100
_NAMED = 50
_GRANT = "GRANT pg_read_all_stats TO {}; shows its age and query from now on."
_YEAR = 4  # digits
_BEHIND = 1_000_000_000  # bytes of WAL that a slot keeps: from a minute of a busy server on
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_DUMPS = ("pg_dump", "pg_dumpall")


def look(
    plan: Plan, history: History, live: Live | None, url: str | None, options: Options
) -> tuple[Remark, ...]:
    """Look at the server, where something is to run there.

    Args:
        plan: What would run.
        history: What the files say.
        live: The live database; one that is still to be made has nothing in the way.
        url: Its libpq URL.
        options: How old a transaction may be.
    """
    if live is None or url is None or not plan.steps:
        return ()
    needed = needs(plan, history, live)
    if not (needed.tables or needed.cascades or needed.concurrently):
        return ()
    try:
        found = server_state.read(history, url, needed)
    except LiveError as exc:
        why = str(exc).partition(". ")[0]
        return (Remark(rule="not-looked-ahead", revision="", message=why),)
    oldest = settings.seconds(options.long_transaction)
    return (
        *_sessions(found["sessions"], needed, oldest, live.role),
        *_slots(found["slots"]),
        *_space(found, needed),
        *_reached(found["reached"], needed),
        *_sequences(found["sequences"], needed),
    )


def redacted(query: str) -> str:
    """Cut a query to a line, without the texts in it: they are people's data, or passwords."""
    try:
        pieces = [token for token in tokens(query) if _secret(token)]
    except UnfinishedError:  # the server cuts long ones
        query = f"{query.partition(chr(39))[0].partition('$')[0]}…"
        pieces = []
    for token in reversed(pieces):
        mark = "'…'" if token.kind == "text" else "…"
        query = f"{query[: token.start]}{mark}{query[token.end :]}"
    return first_line(" ".join(query.split()), _WIDTH)


def _secret(token: Token) -> bool:
    """Tell whether a token may be personal data: a text, or a number beyond a count or a year."""
    return token.kind == "text" or (token.kind == "number" and len(token.value) > _YEAR)


def _sessions(
    found: list[dict[str, Any]], needed: Needs, oldest: float, role: str
) -> Iterator[Remark]:
    for each in found:
        dump = each["application"] in _DUMPS
        query = str(each["query"] or "").lstrip()
        automatic = query.lower().startswith("autovacuum:")
        vacuum = query.lower().startswith("vacuum") or automatic
        if automatic and "to prevent wraparound" not in query:
            continue  # it ends itself when another session waits for its lock
        old = each["seconds"] is not None and each["seconds"] >= oldest
        unknown = each["seconds"] is None and each.get("lasted") and each["role"] is not None
        if not (old or unknown or ((dump or vacuum) and each["tables"])):
            continue
        yield Remark(
            rule="dump-or-vacuum-running" if dump or vacuum else "long-transaction",
            revision=_first(each["tables"], needed),
            message=f"{_who(each)} {_keeps(each)}{_what(each, query)}",
            help="Wait for it, or ask its user; pg_terminate_backend(pid) ends it."
            + ("" if each["seconds"] is not None else f" {_GRANT.format(trees.written(role))}"),
        )


def _who(each: Mapping[str, Any]) -> str:
    program = f" ({each['application']})" if each["application"] else ""
    return f"process {each['pid']} of {each['role'] or 'the server itself'}{program}"


def _keeps(each: Mapping[str, Any]) -> str:
    age = "at least 1 s" if each["seconds"] is None else duration(float(round(each["seconds"])))
    since = f"for {age}"
    if each["tables"]:
        modes, tables = ", ".join(each["modes"]), ", ".join(each["tables"][:_NAMED])
        return f"has held {modes} on {tables} {since}"
    return f"has been in a transaction {since}, which CONCURRENTLY waits for"


def _what(each: Mapping[str, Any], query: str) -> str:
    if each["seconds"] is None:
        return "; its age and query are shown to members of pg_read_all_stats only"
    state = f", {each['state']}" if each["state"] and each["state"] != "active" else ""
    return f"{state}: {redacted(query)}"


def _first(tables: list[str] | None, needed: Needs) -> str:
    """Give the first revision that needs one of these tables."""
    names = {trees.written(*name): revision for name, revision in needed.tables.items()}
    found = next((names[table] for table in tables or () if table in names), "")
    return found or next(iter(needed.tables.values()), needed.concurrently)


def _slots(found: list[dict[str, Any]]) -> Iterator[Remark]:
    for each in found:
        behind = each["behind"] or 0
        if each["active"] and behind < _BEHIND:
            continue
        state = "lags behind" if each["active"] else "is inactive"
        lost = " (lost)" if each["status"] == "lost" else ""
        yield Remark(
            rule="replication-slot-behind",
            revision="",
            message=f"the replication slot {each['name']} {state}{lost}, and keeps"
            f" {_size(behind)} of WAL; what this plan writes comes on top",
            help="Start its consumer, or drop it: pg_drop_replication_slot.",
        )


def _space(found: Mapping[str, Any], needed: Needs) -> Iterator[Remark]:
    sizes = {(each["schema"], each["table"]): each for each in found["sizes"]}
    for name, revision in needed.rewritten.items():
        each = sizes.get(name)
        if each is None:
            continue
        free = disk.free(found["pid"], each["place"] or "")
        if free is not None and free < each["bytes"]:
            yield Remark(
                rule="not-enough-space",
                revision=revision,
                message=f"rewriting {trees.written(*name)} takes about {_size(each['bytes'])}"
                f" beside what is there, and {_size(free)} are free",
                help="Make room first: the old table goes only when the new one is there.",
            )


def _reached(found: list[dict[str, Any]], needed: Needs) -> Iterator[Remark]:
    for place, each in enumerate(needed.cascades, 1):
        names = [str(one["what"]) for one in found if one["place"] == place]
        if not names:
            continue
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        verb = "empties" if each.kind == "truncate" else "takes along"
        yield Remark(
            rule="cascade-reaches",
            revision=each.revision,
            message=f"CASCADE of {trees.written(*each.name)} {verb}"
            f" {', '.join(names[:_NAMED])}{more}",
            help="Name what is to go, and leave CASCADE out.",
            statement=each.statement,
        )


def _sequences(found: list[dict[str, Any]], needed: Needs) -> Iterator[Remark]:
    for each in found:
        share = 100 * each["last"] / each["most"]
        yield Remark(
            rule="sequence-nearly-used-up",
            revision=_first([each["table"]], needed),
            message=f"{each['name']}, which numbers {each['table']}.{each['column']}, is at"
            f" {each['last']:,} of {each['most']:,} ({share:.0f}%)",
            help="Make the column a bigint before it ends.",
        )


def _size(value: int) -> str:
    """Say a number of bytes, in powers of ten: 812 bytes, 35 kB, 4.1 MB."""
    power = min(max(len(str(value)) - 1, 0) // 3, len(_UNITS) - 1)
    scaled = value / 1000**power
    digits = 1 if power and scaled < 10 else 0  # noqa: PLR2004 - two digits are enough
    return f"{scaled:,.{digits}f} {_UNITS[power]}"
