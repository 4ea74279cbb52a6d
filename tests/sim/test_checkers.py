"""Does every law notice when it is broken?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from tallystick.errors import Rule
from tallystick.model.block import Block
from tallystick.model.limits import Limits
from tallystick.node.effects import Effect, HangUp, Hold
from tallystick.node.inputs import PeerClosed
from tallystick.sim.checkers import Blame, Insides, LawBrokenError, check_promises, check_soundness
from tallystick.sim.host import Host
from tallystick.sim.scenario import Scenario
from tests.sim.worlds import calm, host, line, machine, posts, work
from tests.storage.sealed_blocks import records


def settled() -> Scenario:
    """Three nodes that agree on two posts."""
    scenario = calm(line(3))
    scenario.world.run(5_000)
    posts(scenario, 0, "a")
    scenario.world.run(2_000)
    posts(scenario, 2, "b")
    scenario.heal()
    scenario.check()
    return scenario


# --- blame ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effect", "slow", "lawful"),
    [
        (HangUp(1, 1, Rule.SEAL_HOLDS), True, False),
        (HangUp(1, 1, Rule.REQUESTS_WITHIN_RATE), True, False),
        (HangUp(1, 1, Rule.SYNC_KEEPS_UP), True, True),
        (HangUp(1, 1, Rule.SYNC_KEEPS_UP), False, False),
        (HangUp(1, 1, Rule.PEER_CONNECTS_ONCE), False, True),
        (HangUp(1, 1, "removed by the operator"), False, True),
        (Hold(1, 10), True, False),
    ],
)
@pytest.mark.parametrize("honest", [True, False])
def test_an_honest_peer_is_blamed_for_nothing_but_being_slow(
    effect: Effect,
    slow: bool,  # noqa: FBT001
    lawful: bool,  # noqa: FBT001
    honest: bool,  # noqa: FBT001
) -> None:
    scenario = settled()
    scenario.world.machines[1].is_honest = honest
    blame = Blame(may_be_slow=slow)
    if lawful or not honest:
        blame.done(machine(scenario, 0), effect)
    else:
        with pytest.raises(LawBrokenError):
            blame.done(machine(scenario, 0), effect)


def test_a_socket_that_ends_for_a_broken_rule_is_blame_too() -> None:
    scenario = settled()
    blame = Blame(may_be_slow=False)
    blame.stepped(machine(scenario, 0), [PeerClosed(1, "the connection broke")], [])
    with pytest.raises(LawBrokenError, match="message-within-size"):
        blame.stepped(machine(scenario, 0), [PeerClosed(1, "too long", Rule.MESSAGE_WITHIN_SIZE)], [])


# --- insides ----------------------------------------------------------------------------------------


def test_a_memory_that_differs_from_the_disk_is_seen() -> None:
    scenario = settled()
    host(scenario, 1).node._chain._tree._recent.pop()
    with pytest.raises(LawBrokenError, match="machine 1: memory has the tip 1"):
        Insides().look(machine(scenario, 1))


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (Limits(known_blocks=0), "blocks a peer is known to have"),
        (Limits(recent_headers=2), "headers in memory"),
        (Limits(peer_addresses=0), "addresses dialled"),
        (Limits(native_inbound_peers=0), "native peers that dialled"),
        (Limits(addresses=0), "addresses"),
    ],
)
def test_what_is_over_its_limit_is_seen(limits: Limits, what: str) -> None:
    scenario = settled()
    host(scenario, 1).limits = limits
    with pytest.raises(LawBrokenError, match=rf"machine 1 holds \d+ {what}; at most"):
        Insides().look(machine(scenario, 1))


def test_nobody_looks_into_a_node_that_is_down_or_no_honest_one() -> None:
    scenario = settled()
    host(scenario, 1).limits = Limits(known_blocks=0)
    insides = Insides()
    machine(scenario, 1).is_honest = False
    insides.look(machine(scenario, 1))
    machine(scenario, 1).is_honest = True
    machine(scenario, 1).crash(kept=False)
    insides.look(machine(scenario, 1))
    assert insides.looks == 0


# --- in the end -------------------------------------------------------------------------------------


def breaks(host: Host, change: str) -> None:
    committed = host.store.committed
    match change:
        case "running":
            host.store._running.peers["ws://a:1"] = None
        case "block":
            block = committed.chain[1]
            assert isinstance(block, Block)
            forged = msgspec.structs.replace(block, data="another text")
            committed.chain[1] = host.store._running.chain[1] = forged
        case "pool":
            committed.records.pool_bytes += 1
            host.store._running.records.pool_bytes += 1


@pytest.mark.parametrize(
    ("change", "said"),
    [("running", "the running state"), ("block", "block 1"), ("pool", "the pool counts")],
)
def test_a_store_that_is_not_sound_is_seen(change: str, said: str) -> None:
    scenario = settled()
    breaks(host(scenario, 1), change)
    with pytest.raises(LawBrokenError, match=f"machine 1: {said}"):
        check_soundness(scenario.honest)


def test_a_log_that_is_not_that_of_the_blocks_is_seen() -> None:
    scenario = work([[]])
    scenario.promises.post_records(machine(scenario, 0), records("r", 2))
    scenario.heal()
    scenario.check()
    for state in (host(scenario, 0).store.committed, host(scenario, 0).store._running):
        state.records.log.reverse()
    with pytest.raises(LawBrokenError, match="the log is not"):
        check_soundness(scenario.honest)


def test_who_keeps_out_an_honest_node_is_seen() -> None:
    scenario = settled()
    host(scenario, 0).node._peers._standing.ban("10.0.0.1")
    with pytest.raises(LawBrokenError, match=r"keeps out an honest 10\.0\.0\.1"):
        check_soundness(scenario.honest)


def test_a_faulty_peer_may_be_kept_out_and_have_its_own_posts_on_the_chain() -> None:
    scenario = settled()
    scenario.world.machines[1].is_honest = False
    others = [each for each in scenario.honest if each.is_honest]
    host(scenario, 0).node._peers._standing.ban("10.0.0.1")
    check_soundness(others)
    del scenario.promises.posted["b"], scenario.promises.acknowledged["b"]
    check_promises(scenario.promises, others, made={"b"})


def test_promises_that_are_not_kept_are_seen() -> None:
    def lose(scenario: Scenario) -> None:
        scenario.promises.acknowledged["c"] = 1

    def repeat(scenario: Scenario) -> None:
        chain = host(scenario, 1).store.committed.chain
        chain.append(chain[-1])

    def invent(scenario: Scenario) -> None:
        del scenario.promises.posted["b"]
        del scenario.promises.acknowledged["b"]

    cases: Sequence[tuple[Callable[[Scenario], None], str]] = [(lose, "lost 1"), (repeat, "twice"), (invent, "nobody")]
    for change, said in cases:
        scenario = settled()
        check_promises(scenario.promises, scenario.honest)
        change(scenario)
        with pytest.raises(LawBrokenError, match=said):
            check_promises(scenario.promises, scenario.honest)


def test_what_somebody_had_erased_need_not_be_there() -> None:
    scenario = settled()
    scenario.promises.acknowledged["c"] = 1
    scenario.promises.erased["c"] = None
    check_promises(scenario.promises, scenario.honest)


def test_nodes_that_never_agree_are_seen() -> None:
    scenario = calm(line(2))
    scenario.world.between.sever(machine(scenario, 0), machine(scenario, 1))
    scenario.faults.heal = lambda: None  # type: ignore[method-assign]
    posts(scenario, 0, "a")
    with pytest.raises(LawBrokenError, match="no agreement within 300 s"):
        scenario.heal()


def test_records_that_stay_pending_are_seen() -> None:
    scenario = work(line(2), miners=(0,))
    scenario.world.between.sever(machine(scenario, 0), machine(scenario, 1))
    scenario.faults.heal = lambda: None  # type: ignore[method-assign]
    scenario.promises.post_records(machine(scenario, 1), records("r", 1))
    with pytest.raises(LawBrokenError, match=r"pending still: \[0, 1\]"):
        scenario.heal()
