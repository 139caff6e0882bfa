"""Runs one history both ways on fresh databases, and notes where they part."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.histories import contents
from tests.histories.runs import prepare, run_node, run_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.servers.throwaway import Throwaway
    from tests.histories.contents import Contents, Noise
    from tests.histories.runs import Application, Done

__all__ = ["MODES", "Result", "Way", "compare"]

MODES = ("compiled", "online")
_STEPS = 20  # that plain Alembic is taken down where it can't go to base


@dataclass
class Way:
    """How the node did with one value of `apply`.

    Attributes:
        apply: compiled or online.
        seconds: Of the first `upgrade`, and of one with the compiled history at hand; 0 for none.
        problems: What is not as it is with plain Alembic; empty where all is.
        down: How far it went down and up again, or why it was not tried.
    """

    apply: str
    seconds: tuple[float, float] = (0.0, 0.0)
    problems: list[str] = field(default_factory=list)
    down: str = ""


@dataclass
class Result:
    """What came of a history.

    Attributes:
        name: Package, version and folder.
        revisions: How many there are; how many of them are rendered; heads.
        reasons: Why the others run online, and how many of each.
        plain: Seconds of plain Alembic.
        unable: What plain Alembic failed with; empty where it did not.
        refusal: What the node says to a history that plain Alembic can't run.
        generated: What differs between two runs of plain Alembic.
        objects: Definitions, tables and rows that were compared.
        ways: The node's runs.
    """

    name: str
    revisions: tuple[int, int, int] = (0, 0, 0)
    reasons: dict[str, int] = field(default_factory=dict)
    plain: float = 0.0
    unable: str = ""
    refusal: str = ""
    generated: list[str] = field(default_factory=list)
    objects: tuple[int, int, int] = (0, 0, 0)
    ways: list[Way] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not any(way.problems for way in self.ways)


@dataclass(frozen=True, kw_only=True)
class _Plain:
    """What plain Alembic made.

    Attributes:
        head: What is there at head.
        noise: What differs between two of its runs.
        base: What is there after the downgrade; None where it can't go down.
        target: Where that led: base, or the lowest revision that it reaches.
        again: What is there at head again; None where it can't be reached.
        why: What it can't do.
    """

    head: Contents
    noise: Noise
    base: Contents | None = None
    target: str = ""
    again: Contents | None = None
    why: str = ""


def compare(
    application: Application,
    server: Throwaway,
    name: str,
    *,
    modes: tuple[str, ...] = MODES,
    say: Callable[[str], None],
) -> Result:
    """Run a history to head, once more, down and up, in all ways.

    Args:
        application: The history.
        server: Where databases are made and dropped.
        name: What it is called in the table.
        modes: Values of `apply`.
        say: Told what is being done.
    """
    result = Result(name=name)
    with _database(application, server) as one, _database(application, server) as other:
        say(f"{name}: plain Alembic")
        first = run_plain(application, one, "upgrade", "heads")
        if first.status:
            result.unable = first.message
            with _database(application, server) as third:
                ours = run_node(application, third, "upgrade")
                result.refusal = ours.message if ours.status else f"runs it: {ours.output.strip()}"
            return result
        second = run_plain(application, other, "upgrade", "heads")
        result.plain = min(first.seconds, second.seconds)
        plain = _plain(application, one, contents.read(one), contents.read(other))
    result.generated = plain.noise.named
    head = plain.head
    result.objects = (head.objects, len(head.counts), sum(head.counts.values()))
    for apply in modes:
        say(f"{name}: apply: {apply}")
        result.ways.append(_way(application, server, apply, plain))
    _count(application, server, result)
    return result


def _plain(application: Application, url: str, head: Contents, other: Contents) -> _Plain:
    """Take plain Alembic down, as far as it can go, and up again."""
    plain = _Plain(head=head, noise=contents.Noise.between(head, other))
    down = run_plain(application, url, "downgrade", "base")
    if down.status:
        run_plain(application, url, "downgrade", "-1", times=_STEPS)
        below = contents.read(url)
        if below.versions == head.versions or len(below.versions) != 1:
            return replace(plain, why=f"plain Alembic can't go down: {down.message}")
        (target,) = below.versions
        plain = replace(plain, base=below, target=target)
    else:
        plain = replace(plain, base=contents.read(url), target="base")
    up = run_plain(application, url, "upgrade", "heads")
    if up.status:
        return replace(plain, why=f"plain Alembic can't go up again: {up.message}")
    return replace(plain, again=contents.read(url))


def _way(application: Application, server: Throwaway, apply: str, plain: _Plain) -> Way:
    way = Way(apply=apply)
    with _database(application, server) as url:
        up = run_node(application, url, "upgrade", "--apply", apply)
        if not _went(up, way, "upgrade"):
            return way
        _same(way, "at head", plain.head, contents.read(url), plain.noise)
        again = run_node(application, url, "plan", "--apply", apply)
        if again.status or "nothing to do" not in again.output:
            way.problems.append(f"a second run is not clean: {again.message or again.output}")
        _down_and_up(application, url, way, plain)
    way.seconds = (up.seconds, 0.0)
    if apply == MODES[0]:
        with _database(application, server) as url:
            quick = run_node(application, url, "upgrade")
            _went(quick, way, "second upgrade")
        way.seconds = (up.seconds, quick.seconds)
    return way


def _down_and_up(application: Application, url: str, way: Way, plain: _Plain) -> None:
    if plain.base is None or not plain.target:
        way.down = plain.why
        return
    back = ("--downgrade", "allow", "--apply", way.apply)
    down = run_node(application, url, "upgrade", "--revision", plain.target, *back)
    if not _went(down, way, "downgrade"):
        return
    _same(way, f"at {plain.target}", plain.base, contents.read(url), plain.noise)
    up = run_node(application, url, "upgrade", "--apply", way.apply)
    if plain.again is None:
        way.down = plain.why
        return
    if _went(up, way, "upgrade after the downgrade"):
        _same(way, "at head again", plain.again, contents.read(url), plain.noise)
        way.down = f"to {plain.target}"


def _went(done: Done, way: Way, what: str) -> bool:
    if done.status:
        way.problems.append(f"{what}: {done.message}")
    return not done.status


def _same(way: Way, when: str, plain: Contents, ours: Contents, noise: Noise) -> None:
    found = contents.differences(plain, ours, noise)
    way.problems += [f"{when}: {each}" for each in found]


def _count(application: Application, server: Throwaway, result: Result) -> None:
    with _database(application, server) as url:
        listed = run_node(application, url, "history", "--json")
    if listed.status:
        return
    history = listed.data
    scripts = [each["upgrade"] for each in history["revisions"]]
    online = [script["live"] for script in scripts if script["live"]]
    result.revisions = (len(scripts), len(scripts) - len(online), len(history["heads"]))
    for reason in online:
        result.reasons[reason] = result.reasons.get(reason, 0) + 1


@contextmanager
def _database(application: Application, server: Throwaway) -> Iterator[str]:
    admin = server.url(user=server.user, database="postgres")
    name = f"history_{secrets.token_hex(4)}"
    contents.create_database(admin, name)
    try:
        url = server.url(user=server.user, database=name)
        prepare(application, url)
        yield url
    finally:
        contents.drop_database(admin, name)
