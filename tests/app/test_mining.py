import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256

import psutil
import pytest

from tallystick.app import mining
from tallystick.app.mining import Miner
from tallystick.node.effects import Mine

ALWAYS = b"\xff" * 32
NEVER = bytes(32)
HEAD = bytes(128)

DEADLINE_S = 30.0


class Finds:
    """What a miner told of, in order."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[int, int]] = asyncio.Queue()

    def __call__(self, number: int, nonce: int) -> None:
        self.queue.put_nowait((number, nonce))

    async def of(self, number: int) -> int:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                found, nonce = await self.queue.get()
                if found == number:
                    return nonce


@asynccontextmanager
async def mining_with(workers: int) -> AsyncIterator[tuple[Miner, Finds]]:
    finds = Finds()
    miner = Miner(workers, finds)
    miner.start()
    try:
        yield miner, finds
    finally:
        await miner.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()

    asyncio.run(main())


def test_what_is_found_seals_the_job() -> None:
    async def test() -> None:
        async with mining_with(2) as (miner, finds):
            target = (2**256 // 500).to_bytes(32, "big")
            miner.mine(Mine(5, HEAD, target))
            nonce = await finds.of(5)
            assert sha256(HEAD + nonce.to_bytes(8, "big")).digest() <= target

    run(test)


def test_a_new_job_replaces_the_old_one() -> None:
    async def test() -> None:
        async with mining_with(1) as (miner, finds):
            miner.mine(Mine(1, HEAD, NEVER))
            miner.mine(Mine(2, HEAD, ALWAYS))
            await finds.of(2)
            miner.mine(Mine(3, HEAD, ALWAYS))
            await finds.of(3)

    run(test)


def test_a_process_that_dies_is_replaced_and_does_what_is_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "RESTART_PAUSE_S", 0.01)

    async def test() -> None:
        async with mining_with(1) as (miner, finds):
            miner.mine(Mine(1, HEAD, ALWAYS))
            await finds.of(1)
            for pid in await _children():
                os.kill(pid, signal.SIGKILL)
            miner.mine(Mine(2, HEAD, ALWAYS))  # the dead one hears of it, or its successor does
            await finds.of(2)

    run(test)


def test_the_rate_is_measured_while_there_is_something_to_look_for() -> None:
    async def test() -> None:
        async with mining_with(1) as (miner, finds):
            assert miner.hash_rate() == 0.0
            miner.mine(Mine(1, HEAD, (2**256 // 20_000).to_bytes(32, "big")))
            await finds.of(1)
            assert miner.hash_rate() > 0.0

    run(test)


def test_closing_ends_every_process_even_one_that_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "GRACE_S", 0.2)

    async def test() -> None:
        async with mining_with(2) as (miner, finds):
            miner.mine(Mine(1, HEAD, ALWAYS))
            await finds.of(1)
            pids = await _children()
            assert len(pids) == 2
            os.kill(pids[0], signal.SIGSTOP)
            await miner.close(0.2)
            assert await _children() == []
            await miner.close()  # again

    run(test)


def test_a_process_that_takes_no_orders_is_killed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "RESTART_PAUSE_S", 0.01)

    async def test() -> None:
        async with mining_with(1) as (miner, finds):
            miner.mine(Mine(1, HEAD, ALWAYS))
            await finds.of(1)
            (pid,) = await _children()
            os.kill(pid, signal.SIGSTOP)
            number = 1
            async with asyncio.timeout(DEADLINE_S):
                while pid in await _children():
                    for _ in range(100):
                        number += 1
                        miner.mine(Mine(number, HEAD, NEVER))
                    await asyncio.sleep(0)
            miner.mine(Mine(number + 1, HEAD, ALWAYS))
            await finds.of(number + 1)

    run(test)


def test_the_log_is_told_how_the_search_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "TELL_FIRST_S", 0.0)
    monkeypatch.setattr(mining, "TELL_EVERY_S", 0.01)
    told: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    class Log:
        def info(self, event: str, **fields: object) -> None:
            told.put_nowait({"event": event, **fields})

        def warning(self, event: str, **fields: object) -> None:
            raise AssertionError(event, fields)

    monkeypatch.setattr(mining, "log", Log())

    async def test() -> None:
        async with mining_with(1) as (miner, finds):
            miner.mine(Mine(1, HEAD, ALWAYS, difficulty=1.5, expected_hashes=300))
            await finds.of(1)
            async with asyncio.timeout(DEADLINE_S):
                line = await told.get()
            assert line["event"] == "mining"
            assert line["difficulty"] == 1.5
            assert set(line) == {"event", "hashes_per_second", "difficulty", "seconds_per_block", "found"}

    run(test)


async def _children() -> list[int]:
    """Processes that this one has started and that live."""
    await asyncio.sleep(0)
    return sorted(child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE)
