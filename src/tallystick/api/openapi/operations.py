"""What can be asked of a node: an entry for each method of a path. `HEAD` goes wherever `GET` does, and has none.

An entry names its own refusals. Those that any request may meet, whatever it asks, are `ANYWHERE`; `TOKEN_NEEDED` is
missing where no token is ever asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from tallystick.api.events import TOLD
from tallystick.api.openapi.happenings import STREAM_EXAMPLE
from tallystick.api.openapi.shapes import Schema, array, count, one_of, ref, text
from tallystick.api.problems import Fault
from tallystick.errors import Rule
from tallystick.model.limits import LIMITS, SECOND_MS

JSON: Final = "application/json"

ANYWHERE: Final = (
    Fault.BAD_REQUEST,
    Fault.HOST_MALFORMED,
    Fault.ORIGIN_NOT_ALLOWED,
    Fault.TOO_SLOW,
    Fault.BODY_TOO_LARGE,
    Fault.URL_TOO_LONG,
    Fault.EXPECTATION_FAILED,
    Fault.HOST_NOT_LISTED,
    Fault.HEAD_TOO_LARGE,
    Fault.INTERNAL,
    Fault.BUSY,
)

_STORE: Final = (Fault.NOT_READY, Fault.STORE_FAILED)
"""Of whatever asks the ledger."""

_WRITE: Final = (*_STORE, Fault.STORE_FULL)
_JSON_BODY: Final = (Fault.NOT_JSON_TYPE, Fault.NOT_JSON, Fault.NOT_AN_OBJECT)
_PATH: Final = (Fault.NO_SUCH_PATH,)
"""Of a path that ends with what a caller fills in: some of that makes it another path."""

_RECORDS: Final = (
    Fault.DATA_MISSING,
    Fault.NOT_RECORDS,
    Rule.DATA_WITHIN_SIZE,
    Rule.DATA_IS_CANONICAL,
    Rule.RECORD_ID_IS_WELL_FORMED,
    Rule.RECORD_ID_IS_FREE,
    Rule.POOL_HAS_ROOM,
)

DOOR: Final = (
    Fault.DOOR_CLOSED,
    Fault.NOT_READY,
    Rule.MESSAGE_IS_WELL_FORMED,
    Rule.PEER_IS_NOT_BANNED,
    Rule.PEER_IN_GOOD_STANDING,
    Rule.PEER_IS_A_MEMBER,
    Rule.DIALECT_IS_SPOKEN,
    Rule.PEERS_WITHIN_LIMIT,
)
"""Of the peers' door, which is at the front page."""


class Parameter(msgspec.Struct, frozen=True):
    """Something that a caller fills in."""

    name: str
    where: str
    """`path`, `query` or `header`."""

    about: str
    schema: Schema
    example: object
    required: bool = False


