"""Our nodes and one of the book's in a line, A - book - B: what one of them mines, all have.

The book's node is a process of its own, an independent imitation with the original's weaknesses.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.processes import BookProcess, NodeProcess, Served, connected, eventually, nodes


def hashes(node: Served) -> list[str]:
    return [block["hash"] for block in node.chain()]


def agree_after_each_mines(*line: Served) -> None:
    """Each node mines in turn, and each time all come to the same chain with the block on it."""
    for number, miner in enumerate(line):
        block = miner.mine(f"mined by node {number}")
        eventually(lambda: all(hashes(node)[-1] == block["hash"] for node in line), f"no agreement after {number}")  # noqa: B023 - called at once
    assert all(hashes(node) == hashes(line[0]) for node in line)


@pytest.mark.parametrize("timestamps", ["number", "text"])
def test_we_dial_the_book_from_both_sides(tmp_path: Path, timestamps: str) -> None:
    book = BookProcess(timestamps=timestamps)
    with nodes(book):
        book.mine("before anybody came")
        a, b = NodeProcess(tmp_path / "a", book.address), NodeProcess(tmp_path / "b", book.address)
        with nodes(a, b):
            connected(book, 2)
            agree_after_each_mines(a, book, b)
            a.kill()
            b.mine("while a was away")
            a.start()
            eventually(lambda: hashes(a) == hashes(b), "a never caught up through the book's node")
            connected(book, 2)
            agree_after_each_mines(a, book, b)
            assert all(isinstance(block["timestamp"], int) for node in (a, b) for block in node.chain())
            assert [a.stop(), b.stop()] == [0, 0]
    assert "Traceback" not in a.log.read_text() + b.log.read_text()


@pytest.mark.parametrize("timestamps", ["number", "text"])
def test_the_book_dials_us_both(tmp_path: Path, timestamps: str) -> None:
    """A defect of the book's node: of the peers it is started with it dials the first only; B is added by hand."""
    a, b = NodeProcess(tmp_path / "a"), NodeProcess(tmp_path / "b")
    with nodes(a, b):
        for text in ("an old post", "and another"):
            a.mine(text)
        book = BookProcess(a.address, b.address, timestamps=timestamps)
        with nodes(book):
            eventually(lambda: hashes(book) == hashes(a), "the book's node never took our chain")
            connected(a)
            assert b.get("/peers") == []
            book.ask("POST", "/addPeer", {"peer": b.address})
            eventually(lambda: hashes(b) == hashes(a), "b never caught up through the book's node")
            agree_after_each_mines(a, book, b)


def test_what_a_longer_chain_of_the_book_removed_is_mined_again(tmp_path: Path) -> None:
    """A defect of the book's node: what it mined it forgets when a longer chain comes. We do not."""
    a, book = NodeProcess(tmp_path / "a"), BookProcess()
    with nodes(a, book):
        ours = a.mine("a promise")
        for number in range(3):
            book.mine(f"the book's {number}")
        a.ask("POST", "/addPeer", {"peer": book.address})
        wanted = ["my genesis block!!", "the book's 0", "the book's 1", "the book's 2", "a promise"]
        eventually(lambda: a.data() == book.data() == wanted, "the post was lost")
        orphan = a.get(f"/blocks/{ours['hash']}")
        assert orphan["orphaned"] is True
        assert orphan["mined_again_as"] == hashes(book)[-1]


def test_a_node_of_the_book_that_lost_everything_gets_it_back(tmp_path: Path) -> None:
    book = BookProcess()
    with nodes(book):
        a = NodeProcess(tmp_path / "a", book.address)
        with nodes(a):
            connected(book)
            for number in range(5):
                a.mine(f"post {number}")
            eventually(lambda: hashes(book) == hashes(a), "the book's node never followed")
            book.kill()
            book.start()
            eventually(lambda: hashes(book) == hashes(a), "the book's node never got the chain back")
            agree_after_each_mines(a, book)


def test_dead_sockets_of_the_book_cut_off_nobody_for_good(tmp_path: Path) -> None:
    """A defect of the book's node: a socket that died while it was dialling stays in its list, and every
    broadcast fails there. Its block has to be fetched by those who come after in the list: whoever connects asks.
    """
    a, b = NodeProcess(tmp_path / "a"), NodeProcess(tmp_path / "b")
    with nodes(a):
        book = BookProcess(a.address)
        with nodes(book):
            connected(a)
            b.peers = (book.address,)
            with nodes(b):
                connected(book, 2)
                a.kill()
                eventually(lambda: book.ask("POST", "/mineBlock", {"data": "told nobody"})[0] == 500, "it noticed")
                b.kill()
                b.start()
                eventually(lambda: hashes(b) == hashes(book), "b never asked")
