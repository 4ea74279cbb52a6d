"""Attacks on a real node of a work network by somebody who mines, speaks its protocol, and means harm.

After each attack the node serves an honest client as before: its chain, its records and their proofs, new blocks. And
it has not grown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.fake_node import FakeNode, Fault
from tests.system.memory import MIB, bounded_memory
from tests.system.native_client import (
    BLOCKS,
    GET_BLOCKS,
    GET_HEADERS,
    GET_SURVEY,
    PUSH,
    Conversation,
    Message,
    pack,
    public,
)
from tests.system.processes import PATIENCE_S, eventually, nodes
from tests.system.sealed_client import (
    HEADER,
    Network,
    SealedBlock,
    announce,
    child,
    compact,
    grow,
    push,
    record,
)
from tests.system.victim import DAY_MS, Victim, everybodys_victim, now_ms, raised
from tests.system.work_nodes import WorkNode


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with everybodys_victim(tmp_path_factory.mktemp("attacks")) as victim:
        yield victim


# --- headers ----------------------------------------------------------------------------------------


def test_a_flood_of_headers_of_little_work_is_neither_kept_nor_believed(tmp_path: Path) -> None:
    """Catalogue rows 44 and 61: forty thousand headers whose blocks took two hashes each, behind the claim of the
    heaviest chain there is. Not one body is asked for; who answers so is caught when the headers end."""
    genesis_ms = now_ms() - 60 * DAY_MS
    network = Network.make("flooded", genesis_ms, bits=compact(2 ** (256 - 14)))
    node = WorkNode(tmp_path / "node", network.write(tmp_path / "network.toml"))
    late = child(network, network.genesis, timestamp=genesis_ms + DAY_MS)  # so late that nothing is easier
    flood = [late, *grow(network, late, 40_000)]
    with nodes(node):
        victim = raised(node, network, 12)
        assert flood[-1].work < victim.tip.work
        size = node.get("/status")["data_bytes"]
        with bounded_memory(node), victim.unharmed(), victim.source(flood, weight=bytes([1] * 32)) as liar:
            liar.dial(node.port)
            eventually(lambda: liar.codes == [4010], "it is believed")
            asked = [request[0] for request in liar.requests]
            assert asked.count(GET_SURVEY) == 21
            assert GET_HEADERS not in asked
            assert victim.dropped()[0]["rule"] == "claim-is-proven"
        assert node.get("/forks") == []
        assert node.get("/status")["data_bytes"] < size + MIB
        # The same chain, claimed to be what it is: nobody asks for it, and there is no reason to blame anybody.
        with victim.unharmed(), victim.source(flood) as honest:
            honest.dial(node.port)
            with victim.dialled() as other:
                assert other.is_answered()
            assert GET_SURVEY not in [request[0] for request in honest.requests]
            assert node.get("/peers") != []


def surveyed(change: Callable[[list[bytes]], list[bytes]]) -> Fault:
    """A survey with other headers."""

    def fault(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
        return reply if request[0] != GET_SURVEY else [*reply[:3], change(reply[3])]

    return fault


def resealed(header: bytes) -> bytes:
    """The next nonce that does not hold."""
    fields = HEADER.unpack(header)
    for nonce in range(2**32):
        changed = HEADER.pack(*fields[:-1], nonce)
        if not SealedBlock(changed).hash < bytes.fromhex("7fffff" + "00" * 29):
            return changed
    raise AssertionError


SURVEYS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "a nonce that does not hold": (lambda run: [*run[:-1], resealed(run[-1])], "seal-holds"),
    "a gap": (lambda run: [*run[:2], *run[3:]], "index-follows-parent"),
    "backwards": (lambda run: run[::-1], "index-follows-parent"),
    "a header that is none": (lambda run: [*run[:-1], run[-1][:-1]], "header-is-well-formed"),
    "another magic": (lambda run: [*run[:-1], b"TSB2" + run[-1][4:]], "header-is-well-formed"),
    "an index beyond all": (lambda run: [*run[:-1], run[-1][:4] + b"\xff" * 8 + run[-1][12:]], "index-in-range"),
    "nothing": (lambda _: [], "claim-is-proven"),
    "half of it": (lambda run: run[: len(run) // 2], "claim-is-proven"),
}


@pytest.mark.parametrize("lie", SURVEYS)
def test_a_header_that_is_wrong_ends_the_connection_before_any_body_is_fetched(victim: Victim, lie: str) -> None:
    """Catalogue rows 42, 43 and 61."""
    change, rule = SURVEYS[lie]
    blocks = grow(victim.network, victim.network.genesis, victim.tip.index + 20)
    with victim.unharmed(), victim.source(blocks, surveyed(change)) as liar:
        liar.dial(victim.node.port)
        eventually(lambda: liar.codes == [4010], f"it is still welcome: {liar.codes}")
        assert victim.dropped()[0]["rule"] == rule
        assert liar.key_text in victim.refused_keys()
        assert GET_HEADERS not in [request[0] for request in liar.requests]


HEADERS_SEALED_WRONG = {
    "its seal": ({"holds": False}, "seal-holds"),
    "easier than there is": ({"bits": 0x20FFFFFF}, "seal-holds"),
    "harder than it has to be": ({"bits": compact(2**253)}, "difficulty-follows-schedule"),
    "bits of no target": ({"bits": 0x2000FFFF + 0x800000}, "seal-holds"),
    "its time": ({"timestamp": 1}, "time-after-median"),
    "its log size": ({"log_size": 0}, "log-matches-records"),
    "its log root": ({"log_root": bytes(32)}, "log-matches-records"),
    "its body hash": ({"body_hash": bytes(32)}, "body-matches-header"),
}


@pytest.mark.parametrize("wrong", HEADERS_SEALED_WRONG)
def test_a_block_that_breaks_a_rule_of_its_header_is_refused(victim: Victim, wrong: str) -> None:
    """Catalogue rows 43, 50 and 51, pushed by somebody who did the work."""
    fields, rule = HEADERS_SEALED_WRONG[wrong]
    block = child(victim.network, victim.tip, [record("late", "x")], **fields)  # type: ignore[arg-type]
    victim.ends_with(lambda peer: peer.say(*push(block)), 4010, rule)


def test_a_block_from_the_future_is_taken_later_and_nobodys_fault(victim: Victim) -> None:
    """Catalogue row 49."""
    early = child(victim.network, victim.tip, timestamp=now_ms() + 300_000)
    soon = child(victim.network, victim.tip, timestamp=now_ms() + 60_000)
    with victim.dialled(victim.tip) as peer:
        peer.say(*push(early))
        assert peer.is_answered()
        assert victim.node.tip()[1] == victim.tip.hash.hex()
        assert victim.node.ask("GET", f"/blocks/{early.hash.hex()}")[0] == 404
    with victim.unharmed(), victim.source([*victim.chain[1:], early]) as ahead:
        ahead.dial(victim.node.port)
        assert ahead.asked.wait(PATIENCE_S)
        eventually(lambda: victim.node.get("/status")["sync"] is None, "it goes on asking")
        assert ahead.key_text not in victim.refused_keys()
    taken = child(victim.network, victim.tip, timestamp=soon.timestamp)
    with victim.dialled(victim.tip) as peer:
        peer.say(*push(taken))
        assert peer.is_answered()
        assert victim.node.tip()[1] == taken.hash.hex()
        victim.chain.append(taken)


# --- bodies -----------------------------------------------------------------------------------------


def test_another_body_does_not_condemn_a_good_header(victim: Victim) -> None:
    """Catalogue row 52: who sends it is thrown out; the block is as welcome from somebody else."""
    good = child(victim.network, victim.tip, [record("theirs-1", "x"), record("theirs-2", "y")])
    bodies = {
        "another record": [record("theirs-1", "x"), good.records[1]],
        "one too few": good.records[:1],
        "one twice": [*good.records, good.records[1]],
        "backwards": good.records[::-1],
        "none": [],
    }
    for records in bodies.values():
        with victim.dialled(victim.tip) as peer:
            peer.say(*push(good.with_body(records)))
            assert peer.close_code() == 4010
        assert victim.dropped()[0]["rule"] in {"body-matches-header", "record-is-new"}
    with victim.dialled(victim.tip) as peer:
        peer.say(*announce(good))
        number = peer.hear_next(GET_BLOCKS)[1]
        peer.say(BLOCKS, number, [good.with_body([]).whole], [])
        assert peer.close_code() == 4010
    victim.chain.append(good)
    with victim.unharmed_by_then(), victim.dialled(good) as peer:
        peer.say(*push(good))
        assert peer.is_answered()


def switched(change: Callable[[SealedBlock], SealedBlock], blocks: list[SealedBlock]) -> Fault:
    """The headers of the survey are true, and the blocks are others."""
    by_header = {block.header: block for block in blocks}

    def fault(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
        if request[0] != GET_HEADERS:
            return reply
        return [*reply[:3], [change(by_header[whole[: HEADER.size]]).whole for whole in reply[3]], reply[4]]

    return fault


def vanished(_node: FakeNode, _to: Conversation, request: Message, reply: Message) -> Message:
    """The headers of the survey are true, and there is nothing behind them."""
    return reply if request[0] != GET_HEADERS else [*reply[:3], [], []]


def test_bait_and_switch_between_survey_and_bodies(tmp_path: Path) -> None:
    """Catalogue row 45: a survey proves a heavier chain, and what is sent for it is not that chain. The chain itself is
    as welcome as ever, with its data or without."""
    network = Network.make("bait", now_ms() - DAY_MS)
    node = WorkNode(tmp_path / "node", network.write(tmp_path / "network.toml"))
    bodies = grow(network, network.genesis, 40, "bait")
    others = {block.index: block for block in grow(network, network.genesis, 40, "switch")}
    with nodes(node):
        victim = raised(node, network, 5)
        for fault in (
            switched(lambda block: block.with_body([record(f"bait-{block.index}", "other")]), bodies),
            switched(lambda block: others[block.index], bodies),
            vanished,
        ):
            with victim.unharmed(), victim.source(bodies, fault) as liar:
                liar.dial(node.port)
                eventually(lambda: liar.codes == [4010], "it is still welcome")
                assert GET_HEADERS in [request[0] for request in liar.requests]
                assert liar.key_text in victim.refused_keys()
                assert node.get("/forks") == []
        erased = switched(lambda block: block.with_body(each.erased for each in block.records), bodies)
        with victim.source(bodies, erased) as honest:  # entries are all that a chain commits to
            honest.dial(node.port)
            eventually(lambda: node.tip()[1] == bodies[-1].hash.hex(), "the true chain is refused")
            assert node.record("bait-7")["erased"] is True
            assert honest.codes == []


def oversized(victim: Victim) -> dict[str, tuple[SealedBlock, int, str]]:
    many = [record(f"many-{number}", number) for number in range(51)]
    long = [record(f"{number:0>128}", number) for number in range(100)]
    far = [record("far", "x" * 10_001)]
    huge = [record(f"huge-{number}", "x" * 9_000) for number in range(600)]
    blocks = {
        name: child(victim.network, victim.tip, held)
        for name, held in {"many": many, "long": long, "far": far, "huge": huge}.items()
    }
    return {
        "more records than it may have": (blocks["many"], 4010, "block-within-size"),
        "more bytes of entries": (blocks["long"], 4010, "block-within-size"),
        "more data in one record": (blocks["far"], 4010, "data-within-size"),
        "longer than a frame": (blocks["huge"], 1002, "message-is-decodable"),
    }


@pytest.mark.parametrize(
    "wrong",
    ["more records than it may have", "more bytes of entries", "more data in one record", "longer than a frame"],
)
def test_a_block_that_is_too_large_is_refused(victim: Victim, wrong: str) -> None:
    """Pushed where it is small enough for that, else fetched."""
    block, code, rule = oversized(victim)[wrong]

    def attack(peer: Conversation) -> None:
        peer.say(*announce(block))
        number = peer.hear_next(GET_BLOCKS)[1]
        peer.reply([BLOCKS, number, [block.whole], []])

    victim.ends_with(attack, code, rule)


NOT_BLOCKS = {
    "no header": b"",
    "half a header": b"TSB1" + bytes(60),
    "no records": b"",
    "a record too long": b"\x91\x94\xc0\xc0\xc0\xc0",
    "text for bytes": pack([["entry", bytes(16), b"1"]]),
    "something after them": b"\x90\x00",
    "more than there are": b"\xdd\xff\xff\xff\xff",
    "a longer form": b"\xdc\x00\x00",
    "nested without end": b"\x91" * 10_000,
    "no array": b"\x80",
}


@pytest.mark.parametrize("tail", NOT_BLOCKS)
def test_what_is_no_block_ends_the_connection(victim: Victim, tail: str) -> None:
    """Catalogue rows 1, 4, 8 and 10, for the bytes of a block."""
    header = b"" if tail in {"no header", "half a header"} else child(victim.network, victim.tip).header
    block = header + NOT_BLOCKS[tail]
    with victim.unharmed(), victim.dialled() as peer:
        peer.say(PUSH, block, bytes(32))
        assert peer.close_code() in {1002, 4010}
        assert public(peer.key).hex() in victim.refused_keys()
