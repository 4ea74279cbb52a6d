"""`tallystick check`: check a proof, with nothing but the proof and a block's hash."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from tallystick.app.text import printable, printable_lines
from tallystick.cli import folder, terminal
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.options import Json

if TYPE_CHECKING:
    from tallystick.model.proof import Proof
    from tallystick.model.sealed import HeaderFields

PROOF_BYTES_MAX: Final = 16 * 1024 * 1024
"""A longer file is no proof: all that is long in one is the data of a record, every character of it escaped."""

DATA_CHARACTERS: Final = 2_000
"""Characters of each line of a record's data that a person is shown."""

_HASH: Final = re.compile(r"[0-9a-f]{64}")


class Checked(NamedTuple):
    """What a sound proof shows."""

    proof: Proof
    header: HeaderFields
    id: str
    commitment: str
    text: str
    """What the record holds, for people."""


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
        checked = _check(file, block)
    except Failure as failure:
        if as_json and failure.code is ExitCode.NO:
            terminal.say_json({"proven": False, "reason": str(failure)})
        raise
    if as_json:
        terminal.say_json(_document(checked, is_given=block is not None))
    else:
        _show(checked, is_given=block is not None)


def _check(file: str, block: str | None) -> Checked:
    """What the proof in the file shows. Raises Failure."""
    import msgspec  # noqa: PLC0415 - keeps --help quick

    from tallystick.errors import TallystickError  # noqa: PLC0415
    from tallystick.model import proof as proofs  # noqa: PLC0415
    from tallystick.model.sealed import FIXED_BYTES, read_header  # noqa: PLC0415

    trusted = None if block is None else block.strip().lower()
    if trusted is not None and not _HASH.fullmatch(trusted):
        raise Failure(ExitCode.USAGE, f"--block is {printable(block or '', 80)!r}; expected a hash of 64 hex digits.")
    with folder.source(file) as source:
        raw = source.read(PROOF_BYTES_MAX + 1)
    if len(raw) > PROOF_BYTES_MAX:
        raise Failure(ExitCode.NO, f"{printable(file)} is no proof: it is longer than {PROOF_BYTES_MAX} bytes.")
    try:
        proof = msgspec.json.decode(raw, type=proofs.Proof)
        record = proofs.check(proof, trusted or proof.block)
        header = bytes.fromhex(proof.header)
        fields = read_header(header, len(header) - FIXED_BYTES)
        entry = msgspec.json.decode(proof.entry, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Failure(ExitCode.NO, f"{printable(file)} is no proof: {printable(str(error))}") from error
    except TallystickError as error:
        raise Failure(ExitCode.NO, f"the proof does not hold: {printable(str(error), 500)}") from error
    left_out = "The record comes without its data: only its commitment is proven."
    text = (
        left_out if record.data is None else _text(record.data)
    )  # the file's could read otherwise: see `proofs.check`
    return Checked(proof, fields, entry["id"], entry["commit"], text)


def _document(checked: Checked, *, is_given: bool) -> dict[str, object]:
    header = checked.header
    return {
        "proven": True,
        "record": {"id": checked.id, "commit": checked.commitment},
        "position": checked.proof.position,
        "block": {"index": header.index, "hash": checked.proof.block, "timestamp": header.timestamp},
        "block_given": is_given,
        "network": checked.proof.network,
    }


def _show(checked: Checked, *, is_given: bool) -> None:
    proof, header = checked.proof, checked.header
    terminal.say("The proof holds.")
    terminal.facts(
        [
            ("record", checked.id),
            ("commitment", checked.commitment),
            ("position", f"{proof.position:,} of {header.log_size:,} in the log"),
            ("block", f"{header.index}  {proof.block}" + ("  (as given)" if is_given else "")),
            ("sealed", f"{terminal.date(header.timestamp)} ({terminal.age(header.timestamp)})"),
            ("network", proof.network),
        ]
    )
    if not is_given:
        terminal.say("\nThat the block is part of the chain is not proven: compare its hash with one you trust.")
    terminal.say("")
    terminal.say(printable_lines(checked.text, DATA_CHARACTERS))


def _text(data: bytes) -> str:
    """What the record holds, for people: a string as it is, other values in JSON."""
    import msgspec  # noqa: PLC0415 - keeps --help quick

    return msgspec.json.decode(data, type=str) if data.startswith(b'"') else data.decode()
