"""What counts as promised."""

from __future__ import annotations

from tallystick.model.limits import Limits
from tallystick.sim.machine import Doom
from tests.sim.worlds import calm, line, machine, posts, work
from tests.storage.sealed_blocks import records


def test_a_reply_is_a_promise_and_nothing_else_is() -> None:
    scenario = calm([[]], commit_us=10_000)
    posts(scenario, 0, "a")
    assert list(scenario.promises.posted) == ["a"]
    assert not scenario.promises.acknowledged
    scenario.world.run(10)
    assert scenario.promises.acknowledged == {"a": 0}


def test_who_dies_after_the_commit_has_promised_nothing() -> None:
    scenario = calm([[]])
    machine(scenario, 0).doom = Doom(2, kept=True)  # the write and the commit are done, the reply is not
    posts(scenario, 0, "a")
    assert not machine(scenario, 0).is_up
    assert not scenario.promises.acknowledged
    machine(scenario, 0).start()
    scenario.run()


def test_the_books_node_promises_nothing() -> None:
    scenario = calm(line(2), books={0})
    posts(scenario, 0, "a")
    assert not scenario.promises.acknowledged


def test_nobody_takes_a_post_where_nothing_runs() -> None:
    scenario = calm([[]])
    machine(scenario, 0).crash(kept=False)
    posts(scenario, 0, "a")
    assert not scenario.promises.posted


def test_what_is_refused_is_no_promise() -> None:
    scenario = work([[]], limits=Limits(pool_bytes=10), miners=())
    scenario.promises.post_records(machine(scenario, 0), records("r", 2))
    assert scenario.promises.refused == 2
    assert not scenario.promises.acknowledged
