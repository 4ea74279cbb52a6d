"""What breaks a law is written down, whatever else happens."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tallystick.model.network import Kind
from tests.sim.soak import Run, main, runs_from, soak, verdict

NO_END = float("inf")


def test_each_seed_is_run_for_each_kind() -> None:
    assert list(islice(runs_from(7), 4)) == [(kind, seed) for seed in (7, 8) for kind in Kind]


def test_an_error_that_is_no_broken_law_counts_as_well() -> None:
    def fails(kind: Kind, seed: int) -> str:
        raise KeyError(f"{kind} {seed}")

    assert verdict((Kind.WORK, 3), fails) == ((Kind.WORK, 3), "KeyError('work 3')")
    assert verdict((Kind.WORK, 3), lambda *_: "") == ((Kind.WORK, 3), "")


def test_failing_seeds_are_added_to_the_file(tmp_path: Path) -> None:
    file, out = tmp_path / "failures", io.StringIO()
    file.write_text("work 1 before\n")
    runs: list[tuple[Run, str]] = [((Kind.CLASSIC, 2), ""), ((Kind.WORK, 2), "lost 1"), ((Kind.CLASSIC, 3), "")]
    assert soak(runs, file, NO_END, out) == 1
    assert file.read_text() == "work 1 before\nwork 2 lost 1\n"
    assert "work 2: lost 1" in out.getvalue()


def test_it_ends_when_the_time_is_over_or_somebody_interrupts(tmp_path: Path) -> None:
    def interrupted() -> Iterator[tuple[Run, str]]:
        yield (Kind.WORK, 2), "lost 1"
        raise KeyboardInterrupt

    def endless() -> Iterator[tuple[Run, str]]:
        return (((Kind.WORK, 2), "") for _ in iter(int, 1))

    assert soak(interrupted(), tmp_path / "failures", NO_END, io.StringIO()) == 1
    assert soak(endless(), tmp_path / "failures", 0, io.StringIO()) == 0


def test_from_the_command_line(tmp_path: Path) -> None:
    assert main(["--first", "0", "--seconds", "0", "--workers", "1", "--file", str(tmp_path / "failures")]) == 0
    assert not (tmp_path / "failures").exists()
