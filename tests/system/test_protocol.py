"""A node as its peers see it, when they do what docs/protocol.md says: judged by an implementation of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.exceptions import InvalidStatus

from tests.system.fake_node import FakeNode
from tests.system.native_client import (
    ADDRS,
    ANNOUNCE,
    BLOCKS,
    GENESIS,
    GET_ADDRS,
    GET_BLOCKS,
    GET_HEADERS,
    GET_RECORDS,
    GET_SURVEY,
    HEADERS,
    INV,
    PING,
    PONG,
    PUSH,
    RECORDS,
    SURVEY,
    Block,
    announce,
    child,
    dial,
    grow,
    hash_of,
    hello,
    knock,
    pack,
    public,
    push,
    run_of,
    text_to_sign,
)
from tests.system.processes import NodeProcess, eventually, nodes
from tests.system.sealed_client import Network, check_proof, record
from tests.system.sealed_client import child as sealed_child

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"
FORMAT = DOCUMENT.with_name("format.md")
BLOCKS_SERVED = 2_500
QUIET = ("--no-discover",)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node that has fetched `chain()` from another."""
    node = NodeProcess(tmp_path_factory.mktemp("protocol") / "node", options=QUIET)
    with nodes(node):
        with FakeNode(chain()) as source:
            source.dial(node.port)
            eventually(lambda: index_of(node) == BLOCKS_SERVED, "the node never caught up")
        yield node


def chain() -> list[Block]:
    return grow(GENESIS, BLOCKS_SERVED)


def index_of(node: NodeProcess) -> int:
    return int(node.get("/status")["tip"]["index"])


def tip_of(node: NodeProcess) -> Block:
    """As the node tells its clients."""
    block = node.get("/blocks/latest")
    if block["index"] == 0:
        return GENESIS
    previous, hash = bytes.fromhex(block["previous_hash"]), bytes.fromhex(block["hash"])
    return Block(block["index"], previous, hash, block["timestamp"], block["data"])


# --- getting in -------------------------------------------------------------------------------------


def examples() -> list[bytes]:
    text = DOCUMENT.read_text(encoding="utf-8")
    return [bytes.fromhex(found) for found in re.findall(r"```hex\n(.*?)```", text, flags=re.DOTALL)]


def test_the_examples_of_the_document_are_what_this_client_writes() -> None:
    keys = [Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (1, 2)]
    first = Block(1, GENESIS.hash, hash_of(1, GENESIS.hash, 1_700_000_000, "hello"), 1_700_000_000, "hello")
    hellos = [
        pack(hello(keys[0], nonce=b"\x11" * 8, challenge=b"\x21" * 32, listen_port=3001, agent="example/1")),
        pack(hello(keys[1], first, nonce=b"\x12" * 8, challenge=b"\x22" * 32, listen_port=3002, agent="tallystick/1")),
    ]
    auths = [
        pack([2, key.sign(text_to_sign(*hellos, by_acceptor=by_acceptor))])
        for key, by_acceptor in [(keys[1], True), (keys[0], False)]
    ]
    question = pack([GET_HEADERS, 1, [GENESIS.point], None, 1_000, True])
    answer = pack([HEADERS, 1, GENESIS.point, [first.body], []])
    assert examples()[:7] == [*hellos, *auths, b"\x91\x03", question, answer]


def test_the_examples_of_a_sealed_network_are_what_this_client_writes() -> None:
    network = Network.make("example", 1_700_000_000_000, spacing_ms=10_000)
    held = record("order-7", {"qty": 7}, salt=b"\x05" * 16)
    block = sealed_child(network, network.genesis, [held])
    assert examples()[7:] == [
        pack([INV, [held.name]]),
        pack([GET_RECORDS, 2, [held.name]]),
        pack([RECORDS, 2, [held.parts], []]),
        pack([PUSH, block.whole, block.weight]),
        pack([GET_SURVEY, 1, [network.genesis.point], None, 2_000]),
        pack([SURVEY, 1, network.genesis.point, [block.header]]),
    ]


