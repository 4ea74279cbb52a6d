"""What a request that cannot be served is told: one table, one form.

Every refusal is a problem document (RFC 9457): `type` names the problem for programs and never changes,
`title` says it in words, `detail` shows the value that was wrong and what is expected, `rule` names the
broken rule where there is one. `TABLE` is the only place where a rule or a fault of a request gets its
HTTP status. What is not in it is our own bug: it is logged in full, and the caller learns nothing of it.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import structlog
from sanic.exceptions import MethodNotAllowed, PayloadTooLarge, SanicException
from sanic.handlers import ErrorHandler
from sanic.request import Request
from sanic.response import HTTPResponse

from tallystick.api.answers import PROBLEM_JSON, Answer, encode
from tallystick.errors import Rule, RuleViolation, StoreError, StoreFullError
from tallystick.wire.dialect import Dialect

TYPE_PREFIX: Final = "urn:tallystick:problem:"

_log: Final = structlog.get_logger("tallystick.api")


class Fault(enum.StrEnum):
    """What can be wrong with a request before any rule of the ledger is asked. The value ends the problem's type."""

    BAD_REQUEST = "bad-request"
    NOT_JSON = "not-json"
    NOT_AN_OBJECT = "not-an-object"
    NOT_RECORDS = "not-records"
    TOO_MANY_RECORDS = "too-many-records"
    DATA_MISSING = "data-missing"
    DATA_NOT_A_STRING = "data-not-a-string"
    PEER_MISSING = "peer-missing"
    PEER_NOT_A_STRING = "peer-not-a-string"
    BAD_PARAMETER = "bad-parameter"
    HOST_MALFORMED = "host-malformed"
    TOKEN_NEEDED = "token-needed"  # noqa: S105 - the name of a problem, not a token
    ORIGIN_NOT_ALLOWED = "origin-not-allowed"
    DOOR_CLOSED = "door-closed"
    NO_SUCH_PATH = "no-such-path"
    NO_SUCH_BLOCK = "no-such-block"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    TOO_SLOW = "too-slow"
    BODY_TOO_LARGE = "body-too-large"
    URL_TOO_LONG = "url-too-long"
    NOT_JSON_TYPE = "not-json-type"
    EXPECTATION_FAILED = "expectation-failed"
    HOST_NOT_LISTED = "host-not-listed"
    HEAD_TOO_LARGE = "head-too-large"
    INTERNAL = "internal"
    STORE_FAILED = "store-failed"
    STORE_FULL = "store-full"
    NOT_READY = "not-ready"
    BUSY = "busy"


class Verdict(NamedTuple):
    """What a problem costs a caller."""

    status: int
    title: str


_BAD_BLOCK: Final = "A block breaks a rule of this network"
_BAD_HANDSHAKE: Final = "The peer does not introduce itself"

