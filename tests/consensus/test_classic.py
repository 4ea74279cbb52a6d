"""The rules of the book's network, each broken by exactly one change to a good block."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.consensus.classic import ClassicEngine
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import INDEX_MAX, Block, Body, Header, UncheckedBlock, block_hash, header_of
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.model.sealed import HeaderFields, UncheckedSealed

ENGINE = ClassicEngine(CLASSIC)
NOW_MS = 1_700_000_000_123


def unchecked(block: Block, **changes: object) -> UncheckedBlock:
    return UncheckedBlock(**(msgspec.structs.asdict(block) | changes))


def rehashed(block: Block, **changes: object) -> UncheckedBlock:
    """A block with other content, and the hash that fits it."""
    new = unchecked(block, **changes)
    digest = block_hash(new.index, new.previous_hash, new.timestamp, new.data)  # type: ignore[arg-type] # also strings
    return msgspec.structs.replace(new, hash=digest)


A1 = ENGINE.seal(header_of(CLASSIC_GENESIS), "a1", NOW_MS)


def test_the_genesis_block_is_the_book_s() -> None:
    assert ENGINE.check_alone(unchecked(CLASSIC_GENESIS)) == CLASSIC_GENESIS
    assert CLASSIC.id == "816534932c2b7154836da6afc367695e6337db8a921823784c14378abed4f7d7"


def test_the_hash_is_the_book_s() -> None:
    assert block_hash(0, "0", 1465154705, "my genesis block!!") == CLASSIC_GENESIS.hash


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(10**12, 10**13 - 1))
def test_what_is_sealed_is_valid(data: str, wall_ms: int) -> None:
    block = ENGINE.seal(header_of(A1), data, wall_ms)
    assert ENGINE.check_alone(unchecked(block)) == block
    ENGINE.check_in_place(block, header_of(A1))
    assert block.timestamp == wall_ms // 1000


def test_a_timestamp_may_come_as_ten_digits_of_text() -> None:
    """Catalogue row 19: as pynaivechain writes it; kept as a number, with the same hash."""
    assert ENGINE.check_alone(unchecked(A1, timestamp=str(A1.timestamp))) == A1


BROKEN = {
    "row 20: negative index": (rehashed(A1, index=-1), Rule.INDEX_IN_RANGE),
    "row 20: huge index": (rehashed(A1, index=INDEX_MAX + 1), Rule.INDEX_IN_RANGE),
    "row 13: absurd index": (unchecked(A1, index=10**4000), Rule.INDEX_IN_RANGE),
    "nine digits": (rehashed(A1, timestamp=999_999_999), Rule.TIMESTAMP_HAS_TEN_DIGITS),
    "eleven digits": (rehashed(A1, timestamp=10**10), Rule.TIMESTAMP_HAS_TEN_DIGITS),
    "negative timestamp": (rehashed(A1, timestamp=-1_700_000_000), Rule.TIMESTAMP_HAS_TEN_DIGITS),
    "row 16: Arabic digits": (rehashed(A1, timestamp="\u0661" * 10), Rule.TIMESTAMP_HAS_TEN_DIGITS),
    "row 16: underscores": (rehashed(A1, timestamp="1700_00000"), Rule.TIMESTAMP_HAS_TEN_DIGITS),
    "row 16: blanks": (rehashed(A1, timestamp=" 170000000"), Rule.TIMESTAMP_HAS_TEN_DIGITS),
    "row 16: trailing newline": (rehashed(A1, timestamp="1700000000\n"), Rule.TIMESTAMP_HAS_TEN_DIGITS),
    "eleven digits of text": (rehashed(A1, timestamp="17000000001"), Rule.TIMESTAMP_HAS_TEN_DIGITS),
    "other data": (unchecked(A1, data="b"), Rule.HASH_MATCHES_CONTENT),
    "other time": (unchecked(A1, timestamp=A1.timestamp + 1), Rule.HASH_MATCHES_CONTENT),
    "row 21: upper case": (unchecked(A1, hash=A1.hash.upper()), Rule.HASH_MATCHES_CONTENT),
    "row 21: too long": (unchecked(A1, hash=A1.hash + "0"), Rule.HASH_MATCHES_CONTENT),
    "row 21: empty": (unchecked(A1, hash=""), Rule.HASH_MATCHES_CONTENT),
    "row 21: not hex": (unchecked(A1, hash="g" * 64), Rule.HASH_MATCHES_CONTENT),
    "row 21: parent in upper case": (rehashed(A1, previous_hash=A1.previous_hash.upper()), Rule.NAMES_ITS_PARENT),
    "row 21: parent too short": (rehashed(A1, previous_hash="0"), Rule.NAMES_ITS_PARENT),
    "another genesis": (rehashed(CLASSIC_GENESIS, data="mine"), Rule.GENESIS_IS_OURS),
    "genesis names a parent": (rehashed(CLASSIC_GENESIS, previous_hash="1"), Rule.GENESIS_IS_OURS),
}


@pytest.mark.parametrize(("block", "rule"), BROKEN.values(), ids=BROKEN.keys())
def test_each_rule_alone(block: UncheckedBlock, rule: Rule) -> None:
    """Catalogue rows 13, 16, 19, 20, 21 and 51, as far as they concern a block by itself.

    A defect of the book's node: a wrong hash made it raise a TypeError, from the line that should have logged it.
    """
    with pytest.raises(RuleViolation) as caught:
        ENGINE.check_alone(block)
    assert caught.value.rule is rule
    assert len(caught.value.detail) < 300


def test_digits_cannot_wander_between_fields() -> None:
    """Catalogue row 22: the preimage has no separators; the ten digits leave one reading only."""
    block = rehashed(A1, data="1 coin to bob", timestamp=1_700_000_000)
    shifted = msgspec.structs.replace(block, timestamp=17_000_000_001, data=" coin to bob")
    assert block_hash(1, block.previous_hash, 1_700_000_000, "1 coin to bob") == block_hash(
        1, block.previous_hash, 17_000_000_001, " coin to bob"
    )
    with pytest.raises(RuleViolation) as caught:
        ENGINE.check_alone(shifted)
    assert caught.value.rule is Rule.TIMESTAMP_HAS_TEN_DIGITS


def test_a_forged_genesis_with_the_right_hash_is_refused() -> None:
    """Catalogue row 22, a defect of the book's node: it compares the genesis block's hash only, and this one has it."""
    forged = unchecked(CLASSIC_GENESIS, timestamp=146515470, data="5my genesis block!!")
    assert block_hash(0, "0", 146515470, "5my genesis block!!") == CLASSIC_GENESIS.hash
    with pytest.raises(RuleViolation):
        ENGINE.check_alone(forged)


@pytest.mark.parametrize("index", [1, 3])
def test_a_block_counts_one_further(index: int) -> None:
    """Catalogue row 51."""
    block = ENGINE.check_alone(rehashed(A1, index=index, previous_hash=A1.hash))
    with pytest.raises(RuleViolation) as caught:
        ENGINE.check_in_place(block, header_of(A1))
    assert caught.value.rule is Rule.INDEX_FOLLOWS_PARENT


def test_a_block_names_its_parent() -> None:
    block = ENGINE.check_alone(rehashed(A1, index=2, previous_hash="0" * 64))
    with pytest.raises(RuleViolation) as caught:
        ENGINE.check_in_place(block, header_of(A1))
    assert caught.value.rule is Rule.NAMES_ITS_PARENT


@pytest.mark.parametrize("wall_ms", [0, 999_999_999_999, 10**13, -1])
def test_a_clock_that_cannot_date_a_block_is_named(wall_ms: int) -> None:
    """Catalogue row 107: no block that nobody would accept."""
    with pytest.raises(RuleViolation) as caught:
        ENGINE.seal(header_of(A1), "x", wall_ms)
    assert caught.value.rule is Rule.CLOCK_IS_SANE


# --- runs -------------------------------------------------------------------------------------------

datas = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
timestamps = st.one_of(
    st.integers(10**9, 10**10 - 1), st.sampled_from([10**9 - 1, 10**9, 10**10 - 1, 10**10, 0, -1_700_000_000, 10**30])
)


def one_by_one(parent: Block, bodies: list[Body]) -> list[Block]:
    """What `check_run` promises, the long way."""
    run: list[Block] = []
    for body in bodies:
        claimed = UncheckedBlock(body.data, body.hash.hex(), parent.index + 1, parent.hash, body.timestamp)
        block = ENGINE.check_alone(claimed)
        ENGINE.check_in_place(block, header_of(parent))
        run.append(block)
        parent = block
    return run


def outcome(check: Callable[[], list[Block]]) -> list[Block] | Rule:
    try:
        return check()
    except RuleViolation as broken:
        return broken.rule


@given(st.lists(st.tuples(timestamps, datas, st.integers(0, 9)), max_size=6), st.integers(0, INDEX_MAX))
def test_a_run_is_checked_as_its_blocks_are_one_by_one(rows: list[tuple[int, str, int]], index: int) -> None:
    """Catalogue rows 42 and 51: with the same blocks, or the same rule broken."""
    parent = msgspec.structs.replace(A1, index=index)
    bodies, previous = [], parent.hash
    for at, (timestamp, data, luck) in enumerate(rows, start=index + 1):
        digest = block_hash(at, previous, timestamp, data)
        previous = digest if luck else "ab" * 32
        bodies.append(Body(bytes.fromhex(previous), timestamp, data))
    run = outcome(lambda: ENGINE.check_run(parent.index, parent.hash, bodies))
    expected = outcome(lambda: one_by_one(parent, bodies))
    if index + len(bodies) <= INDEX_MAX:
        assert run == expected
    else:
        assert run is Rule.INDEX_IN_RANGE
        assert isinstance(expected, Rule)


def test_a_run_goes_up_to_the_greatest_index() -> None:
    parent = msgspec.structs.replace(A1, index=INDEX_MAX - 1)
    last = ENGINE.seal(header_of(parent), "last", NOW_MS)
    body = Body(bytes.fromhex(last.hash), last.timestamp, last.data)
    assert ENGINE.check_run(parent.index, parent.hash, [body]) == [last]


def test_an_empty_run_is_a_run() -> None:
    assert ENGINE.check_run(7, "ab" * 32, []) == []


# --- what blocks of other kinds have, and these have not ---------------------------------------------

SEALED = UncheckedSealed(b"", HeaderFields(1, bytes(32), 0, 0, bytes(32), bytes(32), b""), (), "ab" * 32)


@pytest.mark.parametrize(
    ("ask", "rule"),
    [
        (lambda: ENGINE.read(b"TSB1"), Rule.HASH_MATCHES_CONTENT),
        (lambda: ENGINE.check_alone(SEALED), Rule.HASH_MATCHES_CONTENT),
        (lambda: ENGINE.check_run(0, CLASSIC_GENESIS.hash, [b"TSB1"]), Rule.HASH_MATCHES_CONTENT),
        (lambda: ENGINE.survey([b"TSB1"], header_of(A1), nothing_before, NOW_MS), Rule.HASH_MATCHES_CONTENT),
        (lambda: ENGINE.draft(header_of(A1), (), nothing_before, NOW_MS), Rule.NETWORK_TAKES_RECORDS),
    ],
)
def test_what_belongs_to_another_kind_is_refused(ask: Callable[[], object], rule: Rule) -> None:
    with pytest.raises(RuleViolation) as caught:
        ask()
    assert caught.value.rule is rule


def nothing_before(header: Header, _: int) -> list[Header]:
    return [header]


def test_a_classic_block_comes_and_goes_whole() -> None:
    """It holds no records, is worth one, wherever it stands, and needs no look at what is before it."""
    assert ENGINE.check_alone(ENGINE.read(ENGINE.whole(A1))) == A1
    assert ENGINE.check_run(0, CLASSIC_GENESIS.hash, [ENGINE.body(A1)]) == [A1]
    assert ENGINE.place([A1], header_of(CLASSIC_GENESIS), nothing_before, 0) == ([A1], None)
    assert ENGINE.as_sent(A1) is A1
    assert ENGINE.records(A1) == ()
    assert ENGINE.room() == (0, 0)
    assert (ENGINE.weight(header_of(A1)), ENGINE.least_weight(header_of(A1))) == (1, 0)
    assert (ENGINE.takes_records, ENGINE.surveys) == (False, False)