def test_the_example_of_the_format_is_what_this_client_seals() -> None:
    """Three records, two blocks, and a proof."""
    text = FORMAT.read_text(encoding="utf-8")
    layouts = re.findall(r"```layout\n(.*?)```", text, flags=re.DOTALL)
    headers = [bytes.fromhex("".join(line.split()[0] for line in each.splitlines() if line)) for each in layouts]
    network = Network.make("format-example", 1_700_000_000_000, spacing_ms=60_000)
    values: list[object] = [{"qty": 7, "item": "bölt"}, "hello", [1.5, True, None]]
    ids = ["order-7", "note-1", "order-8"]
    held = [record(*pair, salt=bytes([number]) * 16) for number, pair in enumerate(zip(ids, values, strict=True), 1)]
    first = sealed_child(network, network.genesis, held[:2], timestamp=1_700_000_030_000)
    second = sealed_child(network, first, held[2:], timestamp=1_700_000_095_000)
    assert headers == [network.genesis.header, first.header, second.header]
    assert second.work == 4
    documents = [json.loads(found) for found in re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL)]
    [proof] = [found for found in documents if found.get("format") == "tallystick-proof/1"]
    check_proof(proof, second.hash.hex())


def test_a_stranger_is_greeted_and_sees_who_the_node_is(node: NodeProcess) -> None:
    with knock(node.port) as peer:
        theirs = peer.greet()
        assert peer.is_answered()
    names = dict(zip(["versions", "network", "key"], theirs[1:4], strict=True))
    assert names == {"versions": [1, 1], "network": GENESIS.hash, "key": bytes.fromhex(node.get("/status")["key"])}
    assert theirs[7] == node.port
    assert theirs[8].startswith("tallystick/")
    tip = tip_of(node)
    assert theirs[9] == [tip.point, tip.index.to_bytes(32, "big")]
    assert theirs[10] is None


def test_a_peer_is_shown_with_its_key_once_it_has_proved_it(node: NodeProcess) -> None:
    with dial(node.port, agent="another/7") as peer:
        assert peer.is_answered()
        [shown] = node.get("/status")["peers"]
        assert (shown["key"], shown["agent"]) == (public(peer.key).hex(), "another/7")
        assert shown["dialect"] == "tallystick.1"


@pytest.mark.parametrize("offered", [[], ["something.else"]])
def test_whoever_does_not_ask_for_the_dialect_gets_the_one_of_the_book(node: NodeProcess, offered: list[str]) -> None:
    with knock(node.port, subprotocols=offered) as peer:
        assert peer.wire.subprotocol is None
        assert peer.wire.recv(30) == '{"type": 0}'


def test_the_dialect_is_found_among_others(node: NodeProcess) -> None:
    with knock(node.port, subprotocols=["chat", "tallystick.1"]) as peer:
        peer.greet()
        assert peer.is_answered()


def test_no_extension_is_agreed_to(node: NodeProcess) -> None:
    """Catalogue row 6."""
    with knock(node.port, compression="deflate") as peer:
        assert peer.wire.protocol.extensions == []


def test_a_web_page_of_another_site_is_refused(node: NodeProcess) -> None:
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{node.port}"):
        with pytest.raises(InvalidStatus) as refused, knock(node.port, origin=origin):
            pass
        assert refused.value.response.status_code == 403
    with knock(node.port, origin=f"http://127.0.0.1:{node.port}") as own_page:
        own_page.greet()


def test_later_messages_that_may_be_ignored_are_ignored(node: NodeProcess) -> None:
    """Catalogue row 2."""
    with dial(node.port) as peer:
        for tag in (128, 200, 255):
            peer.say(tag, "of a later version", {"whatever": 1})
        assert peer.is_answered()


# --- fetching a chain -------------------------------------------------------------------------------


