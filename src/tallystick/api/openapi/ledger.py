"""Schemas of what the ledger is made of: blocks, records, proofs."""

from __future__ import annotations

from typing import Final

from tallystick.api.openapi.shapes import (
    ANY,
    HASH_EXAMPLE,
    OTHER_HASH,
    Schema,
    always,
    array,
    count,
    hash_of,
    hex_of,
    one_of,
    or_null,
    parent,
    record_of,
    ref,
    text,
)
from tallystick.model.limits import LIMITS
from tallystick.model.needle import EXCERPT_CHARACTERS
from tallystick.model.proof import CONSISTENCY_FORMAT, FORMAT

_WHERE: Final = {
    "index": count("Its place in the chain, from 0."),
    "hash": hash_of("Of the block."),
    "previous_hash": parent("Of the block before it."),
    "timestamp": count(
        "When it was made, as its maker's clock had it: seconds since 1970 in a classic network, else ms."
    ),
}

_CLASSIC: Final = {"data": text("What the block holds."), **_WHERE}

_SEALED: Final = {
    **_WHERE,
    "records": array(ref("BlockRecord"), "In the order of the log."),
    "log_size": count("Records in the log as of this block."),
    "log_root": hash_of("Root of the Merkle tree over the log (RFC 9162)."),
    "body_hash": hash_of("Of the records that the block adds."),
    "seal": hex_of("What makes the block valid: in a work network target and nonce."),
}

_LEFT: Final = {
    "orphaned": always(value=True, about="It is not on the best chain."),
    "mined_again_as": or_null(hash_of("Of the block that carries the same post now, if there is one.")),
}

_ENTRY: Final = {
    "commit": text("Salted hash of the data, base64url.", pattern="^[A-Za-z0-9_-]{43}$"),
    "id": text("Its name.", pattern="^[A-Za-z0-9._:-]{1,128}$"),
}

_CONTENT: Final = {
    "salt": text("What was hashed with the data, base64url.", pattern="^[A-Za-z0-9_-]{21}[AQgw]$"),
    "data": ANY,
    "erased": always(value=True, about="In place of salt and data, when these are not here."),
}

_HELD: Final[list[Schema]] = [{"required": ["salt", "data"]}, {"required": ["erased"]}]

_PLACE: Final = {
    "status": one_of(
        ["pending", "included", "aside"],
        "In the pool, in a block of the best chain, or only in blocks that a better branch removed.",
    ),
    "block": or_null(ref("BlockPlace")),
    "position": or_null(count("In the log, from 0.")),
    "confirmations": or_null(count("Blocks from its own to the last one, both counted.")),
}

