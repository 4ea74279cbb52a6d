"""Attacks on the pool of a real node of a work network, by a peer that passes on records, or pretends to.

After each of them the node serves an honest client as before, and has not grown.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.system.memory import MIB, bounded_memory
from tests.system.native_client import (
    BLOCKS,
    GET_BLOCKS,
    GET_RECORDS,
    GET_SURVEY,
    HEADERS,
    INV,
    RECORDS,
    SURVEY,
    Conversation,
    Message,
    pack,
)
from tests.system.processes import eventually, nodes
from tests.system.sealed_client import (
    Network,
    Record,
    announce,
    base64_decode,
    base64url,
    canonical,
    child,
    digest,
    push,
    record,
)
from tests.system.victim import DAY_MS, Attack, Victim, everybodys_victim, now_ms, raised
from tests.system.work_nodes import WorkNode, verified


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with everybodys_victim(tmp_path_factory.mktemp("records")) as victim:
        yield victim


def tells(peer: Conversation, *records: Record) -> list[Any]:
    """Announce these, and hear which are asked for."""
    peer.say(INV, [each.name for each in records])
    return peer.hear_next(GET_RECORDS)


def gives(*records: Record, as_parts: Iterable[list[Any]] | None = None) -> Attack:
    """Announce records, and answer with them, or with other parts in their place."""

    def attack(peer: Conversation) -> None:
        request = tells(peer, *records)
        parts = [each.parts for each in records] if as_parts is None else list(as_parts)
        peer.say(RECORDS, request[1], parts, [])

    return attack


# --- as it should be --------------------------------------------------------------------------------


def test_a_record_crosses_each_connection_once(victim: Victim) -> None:
    """From one peer by name, then whole, and by name to another one that lacks it. A miner seals it."""
    new = [record(f"told-{number}", {"number": number}) for number in range(3)]
    with victim.dialled(victim.tip) as source, victim.dialled(victim.tip) as other:
        assert other.is_answered()
        request = tells(source, *new)
        assert request[2] == [each.name for each in new]
        source.say(RECORDS, request[1], [each.parts for each in new], [])
        assert other.hear_next(INV)[1] == [each.name for each in new]
        unknown = ["told-7", os.urandom(32)]
        answer = other.ask(GET_RECORDS, 1, [new[2].name, unknown, new[0].name])
        assert answer == [RECORDS, 1, [new[2].parts, new[0].parts], [1]]
        source.say(INV, [each.name for each in new])
        assert source.is_answered()  # and asked nothing before
        assert victim.node.pool() == 3
        block = child(victim.network, victim.tip, new)
        other.say(*push(block))
        assert other.is_answered()
        victim.chain.append(block)
    assert victim.node.pool() == 0
    assert victim.node.record("told-1")["data"] == {"number": 1}
    with victim.unharmed():
        pass


def test_a_record_that_was_erased_elsewhere_is_no_fault_and_no_record(victim: Victim) -> None:
    """In a pool it is worth nothing: whoever has it whole may still bring it."""
    whole = record("erased-elsewhere", "kept here")
    with victim.unharmed(), victim.dialled(victim.tip) as peer, victim.dialled(victim.tip) as other:
        gives(whole.erased)(peer)
        assert peer.is_answered()
        assert victim.node.states(whole.id) == []
        gives(whole)(other)
        assert other.is_answered()
        assert victim.node.record(whole.id)["data"] == "kept here"
        block = child(victim.network, victim.tip, [whole])
        other.say(*push(block))
        assert other.is_answered()
        victim.chain.append(block)


@pytest.mark.parametrize("twice", ["in the chain", "in one block"])
def test_no_record_is_in_the_log_twice(victim: Victim, twice: str) -> None:
    """Catalogue row 77: what is in a block already is asked of nobody, and no other block may hold it."""
    [old] = victim.chain[1].records
    new = record("twice", "in one block")
    block = child(victim.network, victim.tip, [old] if twice == "in the chain" else [new, new])
    victim.ends_with(lambda peer: peer.say(*push(block)), 4010, "record-is-new")
    with victim.dialled(victim.tip) as peer:
        assert tells(peer, old, new)[2] == [new.name]


# --- malformed --------------------------------------------------------------------------------------

GOOD = record("malformed", {"a": 1, "b": 2})
COMMIT = GOOD.entry.split(b'"')[3]


def entry(text: bytes) -> list[Any]:
    return [text, GOOD.salt, GOOD.data]


def committed(data: bytes, id: str = "malformed") -> Record:
    """A record whose commitment fits bytes that are no canonical form."""
    made = record(id, "")
    assert made.salt is not None
    return Record(canonical({"commit": base64url(digest(made.salt, data)), "id": id}), made.salt, data)


MALFORMED: dict[str, tuple[Record, list[Any], str]] = {
    "spaces in the entry": (GOOD, entry(GOOD.entry.replace(b":", b": ")), "entry-is-well-formed"),
    "another order": (GOOD, entry(b'{"id":"malformed","commit":"%b"}' % COMMIT), "entry-is-well-formed"),
    "a member too many": (GOOD, entry(GOOD.entry[:-1] + b',"z":1}'), "entry-is-well-formed"),
    "an id of other letters": (GOOD, entry(GOOD.entry.replace(b"malformed", b"mal formed")), "entry-is-well-formed"),
    "an id that is escaped": (
        GOOD,
        entry(GOOD.entry.replace(b"malformed", b"\\u006dalformed")),
        "entry-is-well-formed",
    ),
    "no JSON": (GOOD, entry(b"\xff" * 60), "entry-is-well-formed"),
    "a commit too short": (GOOD, entry(GOOD.entry.replace(COMMIT, COMMIT[:-1])), "entry-is-well-formed"),
    "idle bits in the commit": (GOOD, entry(GOOD.entry.replace(COMMIT, COMMIT[:-1] + b"B")), "entry-is-well-formed"),
    "other data": (GOOD, [GOOD.entry, GOOD.salt, b"1"], "commitment-matches-data"),
    "another salt": (GOOD, [GOOD.entry, bytes(16), GOOD.data], "commitment-matches-data"),
    "a short salt": (GOOD, [GOOD.entry, bytes(15), GOOD.data], "commitment-matches-data"),
    "salt without data": (GOOD, [GOOD.entry, GOOD.salt, None], "commitment-matches-data"),
    "data without salt": (GOOD, [GOOD.entry, None, GOOD.data], "commitment-matches-data"),
}

NOT_CANONICAL = {
    "spaces": b'{"a": 1}',
    "keys out of order": b'{"b":1,"a":2}',
    "a key twice": b'{"a":1,"a":1}',
    "1.0": b"1.0",
    "1e0": b"1e0",
    "minus zero": b"-0",
    "an integer beyond 2^53": b"9007199254740993",
    "NaN": b"NaN",
    "an escape too many": b'"\\u0061"',
    "a control character": b'"\x01"',
    "half a surrogate pair": b'"\\ud800"',
    "no UTF-8": b'"\xff"',
    "nested too deeply": b"[" * 65 + b"]" * 65,
    "nested without end": b"[" * 9_000,
    "a byte order mark": b'\xef\xbb\xbf"a"',
    "nothing": b"",
    "two values": b"1 2",
}


@pytest.mark.parametrize("wrong", MALFORMED)
def test_a_malformed_record_ends_the_connection(victim: Victim, wrong: str) -> None:
    """Catalogue row 81."""
    announced, parts, rule = MALFORMED[wrong]
    victim.ends_with(gives(announced, as_parts=[parts]), 4010, rule)
    assert victim.node.states(announced.id) == []


@pytest.mark.parametrize("wrong", NOT_CANONICAL)
def test_data_has_one_spelling(victim: Victim, wrong: str) -> None:
    """Catalogue row 81: what was hashed is canonical, or the record is none. In a block likewise."""
    bad = committed(NOT_CANONICAL[wrong], "spelling")
    victim.ends_with(gives(bad), 4010, "data-is-canonical")
    block = child(victim.network, victim.tip, [bad])
    victim.ends_with(lambda peer: peer.say(*push(block)), 4010, "data-is-canonical")
    assert victim.node.states(bad.id) == []


def test_data_that_no_block_may_hold_ends_the_connection(victim: Victim) -> None:
    victim.ends_with(gives(record("too-long", "x" * 9_999)), 4010, "data-within-size")


# --- answers that do not fit ------------------------------------------------------------------------

PAIR = [record("asked-1", 1), record("asked-2", 2)]
MISFITS: dict[str, tuple[list[Any], list[int]]] = {
    "another record": ([record("asked-1", 1).parts], []),
    "out of order": ([each.parts for each in PAIR[::-1]], []),
    "one twice": ([PAIR[0].parts] * 2, []),
    "nothing": ([], []),
    "too many": ([*(each.parts for each in PAIR), GOOD.parts], []),
    "no such place": ([PAIR[0].parts], [2]),
    "a place twice": ([], [0, 0]),
}


@pytest.mark.parametrize("answer", MISFITS)
def test_records_must_be_those_asked_for(victim: Victim, answer: str) -> None:
    """Catalogue row 60, of records."""
    parts, missing = MISFITS[answer]

    def attack(peer: Conversation) -> None:
        peer.say(RECORDS, tells(peer, *PAIR)[1], parts, missing)

    victim.ends_with(attack, 4010, "reply-fits-request")


UNSOLICITED: dict[str, Message] = {
    "records": [RECORDS, 1, [GOOD.parts], []],
    "a survey": [SURVEY, 1, [0, bytes(32)], []],
    "headers": [HEADERS, 1, [0, bytes(32)], [], []],
}


@pytest.mark.parametrize("reply", UNSOLICITED)
def test_what_nobody_asked_for_ends_the_connection(victim: Victim, reply: str) -> None:
    """Catalogue row 36."""
    victim.ends_with(lambda peer: peer.say(*UNSOLICITED[reply]), 4009, "reply-was-asked-for")
    assert victim.node.states(GOOD.id) == []


NO_MESSAGES = {
    "no names": pack([INV, []]),
    "1,001 names": pack([INV, [["a", bytes(32)]] * 1_001]),
    "an id of 129": pack([INV, [["a" * 129, bytes(32)]]]),
    "an empty id": pack([INV, [["", bytes(32)]]]),
    "an id with a line break": pack([INV, [["a\nb", bytes(32)]]]),
    "a leaf of 31 bytes": pack([INV, [["a", bytes(31)]]]),
    "257 records wanted": pack([GET_RECORDS, 1, [["a", bytes(32)]] * 257]),
    "none wanted": pack([GET_RECORDS, 1, []]),
    "2,001 headers wanted": pack([GET_SURVEY, 1, [], None, 2_001]),
    "a locator of 65": pack([GET_SURVEY, 1, [[index, bytes(32)] for index in range(65)], None, 1]),
    "a classic block, pushed": pack([32, [1, bytes(32), bytes(32), 1_700_000_000, "x"], bytes(32)]),
    "a weight of 31 bytes": pack([33, [[1, bytes(32)]], bytes(31)]),
}


@pytest.mark.parametrize("frame", NO_MESSAGES.values(), ids=NO_MESSAGES)
def test_what_is_no_message_of_this_network_ends_the_connection(victim: Victim, frame: bytes) -> None:
    """Catalogue rows 1, 9, 20 and 21."""
    with victim.unharmed(), victim.dialled() as peer:
        peer.say_raw(frame)
        assert peer.close_code() in {1002, 4010}


# --- floods -----------------------------------------------------------------------------------------


def test_records_that_never_come_hold_up_nothing(tmp_path: Path) -> None:
    """Catalogue row 80: names are announced by the ten thousand, by two who deliver nothing. Whoever has one of them
    delivers it; those who were late are not blamed, and what others tell of gets through meanwhile."""
    network = Network.make("floods", now_ms() - DAY_MS)
    node = WorkNode(tmp_path / "node", network.write(tmp_path / "network.toml"), limits={"record_patience_ms": 300})
    wanted = record("wanted", "at last")
    with nodes(node), ExitStack() as stack:
        victim = raised(node, network, 3)
        silent = [stack.enter_context(victim.dialled(victim.tip)) for _ in range(2)]
        stack.enter_context(bounded_memory(node))
        for number, peer in enumerate(silent):
            peer.say(INV, [wanted.name, *([f"never-{number}-0-{each}", os.urandom(32)] for each in range(999))])
            for batch in range(1, 70):
                peer.say(INV, [[f"never-{number}-{batch}-{each}", os.urandom(32)] for each in range(1_000)])
            assert peer.is_answered()
        honest = stack.enter_context(victim.dialled(victim.tip))
        honest.say(INV, [wanted.name])
        request = honest.hear_next(GET_RECORDS)
        assert request[2] == [wanted.name]
        honest.say(RECORDS, request[1], [wanted.parts], [])
        eventually(lambda: node.states("wanted") == ["pending"], "it is held back")
        assert all(peer.is_answered() for peer in silent)
        assert victim.dropped() == []
        block = child(network, victim.tip, [wanted])
        honest.say(*push(block))
        assert honest.is_answered()
        victim.chain.append(block)
        with victim.unharmed():
            pass


def test_a_flood_of_records_fills_one_peers_share_of_the_pool_and_no_more(tmp_path: Path) -> None:
    """Catalogue row 79: callers still find room, nobody is blamed, and what did not fit is as good in a block."""
    network = Network.make("pool", now_ms() - DAY_MS)
    limits = {"pool_bytes": 4 * MIB, "pool_foreign_bytes": 3 * MIB, "pool_peer_bytes": MIB}
    node = WorkNode(tmp_path / "node", network.write(tmp_path / "network.toml"), limits=limits)
    flood = [record(f"flood-{number}", "x" * 10_000) for number in range(200)]
    with nodes(node):
        victim = raised(node, network, 3)
        with victim.dialled(victim.tip) as source, victim.dialled(victim.tip) as miner:
            gives_in_parts(source, flood)
            taken = node.pool()
            assert 0.9 * MIB < node.get("/status")["pool"]["bytes"] <= MIB
            assert node.post("there is room for ours", "ours")["status"] == "pending"
            victim.chain.append(child(network, victim.tip, flood[-1:]))
            miner.say(*push(victim.tip))
            assert miner.is_answered()
            assert node.states(flood[-1].id) == ["included"]
            assert node.states(flood[0].id) == ["pending"]
            victim.chain.append(child(network, victim.tip, [*flood[:taken], as_shown(node.record("ours"))]))
            miner.say(*announce(victim.tip))
            miner.reply([BLOCKS, miner.hear_next(GET_BLOCKS)[1], [victim.tip.whole], []])
            assert miner.is_answered()
            assert node.pool() == 0
            assert source.is_answered()
            assert victim.dropped() == []
        with victim.unharmed():
            pass
        assert node.stop() == 0
    assert verified(node)


def gives_in_parts(peer: Conversation, records: list[Record]) -> None:
    request = tells(peer, *records)
    peer.reply([RECORDS, request[1], [each.parts for each in records], []])
    assert peer.is_answered()


def as_shown(shown: Mapping[str, Any]) -> Record:
    """A record as a node shows it to its clients."""
    entry = canonical({"commit": shown["commit"], "id": shown["id"]})
    return Record(entry, base64_decode(shown["salt"]), canonical(shown["data"]))
