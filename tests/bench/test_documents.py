from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from bench import page, plot
from tallystick.bench.figures import Report, figure

from .figures import LENGTHS, report, with_ratio

DOCS = Path(__file__).parents[2] / "docs"
COMMITTED = msgspec.json.decode((DOCS / "benchmarks.json").read_bytes(), type=Report)


def test_what_is_committed_is_one_whole_run() -> None:
    """`make bench` writes all three."""
    assert (COMMITTED.form, COMMITTED.complete) == ("whole", True)
    assert len({each.name for each in COMMITTED.figures}) == len(COMMITTED.figures)
    document = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    assert page.renewed(document, COMMITTED) == document
    assert plot.drawn(COMMITTED.lengths) == (DOCS / "benchmarks.svg").read_text(encoding="utf-8")


def test_only_what_stands_between_the_marks_is_renewed() -> None:
    document = f"# Benchmarks\n\n{page.BEGIN}\nold\n{page.END}\n\n## Else\n"
    renewed = page.renewed(document, report(with_ratio("sync", 0.5), figure("p99", "posts", "ms", [1.0])))
    assert renewed.startswith("# Benchmarks\n\n")
    assert renewed.endswith("\n\n## Else\n")
    assert "old" not in renewed
    assert "| what sync is | 500 blocks/s | bare: 1,000 | **0.50** |" in renewed
    assert page.renewed(renewed, report(with_ratio("sync", 0.5), figure("p99", "posts", "ms", [1.0]))) == renewed


@pytest.mark.parametrize("document", ["", page.BEGIN, page.END])
def test_a_document_without_a_place_for_the_table_is_left_alone(document: str) -> None:
    with pytest.raises(ValueError, match="no place for the table"):
        page.renewed(document, report())


def test_the_plot_is_a_picture_with_a_chart_a_cost() -> None:
    drawn = plot.drawn(LENGTHS)
    root = ET.fromstring(drawn)  # noqa: S314 - ours
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall("{*}svg")) == 5
    assert len(root.findall(".//{*}polyline")) == 6
    for curve in re.findall(r'class="curve" points="([^"]+)"', drawn):
        assert len({point.split(",")[1] for point in curve.split()}) == 1, "what does not grow is a level line"
