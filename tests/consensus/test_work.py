"""Work networks: every rule broken by exactly one change to a good block, and the laws of all stages."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.consensus import difficulty, links, sealed, work
from tallystick.consensus.difficulty import compact, expand
from tallystick.consensus.work import NEAR_TIP_BLOCKS, SEAL_BYTES, WorkEngine
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import INDEX_MAX, Body, Header, UncheckedBlock, WholeBlock, header_of
from tallystick.model.limits import LIMITS, MIB
from tallystick.model.network import EASIEST_BITS
from tallystick.model.record import Record, raw_of, with_data, without_data
from tallystick.model.sealed import FIXED_BYTES, TIME_MAX_MS, SealedBlock, SealedHeader, header_bytes_of
from tests.chain.sealed_drawing import SPACING_MS, found, network, past_among
from tests.consensus.forging import (
    BLOCK,
    CHAIN,
    ENGINE,
    GENESIS,
    LATER_MS,
    PARENT,
    PAST,
    RULES,
    forged,
    grown,
    rules_with,
    through_all_stages,
    whole,
)
from tests.storage.sealed_blocks import record

Table = dict[str, tuple[Callable[[], object], Rule]]

CLASSIC_WHOLE = WholeBlock(1, bytes(32), bytes(32), 1_700_000_000, "x")
CLASSIC_UNCHECKED = UncheckedBlock("x", "ab" * 32, 1, "ab" * 32, 1_700_000_000)
CLASSIC_BODY = Body(bytes(32), 1_700_000_000, "x")
HEADER_BYTES: Final = FIXED_BYTES + SEAL_BYTES
SENT = whole(forged())


def alone(**changes: object) -> SealedBlock:
    return ENGINE.check_alone(forged(**changes))  # type: ignore[arg-type] # names of fields


def with_raw(**changes: object) -> SealedBlock:
    """The good block with its first record changed; the header fits the true one."""
    first, *others = map(raw_of, BLOCK.records)
    return ENGINE.check_alone(forged(raws=[msgspec.structs.replace(first, **changes), *others]))


def in_place(wall_ms: int = LATER_MS, **changes: object) -> Sequence[SealedBlock]:
    return ENGINE.place([alone(**changes)], header_of(PARENT), PAST, wall_ms).blocks


def surveyed(*headers: bytes, wall_ms: int = LATER_MS) -> list[Header]:
    return ENGINE.survey(headers or [SENT[:HEADER_BYTES]], header_of(PARENT), PAST, wall_ms)


def survey(wall_ms: int = LATER_MS, **changes: object) -> list[Header]:
    return surveyed(forged(**changes).header, wall_ms=wall_ms)  # type: ignore[arg-type] # names of fields


def run(*blocks: bytes) -> list[SealedBlock]:
    return ENGINE.check_run(PARENT.index, PARENT.hash, blocks)


def seal(bits: int) -> bytes:
    return bits.to_bytes(4, "big") + bytes(8)


def wrong_nonce(**changes: object) -> bytes:
    """A seal that does not hold."""
    good = forged(**changes).fields.seal  # type: ignore[arg-type] # names of fields
    for nonce in range(100):
        tried = good[:4] + nonce.to_bytes(8, "big")
        try:
            alone(**changes, seal=tried)
        except RuleViolation:
            return tried
    raise AssertionError


NEXT_MS = PARENT.timestamp + SPACING_MS
EARLY = sorted(block.timestamp for block in CHAIN[-12:-1])[5]
"""The median of the eleven before `BLOCK`."""

ITS_BITS = int.from_bytes(BLOCK.seal[:4], "big")
HARDER = compact(expand(ITS_BITS) // 2)
BARE = [without_data(each) for each in BLOCK.records]
LONG = with_data("long", msgspec.json.encode("x" * 299), bytes(16))
UGLY = with_data("ugly", b'{"b":1, "a":2}', bytes(16))
MANY = [record(f"m{n}") for n in range(7)]
BULKY = [record(f"{n}" + "b" * 120) for n in range(6)]
GENESIS_SENT = forged(
    GENESIS,
    (),
    index=0,
    previous_hash=bytes.fromhex(GENESIS.previous_hash),
    timestamp=GENESIS.timestamp,
    seal=GENESIS.seal,
)
OTHER_GENESIS = forged(GENESIS, (), index=0, previous_hash=bytes(32))

READ: Table = {
    "of another kind": (lambda: ENGINE.read(CLASSIC_WHOLE), Rule.HEADER_IS_WELL_FORMED),
    "nothing": (lambda: ENGINE.read(b""), Rule.HEADER_IS_WELL_FORMED),
    "less than a header": (lambda: ENGINE.read(SENT[: HEADER_BYTES - 1]), Rule.HEADER_IS_WELL_FORMED),
    "another format": (lambda: ENGINE.read(b"TSB2" + SENT[4:]), Rule.HEADER_IS_WELL_FORMED),
    "absurd index": (lambda: ENGINE.read(whole(forged(index=INDEX_MAX + 1))), Rule.INDEX_IN_RANGE),
    "absurd time": (lambda: ENGINE.read(whole(forged(timestamp=TIME_MAX_MS + 1))), Rule.HEADER_IS_WELL_FORMED),
    "absurd log": (lambda: ENGINE.read(whole(forged(log_size=2**64 - 1))), Rule.HEADER_IS_WELL_FORMED),
    "no body": (lambda: ENGINE.read(SENT[:HEADER_BYTES]), Rule.MESSAGE_IS_DECODABLE),
    "half a body": (lambda: ENGINE.read(SENT[:-1]), Rule.MESSAGE_IS_DECODABLE),
    "more than a body": (lambda: ENGINE.read(SENT + b"\xc0"), Rule.MESSAGE_IS_DECODABLE),
    "a body of text": (lambda: ENGINE.read(SENT[:HEADER_BYTES] + b"\xa1x"), Rule.MESSAGE_IS_DECODABLE),
    "a long way to write a short array": (
        lambda: ENGINE.read(SENT[:HEADER_BYTES] + b"\xdc\x00\x00"),
        Rule.MESSAGE_IS_DECODABLE,
    ),
    "a record of four parts": (
        lambda: ENGINE.read(SENT[:HEADER_BYTES] + b"\x91\x94\xc4\x00\xc0\xc0\xc0"),
        Rule.MESSAGE_IS_DECODABLE,
    ),
    "more records than fit": (
        lambda: ENGINE.read(whole(forged(records=MANY))),
        Rule.BLOCK_WITHIN_SIZE,
    ),
    "four billion records": (
        lambda: ENGINE.read(SENT[:HEADER_BYTES] + b"\xdd\xff\xff\xff\xff"),
        Rule.BLOCK_WITHIN_SIZE,
    ),
}
ALONE: Table = {
    "of another kind": (lambda: ENGINE.check_alone(CLASSIC_UNCHECKED), Rule.HEADER_IS_WELL_FORMED),
    "another genesis": (lambda: ENGINE.check_alone(OTHER_GENESIS), Rule.GENESIS_IS_OURS),
    "genesis with records": (
        lambda: ENGINE.check_alone(msgspec.structs.replace(GENESIS_SENT, records=(raw_of(MANY[0]),))),
        Rule.GENESIS_IS_OURS,
    ),
    "row 43: a nonce that seals nothing": (lambda: alone(seal=wrong_nonce()), Rule.SEAL_HOLDS),
    "row 43: zero as a target": (lambda: alone(seal=seal(0x01000000)), Rule.SEAL_HOLDS),
    "row 43: a negative target": (lambda: alone(seal=seal(0x04FEDCBA)), Rule.SEAL_HOLDS),
    "row 43: a target of 264 bits": (lambda: alone(seal=seal(0x23000001)), Rule.SEAL_HOLDS),
    "row 43: bits written the long way": (lambda: alone(seal=seal(0x2100007F)), Rule.SEAL_HOLDS),
    "row 43: easier than the network is": (lambda: alone(bits=0x2100FFFF), Rule.SEAL_HOLDS),
    "too many records": (lambda: alone(records=MANY), Rule.BLOCK_WITHIN_SIZE),
    "too long entries": (lambda: alone(records=BULKY), Rule.BLOCK_WITHIN_SIZE),
    "an entry that is none": (lambda: with_raw(entry=b"{}"), Rule.ENTRY_IS_WELL_FORMED),
    "an entry of a megabyte": (lambda: with_raw(entry=b"{" * MIB), Rule.ENTRY_IS_WELL_FORMED),
    "salt without data": (lambda: with_raw(data=None), Rule.COMMITMENT_MATCHES_DATA),
    "data without salt": (lambda: with_raw(salt=None), Rule.COMMITMENT_MATCHES_DATA),
    "a short salt": (lambda: with_raw(salt=bytes(15)), Rule.COMMITMENT_MATCHES_DATA),
    "other data": (lambda: with_raw(data=b'"other"'), Rule.COMMITMENT_MATCHES_DATA),
    "more data than fits": (lambda: alone(records=[LONG]), Rule.DATA_WITHIN_SIZE),
    "data that is not canonical": (lambda: alone(records=[UGLY]), Rule.DATA_IS_CANONICAL),
    "row 52: one record less": (lambda: alone(raws=[*map(raw_of, BLOCK.records[1:])]), Rule.BODY_MATCHES_HEADER),
    "row 52: another order": (lambda: alone(raws=[*map(raw_of, BLOCK.records[::-1])]), Rule.BODY_MATCHES_HEADER),
    "row 52: the last record twice": (
        lambda: alone(raws=[*map(raw_of, [*BLOCK.records, BLOCK.records[-1]])]),
        Rule.BODY_MATCHES_HEADER,
    ),
    "row 77: a record twice": (lambda: alone(records=[MANY[0], MANY[1], MANY[0]]), Rule.RECORD_IS_NEW),
}
RUN: Table = {
    "of another kind": (lambda: ENGINE.check_run(1, "ab" * 32, [CLASSIC_BODY]), Rule.HEADER_IS_WELL_FORMED),
    "row 51: wrong index": (lambda: run(whole(forged(index=BLOCK.index + 1))), Rule.INDEX_FOLLOWS_PARENT),
    "row 51: the same twice": (lambda: run(SENT, SENT), Rule.INDEX_FOLLOWS_PARENT),
    "row 51: genesis": (lambda: run(whole(GENESIS_SENT)), Rule.INDEX_FOLLOWS_PARENT),
    "row 42: wrong parent": (lambda: run(whole(forged(previous_hash=bytes(32)))), Rule.NAMES_ITS_PARENT),
    "row 43: no seal": (lambda: run(whole(forged(seal=wrong_nonce()))), Rule.SEAL_HOLDS),
    "row 52: no body": (lambda: run(whole(forged(raws=()))), Rule.BODY_MATCHES_HEADER),
}
IN_PLACE: Table = {
    "row 51: wrong index": (
        lambda: ENGINE.check_in_place(alone(index=BLOCK.index + 1), header_of(PARENT)),
        Rule.INDEX_FOLLOWS_PARENT,
    ),
    "row 42: wrong parent": (
        lambda: ENGINE.check_in_place(alone(previous_hash=bytes(32)), header_of(PARENT)),
        Rule.NAMES_ITS_PARENT,
    ),
    "row 51: wrong bits": (lambda: in_place(bits=HARDER), Rule.DIFFICULTY_FOLLOWS_SCHEDULE),
    "row 50: not after the median": (lambda: in_place(timestamp=EARLY), Rule.TIME_AFTER_MEDIAN),
    "row 50: at the beginning of time": (lambda: in_place(timestamp=0), Rule.TIME_AFTER_MEDIAN),
    "row 49: from the future": (
        lambda: in_place(wall_ms=NEXT_MS - LIMITS.future_ms - 1),
        Rule.TIME_NOT_FROM_FUTURE,
    ),
    "row 49: from the end of time": (lambda: in_place(timestamp=TIME_MAX_MS), Rule.TIME_NOT_FROM_FUTURE),
    "row 51: log too long": (lambda: in_place(log_size=BLOCK.log_size + 1), Rule.LOG_MATCHES_RECORDS),
    "row 51: log too short": (lambda: in_place(log_size=0), Rule.LOG_MATCHES_RECORDS),
    "row 51: the longest log": (lambda: in_place(log_size=TIME_MAX_MS), Rule.LOG_MATCHES_RECORDS),
    "row 51: another log": (lambda: in_place(log_root=PARENT.log_root), Rule.LOG_MATCHES_RECORDS),
}
SURVEY: Table = {
    "a whole block": (lambda: surveyed(SENT), Rule.HEADER_IS_WELL_FORMED),
    "nothing": (lambda: surveyed(b""), Rule.HEADER_IS_WELL_FORMED),
    "absurd index": (lambda: survey(index=INDEX_MAX + 1), Rule.INDEX_IN_RANGE),
    "row 51: wrong index": (lambda: survey(index=BLOCK.index + 1), Rule.INDEX_FOLLOWS_PARENT),
    "row 42: wrong parent": (lambda: survey(previous_hash=bytes(32)), Rule.NAMES_ITS_PARENT),
    "row 43: no seal": (lambda: survey(seal=wrong_nonce()), Rule.SEAL_HOLDS),
    "row 43: no target": (lambda: survey(seal=seal(0)), Rule.SEAL_HOLDS),
    "row 44: an easy target": (lambda: survey(bits=0x2100FFFF), Rule.SEAL_HOLDS),
    "row 51: wrong bits": (lambda: survey(bits=HARDER), Rule.DIFFICULTY_FOLLOWS_SCHEDULE),
    "row 50: not after the median": (lambda: survey(timestamp=EARLY), Rule.TIME_AFTER_MEDIAN),
    "row 49: from the future": (lambda: survey(NEXT_MS - LIMITS.future_ms - 1), Rule.TIME_NOT_FROM_FUTURE),
    "row 51: the log shrinks": (lambda: survey(log_size=PARENT.log_size - 1), Rule.LOG_MATCHES_RECORDS),
    "row 51: the log grows too fast": (
        lambda: survey(log_size=PARENT.log_size + RULES.max_block_records + 1),
        Rule.LOG_MATCHES_RECORDS,
    ),
}
MAKING: Table = {
    "a block of one text": (lambda: ENGINE.seal(header_of(PARENT), "text", LATER_MS), Rule.NETWORK_TAKES_RECORDS),
}
TABLES = {
    "read": READ,
    "alone": ALONE,
    "run": RUN,
    "in place": IN_PLACE,
    "survey": SURVEY,
    "making": MAKING,
}
CASES = [pytest.param(*case, id=f"{stage}: {name}") for stage, cases in TABLES.items() for name, case in cases.items()]


@pytest.mark.parametrize(("check", "rule"), CASES)
def test_one_thing_is_wrong(check: Callable[[], object], rule: Rule) -> None:
    """Catalogue rows 42, 43, 44, 49, 50, 51, 52 and 77."""
    with pytest.raises(RuleViolation) as caught:
        check()
    assert caught.value.rule is rule


def test_every_rule_of_a_work_network_is_among_them() -> None:
    """And each is raised in what a block goes through here, or in what it is made of."""
    raised = {Rule.ENTRY_IS_WELL_FORMED, Rule.COMMITMENT_MATCHES_DATA, Rule.DATA_WITHIN_SIZE, Rule.DATA_IS_CANONICAL}
    raised |= {Rule.INDEX_IN_RANGE}
    for module in (work, sealed, links):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        named = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
        raised |= {Rule[node.attr] for node in named if isinstance(node.value, ast.Name) and node.value.id == "Rule"}
    assert {rule for cases in TABLES.values() for _, rule in cases.values()} == raised


def test_with_nothing_wrong_all_stages_are_passed() -> None:
    placed = through_all_stages(SENT, PARENT)
    assert [placed] == list(in_place()) == list(in_place(wall_ms=NEXT_MS - LIMITS.future_ms))
    assert run(SENT) == [alone()]
    assert run() == []
    assert ENGINE.survey([], header_of(PARENT), PAST, 0) == []
    assert ENGINE.place([], header_of(PARENT), PAST, 0) == ([], [])
    assert surveyed() == [without_edge(placed)]
    assert ENGINE.check_alone(GENESIS_SENT) == GENESIS


def without_edge(block: SealedBlock) -> SealedHeader:
    """All that a header shows without its body."""
    return msgspec.structs.replace(block.header, edge=())


def test_a_block_from_the_future_is_fine_once_its_time_comes() -> None:
    """Catalogue row 49: to the millisecond, and the same block."""
    latest = NEXT_MS - LIMITS.future_ms
    for check in (in_place, survey):
        with pytest.raises(RuleViolation) as caught:
            check(wall_ms=latest - 1)
        assert caught.value.rule is Rule.TIME_NOT_FROM_FUTURE
        assert check(wall_ms=latest)


def test_a_block_may_be_older_than_its_parent_but_not_than_the_median() -> None:
    """Catalogue row 50: clocks differ; eleven of them cannot all be wrong."""
    assert PARENT.timestamp > EARLY + 1
    assert in_place(timestamp=EARLY + 1)
    assert survey(timestamp=EARLY + 1)


def test_the_median_near_genesis_is_of_what_there_is() -> None:
    """The later of the two in the middle, when their number is even."""
    first, second = CHAIN[1], CHAIN[2]
    for parent, earliest in ((GENESIS, GENESIS.timestamp), (first, first.timestamp), (second, first.timestamp)):
        (placed,) = placed_on(parent, earliest + 1)
        assert placed.timestamp == earliest + 1
        with pytest.raises(RuleViolation) as caught:
            placed_on(parent, earliest)
        assert caught.value.rule is Rule.TIME_AFTER_MEDIAN


def dated(timestamps: list[int]) -> list[SealedBlock]:
    """A branch of empty blocks with these times, whatever the median says."""
    chain = [GENESIS]
    for timestamp in timestamps:
        block = ENGINE.check_alone(forged(chain[-1], (), timestamp=timestamp))
        bits = int.from_bytes(block.seal[:4], "big")
        chain.append(msgspec.structs.replace(block, weight=chain[-1].weight + difficulty.work(bits)))
    return chain


@given(st.lists(st.integers(-9, 14), min_size=1, max_size=30), st.integers(0, 30))
def test_each_block_of_a_run_is_held_against_the_eleven_before_it(deltas: list[int], start: int) -> None:
    """Catalogue row 50: whether they came before or with it, as blocks or as headers."""
    timestamps = [GENESIS.timestamp + 2 * number + delta for number, delta in enumerate(deltas, start=1)]
    chain = dated(timestamps)
    clocks = [block.timestamp for block in chain]
    medians = [sorted(clocks[max(0, at - 11) : at])[min(at, 11) // 2] for at in range(1, len(clocks))]
    wrong = next((at for at, median in enumerate(medians, start=1) if clocks[at] <= median), None)
    start = min(start, len(chain) - 1, len(chain) - 1 if wrong is None else wrong - 1)
    parent, branch = header_of(chain[start]), chain[start + 1 :]
    past = past_among({block.hash: block for block in chain})
    for check in (
        lambda: ENGINE.place(branch, parent, past, LATER_MS).blocks,
        lambda: ENGINE.survey([header_bytes_of(block) for block in branch], parent, past, LATER_MS),
    ):
        try:
            found = check()
        except RuleViolation as broken:
            assert broken.rule is Rule.TIME_AFTER_MEDIAN
            assert broken.detail.startswith(f"block {wrong} ")
        else:
            assert wrong is None
            assert [each.hash for each in found] == [block.hash for block in branch]


def test_a_survey_keeps_as_many_headers_as_the_median_takes() -> None:
    """Else whoever surveys a chain would judge its times otherwise than whoever has it."""
    assert LIMITS.survey_window >= difficulty.MEDIAN_SPAN


def placed_on(parent: SealedBlock, timestamp: int) -> Sequence[SealedBlock]:
    block = ENGINE.check_alone(forged(parent, (), timestamp=timestamp))
    return ENGINE.place([block], header_of(parent), PAST, LATER_MS).blocks


def test_a_wrong_body_says_nothing_of_its_header() -> None:
    """Catalogue row 52: the true one is as welcome after a hundred wrong ones, and so is one without its data."""
    for raws in ((), [raw_of(each) for each in MANY[:3]], [*map(raw_of, BLOCK.records[:-1])]):
        with pytest.raises(RuleViolation) as caught:
            alone(raws=raws)
        assert caught.value.rule is Rule.BODY_MATCHES_HEADER
    assert alone().hash == alone(raws=[*map(raw_of, BARE)]).hash
    assert [each.data for each in alone(raws=[*map(raw_of, BARE)]).records] == [None] * len(BARE)


# --- laws -------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 40), max_size=8, unique=True).map(lambda picks: [record(f"p{pick}") for pick in picks]),
        st.sampled_from([1, 1, SPACING_MS, 2 * SPACING_MS, 30 * SPACING_MS]),
    ),
    max_size=16,
)
Steps = list[tuple[list[Record], int]]


@given(STEPS, st.integers(0, 255))
def test_what_is_read_is_what_was_written(steps: Steps, bare: int) -> None:
    """Whichever records come without their data."""
    for block in grown(ENGINE, *steps):
        records = [without_data(each) if bare >> at & 1 else each for at, each in enumerate(block.records)]
        sent = msgspec.structs.replace(block, records=tuple(records), weight=0, edge=())
        assert ENGINE.whole(sent) == ENGINE.body(sent)
        read = ENGINE.read(ENGINE.whole(sent))
        assert (read.index, read.hash) == (block.index, block.hash)
        assert ENGINE.check_alone(read) == sent if block.index else GENESIS


@given(STEPS, st.integers(0, 2**64 - 10_000), st.integers(-(2**60), 2**50), st.lists(st.integers(0, 40), max_size=9))
def test_a_draft_that_is_sealed_passes_every_stage(steps: Steps, nonce: int, wall_ms: int, picks: list[int]) -> None:
    """Whatever the clock says, and whichever nonce seals it."""
    chain = grown(ENGINE, *steps)
    parent, past = chain[-1], past_among({block.hash: block for block in chain})
    records = [record(f"q{pick}", "x" * 40 * (pick % 6)) for pick in dict.fromkeys(picks)]
    draft = ENGINE.draft(header_of(parent), records, past, wall_ms)
    assert list(draft.records) == naive_fit(records)
    earliest = sorted(block.timestamp for block in chain[-11:])[len(chain[-11:]) // 2] + 1
    assert draft.timestamp == max(wall_ms, earliest)

    block = found(draft, nonce)
    assert header_bytes_of(block).startswith(draft.head)
    assert bytes.fromhex(block.hash) <= draft.target
    assert (block.records, block.timestamp) == (draft.records, draft.timestamp)
    assert block.weight == parent.weight + draft.expected_hashes
    assert int.from_bytes(block.seal[:4], "big") == draft.bits == ENGINE.bits_after(header_of(parent))
    assert draft.difficulty == draft.expected_hashes / 2

    checked = ENGINE.check_alone(ENGINE.read(ENGINE.whole(block)))
    ENGINE.check_in_place(checked, header_of(parent))
    assert ENGINE.place([checked], header_of(parent), past, block.timestamp).blocks == [block]
    assert ENGINE.check_run(parent.index, parent.hash, [ENGINE.body(block)]) == [checked]
    surveyed = ENGINE.survey([header_bytes_of(block)], header_of(parent), past, block.timestamp)
    assert surveyed == [without_edge(block)]


def naive_fit(records: list[Record]) -> list[Record]:
    fitting = []
    for number in range(min(len(records), RULES.max_block_records) + 1):
        if sum(each.size_bytes for each in records[:number]) <= RULES.max_block_bytes:
            fitting = records[:number]
    return fitting


def test_a_nonce_that_does_not_fit_seals_nothing() -> None:
    draft = ENGINE.draft(header_of(PARENT), BLOCK.records, PAST, NEXT_MS)
    sealed = [draft.sealed(nonce) for nonce in range(60)]
    assert None in sealed
    for nonce, block in enumerate(sealed):
        assert block is None or (isinstance(block, SealedBlock) and block.seal[4:] == nonce.to_bytes(8, "big"))


@given(STEPS, st.data())
def test_headers_alone_show_what_a_branch_weighs(steps: Steps, data: st.DataObject) -> None:
    """Catalogue row 44: a survey, in however many pieces, gives what placing the blocks gives."""
    chain = grown(ENGINE, *steps)
    past = past_among({block.hash: block for block in chain})
    bodies = [ENGINE.body(block) for block in chain[1:]]
    placed = ENGINE.place(ENGINE.check_run(0, GENESIS.hash, bodies), GENESIS.header, past, LATER_MS).blocks
    assert placed == chain[1:]
    surveyed: list[Header] = [GENESIS.header]

    def newest(_: Header, count: int) -> list[Header]:
        return surveyed[-min(count, LIMITS.survey_window) :]

    while len(surveyed) < len(chain):
        number = data.draw(st.integers(1, len(chain) - len(surveyed)))
        headers = [header_bytes_of(block) for block in chain[len(surveyed) :][:number]]
        surveyed.extend(ENGINE.survey(headers, surveyed[-1], newest, LATER_MS))
    assert surveyed[1:] == [without_edge(block) for block in placed]
    assert [ENGINE.weight(header) for header in surveyed[1:]] == [block.weight for block in placed]


def test_weight_is_the_work_of_all_blocks() -> None:
    assert ENGINE.weight(GENESIS.header) == 0
    assert BLOCK.weight == sum(difficulty.work(int.from_bytes(block.seal[:4], "big")) for block in CHAIN[1:])
    assert len({int.from_bytes(block.seal[:4], "big") for block in CHAIN}) > 1
    next_work = difficulty.work(ENGINE.bits_after(BLOCK.header))
    assert ENGINE.least_weight(BLOCK.header) == BLOCK.weight - NEAR_TIP_BLOCKS * next_work


def test_the_schedule_begins_one_spacing_before_genesis() -> None:
    """On it the bits are those of the first block, and a half-life behind it twice as easy."""
    engine = WorkEngine(network(rules_with(bits=0x1F00FFFF)))
    start = engine.network.genesis.timestamp
    on_schedule = [Header(n, "", "", start + n * SPACING_MS) for n in (0, 1, 2, 1_000, 10**9)]
    assert {engine.bits_after(header) for header in on_schedule} == {0x1F00FFFF}
    late = [Header(h.index, "", "", h.timestamp + RULES.half_life_ms) for h in on_schedule]
    assert {engine.bits_after(header) for header in late} == {compact(2 * expand(0x1F00FFFF))}


@pytest.mark.parametrize(
    ("index", "timestamp", "bits"),
    [(1, TIME_MAX_MS, EASIEST_BITS), (INDEX_MAX, 0, 0x01010000), (INDEX_MAX, TIME_MAX_MS, 0x01010000)],
)
def test_no_clock_or_index_makes_difficulty_cost_anything(index: int, timestamp: int, bits: int) -> None:
    """Catalogue row 51: shifts by what these ask for would take more memory than there is."""
    assert ENGINE.bits_after(Header(index, "", "", timestamp)) == bits
