"""Both shells follow real nodes, which are started anew meanwhile, and servers that are none."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tallystick.client import (
    AsyncClient,
    BlockAdded,
    Client,
    ClientError,
    PeerChanged,
    RecordMoved,
    Refused,
    Reorg,
    Silent,
    Unavailable,
    Unreachable,
    Unreadable,
    following,
)
from tests.cli.fake_node import fake_node, problem
from tests.system.processes import NodeProcess, nodes
from tests.system.work_nodes import WorkNode, own_network

from .shells import SHELLS, Shell, first
from .test_shells import babbling

both = pytest.mark.parametrize("shell", SHELLS)


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    node = NodeProcess(tmp_path_factory.mktemp("classic") / "node")
    with nodes(node):
        yield node


def test_a_node_that_is_started_anew_is_followed_on(classic: NodeProcess) -> None:
    base = classic.mine("base")["index"]

    def restart() -> None:
        classic.stop()
        classic.start()
        classic.mine("after")

    with Client(f"http://127.0.0.1:{classic.port}") as node:
        story = node.events((BlockAdded, Reorg), since=base)
        classic.mine("before")
        told = [next(story), next(story)]
        thread = threading.Thread(target=restart)
        thread.start()
        told.append(next(story))
        thread.join()
        assert [event.index for event in told if isinstance(event, BlockAdded)] == [base, base + 1, base + 2]
        story.close()


def test_a_node_that_is_killed_is_followed_on(classic: NodeProcess) -> None:
    base = classic.mine("base")["index"]

    def restart() -> None:
        classic.kill()
        classic.start()
        classic.mine("after")

    async def story() -> None:
        async with AsyncClient(f"http://127.0.0.1:{classic.port}") as node, asyncio.timeout(30):
            told = node.events(since=base)
            events = [await anext(told)]
            _, event = await asyncio.gather(asyncio.to_thread(restart), anext(told))
            events.append(event)
            assert [event.index for event in events if isinstance(event, BlockAdded)] == [base, base + 1]
            await told.aclose()

    asyncio.run(story())


@both
def test_records_are_followed_into_their_blocks(tmp_path: Path, shell: Shell) -> None:
    work = WorkNode(tmp_path / "node", own_network(tmp_path, bits=10), mines=True)
    with nodes(work), shell(work.url) as node:
        receipt = node.post("x")
        told = first(node, node.events((RecordMoved,), since=0), 2)
        assert [(event.record_id, event.status) for event in told] == [
            (receipt.id, "pending"),
            (receipt.id, "included"),
        ]
        assert told[1].block.hash == node.wait(receipt.id).block.hash
        [again] = first(node, node.events(after=told[0].id), 1)
        assert isinstance(again, BlockAdded)
        with pytest.raises(Refused):
            first(node, node.events(after="another-node's"), 1)


# --- servers that are none --------------------------------------------------------------------------

HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


@both
@pytest.mark.parametrize(
    ("said", "error"),
    [
        ([HEAD], Unreachable),
        ([HEAD, b"event: block\ndata: {", b"}\n\n"], Unreadable),
        ([HEAD, *[b"x" * 65_536] * 100], Unreadable),
        ([HEAD, *[b"data: " + b"x" * 65_536 + b"\n"] * 100], Unreadable),
        ([b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"], Unreadable),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], Unreadable),
    ],
)
def test_what_a_liar_tells_is_a_typed_error(shell: Shell, said: list[bytes], error: type[ClientError]) -> None:
    with babbling(*said) as url, shell(url, patience_s=0) as node, pytest.raises(ClientError) as raised:
        first(node, node.events(), 1)
    assert type(raised.value) is error


@both
def test_an_event_that_trickles_is_read(shell: Shell) -> None:
    sent = b'event: peer\ndata: {"address":"a:1","state":"gone"}\n\n'
    with babbling(HEAD, *(bytes([byte]) for byte in sent)) as url, shell(url, patience_s=0) as node:
        assert [type(event) for event in first(node, node.events(), 1)] == [PeerChanged]


@both
def test_a_node_that_says_nothing_at_all_is_not_waited_for(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_SILENCE_S", 0)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with shell(url, patience_s=0, timeout_s=0.05) as node, pytest.raises(Silent):
            first(node, node.events(), 1)


@both
def test_a_node_that_is_busy_for_too_long_is_an_error(shell: Shell) -> None:
    with fake_node(lambda _: problem(503, "busy")) as fake, shell(fake.url, patience_s=0.2) as node:
        with pytest.raises(Unavailable):
            first(node, node.events(), 1)
        assert len(fake.asked) > 1
