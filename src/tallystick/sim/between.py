"""What lies between machines: lines, and what has become of them.

Machines are told apart by their numbers. Whatever is changed here holds for the connections that there are and for
those that come about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tallystick.sim.conditions import Line, Lines
from tallystick.sim.links import Links
from tallystick.sim.machine import Machine


class Between:
    """Owner of what gets through, and how fast."""

    def __init__(self, links: Links, lines: Lines, machines: Mapping[str, Machine]) -> None:
        """`lines` say what lies between two machines as long as nothing is changed; `machines` are all there are."""
        self._links = links
        self._lines = lines
        self._machines = machines
        self._silent: set[tuple[int, int]] = set()
        self._severed: set[frozenset[int]] = set()
        self._splits: list[int] = []
        self._slow: dict[tuple[int, int], int] = {}

    def line(self, one: Machine, other: Machine) -> Line:
        """What a message from one to the other goes through."""
        line, rate = self._lines(one.number, other.number), self._slow.get((one.number, other.number))
        return line if rate is None else replace(line, bytes_per_second=rate)

    def gets_through(self, one: Machine, other: Machine) -> bool:
        """Does anything that one sends reach the other?"""
        first, second = one.number, other.number
        return (first, second) not in self._silent and all((first < at) == (second < at) for at in self._splits)

    def is_severed(self, one: Machine, other: Machine) -> bool:
        """Is a dial refused?"""
        return frozenset((one.number, other.number)) in self._severed

    # --- what goes wrong -----------------------------------------------------------------------

    def sever(self, one: Machine, other: Machine) -> None:
        """Connections between the two break, and none comes about."""
        self._severed.add(frozenset((one.number, other.number)))
        for end in list(one.ends.values()):
            if end.other.machine is other:
                self._links.cut(end, "the connection broke")

    def silence(self, one: Machine, other: Machine) -> None:
        """Nothing that one sends to the other arrives any more, and nobody is told."""
        self._silent.add((one.number, other.number))
        self._listen(other)

    def split(self, at: int) -> None:
        """Nothing gets through between machines below this number and the others, and nobody is told."""
        self._splits.append(at)
        self._listen_everywhere()

    def rejoin(self, at: int) -> None:
        """It does again."""
        if at in self._splits:
            self._splits.remove(at)
            self._listen_everywhere()

    def _listen_everywhere(self) -> None:
        for machine in self._machines.values():
            self._listen(machine)

    def _listen(self, machine: Machine) -> None:
        """See what gets through on the connections of this machine, in either direction."""
        for near in list(machine.ends.values()):
            for end in (near, near.other):
                is_silent = not self.gets_through(end.machine, end.other.machine)
                if is_silent == end.is_silent:
                    continue
                end.is_silent = is_silent
                if not is_silent:
                    self._links.unmute(end)

    def slow(self, one: Machine, other: Machine, bytes_per_second: int) -> None:
        """What one says to the other goes through at this rate."""
        self._slow[one.number, other.number] = bytes_per_second
        self._relay(one, other)

    def _relay(self, one: Machine, other: Machine) -> None:
        """Lay what is open between the two through what lies there now."""
        for end in one.ends.values():
            if end.other.machine is other:
                end.line = self.line(one, other)

    def mend(self, one: Machine, other: Machine) -> None:
        """Everything gets through between the two again, as fast as ever."""
        self._severed.discard(frozenset((one.number, other.number)))
        for pair in ((one, other), (other, one)):
            if self._slow.pop((pair[0].number, pair[1].number), None) is not None:
                self._relay(*pair)
        self._silent -= {(one.number, other.number), (other.number, one.number)}
        self._listen(one)
        self._listen(other)

    def mend_all(self) -> None:
        """Everything gets through everywhere."""
        self._splits.clear()
        self._severed.clear()
        self._silent.clear()
        self._slow.clear()
        for machine in self._machines.values():
            self._listen(machine)
            for end in machine.ends.values():
                end.line = self.line(machine, end.other.machine)
