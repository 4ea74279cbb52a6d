"""What breaking a rule costs a peer: one table, from rule to reaction.

There are no scores to add up: a rule is broken or it is not (Bitcoin Core gave up ban scores in 2021,
`net_processing.cpp`, `Misbehaving`). Offences are of four kinds, and the kind says what is remembered of them
(`tallystick.wire.standing`). Peers that the operator named and peers on this machine are disconnected, and nothing
is remembered of them.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from tallystick.errors import Rule


class Close(enum.IntEnum):
    """WebSocket close codes: RFC 6455 section 7.4.1, and this protocol's own from 4000 on."""

    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    """Not WebSocket, or no message of the native dialect."""

    UNSUPPORTED_DATA = 1003
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    BAD_HELLO = 4001
    OTHER_NETWORK = 4002
    OURSELVES = 4003
    DUPLICATE = 4004
    FULL = 4005
    TOO_SLOW = 4006
    DISCOURAGED = 4007
    TOO_MUCH = 4008
    UNSOLICITED = 4009
    INVALID = 4010
    SHUTTING_DOWN = 4012


class Offence(enum.StrEnum):
    """How bad it is."""

    VIOLATION = "violation"
    """No honest node does it: address and key are refused for `Limits.discourage_ms`."""

    RATE = "rate"
    """Too much, too fast: refused for `Limits.rate_refusal_ms`."""

    SLOW = "slow"
    """A bad line does it: the peer may come back at once."""

    BENIGN = "benign"
    """It happens to anybody: nothing, or a hang-up without a grudge."""


class Reaction(msgspec.Struct, frozen=True):
    """What to do about a peer that broke a rule."""

    offence: Offence

    close: Close | None
    """Hang up with this code; None: do nothing."""


def _violation(close: Close) -> Reaction:
    return Reaction(Offence.VIOLATION, close)


def _slow() -> Reaction:
    return Reaction(Offence.SLOW, Close.TOO_SLOW)


def _benign(close: Close | None = None) -> Reaction:
    return Reaction(Offence.BENIGN, close)


REACTIONS: Final = {
    # Violations.
    Rule.INDEX_IN_RANGE: _violation(Close.INVALID),
    Rule.TIMESTAMP_HAS_TEN_DIGITS: _violation(Close.INVALID),
    Rule.HASH_MATCHES_CONTENT: _violation(Close.INVALID),
    Rule.INDEX_FOLLOWS_PARENT: _violation(Close.INVALID),
    Rule.HEADER_IS_WELL_FORMED: _violation(Close.INVALID),
    Rule.SEAL_HOLDS: _violation(Close.INVALID),
    Rule.BODY_MATCHES_HEADER: _violation(Close.INVALID),
    Rule.BLOCK_WITHIN_SIZE: _violation(Close.INVALID),
    Rule.ENTRY_IS_WELL_FORMED: _violation(Close.INVALID),
    Rule.COMMITMENT_MATCHES_DATA: _violation(Close.INVALID),
    Rule.DATA_IS_CANONICAL: _violation(Close.INVALID),
    Rule.DIFFICULTY_FOLLOWS_SCHEDULE: _violation(Close.INVALID),
    Rule.TIME_AFTER_MEDIAN: _violation(Close.INVALID),
    Rule.LOG_MATCHES_RECORDS: _violation(Close.INVALID),
    Rule.RECORD_IS_NEW: _violation(Close.INVALID),
    Rule.DATA_WITHIN_SIZE: _violation(Close.INVALID),
    Rule.NAMES_ITS_PARENT: _violation(Close.INVALID),
    Rule.MESSAGE_IS_WELL_FORMED: _violation(Close.INVALID),
    Rule.MESSAGE_WITHIN_SIZE: _violation(Close.MESSAGE_TOO_BIG),
    Rule.FRAME_KIND_FITS_DIALECT: _violation(Close.UNSUPPORTED_DATA),
    Rule.MESSAGE_IS_DECODABLE: _violation(Close.PROTOCOL_ERROR),
    Rule.HELLO_COMES_FIRST: _violation(Close.BAD_HELLO),
    Rule.HELLO_IS_ACCEPTABLE: _violation(Close.BAD_HELLO),
    Rule.PEER_IS_WHO_IT_CLAIMS: _violation(Close.BAD_HELLO),
    Rule.REPLY_WAS_ASKED_FOR: _violation(Close.UNSOLICITED),
    Rule.REPLY_FITS_REQUEST: _violation(Close.INVALID),
    Rule.CLAIM_IS_PROVEN: _violation(Close.INVALID),
    # Too much.
    Rule.REQUESTS_WITHIN_RATE: Reaction(Offence.RATE, Close.TOO_MUCH),
    # Slow.
    Rule.PONG_IN_TIME: _slow(),
    Rule.OUTBOX_DRAINS: _slow(),
    Rule.MESSAGE_ARRIVES_IN_TIME: _slow(),
    Rule.HANDSHAKE_IN_TIME: _slow(),
    Rule.SYNC_KEEPS_UP: _slow(),
    Rule.PEER_KEEPS_UP: _slow(),
    # Benign.
    Rule.GENESIS_IS_OURS: _benign(Close.OTHER_NETWORK),
    Rule.NETWORK_IS_OURS: _benign(Close.OTHER_NETWORK),
    Rule.PEER_IS_NOT_OURSELVES: _benign(Close.OURSELVES),
    Rule.PEER_CONNECTS_ONCE: _benign(Close.DUPLICATE),
    Rule.PEERS_WITHIN_LIMIT: _benign(Close.FULL),
    Rule.PEER_IN_GOOD_STANDING: _benign(Close.DISCOURAGED),
    Rule.PEER_IS_NOT_BANNED: _benign(Close.DISCOURAGED),
    Rule.PEER_IS_A_MEMBER: _benign(Close.DISCOURAGED),
    Rule.DIALECT_IS_SPOKEN: _benign(Close.POLICY_VIOLATION),
    Rule.PARENT_IS_KNOWN: _benign(),
    Rule.REORG_WITHIN_LIMIT: _benign(),
    Rule.TIME_NOT_FROM_FUTURE: _benign(),
    Rule.POOL_HAS_ROOM: _benign(),
}
"""Rules of a caller's request are not here: no peer can break them (`tallystick.api.problems`)."""
