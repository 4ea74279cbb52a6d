from __future__ import annotations

import pytest

from tallystick.cli.terminal import age, count, date, size, span


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (75_939_840, "75.9 MB"), (10**9, "1.0 GB"), (10**16, "10000.0 TB")],
)
def test_sizes(size_bytes: int, shown: str) -> None:
    assert size(size_bytes) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (7_199, "1 h"), (86_400 * 2_000, "2,000 d")]
)
def test_spans(seconds: float, shown: str) -> None:
    assert span(seconds) == shown
    assert age(1_000, 1_000 + seconds) == f"{shown} ago"


def test_dates_and_counts() -> None:
    assert age(10, 9) == "in the future"
    assert date(1_465_154_705) == "2016-06-05 19:25:05 UTC"
    assert date(9_999_999_999) == "2286-11-20 17:46:39 UTC"
    assert [count(n, "block") for n in (0, 1, 1_000)] == ["0 blocks", "1 block", "1,000 blocks"]
