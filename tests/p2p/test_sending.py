"""What goes out over a socket: whole messages, gossip, and peers that do not read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from websockets.frames import Opcode

from tallystick.errors import Rule
from tallystick.model.limits import KIB, MIB, Limits
from tallystick.node.effects import HangUp, Ping, Say
from tallystick.node.inputs import PeerClosed, PeerDrained, PeerOpened, PeerSaid
from tallystick.wire.dialect import Dialect

from .loopback import Scene, frame, node, raw_peer


def test_a_message_goes_out_as_one_frame_and_a_long_one_in_fragments(run: Scene) -> None:
    limits = replace(Limits(), fragment_bytes=1_000)

    async def scene() -> None:
        async with node(limits) as here, raw_peer(here.port) as peer:
            await here.ledger.until(PeerOpened)
            here.hub.perform(Say([1], b'{"type": 0}'))
            assert await peer.reader.readexactly(13) == b'\x81\x0b{"type": 0}'
            here.hub.perform(Say([1], b"x" * 1_000))
            here.hub.perform(Say([1], b"y" * 2_001))
            here.hub.perform(Say([1], b""))
            frames = [await peer.next_frame() for _ in range(5)]
            assert [(frame.opcode, frame.fin, len(frame.data)) for frame in frames] == [
                (Opcode.TEXT, True, 1_000),
                (Opcode.TEXT, False, 1_000),
                (Opcode.CONT, False, 1_000),
                (Opcode.CONT, True, 1),
                (Opcode.TEXT, True, 0),
            ]

    run(scene)


@pytest.mark.parametrize("dialect", Dialect)
def test_a_dialled_connection_speaks_and_listens_like_an_accepted_one(run: Scene, dialect: Dialect) -> None:
    async def scene() -> None:
        async with node() as here, node(speaks=dialect) as there:
            opened = await here.dials(there.address)
            assert (opened.dialled, opened.remote) == (there.address, f"127.0.0.1:{there.port}")
            [met] = await there.ledger.until(PeerOpened)
            assert met.dialled is None
            assert opened.dialect is met.dialect is dialect
            here.admits(opened.peer)
            there.admits(met.peer)
            text = "š".encode() * 100_000
            here.hub.perform(Say([opened.peer], text))
            there.hub.perform(Say([met.peer], text))
            await here.ledger.until(PeerSaid)
            await there.ledger.until(PeerSaid)
            assert here.ledger.said() == there.ledger.said() == [text]
            here.hub.perform(HangUp(opened.peer, 1001, "so long"))
            assert (await there.closed()).reason == "the peer hung up: 1001 'so long'"
            assert (await here.closed()).rule is None

    run(scene)


def test_a_peer_that_never_reads_is_dropped_and_nobody_else_notices(run: Scene) -> None:
    """Catalogue row 33, and a defect of the book's node: its broadcast waits for every socket in turn."""
    limits = replace(Limits(), outbox_stall_ms=200, outbox_drop_bytes=64 * MIB)

    async def scene() -> None:
        async with node(limits) as here, raw_peer(here.port, receive_buffer=4_096), raw_peer(here.port) as reading:
            await here.ledger.until(PeerOpened, 2)
            for number in range(8):
                here.hub.perform(Say([1, 2], b"%d" % number * 2_000_000))
            for number in range(8):
                assert await reading.next_message() == b"%d" % number * 2_000_000
            closed = await here.closed()
            assert (closed.peer, closed.rule) == (1, Rule.OUTBOX_DRAINS)
            here.hub.perform(Say([1, 2], b"next"))
            assert await reading.next_message() == b"next"

    run(scene)


def test_too_much_waiting_costs_the_connection_at_once(run: Scene) -> None:
    limits = replace(Limits(), outbox_drop_bytes=4 * MIB)

    async def scene() -> None:
        async with node(limits) as here, raw_peer(here.port, receive_buffer=4_096) as deaf:
            await here.ledger.until(PeerOpened)
            for _ in range(20):
                here.hub.perform(Say([1], b"x" * MIB))
            assert (await here.closed()).rule is Rule.OUTBOX_DRAINS
            await deaf.is_cut_off()

    run(scene)


def test_a_broadcast_of_a_large_message_holds_it_once(run: Scene) -> None:
    async def scene() -> None:
        async with node() as here, raw_peer(here.port, receive_buffer=4_096), raw_peer(here.port, receive_buffer=4_096):
            await here.ledger.until(PeerOpened, 2)
            text = b"x" * (16 * MIB)
            here.hub.perform(Say([1, 2], text))
            for number in (1, 2):
                transport = here.socket(number)._transport
                assert transport.get_write_buffer_size() < 4 * here.ledger.limits.fragment_bytes
                assert here.socket(number)._outbox._piece.obj is text

    run(scene)


