"""Two changes of the chain in one step: the view of a step shows neither of them.

Whatever comes after a switch of branches in the same step has to do without the view where the two branches differ.
"""

from __future__ import annotations

from dataclasses import replace

from tallystick.model.block import Block
from tallystick.model.limits import Limits
from tallystick.model.network import CLASSIC_GENESIS as GENESIS
from tallystick.node.inputs import PeerSaid, Tick
from tallystick.wire import classic
from tallystick.wire.native import codec
from tallystick.wire.native.messages import Announce, GetHeaders, Push
from tests.node.player import Player, grow
from tests.node.strangers import NativePeer, point, serve, weight_of, whole_of

BATCH = 10


def chain(length: int) -> list[Block]:
    return [GENESIS, *grow(GENESIS, *(f"a{number}" for number in range(length)))]


def test_a_pushed_switch_in_the_middle_of_a_sync_stops_nobody() -> None:
    """The next run of the sync is here already, and links to what the switch took off."""
    node, blocks = Player(replace(Limits(), batch_blocks=BATCH)), chain(3 * BATCH)
    rival = grow(blocks[2 * BATCH - 1], "rival", "rival's child")
    lead, liar = NativePeer(node, "lead", blocks).joins(), NativePeer(node, "liar").joins()
    node.opens(1, "10.0.0.77:1")
    lead.says(lead.headers(lead.takes(GetHeaders)))
    second, third = lead.all(GetHeaders)
    lead.forgets()
    lead.says(lead.headers(third))
    last = PeerSaid(lead.number, codec.encode(lead.headers(second)))
    aside = PeerSaid(1, classic.response(rival[:1]))
    push = PeerSaid(liar.number, codec.encode(Push(whole_of(rival[1]), weight_of(rival[1]))))
    lead.reads(node.tell(last, aside, push))
    assert node.chain()[-1] == rival[-1]
    lead.reads(node.wait(0))
    serve(lead)
    assert node.chain() == blocks


def test_after_a_switch_the_blocks_of_the_new_branch_are_announced() -> None:
    node, blocks = Player(), chain(4)
    rival = grow(blocks[3], "x", "y")
    giver, other = NativePeer(node, "giver", blocks).joins(), NativePeer(node, "other").joins()
    giver.serves()
    other.forgets()
    giver.pushes(rival[0])
    other.reads(node.tell(PeerSaid(giver.number, codec.encode(Push(whole_of(rival[1]), weight_of(rival[1]))))))
    assert node.chain() == [*blocks[:4], *rival]
    assert other.takes(Announce).points == tuple(map(point, [*blocks[:4], *rival]))


def test_what_a_switch_brings_back_is_not_mined_again_in_the_same_step() -> None:
    """The view still lists it as lost."""
    node = Player(replace(Limits(), batch_blocks=BATCH))
    ours = node.posts("ours")
    other = NativePeer(node, "other branch", chain(3 * BATCH + 3)).joins()
    other.serves()
    other.hangs_up()
    longer = [GENESIS, ours, *grow(ours, *(f"b{number}" for number in range(3 * BATCH + 4)))]
    lead = NativePeer(node, "lead", longer).joins()
    lead.says(lead.headers(lead.takes(GetHeaders)))
    second, third = lead.all(GetHeaders)
    lead.forgets()
    lead.says(lead.headers(third))
    lead.says(lead.headers(lead.takes(GetHeaders)), lead.headers(second))
    node.tell(Tick())
    assert "ours" not in node.data()
    node.mono_ms += node.limits.remine_jitter_ms  # both are due: what was lost, and the run that brings it back
    node.tell(Tick())
    assert node.chain() == longer
    node.wait(node.limits.remine_jitter_max_ms)
    assert node.chain() == longer
