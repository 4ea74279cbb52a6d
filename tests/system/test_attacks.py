"""Attacks on a real node by somebody who speaks its protocol and means harm.

After each of them the node serves an honest client as before, and has not grown. Loopback addresses are never
refused, so what a node remembers of an attacker here is its key. Limits that would make a test wait are smaller in some
nodes; the rest of the catalogue, where patience of minutes or many addresses are needed, is shown on the core.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from websockets.exceptions import ConnectionClosed

from tests.system import fake_node
from tests.system.fake_node import FakeNode, Fault
from tests.system.native_client import (
    ADDRS,
    ANNOUNCE,
    AUTH,
    BLOCKS,
    FRAME_BYTES,
    GENESIS,
    GET_ADDRS,
    GET_BLOCKS,
    GET_HEADERS,
    HEADERS,
    PART,
    PATIENCE_S,
    PING,
    PONG,
    PUSH,
    READY,
    Block,
    Conversation,
    announce,
    child,
    dial,
    grow,
    hello,
    knock,
    pack,
    public,
    push,
    run_of,
    text_to_sign,
)
from tests.system.processes import NodeProcess, eventually, nodes

MIB = 2**20
GROWTH_BYTES = 48 * MIB
"""What an attack may cost a node in memory for good: some frames, and what the allocator keeps of them."""

QUIET = ("--no-discover",)
LENGTH = 2_500
"""Blocks of the honest chain."""

Attack = Callable[[Conversation], None]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """Everybody's victim."""
    node = NodeProcess(tmp_path_factory.mktemp("attacks") / "node", options=QUIET)
    with nodes(node):
        with FakeNode(grow(GENESIS, LENGTH)) as source:
            source.dial(node.port)
            eventually(lambda: index_of(node) == LENGTH, "the node never caught up")
        yield node


def index_of(node: NodeProcess) -> int:
    return int(node.get("/status")["tip"]["index"])


def tip_of(node: NodeProcess) -> Block:
    block = node.get("/blocks/latest")
    if block["index"] == 0:
        return GENESIS
    previous, hash = bytes.fromhex(block["previous_hash"]), bytes.fromhex(block["hash"])
    return Block(block["index"], previous, hash, block["timestamp"], block["data"])


def refused_keys(node: NodeProcess) -> list[str]:
    return [banned["subject"] for banned in node.get("/bans")]


def dropped(node: NodeProcess) -> list[dict[str, str]]:
    """Who was thrown out lately, newest first."""
    return list(node.get("/status")["dropped"])


def key_of(peer: Conversation) -> str:
    return public(peer.key).hex()


@contextmanager
def unharmed(node: NodeProcess) -> Iterator[None]:
    """What happens within changes nothing for others."""
    assert node.process is not None
    process = psutil.Process(node.process.pid)
    before, tip = process.memory_info().rss, tip_of(node)
    yield
    with dial(node.port, tip) as honest:
        assert tip_of(node) == tip
        assert len(run_of(honest.headers(1, GENESIS.point, most=1_000))) == min(1_000, tip.index)
        node.mine("life goes on")
        assert honest.hear_next(ANNOUNCE) == announce(tip_of(node))
    assert process.memory_info().rss - before < GROWTH_BYTES


def ends_with(node: NodeProcess, attack: Attack, code: int, rule: str, *, refused: bool = True) -> None:
    """An admitted peer does this, and is thrown out for it; is its key remembered?"""
    with unharmed(node), dial(node.port) as peer:
        with suppress(ConnectionClosed, OSError):
            attack(peer)
        assert peer.close_code() == code
        eventually(lambda: any(each["address"] == peer.address for each in dropped(node)), "nobody is blamed")
        [why] = [each for each in dropped(node) if each["address"] == peer.address]
        assert why["rule"] == rule
        assert len(why["detail"]) <= 300
        assert (key_of(peer) in refused_keys(node)) is refused


# --- framing, parsing, types ------------------------------------------------------------------------

NONCE = bytes(8)
HASH = bytes(32)

