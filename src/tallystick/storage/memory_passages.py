"""What can be searched of the store in memory (see `memory`), piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallystick.chain.contracts import Passage
from tallystick.model.block import Block

if TYPE_CHECKING:
    from tallystick.storage.memory import State


def passages_of(state: State, before: int, count: int, characters: int) -> list[Passage]:
    """As `Reader.passages` has it."""
    size = len(state.records.log) if state.holds_records else len(state.chain)
    found: list[Passage] = []
    for place in reversed(range(size)[: max(before, 0)]):
        if len(found) >= count or characters <= 0:
            break
        found.append(_passage(state, place))
        characters -= len(found[-1].text or "")
    return found


def _passage(state: State, place: int) -> Passage:
    if not state.holds_records:
        block = state.chain[place]
        assert isinstance(block, Block)  # noqa: S101 - of this network
        return Passage(block.index, block.hash, block.timestamp, None, None, block.data)
    record, _, header, position, _ = state.shown(state.records.log[place])
    assert header is not None  # noqa: S101 - what is in the log is in a block
    text = None if record.data is None else record.data.decode()
    return Passage(header.index, header.hash, header.timestamp, record.id, position, text)
