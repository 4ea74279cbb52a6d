"""Findings as one HTML page that needs nothing else: no script, no font, no picture from anywhere.

It takes the reader's preference of light or dark, and fits a telephone. The numbers in its tables are those of the
findings, which stand in it once more as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from math import exp
from typing import Final

import msgspec

from tallystick.sim.findings import Findings
from tallystick.sim.plots import chart, linear, logarithmic, ranking

_STYLE: Final = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2024; --faint: #60666c; --line: #d9dde1; --one: #1f6feb;
  --two: #b4540a; --tint: #f4f6f8; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e6e8ea; --faint: #9aa2aa; --line: #33393f;
  --one: #6cb0ff; --two: #f0a35e; --tint: #1c2024; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
p { margin: .5rem 0; max-width: 46rem; } .faint { color: var(--faint); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1.5rem 0; }
.facts div { background: var(--tint); border-radius: 6px; padding: .6rem .8rem; }
.facts b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.facts span { color: var(--faint); font-size: .85rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .9rem .25rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } th:first-child, td:first-child { text-align: left; }
svg { display: block; width: 100%; min-width: 32rem; height: auto; margin: .75rem 0; }
svg text { fill: var(--faint); font-size: 13px; } svg .name { fill: var(--ink); }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .bar, svg .dot { fill: var(--one); }
svg .curve, svg .law { fill: none; stroke-width: 2.5; stroke-linejoin: round; } svg .curve { stroke: var(--one); }
svg .law { stroke: var(--two); stroke-dasharray: 6 4; } svg .error { stroke: var(--one); stroke-width: 1.5; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; } pre { background: var(--tint); padding: .75rem; overflow: auto;
  max-height: 24rem; border-radius: 6px; } summary { cursor: pointer; }
"""

_LAW_POINTS: Final = 80


