"""A story with everything in it: posts, blocks of others, a deep switch, duties mined again, a switch back, eviction,
a branch that arrives staged and is followed, and one that is given up.

Batches of writes, each what a node commits at once, and the state after each by the definition (`kit.Twin`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.chain.contracts import Store
from tallystick.chain.writes import (
    OWN,
    AddSide,
    Append,
    DropStaged,
    ForgetBan,
    ForgetPeer,
    RememberBan,
    RememberPeer,
    Write,
)
from tests.storage.kit import GENESIS, SMALL, Twin, branch, child, commit, switch

LIMITS = SMALL


def batches() -> list[list[Write]]:
    #         /- b1 - b2 - b3 - b4 - b5 - b6 - b7 - b8        the others' branch, longer
    # genesis - a1 - a2 - a3 - a4 - a5 - ... - a10            a1, a2, a5 are posts of ours
    a = branch(GENESIS, "post 1", "post 2", "theirs", "theirs", "post 5")
    b = branch(GENESIS, *(f"b{i}" for i in range(1, 7)))
    again = branch(b[-1], "post 1", "post 2")
    late = child(again[-1], "post 5")
    back = branch(a[-1], *(f"a{i}" for i in range(6, 11)))
    spam = [branch(GENESIS, f"spam {i}" + "x" * 150)[0] for i in range(20)]
    last = child(back[-1], "post 11")
    c = branch(a[1], *(f"c{i}" for i in range(3, 13)))  # passes a11, and leaves out posts 5 and 11
    d = branch(b[0], *(f"d{i}" for i in range(2, 8)))  # never gets that far
    return [
        [Append([a[0]], [OWN])],
        [Append([a[1]], [OWN]), RememberPeer("ws://one:1")],
        [Append(a[2:4])],
        [Append([a[4]], [OWN]), RememberPeer("ws://two:2")],
        [AddSide(b[:3])],
        [AddSide(b[3:]), switch(a[-1], GENESIS, b[-1])],
        [Append(again, [a[0].hash, a[1].hash])],
        [Append([late], [a[4].hash]), ForgetPeer("ws://one:1")],
        [AddSide(back), switch(late, GENESIS, back[-1])],
        [AddSide(spam[:10])],
        [AddSide(spam[10:]), Append([last], [OWN])],
        [AddSide(c[:4], staged=True), RememberBan("203.0.113.7")],
        [AddSide(c[4:7], staged=True), AddSide(c[7:8]), AddSide(d, staged=True)],
        [AddSide(c[8:], staged=True), switch(last, a[1], c[-1]), RememberBan("ab" * 32)],
        [AddSide(d[1:2]), DropStaged(), ForgetBan("203.0.113.7")],
        [AddSide(d[2:], staged=True), Append([child(c[-1], "post 5")], [a[4].hash])],
    ]


def states() -> list[Twin]:
    """The state before the first batch, and after each."""
    twin = Twin(LIMITS)
    result = [twin.copied()]
    for writes in batches():
        for write in writes:
            twin.apply(write)
        twin.commit()
        result.append(twin.copied())
    return result


def play(store: Store, story: Sequence[Sequence[Write]]) -> None:
    for writes in story:
        commit(store, *writes)
