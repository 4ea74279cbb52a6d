"""`tallystick network new`: print the file of a new network."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tallystick.cli import terminal
from tallystick.cli.exits import ExitCode, Failure

if TYPE_CHECKING:
    from tallystick.model.network import SealedRules

WORK: Final = "work"
SECOND_MS: Final = 1_000
DEFAULT_SPACING_S: Final = 60.0
DEFAULT_HALF_LIFE_S: Final = 3_600.0
HALF_LIFE_SPACINGS: Final = 60
"""Unless the half-life is given, it is at least so many spacings: that many blocks average luck out."""

OPTIONS: Final = {
    "spacing_ms": "--spacing",
    "half_life_ms": "--half-life",
    "bits": "--bits",
    "max_block_bytes": "--max-block-bytes",
    "max_data_bytes": "--max-data-bytes",
}
"""The options that set the keys of a file."""


Name = Annotated[str, typer.Option("--name", metavar="NAME", help="For people: letters, digits and ._-")]
Kind = Annotated[str, typer.Option("--kind", metavar="work", help="Who may add a block: whoever finds a nonce.")]
Spacing = Annotated[
    float,
    typer.Option(
        "--spacing",
        metavar="SECONDS",
        help="Time between two blocks. With a shorter one, miners find two at once more often, of which one is in "
        "vain; with a longer one, records wait longer.",
    ),
]
HalfLife = Annotated[
    float | None,
    typer.Option(
        "--half-life",
        metavar="SECONDS",
        help="When the chain is so late, blocks are half as difficult. A shorter one follows sooner when miners "
        "come and go; a longer one is moved less by luck, and by blocks dated ahead, as they may be by 120 s.  "
        "[default: 3600, or 60 spacings]",
        show_default=False,
    ),
]
Bits = Annotated[
    str | None,
    typer.Option(
        "--bits",
        metavar="HEX|N",
        help="First difficulty: 8 hex digits of a compact target, or N for 2^N hashes a block.  "
        "[default: what one core finds within the spacing, at a million hashes a second]",
        show_default=False,
    ),
]
Members = Annotated[
    list[str] | None,
    typer.Option("--member", metavar="KEY", help="A node key that is let in; many times. Without any, all are."),
]
MaxBlock = Annotated[
    int | None, typer.Option("--max-block-bytes", metavar="N", help="Records of one block.  [default: 1048576]")
]
MaxData = Annotated[
    int | None, typer.Option("--max-data-bytes", metavar="N", help="Data of one record.  [default: 65536]")
]


def new(
    *,
    name: Name,
    kind: Kind = WORK,
    spacing: Spacing = DEFAULT_SPACING_S,
    half_life: HalfLife = None,
    bits: Bits = None,
    members: Members = None,
    max_block_bytes: MaxBlock = None,
    max_data_bytes: MaxData = None,
) -> None:
    """Print the file of a new network, network.toml.

    Redirect it into a file, and give that to all who take part:

      tallystick network new --name our-ledger > network.toml

      tallystick start --network network.toml --mine

    The defaults serve most networks, for difficulty finds its level by itself. A network cannot be changed later: a
    file with other rules is another network, that begins anew.
    """
    from tallystick.app.network_file import checked_members, checked_name, checked_network, write  # noqa: PLC0415 - keeps --help quick

    if kind != WORK:
        raise Failure(
            ExitCode.USAGE,
            f"--kind is {kind[:80]!a}; this version makes networks of kind work. (A classic network needs no file.)",
        )
    rules = _rules(spacing, half_life, bits, max_block_bytes=max_block_bytes, max_data_bytes=max_data_bytes)
    listed = checked_members(members, "given with --member") if members else frozenset()
    genesis_ms = time.time_ns() // 1_000_000

    def label(key: str) -> str:
        return f"Option {OPTIONS[key]}" if key in OPTIONS else f"Key {key}"

    network = checked_network(checked_name(name, "Option --name"), rules, genesis_ms, listed, label)
    terminal.say(write(network).removesuffix("\n"))


def _rules(spacing_s: float, half_life_s: float | None, bits: str | None, **sizes: int | None) -> SealedRules:
    """What the options say, still to be checked. Raises Failure."""
    from tallystick.app.network_file import HASHES_PER_SECOND, difficulty_for, read_difficulty  # noqa: PLC0415
    from tallystick.model.network import SealedRules  # noqa: PLC0415 - both keep --help quick

    spacing_ms = _milliseconds(spacing_s, "--spacing")
    if half_life_s is None:
        half_life_s = max(DEFAULT_HALF_LIFE_S, HALF_LIFE_SPACINGS * spacing_s)
    try:
        first = difficulty_for(HASHES_PER_SECOND * spacing_ms // SECOND_MS) if bits is None else read_difficulty(bits)
    except ValueError as error:
        raise Failure(ExitCode.USAGE, f"--bits is {(bits or '')[:80]!a}, {error}.") from error
    given = {name: size for name, size in sizes.items() if size is not None}
    return SealedRules(spacing_ms, _milliseconds(half_life_s, "--half-life"), first, **given)


def _milliseconds(seconds: float, option: str) -> int:
    if not math.isfinite(seconds):
        raise Failure(ExitCode.USAGE, f"{option} is {seconds}; expected a number of seconds.")
    return round(seconds * SECOND_MS)
