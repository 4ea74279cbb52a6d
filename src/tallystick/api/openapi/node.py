"""Schemas of what a node says of itself, of its peers, and of what was wrong."""

from __future__ import annotations

from typing import Final

from tallystick.api.openapi.shapes import (
    Schema,
    always,
    array,
    count,
    flag,
    hash_of,
    number,
    one_of,
    or_null,
    record_of,
    ref,
    text,
)
from tallystick.api.problems import TABLE, TYPE_PREFIX
from tallystick.errors import Rule
from tallystick.model.network import Kind
from tallystick.wire.dialect import Dialect

_KEY: Final = text("A node key.", pattern="^[0-9a-f]{64}$")

NODE: Final[dict[str, Schema]] = {
    "FrontPage": record_of(
        {
            "tallystick": text("Version of the node."),
            "about": text(),
            "endpoints": {
                "type": "object",
                "additionalProperties": text(),
                "description": "What there is, a line each.",
            },
        },
        about="What a node serves.",
    ),
    "Alive": record_of({"status": always("alive")}, about="The process lives."),
    "Ready": record_of({"status": always("ready")}, about="The store is open."),
    "Status": record_of(
        {
            "version": text("Of the node."),
            "network": ref("Network"),
            "key": or_null(_KEY),
            "tip": ref("Header"),
            "sync": or_null(ref("Sync")),
            "uptime_ms": count("Since the port was opened."),
            "peers": array(ref("Peer")),
            "addresses": count("Of other nodes, that it knows."),
            "dropped": array(ref("DroppedPeer"), "The last connections it ended for a reason, newest first."),
            "connections": count("Open ones to the port."),
            "lost_duties": flag("Posts of this node's wait to be mined again."),
            "data_bytes": or_null(count("Size on disk.")),
            "pool": or_null(ref("Pool")),
            "mining": or_null(ref("Mining")),
        },
        about="What a node is doing. Durations are in milliseconds; what is not known is null.",
    ),
    "Network": record_of(
        {
            "kind": one_of([kind.value for kind in Kind]),
            "name": text(),
            "id": hash_of("Of the first block."),
            "members": count("How many nodes may take part; 0 when everybody may."),
        },
        about="The network a node is part of.",
    ),
    "Sync": record_of(
        {
            "index": count("Last block of the chain that is checked and on disk."),
            "target": count("Last block of that chain, as its peers say."),
            "blocks_per_second": number(),
            "remaining_ms": or_null(count("Estimated.")),
            "peers": count("That blocks are asked of."),
        },
        about="A chain is being fetched.",
    ),
    "Tip": record_of({"index": count(), "hash": hash_of("Of the block.")}, about="What a peer says it has."),
    "Peer": record_of(
        {
            "address": text("`host:port` of the other end, or the address that is dialled."),
            "direction": one_of(["inbound", "outbound"]),
            "dialled": or_null(text("`ws://` or `wss://`, host and port.")),
            "origin": one_of(["configured", "book", "inbound"]),
            "state": one_of(["connected", "dialling", "waiting"]),
            "dialect": or_null(one_of([dialect.value for dialect in Dialect])),
            "agent": or_null(text("What it calls its program.")),
            "key": or_null(_KEY),
            "connected_ms": or_null(count()),
            "next_dial_ms": or_null(count("Until the next attempt.")),
            "tip": or_null(ref("Tip")),
            "latency_ms": or_null(count()),
            "received_bytes": or_null(count()),
            "sent_bytes": or_null(count()),
            "last_error": or_null(text()),
        },
        about="An open connection, or an address the node keeps dialling.",
    ),
    "DroppedPeer": record_of(
        {"address": text(), "rule": one_of([rule.value for rule in Rule]), "detail": text()},
        about="A peer that broke a rule.",
    ),
    "Pool": record_of(
        {"records": count(), "bytes": count(), "most_bytes": count("Beyond this, posts are refused.")},
        about="In a work network: records that are in no block yet.",
    ),
    "Mining": record_of(
        {
            "bits": text("Target of the next block.", pattern="^[0-9a-f]{8}$"),
            "difficulty": number("As a multiple of the first block's."),
            "expected_hashes": {"type": "integer", "minimum": 0, "description": "On average; may be very large."},
            "is_mining": flag("This node looks for blocks."),
            "hashes_per_second": or_null(number()),
            "expected_ms": or_null({"type": "integer", "minimum": 0, "description": "Until this node finds one."}),
        },
        about="In a work network: how blocks are found.",
    ),
    "Addresses": array(text(), "The remote end, `host:port`, of each open connection.", examples=[["10.0.0.7:3001"]]),
    "NewPeer": record_of(
        {"peer": text("`ws://HOST:PORT` or `wss://HOST:PORT`.")},
        about="A node to dial. Other members are ignored.",
        examples=[{"peer": "ws://10.0.0.7:3001"}],
    ),
    "NewBan": record_of(
        {"subject": text("A node key, or a numeric address without a port.")},
        about="Whom to keep out. Other members are ignored.",
        examples=[{"subject": "10.0.0.7"}],
    ),
    "Ban": record_of(
        {
            "subject": text("A node key or a numeric address."),
            "manual": flag("By the operator, and for ever; else a rule was broken."),
            "remaining_ms": or_null(count("Null: for ever.")),
        },
        about="Somebody who is kept out.",
        examples=[{"subject": "10.0.0.7", "manual": True, "remaining_ms": None}],
    ),
    "Problem": record_of(
        {
            "type": one_of([TYPE_PREFIX + what for what in TABLE], "What programs should look at; never changes."),
            "title": text("The same in words."),
            "status": {
                "anyOf": [
                    count("That of the answer.", 599, 400),
                    always(value=False, about="Of `data-missing`, as in the book."),
                ]
            },
            "detail": text("What was wrong, what is expected, what to do."),
        },
        {
            "rule": one_of([rule.value for rule in Rule], "Of the ledger, when one was broken."),
            "message": always("pass value in data key", "Of `data-missing`, as in the book."),
        },
        about="What was wrong (RFC 9457).",
    ),
}
