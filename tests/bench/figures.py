"""Figures and reports to try things with."""

from __future__ import annotations

from typing import Literal

from tallystick.bench.figures import VERSION, Figure, Length, Machine, Report, figure

MACHINE = Machine(
    cores=2,
    memory_bytes=24 * 2**30,
    system="Linux 6.1",
    processor="EPYC",
    python="3.11.7",
    sqlite="3.40.1",
    files="ext4",
    hash_us=0.9,
    commit_ms=0.25,
    load=0.1,
)

LENGTHS = [Length(10**n, 1.5, 3.0 + n / 10, 0.5, 0.8, 80.0, 155.0) for n in range(3, 7)]


def with_ratio(name: str, ratio: float, better: Literal["more", "less"] = "more") -> Figure:
    return figure(name, f"what {name} is", "blocks/s", [1_000 * ratio], better=better, yardstick=("bare", [1_000.0]))


def report(*figures: Figure) -> Report:
    return Report(
        version=VERSION,
        program="tallystick/1.0",
        form="whole",
        taken="2026-01-02T03:04:05Z",
        seconds=600.0,
        complete=True,
        machine=MACHINE,
        figures=list(figures),
        lengths=LENGTHS,
    )