class Says(msgspec.Struct, frozen=True):
    """An answer that is no refusal."""

    about: str
    content: Mapping[str, Schema] = msgspec.field(default_factory=dict)
    """Type -> schema."""

    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Name -> what it says. It may be missing."""

    example: object = None


class Operation(msgspec.Struct, frozen=True):
    """One method of one path."""

    method: str
    path: str
    name: str
    tag: str
    about: str
    answers: Mapping[int, Says]
    refusals: Sequence[Fault | Rule] = ()
    parameters: Sequence[Parameter] = ()
    body: Schema | None = None
    """What JSON is sent."""

    needs_token: bool = True
    """Can a node ask for a token?"""


def _json(schema: Schema, about: str, **headers: str) -> Says:
    return Says(about, {JSON: schema}, headers)


_LINK: Final = 'Where the next ones are (RFC 8288), with rel="next"; missing when there are none.'
_LIMIT: Final = "How many at most. There may be fewer, as a page holds about 1 MiB."
_UNCHANGED: Final = {304: Says("The file is the one that `If-None-Match` names.")}
_DONE: Final = {200: _json(ref("Done"), "It is done.")}
_REF: Final = Parameter(
    "ref",
    "path",
    "Which block: its index, its hash, or `latest`.",
    text(pattern="^(0|[1-9][0-9]{0,15}|[0-9a-f]{64}|latest)$"),
    "latest",
    required=True,
)
_ID: Final = Parameter(
    "id", "path", "Of the record.", text(pattern="^[A-Za-z0-9._:-]{1,128}$"), "invoice-2026-0815", required=True
)


def _query(name: str, about: str, schema: Schema, example: object, *, required: bool = False) -> Parameter:
    return Parameter(name, "query", about, schema, example, required)


_BLOCKS: Final = (
    Operation(
        "POST",
        "/mineBlock",
        "mineBlock",
        "blocks",
        "Put something into a block. In a classic network a block is made at once. In a work network the record waits "
        "for one to be found; when the wait is over before that, it is as safe as any record, and `Location` says "
        "where to look.",
        {
            200: _json(ref("Block"), "The block, safely on disk."),
            202: _json(
                ref("Receipts"), "The record, which waits for its block.", Location="Where to ask for the record."
            ),
        },
        (*_WRITE, *_JSON_BODY, *_RECORDS, Fault.DATA_NOT_A_STRING, Fault.BAD_PARAMETER, Rule.CLOCK_IS_SANE),
        (
            _query(
                "wait",
                "In a work network: seconds to wait for the block. Otherwise not looked at.",
                {"type": "number", "minimum": 0, "maximum": LIMITS.post_wait_max_ms // SECOND_MS},
                30,
            ),
        ),
        ref("Post"),
    ),
    Operation(
        "GET",
        "/blocks",
        "getBlocks",
        "blocks",
        "Blocks of the best chain, in their order. Without parameters all of them, streamed: if the node switches to "
        "another branch meanwhile, it breaks the connection off. With either parameter a page.",
        {200: _json({"type": "array", "items": ref("Block")}, "The blocks.", Link=_LINK)},
        (*_STORE, Fault.BAD_PARAMETER),
        (
            _query("from", "Index of the first.", count(), 1_000),
            _query("limit", _LIMIT, count(most=LIMITS.page_blocks, least=1), 100),
        ),
    ),
    Operation(
        "GET",
        "/blocks/{ref}",
        "getBlock",
        "blocks",
        "One block. One that has left the best chain is still found by its hash.",
        {200: _json(ref("AnyBlock"), "The block.")},
        (*_STORE, *_PATH, Fault.NO_SUCH_BLOCK),
        (_REF,),
    ),
    Operation(
        "GET",
        "/blocks/{ref}/consistency",
        "proveConsistency",
        "blocks",
        "In a work network: the proof that the log of a block begins with that of an earlier one.",
        {200: _json(ref("ConsistencyProof"), "The proof.")},
        (*_STORE, *_PATH, Fault.NO_SUCH_BLOCK, Fault.BAD_PARAMETER, Rule.NETWORK_TAKES_RECORDS),
        (_REF, _query("from", "The earlier block, likewise.", _REF.schema, "0", required=True)),
    ),
    Operation(
        "GET",
        "/forks",
        "getForks",
        "blocks",
        "Branches beside the best chain, the latest change first.",
        {200: _json(array(ref("Fork")), "The branches.")},
        (*_STORE, Fault.BAD_PARAMETER),
        (_query("limit", "How many at most.", count(most=LIMITS.fork_blocks, least=1), 10),),
    ),
)

_RECORDS_OPERATIONS: Final = (
    Operation(
        "POST",
        "/records",
        "postRecords",
        "records",
        "Record something, in a work network. The same id with the same data is answered with what is there already, "
        "however often it is sent.",
        {202: _json(ref("Receipts"), "All are safely on disk, and wait for their blocks.", Location="Of one alone.")},
        (*_WRITE, *_RECORDS, Fault.NOT_JSON_TYPE, Fault.NOT_JSON, Fault.TOO_MANY_RECORDS, Rule.NETWORK_TAKES_RECORDS),
        (),
        ref("NewRecords"),
    ),
    Operation(
        "GET",
        "/records",
        "getLog",
        "records",
        "Records in the order of the log, without proofs.",
        {200: _json(array(ref("LogRecord")), "The records.", Link=_LINK)},
        (*_STORE, Fault.BAD_PARAMETER, Rule.NETWORK_TAKES_RECORDS),
        (
            _query("after", "How many to leave out.", count(), 1_000),
            _query("limit", _LIMIT, count(most=LIMITS.records_per_page, least=1), 100),
        ),
    ),
    Operation(
        "GET",
        "/records/{id}",
        "getRecord",
        "records",
        "The records of an id, where they stand, and the proof of it.",
        {200: _json(ref("StoredRecords"), "All records of the id.")},
        (*_STORE, *_PATH, Fault.NO_SUCH_BLOCK, Fault.BAD_PARAMETER, Rule.NETWORK_TAKES_RECORDS, Rule.RECORD_IS_KNOWN),
        (_ID, _query("block", "The block that proofs lead to.", _REF.schema, "latest")),
    ),
    Operation(
        "DELETE",
        "/records/{id}",
        "eraseRecord",
        "records",
        "Remove data and salt of a record from this node's disk, for good. Its entry stays, and its proofs still hold.",
        _DONE,
        (*_WRITE, *_PATH, Rule.NETWORK_TAKES_RECORDS, Rule.RECORD_IS_KNOWN),
        (_ID,),
    ),
)

_SEARCH: Final = (
    Operation(
        "GET",
        "/search",
        "search",
        "search",
        "Find a text on the best chain, without regard to case, newest first: in the data of blocks in a classic "
        "network, else in ids and data of the records of the log. Each request looks through a stretch, and says where "
        "to go on. Blocks beside the chain and records that wait are not looked at.",
        {200: _json(ref("Matches"), "What was found, and where to go on.")},
        (*_STORE, Fault.BAD_PARAMETER),
        (
            _query(
                "text",
                "What to find.",
                text(minLength=1, maxLength=LIMITS.search_characters),
                "invoice",
                required=True,
            ),
            _query("before", "What the answer before said. Without it, begin at the end.", count(), 980_000),
            _query("limit", "How many matches at most.", count(most=LIMITS.search_matches, least=1), 20),
        ),
    ),
)

_EVENTS: Final = (
    Operation(
        "GET",
        "/events",
        "getEvents",
        "events",
        "What happens, as it happens: server-sent events, without end. The data of an event is JSON of the schema "
        "`BlockEvent`, `RecordEvent`, `ReorgEvent`, `ResetEvent` or `PeerEvent`, as its type says. A stream begins "
        "now, or with a block, or behind the event whose id is sent.",
        {200: Says("The stream.", {"text/event-stream": text()}, {}, STREAM_EXAMPLE)},
        (*_STORE, Fault.BAD_PARAMETER),
        (
            _query(
                "types", "Which events, without spaces. `reset` comes always.", array(one_of(sorted(TOLD))), ["block"]
            ),
            _query("from", "Index of the block to begin with.", count(), 0),
            Parameter(
                "Last-Event-ID",
                "header",
                "The id of an event: the stream goes on behind it. `from` is not looked at then. An empty one is none.",
                text(pattern="^([0-9]{1,16}-[0-9a-f]{64}-([0-9]{1,10}|all)-([0-9]{1,16}|on)-[0-9]{1,19})?$"),
                "1072-" + "0a4fc1e177d02be1" * 4 + "-all-on-20411",
            ),
        ),
    ),
)

_PEERS: Final = (
    Operation(
        "GET",
        "/peers",
        "getPeers",
        "peers",
        "Open connections.",
        {200: _json(ref("Addresses"), "Their other ends.")},
        _STORE,
    ),
    Operation(
        "POST",
        "/addPeer",
        "addPeer",
        "peers",
        "Dial a node, now and after every restart.",
        _DONE,
        (
            *_WRITE,
            *_JSON_BODY,
            Fault.PEER_MISSING,
            Fault.PEER_NOT_A_STRING,
            Rule.ADDRESS_IS_WELL_FORMED,
            Rule.ADDRESS_RESOLVES,
            Rule.ADDRESS_IS_ALLOWED,
            Rule.ADDRESS_IS_NOT_OURS,
            Rule.ADDRESS_BOOK_HAS_ROOM,
        ),
        (),
        ref("NewPeer"),
    ),
    Operation(
        "DELETE",
        "/peers/{address}",
        "removePeer",
        "peers",
        "Forget a peer and hang up.",
        _DONE,
        (*_WRITE, *_PATH, Rule.ADDRESS_IS_WELL_FORMED, Rule.PEER_IS_KNOWN),
        (
            Parameter(
                "address",
                "path",
                "`ws://host:port` of a node we dial, or `host:port` of a connection.",
                text(minLength=1),
                "10.0.0.7:3001",
                required=True,
            ),
        ),
    ),
    Operation(
        "GET",
        "/bans",
        "getBans",
        "peers",
        "Who is kept out, manual bans first.",
        {200: _json(array(ref("Ban")), "The bans.")},
        _STORE,
    ),
    Operation(
        "POST",
        "/bans",
        "ban",
        "peers",
        "Keep a node out, now and after every restart, and hang up on it.",
        _DONE,
        (*_WRITE, *_JSON_BODY, Rule.BAN_IS_WELL_FORMED, Rule.BAN_LIST_HAS_ROOM),
        (),
        ref("NewBan"),
    ),
    Operation(
        "DELETE",
        "/bans/{subject}",
        "unban",
        "peers",
        "Let it in again, whatever it is kept out for.",
        _DONE,
        (*_WRITE, *_PATH, Rule.BAN_IS_WELL_FORMED, Rule.BAN_IS_KNOWN),
        (Parameter("subject", "path", "As it was banned.", text(minLength=1), "10.0.0.7", required=True),),
    ),
)

_STATE: Final = (
    Operation(
        "GET",
        "/",
        "getFrontPage",
        "state",
        "What this node serves. Whoever accepts `text/html` gets the explorer, without a token. With "
        "`Upgrade: websocket` it is the peers' door, which only nodes know how to use.",
        {
            200: Says("The list, or the explorer.", {JSON: ref("FrontPage"), "text/html": text()}),
            101: Says("A peer is let in, and no HTTP is spoken any more."),
            **_UNCHANGED,
        },
        DOOR,
    ),
    Operation(
        "GET",
        "/explorer/{name}",
        "getExplorerFile",
        "state",
        "A file of the explorer.",
        {
            200: Says("It.", {kind: text() for kind in ("text/css", "text/javascript", "image/svg+xml")}),
            **_UNCHANGED,
        },
        (Fault.NO_SUCH_PATH,),
        (Parameter("name", "path", "Its path.", text(minLength=1), "main.js", required=True),),
        needs_token=False,
    ),
    Operation(
        "GET",
        "/docs",
        "getDocs",
        "state",
        "The way to the page of the explorer on which this document is shown and tried out.",
        {302: Says("There.", {}, {"location": "The page."})},
        needs_token=False,
    ),
    Operation(
        "GET",
        "/openapi.json",
        "getDocument",
        "state",
        "This document.",
        {200: _json({"type": "object"}, "OpenAPI 3.1.")},
    ),
    Operation(
        "GET", "/status", "getStatus", "state", "What the node is doing.", {200: _json(ref("Status"), "That.")}, _STORE
    ),
    Operation(
        "GET",
        "/metrics",
        "getMetrics",
        "state",
        "The state of the node for Prometheus.",
        {
            200: Says(
                "Metrics, in the format that is asked for.",
                {"text/plain": text(), "application/openmetrics-text": text()},
                {},
                "tallystick_ready 1.0\n",
            )
        },
        (Fault.STORE_FAILED,),
    ),
    Operation(
        "GET",
        "/health",
        "getHealth",
        "state",
        "Does the process live?",
        {200: _json(ref("Alive"), "It does.")},
        needs_token=False,
    ),
    Operation(
        "GET",
        "/ready",
        "getReady",
        "state",
        "Does the node serve requests?",
        {200: _json(ref("Ready"), "It does.")},
        (Fault.NOT_READY,),
        needs_token=False,
    ),
)

OPERATIONS: Final = (*_BLOCKS, *_RECORDS_OPERATIONS, *_SEARCH, *_EVENTS, *_PEERS, *_STATE)

TAGS: Final = {
    "blocks": "The chain.",
    "records": "What blocks hold, in work networks; in a classic one all of this answers 404.",
    "search": "What holds a text.",
    "events": "What happens.",
    "peers": "Other nodes.",
    "state": "The node itself.",
}
