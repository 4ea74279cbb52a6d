"""Blocks: read one, a page, or the whole chain; look at the branches that were left."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final, cast

import structlog
from sanic import Request

from tallystick.api.answers import Answer, encode_into, json_answer
from tallystick.api.desk import Desk
from tallystick.api.problems import Fault, Refusal
from tallystick.api.requests import READ, parameters, whole_number
from tallystick.api.routes import Routes
from tallystick.api.views import blocks_view, found_view, header_view
from tallystick.chain.contracts import Found, Reader
from tallystick.errors import StoreError, shown
from tallystick.model.block import INDEX_MAX
from tallystick.model.sealed import AnyBlock
from tallystick.node.ports import Ledger

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")

_log: Final = structlog.get_logger("tallystick.api")


def blocks(desk: Desk) -> Routes:
    """The routes of this noun."""
    blueprint = Routes("blocks")

    async def chain(request: Request) -> Answer | None:
        ledger = desk.ledger
        if request.query_string:
            return affordable(desk, page_answer(ledger, request.query_string))
        await answer_whole_chain(request, desk, ledger)
        return None

    async def one(_: Request, ref: str) -> Answer:
        return affordable(desk, json_answer(found_view(found_block(desk.ledger.reader, ref))))

    async def forks(request: Request) -> Answer:
        most = desk.limits.fork_blocks
        given = parameters(request.query_string, {"limit"})
        count = whole_number(given.get("limit", str(most)), "limit", 1, most)
        left = [
            {
                "fork": None if fork.fork is None else header_view(fork.fork),
                "tip": header_view(fork.tip),
                "blocks": [found_view(found) for found in fork.blocks],
            }
            for fork in desk.ledger.reader.forks(count)
        ]
        return affordable(desk, json_answer(left))

    blueprint.add_route(chain, "/blocks", methods=READ)
    blueprint.add_route(one, "/blocks/<ref>", methods=READ)
    blueprint.add_route(forks, "/forks", methods=READ)
    return blueprint


def affordable(desk: Desk, answer: Answer) -> Answer:
    """The answer, unless it is long and clients have too many bytes of theirs still to read. Raises Refusal."""
    long = len(answer.body or b"") > desk.limits.large_answer_bytes
    if long and desk.unread_bytes() > desk.limits.unread_answers_bytes:
        raise Refusal(Fault.BUSY, "too many clients have not read their answers yet; ask for less, or again later")
    return answer


# --- one block --------------------------------------------------------------------------------------


def is_index(ref: str) -> bool:
    """Does `ref` name a block by a number that can be one's index?"""
    return _INDEX.fullmatch(ref) is not None and int(ref) <= INDEX_MAX


def found_block(reader: Reader, ref: str) -> Found:
    """The block that `ref` (an index, a hash, or `latest`) names. Raises Refusal."""
    found: Found | None = None
    if _HASH.fullmatch(ref):
        found = reader.find(ref)
    elif ref == "latest" or is_index(ref):
        block = reader.block(reader.tip().index if ref == "latest" else int(ref))
        found = None if block is None else Found(block, orphaned=False, mined_again_as=None)
    if found is None:
        raise Refusal(
            Fault.NO_SUCH_BLOCK,
            f"{shown(ref)} names none; ask for an index from 0 to {reader.tip().index}, "
            "a hash of 64 lower-case hex digits, or latest",
        )
    return found


# --- many -------------------------------------------------------------------------------------------


def page_answer(ledger: Ledger, query: str) -> Answer:
    """`?from=&limit=`: some blocks of the best chain, and in the Link header (RFC 8288) where the next are."""
    most = ledger.limits.page_blocks
    given = parameters(query, {"from", "limit"})
    first = whole_number(given.get("from", "0"), "from", 0, INDEX_MAX)
    limit = whole_number(given.get("limit", str(most)), "limit", 1, most)
    page = ledger.reader.page(first, limit)
    following = first + len(page)
    headers = {}
    if page and following <= ledger.reader.tip().index:
        headers["link"] = f'</blocks?from={following}&limit={limit}>; rel="next"'
    return json_answer(blocks_view(page), headers)


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
    page: Sequence[AnyBlock] = reader.page(0, min(count, end))
    answer = await request.respond(Answer(None))
    if request.method == "HEAD":
        await answer.send(b"", end_stream=False)  # the head of a streamed answer, without a length
        return True
    piece, opening, last = bytearray(), ord("["), page[0].previous_hash
    while following < end:
        if not page or page[0].previous_hash != last:
            return False
        following, last = following + len(page), page[-1].hash
        encode_into(blocks_view(page), piece)  # each page an array, of which all together make one
        piece[0] = opening
        del piece[-1]
        await answer.send(piece)
        await asyncio.sleep(0)  # a fast client must not keep others waiting for the whole chain
        opening = ord(",")
        page = reader.page(following, min(count, end - following))
    await answer.send(b"]", end_stream=True)
    return True
