"""`tallystick simulate`: whole networks in one process, to see how they behave before there are any."""

from __future__ import annotations

import enum
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tallystick.cli import terminal
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.options import Json
from tallystick.cli.terminal import Column

if TYPE_CHECKING:
    from tallystick.sim.findings import Findings
    from tallystick.sim.presets import Plan
    from tallystick.sim.study import Progress, Study

NODES_MAX: Final = 20_000
BLOCKS_MAX: Final = 10_000
SIZE_MIN, SIZE_MAX = 100, 990_000
"""More than the second a classic network takes in no post (`Limits.classic_post_bytes`, for the whole message)."""

SPACING_MIN_S, SPACING_MAX_S = 0.1, 86_400.0
SPACINGS_MAX: Final = 10

ARRIVALS_MAX: Final = 2_000_000
"""Nodes times blocks times spacings. Each of them costs milliseconds of work and kilobytes of memory."""

DRAW_EVERY_S: Final = 0.2


class PresetName(enum.StrEnum):
    """As `sim.presets` has them."""

    LAN = "lan"
    CONSORTIUM = "consortium"
    INTERNET = "internet"


class KindName(enum.StrEnum):
    """As `model.network.Kind` has them."""

    CLASSIC = "classic"
    WORK = "work"


def simulate(
    *,
    preset: Annotated[
        PresetName, typer.Option("--preset", help="Which lines lie between the nodes, and defaults for all else.")
    ] = PresetName.LAN,
    nodes: Annotated[
        int | None,
        typer.Option("--nodes", min=2, max=NODES_MAX, help="How many nodes; else the preset's.", show_default=False),
    ] = None,
    kind: Annotated[KindName, typer.Option("--kind", help="The kind of network.")] = KindName.WORK,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Decides everything left to chance.")] = 1,
    blocks: Annotated[
        int | None,
        typer.Option("--blocks", min=1, max=BLOCKS_MAX, help="Blocks to make; else the preset's.", show_default=False),
    ] = None,
    spacing: Annotated[
        list[float] | None,
        typer.Option(
            "--spacing",
            metavar="SECONDS",
            min=SPACING_MIN_S,
            max=SPACING_MAX_S,
            help="From block to block, on average; else the preset's. Again, for what becomes stale at others, too.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--size", min=SIZE_MIN, max=SIZE_MAX, help="Bytes in a block; else the preset's.", show_default=False
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.html", help="Write a page with plots here.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a network of real nodes on a virtual clock, and measure how blocks spread in it.

    Presets: lan, 10 nodes on one switch; consortium, 50 over three regions; internet, 10,000 over six. Up to 100 nodes
    do everything that a node does. More of them are connected at the start, and leave out keepalive; 10,000 take a
    quarter of an hour and two gigabytes. The same options give the same numbers, on any machine. Ctrl-C ends a run
    with what was measured so far.
    """
    from tallystick.model.network import Kind  # noqa: PLC0415 - keeps --help quick
    from tallystick.sim.presets import PRESETS, Plan  # noqa: PLC0415
    from tallystick.sim.study import Study  # noqa: PLC0415

    chosen = PRESETS[preset]
    plan = Plan(
        chosen,
        nodes or chosen.nodes,
        Kind(kind),
        seed,
        blocks or chosen.blocks,
        [round(1_000 * each) for each in spacing] if spacing else chosen.spacings_ms,
        size or chosen.size_bytes,
    )
    _check(plan, report)
    _measure(Study(plan), report, as_json=as_json)


def _measure(study: Study, report: Path | None, *, as_json: bool) -> None:
    """Run it, and tell what it found."""
    is_interrupted = _run(study)
    found = study.findings()
    if found is None:
        raise Failure(ExitCode.INTERRUPTED, "Interrupted before any block was made.")
    if report is not None:
        from tallystick.sim.page import page  # noqa: PLC0415

        report.write_text(page(found, command_of(study.plan)), encoding="utf-8")
    if as_json:
        import msgspec  # noqa: PLC0415

        terminal.say_json(msgspec.to_builtins(found))
    else:
        _show(found, report)
    if is_interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)


def command_of(plan: Plan) -> str:
    """The command line that runs this plan again."""
    spacings = "".join(f" --spacing {each / 1_000:g}" for each in plan.spacings_ms)
    return (
        f"tallystick simulate --preset {plan.preset.name} --nodes {plan.nodes} --kind {plan.kind} --seed {plan.seed} "
        f"--blocks {plan.blocks}{spacings} --size {plan.size_bytes}"
    )


def _check(plan: Plan, report: Path | None) -> None:
    """Is this worth beginning? Raises Failure, and OSError where the report can't be written."""
    if len(plan.spacings_ms) > SPACINGS_MAX:
        raise Failure(ExitCode.USAGE, f"--spacing is given {len(plan.spacings_ms)} times; at most {SPACINGS_MAX}.")
    work = plan.nodes * plan.blocks * len(plan.spacings_ms)
    if work > ARRIVALS_MAX:
        raise Failure(
            ExitCode.USAGE,
            f"{plan.nodes:,} nodes times {plan.blocks:,} blocks at {terminal.count(len(plan.spacings_ms), 'spacing')} "
            f"are {work:,} arrivals; at most {ARRIVALS_MAX:,} are simulated. Take fewer nodes, or --blocks.",
        )
    if report is not None:
        with report.open("a", encoding="utf-8"):
            pass  # better now than in a quarter of an hour


# --- while it runs ----------------------------------------------------------------------------------


def _run(study: Study) -> bool:
    """Run it, drawing how far it is. True when somebody interrupted it."""
    try:
        with _drawn(study.plan) as draw:
            for progress in study.run():
                draw(progress)
    except KeyboardInterrupt:
        return True
    return False


@contextmanager
def _drawn(plan: Plan) -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr; nothing when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _progress: None
        return
    from rich.console import Console  # noqa: PLC0415 - only when a bar is drawn
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    began_s, drawn_s = time.monotonic(), 0.0
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=plan.blocks * len(plan.spacings_ms))

        def draw(progress: Progress) -> None:
            nonlocal drawn_s
            now_s = time.monotonic()
            if now_s - drawn_s >= DRAW_EVERY_S:
                drawn_s = now_s
                bar.update(task, completed=progress.blocks, description=_words(progress, now_s - began_s))

        yield draw


def _words(progress: Progress, seconds: float) -> str:
    """How far it is: `making blocks every 15 s, 72.4 s of virtual time, 8,100 events/s`."""
    return (
        f"{progress.doing} every {progress.spacing_ms / 1_000:g} s, "
        f"{progress.virtual_ms / 1_000:,.1f} s of virtual time, {progress.events / max(seconds, 1e-3):,.0f} events/s"
    )


# --- in the end -------------------------------------------------------------------------------------


def _show(found: Findings, report: Path | None) -> None:
    where = ", ".join(f"{count:,} in {region}" for region, count in found.regions.items())
    terminal.say(
        f"{found.nodes:,} nodes ({where}), kind {found.kind}, seed {found.seed}, {found.size_bytes:,} bytes a block"
    )
    if not found.complete:
        terminal.say("Interrupted: this is what was measured until then.")
    spread = found.propagation
    terminal.say(
        f"\nFrom the making of a block until so many nodes have it ({terminal.count(spread.blocks, 'block')}):"
    )
    _table(
        ("nodes", "median", "p90", "p99"),
        [
            (f"{reach.share:.0%}", _ms(reach.median_ms), _ms(reach.p90_ms), _ms(reach.p99_ms))
            for reach in spread.reach
            if reach.blocks
        ],
    )
    terminal.say(
        f"\nStale blocks, and what 1 - exp(-D/T) expects; D, the mean delay at a node, is {_ms(spread.mean_ms)}:"
    )
    _table(
        ("T", "made", "stale", "share", "expected"),
        [
            (
                f"{rate.spacing_s:g} s",
                f"{rate.made:,}",
                f"{rate.stale:,}",
                f"{rate.share:.2%}",
                f"{rate.expected:.2%}",
            )
            for rate in found.stale
        ],
    )
    _show_traffic(found)
    if report is not None:
        terminal.say(f"\nThe report is in {report}.")


def _show_traffic(found: Findings) -> None:
    traffic = found.traffic
    terminal.say(f"\nMessages, in {traffic.seconds:,.0f} s of virtual time:")
    _table(
        ("kind", "messages", "bytes"),
        [(each.kind, f"{each.messages:,}", terminal.size(each.size_bytes)) for each in traffic.kinds],
    )
    sent, received = traffic.sent_bytes, traffic.received_bytes
    depths = ", ".join(f"{each.times:,} of {terminal.count(each.depth, 'block')}" for each in found.reorgs)
    terminal.say("")
    terminal.facts(
        [
            (
                "sent by a node",
                f"{terminal.size(int(sent.median))} in the median, {terminal.size(int(sent.most))} at most",
            ),
            (
                "received by a node",
                f"{terminal.size(int(received.median))}, {terminal.size(int(received.most))} at most",
            ),
            (
                "for a block",
                f"{traffic.messages_a_block:,.0f} messages, {terminal.size(int(traffic.bytes_a_block))} a node",
            ),
            ("bodies a node is sent", f"{traffic.bodies_a_block:.2f} for a block"),
            ("over one connection", f"a body crosses {terminal.count(traffic.most_crossings, 'time')} at most"),
            ("switches of branches", depths or "none"),
            (
                "connections of a node",
                f"{found.connections.median:.0f} in the median, {found.connections.most:.0f} at most",
            ),
        ]
    )


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    columns = [
        Column(title, width + 2, right=number > 0)
        for number, (title, width) in enumerate(zip(titles, widths, strict=True))
    ]
    terminal.table(columns, rows)


def _ms(ms: float) -> str:
    return f"{ms / 1_000:,.2f} s" if ms >= 1_000 else f"{ms:,.1f} ms"  # noqa: PLR2004 - one second
