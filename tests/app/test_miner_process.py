import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from queue import SimpleQueue
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.app import miner_process
from tallystick.app.miner_process import (
    HEAD_BYTES,
    PAGES,
    REPORT_BYTES,
    TARGET_BYTES,
    Job,
    Report,
    command,
    look,
    newest,
    order_bytes,
    read_order,
    read_report,
    report_bytes,
)

U64 = st.integers(0, 2**64 - 1)
NEVER = bytes(TARGET_BYTES)
ALWAYS = b"\xff" * TARGET_BYTES
ONE_IN_1000 = (2**256 // 1000).to_bytes(TARGET_BYTES, "big")
HEAD = bytes(range(HEAD_BYTES))

jobs = st.builds(Job, U64, st.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES), st.binary(min_size=32, max_size=32))


@given(jobs | st.none())
def test_orders_are_read_as_they_were_written(job: Job | None) -> None:
    assert read_order(order_bytes(job)) == job


@given(st.builds(Report, U64, U64 | st.none(), U64, U64))
def test_reports_are_read_as_they_were_written(report: Report) -> None:
    assert read_report(report_bytes(report)) == report


@pytest.mark.parametrize(("head", "target"), [(HEAD[1:], NEVER), (HEAD, NEVER[1:]), (b"", b"")])
def test_an_order_of_other_lengths_is_refused(head: bytes, target: bytes) -> None:
    with pytest.raises(ValueError, match="expected 128 and 32"):
        order_bytes(Job(1, head, target))


def naive(head: bytes, target: bytes, first: int) -> int:
    """The definition: the first nonce of all from `first` on whose hash fits."""
    return next(n for n in count(first) if sha256(head + n.to_bytes(8, "big")).digest() <= target)


@given(st.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES), st.integers(0, PAGES - 1))
def test_a_page_is_searched_in_order_and_to_its_end(head: bytes, page: int) -> None:
    target = (2**256 // 100).to_bytes(TARGET_BYTES, "big")
    tail = look(sha256(head), page.to_bytes(7, "big"), target)
    first = naive(head, target, page << 8)
    assert tail == (first & 0xFF if first < (page + 1) << 8 else None)


def test_a_hash_that_equals_the_target_fits() -> None:
    target = sha256(HEAD + bytes(8)).digest()
    assert look(sha256(HEAD), bytes(7), target) == 0


def test_only_the_newest_order_counts() -> None:
    orders: SimpleQueue[Job | None] = SimpleQueue()
    for order in (None, Job(1, HEAD, NEVER), Job(2, HEAD, NEVER)):
        orders.put(order)
    assert newest(orders) == Job(2, HEAD, NEVER)


def test_workers_share_the_nonces() -> None:
    firsts = [int(command(worker, 7)[-1]) for worker in range(7)]
    assert firsts[0] == 0
    assert firsts == sorted(set(firsts))
    assert all(abs(firsts[i + 1] - firsts[i] - PAGES // 7) <= 1 for i in range(6))


# --- as a process -----------------------------------------------------------------------------------


class Process:
    """A miner, spoken to through its pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self.orders: IO[bytes] = process.stdin
        self.reports: IO[bytes] = process.stdout

    def told(self, job: Job | None) -> None:
        self.orders.write(order_bytes(job))
        self.orders.flush()

    def says(self) -> Report:
        return read_report(self.reports.read(REPORT_BYTES))

    def found(self, number: int) -> int:
        while True:
            report = self.says()
            if report.number == number and report.nonce is not None:
                return report.nonce


@pytest.fixture
def miner() -> Iterator[Process]:
    with subprocess.Popen(command(0, 1), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Process(process)
        process.kill()


def test_it_finds_the_first_nonce_that_fits(miner: Process) -> None:
    miner.told(Job(7, HEAD, ONE_IN_1000))
    assert miner.found(7) == naive(HEAD, ONE_IN_1000, 0)


def test_a_new_order_ends_the_search_for_the_old_one_at_once(miner: Process) -> None:
    miner.told(Job(1, HEAD, NEVER))
    first = miner.says()
    assert (first.number, first.nonce) == (1, None)
    started_s = time.monotonic()
    miner.told(Job(2, HEAD, ALWAYS))
    assert miner.found(2) == 0
    assert time.monotonic() - started_s < miner_process.REPORT_NS / 1e9  # sooner than any report by the clock


def test_it_reports_what_it_did_while_it_finds_nothing(miner: Process) -> None:
    miner.told(Job(1, HEAD, NEVER))
    report = miner.says()
    assert report.nonce is None
    assert report.hashes % 256 == 0
    assert report.hashes > 0
    assert report.elapsed_ns >= miner_process.REPORT_NS


def test_it_ends_when_nobody_can_give_it_orders_any_more(miner: Process) -> None:
    miner.told(Job(1, HEAD, NEVER))
    miner.says()
    miner.orders.close()
    assert miner.process.wait(timeout=30) == 0