TABLE: Final[Mapping[Rule | Fault, Verdict]] = MappingProxyType(
    {
        Fault.BAD_REQUEST: Verdict(400, "The request is not well-formed HTTP"),
        Fault.NOT_JSON: Verdict(400, "The body is not JSON"),
        Fault.NOT_AN_OBJECT: Verdict(400, "The body is not a JSON object"),
        Fault.NOT_RECORDS: Verdict(422, "The body is neither a record nor an array of records"),
        Fault.TOO_MANY_RECORDS: Verdict(413, "There are too many records"),
        Fault.DATA_MISSING: Verdict(400, "The key data is missing"),
        Fault.DATA_NOT_A_STRING: Verdict(422, "data is not a string"),
        Fault.PEER_MISSING: Verdict(400, "The key peer is missing"),
        Fault.PEER_NOT_A_STRING: Verdict(400, "peer is not a string"),
        Fault.BAD_PARAMETER: Verdict(400, "A query parameter is not acceptable"),
        Fault.HOST_MALFORMED: Verdict(400, "The Host header is missing or malformed"),
        Fault.TOKEN_NEEDED: Verdict(401, "A token is needed"),
        Fault.ORIGIN_NOT_ALLOWED: Verdict(403, "Pages of this origin may not talk to this node"),
        Fault.DOOR_CLOSED: Verdict(403, "This node takes no peers here"),
        Fault.NO_SUCH_PATH: Verdict(404, "There is nothing at this path"),
        Fault.NO_SUCH_BLOCK: Verdict(404, "There is no such block"),
        Fault.METHOD_NOT_ALLOWED: Verdict(405, "This path has no such method"),
        Fault.TOO_SLOW: Verdict(408, "The request took too long to arrive"),
        Fault.BODY_TOO_LARGE: Verdict(413, "The body is too large"),
        Fault.URL_TOO_LONG: Verdict(414, "The URL is too long"),
        Fault.NOT_JSON_TYPE: Verdict(415, "The body must be application/json"),
        Fault.EXPECTATION_FAILED: Verdict(417, "The expectation cannot be met"),
        Fault.HOST_NOT_LISTED: Verdict(421, "This node does not answer to that host name"),
        Fault.HEAD_TOO_LARGE: Verdict(431, "The head of the request is too large"),
        Fault.INTERNAL: Verdict(500, "The node failed to answer"),
        Fault.STORE_FAILED: Verdict(503, "The node's storage failed"),
        Fault.STORE_FULL: Verdict(503, "The node's disk is full"),
        Fault.NOT_READY: Verdict(503, "The node is not ready"),
        Fault.BUSY: Verdict(503, "The node is busy"),
        Rule.DATA_WITHIN_SIZE: Verdict(413, "data is too long"),
        Rule.CLOCK_IS_SANE: Verdict(503, "The node's clock cannot date a block"),
        Rule.RECORD_ID_IS_WELL_FORMED: Verdict(422, "The id is not well-formed"),
        Rule.RECORD_ID_IS_FREE: Verdict(409, "The id names another record"),
        Rule.RECORD_IS_KNOWN: Verdict(404, "There is no such record"),
        Rule.POOL_HAS_ROOM: Verdict(503, "The pool is full"),
        Rule.NETWORK_TAKES_RECORDS: Verdict(404, "This network keeps no records"),
        Rule.ADDRESS_IS_WELL_FORMED: Verdict(400, "The address is not well-formed"),
        Rule.ADDRESS_RESOLVES: Verdict(400, "The address does not resolve"),
        Rule.ADDRESS_IS_ALLOWED: Verdict(400, "The address is one this node does not dial"),
        Rule.ADDRESS_IS_NOT_OURS: Verdict(400, "The address is this node's own"),
        Rule.ADDRESS_BOOK_HAS_ROOM: Verdict(400, "The address book is full"),
        Rule.PEER_IS_KNOWN: Verdict(404, "There is no such peer"),
        Rule.PEERS_WITHIN_LIMIT: Verdict(503, "The node has all the peers it takes"),
        Rule.PEER_IN_GOOD_STANDING: Verdict(403, "This address is refused for a while"),
        Rule.PEER_IS_NOT_BANNED: Verdict(403, "The operator keeps this peer out"),
        Rule.DIALECT_IS_SPOKEN: Verdict(426, "The nodes' own dialect is needed here"),
        Rule.BAN_IS_WELL_FORMED: Verdict(400, "Neither a node key nor a numeric address"),
        Rule.BAN_IS_KNOWN: Verdict(404, "Nobody of that name is kept out"),
        Rule.BAN_LIST_HAS_ROOM: Verdict(400, "The list of bans is full"),
        Rule.HELLO_COMES_FIRST: Verdict(400, _BAD_HANDSHAKE),
        Rule.HELLO_IS_ACCEPTABLE: Verdict(400, _BAD_HANDSHAKE),
        Rule.HANDSHAKE_IN_TIME: Verdict(408, "The handshake took too long"),
        Rule.NETWORK_IS_OURS: Verdict(403, "The peer belongs to another network"),
        Rule.PEER_IS_NOT_OURSELVES: Verdict(400, "The peer is this node itself"),
        Rule.PEER_IS_WHO_IT_CLAIMS: Verdict(403, "The peer is not who it claims to be"),
        Rule.PEER_CONNECTS_ONCE: Verdict(409, "The peer is connected already"),
        Rule.PEER_IS_A_MEMBER: Verdict(403, "The peer is no member of this network"),
        Rule.REPLY_WAS_ASKED_FOR: Verdict(400, "Nobody asked for this reply"),
        Rule.REPLY_FITS_REQUEST: Verdict(400, "The reply does not fit its request"),
        Rule.REQUESTS_WITHIN_RATE: Verdict(429, "Too many requests"),
        Rule.CLAIM_IS_PROVEN: Verdict(422, "The peer does not have the chain it claims"),
        Rule.SYNC_KEEPS_UP: Verdict(408, "The peer holds up the others"),
        Rule.PEER_KEEPS_UP: Verdict(408, "The peer has nothing new for too long"),
        Rule.MESSAGE_IS_WELL_FORMED: Verdict(400, "The message is not well-formed"),
        Rule.MESSAGE_IS_DECODABLE: Verdict(400, "The message cannot be decoded"),
        Rule.MESSAGE_WITHIN_SIZE: Verdict(413, "The message is too large"),
        Rule.FRAME_KIND_FITS_DIALECT: Verdict(400, "The frame does not fit the dialect"),
        Rule.MESSAGE_ARRIVES_IN_TIME: Verdict(408, "The message took too long to arrive"),
        Rule.PONG_IN_TIME: Verdict(408, "A ping was not answered"),
        Rule.OUTBOX_DRAINS: Verdict(408, "The peer does not read"),
        Rule.INDEX_IN_RANGE: Verdict(422, _BAD_BLOCK),
        Rule.TIMESTAMP_HAS_TEN_DIGITS: Verdict(422, _BAD_BLOCK),
        Rule.HASH_MATCHES_CONTENT: Verdict(422, _BAD_BLOCK),
        Rule.GENESIS_IS_OURS: Verdict(422, _BAD_BLOCK),
        Rule.INDEX_FOLLOWS_PARENT: Verdict(422, _BAD_BLOCK),
        Rule.NAMES_ITS_PARENT: Verdict(422, _BAD_BLOCK),
        Rule.HEADER_IS_WELL_FORMED: Verdict(422, _BAD_BLOCK),
        Rule.SEAL_HOLDS: Verdict(422, _BAD_BLOCK),
        Rule.BODY_MATCHES_HEADER: Verdict(422, _BAD_BLOCK),
        Rule.BLOCK_WITHIN_SIZE: Verdict(422, _BAD_BLOCK),
        Rule.ENTRY_IS_WELL_FORMED: Verdict(422, _BAD_BLOCK),
        Rule.COMMITMENT_MATCHES_DATA: Verdict(422, _BAD_BLOCK),
        Rule.DATA_IS_CANONICAL: Verdict(422, "The data has no canonical form"),
        Rule.DIFFICULTY_FOLLOWS_SCHEDULE: Verdict(422, _BAD_BLOCK),
        Rule.TIME_AFTER_MEDIAN: Verdict(422, _BAD_BLOCK),
        Rule.TIME_NOT_FROM_FUTURE: Verdict(422, _BAD_BLOCK),
        Rule.LOG_MATCHES_RECORDS: Verdict(422, _BAD_BLOCK),
        Rule.RECORD_IS_NEW: Verdict(422, _BAD_BLOCK),
        Rule.PARENT_IS_KNOWN: Verdict(422, _BAD_BLOCK),
        Rule.REORG_WITHIN_LIMIT: Verdict(422, _BAD_BLOCK),
    }
)
"""Rule or fault -> what the caller gets."""

