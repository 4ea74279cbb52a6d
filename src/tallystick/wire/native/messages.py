"""The vocabulary of the native dialect.

Every message is a MessagePack array: its tag, then its fields in the order in which they stand here. Requests carry
an `id` that their reply echoes. Bounds stand in the types, so that decoding refuses what is out of bounds before
anything is made of it. A tag of 128 and more may be ignored by those who do not know it; all others must be known.

A block is named by a `Point`, index and hash: the index says where to look, the hash what must be found there. So
nobody needs an index over hashes to answer. A record is named by its id and its leaf hash, for the same reason.

A block of a classic network is an array of its fields. One of a sealed network is bytes, its header and its records,
and nothing here looks into them: consensus does (`Engine.read`).
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from tallystick.model.block import INDEX_MAX, Body, WholeBlock
from tallystick.model.block import HashBytes as Hash
from tallystick.model.limits import LIMITS
from tallystick.model.record import ID, RawRecord
from tallystick.wire.identity import KEY_BYTES, SIGNATURE_BYTES

NONCE_BYTES: Final = 8
CHALLENGE_BYTES: Final = 32
WEIGHT_BYTES: Final = 32
SURVEYED_BYTES: Final = 256
"""The longest header there may be, whatever seals it."""

OPTIONAL_TAG: Final = 128
"""Unknown messages from this tag on are ignored."""

VERSION: Final = 1
"""Of the protocol; a peer must know one that we know too."""

_ID_MAX: Final = 2**32 - 1

Key = Annotated[bytes, Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
Nonce = Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
Index = Annotated[int, Meta(ge=0, le=INDEX_MAX)]
Id = Annotated[int, Meta(ge=1, le=_ID_MAX)]
Small = Annotated[int, Meta(ge=0, le=255)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Weight = Annotated[bytes, Meta(min_length=WEIGHT_BYTES, max_length=WEIGHT_BYTES)]
"""What fork choice maximises, big-endian."""

RecordId = Annotated[str, Meta(pattern=rf"\A{ID.pattern}\Z")]
"""No record has another: an honest peer names none."""

SealedBytes = Annotated[bytes, Meta(max_length=LIMITS.frame_bytes)]
"""A block of a sealed network: its header, and right behind it the MessagePack array of its records."""


class Point(Struct, array_like=True, frozen=True, gc=False):
    """A block, by its place and its name."""

    index: Index
    hash: Hash


class Tip(Struct, array_like=True, frozen=True):
    """The last block of a chain, and what fork choice makes of it."""

    point: Point
    weight: Weight


# --- getting acquainted -----------------------------------------------------------------------------


class Hello(Struct, array_like=True, frozen=True, tag=1):
    """Who I claim to be, where I stand, and what to sign so that you know who you are."""

    versions: tuple[Small, Small]
    """The lowest and the highest protocol version I know."""

    network: Hash
    """Hash of the genesis block."""

    key: Key
    """My Ed25519 public key."""

    nonce: Nonce
    """New for every connection: who finds its own is talking to itself."""

    challenge: Annotated[bytes, Meta(min_length=CHALLENGE_BYTES, max_length=CHALLENGE_BYTES)]
    """Fresh randomness, so that no old signature fits."""

    role: Small
    """0: a node that has the whole chain. Others are reserved, and taken for the same."""

    listen_port: Port
    """Where I take peers; 0: nowhere."""

    agent: Annotated[str, Meta(max_length=LIMITS.agent_bytes)]
    """Name and version of my program."""

    tip: Tip
    final: Tip | None
    """My last final block; nothing in networks whose blocks never are."""

    frame_bytes: Annotated[int, Meta(ge=4096, le=2**31 - 1)]
    """The longest message I take."""

    requests: Annotated[int, Meta(ge=1, le=255)]
    """Requests I let you have under way at a time."""


class Auth(Struct, array_like=True, frozen=True, tag=2):
    """I hold the key of my hello: a signature over both hellos and the direction (`handshake.signed_text`)."""

    signature: Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]


class Ready(Struct, array_like=True, frozen=True, tag=3):
    """You are who you claim to be, and welcome."""


class Ping(Struct, array_like=True, frozen=True, tag=4):
    """Are you there? Asked of the program, not of its WebSocket library, which answers while the rest hangs."""

    nonce: Nonce


class Pong(Struct, array_like=True, frozen=True, tag=5):
    """Yes."""

    nonce: Nonce


class Part(Struct, array_like=True, frozen=True, tag=6):
    """A piece of a reply that is too long for one frame. The pieces, joined, are the reply as a message of its own."""

    id: Id
    last: bool
    piece: Annotated[bytes, Meta(min_length=1, max_length=LIMITS.part_bytes)]


# --- fetching a chain -------------------------------------------------------------------------------


class GetHeaders(Struct, array_like=True, frozen=True, tag=16):
    """What follows the first of these blocks that is on your best chain?"""

    id: Id
    locator: Annotated[tuple[Point, ...], Meta(max_length=LIMITS.locator_points)]
    """Newest first. None of them on your chain, or none at all: from genesis."""

    stop: Point | None
    """Nothing beyond this block, and nothing at all when it is not on your best chain."""

    most: Annotated[int, Meta(ge=1, le=LIMITS.headers_per_reply)]
    """At most so many."""

    plan: bool
    """Tell me also what lies ahead."""


class Headers(Struct, array_like=True, frozen=True, tag=17):
    """A run of the sender's best chain: blocks, not only their headers (for these there is `Survey`)."""

    id: Id
    parent: Point
    """The block before the first one."""

    blocks: Annotated[tuple[Body | SealedBytes, ...], Meta(max_length=LIMITS.headers_per_reply)]
    """Each is the child of the one before. Ends early with the block that reaches `Limits.reply_soft_bytes`."""

    plan: Annotated[tuple[Hash, ...], Meta(max_length=LIMITS.plan_batches)]
    """Hashes of the blocks `most`, 2 `most`, ... after the last one: where to cut what follows. A claim, to plan by."""


