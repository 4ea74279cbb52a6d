"""What breaking a rule costs a peer: one table, from rule to reaction.

There are no scores to add up: a rule is broken or it is not (Bitcoin Core gave up ban scores in 2021,
`net_processing.cpp`, `Misbehaving`). A *violation* no honest node commits; it costs the connection and,
for a day, the welcome. Whoever is *slow* is dropped and may come back at once. What is *benign* may
happen to anybody: nothing, or a hang-up without a grudge. Peers that the operator named and peers on
this machine are disconnected, never discouraged.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from tallystick.errors import Rule


class Close(enum.IntEnum):
    """WebSocket close codes: RFC 6455 section 7.4.1, and this protocol's own from 4000 on."""

    GOING_AWAY = 1001
    UNSUPPORTED_DATA = 1003
    INVALID_TEXT = 1007
    MESSAGE_TOO_BIG = 1009
    OTHER_NETWORK = 4002
    FULL = 4005
    TOO_SLOW = 4006
    DISCOURAGED = 4007
    INVALID = 4010


@dataclass(frozen=True, slots=True)
class Reaction:
    """What to do about a peer that broke a rule."""

    close: Close | None
    """Hang up with this code; None: do nothing."""

    discourage: bool = False
    """Refuse its address for `Limits.discourage_ms`."""


IGNORE: Final = Reaction(None)

REACTIONS: Final = {
    # Violations.
    Rule.INDEX_IN_RANGE: Reaction(Close.INVALID, discourage=True),
    Rule.TIMESTAMP_HAS_TEN_DIGITS: Reaction(Close.INVALID, discourage=True),
    Rule.HASH_MATCHES_CONTENT: Reaction(Close.INVALID, discourage=True),
    Rule.INDEX_FOLLOWS_PARENT: Reaction(Close.INVALID, discourage=True),
    Rule.NAMES_ITS_PARENT: Reaction(Close.INVALID, discourage=True),
    Rule.MESSAGE_IS_WELL_FORMED: Reaction(Close.INVALID, discourage=True),
    Rule.MESSAGE_WITHIN_SIZE: Reaction(Close.MESSAGE_TOO_BIG, discourage=True),
    Rule.FRAME_KIND_FITS_DIALECT: Reaction(Close.UNSUPPORTED_DATA, discourage=True),
    # Slow.
    Rule.PONG_IN_TIME: Reaction(Close.TOO_SLOW),
    Rule.OUTBOX_DRAINS: Reaction(Close.TOO_SLOW),
    Rule.MESSAGE_ARRIVES_IN_TIME: Reaction(Close.TOO_SLOW),
    # Benign.
    Rule.GENESIS_IS_OURS: Reaction(Close.OTHER_NETWORK),
    Rule.PEERS_WITHIN_LIMIT: Reaction(Close.FULL),
    Rule.PEER_IN_GOOD_STANDING: Reaction(Close.DISCOURAGED),
    Rule.PARENT_IS_KNOWN: IGNORE,
    Rule.REORG_WITHIN_LIMIT: IGNORE,
}
"""Rules of a caller's request are not here: no peer can break them (`tallystick.api.problems`)."""
