"""A chain as a file: JSON Lines, one block a line, genesis first.

    {"data":"my genesis block!!","hash":"8165...","index":0,"previous_hash":"0","timestamp":1465154705}

Export writes the keys of a classic block in that order, those of a sealed one as the API shows it (`model.shown`), and
UTF-8 as it is. Import takes keys in any order, a byte order mark, Windows line endings and blank lines; it trusts
nothing: every block goes through the same checks and the same fork choice as one from a peer (`tallystick.chain`).
Either the whole file is taken or nothing of it.

Neither direction holds more than a page of blocks in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Final

import msgspec

from tallystick.chain.chain import Chain, Change
from tallystick.chain.contracts import Engine, Reader, Store, Unchecked
from tallystick.errors import RuleViolation, StoreCorruptError, TallystickError
from tallystick.model.block import Header, UncheckedBlock, header_of
from tallystick.model.limits import Limits
from tallystick.model.sealed import AnyBlock, SealedBlock, UncheckedSealed
from tallystick.wire.classic import decode_blocks

Tell = Callable[[int], None]
"""Told how many blocks are done."""

Accept = Callable[[Sequence[Unchecked]], Change]
"""Checks blocks and keeps them. Raises RuleViolation."""

UTF8_BOM: Final = b"\xef\xbb\xbf"
JSON_SPACE: Final = b" \t\r\n"

_NO_BLOCK: Final = (msgspec.MsgspecError, ValueError, RecursionError, RuleViolation)
"""What is raised by text that is no block."""

Line = tuple[int, bytes]
"""Number of the line, counted from 1, and its text without white space around it."""


class BadLineError(TallystickError):
    """A line of an imported file is no block, or a block that breaks a rule; the message names the line."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    blocks: int
    """Blocks in the file."""

    tip: Header
    """The tip afterwards."""

    added: int
    """Blocks that came onto the best chain."""

    removed: int
    """Blocks that left it, because the file holds a longer branch."""


def write_lines(reader: Reader, out: BinaryIO, limits: Limits, tell: Tell = lambda _done: None) -> int:
    """Write the best chain as it stands now; returns the number of blocks.

    A node may add blocks meanwhile: they are left out. Raises StoreCorruptError when it follows another
    branch before the end, for then what was written is a mixture.
    """
    encode = msgspec.json.Encoder().encode_lines
    end, parent = reader.tip(), None
    first = 0
    while first <= end.index:
        page = reader.page(first, min(limits.view_page, end.index + 1 - first))
        if not page or (parent is not None and page[0].previous_hash != parent):
            raise StoreCorruptError(f"block {first} does not follow the one before; if a node runs here, try again")
        out.write(encode([_shown(block) if isinstance(block, SealedBlock) else block for block in page]))
        first, parent = first + len(page), page[-1].hash
        tell(first)
    return first


def _shown(block: SealedBlock) -> msgspec.Raw:
    from tallystick.model.shown import block_json  # noqa: PLC0415 - classic chains do without

    return block_json(block)


def take_lines(
    source: BinaryIO,
    store: Store,
    tip: AnyBlock,
    engine: Engine,
    *,
    wall_ms: int,
    limits: Limits,
    tell: Tell = lambda _done: None,
) -> Imported:
    """Take the chain in `source` into `store`, whose last block is `tip`, in one transaction. It is `wall_ms` o'clock.

    The chain in the file begins with the genesis block. Where it extends ours, its blocks are added; where it
    leaves ours, it replaces the rest if it is longer (in a network where blocks take work: if there is more work in
    it), and otherwise nothing changes. How much it replaces is not limited: whoever imports a file means it.

    Raises BadLineError or StoreError, and nothing is changed then.
    """
    chain = Chain(engine, tip, limits)
    before, fork, blocks = chain.tip, chain.tip.index, 0

    def accept(some: Sequence[Unchecked]) -> Change:
        change = chain.accept(some, store, wall_ms)
        for write in change.writes:
            store.apply(write)
        return change

    store.begin()
    try:
        for page in _pages(source, limits):
            parsed = _parse(page, engine)
            _check_sequence(page, parsed, blocks)
            try:
                change = accept(parsed)
            except RuleViolation as violation:
                raise _blame(page, parsed, engine, accept, violation) from violation
            if change.reorg is not None:
                fork = min(fork, change.reorg.fork.index)
            blocks += len(parsed)
            tell(blocks)
        if chain.tip == before:
            store.rollback()  # at most a side branch that is not better: not worth keeping
        else:
            store.commit()
    except BaseException:
        store.rollback()
        raise
    return Imported(blocks, chain.tip, added=chain.tip.index - fork, removed=before.index - fork)


