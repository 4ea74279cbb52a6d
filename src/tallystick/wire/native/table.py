"""The traffic rules, one row a message: how long it may be, how often it may come, which reply answers it.

Checked when this module is imported: a message without a row, or a request whose reply is no reply, never runs.
Rates are what no honest node comes near; what honest peers send is paced by back-pressure, long before.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, get_args

import msgspec

from tallystick.model.limits import KIB, LIMITS, MIB
from tallystick.wire.native import messages
from tallystick.wire.native.messages import Message, Reply, Request


class Traffic(msgspec.Struct, frozen=True):
    """What is allowed of one kind of message."""

    size_bytes: int
    """The longest there can be, its parts joined."""

    per_minute: int | None = None
    """So many from one peer, with a minute's worth saved up. None: it comes only when asked for, or once."""

    answered_by: type[Reply] | None = None
    """For requests: what must come back."""


TABLE: Final[Mapping[type[Message], Traffic]] = MappingProxyType(
    {
        messages.Hello: Traffic(1 * KIB),
        messages.Auth: Traffic(1 * KIB),
        messages.Ready: Traffic(1 * KIB),
        messages.Ping: Traffic(1 * KIB, per_minute=60),
        messages.Pong: Traffic(1 * KIB, per_minute=60),
        messages.Part: Traffic(LIMITS.part_bytes + KIB),
        messages.GetHeaders: Traffic(4 * KIB, per_minute=30_000, answered_by=messages.Headers),
        messages.Headers: Traffic(LIMITS.reply_bytes),
        messages.GetBlocks: Traffic(8 * KIB, per_minute=30_000, answered_by=messages.Blocks),
        messages.Blocks: Traffic(LIMITS.reply_bytes),
        messages.GetSurvey: Traffic(4 * KIB, per_minute=30_000, answered_by=messages.Survey),
        messages.Survey: Traffic(1 * MIB),
        messages.GetRecords: Traffic(64 * KIB, per_minute=30_000, answered_by=messages.Records),
        messages.Records: Traffic(LIMITS.reply_bytes),
        messages.Push: Traffic(LIMITS.push_bytes + KIB, per_minute=2_000_000),
        messages.Announce: Traffic(1 * KIB, per_minute=2_000_000),
        messages.Inv: Traffic(256 * KIB, per_minute=1_000_000),
        messages.GetAddrs: Traffic(1 * KIB, per_minute=1, answered_by=messages.Addrs),
        messages.Addrs: Traffic(32 * KIB),
    }
)
"""Message -> what is allowed of it."""


def check(table: Mapping[type[Message], Traffic]) -> None:
    """Is every message in the table, and every answer a reply to one request only? Raises TypeError."""
    if set(table) != set(get_args(Message)):
        raise TypeError(f"the table and the vocabulary differ in {set(table) ^ set(get_args(Message))}")
    answers = [traffic.answered_by for traffic in table.values() if traffic.answered_by is not None]
    if len(set(answers)) != len(answers) or set(answers) != set(get_args(Reply)):
        raise TypeError("each reply answers one request, and each request has one")
    for kind, traffic in table.items():
        if (kind in get_args(Request)) != (traffic.answered_by is not None):
            raise TypeError(f"{kind.__name__} is a request and has no reply, or the other way round")


check(TABLE)
