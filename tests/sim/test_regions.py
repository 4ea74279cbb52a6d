from __future__ import annotations

from collections import Counter
from statistics import fmean, median

import pytest

from tallystick.sim.chance import stream
from tallystick.sim.regions import BITCOIN_2019, LATENCY_US, RATES, SPREAD, Region, draw_sites, lines_between

WORLD = [region for region in Region if region is not Region.ROOM]


def test_latencies_are_the_same_there_and_back() -> None:
    assert all(LATENCY_US[one, other] == LATENCY_US[other, one] for one in WORLD for other in WORLD)
    assert LATENCY_US[Region.EUROPE, Region.ASIA_PACIFIC] == 237_000


def test_regions_have_their_shares() -> None:
    sites = draw_sites(stream(1, "sites"), 10_000, BITCOIN_2019)
    found = Counter(site.region for site in sites)
    assert found == {region: round(10_000 * share) for region, share in BITCOIN_2019.items()}


@pytest.mark.parametrize("nodes", [1, 2, 3, 7, 50])
def test_however_few_there_are_each_stands_somewhere(nodes: int) -> None:
    sites = draw_sites(stream(1, "sites"), nodes, dict.fromkeys(WORLD[:3], 1.0))
    counts = Counter(site.region for site in sites)
    assert counts.total() == nodes
    assert max(counts.values()) - min(counts[region] for region in WORLD[:3]) <= 1


def test_half_of_the_lines_are_slower_than_the_median() -> None:
    assert median(SPREAD) == pytest.approx(1.0)
    rates = [site.rates.up for site in draw_sites(stream(1, "sites"), 2_000, {Region.EUROPE: 1.0})]
    assert median(rates) == pytest.approx(RATES[Region.EUROPE].up, rel=0.15)


def test_a_message_goes_at_the_slower_of_both_ends() -> None:
    sites = draw_sites(stream(1, "sites"), 40, BITCOIN_2019)
    lines = lines_between(sites)
    for one in range(40):
        for other in range(one):
            line = lines(one, other)
            assert line.bytes_per_second == min(sites[one].rates.up, sites[other].rates.down)
            assert fmean(line.latency_us) == pytest.approx(LATENCY_US[sites[one].region, sites[other].region], abs=1)


def test_equal_lines_are_one_value() -> None:
    lines = lines_between(draw_sites(stream(1, "sites"), 10, {Region.ROOM: 1.0}))
    assert lines(0, 1) is lines(8, 3)