LEDGER: Final[dict[str, Schema]] = {
    "ClassicBlock": record_of(
        _CLASSIC,
        about="A block of a classic network.",
        examples=[
            {
                "data": "hello",
                "hash": OTHER_HASH,
                "index": 1,
                "previous_hash": HASH_EXAMPLE,
                "timestamp": 1_700_000_000,
            }
        ],
    ),
    "SealedBlock": record_of(_SEALED, about="A block of a network whose blocks hold records."),
    "ClassicOrphan": record_of(_CLASSIC | _LEFT, about="A classic block that has left the best chain."),
    "SealedOrphan": record_of(_SEALED | _LEFT, about="A sealed block that has left the best chain."),
    "Block": {"anyOf": [ref("ClassicBlock"), ref("SealedBlock")], "description": "A block of the best chain."},
    "AnyBlock": {
        "anyOf": [ref("ClassicBlock"), ref("SealedBlock"), ref("ClassicOrphan"), ref("SealedOrphan")],
        "description": "A block of the best chain, or one that has left it.",
    },
    "Header": record_of(_WHERE, about="A block without what it holds."),
    "Fork": record_of(
        {
            "fork": or_null(ref("Header")),
            "tip": ref("Header"),
            "blocks": array({"anyOf": [ref("ClassicOrphan"), ref("SealedOrphan")]}, "From the tip downwards."),
        },
        about="A branch beside the best chain. `fork` is the last block both share, null when it is not kept.",
    ),
    "BlockRecord": record_of(_ENTRY, _CONTENT, about="A record as it stands in a block.", anyOf=_HELD),
    "BlockPlace": record_of(
        {name: _WHERE[name] for name in ("index", "hash", "timestamp")}, about="The block that holds a record."
    ),
    "Match": record_of(
        {
            "block": ref("BlockPlace"),
            "id": or_null(text("Of the record; null in a classic network.", pattern="^[A-Za-z0-9._:-]{1,128}$")),
            "position": or_null(count("Of the record, in the log.")),
            "excerpt": text(
                "What stands around the text, in the data or else in the id.", maxLength=EXCERPT_CHARACTERS
            ),
        },
        about="Where a text was found.",
    ),
    "Matches": record_of(
        {
            "matches": array(ref("Match"), "Newest first.", maxItems=LIMITS.search_matches),
            "before": or_null(count("Where to go on; null when all was looked through.")),
            "searched": count("Blocks or records that were looked through.", most=LIMITS.search_rows),
        },
        about="What one request found. That it found nothing says nothing of what is below `before`.",
    ),
    "LogRecord": record_of(_ENTRY | _PLACE, _CONTENT, about="A record of the log, and where it stands.", anyOf=_HELD),
    "StoredRecord": record_of(
        _ENTRY | _PLACE | {"proof": or_null(ref("Proof"))},
        _CONTENT,
        about="A record, where it stands, and the proof of that; null while the log of the block has it not.",
        anyOf=_HELD,
    ),
    "StoredRecords": record_of(
        {"records": array(ref("StoredRecord"), minItems=1, maxItems=LIMITS.records_per_page)},
        about="All records of an id. Two nodes may have taken one id at the same time.",
    ),
    "Proof": record_of(
        {
            "format": always(FORMAT),
            "network": hash_of("Of the first block. It is not proven."),
            "block": hash_of("Of the block that the proof leads to."),
            "header": hex_of("Of that block."),
            "position": count("Of the record in the log."),
            "path": array(hash_of("Beside the way from leaf to root."), "From the leaf up."),
            "entry": text("The record's entry, canonical JSON."),
            "salt": or_null(text(pattern="^[A-Za-z0-9_-]{21}[AQgw]$")),
            "data": ANY,
        },
        about="That a record is in the log as of a block. Whoever trusts the hash of that block needs nothing else.",
    ),
    "ConsistencyProof": record_of(
        {
            "format": always(CONSISTENCY_FORMAT),
            "network": hash_of("Of the first block. It is not proven."),
            "old_header": hex_of("Of the block with the shorter log."),
            "header": hex_of("Of the other one."),
            "path": array(hash_of("What both roots are made of.")),
        },
        about="That the log of one block begins with that of another (RFC 9162, section 2.1.4).",
    ),
    "Receipt": record_of(
        _ENTRY
        | {
            "status": one_of(["pending", "included"], "Included when the same record was posted before."),
            "href": text("Where to ask for it."),
        },
        about="A record that is safe on the node's disk.",
    ),
    "Receipts": record_of(
        {"records": array(ref("Receipt"), minItems=1, maxItems=LIMITS.records_per_post)},
        about="What became of the records, in their order.",
        examples=[
            {
                "records": [
                    {
                        "commit": "b7PqU0fZ0tE2Y1m1xk8iJ0r9V5c3n7Q4w6L2s8D1aGo",
                        "id": "invoice-2026-0815",
                        "status": "pending",
                        "href": "/records/invoice-2026-0815",
                    }
                ]
            }
        ],
    ),
    "NewRecord": record_of(
        {"data": ANY},
        {
            "id": text(
                "The caller's key for trying again; the node makes a UUIDv7 without one. Neither . nor ..",
                pattern="^[A-Za-z0-9._:-]{1,128}$",
            )
        },
        about="Something to record. No other members may be there.",
        examples=[{"id": "invoice-2026-0815", "data": "paid"}],
        additionalProperties=False,
    ),
    "NewRecords": {
        "anyOf": [
            ref("NewRecord"),
            array(ref("NewRecord"), minItems=1, maxItems=LIMITS.records_per_post),
        ],
        "description": "One record, or many, which are taken together or not at all.",
    },
    "Post": record_of(
        {"data": {"description": "In a classic network a string; else any JSON value that RFC 8785 can carry."}},
        {"id": text("In a work network: as in `POST /records`.", pattern="^[A-Za-z0-9._:-]{1,128}$")},
        about="What a block shall hold. In a classic network other members are ignored, else none may be there.",
        examples=[{"data": "hello"}],
    ),
    "Done": record_of({"status": always(value=True)}, about="It is done, and durable.", examples=[{"status": True}]),
}
