"""Networks of the work kind: miners who race, and records posted anywhere. (Many more: `tests/sim`.)

The law: every record that a node acknowledged ends on the best chain exactly once, whatever happened in between, and
all nodes agree on that chain.
"""

from collections.abc import Callable

import pytest

from tallystick.model.network import Kind
from tallystick.model.record import SALT_BYTES, Record, make_record
from tallystick.node.pool import Pool
from tallystick.sim.checkers import LawBrokenError
from tallystick.sim.scenario import Scenario, run
from tallystick.sim.swarm import SMALL_SEALED, draw_configuration
from tallystick.storage import memory_records
from tallystick.wire.native.wanted import Wanted
from tests.sim.worlds import MOST_LATENCY_MS, hashes, host, line, machine, settles, work


def records(scenario: Scenario, name: str, number: int) -> list[Record]:
    salts = scenario.world.stream(name)
    return [make_record(f"{name}{n}", f"data {n}", salts.randbytes(SALT_BYTES)) for n in range(number)]


def test_a_record_posted_at_one_end_is_sealed_at_the_other() -> None:
    scenario = work(line(5))
    scenario.world.hashes_a_second = 0
    scenario.world.run(5_000)
    scenario.promises.post_records(machine(scenario, 4), records(scenario, "r", 3))
    scenario.world.run(4 * 3 * MOST_LATENCY_MS + 200)  # announced, asked for and sent over each of the links
    assert list(map(scenario.pending, scenario.hosts)) == [3] * 5
    settles(scenario)
    assert len(scenario.promises.acknowledged) == 3


def test_two_halves_that_mined_apart_become_one_chain_and_lose_nothing() -> None:
    scenario = work([[], [0], [1], [2]], miners=(0, 3))
    scenario.world.run(30_000)
    scenario.world.between.split(2)
    scenario.blame.may_be_slow = True  # nobody was told of the split
    for number in range(20):
        scenario.promises.post_records(machine(scenario, 0), records(scenario, f"a{number}-", 2))
        scenario.promises.post_records(machine(scenario, 3), records(scenario, f"b{number}-", 2))
        scenario.world.run(20_000)
    assert len({chain[-1] for chain in hashes(scenario)}) > 1
    settles(scenario)
    assert len(scenario.promises.acknowledged) == 80


def test_a_new_node_fetches_a_long_chain() -> None:
    scenario = work([[], [0]], limits=SMALL_SEALED)
    scenario.world.between.sever(machine(scenario, 0), machine(scenario, 1))
    for number in range(30):
        scenario.promises.post_records(machine(scenario, 0), records(scenario, f"r{number}-", 3))
        scenario.world.run(10_000)
    scenario.promises.post_records(machine(scenario, 1), records(scenario, "lonely", 2))
    settles(scenario)


def test_the_same_id_may_be_taken_by_two_nodes_at_once_and_both_records_are_kept() -> None:
    """That two records do not share an id is the courtesy of the node that takes them, not a rule."""
    scenario = work([[], [0]])
    scenario.world.between.sever(machine(scenario, 0), machine(scenario, 1))
    for node in (0, 1):
        record = make_record("same", f"said by {node}", bytes([node]) * SALT_BYTES)
        scenario.promises.post_records(machine(scenario, node), [record])
    settles(scenario)
    assert len(scenario.promises.acknowledged) == 2
    assert len(host(scenario, 0).reader.records_of("same")) == 2


# --- does it notice? --------------------------------------------------------------------------------

DEFECTS: dict[str, tuple[type, str, Callable[..., object]]] = {
    "nobody takes a peer's records": (Pool, "take_foreign", lambda *_: []),
    "nobody is asked for records": (Wanted, "asks", lambda *_: []),
    "records of a branch that left are forgotten": (memory_records.Records, "rewind", lambda *_: None),
}


@pytest.mark.parametrize(("owner", "name", "instead"), DEFECTS.values(), ids=DEFECTS.keys())
def test_a_defect_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, instead: Callable[..., object]
) -> None:
    monkeypatch.setattr(owner, name, instead)
    configurations = [draw_configuration(seed, Kind.WORK) for seed in range(100)]
    with pytest.raises(LawBrokenError):
        list(map(run, configurations))
