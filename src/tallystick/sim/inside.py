"""Looking inside a node: how much it holds of everything that somebody else could make it hold, beside its limit.

The one place that knows where nodes keep what (ARCHITECTURE, "One owner for each piece of state"). A new piece of state
that grows with what others send gets a line here.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple

from tallystick.model.block import header_of
from tallystick.model.limits import Limits
from tallystick.model.log import extend, root_of
from tallystick.model.sealed import AnyBlock, SealedBlock, header_bytes_of
from tallystick.node.machine import Node
from tallystick.sim.host import Host
from tallystick.wire.native.session import NativeSession


class Held(NamedTuple):
    """One kind of thing that a node holds."""

    what: str
    amount: int
    most: int


def held(host: Host) -> Iterator[Held]:
    """Everything in a node that is bounded, with its bound."""
    node, limits = host.node, host.limits
    yield from _of_peers(node, limits)
    yield from _of_syncs(node, limits)
    relay, wanted = node._relay, node._relay._wanted
    yield Held("records wanted", wanted._count, limits.wanted_records)
    asked = limits.records_per_request * len(node._peers._sessions)
    yield Held("records asked for", len(wanted._asked), asked)  # also what was announced and had to make room
    yield Held("records lacking data", len(relay._lacking), limits.wanted_records)
    yield Held("records whose data is asked for", len(relay._incomplete), limits.wanted_records)
    yield Held("bytes of the pool that came from peers", relay._pool._foreign_bytes, limits.pool_foreign_bytes)
    yield Held("callers waiting", len(node._posting._waiting), limits.waiting_posts)
    yield Held("headers in memory", len(node._chain._tree._recent), limits.recent_headers)
    state = host.store.committed
    if any(hash not in state.marks for hash in state.side):
        yield Held("bytes beside the chain", state.side_bytes + state.records.bytes_aside, limits.side_bytes)
    yield Held("bytes staged", sum(block.size_bytes for block in state.staged.values()), limits.staged_bytes)


def _of_peers(node: Node, limits: Limits) -> Iterator[Held]:
    peers = node._peers
    standing, circle = peers._standing, peers.circle
    yield Held("addresses", len(circle), limits.addresses)
    yield Held("addresses of one source", max(circle._book._told.values(), default=0), limits.addresses_per_source)
    yield Held("addresses dialled", len(list(circle.redial)), 2 * limits.peer_addresses)
    yield Held("connections chosen", len(circle._outbound._slots), limits.outbound_peers)
    yield Held("addresses discouraged", len(standing._addresses), limits.discouraged_addresses)
    yield Held("keys discouraged", len(standing._keys), limits.discouraged_addresses)
    yield Held("allowances remembered", len(peers._allowances._left), limits.remembered_allowances)
    inbound = [session for session in peers._sessions.values() if session.dialled is None and not session.closing]
    native = [session for session in inbound if isinstance(session, NativeSession)]
    yield Held("classic peers that dialled", len(inbound) - len(native), limits.classic_inbound_peers)
    yield Held("native peers that dialled", sum(s.is_admitted for s in native), limits.native_inbound_peers)
    yield Held("strangers", sum(not s.is_admitted for s in native), limits.strangers + 1)
    for session in peers._sessions.values():
        if isinstance(session, NativeSession):
            yield Held("blocks a peer is known to have", len(session._known), limits.known_blocks)
            yield Held("records a peer is known to have", len(session._known_records), limits.known_records)
            yield Held("requests given up", len(session._expired), limits.expired_requests)
            yield Held("bytes of replies under way", session.unfinished_bytes, 2 * limits.reply_bytes)


def _of_syncs(node: Node, limits: Limits) -> Iterator[Held]:
    sync, peers = node._native.fetching.sync, len(node._peers._sessions)
    answers = peers * limits.requests_in_flight
    yield Held(
        "blocks fetched and not connected, in bytes", sync._waiting_bytes, limits.window_bytes + sync._answer_bytes
    )
    yield Held("batches planned", len(sync._batches), limits.plan_batches * (limits.window_batches + 2))
    yield Held("batches given up", len(sync._abandoned), max(answers, limits.requests_in_flight))
    yield Held("peers that may be asked", len(sync._candidates), peers)


def disagreements(host: Host) -> Iterator[str]:
    """Where memory, the running state and the committed one differ; between batches they never do."""
    chain, store = host.node._chain, host.store
    recent = list(chain._tree._recent)
    stored = [header_of(block) for block in store.committed.chain[recent[0].index : recent[-1].index + 1]]
    if stored != recent or store.committed.chain[-1].hash != recent[-1].hash:
        yield f"memory has the tip {chain.tip.index} {chain.tip.hash[:12]}, the store {store.committed.chain[-1].index}"
    if chain.tip_block.hash != recent[-1].hash:
        yield "the tip's block is not the block of the tip"
    peers = host.node._peers
    peers._look_again()
    dues = {peer: session.next_ms() for peer, session in peers._sessions.items() if not session.closing}
    if peers._dues != dues:
        yield f"conversations are due {dues}, and are remembered to be due {peers._dues}"
    told = [next_ms for _, next_ms in host.node._relay._told.values()]
    if host.node._relay._tell_ms != min(told, default=None):
        yield "somebody is told of the pool at another time than is remembered"


def discrepancies(host: Host) -> Iterator[str]:
    """Likewise, with everything recomputed: what costs as much as the chain is long."""
    yield from disagreements(host)
    store = host.store
    if store._running != store.committed:
        yield "the running state is not the committed one"
    records = store.committed.records
    pending = [records.stored[place] for place in records.pool]
    if records.pool_bytes != sum(record.size_bytes for record in pending):
        yield f"the pool counts {records.pool_bytes} bytes"
    leaves = [records.stored[place].leaf for place in records.log]
    tip = store.committed.chain[-1]
    if isinstance(tip, SealedBlock):
        held = [
            record.leaf for block in store.committed.chain if isinstance(block, SealedBlock) for record in block.records
        ]
        if leaves != held or tip.log_size != len(held) or tip.log_root != root_of(extend((), 0, held)):
            yield "the log is not what the blocks hold"
        if set(leaves) & {record.leaf for record in pending}:
            yield "a record is in the pool and on the chain"
    for parent, block in pairwise(store.committed.chain):
        if block.index != parent.index + 1 or block.previous_hash != parent.hash or block.hash != _hash_of(block):
            yield f"block {block.index} {block.hash} is not what it says"


def _hash_of(block: AnyBlock) -> str:
    """The hash that a block should have; written from the format, for what the engine says is what is checked."""
    if isinstance(block, SealedBlock):
        return sha256(header_bytes_of(block)).hexdigest()
    return sha256(f"{block.index}{block.previous_hash}{block.timestamp}{block.data}".encode()).hexdigest()
