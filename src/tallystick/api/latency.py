"""How long requests took, counted so cheaply that each of them can be.

A histogram is a row of counters: how many observations were at most so large. Prometheus adds up those of many nodes,
or of many minutes, and estimates quantiles, which no node could do with averages. The client library's own takes a lock
for each counter, as threads may share it. All of ours live on one event loop, and an observation is a bisection and two
additions. Even these are put off: between two requests the counters leave the processor's cache, and to fetch them anew
for each takes longer than to count. So a request is noted, and some hundred are counted in one go.

What tells requests apart must not come from outside: a label value of a caller's choice would be a new series, here and
in the memory of whoever collects them. So a request counts under the template of its route, never under its path, under
one of the methods that are served, and under the class of its status.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

OTHER: Final = "other"
"""The method of a request with one that is served nowhere; the route of a request that was refused before one was
found: an unknown path, a wrong token, a head that cannot be read."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE"})

_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0)
"""From a look-up to a whole chain, or a caller who waits for a block. Each is a line in the answer, for each route."""

_NOTED_MOST: Final = 256
"""So many are counted in one go, which takes a tenth of a millisecond."""

_PARAMETER: Final = re.compile(r"<(\w+)[^>]*>")


class Histogram:
    """How often something was how large."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` are ascending; what is greater than the last is counted too."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        """Of all observations."""

    def observe(self, value: float) -> None:
        """Count it under the first bound that is not less."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def buckets(self) -> Sequence[tuple[str, float]]:
        """Each bound as text, with the number of observations that were no greater; the last has them all."""
        return [*zip([*map(str, map(float, self._bounds)), "+Inf"], accumulate(self._counts), strict=True)]


class Latency(Collector):
    """How long requests took, by route, method and class of status."""

    def __init__(self) -> None:
        self._noted: list[tuple[str | None, str, int, float]] = []
        """Requests that are not counted yet."""
        self._histograms = defaultdict[tuple[str | None, str, int], Histogram](lambda: Histogram(_BOUNDS_S))

    def note(self, path: str | None, method: str, status: int, seconds: float) -> None:
        """A request was answered. `path` is what its route is known by, None when it has none: then the method is any
        text, of which nothing is kept."""
        if path is None and method not in METHODS:
            method = OTHER
        self._noted.append((path, method, status, seconds))
        if len(self._noted) >= _NOTED_MOST:
            self._count()

    def _count(self) -> None:
        for path, method, status, seconds in self._noted:
            self._histograms[path, method, status // 100].observe(seconds)
        self._noted.clear()

    def collect(self) -> Iterator[Metric]:
        """As Prometheus has it."""
        self._count()
        family = HistogramMetricFamily(
            "tallystick_http_request_duration_seconds",
            "Time from the head of a request to the end of its answer.",
            labels=["route", "method", "status"],
        )
        for (path, method, hundreds), histogram in self._histograms.items():
            labels = [OTHER if path is None else template_of(path), method, f"{hundreds}xx"]
            family.add_metric(labels, buckets=histogram.buckets, sum_value=histogram.sum)
        yield family


def template_of(path: str) -> str:
    """The path of a route as it is documented: `blocks/<ref:str>` is `/blocks/{ref}`."""
    return "/" + _PARAMETER.sub(r"{\1}", path)
