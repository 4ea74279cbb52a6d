"""What can go wrong, and whose fault it is.

Three kinds of failure are kept apart, because three different people have to act:

* a **rule** was broken (`RuleViolation`): by a peer's message or by a caller's request. Each rule has
  one name in `Rule`, is checked in one place, and costs what one table says it costs: for peers
  `tallystick.wire.reactions`, for callers `tallystick.api.problems`;
* the **environment** failed (`StoreError`, `ConfigError`): the operator must free the disk, fix a file,
  stop the other process. The message says which, and what to do;
* anything else is **our bug**, and is not caught here.
"""

from __future__ import annotations

import enum


class Rule(enum.StrEnum):
    """Every rule a block, a message or a request can break. The value is what appears in logs and problems."""

    # Consensus: alone (a block by itself).
    INDEX_IN_RANGE = "index-in-range"
    TIMESTAMP_HAS_TEN_DIGITS = "timestamp-has-ten-digits"
    HASH_MATCHES_CONTENT = "hash-matches-content"
    GENESIS_IS_OURS = "genesis-is-ours"

    # Consensus: in place (a block and its parent).
    INDEX_FOLLOWS_PARENT = "index-follows-parent"
    NAMES_ITS_PARENT = "names-its-parent"

    # Consensus of sealed networks: alone, in place, and connected to the log.
    HEADER_IS_WELL_FORMED = "header-is-well-formed"
    SEAL_HOLDS = "seal-holds"
    BODY_MATCHES_HEADER = "body-matches-header"
    BLOCK_WITHIN_SIZE = "block-within-size"
    ENTRY_IS_WELL_FORMED = "entry-is-well-formed"
    COMMITMENT_MATCHES_DATA = "commitment-matches-data"
    DATA_IS_CANONICAL = "data-is-canonical"
    DIFFICULTY_FOLLOWS_SCHEDULE = "difficulty-follows-schedule"
    TIME_AFTER_MEDIAN = "time-after-median"
    TIME_NOT_FROM_FUTURE = "time-not-from-future"
    LOG_MATCHES_RECORDS = "log-matches-records"
    RECORD_IS_NEW = "record-is-new"

    # Fork choice: nothing wrong with the block, yet it is not followed.
    PARENT_IS_KNOWN = "parent-is-known"
    REORG_WITHIN_LIMIT = "reorg-within-limit"

    # The wire.
    MESSAGE_IS_WELL_FORMED = "message-is-well-formed"
    MESSAGE_WITHIN_SIZE = "message-within-size"
    FRAME_KIND_FITS_DIALECT = "frame-kind-fits-dialect"
    PONG_IN_TIME = "pong-in-time"
    OUTBOX_DRAINS = "outbox-drains"
    MESSAGE_ARRIVES_IN_TIME = "message-arrives-in-time"
    PEERS_WITHIN_LIMIT = "peers-within-limit"
    PEER_IN_GOOD_STANDING = "peer-in-good-standing"

    # The nodes' own dialect.
    MESSAGE_IS_DECODABLE = "message-is-decodable"
    HELLO_COMES_FIRST = "hello-comes-first"
    HELLO_IS_ACCEPTABLE = "hello-is-acceptable"
    HANDSHAKE_IN_TIME = "handshake-in-time"
    NETWORK_IS_OURS = "network-is-ours"
    PEER_IS_NOT_OURSELVES = "peer-is-not-ourselves"
    PEER_IS_WHO_IT_CLAIMS = "peer-is-who-it-claims"
    PEER_CONNECTS_ONCE = "peer-connects-once"
    PEER_IS_A_MEMBER = "peer-is-a-member"
    PEER_IS_NOT_BANNED = "peer-is-not-banned"
    DIALECT_IS_SPOKEN = "dialect-is-spoken"
    REPLY_WAS_ASKED_FOR = "reply-was-asked-for"
    REPLY_FITS_REQUEST = "reply-fits-request"
    REQUESTS_WITHIN_RATE = "requests-within-rate"
    CLAIM_IS_PROVEN = "claim-is-proven"
    SYNC_KEEPS_UP = "sync-keeps-up"
    PEER_KEEPS_UP = "peer-keeps-up"

    # Requests of a caller.
    DATA_WITHIN_SIZE = "data-within-size"
    CLOCK_IS_SANE = "clock-is-sane"
    RECORD_ID_IS_WELL_FORMED = "record-id-is-well-formed"
    RECORD_ID_IS_FREE = "record-id-is-free"
    RECORD_IS_KNOWN = "record-is-known"
    POOL_HAS_ROOM = "pool-has-room"
    NETWORK_TAKES_RECORDS = "network-takes-records"
    ADDRESS_IS_WELL_FORMED = "address-is-well-formed"
    ADDRESS_RESOLVES = "address-resolves"
    ADDRESS_IS_ALLOWED = "address-is-allowed"
    ADDRESS_IS_NOT_OURS = "address-is-not-ours"
    ADDRESS_BOOK_HAS_ROOM = "address-book-has-room"
    PEER_IS_KNOWN = "peer-is-known"
    BAN_IS_WELL_FORMED = "ban-is-well-formed"
    BAN_IS_KNOWN = "ban-is-known"
    BAN_LIST_HAS_ROOM = "ban-list-has-room"


def shown(value: object, most: int = 80) -> str:
    """A foreign value as it may stand in a message: quoted, escaped to ASCII, and about `most` characters of it.

    Integers are cut before they are written out, for Python refuses to write very long ones.
    """
    if isinstance(value, int) and abs(value) >= 10**most:
        return f"a number of more than {most} digits"
    text = ascii(value[: most + 1] if isinstance(value, str | bytes) else value)
    return text if len(text) <= most else text[:most] + "..."


class TallystickError(Exception):
    """Root of every error this package raises on purpose. `str()` of it is a sentence for a person."""


class RuleViolation(TallystickError):
    """A rule was broken; `detail` gives the values, never more than a line."""

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail


class ConfigError(TallystickError):
    """A setting is unknown, impossible or contradicts another; the message names it and what is allowed."""


class StoreError(TallystickError):
    """The data folder or its disk failed us. The node stops; what was acknowledged is still there."""


class StoreFullError(StoreError):
    """The disk (or its quota) is full, or the file system refused a write."""


class StoreCorruptError(StoreError):
    """The data contradicts itself; `index` names the first bad block where it is known."""

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class StoreLockedError(StoreError):
    """Another process has the data folder open."""


class StoreVersionError(StoreError):
    """The data was written by a newer version, or belongs to another network."""
