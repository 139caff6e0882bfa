"""What can go wrong with a run: each kind of fault, and how it is done."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.faults import processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.trial import Running

__all__ = ["KINDS", "Kind"]

Needs = Literal["", "worker", "disk", "standby", "engine"]

_ACTIVE = " AND state = 'active'"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of fault.

    Attributes:
        name: For the command line and the table.
        says: What happens, in a few words.
        strike: Does it, and makes good what an operator would: a server runs again, a wire is well.
            None for those that the engine's trials do by themselves.
        weight: How often it is drawn.
        needs: What a trial of it has beside a run on a server.
        whole: Whether the process of the run is left alone, and has to end by itself.
    """

    name: str
    says: str
    strike: Callable[[Running], None] | None
    weight: int = 4
    needs: Needs = ""
    whole: bool = False


def _signal(
    what: signal.Signals, whom: Literal["command", "worker", "tree"]
) -> Callable[..., None]:
    def strike(run: Running) -> None:
        run.send(what, whom)

    return strike


def _stop_and_kill(run: Running) -> None:
    run.send(signal.SIGSTOP, "tree")
    time.sleep(run.rng.uniform(0.2, 3))
    run.send(signal.SIGKILL, "tree")


def _stop_and_continue(run: Running) -> None:
    run.send(signal.SIGSTOP, "tree")
    time.sleep(run.rng.uniform(0.2, 3))
    run.send(signal.SIGCONT, "tree")


def _backends(call: str, *, one: bool = False, active: bool = False) -> Callable[..., None]:
    def strike(run: Running) -> None:
        limit = " ORDER BY random() LIMIT 1" if one else ""
        run.server.fetch(
            f"SELECT {call}(pid) FROM (SELECT pid FROM pg_stat_activity"  # noqa: S608 - our own
            f" WHERE client_port = ANY ($1::int[]){_ACTIVE if active else ''}{limit}) AS chosen",
            run.proxy.ports,
        )

    return strike


def _kill_backend(run: Running) -> None:
    pids = run.backends()
    if pids:
        processes.send([run.rng.choice(pids)], signal.SIGKILL)
    time.sleep(0.1)  # the postmaster hears of it, and takes no one in meanwhile
    run.server.wait()


def _stop_server(how: signal.Signals) -> Callable[..., None]:
    def strike(run: Running) -> None:
        run.server.stop(how)
        run.release()
        time.sleep(run.rng.choice((0, run.rng.uniform(0, 3))))
        run.server.start()

    return strike


def _fail_over(run: Running) -> None:
    run.server.stop(signal.SIGQUIT)
    run.release()
    time.sleep(run.rng.choice((0, run.rng.uniform(0, 2))))
    run.promote()


def _cut(run: Running) -> None:
    run.proxy.cut()


def _cut_at_commit(run: Running) -> None:
    run.proxy.cut_at_commit = run.proxy.commits + run.rng.randint(1, 3)


def _cut_often(run: Running) -> None:
    run.release()
    for _ in range(run.rng.randint(2, 4)):
        run.proxy.cut()
        time.sleep(run.rng.uniform(0.05, 0.6))


def _close_half(run: Running) -> None:
    run.proxy.close_half(run.rng.choice(("client", "server")))


def _partition(first: Literal["asks", "answers", ""]) -> Callable[..., None]:
    def strike(run: Running) -> None:
        if first:  # what comes the other way passes for a moment
            run.proxy.lose(first)
            run.release()
            time.sleep(run.rng.uniform(0.1, 0.5))
        run.proxy.partition()
        run.release()
        run.wait(run.rng.uniform(1, 20))
        run.proxy.heal()

    return strike


def _delay(run: Running) -> None:
    run.proxy.delay = (0.0, run.rng.uniform(0.01, 0.05))


def _stall(run: Running) -> None:
    run.proxy.stalled.clear()
    run.release()
    time.sleep(run.rng.uniform(1, 8))
    run.proxy.stalled.set()


def _hang(run: Running) -> None:
    _stall(run)
    run.proxy.cut()


def _fill_disk(run: Running) -> None:
    run.server.disk.fill(left=run.rng.choice((0, 0, 1 << 16, 1 << 20)))
    run.release()
    run.wait(run.rng.uniform(0.5, 8))
    run.server.disk.free()
    if not run.server.running:  # it could not write its log, and gave up
        run.server.start()


