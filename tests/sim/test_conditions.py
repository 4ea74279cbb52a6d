"""What lies between two machines."""

from tallystick.sim.chance import stream
from tallystick.sim.conditions import RETRANSMIT_US, Line, everywhere


def test_a_message_takes_a_time_between_the_least_and_the_most() -> None:
    line, chance = Line(latency_us=(10, 20)), stream(1, "test")
    delays = {line.delay_us(chance) for _ in range(1_000)}
    assert delays == set(range(10, 21))


def test_a_lost_packet_is_a_delay() -> None:
    line, chance = Line(latency_us=(10, 10), lost=0.3), stream(1, "test")
    delays = [line.delay_us(chance) for _ in range(1_000)]
    assert set(delays) >= {10, 10 + RETRANSMIT_US, 10 + 3 * RETRANSMIT_US}
    assert 600 < delays.count(10) < 800


def test_a_line_that_loses_everything_breaks_the_connection() -> None:
    assert Line(lost=1.0).delay_us(stream(1, "test")) is None


def test_the_same_lies_everywhere() -> None:
    line = Line()
    assert everywhere(line)(1, 2) is everywhere(line)(5, 3) is line