MALFORMED = {
    "empty": b"",
    "not MessagePack": b"\xc1",
    "no array": pack({"tag": 4}),
    "an empty array": b"\x90",
    "a tag that must be known": pack([99, NONCE]),
    "a tag that is no number": pack(["ping", NONCE]),
    "a float for a tag": pack([4.0, NONCE]),
    "a true for a tag": pack([True, 1]),
    "trailing bytes": pack([PING, NONCE]) + b"\0",
    "a field too many": pack([PING, NONCE, 1]),
    "a field too few": pack([PING]),
    "more elements than bytes": b"\xdd\xff\xff\xff\xff" + bytes([PING]),
    "a list longer than the message": b"\x92\x21\xdd\xff\xff\xff\xff",
    "bytes longer than the message": b"\x92\x04\xc6\xff\xff\xff\xff" + NONCE,
    "nested without end": b"\x91" * 1_000_000,
    "a long form of a length": b"\x92\x04\xc5\x00\x08" + NONCE,
    "a long form of a number": b"\x92\xcc\x04\xc4\x08" + NONCE,
    "a long form of an array": b"\xdc\x00\x02\x04\xc4\x08" + NONCE,
    "text for bytes": pack([PING, "12345678"]),
    "a number for a bool": pack([PART, 1, 1, b"x"]),
    "nil for a bool": pack([PART, 1, None, b"x"]),
    "a negative index": pack([ANNOUNCE, [[-1, HASH]], HASH]),
    "an index beyond 2^53": pack([ANNOUNCE, [[2**53, HASH]], HASH]),
    "a fractional index": pack([ANNOUNCE, [[1.5, HASH]], HASH]),
    "a hash of 31 bytes": pack([ANNOUNCE, [[1, HASH[1:]]], HASH]),
    "a hash in hex": pack([ANNOUNCE, [[1, HASH.hex()]], HASH]),
    "no points": pack([ANNOUNCE, [], HASH]),
    "nine points": pack([ANNOUNCE, [[index, HASH] for index in range(9)], HASH]),
    "points with a gap": pack([ANNOUNCE, [[1, HASH], [3, HASH]], HASH]),
    "a locator of 65": pack([GET_HEADERS, 1, [[index, HASH] for index in range(65)], None, 1, False]),
    "no block wanted": pack([GET_HEADERS, 1, [], None, 0, False]),
    "2,001 blocks wanted": pack([GET_HEADERS, 1, [], None, 2_001, False]),
    "number 0": pack([GET_HEADERS, 0, [], None, 1, False]),
    "129 blocks by name": pack([GET_BLOCKS, 1, [[1, HASH]] * 129]),
    "genesis, pushed": pack([PUSH, [0, HASH, HASH, 1_700_000_000, ""], HASH]),
    "a timestamp of nine digits": pack([PUSH, [1, HASH, HASH, 999_999_999, ""], HASH]),
    "data that is no UTF-8": pack([PUSH, [1, HASH, HASH, 1_700_000_000, "??"], HASH]).replace(b"??", b"\xed\xa0"),
    "a ping of nine bytes": pack([PING, bytes(9)]),
    "an address of three bytes": pack([ADDRS, 1, [[b"abc", 1]]]),
    "port 0": pack([ADDRS, 1, [[b"abcd", 0]]]),
}


