"""Proofs: that a record is in the log as of a block, and that the log of one block begins with that of another.

What a proof is made of is read without a pause, and nothing else happens on the event loop meanwhile. So it is of one
state of the ledger, and holds. Its block is one of the best chain: of others nobody keeps the log.
"""

from __future__ import annotations

from functools import partial

from sanic import Request

from tallystick.api.answers import Answer, json_answer
from tallystick.api.blocks import found_block, is_index
from tallystick.api.desk import Desk
from tallystick.api.problems import Fault, Refusal
from tallystick.api.requests import READ, parameters
from tallystick.api.routes import Routes
from tallystick.chain.contracts import Reader, Shown
from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.network import SealedRules
from tallystick.model.proof import Proof, prove, prove_consistency
from tallystick.model.sealed import FIXED_BYTES, HeaderFields, SealedBlock, header_bytes_of, read_header
from tallystick.node.ports import Ledger


def proofs(desk: Desk) -> Routes:
    """The route of proofs that concern no record; those that do come with it (`records`)."""
    blueprint = Routes("proofs")

    async def consistency(request: Request, ref: str) -> Answer:
        return consistency_answer(desk.ledger, ref, request.query_string)

    blueprint.add_route(consistency, "/blocks/<ref>/consistency", methods=READ)
    return blueprint


def rules_of(ledger: Ledger) -> SealedRules:
    """The rules for records. Raises RuleViolation(NETWORK_TAKES_RECORDS) where there are none."""
    rules = ledger.network.rules
    if rules is None or not ledger.takes_records:
        raise RuleViolation(
            Rule.NETWORK_TAKES_RECORDS,
            "each block of this network holds one text; use POST /mineBlock, and GET /blocks to read",
        )
    return rules


def logged_header(reader: Reader, ref: str) -> bytes:
    """The header of the best chain's block that `ref` names, in a network that takes records. Raises Refusal."""
    if ref == "latest" or is_index(ref):
        header = reader.header_bytes(reader.tip().index if ref == "latest" else int(ref))
        if header is not None:
            return header
    found = found_block(reader, ref)
    if found.orphaned or not isinstance(found.block, SealedBlock):
        raise Refusal(
            Fault.NO_SUCH_BLOCK, f"{shown(ref)} is beside the best chain, and so is its log; name a block of the chain"
        )
    return header_bytes_of(found.block)


def fields_of(header: bytes) -> HeaderFields:
    """What stands in a header of the store."""
    return read_header(header, len(header) - FIXED_BYTES)


def proof_of(ledger: Ledger, found: Shown, header: bytes) -> Proof | None:
    """That a record is in the log of the block with this header; None when it is not."""
    log_size = fields_of(header).log_size
    if found.position is None or found.position >= log_size:
        return None
    return prove(found.record, found.position, header, ledger.network.id, partial(ledger.reader.hashes, log_size))


def consistency_answer(ledger: Ledger, ref: str, query: str) -> Answer:
    """`?from=`: the proof that the log of one block begins with that of another."""
    rules_of(ledger)
    given = parameters(query, {"from"})
    if "from" not in given:
        raise Refusal(Fault.BAD_PARAMETER, "from is missing; name the earlier block, by index or hash")
    reader = ledger.reader
    header, old_header = logged_header(reader, ref), logged_header(reader, given["from"])
    fields, old = fields_of(header), fields_of(old_header)
    if old.index > fields.index:
        raise Refusal(
            Fault.BAD_PARAMETER, f"from is block {old.index}, after {fields.index}; no log begins with a later one"
        )
    read = partial(reader.hashes, fields.log_size)
    return json_answer(prove_consistency(old_header, header, ledger.network.id, read))
