"""Who a node is: an Ed25519 key (RFC 8032). Its public half names the node to its peers.

Signing takes no randomness, so it may happen in the core. What the core is given is an `Identity`: a simulator
of thousands of nodes hands in one that costs nothing.
"""

from __future__ import annotations

from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


class Identity(Protocol):
    """A node's own key, and the means to check those of others."""

    @property
    def public(self) -> bytes:
        """The public key, `KEY_BYTES` long."""

    def sign(self, message: bytes) -> bytes:
        """A signature over `message`, `SIGNATURE_BYTES` long."""

    def verify(self, public: bytes, message: bytes, signature: bytes) -> bool:
        """Did the holder of `public` sign `message`?"""


class Ed25519Identity:
    """`Identity` of a real node."""

    def __init__(self, seed: bytes) -> None:
        """`seed` is the private key, `KEY_BYTES` of randomness."""
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)

    def verify(self, public: bytes, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True