def test_headers_are_a_run_that_can_be_checked_and_cut_by_its_plan(node: NodeProcess) -> None:
    blocks = chain()
    with dial(node.port) as peer:
        first = peer.headers(1, GENESIS.point, most=1_000, plan=True)
        assert first[2] == GENESIS.point
        assert run_of(first) == blocks[:1_000]
        assert first[4] == [blocks[1_999].hash]
        stop = blocks[1_999].point
        second = peer.headers(2, blocks[999].point, stop=stop)
        assert (run_of(second), second[4]) == (blocks[1_000:2_000], [])
        last = peer.headers(3, blocks[1_999].point, plan=True)
        assert (run_of(last)[: BLOCKS_SERVED - 2_000], last[4]) == (blocks[2_000:], [])
        assert peer.headers(4, tip_of(node).point, most=1, plan=True)[2:] == [tip_of(node).point, [], []]


def test_a_plan_names_every_block_asked_for_and_at_most_thirty_two(node: NodeProcess) -> None:
    blocks = chain()
    with dial(node.port) as peer:
        answer = peer.headers(1, GENESIS.point, most=10, plan=True)
        assert answer[4] == [blocks[10 * number - 1].hash for number in range(2, 34)]


def test_a_locator_may_be_empty_foreign_or_full(node: NodeProcess) -> None:
    """Catalogue row 46."""
    blocks = chain()
    foreign = [[index, bytes([index]) * 32] for index in range(63)]
    with dial(node.port) as peer:
        assert peer.headers(1, most=1)[2:] == [GENESIS.point, [blocks[0].body], []]
        assert peer.headers(2, *foreign, most=1)[2] == GENESIS.point
        assert peer.headers(3, *foreign, blocks[6].point, most=1)[2] == blocks[6].point
        assert peer.headers(4, [2**53 - 1, bytes(32)], most=1)[2] == GENESIS.point


def test_blocks_that_are_not_on_the_best_chain_are_missing(node: NodeProcess) -> None:
    """Catalogue rows 65 and 111: what lost, and what the node never had, look the same."""
    blocks = chain()
    lost = child(blocks[-1], "it came second")
    with dial(node.port) as peer:
        peer.say(*push(child(blocks[-1], "it came first")))
        peer.say(*push(lost))
        assert peer.is_answered()
        assert node.get(f"/blocks/{lost.hash.hex()}")["orphaned"] is True
        asked = [lost.point, blocks[3].point, [2**53 - 1, bytes(32)], [5, blocks[3].hash], blocks[5].point]
        answer = peer.ask(GET_BLOCKS, 1, asked)
        assert answer == [BLOCKS, 1, [blocks[3].whole, blocks[5].whole], [0, 2, 3]]
        stopped = peer.headers(2, GENESIS.point, stop=lost.point, most=100, plan=True)
        assert stopped[2:] == [GENESIS.point, [], []]
        assert peer.headers(3, lost.point, most=1)[2] == GENESIS.point


