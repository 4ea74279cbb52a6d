"""Those long parts that need few processes, as short as can be; `python -m bench --tiny` runs all of them."""

from __future__ import annotations

from pathlib import Path

from bench import append
from tallystick.bench import records
from tallystick.bench.ledgers import Ground
from tallystick.bench.sizes import Sizes

TINY = Sizes("tiny", 1, 1, 0.05, 0.02, 2_000, 500, 1, (16,))


def test_a_store_is_measured_by_itself(tmp_path: Path) -> None:
    indexed, alone, longest = append.measure(Ground(tmp_path, TINY))
    assert indexed.measured == alone.measured
    assert indexed.ratio is not None
    assert alone.ratio is not None
    assert longest.measured.median > 0


def test_a_log_is_synced_and_proven(tmp_path: Path) -> None:
    figures = {each.name: each for each in records.measure_log(Ground(tmp_path, TINY))}
    assert figures["records.sync"].ratio is not None
    assert figures["records.proof"].measured.median <= figures["records.proof.p99"].measured.median
