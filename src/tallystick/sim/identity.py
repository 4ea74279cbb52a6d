"""An identity that costs nothing, for worlds of thousands of nodes.

A signature of it is a hash that anybody could make. It proves nothing; it is as long as a real one, and one of another
key or another message is refused just the same.
"""

from __future__ import annotations

from hashlib import sha512

from tallystick.sim.chance import Chance
from tallystick.wire.identity import KEY_BYTES, Ed25519Identity, Identity


class StubIdentity:
    """`Identity` of a simulated node."""

    def __init__(self, public: bytes) -> None:
        self.public = public

    def sign(self, message: bytes) -> bytes:
        return sha512(self.public + message).digest()

    def verify(self, public: bytes, message: bytes, signature: bytes) -> bool:
        return signature == sha512(public + message).digest()


def draw_identity(chance: Chance, *, is_stub: bool) -> Identity:
    """A key, and the means to use it."""
    seed = chance.randbytes(KEY_BYTES)
    return StubIdentity(seed) if is_stub else Ed25519Identity(seed)