class GetSurvey(Struct, array_like=True, frozen=True, tag=20):
    """Show me the bare headers of what follows the first of these blocks that is on your best chain. Only in networks
    whose headers say what a branch weighs."""

    id: Id
    locator: Annotated[tuple[Point, ...], Meta(max_length=LIMITS.locator_points)]
    """As in `GetHeaders`."""

    stop: Point | None
    """Likewise."""

    most: Annotated[int, Meta(ge=1, le=LIMITS.headers_per_reply)]
    """At most so many."""


class Survey(Struct, array_like=True, frozen=True, tag=21):
    """Headers of a run of the sender's best chain, as they are hashed: what it weighs is known before its bodies are
    fetched."""

    id: Id
    parent: Point
    """The block before the first one."""

    headers: Annotated[
        tuple[Annotated[bytes, Meta(max_length=SURVEYED_BYTES)], ...], Meta(max_length=LIMITS.headers_per_reply)
    ]
    """Each is the header of the child of the one before. Fewer than asked for: that was all."""


# --- new blocks -------------------------------------------------------------------------------------


class GetBlocks(Struct, array_like=True, frozen=True, tag=18):
    """Send me these blocks, which you announced. It also hands you the right to push (`relay`)."""

    id: Id
    points: Annotated[tuple[Point, ...], Meta(min_length=1, max_length=LIMITS.blocks_per_request)]


class Blocks(Struct, array_like=True, frozen=True, tag=19):
    """The blocks asked for, a prefix in their order. Ends early like `Headers`; ask again for the rest."""

    id: Id
    blocks: Annotated[tuple[WholeBlock | SealedBytes, ...], Meta(max_length=LIMITS.blocks_per_request)]
    missing: Annotated[
        tuple[Annotated[int, Meta(ge=0, lt=LIMITS.blocks_per_request)], ...],
        Meta(max_length=LIMITS.blocks_per_request),
    ]
    """Positions, within the request, of blocks that are not on my best chain."""


class Push(Struct, array_like=True, frozen=True, tag=32):
    """A new block on my best chain. You have its parent, I think."""

    block: WholeBlock | SealedBytes
    weight: Weight
    """Of the branch that ends in it; a claim."""


class Announce(Struct, array_like=True, frozen=True, tag=33):
    """The newest blocks of my best chain, oldest first."""

    points: Annotated[tuple[Point, ...], Meta(min_length=1, max_length=LIMITS.announced_points)]
    weight: Weight
    """Of the branch that ends in the last of them; a claim."""


# --- records ----------------------------------------------------------------------------------------


class RecordName(Struct, array_like=True, frozen=True, gc=False):
    """A record, by where to look and what must be found there."""

    id: RecordId
    leaf: Hash
    """SHA-256( 00 || entry )."""


class GetRecords(Struct, array_like=True, frozen=True, tag=22):
    """Send me these records, which you announced."""

    id: Id
    names: Annotated[tuple[RecordName, ...], Meta(min_length=1, max_length=LIMITS.records_per_request)]


class Records(Struct, array_like=True, frozen=True, tag=23):
    """The records asked for, a prefix in their order. Ends early like `Blocks`; ask again for the rest."""

    id: Id
    records: Annotated[tuple[RawRecord, ...], Meta(max_length=LIMITS.records_per_request)]
    missing: Annotated[
        tuple[Annotated[int, Meta(ge=0, lt=LIMITS.records_per_request)], ...],
        Meta(max_length=LIMITS.records_per_request),
    ]
    """Positions, within the request, of records that are neither in my pool nor on my best chain."""


class Inv(Struct, array_like=True, frozen=True, tag=34):
    """Records I have, which you may lack."""

    names: Annotated[tuple[RecordName, ...], Meta(min_length=1, max_length=LIMITS.announced_records)]


# --- other peers ------------------------------------------------------------------------------------


class Address(Struct, array_like=True, frozen=True, gc=False):
    """Where a node listens: a numeric address, never a name."""

    ip: Annotated[bytes, Meta(min_length=4, max_length=16)]
    """4 bytes or 16, in network order."""

    port: Annotated[int, Meta(ge=1, le=65_535)]


class GetAddrs(Struct, array_like=True, frozen=True, tag=48):
    """Whom do you know? Once a connection."""

    id: Id


class Addrs(Struct, array_like=True, frozen=True, tag=49):
    """Some I know."""

    id: Id
    addresses: Annotated[tuple[Address, ...], Meta(max_length=LIMITS.addresses_per_reply)]


Request = GetHeaders | GetBlocks | GetSurvey | GetRecords | GetAddrs
Reply = Headers | Blocks | Survey | Records | Addrs
Message = Hello | Auth | Ready | Ping | Pong | Part | Request | Reply | Push | Announce | Inv
