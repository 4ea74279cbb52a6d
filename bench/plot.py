"""Cost against length as a picture: one chart a cost, from nothing upwards, so that what grows is seen to."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

from tallystick.bench.figures import Length, number
from tallystick.sim.plots import chart, linear, logarithmic, sheet


def drawn(lengths: Sequence[Length]) -> str:
    """An SVG document. Of at least one length."""
    charts = [
        _chart("POST /mineBlock, 16 connections, ms: median, and dashed p99", lengths, "post_ms", "post_p99_ms"),
        _chart("GET /blocks/{index}, 16 connections, ms: median", lengths, "get_ms"),
        _chart("Start until ready, s", lengths, "start_s"),
        _chart("Memory of the node, MiB", lengths, "memory_mib"),
        _chart("On disk, bytes a block of 100 bytes of data", lengths, "disk_bytes"),
    ]
    return sheet(charts, "What a chain costs, by its length")


def _chart(title: str, lengths: Sequence[Length], cost: str, other: str | None = None) -> tuple[str, str]:
    curves = [[(float(each.blocks), float(getattr(each, name))) for each in lengths] for name in (cost, other or cost)]
    across = logarithmic(lengths[0].blocks, lengths[-1].blocks, "blocks", lambda blocks: f"10^{log10(blocks):.0f}")
    up = linear(max(value for curve in curves for _, value in curve), title, number)
    return title, chart(across, up, curve=curves[0], law=curves[1] if other else ())
