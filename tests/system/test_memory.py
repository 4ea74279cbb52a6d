"""Memory of a real node: under attack, and while it fetches a chain."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.system.memory import MIB, bounded_memory
from tests.system.processes import PATIENCE_S, BookProcess, NodeProcess, connected, eventually, nodes


def at_once(*works: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


BLOCK = '{"data": "", "hash": "", "index": 1000000, "previous_hash": "", "timestamp": 1700000000}'


def large_message(blocks: str) -> str:
    text = json.dumps({"type": 2, "data": f"[{blocks}]"}, ensure_ascii=False)
    assert MIB < len(text.encode()) <= 16 * MIB
    return text


def sends(node: NodeProcess, text: str) -> None:
    """Say this, and be thrown out for it."""
    with suppress(ConnectionClosed, OSError), connect(node.address, compression=None, proxy=None) as peer:
        peer.send(text)
        while True:
            peer.recv(PATIENCE_S)


def floods(node: NodeProcess) -> None:
    """Eight peers send the largest messages there are: many blocks, empty objects, one block that swells."""
    many, bomb = large_message(",".join([BLOCK] * 150_000)), large_message("{}," * (5 * MIB) + "{}")
    swells = large_message(BLOCK.replace('""', '"' + "é" * (7 * MIB) + '"', 1))
    at_once(*(partial(sends, node, text) for text in [many, bomb, swells, many, bomb, swells, many, bomb]))


def posts(node: NodeProcess) -> None:
    """Eight clients post what is just small enough to be read and too large to be mined."""

    def post() -> None:
        assert node.ask("POST", "/mineBlock", {"data": "x" * (7 * MIB)})[0] == 413

    at_once(*[post] * 8)


def reads_nothing(node: NodeProcess) -> None:
    """As many clients as may ask for the whole chain many times over, and read nothing."""
    with ExitStack() as stack:
        for _ in range(16):
            stuck = stack.enter_context(socket.socket())
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            stuck.connect(("127.0.0.1", node.port))
            stuck.sendall(b"GET /blocks HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
            stuck.recv(64)
        assert node.get("/health")


@pytest.mark.parametrize("attack", [floods, posts, reads_nothing])
def test_memory_stays_bounded_under_attack(tmp_path: Path, attack: Callable[[NodeProcess], None]) -> None:
    """Catalogue row 109."""
    node = NodeProcess(tmp_path / "node", cold=True)
    with nodes(node):
        for number in range(40):
            node.mine(f"{number} " + "x" * 200_000)
        tip = node.get("/blocks/latest")
        with bounded_memory(node):
            attack(node)
        assert node.get("/blocks/latest") == tip
        assert node.get("/peers") == []
        assert node.stop() == 0


def test_memory_stays_bounded_while_a_chain_is_fetched_and_given(tmp_path: Path) -> None:
    """Catalogue row 109, for a chain near the limit of a message."""
    a = NodeProcess(tmp_path / "a", cold=True)
    with nodes(a):
        for number in range(16):
            a.mine(f"{number} " + "x" * 900_000)
        b = NodeProcess(tmp_path / "b", cold=True)
        with nodes(b), bounded_memory(a), bounded_memory(b):
            b.ask("POST", "/addPeer", {"peer": a.address})
            connected(b)
            eventually(lambda: a.get("/blocks/latest") == b.get("/blocks/latest"), "b never caught up")
            book = BookProcess(a.address)
            with nodes(book):
                connected(a, 2)
                b.mine("after all that")
                eventually(lambda: a.data()[-1] == "after all that", "a lost touch")
