"""Two parties of a handshake: keys from a seed, hellos of a network, and a wire between them that a test can cut."""

from __future__ import annotations

from typing import Final

import msgspec

from tallystick.errors import RuleViolation
from tallystick.model.network import CLASSIC
from tallystick.wire.identity import Ed25519Identity
from tallystick.wire.native import codec
from tallystick.wire.native.handshake import Handshake, Judge, Side, Stranger
from tallystick.wire.native.messages import Hello, Point, Tip
from tests.wire.native.vocabulary import filled

NETWORK: Final = bytes.fromhex(CLASSIC.id)


def identity(seed: int) -> Ed25519Identity:
    return Ed25519Identity(filled(seed))


def hello(seed: int, **changes: object) -> Hello:
    """What the holder of key `seed` says; nonce and challenge follow from it."""
    mine = Hello(
        versions=(1, 1),
        network=NETWORK,
        key=identity(seed).public,
        nonce=filled(seed, 8),
        challenge=filled(seed),
        role=0,
        listen_port=0,
        agent=f"test/{seed}",
        tip=Tip(Point(0, NETWORK), bytes(32)),
        final=None,
        frame_bytes=4_194_304,
        requests=2,
    )
    return msgspec.structs.replace(mine, **changes)


def anybody(_: Stranger) -> None:
    """Everybody is welcome."""


def party(side: Side, seed: int, judge: Judge = anybody, **changes: object) -> Handshake:
    return Handshake(identity(seed), side, hello(seed, **changes), judge)


def give(to: Handshake, frames: list[bytes]) -> list[bytes]:
    """Frames arrive, in order; what is answered."""
    return [answer for frame in frames for answer in to.receive(codec.decode(frame), frame)]


def shake(dialler: Handshake, acceptor: Handshake) -> list[list[bytes]]:
    """Let them talk until both are silent; what was said, by turns, the dialler first. Raises RuleViolation."""
    said = [dialler.begin()]
    listener, speaker = acceptor, dialler
    assert acceptor.begin() == []
    while said[-1]:
        said.append(give(listener, said[-1]))
        listener, speaker = speaker, listener
    return said[:-1]


def broken_by(to: Handshake, frame: bytes) -> RuleViolation | None:
    try:
        give(to, [frame])
    except RuleViolation as broken:
        return broken
    return None
