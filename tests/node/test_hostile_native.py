"""Whatever native peers send, to strangers and to friends, nothing escapes the node and its promises hold.

The same machine as for the classic dialect, with its peers, its clock that jumps and its disk; beside them native
peers that get in honestly, and then send noise, broken messages, and messages that are sound and untrue.
"""

from __future__ import annotations

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from tallystick.errors import RuleViolation
from tallystick.model.block import Block, header_of
from tallystick.node.effects import Effect, Say
from tallystick.node.inputs import PeerOpened, PeerProgressed, PeerSaid
from tallystick.wire.dialect import Dialect
from tallystick.wire.native import codec
from tallystick.wire.native.handshake import Handshake, Side
from tallystick.wire.native.messages import (
    WEIGHT_BYTES,
    Addrs,
    Announce,
    Blocks,
    GetAddrs,
    GetBlocks,
    GetHeaders,
    GetRecords,
    GetSurvey,
    Headers,
    Hello,
    Message,
    Part,
    Point,
    Push,
    Reply,
    Request,
)
from tests.effort import examples
from tests.node.player import WALL_MS
from tests.node.strangers import headers_of, hello_of, identity_of, point, whole_of
from tests.node.test_hostile import ENGINE, LIMITS, REMOTES, Hostile, picks
from tests.wire.native.vocabulary import SEALED, messages

NAMES = ["a", "b", "c", "d"]

boasts = st.sampled_from([0, 0, 0, 1, 100, 2**255])


def claimed(index: int, boast: int) -> bytes:
    """What a chain of so many blocks is said to weigh, by somebody who boasts."""
    return (index + boast).to_bytes(WEIGHT_BYTES, "big")


class Fiend:
    """The other end of one native connection."""

    def __init__(self, number: int, name: str, hello: Hello, side: Side) -> None:
        self.number = number
        self.handshake = Handshake(identity_of(name), side, hello, lambda _: None)
        self.frames: list[bytes] = []
        self.asked: list[Request] = []
        """What the node asked and was not answered."""


