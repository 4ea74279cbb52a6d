"""`tallystick check`: check a proof, with nothing but the proof and a block's hash."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tallystick.cli import folder, terminal
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.options import Json
from tallystick.model.text import printable, printable_lines

if TYPE_CHECKING:
    from tallystick.client.proofs import Proven

PROOF_BYTES_MAX: Final = 16 * 1024 * 1024
"""A longer file is no proof: all that is long in one is the data of a record, every character of it escaped."""

DATA_CHARACTERS: Final = 2_000
"""Characters of each line of a record's data that a person is shown."""

_HASH: Final = re.compile(r"[0-9a-f]{64}")


def check(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A proof, as prove prints it; - is stdin.")],
    *,
    block: Annotated[
        str | None,
        typer.Option(
            "--block",
            metavar="HASH",
            help="The hash of the block that the proof has to lead to, from somebody you trust.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a proof that a record stands in the log. Needs no node, no network and no data folder.

    What is checked: the data fits the record's commitment, the record stands at its position in the log that the
    block's header names, and the header has the block's hash. Whether that block is part of the chain is not for the
    proof to say: compare its hash with one that you trust, or give that with --block. Code 0 when it holds, 1 when not.
    """
    try:
        proven = _check(file, block)
    except Failure as failure:
        if as_json and failure.code is ExitCode.NO:
            terminal.say_json({"proven": False, "reason": str(failure)})
        raise
    if as_json:
        terminal.say_json(_document(proven, is_given=block is not None))
    else:
        _show(proven, is_given=block is not None)


def _check(file: str, block: str | None) -> Proven:
    """What the proof in the file shows. Raises Failure."""
    from tallystick.client import proofs  # noqa: PLC0415 - keeps --help quick
    from tallystick.client.errors import NotProven, Unreadable  # noqa: PLC0415

    if block is not None and not _HASH.fullmatch(block.strip().lower()):
        raise Failure(ExitCode.USAGE, f"--block is {printable(block, 80)!r}; expected a hash of 64 hex digits.")
    with folder.source(file) as source:
        raw = source.read(PROOF_BYTES_MAX + 1)
    if len(raw) > PROOF_BYTES_MAX:
        raise Failure(ExitCode.NO, f"{printable(file)} is no proof: it is longer than {PROOF_BYTES_MAX} bytes.")
    try:
        proof = proofs.read_proof(raw)
        return proofs.check(proof, block or proofs.led_to(proof))
    except NotProven as error:
        raise Failure(ExitCode.NO, f"the proof does not hold: {error.reason}") from error
    except Unreadable as error:
        raise Failure(ExitCode.NO, f"{printable(file)} is no proof: {error.reason}") from error


def _document(proven: Proven, *, is_given: bool) -> dict[str, object]:
    block = proven.block
    return {
        "proven": True,
        "record": {"id": proven.id, "commit": proven.commit},
        "position": proven.position,
        "block": {"index": block.index, "hash": block.hash, "timestamp": block.timestamp},
        "block_given": is_given,
        "network": proven.network,
    }


def _show(proven: Proven, *, is_given: bool) -> None:
    block = proven.block
    terminal.say("The proof holds.")
    terminal.facts(
        [
            ("record", proven.id),
            ("commitment", proven.commit),
            ("position", f"{proven.position:,} of {proven.log_size:,} in the log"),
            ("block", f"{block.index}  {block.hash}" + ("  (as given)" if is_given else "")),
            ("sealed", f"{terminal.date(block.timestamp)} ({terminal.age(block.timestamp)})"),
            ("network", proven.network),
        ]
    )
    if not is_given:
        terminal.say("\nThat the block is part of the chain is not proven: compare its hash with one you trust.")
    terminal.say("")
    terminal.say(printable_lines(_text(proven), DATA_CHARACTERS))


def _text(proven: Proven) -> str:
    """What the record holds, for people: a string as it is, other values in JSON."""
    if proven.data is None:
        return "The record comes without its data: only its commitment is proven."
    return proven.value if isinstance(proven.value, str) else proven.data.decode()
