"""What arrives over a socket: frames, limits, order and back-pressure."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Coroutine
from dataclasses import replace

import pytest
import uvloop
from websockets.frames import Frame, Opcode

from tallystick.errors import Rule
from tallystick.model.limits import MIB, Limits
from tallystick.node.effects import HangUp, Hold, Ping, Say
from tallystick.node.inputs import PeerClosed, PeerDrained, PeerOpened, PeerPonged, PeerSaid

from .loopback import Node, RawPeer, frame, node, patience, raw_peer

SMALL = replace(Limits(), message_bytes=100_000, large_message_bytes=20_000)


def run(scene: Coroutine[None, None, None]) -> None:
    asyncio.run(scene)


def test_messages_arrive_as_they_were_sent_and_in_order() -> None:
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

    run(scene())
