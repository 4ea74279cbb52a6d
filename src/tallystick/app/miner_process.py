"""A process that looks for nonces, and the few bytes it exchanges with the node that started it.

It runs as a script of its own (`command`), away from the node's event loop and from its lock on the interpreter, and
imports nothing of Tallystick, so that it starts in milliseconds. Its whole world are two pipes:

    stdin    orders:  look for this one, and for nothing else any more; or rest
    stdout   reports: how many hashes were made in how many nanoseconds, and the nonce, if one was found

One thread listens, and sleeps until there is something to hear; the other one hashes, and looks after every 256 hashes
(a fraction of a millisecond) whether there are new orders. The node dies without a word when it is killed, but
its end of the pipe dies with it: then nothing more can be heard, and the listener ends the process, in
the middle of whatever the other thread does. So nobody is left behind who heats the room for nobody.

The inner loop hashes 136 bytes at the cost of one: SHA-256 takes 64 at a time, so the state after the head of 128 is
computed once a job (the *midstate*), the one after seven of the eight bytes of the nonce once for 256 hashes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from hashlib import sha256
from itertools import count
from queue import SimpleQueue
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from hashlib import _Hash as Hash  # only type checkers know this name

HEAD_BYTES: Final = 128
TARGET_BYTES: Final = 32

TAILS: Final = [bytes([tail]) for tail in range(256)]
"""Last bytes of a nonce. The seven before them number a *page* of nonces, which is searched without a pause."""

PAGES: Final = 1 << 56
_PAGE_BYTES: Final = 7

REPORT_NS: Final = 500_000_000
"""How often a search that goes on is reported."""

NICENESS: Final = 10
"""The node answers first; nonces are looked for with what it leaves (`nice(2)`)."""

_STDIN, _STDOUT = 0, 1


class Job(NamedTuple):
    """A header to seal: `sha256(head + nonce)` must not exceed `target`; the nonce has 8 bytes, big-endian."""

    number: int
    """New for each job, and greater than all before; below 2^64."""

    head: bytes
    """All 128 bytes of the header before the nonce."""

    target: bytes
    """32 bytes, big-endian, and so ordered as bytes are."""


class Report(NamedTuple):
    """What a process has done for a job since its last report."""

    number: int
    """Of the job."""

    nonce: int | None
    """The one that was found; the process rests now."""

    hashes: int
    elapsed_ns: int


# --- the bytes --------------------------------------------------------------------------------------

_ORDER: Final = Struct(f">?Q{HEAD_BYTES}s{TARGET_BYTES}s")
_REPORT: Final = Struct(">?QQQQ")

ORDER_BYTES: Final = _ORDER.size
REPORT_BYTES: Final = _REPORT.size


def order_bytes(job: Job | None) -> bytes:
    """An order to do this job, or to rest. Raises ValueError for a head or target of another length."""
    if job is None:
        return bytes(ORDER_BYTES)
    if (len(job.head), len(job.target)) != (HEAD_BYTES, TARGET_BYTES):
        raise ValueError(
            f"head of {len(job.head)} bytes, target of {len(job.target)}; expected {HEAD_BYTES} and {TARGET_BYTES}"
        )
    return _ORDER.pack(True, job.number, job.head, job.target)  # noqa: FBT003 - the first field of an order


def read_order(text: bytes) -> Job | None:
    """The reverse of `order_bytes`."""
    is_job, number, head, target = _ORDER.unpack(text)
    return Job(number, head, target) if is_job else None


def report_bytes(report: Report) -> bytes:
    """A report as it is sent."""
    found = report.nonce is not None
    return _REPORT.pack(found, report.number, report.nonce or 0, report.hashes, report.elapsed_ns)


def read_report(text: bytes) -> Report:
    """The reverse of `report_bytes`."""
    found, number, nonce, hashes, elapsed_ns = _REPORT.unpack(text)
    return Report(number, nonce if found else None, hashes, elapsed_ns)


def command(worker: int, workers: int) -> list[str]:
    """What starts worker number `worker` of so many, each with a part of the nonces to itself.

    `-I -S`: by path, and with the standard library alone, whatever the environment or the folder we are in.
    """
    return [sys.executable, "-I", "-S", __file__, str(worker * PAGES // workers)]


# --- the process ------------------------------------------------------------------------------------

Orders = SimpleQueue[Job | None]


def main() -> None:
    """Do what the node says until it says nothing more. Never returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the node; all others hear it too
    with contextlib.suppress(AttributeError, OSError):  # not on Windows, not in every sandbox
        os.nice(NICENESS)
    orders: Orders = SimpleQueue()
    threading.Thread(target=listen, args=(orders,), daemon=True).start()
    first_page = int(sys.argv[1])
    with contextlib.suppress(BrokenPipeError):  # the node died while we told it something
        while True:
            job = newest(orders)
            if job is not None:
                search(job, first_page, orders)


def listen(orders: Orders) -> None:
    """Hand on every order; end the process at the last one's end."""
    heard = b""
    try:
        while some := os.read(_STDIN, ORDER_BYTES - len(heard)):
            heard += some
            if len(heard) == ORDER_BYTES:
                orders.put(read_order(heard))
                heard = b""
    finally:
        os._exit(0)


def newest(orders: Orders) -> Job | None:
    """What to do now. Sleeps while there is nothing new."""
    job = orders.get()
    while not orders.empty():
        job = orders.get()
    return job


def search(job: Job, first_page: int, orders: Orders) -> None:
    """Look until a nonce is found or there is something else to do, and report every now and then."""
    midstate = sha256(job.head)
    hashes, since_ns = 0, time.monotonic_ns()
    for number in count(first_page):
        page = (number % PAGES).to_bytes(_PAGE_BYTES, "big")
        tail = look(midstate, page, job.target)
        hashes += len(TAILS) if tail is None else tail + 1
        now_ns = time.monotonic_ns()
        is_over = tail is not None or not orders.empty()
        if is_over or now_ns - since_ns >= REPORT_NS:
            nonce = None if tail is None else int.from_bytes(page, "big") << 8 | tail
            os.write(_STDOUT, report_bytes(Report(job.number, nonce, hashes, now_ns - since_ns)))
            hashes, since_ns = 0, now_ns
        if is_over:
            return


def look(midstate: Hash, page: bytes, target: bytes) -> int | None:
    """The first tail with which a nonce of this page fits."""
    start = midstate.copy()
    start.update(page)
    copy = start.copy
    for tail in TAILS:
        hash = copy()
        hash.update(tail)
        if hash.digest() <= target:
            return tail[0]
    return None


if __name__ == "__main__":
    main()