HEADERS: Final[Mapping[Rule | Fault, Mapping[str, str]]] = MappingProxyType(
    {
        Rule.PEERS_WITHIN_LIMIT: {"retry-after": "60"},
        Rule.POOL_HAS_ROOM: {"retry-after": "5"},
        Fault.NOT_READY: {"retry-after": "1"},
        Fault.BUSY: {"retry-after": "5"},
        # RFC 9110, section 15.5.22 wants the protocol named; which dialect of it, RFC 6455 has a header for.
        Rule.DIALECT_IS_SPOKEN: {"upgrade": "websocket", "sec-websocket-protocol": Dialect.NATIVE.value},
    }
)
"""What else the answer says, for programs."""


class Refusal(Exception):
    """A request cannot be served; becomes a problem document. `detail` ends with what to do."""

    def __init__(self, fault: Fault, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail
        self.headers = headers or {}


def problem_document(what: Rule | Fault, detail: str) -> dict[str, object]:
    """The problem document of `what`, as an object.

    The book answers a post without data with `{"status": false, "message": ...}`. Its clients look at
    these two keys, so that one document keeps them; RFC 9457 (section 3.1) tells its readers to ignore a
    `status` that is no number.
    """
    verdict = TABLE[what]
    document: dict[str, object] = {
        "type": TYPE_PREFIX + what,
        "title": verdict.title,
        "status": verdict.status,
        "detail": detail,
    }
    if isinstance(what, Rule):
        document["rule"] = what.value
    if what is Fault.DATA_MISSING:
        document |= {"status": False, "message": "pass value in data key"}
    return document


def problem(what: Rule | Fault, detail: str, headers: Mapping[str, str] | None = None) -> Answer:
    """The answer that says `what`."""
    every = {**HEADERS.get(what, {}), **(headers or {})}
    return Answer(encode(problem_document(what, detail)), TABLE[what].status, PROBLEM_JSON, every)


def problem_of(error: BaseException, *, head_was_read: bool = True) -> Answer:
    """The problem document that `error` becomes. Anything unforeseen is logged and shown as a bare 500."""
    match error:
        case Refusal():
            return problem(error.fault, error.detail, error.headers)
        case RuleViolation():
            return problem(error.rule, error.detail)
        case StoreError():
            return _problem_of_store(error)
        case asyncio.CancelledError():  # the client is gone, or the node stops; nobody will read this
            return problem(Fault.NOT_READY, "it is stopping; ask another one")
        case SanicException() if error.status_code in _OF_STATUS:
            return _problem_of_http(error, head_was_read=head_was_read)
        case _:
            _log.error("a request failed, and it is our bug", exc_info=error)
            return problem(Fault.INTERNAL, "this is a bug of the node; its log has the details")


def _problem_of_store(error: StoreError) -> Answer:
    """The message names files of the node, so it goes to the log alone."""
    _log.error("a request failed", why=str(error))
    if isinstance(error, StoreFullError):
        return problem(Fault.STORE_FULL, "nothing was acknowledged; the operator must free space on the node's disk")
    return problem(Fault.STORE_FAILED, "nothing was acknowledged; the operator finds the reason in the node's log")


_OF_STATUS: Final[Mapping[int, tuple[Fault, str]]] = MappingProxyType(
    {
        400: (Fault.BAD_REQUEST, "the head or the framing of the body breaks RFC 9112; send plain HTTP/1.1"),
        404: (Fault.NO_SUCH_PATH, "GET / lists what this node serves"),
        405: (Fault.METHOD_NOT_ALLOWED, "the Allow header lists the methods of this path"),
        408: (Fault.TOO_SLOW, "send the whole request at once"),
        413: (Fault.BODY_TOO_LARGE, "send less; no acceptable post is so large"),
        414: (Fault.URL_TOO_LONG, "GET / lists what this node serves"),
        417: (Fault.EXPECTATION_FAILED, "the only expectation served is 100-continue"),
        503: (Fault.BUSY, "ask again later"),
    }
)


def _problem_of_http(error: SanicException, *, head_was_read: bool) -> Answer:
    fault, detail = _OF_STATUS[error.status_code]
    if isinstance(error, PayloadTooLarge) and not head_was_read:
        return problem(Fault.HEAD_TOO_LARGE, "send fewer or shorter headers")
    headers = {}
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = ", ".join(sorted(error.allowed_methods or ()))
    return problem(fault, detail, headers)


class Problems(ErrorHandler):
    """Sanic's hook for everything that went wrong. It never shows a page, a traceback or a path of its own."""

    def response(self, request: Request | None, exception: BaseException) -> HTTPResponse:
        head_was_read = request is not None and request.method != "NONE"  # what Sanic makes up without a head
        return problem_of(exception, head_was_read=head_was_read)