@pytest.mark.parametrize("frame", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_message_ends_the_connection(node: NodeProcess, frame: bytes) -> None:
    """Catalogue rows 1, 2, 4, 8, 9, 20, 21 and 46."""
    ends_with(node, lambda peer: peer.say_raw(frame), 1002, "message-is-decodable")


def starts_a_frame_that_is_too_long(peer: Conversation) -> None:
    peer.send_bytes(b"\x82\xff" + (FRAME_BYTES + 1).to_bytes(8, "big"))  # and not a byte of what it announces


def fragments_without_end(peer: Conversation) -> None:
    fragment = b"\xff" + (2**16).to_bytes(8, "big") + bytes(4) + bytes(2**16)
    peer.send_bytes(b"\x02" + fragment)
    while True:
        peer.send_bytes(b"\x00" + fragment)


def compressed(peer: Conversation) -> None:
    peer.send_bytes(b"\xc2\x80" + bytes(4))


def unmasked(peer: Conversation) -> None:
    peer.send_bytes(b"\x82\x00")


def long_announcement(peer: Conversation) -> None:
    peer.say(*push(child(GENESIS, "x" * 22_000)))


FRAMING = [
    (starts_a_frame_that_is_too_long, 1009, "message-within-size"),
    (fragments_without_end, 1009, "message-within-size"),
    (compressed, 1002, "message-is-well-formed"),
    (unmasked, 1002, "message-is-well-formed"),
    (long_announcement, 1009, "message-within-size"),
    (lambda peer: peer.wire.send("text"), 1003, "frame-kind-fits-dialect"),
]


@pytest.mark.parametrize(("attack", "code", "rule"), FRAMING)
def test_what_is_no_frame_ends_the_connection(node: NodeProcess, attack: Attack, code: int, rule: str) -> None:
    """Catalogue rows 3, 5, 6 and 7."""
    ends_with(node, attack, code, rule)


def test_binary_frames_are_refused_in_the_books_dialect(node: NodeProcess) -> None:
    """Catalogue row 7."""
    with unharmed(node), knock(node.port, subprotocols=[]) as peer:
        peer.say(READY)
        assert peer.close_code() == 1003


# --- the handshake ----------------------------------------------------------------------------------


def greets(**changes: object) -> Attack:
    return lambda peer: peer.say_raw(pack(hello(peer.key, **changes)))


OTHER = Ed25519PrivateKey.generate()

HELLOS = [
    (greets(network=HASH), 4002),
    (greets(versions=[2, 9]), 4001),
    (greets(versions=[0, 0]), 4001),
    (greets(agent="x" * 129), 1002),
    (greets(agent="\x1b[2J"), 4001),
    (greets(agent="é"), 4001),
    (greets(key=HASH[1:]), 1002),
    (greets(listen_port=65_536), 1002),
    (greets(tip=[[-1, HASH], HASH]), 1002),
    (lambda peer: peer.say(PING, NONCE), 4001),
    (lambda peer: peer.say(READY), 4001),
    (lambda peer: peer.say(AUTH, bytes(64)), 4001),
    (lambda peer: peer.say(200), 4001),
    (lambda peer: peer.headers(1, GENESIS.point), 4001),
    (lambda peer: peer.say(*push(child(GENESIS, "early"))), 4001),
    (lambda peer: peer.say_raw(bytes(4_097)), 1009),
    (lambda peer: peer.wire.send("text"), 1003),
]


@pytest.mark.parametrize(("attack", "code"), HELLOS)
def test_a_stranger_who_does_not_say_hello_learns_nothing(node: NodeProcess, attack: Attack, code: int) -> None:
    """Catalogue rows 24, 25 and 27: refused before the node has said a word."""
    with unharmed(node), knock(node.port) as peer:
        with suppress(ConnectionClosed):
            attack(peer)
        heard = []
        with suppress(ConnectionClosed):
            while True:
                heard.append(peer.hear())
        assert (peer.how_it_ended(), heard) == (code, [])
        assert key_of(peer) not in refused_keys(node)  # it did not prove that the key is its own


def test_another_network_is_no_offence(node: NodeProcess) -> None:
    """Catalogue row 24."""
    with knock(node.port) as peer:
        peer.say_raw(pack(hello(peer.key, network=HASH)))
        assert peer.close_code() == 4002
    with dial(node.port, key=peer.key) as again:
        assert again.is_answered()


@pytest.mark.parametrize("again", ["hello", "ready", "ping"])
def test_nothing_else_is_heard_between_hello_and_ready(node: NodeProcess, again: str) -> None:
    """Catalogue rows 25 and 26."""
    with unharmed(node), knock(node.port) as peer:
        peer.say_raw(pack(hello(peer.key)))
        peer.hear()
        peer.say_raw({"hello": pack(hello(peer.key)), "ready": pack([READY]), "ping": pack([PING, NONCE])}[again])
        assert peer.close_code() == 4001


def test_a_second_hello_ends_the_connection(node: NodeProcess) -> None:
    """Catalogue row 26."""
    ends_with(node, lambda peer: peer.say_raw(pack(hello(peer.key))), 4001, "hello-comes-first")


def test_whoever_has_the_nodes_own_key_is_the_node_itself(node: NodeProcess) -> None:
    """Catalogue row 28."""
    own = load_pem_private_key((node.folder / "node.key").read_bytes(), None)
    assert isinstance(own, Ed25519PrivateKey)
    with unharmed(node), knock(node.port, own) as peer:
        peer.say_raw(pack(hello(own)))
        assert peer.close_code() == 4003
    assert refused_keys(node).count(public(own).hex()) == 0


@pytest.mark.parametrize("forgery", ["stolen key", "echo", "wrong direction", "old signature"])
def test_a_signature_proves_the_key_on_this_connection_only(node: NodeProcess, forgery: str) -> None:
    """Catalogue row 29."""
    with unharmed(node), ExitStack() as stack:
        peer = stack.enter_context(knock(node.port))
        mine = pack(hello(peer.key, key=public(OTHER if forgery == "stolen key" else peer.key)))
        peer.say_raw(mine)
        theirs, their_auth = pack(peer.hear()), peer.hear()
        signatures = {
            "stolen key": peer.key.sign(text_to_sign(mine, theirs, by_acceptor=False)),
            "echo": their_auth[1],
            "wrong direction": peer.key.sign(text_to_sign(mine, theirs, by_acceptor=True)),
            "old signature": peer.key.sign(text_to_sign(mine, pack(hello(OTHER)), by_acceptor=False)),
        }
        peer.say(AUTH, signatures[forgery])
        assert peer.close_code() == 4001
    assert public(OTHER).hex() not in refused_keys(node)  # nor would its owner be to blame


def test_of_two_connections_of_one_key_the_newer_stays(node: NodeProcess) -> None:
    """Catalogue row 30."""
    with unharmed(node), dial(node.port) as old, dial(node.port, key=old.key) as new:
        assert old.close_code() == 4004
        assert new.is_answered()
        assert [shown["key"] for shown in node.get("/status")["peers"]] == [key_of(new)]


# --- resources --------------------------------------------------------------------------------------


def test_sixty_four_peers_are_let_in_and_the_next_one_is_told(node: NodeProcess) -> None:
    """Catalogue row 32: those who are in stay."""
    with ExitStack() as stack:
        peers = [stack.enter_context(dial(node.port)) for _ in range(64)]
        assert all(peer.is_answered() for peer in peers)  # so the node has heard the last word of their handshakes
        refusal = refused_at_the_door(node)
        assert refusal.startswith("HTTP/1.1 503")
        assert all(peer.is_answered() for peer in peers)
    eventually(lambda: node.get("/peers") == [], "they never left")
    with unharmed(node):
        pass


def test_strangers_who_say_nothing_keep_nobody_out(tmp_path: Path) -> None:
    """Catalogue rows 31 and 32: those who never greet take only one another's places."""
    node = NodeProcess(tmp_path / "node", options=QUIET, limits={"strangers": 8, "stranger_grace_ms": 0})
    with nodes(node), ExitStack() as stack:
        silent = [stack.enter_context(knock(node.port)) for _ in range(20)]
        with unharmed(node):
            assert [peer.close_code() for peer in silent[:12]] == [4005] * 12


def refused_at_the_door(node: NodeProcess) -> str:
    with socket.create_connection(("127.0.0.1", node.port), PATIENCE_S) as stranger:
        stranger.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: tallystick.1\r\n\r\n"
        )
        return stranger.recv(1_000).decode()


