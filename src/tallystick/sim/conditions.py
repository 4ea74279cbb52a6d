"""What lies between two machines, as values: how long a message takes, what is lost, what comes twice.

Connections are TCP, so nothing overtakes within one and nothing is missing in the middle of it: a lost packet shows as
a delay for all that follows, and when it is lost again and again the connection breaks. Between connections everything
may change its order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tallystick.sim.chance import Chance

RETRANSMIT_US: Final = 200_000
"""After so long a lost packet is sent again, after twice as long once more, and so on (Linux, `TCP_RTO_MIN`)."""

TRIES: Final = 8
"""A packet that was lost so often in a row ends the connection: by then 25 seconds have passed."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one direction of a connection is like."""

    latency_us: tuple[int, int] = (1_000, 200_000)
    """Least and most that a message is under way; each takes its own time between them."""

    bytes_per_second: int = 0
    """How fast it takes messages up; 0: at once."""

    takes_turns: bool = False
    """All that a machine sends on such lines goes up one after the other, whomever it is for. Else each connection has
    a line of its own."""

    lost: float = 0.0
    """Of messages so many lose a packet, and as many of those lose it again."""

    repeated: float = 0.0
    """Of messages of the classic dialect so many come again, as from a peer that repeats itself: at once, and once more
    up to `repeated_after_us` later. A native peer would be hung up on."""

    repeated_after_us: int = 20_000_000

    gossip_lost: float = 0.0
    """Of gossip so much is dropped as if the outbox had been full, though it is not."""

    def delay_us(self, chance: Chance) -> int | None:
        """How long one message is under way; None when the connection breaks over it."""
        least, most = self.latency_us
        delay_us = least if least == most else chance.randint(least, most)
        if self.lost:
            tries, again_us = 0, RETRANSMIT_US
            while chance.random() < self.lost:
                tries += 1
                if tries == TRIES:
                    return None
                delay_us += again_us
                again_us *= 2
        return delay_us


Lines = Callable[[int, int], Line]
"""`lines(one, other)`: what a message from one machine to the other goes through, by their numbers."""

GOOD: Final = Line(latency_us=(1_000, 50_000))
"""A line on which nothing goes wrong."""


def everywhere(line: Line) -> Lines:
    """The same between all machines."""
    return lambda _one, _other: line
