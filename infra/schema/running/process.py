"""Runs revisions live: in a process of their own, since Alembic's `op` is one for a process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import deque
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.schema import interpreter, ledger, named_types
from infra.schema.dsn import redacted
from infra.schema.running.failures import Failure, Reason

if TYPE_CHECKING:
    from infra.schema.apply import Terms
    from infra.schema.model import History, Step
    from infra.schema.running.session import Session
    from infra.schema.running.watch import Watch

__all__ = ["Online"]

_ROOT = Path(__file__).parents[3]
_LINE_BYTES = 2**26  # an order holds the revision's downgrade
_SECONDS = 5.0
_NOISE_SECONDS = 1.0  # for the last words of a process that has ended
_NOISE_LINES = 20
_PIECE_BYTES = 2**16

# True where this very run holds the lock: in another database there is no such lock.


class Online:
    """The process: started for the first revision that needs it, and kept for the others."""

    def __init__(
        self, session: Session, history: History, terms: Terms, *, watch: Watch | None = None
    ) -> None:
        """Know what to start; nothing is started yet.

        Args:
            session: The run's.
            history: What the plan was made from: env.py's own SQL, and the files that it can load.
            terms: Where and how the plan is run.
            watch: Told what was sent.
        """
        self._session = session
        self._history = history
        self._terms = terms
        self._watch = watch
        self._process: asyncio.subprocess.Process | None = None
        self._noise: deque[str] = deque(maxlen=_NOISE_LINES)
        self._listener: asyncio.Task[None] | None = None
        self._errors: asyncio.ReadTransport | None = None
        self._asking = False
        self._status = 0
        self._abandoned = False
        session.abandoned = self._abandon

    async def run(self, step: Step) -> None:
        """Try a step once, through env.py.

        Raises:
            Failure: It did not succeed.
        """
        if self._process is None or self._process.returncode is not None:
            await self._start()
        answer = await self._ask(self._order(step))
        if self._watch:
            self._watch.ran(answer.get("sent", ()))
        if not answer and not self._abandoned and await self._there(step):
            return  # it went between the commit and the answer
        if "error" in answer or not answer:
            reason = Reason(**answer["error"]) if answer else await self._died(step)
            raise Failure(await self._completed(reason, step))
        if not await self._there(step):
            text = "env.py ran it, and did not commit it: nothing of it is there"
            raise Failure(Reason(text=text, cause="env.py", inside=False))

    def _abandon(self) -> None:
        """End the process while it waits for a server that does not answer."""
        if self._asking and self._process is not None and self._process.returncode is None:
            self._abandoned = True
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _there(self, step: Step) -> bool:
        """Say whether a step is in the version table, and this run's in the ledger."""
        return await self._session.heads() == step.after and await self._session.done(step)

    async def _completed(self, reason: Reason, step: Step) -> Reason:
        """Add what only this side knows: what is committed, and whether the lock was there."""
        if reason.lost:
            return reason
        if reason.unlocked and not await self._session.holds():
            return replace(reason, lost=True)
        if await self._there(step):
            return replace(reason, finished=True)
        return reason

    async def close(self) -> None:
        """End the process, at once where it is at work."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if self._asking and process.returncode is None:
            # With what it has started and waits for: it leads a session, and so a group.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        try:
            await asyncio.wait_for(process.wait(), _SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        await self._hear_out()

    async def _start(self) -> None:
        """Start it, and tell it what no process list may show."""
        await self.close()
        python = self._terms.invocation.python
        listening, telling = os.pipe()
        self._process = await asyncio.create_subprocess_exec(
            *interpreter.command(python, "infra.schema.online"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=telling,
            cwd=_ROOT,
            env=interpreter.environ(python),
            limit=_LINE_BYTES,
            # Ctrl-C in a terminal is for the caller, which ends this one between two revisions.
            start_new_session=True,
        )
        os.close(telling)
        self._noise.clear()
        await self._hear(listening)
        await self._write(
            {
                "folder": str(self._terms.folder.absolute()),
                "invocation": self._terms.invocation.dump(),
                "url": self._session.url,
                "parent": os.getpid(),
                "sources": dict(self._history.sources) if self._terms.approved else None,
            }
        )

    async def _hear(self, descriptor: int) -> None:
        """Read what it says on standard error.

        By a pipe that is not asyncio's: programs that a revision leaves running have it too, and
        asyncio takes a process for ended when all of its pipes are.
        """
        said = asyncio.StreamReader()
        self._errors, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(said), os.fdopen(descriptor, "rb", 0)
        )
        self._listener = asyncio.create_task(self._listen(said))

    async def _hear_out(self) -> None:
        """Read to the end, and wait for nobody who may still hold the other one."""
        if self._listener is None or self._errors is None:
            return
        await asyncio.wait({self._listener}, timeout=_NOISE_SECONDS)
        self._errors.close()
        await self._listener

    async def _listen(self, said: asyncio.StreamReader) -> None:
        """Keep the last that env.py prints or logs, for the case that it ends without an answer."""
        rest = b""
        while piece := await said.read(_PIECE_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            rest = rest[-_PIECE_BYTES:]
            self._noise.extend(line.decode(errors="replace") for line in lines if line.strip())
        if rest.strip():
            self._noise.append(rest.decode(errors="replace"))

    async def _write(self, message: dict[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.write(f"{json.dumps(message)}\n".encode())
        await self._process.stdin.drain()

    async def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Send an order, and wait for its answer."""
        process = self._process
        if process is None or process.stdout is None:
            return {}
        self._asking, self._abandoned = True, False
        try:
            await self._write(order)
            line = await process.stdout.readline()
        except ConnectionError:  # it went while it was told
            line = b""
        self._asking = False
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        await process.wait()
        await self._hear_out()
        self._status = process.returncode or 0
        return {}

    async def _died(self, step: Step) -> Reason:
        """Say how the process has ended without an answer."""
        status = self._status
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        last = redacted(self._noise[-1].strip(), self._session.url) if self._noise else ""
        last = self._terms.invocation.redacted(last)
        text = f"Alembic's process ended without an answer ({how})" + (f": {last}" if last else "")
        if self._abandoned:
            return Reason(text="the server does not answer any more", lost=True)
        run = self._session.frame.run
        begun = await self._session.ask_ledger(ledger.BEGUN, run.key, run.id, step.revision)
        killed = "Its process was ended from outside, for want of memory perhaps: run again."
        return Reason(
            text=text,
            cause="env.py",
            inside=False,
            committed=bool(begun),
            advice=killed if status == -signal.SIGKILL else "",
        )

    def _order(self, step: Step) -> dict[str, Any]:
        frame = self._session.frame
        names = ("lock_timeout", "statement_timeout")
        timeouts = (self._terms.lock_timeout, self._terms.statement_timeout)
        return {
            "revision": step.revision,
            "direction": step.direction,
            "before": step.before,
            "locked": self._session.lock.check,
            "mark": self._session.lock.mark,
            "schema": frame.table.schema,
            "table": frame.table.table,
            "role": frame.role,
            "begun": ledger.event(frame.run, step, state="begun"),
            "done": ledger.event(frame.run, step),
            "own": {"lock_timeout": step.lock_timeout, "statement_timeout": step.statement_timeout},
            "run": dict(zip(names, timeouts, strict=True)),
            "known": [*self._history.prologue, *self._history.epilogue],
            "approved": self._terms.approved,
            "question": self._watch.question if self._watch else "",
            "types": self._types(step),
        }

    def _types(self, step: Step) -> dict[str, Any]:
        """Give the types that one run of Alembic would know of when it comes to a step."""
        history = self._history
        needs = {each.id: each.needs for each in history.revisions}
        found = named_types.memo(step.revision, step.direction, needs, history.types)
        return {"made": sorted(found.made), "unsure": sorted(found.unsure), "open": found.open}