def pings_a_lot(peer: Conversation) -> None:
    for _ in range(61):
        peer.say(PING, NONCE)


def asks_for_addresses_again(peer: Conversation) -> None:
    peer.ask(GET_ADDRS, 1)
    peer.say(GET_ADDRS, 2)


@pytest.mark.parametrize("attack", [pings_a_lot, asks_for_addresses_again])
def test_too_much_too_fast_ends_the_connection(node: NodeProcess, attack: Attack) -> None:
    """Catalogue rows 35 and 70."""
    ends_with(node, attack, 4008, "requests-within-rate")


UNSOLICITED = [
    [HEADERS, 1, GENESIS.point, [], []],
    [BLOCKS, 1, [], [0]],
    [ADDRS, 1, [[b"\x08\x08\x08\x08", 3001]] * 1_000],
    [PART, 1, False, b"x"],
    [PART, 1, True, b"x"],
]


@pytest.mark.parametrize("reply", UNSOLICITED, ids=["headers", "blocks", "addrs", "a part", "the last part"])
def test_an_answer_that_nobody_asked_for_ends_the_connection(node: NodeProcess, reply: list[object]) -> None:
    """Catalogue rows 36 and 69: nor does it get into the book of addresses."""
    ends_with(node, lambda peer: peer.say(*reply), 4009, "reply-was-asked-for")
    assert node.get("/status")["addresses"] == 0


