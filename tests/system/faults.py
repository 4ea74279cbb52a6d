"""What can be done to a world of nodes (`chaos`), each as a context: entered, it is so; left, it is as before.

Where a fault has an effect that can be seen (a node that stops, a peer that gives up on another), it is waited for.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final

from tests.system.chaos import World, name
from tests.system.processes import NodeProcess, run

Fault = Callable[[World], AbstractContextManager[None]]

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
YEAR_MS: Final = 365 * 24 * 60 * MINUTE_MS


# --- nodes ------------------------------------------------------------------------------------------


@contextmanager
def killed(world: World) -> Iterator[None]:
    """From one instruction to the next, and away for a while."""
    with world.a_node() as node:
        world.tell(f"{name(node)} is killed")
        world.kill(node)
        yield
        world.start(node)
        world.tell(f"{name(node)} is back")


@contextmanager
def killed_again_and_again(world: World) -> Iterator[None]:
    """Hardly up, and down again: also in the middle of its start."""
    with world.a_node() as node:
        world.kill(node)
        for _ in range(3):
            after_s = world.random.uniform(0.2, 1.2)
            world.tell(f"{name(node)} is started, and killed {after_s:.2f} s later")
            node.port = 0
            node.launch()
            assert not node.ends_within(after_s)
            world.kill(node)
        world.start(node)
        world.tell(f"{name(node)} is back")
        yield


@contextmanager
def stopped(world: World) -> Iterator[None]:
    """As an operator stops it, in the middle of everything."""
    with world.a_node() as node:
        world.tell(f"{name(node)} is stopped")
        assert node.stop() == 0
        yield
        world.start(node)
        world.tell(f"{name(node)} is back")


@contextmanager
def frozen_briefly(world: World) -> Iterator[None]:
    """Shorter than anybody's patience."""
    with world.a_node() as node:
        world.tell(f"{name(node)} stands still")
        node.send(signal.SIGSTOP)
        world.goes_on(2)
        node.send(signal.SIGCONT)
        world.tell(f"{name(node)} goes on")
        yield


@contextmanager
def frozen_until_given_up(world: World) -> Iterator[None]:
    """Longer than the others' patience, as a laptop that is closed."""
    with world.a_node() as node:
        world.tell(f"{name(node)} stands still")
        node.send(signal.SIGSTOP)
        world.wait(lambda: not world.is_among_peers(node), "nobody gave up on a peer that stands still")
        world.tell(f"the others gave {name(node)} up")
        yield
        node.send(signal.SIGCONT)
        world.tell(f"{name(node)} goes on")


@contextmanager
def two_on_one_folder(world: World) -> Iterator[None]:
    """A second process on a folder that is in use is refused, even if the first stands still; the first goes on."""
    with world.a_node() as node:
        still = world.random.random() < 0.5
        world.tell(f"somebody starts {name(node)} again{', which stands still' if still else ''}")
        if still:
            node.send(signal.SIGSTOP)
        second = run("start", "--port", "0", *node.on_folder)
        node.send(signal.SIGCONT)
        assert second.returncode == 5
        assert f"{node.folder} is in use" in second.stderr
        yield


@contextmanager
def full_disk(world: World) -> Iterator[None]:
    """It stops with one clear line, and does so again as long as there is no room."""
    with world.a_node() as node:
        disk = world.disks[node]
        left_bytes = world.random.choice((0, 4_096, 100_000))
        world.tell(f"the disk of {name(node)} is full but for {left_bytes:,} bytes")
        disk.fill(node, left_bytes)
        ends_on_a_full_disk(world, node)
        for _ in range(world.random.randrange(2)):
            world.tell(f"{name(node)} is started all the same")
            try:
                world.start(node, disk.begin_full)
            except AssertionError:
                assert node.wait() == 5
            else:
                ends_on_a_full_disk(world, node)
        world.tell(f"{name(node)} has stopped")
        yield
        disk.make_room()
        world.start(node)
        world.tell(f"{name(node)} has room, and is back")


def ends_on_a_full_disk(world: World, node: NodeProcess) -> None:
    """Sooner or later: its log has room for four megabytes before the file has to grow."""

    def has_ended() -> bool:
        for _ in range(8):
            world.filler.posts(node)
        return node.ends_within(0)

    world.wait(has_ended, "it needs no disk")
    assert node.wait() == 5
    last = node.log.read_text().splitlines()[-1]
    assert last.startswith("tallystick: ")
    assert "disk" in last
    assert [line["event"] for line in node.events()].count("the node stops") >= 1


@contextmanager
def wrong_clock(world: World, offset_ms: int) -> Iterator[None]:
    """A clock is put wrong while the node runs, and right again."""
    with world.a_node() as node:
        world.tell(f"the clock of {name(node)} goes {offset_ms / SECOND_MS:+,.0f} s wrong")
        set_clock(node, offset_ms)
        world.goes_on(2, node)
        yield
        set_clock(node, 0)
        world.tell(f"the clock of {name(node)} is right")


def set_clock(node: NodeProcess, offset_ms: int) -> None:
    with node.folder.with_suffix(".clock").open("r+b") as file:
        file.write(offset_ms.to_bytes(8, "little", signed=True))


