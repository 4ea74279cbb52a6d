"""A block's hash: the book's, and with one reading only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.model.block import TIMESTAMP_MAX, TIMESTAMP_MIN, Block, Header, block_hash, header_of
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS, Kind

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
timestamps = st.integers(TIMESTAMP_MIN, TIMESTAMP_MAX)
indexes = st.integers(1, 2**53 - 1)


def test_the_genesis_block_is_the_books() -> None:
    genesis = CLASSIC_GENESIS
    assert genesis == Block(
        data="my genesis block!!",
        hash="816534932c2b7154836da6afc367695e6337db8a921823784c14378abed4f7d7",
        index=0,
        previous_hash="0",
        timestamp=1465154705,
    )
    assert block_hash(genesis.index, genesis.previous_hash, genesis.timestamp, genesis.data) == genesis.hash
    assert (CLASSIC.kind, CLASSIC.id) == (Kind.CLASSIC, genesis.hash)


def test_the_hash_is_of_text_in_utf8() -> None:
    """Golden: `printf '1' + 64 zeros + '1700000000é' | sha256sum`."""
    assert (
        block_hash(1, "0" * 64, 1_700_000_000, "é")
        == "5590fbbb85d368befbce8601451e538dabd104cccc20db427dfe6198ac593214"
    )


def test_text_without_a_utf8_form_has_no_hash() -> None:
    with pytest.raises(UnicodeEncodeError):
        block_hash(1, "0" * 64, 1_700_000_000, "\ud800")


@given(indexes, hashes, st.tuples(timestamps, texts), st.tuples(timestamps, texts))
def test_no_digit_can_wander_between_timestamp_and_data(
    index: int, parent: str, one: tuple[int, str], other: tuple[int, str]
) -> None:
    """On one parent, two blocks of ten-digit timestamps have one preimage only if they are one block."""
    assert (block_hash(index, parent, *one) == block_hash(index, parent, *other)) == (one == other)


def test_without_ten_digits_one_could() -> None:
    assert block_hash(1, "0" * 64, 1_700_000_000, "1x") == block_hash(1, "0" * 64, 17_000_000_001, "x")


@given(st.builds(Block, data=texts, hash=hashes, index=indexes, previous_hash=hashes, timestamp=timestamps))
def test_a_header_is_the_block_without_its_data(block: Block) -> None:
    assert header_of(block) == Header(block.index, block.hash, block.previous_hash, block.timestamp)
