"""Answering what native peers ask for: stretches of our best chain, and single blocks of it.

Only the best chain is served. A block that lost is missing, however well the asker knows its name: what a node keeps
beside its chain would tell one node from another (Bitcoin Core, `p2p_fingerprint.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.chain.chain import Chain
from tallystick.chain.contracts import Engine, View
from tallystick.model.limits import Limits
from tallystick.model.sealed import AnyBlock
from tallystick.wire.native.messages import Blocks, GetBlocks, GetHeaders, GetSurvey, Headers, Point, Survey


def headers(request: GetHeaders, engine: Engine, chain: Chain, view: View, limits: Limits) -> Headers:
    """The run of our best chain after the newest block of the locator that is on it."""
    start = _start(request.locator, chain, view)
    most, room = limits.of_replies(sealed=engine.takes_records)
    count = min(request.most, most, chain.tip.index - start.index)
    if request.stop is not None:
        if not _is_ours(request.stop, chain, view):
            return Headers(request.id, start, (), ())
        count = min(count, request.stop.index - start.index)
    run = view.blocks(start.index + 1, count, room) if count > 0 else ()
    last = start.index + len(run)
    plan = _plan(last, request.most, chain, view, limits) if request.plan and run else ()
    return Headers(request.id, start, tuple(engine.body(engine.as_sent(block)) for block in run), plan)


def _start(locator: Sequence[Point], chain: Chain, view: View) -> Point:
    for point in locator:
        if _is_ours(point, chain, view):
            return point
    genesis = chain.at(0, view)
    assert genesis is not None  # noqa: S101 - every chain has one
    return Point(0, bytes.fromhex(genesis.hash))


def _is_ours(point: Point, chain: Chain, view: View) -> bool:
    return chain.has(point.index, point.hash.hex(), view)


def _plan(last: int, step: int, chain: Chain, view: View, limits: Limits) -> tuple[bytes, ...]:
    ends = range(last + step, chain.tip.index + 1, step)[: limits.plan_batches]
    found = [chain.at(index, view) for index in ends]
    return tuple(bytes.fromhex(header.hash) for header in found if header is not None)


def blocks(
    request: GetBlocks, engine: Engine, chain: Chain, view: View, limits: Limits
) -> tuple[Blocks, list[AnyBlock]]:
    """As many of the blocks asked for as fit an answer, and which of them are not on our best chain; and these blocks.

    Genesis counts as missing: everybody has it.
    """
    found: list[AnyBlock] = []
    missing: list[int] = []
    _, room = limits.of_replies(sealed=engine.takes_records)
    for position, point in enumerate(request.points):
        if room <= 0:
            break
        is_worth_sending = point.index > 0 and _is_ours(point, chain, view)  # genesis has no parent to be named
        at = view.blocks(point.index, 1, room) if is_worth_sending else ()
        if not at:
            missing.append(position)
            continue
        found.append(engine.as_sent(at[0]))
        room -= at[0].size_bytes
    return Blocks(request.id, tuple(map(engine.whole, found)), tuple(missing)), found


def survey(request: GetSurvey, chain: Chain, view: View) -> Survey:
    """The bare headers of our best chain after the newest block of the locator that is on it."""
    start = _start(request.locator, chain, view)
    count = min(request.most, chain.tip.index - start.index)
    if request.stop is not None:
        is_ours = _is_ours(request.stop, chain, view)
        count = min(count, request.stop.index - start.index) if is_ours else 0
    return Survey(request.id, start, tuple(view.header_bytes(start.index + 1, count)) if count > 0 else ())
