"""Blocks: read one, a page, or the whole chain; post one; look at the branches that were left."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final, cast
from urllib.parse import parse_qsl

import msgspec
import structlog
from sanic import Blueprint, Request

from tallystick.api.answers import Answer, encode, json_answer
from tallystick.api.bodies import DATA, text_of
from tallystick.api.desk import Desk
from tallystick.api.problems import Fault, Refusal
from tallystick.api.requests import READ, require_json
from tallystick.chain.contracts import Found
from tallystick.errors import StoreError, shown
from tallystick.model.block import INDEX_MAX, Block
from tallystick.node.ports import Ledger

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_QUERY_FIELDS_MAX: Final = 4

_log: Final = structlog.get_logger("tallystick.api")


class OrphanedBlock(msgspec.Struct, frozen=True):
    """A block that is kept beside the best chain: the keys of a block, and what became of it."""

    data: str
    hash: str
    index: int
    previous_hash: str
    timestamp: int
    orphaned: bool
    mined_again_as: str | None


def blocks(desk: Desk) -> Blueprint:
    """The routes of this noun."""
    blueprint = Blueprint("blocks")

    async def chain(request: Request) -> Answer | None:
        ledger = desk.ledger
        if request.query_string:
            return affordable(desk, page_answer(ledger, request.query_string))
        await answer_whole_chain(request, desk, ledger)
        return None

    async def one(_: Request, ref: str) -> Answer:
        return affordable(desk, json_answer(block_of(desk.ledger, ref)))

    async def mine(request: Request) -> Answer:
        ledger = desk.ledger
        require_json(request)
        data = text_of(request.body, DATA, desk.limits)
        return Answer(encode(await ledger.post(data)))

    async def forks(request: Request) -> Answer:
        most = desk.limits.fork_blocks
        parameters = _parameters(request.query_string, {"limit"})
        count = _number(parameters.get("limit", str(most)), "limit", 1, most)
        left = [
            {"fork": fork.fork, "tip": fork.tip, "blocks": [_as_shown(found) for found in fork.blocks]}
            for fork in desk.ledger.reader.forks(count)
        ]
        return affordable(desk, json_answer(left))

    blueprint.add_route(chain, "/blocks", methods=READ)
    blueprint.add_route(one, "/blocks/<ref>", methods=READ)
    blueprint.add_route(mine, "/mineBlock", methods=["POST"])
    blueprint.add_route(forks, "/forks", methods=READ)
    return blueprint


def affordable(desk: Desk, answer: Answer) -> Answer:
    """The answer, unless it is long and clients have too many bytes of theirs still to read. Raises Refusal."""
    long = len(answer.body or b"") > desk.limits.large_answer_bytes
    if long and desk.unread_bytes() > desk.limits.unread_answers_bytes:
        raise Refusal(Fault.BUSY, "too many clients have not read their answers yet; ask for less, or again later")
    return answer


def block_of(ledger: Ledger, ref: str) -> Block | OrphanedBlock:
    """The block that `ref` (an index, a hash, or `latest`) names. Raises Refusal."""
    reader = ledger.reader
    found: Block | OrphanedBlock | None = None
    if ref == "latest":
        found = reader.block(reader.tip().index)
    elif _HASH.fullmatch(ref):
        by_hash = reader.find(ref)
        found = _as_shown(by_hash) if by_hash else None
    elif _INDEX.fullmatch(ref) and int(ref) <= INDEX_MAX:
        found = reader.block(int(ref))
    if found is None:
        raise Refusal(
            Fault.NO_SUCH_BLOCK,
            f"{shown(ref)} names none; ask for an index from 0 to {reader.tip().index}, "
            "a hash of 64 lower-case hex digits, or latest",
        )
    return found


def _as_shown(found: Found) -> Block | OrphanedBlock:
    if not found.orphaned:
        return found.block
    return OrphanedBlock(**msgspec.structs.asdict(found.block), orphaned=True, mined_again_as=found.mined_again_as)


def page_answer(ledger: Ledger, query: str) -> Answer:
    """`?from=&limit=`: some blocks of the best chain, and in the Link header (RFC 8288) where the next are."""
    most = ledger.limits.page_blocks
    parameters = _parameters(query, {"from", "limit"})
    first = _number(parameters.get("from", "0"), "from", 0, INDEX_MAX)
    limit = _number(parameters.get("limit", str(most)), "limit", 1, most)
    page = ledger.reader.page(first, limit)
    following = first + len(page)
    headers = {}
    if page and following <= ledger.reader.tip().index:
        headers["link"] = f'</blocks?from={following}&limit={limit}>; rel="next"'
    return json_answer(page, headers)


def _parameters(query: str, known: set[str]) -> dict[str, str]:
    """Each known parameter at most once. A misspelt one is refused: ignored, it would ask for the whole chain."""
    expected = ", ".join(sorted(known))
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=_QUERY_FIELDS_MAX)
    except ValueError:
        raise Refusal(Fault.BAD_PARAMETER, f"{shown(query)} is no query; known are: {expected}") from None
    parameters = dict(pairs)
    for name in parameters:
        if name not in known:
            raise Refusal(Fault.BAD_PARAMETER, f"{shown(name)} is unknown; known are: {expected}")
    if len(parameters) != len(pairs):
        raise Refusal(Fault.BAD_PARAMETER, f"a parameter occurs twice in {shown(query)}; give each once")
    return parameters


def _number(text: str, name: str, least: int, most: int) -> int:
    if not _INDEX.fullmatch(text) or not least <= int(text) <= most:
        raise Refusal(Fault.BAD_PARAMETER, f"{name} is {shown(text)}; give a number from {least} to {most}")
    return int(text)


async def answer_whole_chain(request: Request, desk: Desk, ledger: Ledger) -> None:
    """`GET /blocks` as in the book: every block up to now, as one JSON array, a page at a time.

    If the node switches branches meanwhile, the next page may not follow from the last one sent. Then the
    connection is broken off: a client must not take two halves of different chains for one.
    """
    if desk.whole_chains >= desk.limits.whole_chains:
        raise Refusal(Fault.BUSY, "it is sending as many whole chains as it can; ask for pages with ?from=&limit=")
    desk.whole_chains += 1
    try:
        if await _send_chain(request, ledger):
            return
    except StoreError as error:
        if not request.responded:
            raise
        _log.error("an answer with the chain was broken off", why=str(error))
    finally:
        desk.whole_chains -= 1
    cast("asyncio.Transport", request.transport).abort()


async def _send_chain(request: Request, ledger: Ledger) -> bool:
    """True when all was sent, False when the chain changed under our hands."""
    reader, count = ledger.reader, ledger.limits.page_blocks
    following, end = 0, reader.tip().index + 1
    page: Sequence[Block] = reader.page(0, min(count, end))
    answer = await request.respond(Answer(None))
    if request.method == "HEAD":
        await answer.send(b"", end_stream=False)  # the head of a streamed answer, without a length
        return True
    opening, last = b"[", page[0].previous_hash
    while following < end:
        if not page or page[0].previous_hash != last:
            return False
        following, last = following + len(page), page[-1].hash
        await answer.send(opening + encode(page)[1:-1])
        await asyncio.sleep(0)  # a fast client must not keep others waiting for the whole chain
        opening = b","
        page = reader.page(following, min(count, end - following))
    await answer.send(b"]", end_stream=True)
    return True
