from __future__ import annotations

import json
import re
from html import unescape

import msgspec

from tallystick.sim.findings import Findings
from tallystick.sim.page import page
from tests.sim.studies import found, plan

COMMAND = "tallystick simulate --seed 1 <again>"


def small() -> Findings:
    return found(plan(blocks=3, spacings_ms=(1_000, 200)))


def test_the_page_holds_the_findings() -> None:
    findings = small()
    text = page(findings, COMMAND)
    held = re.search(r"<pre>(.*?)</pre>", text, re.DOTALL)
    assert held is not None
    assert json.loads(unescape(held[1])) == json.loads(msgspec.json.encode(findings))


def test_the_page_needs_nothing_else() -> None:
    text = page(small(), COMMAND)
    assert not re.search(r"(?:src|href|url|@import|<script|<link)", text.partition("<pre>")[0].replace("source", ""))
    assert "&lt;again&gt;" in text
    assert "<again>" not in text
    assert "prefers-color-scheme: dark" in text


def test_every_mark_is_in_the_picture() -> None:
    text = page(small(), COMMAND)
    across = [float(x) for x in re.findall(r'\b(?:cx|x1|x2)="([^"]*)"', text)]
    upwards = [float(y) for y in re.findall(r'\b(?:cy|y1|y2)="([^"]*)"', text)]
    points = [tuple(map(float, p.split(","))) for line in re.findall(r'points="([^"]*)"', text) for p in line.split()]
    assert points
    assert all(0 <= x <= 720 for x in [*across, *(x for x, _ in points)])
    assert all(0 <= y <= 320 for y in [*upwards, *(y for _, y in points)])


def test_an_interrupted_run_says_so() -> None:
    findings = msgspec.structs.replace(small(), complete=False, reorgs=[])
    text = page(findings, COMMAND)
    assert "interrupted" in text
    assert "No node ever took a block off" in text
