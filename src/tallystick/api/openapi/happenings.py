"""Schemas of events: what stands behind `data:` in the stream of `GET /events`, by the type behind `event:`."""

from __future__ import annotations

from typing import Final

from tallystick.api.openapi.shapes import Schema, array, count, hash_of, one_of, or_null, parent, record_of, ref, text

_HEADER: Final = {
    "index": count("Its place in the chain, from 0."),
    "hash": hash_of("Of the block."),
    "previous_hash": parent("Of the block before it."),
    "timestamp": count("When it was made: seconds since 1970 in a classic network, else milliseconds."),
}

OF_EVENT: Final = {
    "block": "BlockEvent",
    "record": "RecordEvent",
    "reorg": "ReorgEvent",
    "reset": "ResetEvent",
    "peer": "PeerEvent",
}
"""Type of an event -> name of the schema of its data."""

HAPPENINGS: Final[dict[str, Schema]] = {
    "BlockEvent": record_of(
        {**_HEADER, "records": or_null(count("How many it holds; null in a classic network."))},
        about="A block is on the best chain now.",
    ),
    "RecordEvent": record_of(
        {
            "id": text("Of the record."),
            "leaf": hash_of("Of the record, in the log."),
            "status": one_of(["pending", "included"]),
            "block": or_null(ref("BlockPlace")),
            "position": or_null(count("In the log, once it is included.")),
        },
        about="A record came to this node, or into a block, or its block has left.",
    ),
    "ReorgEvent": record_of(
        {"fork": ref("Header"), "removed": array(ref("Header"), "The last one first.")},
        about="Blocks have left the best chain, which goes on from `fork`.",
    ),
    "ResetEvent": record_of(_HEADER, about="Too much has changed to tell it: read the chain anew, up to this block."),
    "PeerEvent": record_of(
        {
            "address": text("`host:port` of the other end."),
            "dialled": or_null(text("Where it was dialled.")),
            "dialect": or_null(text()),
            "state": one_of(["connected", "gone"]),
        },
        about="A connection to a peer is there, or no longer.",
    ),
}

STREAM_EXAMPLE: Final = (
    "retry: 1000\n"
    "id: 1071-77d00a4fc1e177d00a4fc1e177d00a4fc1e177d00a4fc1e177d00a4fc1e1772b-all-on-20411\n\n"
    "id: 1072-0a4fc1e177d00a4fc1e177d00a4fc1e177d00a4fc1e177d00a4fc1e177d02be1-all-on-20411\n"
    "event: block\n"
    'data: {"index":1071,"hash":"0a4fc1e177d00a4fc1e177d00a4fc1e177d00a4fc1e177d00a4fc1e177d02be1",'
    '"previous_hash":"77d00a4fc1e177d00a4fc1e177d00a4fc1e177d00a4fc1e177d00a4fc1e1772b",'
    '"timestamp":1764150000000,"records":500}\n\n'
)
