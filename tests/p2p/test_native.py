"""Sockets that speak the native dialect: strangers, frames, back-pressure, and who is told of what."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
from websockets.frames import Opcode

from tallystick.errors import Rule
from tallystick.model.limits import KIB, MIB, Limits
from tallystick.node.effects import HangUp, Say
from tallystick.node.inputs import PeerClosed, PeerDrained, PeerOpened, PeerProgressed, PeerSaid
from tallystick.wire.dialect import Dialect

from .loopback import Node, RawPeer, Scene, frame, node, raw_peer

NATIVE = Dialect.NATIVE
SMALL = replace(Limits(), frame_bytes=100_000, stranger_frame_bytes=1_000)


@asynccontextmanager
async def native_peer(here: Node, receive_buffer: int | None = None) -> AsyncIterator[RawPeer]:
    """One that is admitted already."""
    before = len([event for event in here.ledger.inputs if isinstance(event, PeerOpened)])
    async with raw_peer(here.port, receive_buffer=receive_buffer, dialect=NATIVE) as peer:
        here.admits((await here.ledger.until(PeerOpened, before + 1))[-1].peer)
        yield peer


# --- strangers ------------------------------------------------------------------------------------------


def length_only(length: int) -> bytes:
    """The head of a masked binary frame that claims `length` bytes and brings none."""
    return struct.pack("!BBQ", 0x82, 0x80 | 127, length)


@pytest.mark.parametrize("admitted", [False, True])
@pytest.mark.parametrize(
    ("claim", "code", "rule"),
    [
        pytest.param(length_only, 1009, Rule.MESSAGE_WITHIN_SIZE, id="row 3: oversized by one, by its head alone"),
        pytest.param(
            lambda length: frame(Opcode.BINARY, b"x" * (length - 10), fin=False) + frame(Opcode.CONT, b"x" * 10),
            1009,
            Rule.MESSAGE_WITHIN_SIZE,
            id="row 5: too big in fragments",
        ),
        pytest.param(
            lambda _: frame(Opcode.BINARY, b"", fin=False) + frame(Opcode.CONT, b"", fin=False) * SMALL.idle_frames,
            4008,
            Rule.REQUESTS_WITHIN_RATE,
            id="row 5: endless empty fragments",
        ),
        pytest.param(
            lambda _: frame(Opcode.BINARY, b"zip", rsv1=True), 1002, Rule.MESSAGE_IS_WELL_FORMED, id="row 6: compressed"
        ),
        pytest.param(lambda _: frame(Opcode.TEXT, b"{}"), 1003, Rule.FRAME_KIND_FITS_DIALECT, id="row 7: text"),
        pytest.param(lambda _: b"\x89\xfe\x00\x7e" + b"\0" * 130, 1002, Rule.MESSAGE_IS_WELL_FORMED, id="a long ping"),
    ],
)
def test_what_breaks_a_rule_of_the_wire_is_refused_with_its_code(
    run: Scene,
    claim: Callable[[int], bytes],
    code: int,
    rule: Rule,
    admitted: bool,  # noqa: FBT001 - pytest passes it so
) -> None:
    """Catalogue rows 3, 5, 6, 7 and 35, and nobody else notices."""
    most = SMALL.frame_bytes if admitted else SMALL.stranger_frame_bytes

    async def scene() -> None:
        async with node(SMALL) as here, raw_peer(here.port, dialect=NATIVE) as peer, native_peer(here) as bystander:
            if admitted:
                here.admits(1)
            peer.say(b"x" * most)
            await here.ledger.until(PeerSaid)
            peer.send(claim(most + 1))
            assert (await peer.close_code()).code == code
            peer.close()
            closed = await here.closed()
            assert (closed.peer, closed.rule) == (1, rule)
            bystander.say(b"still here")
            await here.ledger.until(PeerSaid, 2)
            assert here.ledger.said() == [b"x" * most, b"still here"]

    run(scene)


def test_what_a_stranger_sends_behind_a_message_waits_until_it_was_handled(run: Scene) -> None:
    """The last words of a handshake and a long message may come in one chunk: the second is nobody's offence."""

    async def scene() -> None:
        async with node(SMALL) as here, raw_peer(here.port, dialect=NATIVE) as peer:
            here.ledger.gate = asyncio.Event()
            peer.send(frame(Opcode.BINARY, b"hello") + frame(Opcode.BINARY, b"x" * 90_000))
            await here.ledger.until(PeerSaid)
            socket = here.socket(1)
            await here.until(lambda: not socket._reading)
            assert socket._inbox.partial_bytes == 0
            here.admits(1)
            here.ledger.gate.set()
            await here.ledger.until(PeerSaid, 2)
            assert here.ledger.said() == [b"hello", b"x" * 90_000]

    run(scene)


