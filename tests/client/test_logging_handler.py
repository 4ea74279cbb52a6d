"""Logs in a ledger: nothing twice, nothing out of order, nothing missing without saying so, and no program hindered."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tallystick.client import Client, LedgerHandler, Misuse, NewRecord, Refused, Unreachable, logging_handler
from tallystick.client.errors import ClientError, refused
from tests.system.processes import environment, nodes
from tests.system.work_nodes import WorkNode, own_network

PATIENCE_S: Final = 30.0


class Sink:
    """Takes records as a node does: all that are posted together, or none; and an id once."""

    def __init__(self) -> None:
        self.taken: dict[str, Any] = {}
        self.posts = 0
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()
        self.trouble: Callable[[Sequence[NewRecord]], ClientError | None] = lambda _: None

    def post_many(self, records: Sequence[NewRecord], /) -> object:
        self.posts += 1
        self.asked.set()
        assert self.open.wait(PATIENCE_S)
        if (error := self.trouble(records)) is not None:
            raise error
        self.taken |= {each.id: each.data for each in records}
        return None

    @property
    def messages(self) -> list[str]:
        return [each["message"] for each in self.taken.values()]


@contextmanager
def logged(sink: Sink, **options: Any) -> Iterator[tuple[logging.Logger, LedgerHandler]]:  # noqa: ANN401
    handler = LedgerHandler(client=sink, **options)
    logger = logging.Logger("test")  # noqa: LOG001 - one that nobody else has
    logger.addHandler(handler)
    try:
        yield logger, handler
    finally:
        sink.open.set()
        handler.close(PATIENCE_S)
        if handler._thread is not None:
            handler._thread.join(PATIENCE_S)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging_handler, "RETRY_FIRST_S", 0.001)
    monkeypatch.setattr(logging_handler, "RETRY_MOST_S", 0.001)


def test_what_is_logged_is_recorded_in_order() -> None:
    sink = Sink()
    with logged(sink) as (log, handler):
        for number in range(1_200):
            log.info("number %d", number)
        handler.flush(PATIENCE_S)
        assert handler.pending == 0
    assert sink.messages == [f"number {number}" for number in range(1_200)]
    assert list(sink.taken) == sorted(sink.taken), "ids rise"
    assert sink.posts <= 5


def test_a_record_says_when_where_what_and_why() -> None:
    sink = Sink()
    with logged(sink) as (log, _):
        changing = {"a": [1]}
        try:
            int("the reason")
        except ValueError:
            log.exception("no %s", "good", extra={"order": 815, "what": changing, "odd": object(), "nan": float("nan")})
        changing["a"].append(2)
    [made] = sink.taken.values()
    assert made["time"].endswith("Z")
    assert (made["level"], made["logger"], made["message"]) == ("ERROR", "test", "no good")
    assert made["exception"].startswith("Traceback")
    assert made["exception"].endswith("'the reason'")
    assert made["extra"]["order"] == 815
    assert made["extra"]["what"] == {"a": [1]}, "as it was"
    assert made["extra"]["odd"].startswith("<object")
    assert made["extra"]["nan"] == "nan"


def test_long_and_odd_texts_are_cut_and_made_recordable() -> None:
    sink = Sink()
    with logged(sink) as (log, _):
        log.info("x" * 100_000, extra={"long": "y" * 10_000, **{f"f{number}": 1 for number in range(100)}})
        log.info("half \ud800", extra={"half \ud800": "\ud800"})
    first, second = sink.taken.values()
    assert "92000 characters more" in first["message"]
    assert len(first["extra"]) == 50
    assert len(first["extra"]["long"]) == 400
    assert second["message"] == "half ?"


def test_an_outage_is_waited_out_and_nothing_is_twice() -> None:
    sink = Sink()
    troubles: list[ClientError] = [
        Unreachable("http://a", "gone"),
        refused(503, "pool-has-room", "full"),
        refused(401, "token-needed", "no"),
        refused(404, "network-takes-records", "no"),
    ]
    failed: list[list[str]] = []

    def trouble(records: Sequence[NewRecord]) -> ClientError | None:
        if not troubles:
            return None
        failed.append([each.id for each in records])
        return troubles.pop()

    sink.trouble = trouble
    with logged(sink) as (log, handler):
        log.warning("a")
        log.warning("b")
        handler.flush(PATIENCE_S)
        assert (handler.pending, handler.dropped) == (0, 0)
    assert sink.messages == ["a", "b"]
    assert len(failed) == 4
    assert {ids[0] for ids in failed} == {next(iter(sink.taken))}


def test_a_record_that_no_node_takes_does_not_hold_up_the_others() -> None:
    sink = Sink()

    def trouble(records: Sequence[NewRecord]) -> ClientError | None:
        is_bad = any("bad" in each.data["message"] for each in records)
        return Refused(413, "data-within-size", "too long") if is_bad else None

    sink.trouble = trouble
    sink.open.clear()
    with logged(sink) as (log, handler):
        for message in ("a", "bad", "b"):
            log.info(message)
        sink.open.set()
        handler.flush(PATIENCE_S)
        assert (handler.pending, handler.dropped) == (0, 1)
    assert sink.messages == ["a", "b"]


@pytest.mark.parametrize("options", [{"capacity_records": 10}, {"capacity_bytes": 11_000}])
def test_when_the_buffer_is_full_what_comes_is_dropped_and_the_gap_told_in_its_place(options: dict[str, int]) -> None:
    sink = Sink()
    sink.open.clear()
    with logged(sink, **options) as (log, handler):
        for number in range(100):
            log.info("before %d", number)
        kept = handler.pending
        assert kept <= 10
        assert handler.dropped == 100 - kept
        sink.open.set()
        handler.flush(PATIENCE_S)
        log.info("after")
    gap = f"{100 - kept} log records were dropped here: the buffer was full"
    assert sink.messages == [*(f"before {number}" for number in range(kept)), gap, "after"]
    [told] = [each for each in sink.taken.values() if each["message"] == gap]
    assert told["extra"]["dropped"] == 100 - kept
    assert told["extra"]["first"] <= told["extra"]["last"]


def test_a_program_neither_waits_nor_fails_while_nobody_takes_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Sink()
    sink.open.clear()
    with logged(sink) as (log, handler):
        log.info("first")
        assert sink.asked.wait(PATIENCE_S)
        log.info("logged while a post is under way")
        log.info("%d", "no number")  # logging tells the developer, on stderr
        handler.flush(0)
        assert handler.pending == 2
        handler.close(0)
        log.info("too late")
        assert handler.pending == 2
    assert "no number" in capsys.readouterr().err


def test_what_the_handler_itself_causes_is_not_logged() -> None:
    sink = Sink()
    with logged(sink) as (log, handler):
        post_many = sink.post_many

        def chatty(records: Sequence[NewRecord], /) -> object:
            log.info("posting")
            return post_many(records)

        sink.post_many = chatty  # type: ignore[method-assign]
        log.info("a")
        handler.flush(PATIENCE_S)
    assert sink.messages == ["a"]


def test_what_cannot_be_is_told_at_once() -> None:
    with pytest.raises(Misuse):
        LedgerHandler("ws://a")


PROGRAM: Final = """
import logging, os, sys
from tallystick.client import LedgerHandler
logging.basicConfig(level="DEBUG", handlers=[LedgerHandler(sys.argv[1])])
logging.info("before")
if child := os.fork():
    os.waitpid(child, 0)
    logging.info("parent")
else:
    logging.info("child")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_program_that_just_ends_and_forks_has_logged_each_line_once(tmp_path: Path) -> None:
    node = WorkNode(tmp_path / "node", own_network(tmp_path, bits=8), mines=True)
    with nodes(node):
        subprocess.run([sys.executable, "-c", PROGRAM, node.url], check=True, timeout=60, env=environment())
        with Client(node.url) as client:
            found: list[str] = []
            for record in client.records(follow=True):
                found.append(record.value["message"])
                if {"before", "child", "parent"} <= {*found}:
                    break
    assert sorted(found) == ["before", "child", "parent"]
