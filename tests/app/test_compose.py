"""The composition root: whatever fails at the start, in the middle or at the end, everything opened is closed again."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tallystick.app import compose, logs
from tallystick.app.config import Config
from tallystick.app.keys import KEY_FILE, node_identity
from tallystick.errors import ConfigError, StoreCorruptError, StoreFullError, StoreLockedError
from tallystick.model.block import Block
from tallystick.model.limits import LIMITS, Limits
from tallystick.model.network import CLASSIC, Network
from tallystick.p2p.hub import Hub
from tallystick.storage.opening import open_store
from tallystick.storage.reader import SqliteReader
from tallystick.storage.sqlite import SqliteStore


@pytest.fixture(autouse=True)
def _no_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "configure", lambda *_: None)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return Config(tmp_path / "node", port=port)


@pytest.fixture(autouse=True)
def _all_is_released(config: Config) -> Iterator[None]:
    """Whatever happened: the folder and the port can be had again, and nothing was left to the collector."""
    yield
    gc.collect()
    store, reader = open_store(config.data_dir, CLASSIC)
    reader.close()
    store.close()
    socket.create_server((config.host, config.port)).close()


class Person:
    """Reads what is said, and presses Ctrl-C once the node is up."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.said: list[str] = []

    def __call__(self, text: str) -> None:
        self.said.append(text)
        if len(self.said) == 1:
            self.act()

    def act(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_a_node_greets_and_stops_when_told(config: Config) -> None:
    person = Person(config)
    compose.run(config, person)
    assert str(config.port) in person.said[0]
    assert person.said[1:] == ["Stopped. Everything acknowledged is on disk."]


def test_a_port_that_is_taken(config: Config) -> None:
    with (
        socket.create_server((config.host, config.port)),
        pytest.raises(ConfigError, match=f"port {config.port} .* is taken"),
    ):
        compose.run(config, Person(config))
    assert not config.data_dir.exists()


def test_a_folder_that_is_in_use(config: Config) -> None:
    store, reader = open_store(config.data_dir, CLASSIC)
    try:
        with pytest.raises(StoreLockedError):
            compose.run(config, Person(config))
    finally:
        reader.close()
        store.close()


def test_a_last_block_that_cannot_be_read(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_reader: SqliteReader, _index: int) -> Block | None:
        return None

    monkeypatch.setattr(SqliteReader, "block", nothing)
    with pytest.raises(StoreCorruptError, match="verify"):
        compose.run(config, Person(config))


def test_the_key_made_at_the_first_start_is_told_at_every_one(config: Config) -> None:
    people = [Person(config), Person(config)]
    for person in people:
        compose.run(config, person)
    key = node_identity(config.data_dir).public.hex()
    assert all(f"node key      {key[:16]}…" in person.said[0] for person in people)


def test_a_damaged_key(config: Config) -> None:
    config.data_dir.mkdir()
    (config.data_dir / KEY_FILE).touch(0o600)
    with pytest.raises(ConfigError, match=KEY_FILE):
        compose.run(config, Person(config))


def test_a_greeting_that_nobody_reads(config: Config) -> None:
    def closed_pipe(_text: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        compose.run(config, closed_pipe)


def test_a_disk_that_fails_stops_the_node_with_its_reason(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here at the last moment: what still waits when the node is told to stop is committed, or it is a failure."""

    class Poster(Person):
        def act(self) -> None:
            connection = HTTPConnection(config.host, config.port, timeout=30)
            connection.request("POST", "/mineBlock", '{"data": "x"}', {"Content-Type": "application/json"})
            self.connection = connection

    def full(_store: SqliteStore) -> None:
        raise StoreFullError("the disk is full")

    monkeypatch.setattr(SqliteStore, "commit", full)
    person = Poster(config)
    with pytest.raises(StoreFullError, match="the disk is full"):
        compose.run(config, person)
    assert person.connection.getresponse().status >= 500
    person.connection.close()


def test_a_goodbye_that_fails_keeps_nothing_open(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_hub: Hub, _grace_s: float) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Hub, "close", fails)
    with pytest.raises(ZeroDivisionError):
        compose.run(config, Person(config))


def test_health_answers_while_a_large_store_opens(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening may rebuild an index for minutes; a supervisor that hears nothing would kill the node, every time."""
    answers: dict[str, int] = {}

    def slowly(path: Path, network: Network, limits: Limits = LIMITS) -> tuple[SqliteStore, SqliteReader]:
        for what in ("/health", "/ready"):
            connection = HTTPConnection(config.host, config.port, timeout=30)
            connection.request("GET", what)
            answers[what] = connection.getresponse().status
            connection.close()
        return open_store(path, network, limits)

    monkeypatch.setattr(compose, "open_store", slowly)
    compose.run(config, Person(config))
    assert answers == {"/health": 200, "/ready": 503}


def test_a_stop_while_the_store_opens_is_heard(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(path: Path, network: Network, limits: Limits = LIMITS) -> tuple[SqliteStore, SqliteReader]:
        os.kill(os.getpid(), signal.SIGTERM)
        return open_store(path, network, limits)

    monkeypatch.setattr(compose, "open_store", slowly)
    said: list[str] = []
    compose.run(config, said.append)
    assert said[-1] == "Stopped. Everything acknowledged is on disk."