def test_a_stranger_that_is_not_admitted_costs_a_chunk_and_ends_when_the_node_has_enough(run: Scene) -> None:
    """Catalogue rows 31 and 32: a hello byte by byte, and a flood from one who was not let in."""

    async def scene() -> None:
        async with (
            node(SMALL) as here,
            raw_peer(here.port, dialect=NATIVE) as slow,
            raw_peer(here.port, dialect=NATIVE) as flood,
        ):
            hello = frame(Opcode.BINARY, b"h" * 900)
            trickled = 0

            def trickle() -> bool:
                nonlocal trickled
                slow.send(hello[trickled : trickled + 1])
                trickled += 1
                return trickled == len(hello) - 1

            await here.until(trickle)
            here.ledger.gate = asyncio.Event()
            for _ in range(1_000):
                flood.say(b"f" * 900)
            await here.ledger.until(PeerSaid)
            await here.until(lambda: not here.socket(2)._reading)
            assert here.socket(1)._inbox.partial_bytes < 1_000
            assert len(here.socket(2)._inbox._messages) == 0
            assert len(here.socket(2)._raw) <= 512 * KIB
            for peer in (1, 2):
                here.hub.perform(HangUp(peer, 4006, "no handshake in time"))
            here.ledger.gate.set()
            assert (await slow.close_code()).code == (await flood.close_code()).code == 4006
            slow.close()
            flood.close()
            await here.ledger.until(PeerClosed, 2)
            assert not [event for event in here.ledger.inputs if isinstance(event, PeerProgressed)]

    run(scene)