def test_gossip_that_does_not_fit_is_dropped_and_we_hear_when_the_peer_has_caught_up(run: Scene) -> None:
    limits = replace(Limits(), outbox_pause_bytes=100_000)

    async def scene() -> None:
        async with node(limits) as here, raw_peer(here.port, receive_buffer=4_096) as slow:
            await here.ledger.until(PeerOpened)
            reply = b"r" * (8 * MIB)
            here.hub.perform(Say([1], reply))
            here.hub.perform(Say([1], b"dropped", gossip=True))
            here.hub.perform(Say([1], b"kept"))
            assert not [event for event in here.ledger.inputs if isinstance(event, PeerDrained)]
            assert await slow.next_message() == reply
            assert await slow.next_message() == b"kept"
            assert await here.ledger.until(PeerDrained) == [PeerDrained(1)]
            here.hub.perform(Say([1], b"fits", gossip=True))
            assert await slow.next_message() == b"fits"
            assert len(await here.ledger.until(PeerDrained)) == 1

    run(scene)


def test_who_asks_must_read_the_answers(run: Scene) -> None:
    """Reference 1.11, rule 2: the next message is not handled while the outbox is over the pause."""

    async def scene() -> None:
        async with node() as here, raw_peer(here.port, receive_buffer=4_096) as greedy:
            await here.ledger.until(PeerOpened)
            answer = b"a" * (8 * MIB)
            here.hub.perform(Say([1], answer))
            greedy.text(b"and more")
            await here.until(lambda: bool(here.socket(1)._inbox))
            assert here.ledger.said() == []
            assert await greedy.next_message() == answer
            await here.ledger.until(PeerSaid)
            assert here.ledger.said() == [b"and more"]

    run(scene)


def test_who_pings_must_read_the_pongs(run: Scene) -> None:
    """A flood of pings that is never read costs the peer its connection, and us a bounded amount."""
    limits = replace(Limits(), outbox_pause_bytes=50_000, outbox_stall_ms=200, idle_frames=10**9)

    async def scene() -> None:
        async with node(limits) as here, raw_peer(here.port, receive_buffer=4_096) as flood:
            await here.ledger.until(PeerOpened)
            socket = here.socket(1)
            most = 0
            pings = frame(Opcode.PING, b"p" * 125) * 500

            def flooding() -> bool:
                nonlocal most
                if flood.writer.transport.get_write_buffer_size() < 10 * MIB:
                    flood.send(pings)
                most = max(most, socket._waiting_bytes())
                return any(isinstance(event, PeerClosed) for event in here.ledger.inputs)

            await here.until(flooding)
            assert (await here.closed()).rule is Rule.OUTBOX_DRAINS
            assert most < limits.outbox_pause_bytes + 2 * limits.fragment_bytes + 8 * KIB

    run(scene)


def test_two_full_outboxes_facing_each_other_drain(run: Scene) -> None:
    """Catalogue row 34: both sides have more to say than they may before they listen; neither waits for ever."""
    limits = replace(Limits(), large_message_bytes=MIB, outbox_stall_ms=60_000)

    async def scene() -> None:
        async with node(limits, speaks=Dialect.CLASSIC) as here, node(limits, speaks=Dialect.CLASSIC) as there:
            mine = (await here.dials(there.address)).peer
            theirs = (await there.ledger.until(PeerOpened))[0].peer
            small = [b"s" * 500] * 2_000
            large = b"l" * (12 * MIB)
            for side, peer in ((here, mine), (there, theirs)):
                for text in (*small, large, b"last"):
                    side.hub.perform(Say([peer], text))
            for side in (here, there):
                await side.ledger.until(PeerSaid, len(small) + 2)
                assert side.ledger.said() == [*small, large, b"last"]

    run(scene)


def test_a_ring_of_nodes_sending_each_other_large_messages_comes_to_rest(run: Scene) -> None:
    """Three permits, each asked for by the next node's message: holders never wait for each other."""
    limits = replace(Limits(), large_message_bytes=100_000, outbox_pause_bytes=100_000, outbox_stall_ms=60_000)

    async def scene() -> None:
        classic = Dialect.CLASSIC
        async with (
            node(limits, speaks=classic) as one,
            node(limits, speaks=classic) as two,
            node(limits, speaks=classic) as three,
        ):
            nodes = [one, two, three]
            for here, there in ((one, two), (two, three), (three, one)):
                await here.dials(there.address)
            for here in nodes:
                opened = await here.ledger.until(PeerOpened, 2)
                for _ in range(2):
                    here.hub.perform(Say([event.peer for event in opened], b"x" * (5 * MIB)))
            for here in nodes:
                await here.ledger.until(PeerSaid, 4)

    run(scene)


def test_a_dead_socket_in_a_broadcast_harms_nobody(run: Scene) -> None:
    """A defect of the book's node: after one peer died, every later broadcast raised."""

    async def scene() -> None:
        async with node() as here, raw_peer(here.port) as first:
            await here.ledger.until(PeerOpened)
            async with raw_peer(here.port) as dying:
                await here.ledger.until(PeerOpened, 2)
                dying.close()
            async with raw_peer(here.port) as last:
                await here.ledger.until(PeerOpened, 3)
                here.socket(1)._transport.abort()
                for _ in range(3):
                    here.hub.perform(Say([1, 2, 3, 4], b"to all"))
                    here.hub.perform(Ping(2))
                    assert await last.next_message() == b"to all"
                await first.is_cut_off()
                await here.ledger.until(PeerClosed, 2)

    run(scene)
