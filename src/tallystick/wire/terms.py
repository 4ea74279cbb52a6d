"""What the dialects differ in, as far as a socket is concerned: a table of two columns.

The classic dialect has text frames and large messages, one of them at a time in the whole node. The
native one has binary frames and no large messages: what is long comes in parts. Until a native peer has
proven who it is (`Admit`) it is a *stranger*: its messages are short, and the next one is not even parsed
before the last one was handled. A socket asks its terms and never which dialect it speaks.
"""

from __future__ import annotations

import sys
from typing import Final

import msgspec

from tallystick.model.limits import Limits
from tallystick.wire.dialect import Dialect
from tallystick.wire.reactions import Close

SLICE_BYTES: Final = 4 * 1024
"""Of a frame of a message that may become large so much is parsed at a time: it must not get far past the
mark where it needs the permit."""

_UNBOUNDED: Final = sys.maxsize


class Terms(msgspec.Struct, frozen=True):
    """What holds for a connection in one dialect."""

    dialect: Dialect

    is_text: bool
    """Its messages are text frames, else binary ones; any other data frame closes the connection (1003)."""

    message_bytes: int
    """A message that arrives; a longer one closes the connection (1009) before its excess is kept."""

    stranger_message_bytes: int | None
    """Likewise, from a stranger; None: nobody is one."""

    large_message_bytes: int
    """A longer message needs the node-wide permit to arrive."""

    slice_bytes: int
    """Of one frame so much is parsed at a time."""

    inbox_bytes: int
    inbox_messages: int
    """So much, or so many, wait to be handled; then nothing more is read."""

    outbox_pause_bytes: int
    """While more than this waits to be sent to a peer, its next message is not handled."""

    outbox_choke_bytes: int
    """Likewise, while its inbox is full. Two nodes with much to say to each other would else both stop to
    listen, and neither could go on to speak."""

    outbox_drop_bytes: int
    """More than this waiting to be sent, and the peer is dropped."""

    progress_ms: int | None
    """The node hears so often that a message is still arriving; None: never."""

    inbound_peers: int
    """Peers that dialled us which may be open before the node has heard of the first of them."""

    goodbye: Close
    """How a node that stops says so."""


def terms_of(dialect: Dialect, limits: Limits) -> Terms:
    """The terms of this dialect."""
    if dialect is Dialect.NATIVE:
        return Terms(
            dialect=dialect,
            is_text=False,
            message_bytes=limits.frame_bytes,
            stranger_message_bytes=limits.stranger_frame_bytes,
            large_message_bytes=_UNBOUNDED,
            slice_bytes=_UNBOUNDED,
            inbox_bytes=limits.native_inbox_bytes,
            inbox_messages=limits.native_inbox_messages,
            outbox_pause_bytes=limits.outbox_pause_bytes,
            outbox_choke_bytes=limits.native_outbox_drop_bytes,
            outbox_drop_bytes=limits.native_outbox_drop_bytes + limits.reply_bytes,
            progress_ms=limits.progress_every_ms,
            inbound_peers=limits.native_inbound_peers,
            goodbye=Close.SHUTTING_DOWN,
        )
    return Terms(
        dialect=dialect,
        is_text=True,
        message_bytes=limits.message_bytes,
        stranger_message_bytes=None,
        large_message_bytes=limits.large_message_bytes,
        slice_bytes=max(1, min(SLICE_BYTES, limits.large_message_bytes // 4)),
        inbox_bytes=limits.inbox_bytes,
        inbox_messages=_UNBOUNDED,
        outbox_pause_bytes=limits.outbox_pause_bytes,
        outbox_choke_bytes=limits.outbox_pause_bytes,
        outbox_drop_bytes=limits.outbox_drop_bytes,
        progress_ms=None,
        inbound_peers=limits.classic_inbound_peers,
        goodbye=Close.GOING_AWAY,
    )