# --- back-pressure --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "messages"), [(10, 16), (30_000, 4)])
def test_so_many_messages_or_bytes_wait_and_nothing_more_is_read(run: Scene, size: int, messages: int) -> None:
    """Catalogue row 35: the rest waits in the network; messages are handled one at a time."""
    limits = replace(SMALL, native_inbox_bytes=100_000)

    async def scene() -> None:
        async with node(limits) as here, native_peer(here) as peer:
            here.ledger.gate = asyncio.Event()
            sent = [b"%03d" % number * (size // 3) for number in range(200)]
            for message in sent:
                peer.say(message)
            await here.ledger.until(PeerSaid)
            socket = here.socket(1)
            await here.until(lambda: not socket._reading and len(socket._inbox._messages) >= messages - 1)
            assert len(socket._inbox._messages) <= messages
            assert len(socket._raw) <= 512 * KIB
            here.ledger.gate.set()
            await here.ledger.until(PeerSaid, 200)
            assert here.ledger.said() == sent
            assert here.ledger.handling_most == 1

    run(scene)


def test_who_asks_must_read_the_answers(run: Scene) -> None:
    """Reference 1.11, rule 2: no request is handled while the outbox is over the pause, and no reply is dropped."""
    limits = replace(Limits(), outbox_pause_bytes=100_000, native_outbox_drop_bytes=MIB)

    async def scene() -> None:
        async with node(limits) as here, native_peer(here, receive_buffer=4_096) as greedy:
            parts = [b"%d" % number * MIB for number in range(10)]
            for part in parts:
                here.hub.perform(Say([1], part))
            here.hub.perform(Say([1], b"dropped", gossip=True))
            greedy.say(b"and more")
            await here.until(lambda: bool(here.socket(1)._inbox))
            assert here.ledger.said() == []
            for part in parts:
                assert await greedy.next_message() == part
            await here.ledger.until(PeerSaid)
            assert await here.ledger.until(PeerDrained) == [PeerDrained(1)]
            here.hub.perform(Say([1], b"said again", gossip=True))
            assert await greedy.next_message() == b"said again"

    run(scene)


def test_a_peer_that_never_reads_is_dropped_and_nobody_else_notices(run: Scene) -> None:
    """Catalogue row 33: what it may hold of ours is bounded, and ends with the stall."""
    limits = replace(Limits(), outbox_stall_ms=200)

    async def scene() -> None:
        async with node(limits) as here, native_peer(here, receive_buffer=4_096), native_peer(here) as reading:
            news = [b"%d" % number * 500_000 for number in range(8)]
            for message in news:
                here.hub.perform(Say([1, 2], message, gossip=True))
                assert await reading.next_message() == message
                assert here.socket(1)._waiting_bytes() < limits.outbox_pause_bytes + 600_000
            closed = await here.closed()
            assert (closed.peer, closed.rule) == (1, Rule.OUTBOX_DRAINS)
            here.hub.perform(Say([1, 2], b"next"))
            assert await reading.next_message() == b"next"

    run(scene)


def test_too_much_waiting_costs_the_connection_at_once(run: Scene) -> None:
    """Catalogue row 33: one whole reply may wait, and so much beside it."""
    limits = replace(Limits(), native_outbox_drop_bytes=2 * MIB, reply_bytes=4 * MIB)

    async def scene() -> None:
        async with node(limits) as here, native_peer(here, receive_buffer=4_096) as deaf:
            for _ in range(20):
                here.hub.perform(Say([1], b"x" * MIB))
            assert (await here.closed()).rule is Rule.OUTBOX_DRAINS
            await deaf.is_cut_off()

    run(scene)


def test_two_full_outboxes_facing_each_other_drain(run: Scene) -> None:
    """Catalogue row 34: both have more to say than they may before they listen, in more messages than may wait."""
    limits = replace(Limits(), outbox_pause_bytes=200_000, native_inbox_bytes=MIB, outbox_stall_ms=60_000)

    async def scene() -> None:
        async with node(limits) as here, node(limits) as there:
            mine = (await here.dials(there.address)).peer
            theirs = (await there.ledger.until(PeerOpened))[0].peer
            said = [b"s" * 500] * 2_000 + [b"l" * MIB] * 6 + [b"last"]
            here.admits(mine)
            there.admits(theirs)
            for side, peer in ((here, mine), (there, theirs)):
                for message in said:
                    side.hub.perform(Say([peer], message))
            for side in (here, there):
                await side.ledger.until(PeerSaid, len(said))
                assert side.ledger.said() == said

    run(scene)


# --- what the node is told -------------------------------------------------------------------------------


def told_of(size_bytes: int, told: PeerProgressed) -> bool:
    return told.partial_bytes == size_bytes


def test_the_node_hears_of_a_message_that_is_still_arriving(run: Scene) -> None:
    """At most once in a while, and not of one that stands still."""
    limits = replace(Limits(), progress_every_ms=20)

    async def scene() -> None:
        async with node(limits) as here, native_peer(here) as peer:
            whole = frame(Opcode.BINARY, b"x" * 1_000_000)
            loop = asyncio.get_running_loop()
            began = loop.time()
            for end in (300_000, 600_000, 900_000):
                peer.send(whole[end - 300_000 : end])
                await here.ledger.until(PeerProgressed, where=partial(told_of, end))
            heard = await here.ledger.until(PeerProgressed)
            assert len(heard) <= (loop.time() - began) / 0.02 + 1
            sizes = [told.partial_bytes for told in heard]
            assert sizes == sorted(set(sizes))
            peer.send(whole[900_000:])
            await here.ledger.until(PeerSaid)
            assert here.hub.traffic(1) == (len(whole), 0)

    run(scene)


def test_the_traffic_of_a_connection_is_counted_frames_included(run: Scene) -> None:
    async def scene() -> None:
        async with node() as here, native_peer(here) as peer:
            peer.say(b"12345")
            await here.ledger.until(PeerSaid)
            here.hub.perform(Say([1], b"x" * 1_000))
            assert await peer.next_message() == b"x" * 1_000
            assert here.hub.traffic(1) == (6 + 5, 4 + 1_000)
            assert here.hub.traffic(2) is None
            assert here.hub.total_traffic() == here.hub.traffic(1)
            peer.close()
            await here.closed()
            await here.until(lambda: here.hub.traffic(1) is None)
            gone = here.hub.total_traffic()
            assert gone[0] >= 6 + 5
            assert gone[1] >= 4 + 1_000
            async with native_peer(here) as another:
                another.say(b"12345")
                await here.ledger.until(PeerSaid, 2)
                assert here.hub.total_traffic() == (gone[0] + 6 + 5, gone[1])

    run(scene)


def test_a_long_message_goes_out_in_fragments(run: Scene) -> None:
    async def scene() -> None:
        async with node(replace(Limits(), fragment_bytes=1_000)) as here, native_peer(here) as peer:
            here.hub.perform(Say([1], b"\x00" * 2_001))
            frames = [await peer.next_frame() for _ in range(3)]
            assert [(frame.opcode, frame.fin, len(frame.data)) for frame in frames] == [
                (Opcode.BINARY, False, 1_000),
                (Opcode.CONT, False, 1_000),
                (Opcode.CONT, True, 1),
            ]

    run(scene)