def clock_off(world: World) -> AbstractContextManager[None]:
    """By no more than nodes forgive each other."""
    return wrong_clock(world, world.random.choice((-110, -60, -1, 1, 60, 110)) * SECOND_MS)


def clock_far_off(world: World) -> AbstractContextManager[None]:
    """Beyond what nodes of a work network forgive, who then neither take its blocks nor it theirs."""
    return wrong_clock(world, world.random.choice((-YEAR_MS, -10 * MINUTE_MS, 10 * MINUTE_MS, YEAR_MS)))


# --- links ------------------------------------------------------------------------------------------


@contextmanager
def slow_link(world: World) -> Iterator[None]:
    with world.a_link() as link:
        delay_s = world.random.choice((0.02, 0.1, 0.4))
        world.tell(f"{link} takes {delay_s} s and more")
        for line in link.lines:
            line.delay(delay_s, delay_s)
        yield
        world.tell(f"{link} is quick again")


@contextmanager
def narrow_link(world: World) -> Iterator[None]:
    """In both directions, or in one."""
    with world.a_link() as link:
        bytes_per_s = world.random.choice((2_000, 20_000, 200_000))
        sources = world.random.choice((link.ends, link.ends[:1], link.ends[1:]))
        world.tell(f"{link} lets {bytes_per_s:,} bytes a second of {' and '.join(map(name, sources))} through")
        for source in sources:
            for line, way in link.ways(source):
                line.narrow(bytes_per_s, way)
        yield
        world.tell(f"{link} is wide again")


@contextmanager
def cut_link(world: World) -> Iterator[None]:
    """In the middle of a handshake, of a message or of a sync, wherever these bytes end."""
    with world.a_link() as link:
        source, size_bytes, cuts = world.random.choice(link.ends), int(10 ** world.random.uniform(0, 3.7)), link.cuts()
        world.tell(f"{link} is cut after {size_bytes:,} bytes of {name(source)}")
        for line, way in link.ways(source):
            line.cut_after(size_bytes, way)
        link.breaks()
        if {*link.ends} <= {*world.free_nodes}:
            world.wait(lambda: link.cuts() > cuts, "nothing went over the link")
        yield


@contextmanager
def silent_link(world: World, places: Sequence[int]) -> Iterator[None]:
    """Nothing gets through any more, and nobody is told. Who dials anew is let in, and hears nothing."""
    with world.a_link() as link:
        who = [link.ends[place] for place in places]
        world.tell(f"{link} lets nothing of {' and '.join(map(name, who))} through")
        for source in who:
            for line, way in link.ways(source):
                line.silence(way)
        world.wait(lambda: not world.connects(link), "nobody gave up on a silent link")
        world.tell(f"{link} was given up")
        yield
        world.tell(f"{link} is open")


def half_silent_link(world: World) -> AbstractContextManager[None]:
    return silent_link(world, [world.random.randrange(2)])


def wholly_silent_link(world: World) -> AbstractContextManager[None]:
    return silent_link(world, range(2))


@contextmanager
def refused_link(world: World) -> Iterator[None]:
    with world.a_link() as link:
        world.tell(f"{link} is reset, and refuses")
        link.refuses()
        yield
        world.tell(f"{link} is open")


@contextmanager
def partition(world: World) -> Iterator[None]:
    """Two groups that do not hear from each other, each of which goes on by itself."""
    group = set(world.random.sample(world.nodes, world.random.randrange(1, len(world.nodes))))
    crossing = [link for link in world.free_links if len(group & {*link.ends}) == 1]
    silent = world.random.random() < 0.5
    names = " and ".join(sorted(name(node) for node in group))
    world.tell(f"{names} and the others are parted{' in silence' if silent else ''}")
    world.busy.update(crossing)
    for link in crossing:
        if not silent:
            link.refuses()
        for line in link.lines:
            line.silence()
    for side in (group, {*world.nodes} - group):
        if active := side & {*world.free_nodes}:
            world.goes_on(2, *active)
    yield
    for link in crossing:
        link.clears()
    world.busy.difference_update(crossing)
    world.tell(f"{names} and the others are together again")


SHORT: Final[dict[str, Sequence[Fault]]] = {
    "classic": (killed, frozen_until_given_up, full_disk, clock_off, cut_link, slow_link, half_silent_link, partition),
    "work": (
        killed_again_and_again,
        stopped,
        frozen_briefly,
        two_on_one_folder,
        clock_far_off,
        narrow_link,
        wholly_silent_link,
        refused_link,
    ),
}
"""What happens where time is short: everything once, in a network of one kind or the other."""

ALL: Final = [fault for faults in SHORT.values() for fault in faults]


def play(world: World, faults: Sequence[Fault], at_once: int = 2) -> None:
    """These in an order of chance, with up to so many at a time, while clients post."""
    under_way: deque[ExitStack] = deque()
    for fault in world.random.sample(faults, len(faults)):
        most = world.random.randrange(at_once)
        while under_way and (len(under_way) > most or len(world.free_nodes) < 2 or not world.free_links):
            under_way.popleft().close()
        stack = ExitStack()
        stack.enter_context(fault(world))
        under_way.append(stack)
        world.goes_on(world.random.randrange(5, 15))
    while under_way:
        under_way.popleft().close()