def test_a_node_asks_with_a_locator_and_a_plan_and_needs_no_book(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", options=QUIET)
    with nodes(node), FakeNode(grow(GENESIS, 2_100)) as source:
        status, _ = node.ask("POST", "/addPeer", {"peer": source.address})
        assert status == 200
        eventually(lambda: index_of(node) == 2_100, "the node never caught up")
        questions = [request for request in source.requests if request[0] == GET_HEADERS]
        assert questions[0][2:] == [[GENESIS.point], None, 1_000, True]
        assert [question[4] for question in questions] == [1_000] * len(questions)
        assert [request[0] for request in source.requests if request[0] != GET_HEADERS] == [GET_ADDRS]
        assert len({request[1] for request in source.requests}) == len(source.requests)


def test_blocks_larger_than_a_frame_travel_in_parts_both_ways(tmp_path: Path) -> None:
    large = child(GENESIS, "x" * (9 * 2**20))
    node = NodeProcess(tmp_path / "node", options=QUIET)
    with nodes(node), FakeNode([large]) as source:
        source.dial(node.port)
        eventually(lambda: index_of(node) == 1, "the block never arrived")
        with dial(node.port) as peer:
            assert run_of(peer.headers(1, most=10, plan=True)) == [large]
            assert peer.ask(GET_BLOCKS, 2, [large.point]) == [BLOCKS, 2, [large.whole], []]


def test_the_heavier_branch_is_followed_and_what_was_posted_comes_back(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", options=QUIET)
    with nodes(node):
        for number in range(3):
            node.mine(f"ours {number}")
        with FakeNode(grow(GENESIS, 1_500)) as source:
            source.dial(node.port)
            eventually(lambda: index_of(node) == 1_503, "the branch was not followed")
            assert sorted(node.data()[-3:]) == ["ours 0", "ours 1", "ours 2"]


# --- new blocks -------------------------------------------------------------------------------------


def test_the_right_to_push_goes_to_whoever_is_asked(node: NodeProcess) -> None:
    """The dialler has it first. So the node announces, until we ask for a block."""
    with dial(node.port, tip_of(node)) as peer:
        assert peer.is_answered()
        node.mine("announced")
        tip = tip_of(node)
        assert peer.hear_next(ANNOUNCE) == announce(tip)
        assert peer.ask(GET_BLOCKS, 1, [tip.point]) == [BLOCKS, 1, [tip.whole], []]
        node.mine("pushed")
        assert peer.hear_next(PUSH) == push(tip_of(node))
        ours = child(tip_of(node), "announced by us")
        peer.say(*announce(ours))
        _, number, points = peer.hear_next(GET_BLOCKS)
        assert points == [ours.point]
        peer.say(BLOCKS, number, [ours.whole], [])
        assert peer.is_answered()
        assert tip_of(node) == ours
        node.mine("announced again")
        assert peer.hear_next(ANNOUNCE) == announce(tip_of(node))


def test_a_pushed_block_is_taken_and_passed_on_but_not_back(node: NodeProcess) -> None:
    with ExitStack() as stack:
        tip = tip_of(node)
        source, other = (stack.enter_context(dial(node.port, tip)) for _ in range(2))
        assert other.is_answered()
        block = child(tip, "pushed by a peer")
        source.say(*push(block))
        assert other.hear_next(ANNOUNCE) == announce(block)
        nonce = b"in order"
        source.say(PING, nonce)
        assert source.hear_past_pings() == [PONG, nonce]
        assert tip_of(node) == block


def test_a_block_of_more_than_twenty_thousand_bytes_is_announced(node: NodeProcess) -> None:
    with dial(node.port, tip_of(node)) as peer:
        assert peer.ask(GET_BLOCKS, 1, [GENESIS.point]) == [BLOCKS, 1, [], [0]]
        node.mine("x" * 20_001)
        assert peer.hear_past_pings()[0] == ANNOUNCE
        peer.ask(GET_BLOCKS, 2, [tip_of(node).point])
        node.mine("é" * 10_000)
        assert peer.hear_past_pings()[0] == PUSH


# --- addresses --------------------------------------------------------------------------------------


def test_whoever_listens_is_told_of_to_others(node: NodeProcess) -> None:
    """Catalogue row 70: everybody gets the same answer, of numeric addresses."""
    with dial(node.port, listen_port=4_321) as listens, dial(node.port) as peer, dial(node.port) as other:
        assert listens.is_answered()
        answer = peer.ask(GET_ADDRS, 1)
        assert answer[0] == ADDRS
        assert [b"\x7f\x00\x00\x01", 4_321] in answer[2]
        assert sorted(other.ask(GET_ADDRS, 9)[2]) == sorted(answer[2])


def test_a_node_that_dials_says_hello_first_and_asks_whom_we_know(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", options=QUIET)
    with FakeNode() as source, nodes(node):
        node.ask("POST", "/addPeer", {"peer": source.address})
        assert source.greeted.wait(30)
        eventually(lambda: [request[0] for request in source.requests] == [GET_ADDRS], "it asked something else")
        [shown] = node.get("/status")["peers"]
        assert shown["key"] == source.key_text
