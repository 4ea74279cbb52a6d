"""What arrives over a socket: frames, limits, order and back-pressure."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace

import pytest
from websockets.frames import Opcode

from tallystick.errors import Rule
from tallystick.model.limits import KIB, Limits
from tallystick.node.effects import HangUp, Hold, Ping, Say
from tallystick.node.inputs import PeerClosed, PeerOpened, PeerPonged, PeerSaid

from .loopback import Scene, frame, node, patience, raw_peer

SMALL = replace(Limits(), message_bytes=100_000, large_message_bytes=20_000)


def test_messages_arrive_as_they_were_sent_and_in_order(run: Scene) -> None:
    async def scene() -> None:
        async with node() as here, raw_peer(here.port) as peer:
            texts = [b"", b'{"type": 0}', "žluťoučký".encode(), b"x" * 70_000]
            for text in texts:
                peer.text(text)
            peer.send(frame(Opcode.TEXT, b"in ", fin=False))
            peer.send(frame(Opcode.CONT, "thřee ".encode()[:3], fin=False))
            peer.send(frame(Opcode.PING, b"between"))
            peer.send(frame(Opcode.CONT, "thřee ".encode()[3:]))
            await here.ledger.until(PeerSaid, 5)
            assert here.ledger.said() == [*texts, "in thřee ".encode()]
            assert all(type(text) is bytes for text in here.ledger.said())
            assert (await peer.next_frame()).opcode is Opcode.PONG

    run(scene)


def test_messages_sent_together_with_the_handshake_are_not_lost(run: Scene) -> None:
    async def scene() -> None:
        early = frame(Opcode.TEXT, b"early") + frame(Opcode.TEXT, b"x" * 90_000)
        async with node(SMALL) as here, raw_peer(here.port, extra=early):
            await here.ledger.until(PeerSaid, 2)
            assert here.ledger.said() == [b"early", b"x" * 90_000]

    run(scene)


# --- rows 3 to 7 and 15 of the catalogue ----------------------------------------------------------------


def length_only(length: int) -> bytes:
    """The header of a masked text frame that claims `length` bytes and brings none."""
    return struct.pack("!BBQ", 0x81, 0x80 | 127, length)


@pytest.mark.parametrize(
    ("wrong", "code", "rule"),
    [
        pytest.param(length_only(100_001), 1009, Rule.MESSAGE_WITHIN_SIZE, id="row 3: oversized by one"),
        pytest.param(length_only(2**63 - 1), 1009, Rule.MESSAGE_WITHIN_SIZE, id="row 4: a length nobody could keep"),
        pytest.param(
            frame(Opcode.TEXT, b"x" * 60_000, fin=False) + frame(Opcode.CONT, b"x" * 60_000, fin=False),
            1009,
            Rule.MESSAGE_WITHIN_SIZE,
            id="row 5: too big in fragments",
        ),
        pytest.param(
            frame(Opcode.TEXT, b"", fin=False) + frame(Opcode.CONT, b"", fin=False) * SMALL.idle_frames,
            4008,
            Rule.REQUESTS_WITHIN_RATE,
            id="row 5: endless empty fragments",
        ),
        pytest.param(frame(Opcode.TEXT, b"zip", rsv1=True), 1002, Rule.MESSAGE_IS_WELL_FORMED, id="row 6: compressed"),
        pytest.param(frame(Opcode.BINARY, b"\x93"), 1003, Rule.FRAME_KIND_FITS_DIALECT, id="row 7: binary"),
        pytest.param(frame(Opcode.TEXT, b"\xff"), 1007, Rule.MESSAGE_IS_WELL_FORMED, id="invalid UTF-8"),
        pytest.param(
            frame(Opcode.TEXT, b"\xed\xa0\x80"), 1007, Rule.MESSAGE_IS_WELL_FORMED, id="row 15: surrogate in UTF-8"
        ),
        pytest.param(
            frame(Opcode.TEXT, "é".encode()[:1]), 1007, Rule.MESSAGE_IS_WELL_FORMED, id="UTF-8 that stops in the middle"
        ),
        pytest.param(
            frame(Opcode.TEXT, b"x" * 65_535 + "é".encode() + b"\xff"),
            1007,
            Rule.MESSAGE_IS_WELL_FORMED,
            id="invalid UTF-8 far behind",
        ),
        pytest.param(frame(Opcode.CONT, b"x"), 1002, Rule.MESSAGE_IS_WELL_FORMED, id="continuation of nothing"),
        pytest.param(
            frame(Opcode.TEXT, b"x", fin=False) + frame(Opcode.TEXT, b"y"),
            1002,
            Rule.MESSAGE_IS_WELL_FORMED,
            id="a text within a text",
        ),
        pytest.param(b"\x81\x01x", 1002, Rule.MESSAGE_IS_WELL_FORMED, id="unmasked"),
        pytest.param(b"\x83\x80\0\0\0\0", 1002, Rule.MESSAGE_IS_WELL_FORMED, id="unknown opcode"),
        pytest.param(
            frame(Opcode.PING, b"")[:1] + b"\xfe\x00\x7e" + b"\0" * 130,
            1002,
            Rule.MESSAGE_IS_WELL_FORMED,
            id="long ping",
        ),
        pytest.param(frame(Opcode.CLOSE, b"\x03"), 1002, Rule.MESSAGE_IS_WELL_FORMED, id="half a close code"),
        pytest.param(
            frame(Opcode.CLOSE, b"\x03\xe8\xff"), 1007, Rule.MESSAGE_IS_WELL_FORMED, id="close reason not UTF-8"
        ),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 1002, Rule.MESSAGE_IS_WELL_FORMED, id="HTTP again"),
    ],
)
def test_what_breaks_a_rule_of_the_wire_is_refused_with_its_code(
    run: Scene, wrong: bytes, code: int, rule: Rule
) -> None:
    """Catalogue rows 3, 4, 5, 6, 7, 15 and 35."""

    async def scene() -> None:
        async with node(SMALL) as here, raw_peer(here.port) as peer, raw_peer(here.port) as bystander:
            peer.text(b"before")
            await here.ledger.until(PeerSaid)
            peer.send(wrong)
            assert (await peer.close_code()).code == code
            peer.close()
            closed = await here.closed()
            assert (closed.peer, closed.rule) == (1, rule)
            assert closed.reason
            bystander.text(b"still here")
            await here.ledger.until(PeerSaid, 2)
            assert here.ledger.said() == [b"before", b"still here"]

    run(scene)


def test_what_a_peer_says_after_it_was_refused_is_thrown_away(run: Scene) -> None:
    async def scene() -> None:
        async with node(replace(SMALL, close_ms=100)) as here, raw_peer(here.port) as peer:
            peer.send(frame(Opcode.BINARY, b"\x93") + frame(Opcode.TEXT, b"more") * 50_000)
            assert (await peer.close_code()).code == 1003
            await peer.is_cut_off()
            await here.closed()
            assert here.ledger.said() == []

    run(scene)


# --- one at a time, and not too many -------------------------------------------------------------------


def test_a_flood_of_small_messages_is_handled_one_at_a_time_and_waits_in_the_network(run: Scene) -> None:
    """Catalogue row 35: what a flood costs is `inbox_bytes` and a chunk, and no task per message."""
    limits = replace(Limits(), inbox_bytes=10_000)

    async def scene() -> None:
        async with node(limits) as here, raw_peer(here.port) as peer:
            here.ledger.gate = asyncio.Event()
            for number in range(20_000):
                peer.text(b"%d" % number)
            await here.ledger.until(PeerSaid)
            socket = here.socket(1)
            await here.until(lambda: not socket._reading)
            assert socket._inbox.ready_bytes < limits.inbox_bytes + 4 * KIB * 64
            assert len(socket._raw) <= 512 * KIB
            assert len(here.ledger.said()) == 1
            here.ledger.gate.set()
            await here.ledger.until(PeerSaid, 20_000)
            assert here.ledger.said() == [b"%d" % number for number in range(20_000)]
            assert here.ledger.handling_most == 1

    run(scene)


def test_a_held_peer_is_not_handled_until_the_longest_hold_is_over(run: Scene) -> None:
    async def scene() -> None:
        async with node() as here, raw_peer(here.port) as peer, raw_peer(here.port) as bystander:
            await here.ledger.until(PeerOpened, 2)
            here.hub.perform(Hold(1, 150))
            here.hub.perform(Hold(1, 10))
            held_at = asyncio.get_running_loop().time()
            peer.text(b"held")
            bystander.text(b"free")
            await here.ledger.until(PeerSaid, 2)
            assert here.ledger.said() == [b"free", b"held"]
            assert asyncio.get_running_loop().time() - held_at >= 0.14

    run(scene)


# --- large messages ------------------------------------------------------------------------------------


def test_large_messages_arrive_one_at_a_time_in_the_whole_node(run: Scene) -> None:
    """Several peers send 2 MB each; apart from one of them, no more than a large threshold of each is kept."""
    limits = replace(Limits(), large_message_bytes=100_000)
    text = b"x" * 2_000_000

    async def scene() -> None:
        async with node(limits) as here:
            here.ledger.gate = asyncio.Event()
            async with raw_peer(here.port) as one, raw_peer(here.port) as two, raw_peer(here.port) as three:
                for peer in (one, two, three):
                    peer.text(text)
                await here.ledger.until(PeerSaid)
                sockets = [here.socket(number) for number in (1, 2, 3)]
                await here.until(lambda: sum(not socket._reading for socket in sockets) >= 2)
                waiting = [socket for socket in sockets if not socket._reading]
                for socket in waiting:
                    assert socket._inbox.partial_bytes <= limits.large_message_bytes + 4 * KIB
                    assert len(socket._raw) <= 512 * KIB
                here.ledger.gate.set()
                await here.ledger.until(PeerSaid, 3)
                assert here.ledger.said() == [text] * 3
                assert here.ledger.handling_most == 1

    run(scene)


def test_a_small_message_passes_large_ones_that_wait(run: Scene) -> None:
    limits = replace(Limits(), large_message_bytes=10_000)

    async def scene() -> None:
        async with node(limits) as here, raw_peer(here.port) as holder, raw_peer(here.port) as other:
            holder.send(frame(Opcode.TEXT, b"x" * 20_000)[:15_000])
            await here.until(lambda: here.hub._shared.permit.is_held_by(here.socket(1)))
            other.text(b"small")
            assert (await here.ledger.until(PeerSaid))[0] == PeerSaid(2, b"small")

    run(scene)


def test_a_large_message_that_stands_still_costs_the_connection_and_frees_the_permit(run: Scene) -> None:
    limits = replace(Limits(), large_message_bytes=10_000, outbox_stall_ms=100)

    async def scene() -> None:
        async with node(limits) as here, raw_peer(here.port) as holder, raw_peer(here.port) as other:
            holder.send(frame(Opcode.TEXT, b"x" * 20_000)[:15_000])
            await here.until(lambda: here.hub._shared.permit.is_held_by(here.socket(1)))
            other.text(b"y" * 20_000)
            await holder.is_cut_off()
            assert (await here.closed()).rule is Rule.MESSAGE_ARRIVES_IN_TIME
            assert await here.ledger.until(PeerSaid) == [PeerSaid(2, b"y" * 20_000)]

    run(scene)


def test_a_large_message_that_trickles_is_dropped_only_when_others_wait(run: Scene) -> None:
    limits = replace(Limits(), large_message_bytes=10_000, outbox_stall_ms=400, large_message_ms=400)

    async def scene() -> None:
        async with node(limits) as here, raw_peer(here.port) as holder, raw_peer(here.port) as other:
            whole = frame(Opcode.TEXT, b"x" * 1_000_000)
            holder.send(whole[:15_000])
            await here.until(lambda: here.hub._shared.permit.is_held_by(here.socket(1)))
            trickled, socket = 15_000, here.socket(1)

            def trickle_until_overdue() -> bool:
                nonlocal trickled
                holder.send(whole[trickled : trickled + 1])
                trickled += 1
                return socket._patience.large_checks > 6

            await here.until(trickle_until_overdue)
            assert not [event for event in here.ledger.inputs if isinstance(event, PeerClosed)]
            other.text(b"y" * 20_000)

            def trickle_until_dropped() -> bool:
                trickle_until_overdue()
                return any(isinstance(event, PeerSaid) for event in here.ledger.inputs)

            await here.until(trickle_until_dropped)
            assert (await here.closed()).rule is Rule.MESSAGE_ARRIVES_IN_TIME
            assert await here.ledger.until(PeerSaid) == [PeerSaid(2, b"y" * 20_000)]

    run(scene)


def test_a_peer_that_leaves_the_queue_for_the_permit_is_forgotten(run: Scene) -> None:
    limits = replace(Limits(), large_message_bytes=10_000)

    async def scene() -> None:
        async with node(limits) as here, raw_peer(here.port) as holder, raw_peer(here.port) as third:
            whole = frame(Opcode.TEXT, b"x" * 20_000)
            holder.send(whole[:15_000])
            await here.until(lambda: here.hub._shared.permit.is_held_by(here.socket(1)))
            async with raw_peer(here.port) as second:
                second.text(b"y" * 20_000)
                await here.until(lambda: here.hub._shared.permit.contended)
                here.hub.perform(HangUp(3, 1001, "enough"))
                await here.until(lambda: not here.hub._shared.permit.contended)
            third.text(b"z" * 20_000)
            holder.send(whole[15_000:])
            said = await here.ledger.until(PeerSaid, 2)
            assert said == [PeerSaid(1, b"x" * 20_000), PeerSaid(2, b"z" * 20_000)]

    run(scene)


# --- staying in touch, and the end ---------------------------------------------------------------------


def test_a_pong_counts_only_when_it_answers_our_ping(run: Scene) -> None:
    """Catalogue row 38: a wrong nonce is ignored."""

    async def scene() -> None:
        async with node() as here, raw_peer(here.port) as peer:
            await here.ledger.until(PeerOpened)
            peer.send(frame(Opcode.PONG, b"unasked"))
            here.hub.perform(Ping(1))
            ping = await peer.next_frame()
            assert ping.opcode is Opcode.PING
            peer.send(frame(Opcode.PONG, b"wrong") + frame(Opcode.TEXT, b"then"))
            await here.ledger.until(PeerSaid)
            assert not [event for event in here.ledger.inputs if isinstance(event, PeerPonged)]
            peer.send(frame(Opcode.PONG, bytes(ping.data)) * 2 + frame(Opcode.TEXT, b"then"))
            await here.ledger.until(PeerSaid, 2)
            assert len(await here.ledger.until(PeerPonged)) == 1

    run(scene)


def test_nobody_is_blamed_for_a_pong_that_we_do_not_read(run: Scene) -> None:
    limits = replace(Limits(), large_message_bytes=10_000)

    async def scene() -> None:
        async with node(limits) as here, raw_peer(here.port) as holder, raw_peer(here.port) as waiting:
            await here.ledger.until(PeerOpened, 2)
            here.hub.perform(Ping(1))
            holder.send(frame(Opcode.TEXT, b"x" * 20_000)[:15_000])
            await here.until(lambda: here.hub._shared.permit.is_held_by(here.socket(1)))
            assert await here.ledger.until(PeerPonged) == [PeerPonged(1)]
            here.hub.perform(Ping(2))
            waiting.text(b"y" * 20_000)
            assert await here.ledger.until(PeerPonged, 2) == [PeerPonged(1), PeerPonged(2)]
            here.hub.perform(Ping(1))
            here.hub.perform(Ping(2))
            assert sorted(event.peer for event in await here.ledger.until(PeerPonged, 4)) == [1, 1, 2, 2]

    run(scene)


def test_hanging_up_says_why_and_ends_even_if_the_peer_does_not_answer(run: Scene) -> None:
    limits = replace(Limits(), close_ms=100)

    async def scene() -> None:
        async with node(limits) as here, raw_peer(here.port) as peer:
            await here.ledger.until(PeerOpened)
            here.hub.perform(HangUp(1, 4010, "x" * 200))
            here.hub.perform(HangUp(1, 4006, "a second time"))
            close = await peer.close_code()
            assert (close.code, close.reason) == (4010, "x" * 123)
            peer.text(b"too late")
            await peer.is_cut_off()
            closed = await here.closed()
            assert closed.rule is None
            assert "4010" in closed.reason
            assert here.ledger.said() == []
            here.hub.perform(Say([1], b"to nobody"))
            here.hub.perform(Ping(1))

    run(scene)


def test_a_peer_that_says_goodbye_is_heard_out_first(run: Scene) -> None:
    async def scene() -> None:
        async with node() as here, raw_peer(here.port) as peer:
            await here.ledger.until(PeerOpened)
            here.ledger.gate = asyncio.Event()
            peer.send(
                frame(Opcode.TEXT, b"one") + frame(Opcode.TEXT, b"two") + frame(Opcode.CLOSE, b"\x03\xe8bye\x1b[2J")
            )
            assert (await peer.close_code()).code == 1000
            await peer.is_cut_off()
            peer.close()
            here.ledger.gate.set()
            closed = await here.closed()
            assert here.ledger.said() == [b"one", b"two"]
            assert closed.reason == "the peer hung up: 1000 'bye\\x1b[2J'"
            assert closed.rule is None

    run(scene)


def test_a_goodbye_in_the_middle_of_a_message_is_no_offence(run: Scene) -> None:
    """A node that stops while it sends its chain is not to be refused for a day."""

    async def scene() -> None:
        async with node(replace(Limits(), close_ms=100)) as here, raw_peer(here.port) as peer:
            peer.send(frame(Opcode.TEXT, b"to be contin", fin=False) + frame(Opcode.CLOSE, b"\x03\xe9bye"))
            await peer.is_cut_off()
            closed = await here.closed()
            assert (closed.reason, closed.rule) == ("the peer hung up: 1001 'bye'", None)

    run(scene)


def test_a_broken_connection_is_closed_once(run: Scene) -> None:
    async def scene() -> None:
        async with node() as here, raw_peer(here.port) as peer:
            await here.ledger.until(PeerOpened)
            peer.close()
            assert (await here.closed()).rule is None

    run(scene)


def test_the_node_stopping_says_goodbye_to_everybody_and_waits_for_nobody(run: Scene) -> None:
    async def scene() -> None:
        async with node(replace(Limits(), close_ms=20_000)) as here, raw_peer(here.port) as one, raw_peer(here.port):
            await here.ledger.until(PeerOpened, 2)
            here.ledger.gate = asyncio.Event()
            one.text(b"never handled")
            await here.ledger.until(PeerSaid)
            await patience(here.hub.close(grace_s=0.1))
            assert (await one.close_code()).code == 1001
            assert len(await here.ledger.until(PeerClosed, 2)) == 2

    run(scene)
