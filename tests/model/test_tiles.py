"""Tiles: whatever the way a log grew, they hold the tree of its definition, and little of them is read for a proof."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import StoreCorruptError
from tallystick.model import tiles
from tallystick.model.log import (
    EMPTY_EDGE,
    HASH_BYTES,
    Node,
    check_consistency,
    check_inclusion,
    extend,
    grow,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root_of,
)
from tallystick.model.tiles import TILE_BYTES, TILE_HASHES, Tile

from .merkle import entry, mth, path, proof

ENTRIES: Final = [entry(number) for number in range(1_000)]
LEAVES: Final = [leaf_hash(each) for each in ENTRIES]
LARGE: Final = 66_100
"""Entries of a log with tiles on three levels: 256 * 256 are one hash of the third."""


class Shelf:
    """Tiles as a store keeps them, and how they are read."""

    def __init__(self) -> None:
        self.tiles: dict[Tile, bytes] = {}
        self.size = 0
        self.reads: list[list[Tile]] = []

    def append(self, leaves: Sequence[bytes], tops: Sequence[bytes] | None = None) -> dict[Tile, bytes]:
        changed = tiles.append(self.size, leaves, self.read, tops)
        self.tiles |= changed
        self.size += len(leaves)
        return changed

    def read(self, wanted: list[Tile]) -> list[bytes]:
        self.reads.append(list(wanted))
        return [self.tiles[tile] for tile in wanted]

    def hashes(self, size: int, nodes: Sequence[Node]) -> list[bytes]:
        return list(tiles.reader(size, self.read)(nodes))


def filled(size: int) -> Shelf:
    shelf = Shelf()
    shelf.append(LEAVES[:size])
    shelf.reads.clear()
    return shelf


def defined(leaves: Sequence[bytes]) -> dict[Tile, bytes]:
    """All tiles of a log, by their definition: every eighth level of the tree, cut into pieces of 256."""
    found = {}
    row, level = list(leaves), 0
    while row:
        if level % 8 == 0:
            for start in range(0, len(row), 256):
                found[Tile(level // 8, start // 256)] = b"".join(row[start : start + 256])
        row = [node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=False)]
        level += 1
    return found


@given(st.lists(st.integers(0, 400), max_size=5))
def test_a_log_that_grows_in_any_steps_has_the_tiles_of_its_definition(steps: list[int]) -> None:
    shelf = Shelf()
    for step in steps:
        before = dict(shelf.tiles)
        changed = shelf.append(LEAVES[shelf.size : shelf.size + step])
        assert shelf.tiles == defined(LEAVES[: shelf.size])
        assert all(before.get(tile) != content for tile, content in changed.items()), "nothing is written in vain"


@given(st.lists(st.integers(0, 400), max_size=5))
def test_whoever_extends_the_edge_has_hashed_what_the_tiles_need(steps: list[int]) -> None:
    shelf, edge = Shelf(), EMPTY_EDGE
    for step in steps:
        leaves, size = LEAVES[shelf.size : shelf.size + step], shelf.size
        growth = grow(edge, size, leaves)
        tops = tiles.tops_of(growth)
        shelf.append(leaves, tops)
        assert shelf.tiles == defined(LEAVES[: shelf.size])
        assert growth.edge == extend(EMPTY_EDGE, 0, LEAVES[: shelf.size])
        assert tiles.lead(tops, size, edge, shelf.size, growth.edge)
        edge = growth.edge


@given(st.integers(0, 600), st.integers(0, 400), st.data())
def test_no_tops_but_the_true_ones_lead_to_an_edge(size: int, count: int, data: st.DataObject) -> None:
    edge = extend(EMPTY_EDGE, 0, LEAVES[:size])
    growth = grow(edge, size, LEAVES[size : size + count])
    tops, grown = list(tiles.tops_of(growth)), size + count
    assert tiles.lead(tops, size, edge, grown, growth.edge)
    assert not tiles.lead([*tops, LEAVES[0]], size, edge, grown, growth.edge)
    assert not tiles.lead(tops, size, edge[:-1] if edge else (LEAVES[0],), grown, growth.edge)
    assert not tiles.lead(tops, size, edge, grown, (*growth.edge, LEAVES[0]))
    if tops:
        at = data.draw(st.integers(0, len(tops) - 1))
        changed = [tops[at][:-1] + bytes([tops[at][-1] ^ 1]), LEAVES[0], tops[at][:-1], b""]
        for other in [*([*tops[:at], each, *tops[at + 1 :]] for each in changed), tops[:-1]]:
            assert not tiles.lead(other, size, edge, grown, growth.edge)
    if len(tops) > 1:
        assert not tiles.lead(tops[::-1], size, edge, grown, growth.edge)
        joined = tops[0] + tops[1]
        assert not tiles.lead([joined[:31], joined[31:], *tops[2:]], size, edge, grown, growth.edge)


@given(st.integers(0, 900), st.integers(0, 100))
def test_only_tiles_that_are_there_and_not_full_are_read_and_all_at_once(size: int, count: int) -> None:
    shelf = filled(size)
    changed = shelf.append(LEAVES[size : size + count])
    read = [tile for reading in shelf.reads for tile in reading]
    assert len(shelf.reads) <= 1
    assert read == [tile for tile in changed if tile in filled(size).tiles]


def test_tiles_on_three_levels_are_those_of_their_definition() -> None:
    leaves = [leaf_hash(entry(number)) for number in range(LARGE)]
    shelf, spared, edge = Shelf(), Shelf(), EMPTY_EDGE
    for start, end in pairwise([0, 1, 250, 256, 257, 65_000, 65_535, 65_536, 65_537, 65_700, LARGE]):
        shelf.append(leaves[start:end])
        growth = grow(edge, start, leaves[start:end])
        assert tiles.lead(tiles.tops_of(growth), start, edge, end, growth.edge)
        spared.append(leaves[start:end], tiles.tops_of(growth))
        assert shelf.tiles == spared.tiles == defined(leaves[:end])
        edge = growth.edge
    assert {tile.level: tile.index for tile in sorted(shelf.tiles)} == {0: 258, 1: 1, 2: 0}
    root = root_of(extend(EMPTY_EDGE, 0, leaves))
    for position in (0, 255, 256, 40_000, 65_535, 65_536, LARGE - 1):
        shelf.reads.clear()
        proven = prove_inclusion(position, LARGE, tiles.reader(LARGE, shelf.read))
        check_inclusion(leaves[position], position, LARGE, root, proven)
        assert len(shelf.reads) == 1
        assert len(shelf.reads[0]) <= 5, "on each level the tile of the way up, and that of the edge"
    for old in (1, 255, 65_535, 65_536, LARGE - 1):
        shelf.reads.clear()
        between = prove_consistency(old, LARGE, tiles.reader(LARGE, shelf.read))
        check_consistency(old, root_of(extend(EMPTY_EDGE, 0, leaves[:old])), LARGE, root, between)
        assert len(shelf.reads) == 1
        assert len(shelf.reads[0]) <= 5


@given(st.integers(1, 900), st.integers(0, 100), st.data())
def test_hashes_read_from_tiles_are_those_of_the_definition(size: int, more: int, data: st.DataObject) -> None:
    """Tiles of a log that went on since will do."""
    shelf = filled(size + more)
    levels = st.integers(0, size.bit_length() - 1)
    nodes = data.draw(
        st.lists(
            levels.flatmap(lambda level: st.builds(Node, st.just(level), st.integers(0, (size >> level) - 1))),
            max_size=8,
        )
    )
    expected = [mth(ENTRIES[node.index << node.level : (node.index + 1) << node.level]) for node in nodes]
    assert shelf.hashes(size, nodes) == expected
    read = shelf.reads[0]
    assert len(shelf.reads) == 1
    assert len(read) == len(set(read))


@given(st.integers(2, 900), st.integers(0, 100), st.data())
def test_proofs_read_from_tiles_are_those_of_the_rfc(size: int, more: int, data: st.DataObject) -> None:
    shelf = filled(size + more)
    reader = tiles.reader(size, shelf.read)
    position, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size - 1))
    assert prove_inclusion(position, size, reader) == path(position, ENTRIES[:size])
    assert prove_consistency(old, size, reader) == proof(old, ENTRIES[:size])


@pytest.mark.parametrize(
    "node",
    [Node(0, 300), Node(1, 150), Node(8, 1), Node(9, 0), Node(0, -1), Node(-1, 0), Node(10**9, 0), Node(0, 2**80)],
)
def test_no_hash_is_given_of_what_is_not_within_the_log(node: Node) -> None:
    """Though the tiles may hold it: it belongs to what came later, and may not be there after a reorg."""
    shelf = filled(1_000)
    with pytest.raises(ValueError, match="not within the first 300 entries"):
        shelf.hashes(300, [Node(0, 0), node])
    assert shelf.reads == []


@pytest.mark.parametrize("missing_bytes", [1, HASH_BYTES, 44 * HASH_BYTES])
def test_a_tile_that_is_too_short_is_noticed(missing_bytes: int) -> None:
    shelf = filled(300)
    shelf.tiles[Tile(0, 1)] = shelf.tiles[Tile(0, 1)][:-missing_bytes]
    assert shelf.hashes(300, [Node(8, 0)]) == [mth(ENTRIES[:256])]
    with pytest.raises(StoreCorruptError, match="Restore it"):
        shelf.hashes(300, [Node(0, 299)])
    with pytest.raises(StoreCorruptError, match="Restore it"):
        shelf.append(LEAVES[300:301])


def test_a_tile_is_of_256_hashes() -> None:
    assert (TILE_HASHES, TILE_BYTES) == (256, 256 * 32)
    shelf = filled(1_000)
    assert [len(shelf.tiles[tile]) for tile in sorted(shelf.tiles)] == [8_192, 8_192, 8_192, 232 * 32, 3 * 32]
    assert shelf.append([]) == {}
