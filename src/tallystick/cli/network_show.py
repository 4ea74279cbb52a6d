"""`tallystick network show`: a network file, in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tallystick.cli import terminal
from tallystick.cli.options import Json

if TYPE_CHECKING:
    from tallystick.model.network import Network


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A network file, as network new prints it.")],
    *,
    as_json: Json = False,
) -> None:
    """Show what a network file says, and check its id."""
    from tallystick.app.config import load_network, read_bounded  # noqa: PLC0415 - keeps --help quick

    network = load_network(file, "argument FILE", read_bounded)
    if as_json:
        terminal.say_json(_document(network))
    else:
        terminal.facts(_facts(network))


def _document(network: Network) -> dict[str, object]:
    """The keys of the file; difficulties are hex digits, as there."""
    from dataclasses import asdict  # noqa: PLC0415 - as above

    document: dict[str, object] = {"kind": str(network.kind), "name": network.name, "id": network.id}
    if network.rules is not None:
        rules = asdict(network.rules)
        document |= rules | {key: f"{rules[key]:08x}" for key in ("bits", "limit_bits")}
        document["genesis_ms"] = network.genesis.timestamp
    return {**document, "members": sorted(network.members)}


def _facts(network: Network) -> list[tuple[str, str]]:
    from tallystick.app.network_file import hashes_for  # noqa: PLC0415 - keeps --help quick

    facts = [("network", f"{network.name} ({network.kind})"), ("id", network.id)]
    if (rules := network.rules) is not None:
        facts += [
            ("spacing", _seconds(rules.spacing_ms)),
            ("half-life", _seconds(rules.half_life_ms)),
            ("difficulty", f"{rules.bits:08x} at first, {hashes_for(rules.bits):,} hashes on average"),
            ("", f"{rules.limit_bits:08x} at least, {hashes_for(rules.limit_bits):,} hashes"),
            ("a block", f"{rules.max_block_bytes:,} bytes and {rules.max_block_records:,} records at most"),
            ("a record", f"{rules.max_data_bytes:,} bytes of data at most"),
            ("began", terminal.date(network.genesis.timestamp)),
        ]
    members = sorted(network.members) or ["everybody is let in"]
    return [*facts, ("members", members[0]), *(("", key) for key in members[1:])]


def _seconds(duration_ms: int) -> str:
    return f"{duration_ms / 1_000:,.3f}".rstrip("0").rstrip(".") + " s"
