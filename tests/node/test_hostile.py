"""Whatever peers send, in whatever order, nothing escapes the node and its promises hold."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tallystick.consensus.classic import ClassicEngine
from tallystick.errors import Rule
from tallystick.model.block import Block, block_hash, header_of
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.effects import Dial, Effect, HangUp
from tallystick.node.inputs import (
    AddPeer,
    ChainSaid,
    DialFailed,
    PeerClosed,
    PeerDrained,
    PeerOpened,
    PeerPonged,
    PeerSaid,
    Post,
    RemovePeer,
)
from tallystick.storage.opening import open_store
from tallystick.storage.verify import verify
from tallystick.wire import classic
from tests.effort import examples
from tests.node.player import WALL_MS, Player, unchecked

LIMITS = Limits(
    view_page=3,
    recent_headers=3,
    side_bytes=3_000,
    page_bytes=2_000,
    message_bytes=40_000,
    classic_inbound_peers=3,
    native_inbound_peers=4,
    batch_blocks=3,
    headers_per_reply=3,
    plan_batches=3,
    window_batches=3,
    window_bytes=4_000,
    staged_bytes=4_000,
    reply_soft_bytes=300,
    part_bytes=200,
    push_bytes=50,
    known_blocks=6,
    expired_requests=3,
    received_bytes_per_minute=200_000,
    chain_bytes_per_minute=20_000,
    peer_addresses=3,
    discouraged_addresses=2,
    index_batch=5,
    query_all_patience_ms=1_000,
)
ENGINE = ClassicEngine(CLASSIC)
ADDRESSES = [f"ws://{name}:1" for name in "abcd"]
REMOTES = ["127.0.0.1:1", "8.8.8.8:1", "8.8.4.4:1", "[2001:db8::1]:1", "1.1.1.1:1"]

picks = st.integers(0, 10**6)
integers = st.one_of(
    st.sampled_from(
        [-1, 0, 1, 2**31, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**79, 10**81, 10**4200]
    ),
    st.integers(-3, 30),
)
texts = st.one_of(
    st.sampled_from(
        ["", "\0", "a\0b", "\ufeff", "\u202e", "\U0010ffff", "é" * 40, "x" * 2_500, '":', "\\", "0", "f" * 64]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
)
scalars = st.one_of(integers, texts, st.booleans(), st.none(), st.floats(), st.sampled_from(["\ud800", [], {}, [[]]]))
KEYS = ["data", "hash", "index", "previous_hash", "timestamp"]


class Hostile(RuleBasedStateMachine):
    """A node over a real file, honest blocks of others, and messages that are anything but."""

    @initialize(max_reorg=st.sampled_from([None, 0, 2]))
    def starts(self, max_reorg: int | None) -> None:
        self.folder = TemporaryDirectory()
        self.store, self.reader = open_store(Path(self.folder.name), CLASSIC, LIMITS)
        self.node = Player(LIMITS, store=self.store, reader=self.reader, dial=ADDRESSES[:2], max_reorg=max_reorg)
        self.blocks: list[Block] = [GENESIS]
        self.posts: list[str] = []
        self.open: list[int] = []
        self.closing: set[int] = set()
        self.dialling: list[str] = []
        self.numbers = 0

    def tell(self, *events: Any) -> list[Effect]:  # noqa: ANN401 - any input
        effects = self.node.tell(*events)
        self.blocks += [block for block in self.node.chain() if block not in self.blocks]
        self.note(effects)
        return effects

    def note(self, effects: list[Effect]) -> None:
        self.dialling += [effect.address for effect in effects if isinstance(effect, Dial)]
        for effect in effects:
            if isinstance(effect, HangUp):
                assert effect.peer in self.open
                self.closing.add(effect.peer)

    # --- blocks, good and bad ------------------------------------------------------------------

    @rule(who=picks, back=st.integers(0, 8), length=st.integers(1, 6), text=texts, how=st.integers(0, 3))
    def somebody_mines(self, who: int, back: int, length: int, text: str, how: int) -> None:
        """On one of the newest blocks, and tells us: by the last, by each, by the whole chain, or not at all."""
        block = self.blocks[-1 - back % len(self.blocks)]
        mined = []
        for _ in range(length):
            block = ENGINE.seal(header_of(block), text, WALL_MS)
            mined.append(block)
        self.blocks += [block for block in mined if block not in self.blocks]
        whole = self.chain_to(self.blocks.index(block))
        for blocks in ([[block]], [[each] for each in mined], [whole], [])[how]:
            self.say(who, classic.response(blocks))

    @rule(who=picks, pick=picks, whole=st.booleans())
    def good_blocks_arrive(self, who: int, pick: int, *, whole: bool) -> None:
        self.say(who, classic.response(self.chain_to(pick) if whole else [self.blocks[pick % len(self.blocks)]]))

    @rule(who=picks)
    def the_best_chain_of_all_arrives(self, who: int) -> None:
        best = max(range(len(self.blocks)), key=lambda at: self.blocks[at].index)
        self.say(who, classic.response(self.chain_to(best)))

    @rule(who=picks, pick=picks, at=picks, key=st.sampled_from(KEYS), value=scalars, reseal=st.booleans())
    def a_changed_block_arrives(self, who: int, pick: int, at: int, key: str, value: object, *, reseal: bool) -> None:
        rows: list[dict[str, Any]] = [msgspec.structs.asdict(block) for block in self.chain_to(pick)]
        row = rows[at % len(rows)]
        row[key] = value
        if reseal:
            try:
                row["hash"] = block_hash(row["index"], row["previous_hash"], row["timestamp"], row["data"])
            except (ValueError, UnicodeError):
                row["hash"] = "x"
        try:
            inner = json.dumps(rows)
        except ValueError:  # an integer too long to write: written as somebody else would
            row[key] = "\1"
            inner = json.dumps(rows).replace('"\\u0001"', "9" * 5_000)
        self.say(who, json.dumps({"type": 2, "data": inner}).encode())

    @rule(who=picks, pick=picks, where=picks, byte=st.integers(0, 255), length=st.integers(0, 3))
    def mutated_bytes_arrive(self, who: int, pick: int, where: int, byte: int, length: int) -> None:
        text = bytearray(classic.response(self.chain_to(pick)))
        where %= len(text)
        text[where : where + length] = bytes([byte])
        self.say(who, bytes(text))

    @rule(who=picks, message=st.fixed_dictionaries({}, optional={"type": scalars, "data": scalars, "x": scalars}))
    def an_odd_message_arrives(self, who: int, message: object) -> None:
        self.say(who, json.dumps(message).encode(errors="surrogatepass"))

    @rule(who=picks, text=st.sampled_from([classic.QUERY_ALL, classic.QUERY_LATEST, b"", b"[" * 30_000]))
    def a_short_message_arrives(self, who: int, text: bytes) -> None:
        self.say(who, text)

    def say(self, who: int, text: bytes) -> None:
        """Some peer that we did not hang up on says this; where there is none, one dials."""
        talking = self.talking()
        if not talking:
            for peer in self.open:
                self.tell(PeerClosed(peer, "gone"))
            self.open.clear()
            self.somebody_dials("127.0.0.1:1")
            talking = self.talking()
        if len(text) <= LIMITS.message_bytes:
            self.tell(PeerSaid(talking[who % len(talking)], text))

    def talking(self) -> list[int]:
        """Classic peers that may still say something."""
        return [peer for peer in self.open if peer not in self.closing]

    def chain_to(self, pick: int) -> list[Block]:
        by_hash = {block.hash: block for block in self.blocks}
        chain = [self.blocks[pick % len(self.blocks)]]
        while chain[-1].index:
            chain.append(by_hash[chain[-1].previous_hash])
        return chain[::-1]

    # --- ourselves -----------------------------------------------------------------------------

    @rule(text=texts)
    def we_post(self, text: str) -> None:
        data = f"{len(self.posts)} {text}"
        self.tell(Post(1, data))
        self.posts.append(data)

    @rule(remote=st.sampled_from(REMOTES))
    def somebody_dials(self, remote: str) -> None:
        self.numbers += 1
        self.open.append(self.numbers)
        self.tell(PeerOpened(self.numbers, remote, None))

    @rule(pick=picks, remote=st.sampled_from(REMOTES))
    def a_dial_succeeds(self, pick: int, remote: str) -> None:
        if self.dialling:
            self.numbers += 1
            self.open.append(self.numbers)
            self.tell(PeerOpened(self.numbers, remote, self.dialling.pop(pick % len(self.dialling))))

    @rule(pick=picks)
    def a_dial_fails(self, pick: int) -> None:
        if self.dialling:
            self.tell(DialFailed(self.dialling.pop(pick % len(self.dialling)), "refused"))

    @rule(who=picks, broken=st.sampled_from([None, Rule.OUTBOX_DRAINS, Rule.MESSAGE_WITHIN_SIZE]))
    def a_connection_ends(self, who: int, broken: Rule | None) -> None:
        if self.open:
            self.tell(PeerClosed(self.open.pop(who % len(self.open)), "gone", broken))

    @rule(who=picks, size=st.sampled_from([0, 100, 30_000]))
    def the_socket_reports(self, who: int, size: int) -> None:
        if self.open:
            peer = self.open[who % len(self.open)]
            self.tell(PeerPonged(peer), PeerDrained(peer), ChainSaid(peer, size))

    @rule(address=st.sampled_from(ADDRESSES), remove=st.booleans())
    def the_operator_decides(self, address: str, *, remove: bool) -> None:
        self.tell(RemovePeer(1, address) if remove else AddPeer(1, address))

    @rule(ms=st.sampled_from([0, 1, 500, 30_000, 600_000]))
    def time_passes(self, ms: int) -> None:
        self.note(self.node.wait(ms))

    @rule(ms=st.sampled_from([0, 6_000, 600_000]))
    def time_passes_unnoticed(self, ms: int) -> None:
        """A stall: nothing is ticked meanwhile, everything is late."""
        self.node.mono_ms += ms

    @rule()
    def we_restart(self) -> None:
        self.node.restart()
        self.open.clear()
        self.dialling.clear()

    # --- what must hold ------------------------------------------------------------------------

    @invariant()
    def the_chain_is_sound_and_is_what_the_node_believes(self) -> None:
        chain = self.node.chain()
        for parent, block in pairwise(chain):
            ENGINE.check_in_place(ENGINE.check_alone(unchecked(block)), header_of(parent))
        status = self.node.node.status(self.node.now, self.store)
        assert (chain[0], status.tip) == (GENESIS, header_of(chain[-1]))

    @invariant()
    def every_post_is_there_once_or_waits(self) -> None:
        held = Counter(self.node.data())
        missing = [post for post in self.posts if held[post] != 1]
        assert all(held[post] == 0 for post in missing)
        assert bool(missing) == bool(self.store.lost(1))

    @invariant()
    def what_is_remembered_is_bounded(self) -> None:
        status = self.node.node.status(self.node.now, self.store)
        assert len(status.dropped) <= 20
        dialled = {peer.dialled for peer in status.peers if peer.dialled}
        assert len(dialled) == len([peer for peer in status.peers if peer.dialled]), "one connection an address"
        assert len(dialled) <= LIMITS.peer_addresses + len(self.node.profile.dial)
        inbound = LIMITS.classic_inbound_peers + LIMITS.native_inbound_peers
        assert len([peer for peer in status.peers if not peer.dialled]) <= inbound
        assert len(repr(status)) < 30_000

    @invariant()
    def the_timer_neither_starves_nor_spins(self) -> None:
        """After the ticks that are due (one for each page of lost posts) the next is later: in a minute at most, or
        when the book of addresses goes to disk."""
        self.node.wait(0)
        self.note(self.node.effects)
        wake = self.node.node.wake_at_ms()
        assert wake is None or self.node.mono_ms < wake <= self.node.mono_ms + LIMITS.save_addresses_ms

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        for _ in range(3):
            self.node.wait(60_000)
        assert not self.store.lost(1)
        self.every_post_is_there_once_or_waits()
        self.reader.close()
        self.store.close()
        verify(Path(self.folder.name), CLASSIC, thorough=True)
        self.folder.cleanup()


TestHostile = Hostile.TestCase
TestHostile.settings = settings(max_examples=examples(80), stateful_step_count=50, deadline=None)
TestHostile.__doc__ = "Catalogue row 23: structured and mutated messages, through the node to the disk."