def test_a_key_that_broke_a_rule_is_refused_and_the_machine_is_not(node: NodeProcess) -> None:
    """Catalogue rows 39 and 40."""
    with dial(node.port) as peer:
        peer.say_raw(b"\xc1")
        assert peer.close_code() == 1002
    with knock(node.port, peer.key) as again:
        with suppress(ConnectionClosed):
            again.greet()
        assert again.close_code() == 4007
    assert "127.0.0.1" not in refused_keys(node)
    with dial(node.port) as neighbour:
        assert neighbour.is_answered()
    node.ask("DELETE", f"/bans/{key_of(peer)}")
    with dial(node.port, key=peer.key) as forgiven:
        assert forgiven.is_answered()


def test_a_peer_that_never_reads_costs_its_connection(tmp_path: Path) -> None:
    """Catalogue rows 33 and 35: it asks for a chain of ten megabytes a thousand times."""
    node = NodeProcess(tmp_path / "node", options=QUIET, limits={"outbox_stall_ms": 1_000})
    with nodes(node), FakeNode([child(GENESIS, "x" * (10 * MIB))]) as source:
        source.dial(node.port)
        eventually(lambda: index_of(node) == 1, "the node never caught up")
        with unharmed(node), dial(node.port) as peer:
            with suppress(ConnectionClosed, OSError):
                for number in range(1, 1_000):
                    peer.say_raw(pack([GET_HEADERS, number, [], None, 1, False]))
            eventually(lambda: bool(dropped(node)), "it is still there")
            assert dropped(node)[0]["rule"] == "outbox-drains"


def test_patience_ends(tmp_path: Path) -> None:
    """Catalogue rows 31 and 38: no HTTP, no hello, hello byte by byte, no auth, no pong, a pong of another ping."""
    limits = {"handshake_ms": 700, "ping_every_ms": 300, "pong_within_ms": 600}
    node = NodeProcess(tmp_path / "node", options=QUIET, limits=limits)
    with nodes(node), ExitStack() as stack:
        mute = stack.enter_context(socket.create_connection(("127.0.0.1", node.port), PATIENCE_S))
        silent, slow, half, deaf, wrong = (stack.enter_context(knock(node.port)) for _ in range(5))
        half.say_raw(pack(hello(half.key)))
        deaf.greet()
        wrong.greet()
        over = threading.Event()
        stack.callback(over.set)
        threading.Thread(target=drips_hello, args=(slow, over)).start()
        answering_wrongly = threading.Thread(target=pongs_wrongly, args=(wrong,))
        answering_wrongly.start()
        codes = [peer.close_code() for peer in (silent, slow, half, deaf)]
        answering_wrongly.join()
        assert [*codes, wrong.how_it_ended()] == [4006] * 5
        while mute.recv(1_000):
            pass  # until the node hangs up
        assert refused_keys(node) == []


def drips_hello(peer: Conversation, over: threading.Event) -> None:
    """A frame of 200 bytes, one at a time."""
    with suppress(OSError):
        peer.send_bytes(b"\x82\xfe\x00\xc8" + bytes(4))
        while not over.wait(0.05):
            peer.send_bytes(b"\x9d")


def pongs_wrongly(peer: Conversation) -> None:
    with suppress(ConnectionClosed):
        while True:
            if peer.hear()[0] == PING:
                peer.say(PONG, os.urandom(8))


# --- blocks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["hash", "index"])
def test_an_invalid_block_is_refused(node: NodeProcess, wrong: str) -> None:
    """Catalogue rows 42 and 48."""
    whole = child(tip_of(node), "new").whole
    if wrong == "hash":
        whole[2] = HASH
    else:
        whole[0] += 1
    ends_with(node, lambda peer: peer.say(PUSH, whole, HASH), 4010, "hash-matches-content")