class HostileNative(Hostile):
    """With native peers."""

    fiends: dict[int, Fiend]

    @initialize()
    def nobody_is_here(self) -> None:
        self.fiends = {}

    def note(self, effects: list[Effect]) -> None:
        super().note(effects)
        for say in [effect for effect in effects if isinstance(effect, Say)]:
            for peer in say.peers:
                if peer in getattr(self, "fiends", {}):
                    self.hears(self.fiends[peer], say.message)

    @staticmethod
    def hears(fiend: Fiend, frame: bytes) -> None:
        if not fiend.handshake.is_over:
            fiend.frames.append(frame)
            return
        message = codec.decode(frame)
        if isinstance(message, Request):
            fiend.asked.append(message)

    def talking(self) -> list[int]:
        return [peer for peer in super().talking() if peer not in self.fiends]

    def fiend(self, who: int) -> Fiend | None:
        """Some native peer whose handshake is over, and that we did not hang up on; where there is none, one comes."""
        inside = self.inside()
        if not inside:
            self.shakes(self.comes(f"newcomer {self.numbers}", "127.0.0.1:1", None, who))
            inside = self.inside()
        return inside[who % len(inside)] if inside else None

    def inside(self) -> list[Fiend]:
        return [
            fiend
            for number, fiend in self.fiends.items()
            if number in self.open and number not in self.closing and fiend.handshake.is_over
        ]

    def sends(self, fiend: Fiend, frame: bytes) -> None:
        if fiend.number in self.open and fiend.number not in self.closing:
            self.tell(PeerSaid(fiend.number, frame))

    # --- coming in -----------------------------------------------------------------------------

    def comes(self, name: str, remote: str, dialled: str | None, tip: int) -> Fiend:
        self.numbers += 1
        number = self.numbers
        self.open.append(number)
        block = self.blocks[tip % len(self.blocks)]
        side = Side.DIALLER if dialled is None else Side.ACCEPTOR
        fiend = self.fiends[number] = Fiend(number, name, hello_of(identity_of(name), block, number), side)
        self.tell(PeerOpened(number, remote, dialled, Dialect.NATIVE))
        return fiend

    def shakes(self, fiend: Fiend) -> None:
        for frame in fiend.handshake.begin():
            self.sends(fiend, frame)
        while fiend.frames and not fiend.handshake.is_over:
            frame = fiend.frames.pop(0)
            try:
                answers = fiend.handshake.receive(codec.decode(frame), frame)
            except RuleViolation:
                return
            for answer in answers:
                self.sends(fiend, answer)
        for frame in fiend.frames:
            self.hears(fiend, frame)

    @rule(name=st.sampled_from(NAMES), remote=st.sampled_from(REMOTES), tip=picks, shakes=st.booleans())
    def a_native_peer_dials(self, name: str, remote: str, tip: int, *, shakes: bool) -> None:
        fiend = self.comes(name, remote, None, tip)
        if shakes:
            self.shakes(fiend)

    @rule(name=st.sampled_from(NAMES), remote=st.sampled_from(REMOTES), tip=picks)
    def a_native_peer_comes_in(self, name: str, remote: str, tip: int) -> None:
        self.shakes(self.comes(name, remote, None, tip))

    @precondition(lambda self: self.dialling)
    @rule(name=st.sampled_from(NAMES), remote=st.sampled_from(REMOTES), pick=picks)
    def a_native_peer_is_dialled(self, name: str, remote: str, pick: int) -> None:
        dialled = self.dialling.pop(pick % len(self.dialling))
        self.shakes(self.comes(name, remote, dialled, pick))

    @rule(back=st.integers(0, 20), length=st.integers(5, 30), answers=st.integers(0, 4))
    def a_peer_comes_in_with_a_long_branch(self, back: int, length: int, answers: int) -> None:
        """That grew unseen; it gives some of it, and then it is what others make of it."""
        block = self.blocks[-1 - back % len(self.blocks)]
        for number in range(length):
            block = ENGINE.seal(header_of(block), f"{length} {number}", WALL_MS)
            if block not in self.blocks:
                self.blocks.append(block)
        tip = self.blocks.index(block)
        fiend = self.comes(f"long {self.numbers}", "127.0.0.1:1", None, tip)
        self.shakes(fiend)
        for _ in range(answers):
            if fiend.asked:
                self.sends(fiend, codec.encode(self.answer(fiend.asked.pop(0), tip, 99)))

    @rule(who=picks, frame=st.one_of(st.binary(max_size=40), messages.map(codec.encode)))
    def a_stranger_says_anything(self, who: int, frame: bytes) -> None:
        strangers = [fiend for fiend in self.fiends.values() if not fiend.handshake.is_over]
        if strangers:
            self.sends(strangers[who % len(strangers)], frame)

    # --- noise ---------------------------------------------------------------------------------

    @rule(message=messages)
    def a_sound_message_of_anything_arrives(self, message: Message) -> None:
        if fiend := next(iter(self.inside()), None):
            self.sends(fiend, codec.encode(message))

    @rule(message=messages, where=picks, byte=st.integers(0, 255), length=st.integers(0, 3))
    def a_broken_message_arrives(self, message: Message, where: int, byte: int, length: int) -> None:
        if fiend := next(iter(self.inside()), None):
            frame = bytearray(codec.encode(message))
            where %= len(frame)
            frame[where : where + length] = bytes([byte])
            self.sends(fiend, bytes(frame))

    @rule(who=picks, size=st.sampled_from([0, 1, 10_000]))
    def bytes_trickle_in(self, who: int, size: int) -> None:
        if (fiend := self.fiend(who)) is not None:
            self.tell(PeerProgressed(fiend.number, size))

    # --- what could be true ----------------------------------------------------------------------

    @rule(who=picks, pick=picks, count=st.integers(1, 3), boast=boasts)
    def blocks_are_pushed(self, who: int, pick: int, count: int, boast: int) -> None:
        if (fiend := self.fiend(who)) is not None:
            for block in self.chain_to(pick)[1:][-count:]:
                self.sends(fiend, codec.encode(Push(whole_of(block), claimed(block.index, boast))))

    @rule(who=picks, pick=picks, count=st.integers(1, 8), further=st.sampled_from([0, 0, 1, 2, 100]), boast=boasts)
    def blocks_are_announced(self, who: int, pick: int, count: int, further: int, boast: int) -> None:
        """Some that exist, and some that nobody has."""
        if (fiend := self.fiend(who)) is not None:
            points = [Point(each.index + further, point(each).hash) for each in self.chain_to(pick)[-count:]]
            self.sends(fiend, codec.encode(Announce(tuple(points), claimed(points[-1].index, boast))))

    @rule(who=picks, pick=picks, stop=st.none() | picks, most=st.integers(1, 9), plan=st.booleans())
    def headers_are_asked_for(self, who: int, pick: int, stop: int | None, most: int, *, plan: bool) -> None:
        if (fiend := self.fiend(who)) is not None:
            locator = tuple(point(block) for block in self.chain_to(pick)[::-1][:9])
            end = None if stop is None else point(self.blocks[stop % len(self.blocks)])
            self.sends(fiend, codec.encode(GetHeaders(1, locator, end, most, plan=plan)))

    @rule(who=picks, some=st.lists(picks, min_size=1, max_size=5))
    def blocks_are_asked_for(self, who: int, some: list[int]) -> None:
        if (fiend := self.fiend(who)) is not None:
            points = tuple(point(self.blocks[pick % len(self.blocks)]) for pick in some)
            self.sends(fiend, codec.encode(GetBlocks(1, points)))
            self.sends(fiend, codec.encode(GetAddrs(2)))

    # --- answers -------------------------------------------------------------------------------

    @rule(who=picks, pick=picks, most=st.sampled_from([1, 2, 99]), how=st.integers(0, 12), at=picks)
    def a_question_is_answered(self, who: int, pick: int, most: int, how: int, at: int) -> None:
        """Mostly from a chain that exists, and mostly truly."""
        asked = [fiend for fiend in self.inside() if fiend.asked]
        if not asked:
            return
        fiend = asked[who % len(asked)]
        request = fiend.asked.pop(0)
        reply = self.twisted(self.answer(request, pick, most), how, at)
        if how == 11:
            for frame in codec.in_parts(reply, 70):
                self.sends(fiend, frame)
        elif how == 12:
            self.sends(fiend, codec.encode(Part(request.id, last=False, piece=b"x" * 150)))
            fiend.asked.append(request)
        else:
            self.sends(fiend, codec.encode(reply))

    @rule(who=picks, pick=picks)
    def everything_is_answered_truly(self, who: int, pick: int) -> None:
        """By somebody who has the longest chain of all, or some other."""
        best = max(range(len(self.blocks)), key=lambda at: self.blocks[at].index)
        for _ in range(12):
            asked = [fiend for fiend in self.inside() if fiend.asked]
            if not asked:
                return
            fiend, chain = asked[who % len(asked)], best if pick % 2 else pick
            self.sends(fiend, codec.encode(self.answer(fiend.asked.pop(0), chain, 99)))

    def answer(self, request: Request, pick: int, most: int) -> Reply:
        chain = self.chain_to(pick)
        match request:
            case GetHeaders():
                return headers_of(chain, request, most, LIMITS.plan_batches)
            case GetBlocks():
                by_point = {point(block): block for block in self.blocks if block.index}
                found = tuple(whole_of(by_point[at]) for at in request.points if at in by_point)
                gone = tuple(n for n, at in enumerate(request.points) if at not in by_point)
                return Blocks(request.id, found, gone)
            case GetAddrs():
                return Addrs(request.id, ())
            case GetSurvey() | GetRecords():
                raise AssertionError("it has no meaning in a classic network")

    @staticmethod
    def twisted(reply: Reply, how: int, at: int) -> Reply:  # noqa: PLR0911 - a lie a case
        change = msgspec.structs.replace
        match how, reply:
            case 0, _:
                return change(reply, id=reply.id + 1)
            case ((1 | 2 | 3), (Headers() | Blocks())) if reply.blocks:
                at %= len(reply.blocks)
                block = reply.blocks[at]
                assert not isinstance(block, bytes)
                changed = [
                    change(block, data="!"),
                    change(block, hash=bytes(32)),
                    change(block, timestamp=1_234_567_890),
                ]
                return change(reply, blocks=(*reply.blocks[:at], changed[how - 1], *reply.blocks[at + 1 :]))
            case 4, (Headers() | Blocks()):
                return change(reply, blocks=reply.blocks[::-1])
            case 5, Headers():
                return change(reply, parent=Point(reply.parent.index + at % 3, reply.parent.hash))
            case 6, Headers():
                return change(reply, plan=tuple(bytes([n]) * 32 for n in range(at % 32)))
            case 7, (Headers() | Blocks()):
                return change(reply, blocks=())
            case 8, (Headers() | Blocks()) if reply.blocks:
                return change(reply, blocks=(*reply.blocks[:-1], SEALED))
        return reply

    # --- what must hold ------------------------------------------------------------------------

    @invariant()
    def what_is_fetched_is_bounded_and_accounted_for(self) -> None:
        fetching = self.node.node._native.fetching
        sync, batches = fetching.sync, fetching.sync._batches
        assert sync._waiting_bytes == sum(
            len(block.data) for batch in batches for block in batch.blocks if isinstance(block, Block)
        )
        assert len(batches) <= LIMITS.window_batches + 33
        for peer, candidate in sync._candidates.items():
            under_way = sum(batch.peer == peer for batch in [*batches, *sync._abandoned])
            assert candidate.in_flight == under_way <= LIMITS.requests_in_flight
        assert {batch.peer for batch in batches} - {None} <= set(sync._candidates) <= set(self.open)
        assert sync.is_active or not batches
        assert fetching._left_staged or fetching._staged is None
        assert sync.is_active or not fetching._left_staged or self.node.node._native._arrivals._wanted is not None
        unfinished = sum(session.unfinished_bytes for _, session in self.node.node._peers.native())
        assert unfinished <= LIMITS.window_bytes

    @invariant()
    def one_connection_a_key(self) -> None:
        keys = [session.key for _, session in self.node.node._peers.native()]
        assert len(keys) == len(set(keys))


TestHostileNative = HostileNative.TestCase
TestHostileNative.settings = settings(max_examples=examples(80), stateful_step_count=60, deadline=None)
TestHostileNative.__doc__ = "Catalogue row 23: native peers beside classic ones, honest, broken and lying."
