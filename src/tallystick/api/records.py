"""Records, in networks whose blocks hold them: put some into the pool, look at one or a stretch of the log, erase one.

An answer shows one state of the ledger: it is made without a pause, and nothing else happens on the event loop
meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final
from urllib.parse import unquote

from sanic import Request

from tallystick.api.answers import Answer, json_answer
from tallystick.api.blocks import affordable
from tallystick.api.desk import Desk
from tallystick.api.posts import records_in
from tallystick.api.proofs import logged_header, proof_of, rules_of
from tallystick.api.requests import READ, parameters, require_json, whole_number
from tallystick.api.routes import Routes
from tallystick.api.views import posted_view, proven_view, record_view
from tallystick.chain.contracts import Known
from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.block import INDEX_MAX
from tallystick.model.sealed import SealedHeader
from tallystick.node.ports import Ledger

_DONE: Final = {"status": True}


def records(desk: Desk) -> Routes:
    """The routes of this noun."""
    blueprint = Routes("records")

    async def post(request: Request) -> Answer:
        ledger = desk.ledger
        require_json(request)
        made = records_in(request.body, desk.limits, rules_of(ledger).max_data_bytes)
        return posted_answer(await ledger.post_records(made))

    async def listed(request: Request) -> Answer:
        return affordable(desk, log_answer(desk.ledger, request.query_string))

    async def one(request: Request, id: str) -> Answer:
        return affordable(desk, record_answer(desk.ledger, unquote(id), request.query_string))

    async def erase(_: Request, id: str) -> Answer:
        ledger = desk.ledger
        rules_of(ledger)
        await ledger.erase(unquote(id))
        return json_answer(_DONE)

    blueprint.add_route(post, "/records", methods=["POST"])
    blueprint.add_route(listed, "/records", methods=READ)
    blueprint.add_route(one, "/records/<id>", methods=READ)
    blueprint.add_route(erase, "/records/<id>", methods=["DELETE"])
    return blueprint


def posted_answer(stored: Sequence[Known]) -> Answer:
    """202: these are durable, and where to ask for them."""
    headers = {"location": f"/records/{stored[0].record.id}"} if len(stored) == 1 else None
    return Answer(posted_view(stored), 202, headers=headers)


def log_answer(ledger: Ledger, query: str) -> Answer:
    """`?after=&limit=`: records as the log has them, and in the Link header (RFC 8288) where the next are."""
    rules_of(ledger)
    most = ledger.limits.records_per_page
    given = parameters(query, {"after", "limit"})
    after = whole_number(given.get("after", "0"), "after", 0, INDEX_MAX)
    limit = whole_number(given.get("limit", str(most)), "limit", 1, most)
    reader = ledger.reader
    tip = reader.tip()
    page = reader.records(after, limit)
    following = after + len(page)
    headers = {}
    if page and isinstance(tip, SealedHeader) and following < tip.log_size:
        headers["link"] = f'</records?after={following}&limit={limit}>; rel="next"'
    return json_answer([record_view(each, tip.index) for each in page], headers)


def record_answer(ledger: Ledger, id: str, query: str) -> Answer:
    """`?block=`: the records of an id, at most `Limits.records_per_page`, each with the proof that it is in the log of
    that block."""
    rules_of(ledger)
    given = parameters(query, {"block"})
    reader = ledger.reader
    header = logged_header(reader, given.get("block", "latest"))
    found = list(islice(reader.records_of(id), ledger.limits.records_per_page))
    if not found:
        raise RuleViolation(
            Rule.RECORD_IS_KNOWN, f"no record here has the id {shown(id)}; GET /records lists what is in blocks"
        )
    tip = reader.tip().index
    return json_answer({"records": [proven_view(each, tip, proof_of(ledger, each, header)) for each in found]})