def test_a_child_of_an_invalid_block_links_to_nothing(node: NodeProcess) -> None:
    """Catalogue row 53: its parent was not kept, so what is between is asked for, and refused."""
    tip = tip_of(node)
    invalid = Block(tip.index + 1, tip.hash, HASH, 1_700_000_000, "not what the hash says")
    orphan = child(invalid, "a child")

    def attack(peer: Conversation) -> None:
        peer.say(*push(orphan))
        request = peer.hear_next(GET_HEADERS)
        assert request[2][0] == tip.point
        peer.say(HEADERS, request[1], tip.point, [invalid.body, orphan.body], [])

    ends_with(node, attack, 4010, "hash-matches-content")


def test_blocks_that_nobody_asked_for_and_that_link_to_nothing_are_dropped(node: NodeProcess) -> None:
    """Catalogue row 48: too far ahead, too old, or known already."""
    tip = tip_of(node)
    far = Block(tip.index, b"", os.urandom(32), 0, "")
    with unharmed(node), dial(node.port) as peer:
        for block in (child(GENESIS, "an old branch"), grow(GENESIS, 1)[0], child(far, "far"), tip):
            peer.say(*push(block))
        assert peer.is_answered()
        assert node.get("/forks") == [] or all(fork["tip"]["index"] != 1 for fork in node.get("/forks"))


def test_a_block_that_nobody_could_pass_on_is_not_kept(node: NodeProcess) -> None:
    """It fits a frame, and swells to more than a message of the book's dialect."""
    swells = child(tip_of(node), "\x01" * (3 * MIB))

    def attack(peer: Conversation) -> None:
        peer.say(*announce(swells))
        number = peer.hear_next(GET_BLOCKS)[1]
        peer.reply([BLOCKS, number, [swells.whole], []])

    ends_with(node, attack, 1009, "message-within-size")


@pytest.mark.parametrize("answer", ["another block", "out of order", "nothing", "no such position"])
def test_blocks_must_be_those_asked_for(node: NodeProcess, answer: str) -> None:
    """Catalogue row 60."""

    def attack(peer: Conversation) -> None:
        blocks = grow(tip_of(node), 2, "announced")
        peer.say(*announce(*blocks))
        number = peer.hear_next(GET_BLOCKS)[1]
        wholes = [block.whole for block in blocks]
        answers: dict[str, list[object]] = {
            "another block": [[child(blocks[0], "another").whole], []],
            "out of order": [wholes[::-1], []],
            "nothing": [[], []],
            "no such position": [[], [2]],
        }
        peer.say(BLOCKS, number, *answers[answer])

    ends_with(node, attack, 4010, "reply-fits-request")


def test_an_answer_that_comes_too_late_is_ignored(tmp_path: Path) -> None:
    """Catalogue row 37."""
    node = NodeProcess(tmp_path / "node", options=QUIET, limits={"stall_first_ms": 200})
    with nodes(node), dial(node.port) as peer:
        block = child(GENESIS, "late")
        peer.say(*announce(block))
        number = peer.hear_next(GET_BLOCKS)[1]
        peer.hear_next(GET_HEADERS)  # it tries another way
        peer.say(BLOCKS, number, [block.whole], [])
        assert peer.is_answered()
        peer.say(BLOCKS, number, [block.whole], [])
        assert peer.close_code() == 4009


# --- fetching a chain from liars --------------------------------------------------------------------

CLAIM = [[10**9, HASH], (10**9).to_bytes(32, "big")]

