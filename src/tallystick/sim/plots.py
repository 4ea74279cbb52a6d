"""Plots as SVG text: a curve, points beside a law, and bars. Nothing but shapes; colours come from the page's classes,
or, of several charts as a file of their own, from its style.

Coordinates of data become those of a picture of `WIDTH` by `HEIGHT` units, which the page stretches to its own width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final, NamedTuple

WIDTH: Final = 720
HEIGHT: Final = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 36, 16, 44
_BAR: Final = 26
"""Height of a bar with the gap below it."""

_NAME: Final = 130
"""What the names of bars have of the width."""

_VALUE: Final = 150
"""Likewise their values, behind the longest bar."""

_TITLE: Final = 40
"""Height of what stands above a chart on a sheet."""

_STYLE: Final = """
rect { fill: #fff; } text { fill: #57606a; font: 15px system-ui, sans-serif; } .name { fill: #1f2328; }
.grid { stroke: #d0d7de; } .curve, .law { fill: none; stroke: #0969da; stroke-width: 3; stroke-linejoin: round; }
.law { stroke: #bc4c00; stroke-dasharray: 8 5; } .error { stroke: #0969da; } .dot { fill: #0969da; }
"""
"""Of a sheet, which has no page around it."""

Point = tuple[float, float]


class Axis(NamedTuple):
    """How values of one direction become places from 0 to 1, and where its marks are."""

    place: Callable[[float], float]
    marks: Sequence[float]
    text: Callable[[float], str]
    title: str


def linear(most: float, title: str, text: Callable[[float], str], marks: int = 5) -> Axis:
    """From 0 to a round number at or above `most`."""
    step = _round_up(most / marks if most > 0 else 1.0)
    count = max(1, ceil(most / step - 1e-9))
    return Axis(lambda value: value / (count * step), [step * n for n in range(count + 1)], text, title)


def logarithmic(least: float, most: float, title: str, text: Callable[[float], str]) -> Axis:
    """From one power of ten to another, around these."""
    low, high = floor(log10(least)), ceil(log10(most))
    high = max(high, low + 1)
    return Axis(lambda v: (log10(v) - low) / (high - low), [10.0**n for n in range(low, high + 1)], text, title)


def _round_up(step: float) -> float:
    """The next of 1, 2, 5, 10, 20, ..."""
    unit = 10.0 ** floor(log10(step))
    return next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= step * (1 - 1e-9))


def chart(
    across: Axis,
    up: Axis,
    *,
    curve: Sequence[Point] = (),
    law: Sequence[Point] = (),
    dots: Sequence[Point] = (),
    bars: Sequence[Point] = (),
) -> str:
    """What is measured as a curve, or as dots with bars of error (lowest and highest, of each dot); and a law."""
    parts = [*_frame(across, up)]
    if law:
        parts.append(f'<polyline class="law" points="{_points(law, across, up)}"/>')
    if curve:
        parts.append(f'<polyline class="curve" points="{_points(curve, across, up)}"/>')
    for (x, y), (low, high) in zip(dots, bars, strict=True):
        at = _x(across.place(x))
        parts.append(f'<line class="error" x1="{at}" x2="{at}" y1="{_y(up.place(low))}" y2="{_y(up.place(high))}"/>')
        parts.append(f'<circle class="dot" cx="{at}" cy="{_y(up.place(y))}" r="5"/>')
    return _picture(HEIGHT, f"{up.title} by {across.title}", parts)


def ranking(rows: Sequence[tuple[str, float, str]], title: str) -> str:
    """Horizontal bars: of each its name, its length, and what is written behind it."""
    most = max((length for _, length, _ in rows), default=0) or 1
    room = WIDTH - _NAME - _VALUE
    parts = []
    for number, (name, length, text) in enumerate(rows):
        top, wide = number * _BAR, max(1.0, room * length / most)
        parts += [
            f'<text class="name" x="{_NAME - 8}" y="{top + 17}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="bar" x="{_NAME}" y="{top + 4}" width="{wide:.1f}" height="{_BAR - 8}" rx="2"/>',
            f'<text x="{_NAME + wide + 8:.1f}" y="{top + 17}">{escape(text)}</text>',
        ]
    return _picture(max(1, len(rows)) * _BAR, title, parts)


def sheet(charts: Sequence[tuple[str, str]], title: str, columns: int = 2) -> str:
    """Charts below their titles, side by side, as an SVG document."""
    height = HEIGHT + _TITLE
    parts = [f"<title>{escape(title)}</title>", f"<style>{_STYLE}</style>", '<rect width="100%" height="100%"/>']
    for number, (words, drawn) in enumerate(charts):
        left, top = number % columns * WIDTH, number // columns * height
        parts.append(f'<text class="name" x="{left + _LEFT}" y="{top + _TITLE - 8}">{escape(words)}</text>')
        place = f'<svg x="{left}" y="{top + _TITLE}" width="{WIDTH}" height="{HEIGHT}" '
        parts.append(drawn.replace("<svg ", place, 1))
    size = f"{columns * WIDTH} {ceil(len(charts) / columns) * height}"
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img">\n{body}\n</svg>\n'


def _frame(across: Axis, up: Axis) -> list[str]:
    """Lines at the marks, what they stand for, and what the axes are."""
    parts = []
    for mark in up.marks:
        y = _y(up.place(mark))
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(up.text(mark))}</text>')
    for mark in across.marks:
        x = _x(across.place(mark))
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        parts.append(
            f'<text x="{x}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">{escape(across.text(mark))}</text>'
        )
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle" class="name">{escape(across.title)}</text>')
    return parts


def _picture(height: int, title: str, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">\n{body}\n</svg>'


def _points(points: Sequence[Point], across: Axis, up: Axis) -> str:
    return " ".join(f"{_x(across.place(x))},{_y(up.place(y))}" for x, y in points)


def _x(place: float) -> float:
    return round(_LEFT + place * (WIDTH - _LEFT - _RIGHT), 1)


def _y(place: float) -> float:
    return round(HEIGHT - _BOTTOM - place * (HEIGHT - _TOP - _BOTTOM), 1)
