"""The search for nonces: as many processes as the operator grants it, and what the node sees of them.

Hashing blocks whatever runs it, so it happens in processes of its own (`miner_process`), at a lower priority, and
costs the event loop a few short messages a second. Each process has a part of all nonces to itself, so that
none repeats what another one did (Nakamoto 2008, section 4: "incrementing a nonce").

A process that dies is replaced, and its successor starts with the job of the day. One that no longer takes its orders
is killed, and so replaced too. No process outlives the node, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final, cast

import structlog

from tallystick.app.miner_process import REPORT_BYTES, Job, Report, command, order_bytes, read_report
from tallystick.node.effects import Mine

GRACE_S: Final = 2.0
"""For processes to end by themselves when the node stops. They take milliseconds."""

RESTART_PAUSE_S: Final = 1.0
"""Before a process is replaced, so that one that dies at once costs little and is still seen in the log."""

LATELY_S: Final = 10.0
"""The span of `Miner.hash_rate`."""

LATELY_REPORTS: Final = 64
"""How many reports of a process are kept at most: three times what it sends in `LATELY_S` while it does one job."""

BACKLOG_BYTES: Final = 1 << 16
"""Orders that wait for a process to take them. It takes each within milliseconds, so that one with hundreds of them
waiting is stopped or stuck."""

TELL_FIRST_S: Final = 10.0
TELL_EVERY_S: Final = 60.0
"""When the log is told how the search goes, first and then."""

Found = Callable[[int, int], None]
"""Called with the number of a job and a nonce that fits. The job may have been replaced meanwhile."""

log = structlog.get_logger("tallystick")


class Miner:
    """Looks for the nonce of one job at a time.

    To be made, started and closed within one running event loop; `found` is called there too.
    """

    def __init__(self, workers: int, found: Found) -> None:
        """`workers` is the number of processes."""
        self._loop = asyncio.get_running_loop()
        self._seats = workers
        self._found = found
        self._job: bytes = order_bytes(None)
        self._latest: Mine | None = None
        self._finds = 0
        """Since the log was told."""

        self._teller: asyncio.TimerHandle | None = None
        self._workers: dict[int, _Worker] = {}
        """The living ones, by seat. A seat is a part of the nonces."""

        self._keepers: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()

    def start(self) -> None:
        """Start the processes, without waiting for them. To be called once."""
        self._keepers = [self._loop.create_task(self._keep(seat)) for seat in range(self._seats)]
        self._teller = self._loop.call_later(TELL_FIRST_S, self._tell)

    def mine(self, job: Mine | None) -> None:
        """Look for this one at once, and for nothing else any more; rest when it is None.

        Raises ValueError when the head does not have 128 bytes, or the target 32.
        """
        self._latest = job
        self._job = order_bytes(None if job is None else Job(job.number, job.head, job.target))
        for worker in self._workers.values():
            worker.tell(self._job)

    def hash_rate(self) -> float:
        """Hashes a second, over the last ten seconds as far as there was something to look for; 0.0 if there was not.

        The processes measure it, while they hash.
        """
        return sum(worker.hash_rate() for worker in self._workers.values())

    def _tell(self) -> None:
        """Tell the log how the search goes."""
        self._teller = self._loop.call_later(TELL_EVERY_S, self._tell)
        job, rate = self._latest, self.hash_rate()
        if job is not None:
            log.info(
                "mining",
                hashes_per_second=round(rate),
                difficulty=round(job.difficulty, 3),
                seconds_per_block=round(job.expected_hashes / rate, 1) if rate else None,
                found=self._finds,
            )
        self._finds = 0

    def _find(self, number: int, nonce: int) -> None:
        self._finds += 1
        self._found(number, nonce)

    async def close(self, grace_s: float = GRACE_S) -> None:
        """End all processes; those that have not ended by themselves in time are killed. Idempotent."""
        self._closing.set()
        if self._teller is not None:
            self._teller.cancel()
        for worker in self._workers.values():
            worker.dismiss()
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=grace_s)
        for worker in self._workers.values():
            worker.kill()
        await asyncio.gather(*self._keepers)

    async def _keep(self, seat: int) -> None:
        """Have a process in this seat, one after the other, until the miner closes."""
        while not self._closing.is_set():
            try:
                await self._employ(seat)
            except OSError as error:
                log.warning("a mining process cannot be started", worker=seat, why=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RESTART_PAUSE_S):
                    await self._closing.wait()

    async def _employ(self, seat: int) -> None:
        """Have one process in this seat, from its start to its end. Raises OSError if it cannot be started."""
        transport, worker = await self._loop.subprocess_exec(
            lambda: _Worker(self._loop, self._find), *command(seat, self._seats), stderr=None
        )
        self._workers[seat] = worker
        if self._closing.is_set():
            worker.dismiss()
        else:
            worker.tell(self._job)
        try:
            await worker.ended
        finally:
            transport.close()
            del self._workers[seat]
        if not self._closing.is_set():
            log.warning("a mining process ended; another one follows", worker=seat, code=transport.get_returncode())


class _Worker(asyncio.SubprocessProtocol):
    """One process, as the event loop sees it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, found: Found) -> None:
        self._loop = loop
        self._found = found
        self._unread = b""
        self._lately: deque[tuple[float, Report]] = deque(maxlen=LATELY_REPORTS)
        self.ended: asyncio.Future[None] = loop.create_future()
        """Done when the process is gone, and nothing of it is left."""

    def tell(self, order: bytes) -> None:
        """Hand over an order, or give up on a process that does not take any."""
        stdin = self._stdin
        if stdin.is_closing():
            return
        if stdin.get_write_buffer_size() > BACKLOG_BYTES:
            self.kill()
        else:
            stdin.write(order)

    def dismiss(self) -> None:
        """Have nothing more to say, upon which it ends."""
        self._stdin.close()

    def kill(self) -> None:
        """End it, whatever it does. Idempotent."""
        with contextlib.suppress(ProcessLookupError):
            self._transport.kill()

    def hash_rate(self) -> float:
        """Hashes a second while it hashed, lately."""
        since_s = self._loop.time() - LATELY_S
        reports = [report for at_s, report in self._lately if at_s >= since_s]
        elapsed_ns = sum(report.elapsed_ns for report in reports)
        return sum(report.hashes for report in reports) / max(elapsed_ns, 1) * 1e9

    @property
    def _stdin(self) -> asyncio.WriteTransport:
        return cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    # --- what the event loop says --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - it has one pipe to talk through
        data = self._unread + data
        whole = len(data) - len(data) % REPORT_BYTES
        self._unread = data[whole:]
        for start in range(0, whole, REPORT_BYTES):
            report = read_report(data[start : start + REPORT_BYTES])
            self._lately.append((self._loop.time(), report))
            if report.nonce is not None:
                self._found(report.number, report.nonce)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the process is gone, one way or another
        if not self.ended.done():
            self.ended.set_result(None)