LIARS: dict[str, tuple[Fault, int, str]] = {
    "wrong hash": (fake_node.wrong_hash(1_500), 4010, "hash-matches-content"),
    "wrong range": (fake_node.wrong_range, 4010, "reply-fits-request"),
    "reordered": (fake_node.reordered, 4010, "hash-matches-content"),
    "gaps": (fake_node.gaps, 4010, "hash-matches-content"),
    "nothing": (fake_node.nothing, 4010, "claim-is-proven"),
    "too many": (fake_node.too_many, 4010, "reply-fits-request"),
    "another number": (fake_node.another_number, 4009, "reply-was-asked-for"),
    "twice": (fake_node.twice, 4009, "reply-was-asked-for"),
    "another kind": (fake_node.another_kind, 4010, "reply-fits-request"),
    "made-up plan": (fake_node.made_up_plan, 4010, "claim-is-proven"),
    "endless parts": (fake_node.endless_parts, 1009, "message-within-size"),
    "silent": (fake_node.silent, 4006, "sync-keeps-up"),
    "drips": (fake_node.drips(0.1), 4006, "sync-keeps-up"),
}


@pytest.mark.parametrize("lie", LIARS)
def test_a_node_with_one_honest_peer_ends_at_the_honest_tip(node: NodeProcess, tmp_path: Path, lie: str) -> None:
    """Catalogue rows 42 and 58-61: the liar claims the heaviest chain there is, and is asked first."""
    fault, code, rule = LIARS[lie]
    newcomer = NodeProcess(tmp_path / "newcomer", options=QUIET, limits={"slow_after_ms": 1_000})
    honest = tip_of(node)
    with nodes(newcomer), FakeNode(grow(GENESIS, 2_000, "lie"), fault, tip=CLAIM) as liar:
        liar.dial(newcomer.port)
        assert liar.asked.wait(PATIENCE_S)
        newcomer.ask("POST", "/addPeer", {"peer": node.address})
        eventually(lambda: tip_of(newcomer) == honest, f"stuck at {index_of(newcomer)}")
        eventually(lambda: liar.codes == [code], f"the liar is still welcome: {liar.codes}")
        assert rule in [each["rule"] for each in dropped(newcomer)]
        assert (liar.key_text in refused_keys(newcomer)) is (code != 4006)
        with unharmed(newcomer):
            pass


def test_peers_that_hang_up_in_the_middle_leave_no_gap(tmp_path: Path) -> None:
    """Catalogue row 62: one of two goes, then the other; whoever comes next continues."""
    chain = grow(GENESIS, 6_000)
    node = NodeProcess(tmp_path / "node", options=QUIET)
    with nodes(node):
        for after in (1, 2):
            with FakeNode(chain, fake_node.hangs_up(after)) as peer:
                peer.dial(node.port)
                eventually(lambda peer=peer: bool(peer.codes), "it did not hang up")  # type: ignore[misc]
        eventually(lambda: node.get("/peers") == [], "the connections never ended")
        reached = index_of(node)
        assert 0 < reached < len(chain)
        with FakeNode(chain) as peer:
            peer.dial(node.port)
            eventually(lambda: index_of(node) == len(chain), "the node never caught up")
            first = next(request for request in peer.requests if request[0] == GET_HEADERS)
            assert first[2][0][0] == reached  # nothing is fetched twice
        assert [bytes.fromhex(block["hash"]) for block in node.chain()[1:]] == [block.hash for block in chain]


def test_false_addresses_fill_nothing_and_name_nobody(tmp_path: Path) -> None:
    """Catalogue row 69: a thousand addresses from one source, with ports 0 and multicast among them."""
    poison = [[bytes([8, 8, number // 250, number % 250]), 3001] for number in range(900)]
    poison += [[b"\xe0\x00\x00\x01", 3001], [b"\x00\x00\x00\x00", 3001], [bytes(16), 3001], [b"\xa9\xfe\x00\x01", 80]]

    def poisoned(_node: FakeNode, _to: Conversation, request: list[object], reply: list[object]) -> list[object]:
        return [ADDRS, request[1], poison] if request[0] == GET_ADDRS else reply

    node = NodeProcess(tmp_path / "node", options=QUIET)
    with nodes(node), FakeNode(fault=poisoned) as liar:
        node.ask("POST", "/addPeer", {"peer": liar.address})
        eventually(lambda: node.get("/status")["addresses"] > 1, "nothing was believed")
        assert node.get("/status")["addresses"] <= 512 + 1
        with unharmed(node), dial(node.port) as peer:
            told = peer.ask(GET_ADDRS, 1)[2]
            assert not [address for address in told if address in poison[900:]]