def _pages(source: BinaryIO, limits: Limits) -> Iterator[list[Line]]:
    """The lines that are not blank, in pages of bounded length and size."""
    lines = _lines(source, limits)
    while page := list(islice(_until_full(lines, limits.page_bytes), limits.view_page)):
        yield page


def _until_full(lines: Iterator[Line], size_bytes: int) -> Iterator[Line]:
    for line in lines:
        yield line
        size_bytes -= len(line[1])
        if size_bytes <= 0:
            return


def _lines(source: BinaryIO, limits: Limits) -> Iterator[Line]:
    number = 0
    while raw := source.readline(limits.import_line_bytes + 1):
        number += 1
        if len(raw) > limits.import_line_bytes:
            raise BadLineError(f"line {number}: longer than {limits.import_line_bytes:,} bytes, no block is")
        if number == 1:
            raw = raw.removeprefix(UTF8_BOM)
        if line := raw.strip(JSON_SPACE):
            yield number, line


def _parse(page: list[Line], engine: Engine) -> Sequence[Unchecked]:
    """Read a page. Raises BadLineError."""
    rules = engine.network.rules
    if engine.takes_records and rules is not None:
        return [_read_sealed(number, line, rules.max_data_bytes) for number, line in page]
    return _parse_classic(page)


def _read_sealed(number: int, line: bytes, max_data_bytes: int) -> UncheckedSealed:
    from tallystick.model.shown import read_block_json  # noqa: PLC0415 - classic chains do without

    try:
        return read_block_json(line, max_data_bytes)
    except _NO_BLOCK as error:
        raise _no_block(number, error) from error


def _parse_classic(page: list[Line]) -> list[UncheckedBlock]:
    """Read a page at once; where that fails, line by line, to say which it was."""
    try:
        parsed = _decode(b"[" + b",".join(line for _, line in page) + b"]")
        if len(parsed) == len(page):
            return parsed
    except _NO_BLOCK:
        pass
    for number, line in page:
        try:
            one = _decode(b"[" + line + b"]")
        except _NO_BLOCK as error:
            raise _no_block(number, error) from error
        if len(one) != 1:
            raise BadLineError(f"line {number}: {len(one)} blocks in one line; write one block a line")
    raise BadLineError(f"line {page[0][0]}: one of this and the next {len(page) - 1} lines is not a block in JSON")


def _no_block(number: int, error: Exception) -> BadLineError:
    reason = str(error).replace(" - at `$[0]`", "").replace("$[0].", "")
    return BadLineError(f"line {number}: not a block in JSON: {reason[:200]}")


def _decode(text: bytes) -> list[UncheckedBlock]:
    return decode_blocks(text.decode())


def _check_sequence(page: list[Line], parsed: Sequence[Unchecked], expected: int) -> None:
    """The file is one chain: its blocks count up from 0, so block N stands in the N+1st line that is not blank."""
    for index, ((number, _), block) in enumerate(zip(page, parsed, strict=True), expected):
        if block.index != index:
            raise BadLineError(f"line {number}: block {block.index} where block {index} should be; genesis comes first")


def _blame(
    page: list[Line], parsed: Sequence[Unchecked], engine: Engine, accept: Accept, violation: RuleViolation
) -> BadLineError:
    """Say which line broke the rule: take the page's blocks one after the other until one is refused."""
    parent = None
    for (number, _), unchecked in zip(page, parsed, strict=True):
        try:
            block = engine.check_alone(unchecked)
            if parent is not None:
                engine.check_in_place(block, parent)
            accept([unchecked])
        except RuleViolation as found:
            return BadLineError(f"line {number}: {found.detail} (rule {found.rule})")
        parent = header_of(block)
    return BadLineError(f"line {page[0][0]}: {violation.detail} (rule {violation.rule})")
