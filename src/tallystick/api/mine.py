"""`POST /mineBlock`: put something into a block, and get the block.

Where anybody may make a block at once, that is all. Where blocks have to be found, the data becomes a record, as with
`POST /records`, and its caller waits for the block that holds it: `?wait=` seconds, and not at all with 0. If none has
come by then, the answer says how to ask again; the record is as safe as any. A block that is made at once is not waited
for, and `wait` is not looked at there, as the book's node does with any query.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from sanic import Request

from tallystick.api.answers import Answer, encode, json_answer
from tallystick.api.bodies import DATA, text_of
from tallystick.api.desk import Desk
from tallystick.api.posts import record_in
from tallystick.api.problems import Fault, Refusal
from tallystick.api.proofs import rules_of
from tallystick.api.protocol import let_go_of_body
from tallystick.api.records import posted_answer
from tallystick.api.requests import parameters, require_json
from tallystick.api.routes import Routes
from tallystick.api.views import found_view
from tallystick.chain.contracts import Found, Known, Placed, Reader
from tallystick.errors import shown
from tallystick.model.limits import SECOND_MS, Limits
from tallystick.model.record import Record
from tallystick.model.sealed import AnyBlock
from tallystick.node.ports import Ledger

_SECONDS: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?")


def mine(desk: Desk) -> Routes:
    """The route of this verb."""
    blueprint = Routes("mine")

    async def post(request: Request) -> Answer:
        ledger = desk.ledger
        require_json(request)
        if ledger.takes_records:
            return await _mine_record(request, desk, ledger)
        return Answer(encode(await ledger.post(text_of(request.body, DATA, desk.limits))))

    blueprint.add_route(post, "/mineBlock", methods=["POST"])
    return blueprint


async def _mine_record(request: Request, desk: Desk, ledger: Ledger) -> Answer:
    wait_ms = wait_ms_of(request.query_string, desk.limits)
    record = record_in(request.body, desk.limits, rules_of(ledger).max_data_bytes)
    let_go_of_body(request)
    if wait_ms:
        got = await _waited_for(desk, ledger, record, wait_ms)
    else:
        (got,) = await ledger.post_records([record])
    if isinstance(got, Known):
        block = _block_of(ledger.reader, got)
        if block is None:
            return posted_answer([got])
    else:
        block = got
    return json_answer(found_view(Found(block, orphaned=False, mined_again_as=None)))


async def _waited_for(desk: Desk, ledger: Ledger, record: Record, wait_ms: int) -> AnyBlock | Known:
    """What there is once the wait is over, or the node about to stop."""
    wait = asyncio.ensure_future(ledger.post_and_wait(record, wait_ms))
    desk.waits.add(wait)
    try:
        return await wait
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not desk.stopping or (task is not None and task.cancelling()):  # the caller has gone away
            raise
    finally:
        desk.waits.discard(wait)
    for known in ledger.reader.records_of(record.id):
        is_same = known.record.leaf == record.leaf or known.record.data == record.data
        if is_same and known.placed is not Placed.ASIDE:
            return Known(known.record, known.placed)
    raise Refusal(Fault.NOT_READY, "it is stopping, and whether this was recorded is not known; ask another one")


def wait_ms_of(query: str, limits: Limits) -> int:
    """How long the caller waits. Raises Refusal."""
    text = parameters(query, {"wait"}).get("wait")
    if text is None:
        return limits.post_wait_ms
    wait_ms = int(float(text) * SECOND_MS) if _SECONDS.fullmatch(text) else -1
    if not 0 <= wait_ms <= limits.post_wait_max_ms:
        raise Refusal(
            Fault.BAD_PARAMETER,
            f"wait is {shown(text)}; give seconds, from 0 to {limits.post_wait_max_ms / SECOND_MS:g}",
        )
    return wait_ms


def _block_of(reader: Reader, known: Known) -> AnyBlock | None:
    """The best chain's block that holds a record."""
    if known.placed is Placed.CHAIN:
        for shown_record in reader.records_of(known.record.id):
            if shown_record.record.leaf == known.record.leaf and shown_record.block is not None:
                return reader.block(shown_record.block.index)
    return None