def page(found: Findings, command: str) -> str:
    """The page of these findings, which this command makes again."""
    title = f"{found.nodes:,} nodes, {found.kind}, seed {found.seed}"
    sections = [_head(found, title, command), _propagation(found), _stale(found), _traffic(found), _reorgs(found)]
    document = escape(msgspec.json.format(msgspec.json.encode(found), indent=1).decode(), quote=False)
    body = "\n".join(
        [*sections, f"<h2>All numbers</h2><details><summary>JSON</summary><pre>{document}</pre></details>"]
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Tallystick simulation: {escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _head(found: Findings, title: str, command: str) -> str:
    rate, traffic = found.stale[0], found.traffic
    half = found.propagation.reach[0]
    facts = [
        (_ms(half.median_ms), "until half of the nodes have a block, in the median"),
        (_ms(found.propagation.mean_ms), "mean delay of a block at a node"),
        (_percent(rate.share), f"of {rate.made:,} blocks became stale, one every {_seconds(rate.spacing_s)}"),
        (_size(traffic.bytes_a_block), "a node receives for each block"),
        (f"{traffic.bodies_a_block:.2f}", "times a node is sent a block's body"),
        (f"{found.connections.median:.0f}", "connections of a node, in the median"),
    ]
    where = ", ".join(f"{count:,} in {region}" for region, count in found.regions.items())
    cut = "" if found.complete else "<p><b>The run was interrupted: this is what was measured until then.</b></p>"
    return (
        f"<h1>{escape(title)}</h1>\n"
        f"<p class='faint'>Nodes: {escape(where)}. Blocks of {found.size_bytes:,} bytes.</p>\n"
        f"<p><code>{escape(command)}</code></p>\n{cut}"
        "<div class='facts'>"
        + "".join(f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>" for value, what in facts)
        + "</div>"
    )


def _propagation(found: Findings) -> str:
    spread = found.propagation
    longest = max((ms for ms, _ in spread.curve), default=1.0) or 1.0
    plot = chart(
        linear(longest, "time since a block was made", _ms),
        linear(1.0, "nodes that have it", lambda share: f"{share:.0%}"),
        curve=spread.curve,
    )
    rows = [
        (_percent(reach.share), f"{reach.blocks:,}", _ms(reach.median_ms), _ms(reach.p90_ms), _ms(reach.p99_ms))
        for reach in spread.reach
    ]
    table = _table(("nodes", "blocks", "median", "p90", "p99"), rows)
    return (
        f"<h2>How blocks spread</h2>\n<p>Of the {spread.blocks:,} blocks on the best chain that had no rival: the "
        f"share of nodes that have one, by the time since it was made.</p>\n<div class='wide'>{plot}</div>\n{table}"
    )


def _stale(found: Findings) -> str:
    rates = found.stale
    rows = [
        (
            _seconds(rate.spacing_s),
            f"{rate.made:,}",
            f"{rate.stale:,}",
            f"{_percent(rate.share)} ± {_percent(rate.error)}",
            _percent(rate.expected),
        )
        for rate in rates
    ]
    table = _table(("spacing T", "made", "stale", "measured", "1 - exp(-D/T)"), rows)
    spacings = [rate.spacing_s for rate in rates]
    delay_s = found.propagation.mean_ms / 1_000
    across = logarithmic(min(spacings) / 2, max(spacings) * 2, "seconds from block to block", lambda s: f"{s:g}")
    low, high = across.marks[0], across.marks[-1]
    steps = [low * (high / low) ** (n / _LAW_POINTS) for n in range(_LAW_POINTS + 1)]
    law = [(spacing_s, 1 - exp(-delay_s / spacing_s)) for spacing_s in steps]
    most = max([*(y for _, y in law), *(rate.share + rate.error for rate in rates)])
    plot = chart(
        across,
        linear(most, "stale blocks", _percent),
        law=law,
        dots=[(rate.spacing_s, rate.share) for rate in rates],
        bars=[(max(0.0, rate.share - rate.error), rate.share + rate.error) for rate in rates],
    )
    return (
        "<h2>Stale blocks</h2>\n<p>Blocks that are not on the best chain in the end, and what Decker and Wattenhofer's "
        f"law expects: the dashed line is 1 - exp(-D/T), where D is the mean delay of a block at a node, "
        f"{_ms(found.propagation.mean_ms)}. Bars are one standard error.</p>\n"
        f"<div class='wide'>{plot}</div>\n{table}"
    )


def _traffic(found: Findings) -> str:
    traffic = found.traffic
    sizes = [(each.kind, float(each.size_bytes), f"{_size(each.size_bytes)}") for each in traffic.kinds]
    rows = [(each.kind, f"{each.messages:,}", f"{each.size_bytes:,}") for each in traffic.kinds]
    ways = [
        (name, *(_size(value) for value in (way.median, way.p90, way.p99, way.most)))
        for name, way in (("sent", traffic.sent_bytes), ("received", traffic.received_bytes))
    ]
    return (
        f"<h2>Traffic</h2>\n<p>In {traffic.seconds:,.0f} s of virtual time, by kind of message. A block caused "
        f"{traffic.messages_a_block:,.0f} messages, and its body crossed no watched connection more than "
        f"{traffic.most_crossings} times.</p>\n<div class='wide'>{ranking(sizes, 'bytes by kind of message')}</div>\n"
        + _table(("kind", "messages", "bytes"), rows)
        + "\n<p>By node:</p>\n"
        + _table(("", "median", "p90", "p99", "most"), ways)
    )


def _reorgs(found: Findings) -> str:
    if not found.reorgs:
        return "<h2>Switches of branches</h2>\n<p>No node ever took a block off again.</p>"
    rows = [(f"{each.depth:,}", f"{each.times:,}", f"{each.times / found.nodes:.2f}") for each in found.reorgs]
    return "<h2>Switches of branches</h2>\n" + _table(("blocks taken off", "times", "times a node"), rows)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<div class='wide'><table><tr>{head}</tr>\n{body}</table></div>"


def _ms(ms: float) -> str:
    """A length of time, in what suits it."""
    if ms >= 10_000:  # noqa: PLR2004 - ten seconds
        return f"{ms / 1_000:,.1f} s"
    return f"{ms / 1_000:.2f} s" if ms >= 1_000 else f"{ms:.3g} ms"  # noqa: PLR2004 - one second


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _size(size_bytes: float) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.3g} {name}"
    return f"{size_bytes:.0f} B"