_DRAWN = (
    Kind(
        name="kill-command",
        says="SIGKILL to the command",
        strike=_signal(signal.SIGKILL, "command"),
        weight=8,
    ),
    Kind(
        name="kill-worker",
        says="SIGKILL to the process of online revisions",
        strike=_signal(signal.SIGKILL, "worker"),
        needs="worker",
        whole=True,
    ),
    Kind(
        name="kill-tree",
        says="SIGKILL to all processes of the run",
        strike=_signal(signal.SIGKILL, "tree"),
        weight=8,
    ),
    Kind(
        name="terminate-command",
        says="SIGTERM to the command",
        strike=_signal(signal.SIGTERM, "command"),
    ),
    Kind(
        name="terminate-tree",
        says="SIGTERM to all processes of the run",
        strike=_signal(signal.SIGTERM, "tree"),
    ),
    Kind(
        name="interrupt-command",
        says="SIGINT to the command",
        strike=_signal(signal.SIGINT, "command"),
        whole=True,
    ),
    Kind(
        name="interrupt-tree",
        says="SIGINT to all processes of the run",
        strike=_signal(signal.SIGINT, "tree"),
        whole=True,
    ),
    Kind(
        name="stop-and-kill",
        says="SIGSTOP, then SIGKILL to all processes of the run",
        strike=_stop_and_kill,
    ),
    Kind(
        name="stop-and-continue",
        says="SIGSTOP for up to 3 s, then SIGCONT",
        strike=_stop_and_continue,
        weight=2,
        whole=True,
    ),
    Kind(
        name="terminate-sessions",
        says="pg_terminate_backend of the run's sessions",
        strike=_backends("pg_terminate_backend"),
        weight=6,
        whole=True,
    ),
    Kind(
        name="terminate-session",
        says="pg_terminate_backend of one of them",
        strike=_backends("pg_terminate_backend", one=True),
        weight=6,
        whole=True,
    ),
    Kind(
        name="cancel-statement",
        says="pg_cancel_backend of what is active",
        strike=_backends("pg_cancel_backend", active=True),
        whole=True,
    ),
    Kind(
        name="kill-backend",
        says="SIGKILL to one of the server's processes: it starts again",
        strike=_kill_backend,
        whole=True,
    ),
    Kind(
        name="crash-server",
        says="the postmaster ends at once, and is started again",
        strike=_stop_server(signal.SIGQUIT),
        whole=True,
    ),
    Kind(
        name="restart-server",
        says="the server is stopped in order, and started again",
        strike=_stop_server(signal.SIGINT),
        whole=True,
    ),
    Kind(
        name="fail-over",
        says="the primary ends at once, the standby is promoted",
        strike=_fail_over,
        needs="standby",
        whole=True,
    ),
    Kind(
        name="fill-disk",
        says="the disk of the server is full for up to 8 s",
        strike=_fill_disk,
        needs="disk",
        whole=True,
    ),
    Kind(name="cut", says="all connections are reset", strike=_cut, weight=6, whole=True),
    Kind(
        name="cut-at-commit",
        says="a COMMIT is answered, and the connection is reset before",
        strike=_cut_at_commit,
        weight=6,
        whole=True,
    ),
    Kind(
        name="cut-often",
        says="all connections are reset, up to four times in a row",
        strike=_cut_often,
        whole=True,
    ),
    Kind(
        name="close-half",
        says="one end hears that the other sends no more",
        strike=_close_half,
        whole=True,
    ),
    Kind(
        name="partition",
        says="every packet is lost in silence for up to 20 s, and the connections for good",
        strike=_partition(""),
        weight=2,
        whole=True,
    ),
    Kind(
        name="lose-requests",
        says="the same, what the client sends first",
        strike=_partition("asks"),
        weight=2,
        whole=True,
    ),
    Kind(
        name="lose-answers",
        says="the same, what the server sends first",
        strike=_partition("answers"),
        weight=2,
        whole=True,
    ),
    Kind(
        name="delay",
        says="every piece comes up to 0.05 s late",
        strike=_delay,
        weight=2,
        whole=True,
    ),
    Kind(name="stall", says="nothing passes for up to 8 s", strike=_stall, weight=2, whole=True),
    Kind(
        name="hang",
        says="nothing passes for up to 8 s, then all connections are reset",
        strike=_hang,
        weight=2,
        whole=True,
    ),
    Kind(
        name="kill-engine",
        says="SIGKILL to the engine during `pulumi up`",
        strike=None,
        weight=2,
        needs="engine",
    ),
    Kind(
        name="kill-engine-tree",
        says="SIGKILL to the engine and all that it has started",
        strike=None,
        weight=1,
        needs="engine",
    ),
    Kind(
        name="interrupt-engine", says="SIGINT to the engine", strike=None, weight=1, needs="engine"
    ),
)

KINDS = {kind.name: kind for kind in _DRAWN}
"""All of them by name, in the order in which they are drawn and listed."""
