"""Brings the server of a cluster to what is wanted, with as little interruption as it takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from infra.project import spelled
from infra.servers import ports, probe, rotation
from infra.servers.errors import ClusterError
from infra.servers.local import configuration, trial, tuning
from infra.servers.local.cluster import SUPERUSER, Cluster
from infra.servers.local.configuration import Configuration
from infra.servers.ports import HOST
from infra.servers.probe import ProbeError, RefusedError
from infra.servers.session import Login, PasswordError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.servers.local.binaries import Binaries
    from infra.servers.probe import Identity

__all__ = ["Service", "Wanted", "login"]

_READY_SECONDS = 60
_PAUSE = 0.1
# Two stacks that start at once may both find the same port free; the loser takes the next.
_PORT_TRIES = 5
# The trial opens no port.
_ANY_PORT = 5432


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a server is to be.

    Attributes:
        port: TCP port on 127.0.0.1; 0 keeps the one it has, or takes a free one.
        password: Of the superuser.
        parameters: Settings of postgresql.conf, by their names.
    """

    port: int
    password: str = field(repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)


def login(port: int, password: str) -> Login:
    """Say how the superuser gets in."""
    return Login(host=HOST, port=port, user=SUPERUSER, password=password)


@dataclass(frozen=True, kw_only=True)
class Service:
    """The server of a cluster, and who is told what happens to it.

    Attributes:
        cluster: The cluster; it exists.
        binaries: The programs of the server.
        say: Told what sessions feel, and what a restart was for.
    """

    cluster: Cluster
    binaries: Binaries
    say: Callable[[str], None]

    def make(self, wanted: Wanted) -> tuple[int, Identity]:
        """Start a cluster that has just been made with the wanted password.

        Raises:
            ClusterError: PostgreSQL refuses a parameter, or does not start.
        """
        if wanted.parameters:
            self._try(wanted)
        port = self._start(wanted)
        return port, self._ask(port, wanted)

    def bring(self, wanted: Wanted, *, former: Wanted | None = None) -> tuple[int, Identity]:
        """Have the server run as wanted.

        Nothing is stopped before PostgreSQL has agreed to the parameters, and nothing at all
        where a reload will do.

        Args:
            wanted: What it is to be.
            former: What it was, as far as the stack knows; None where that was lost.

        Returns:
            Its port, and who answers there.

        Raises:
            ClusterError: PostgreSQL refuses a parameter, or does not start.
            ProbeError: It runs and does not answer.
        """
        running = self.cluster.postmaster.port()
        if not self._written(wanted, running or wanted.port).is_kept(self.cluster.data):
            self._try(wanted)
        if running and running == (wanted.port or running):
            port = running
        else:
            self.cluster.stop()
            port = self._start(wanted)
        if not self._lets_in(port, wanted, former):
            # Of a state that was lost: then only who has the data directory gets in.
            self.cluster.stop()
            self.cluster.set_password(self.binaries, wanted.password)
            self.cluster.start(self.binaries, self._written(wanted, port))
        elif port == running:
            self._tune(replace(wanted, port=port), former)
        return port, self._ask(port, wanted)

    def _written(self, wanted: Wanted, port: int) -> Configuration:
        return Configuration(port=port or _ANY_PORT, parameters=wanted.parameters)

    def _try(self, wanted: Wanted) -> None:
        trial.refuse_unfit(
            self.binaries,
            self.cluster.account,
            self.cluster.data,
            self._written(wanted, wanted.port),
            configuration.written(self.cluster.data),
        )

    def _ask(self, port: int, wanted: Wanted) -> Identity:
        return probe.wait(
            host=HOST, port=port, user=SUPERUSER, password=wanted.password, seconds=_READY_SECONDS
        )

    # -- a server that runs -------------------------------------------------------------

    def _lets_in(self, port: int, wanted: Wanted, former: Wanted | None) -> bool:
        """Have the running server take the wanted password; False where nobody knows its own."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                before = former.password if former else wanted.password
                if rotation.change_password(login(port, wanted.password), former=before):
                    self.say("the superuser has another password; no session was ended")
            except PasswordError:
                return False
            except RefusedError:
                raise
            except ProbeError:  # it may be recovering, or just have been killed
                if time.monotonic() > deadline:
                    raise
                self.cluster.start(self.binaries, self._written(wanted, port))
            else:
                return True
            time.sleep(_PAUSE)

    def _tune(self, wanted: Wanted, former: Wanted | None) -> None:
        """Write the settings, and have the server read them, by a restart only where it must."""
        asking = login(wanted.port, wanted.password)
        new = self._written(wanted, wanted.port)
        before = configuration.written(self.cluster.data)
        known = {name.lower() for name in former.parameters} if former else set()
        names = new.settings().keys() | before.keys() | known
        kept = new.is_kept(self.cluster.data)
        if not kept:
            self.cluster.configure(new)
        # Also where nothing was written: a run may have been killed before its restart.
        altered = new.altered(self.cluster.data)
        pending = tuning.reload(asking, names, altered=altered)
        if pending:
            self._restart(new, before, pending, tuning.sessions(asking))
        elif not kept:
            self.say("the server has its new settings; no session was ended")

    def _restart(
        self, new: Configuration, before: Mapping[str, str], pending: list[str], sessions: int
    ) -> None:
        self.cluster.stop()
        try:
            self.cluster.start(self.binaries, new)
        except ClusterError as exc:
            own = new.settings().keys() - {name.lower() for name in new.parameters}
            former = {name: value for name, value in before.items() if name not in own}
            self.cluster.start(self.binaries, Configuration(port=new.port, parameters=former))
            msg = f"{exc} It runs again with the settings that it had before."
            raise ClusterError(msg) from exc
        self.say(
            f"the server was restarted for {', '.join(pending)}, which ended"
            f" {sessions or 'no'} session{'' if sessions == 1 else 's'}"
        )

    # -- a server that does not ---------------------------------------------------------

    def _start(self, wanted: Wanted) -> int:
        if wanted.port:
            self.cluster.start(self.binaries, self._written(wanted, wanted.port))
            return wanted.port
        for _ in range(_PORT_TRIES):
            port = ports.find_free()
            try:
                self.cluster.start(self.binaries, self._written(wanted, port))
            except ClusterError:
                if ports.is_free(port):
                    raise
            else:
                return port
        msg = (
            f"Other programs took {_PORT_TRIES} free ports in turn before the server in "
            f"{self.cluster.data} could; name one with {spelled('port')}."
        )
        raise ClusterError(msg)
