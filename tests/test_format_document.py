"""docs/format.md and the code say the same.

All values of its example are computed anew by its words (`format_example`), and held against the page and the code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tallystick
from tallystick.chain.chain import Chain
from tallystick.chain.writes import Append
from tallystick.consensus import difficulty
from tallystick.consensus.work import WorkEngine
from tallystick.errors import Rule, RuleViolation
from tallystick.model import log, proof
from tallystick.model.block import INDEX_MAX, Header, header_of
from tallystick.model.canonical import INTEGER_MAX
from tallystick.model.limits import LIMITS, MAX_DATA_DEPTH, MAX_ENTRY_BYTES
from tallystick.model.network import Kind, SealedRules, parameters, sealed_network
from tallystick.model.record import SALT_BYTES, make_record, without_data
from tallystick.model.sealed import TIME_MAX_MS, SealedBlock, header_bytes_of
from tallystick.model.shown import block_json
from tallystick.storage.memory import MemoryStore
from tests.format_example import (
    BITS_2,
    BLOCK_1,
    BLOCK_1_JSON,
    BLOCK_2,
    BLOCKS,
    CONSISTENCY,
    GENESIS,
    GENESIS_MS,
    LEAVES,
    PARAMETERS,
    PROOF,
    RECORDS,
    RULES,
    Posted,
    Sealed,
    base64url,
    canonical,
    compact,
    expand,
    hashed,
    root,
    schedule,
    u64,
)

PAGE: Final = (Path(__file__).parents[1] / "docs" / "format.md").read_text(encoding="utf-8")


# --- the page ---------------------------------------------------------------------------------------


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```$", PAGE, flags=re.DOTALL | re.MULTILINE)


def section(heading: str) -> str:
    """From a heading to the next of any level."""
    return re.split(r"^#+ ", PAGE.split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, without their heads."""
    tables = re.findall(r"^\|.*\n\|(?:---\|)+\n((?:\|.*\n?)+)", text, flags=re.MULTILINE)
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for table in tables
        for line in table.splitlines()
    ]


def value(cell: str) -> str:
    """What a cell ends with, in backticks or not."""
    quoted = re.findall(r"`(.*?)`", cell)
    return quoted[-1] if quoted else cell


# --- the page shows that ----------------------------------------------------------------------------


def test_the_parameters_and_the_documents_of_the_example() -> None:
    written, *documents = fenced("json")
    assert written.encode() == PARAMETERS
    assert [json.loads(document) for document in documents] == [BLOCK_1_JSON, PROOF, CONSISTENCY]
    assert [list(json.loads(document)) for document in documents] == [
        list(BLOCK_1_JSON), list(PROOF), list(CONSISTENCY),
    ]  # fmt: skip


@pytest.mark.parametrize(("written", "block"), [*zip(fenced("layout"), BLOCKS, strict=True)])
def test_a_header_is_shown_field_by_field(written: str, block: Sealed) -> None:
    parts = [line.split(maxsplit=1) for line in written.splitlines()]
    assert b"".join(bytes.fromhex(part) for part, _ in parts) == block.header
    names = [name.strip('"').split(" ")[0] for _, name in parts]
    assert names == ["TSB1", *(field.name for field in fields(Sealed))]
    for _, text in parts:
        name, _, number = text.partition(" ")
        assert not number or getattr(block, name) == int(number)


def test_the_table_of_the_header_adds_up() -> None:
    table = rows(section("Blocks"))
    names = [name for _, _, name, _ in table]
    assert names == ["magic", *(field.name for field in fields(Sealed))]
    places = [(int(offset), int(size)) for offset, size, _, _ in table]
    assert all(after == offset + size for (offset, size), (after, _) in pairwise(places))
    assert sum(places[-1]) == len(GENESIS.header)
    assert f"A header of a work network has {len(GENESIS.header)} bytes" in PAGE
    offset, size = places[names.index("log_root")]
    assert BLOCK_2.header[offset : offset + size] == BLOCK_2.log_root


def test_every_hash_of_the_page_is_computed_here_and_every_one_computed_here_is_there() -> None:
    hashes = {hashed(PARAMETERS), hashed(), root(LEAVES[:2]), root(LEAVES), *LEAVES}
    hashes |= {hashed(record.salt, record.data) for record in RECORDS}
    hashes |= {block.hash for block in BLOCKS} | {block.body_hash for block in BLOCKS}
    shown = {bytes.fromhex(text) for text in re.findall(r"\b[0-9a-f]{64}\b", PAGE)}
    assert shown == hashes
    assert set(re.findall(r"\b[0-9a-f]{65,}\b", PAGE)) == {block.header.hex() for block in BLOCKS[1:]}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.id)
def test_a_record_of_the_example(record: Posted) -> None:
    table = PAGE.split(f"\n`{record.id}`:\n")[1].split("\n\n")[0]
    assert {name: value(cell) for name, cell in rows(table)} == {
        "data": record.data.decode(),
        "SHA-256( salt || data )": hashed(record.salt, record.data).hex(),
        "commit": record.commit,
        "entry": record.entry.decode(),
        "leaf": record.leaf.hex(),
    }


def test_each_hash_stands_beside_its_name() -> None:
    shown = {
        (part, name): value(cell)
        for part in ("Its network", "Block 1", "Block 2")
        for name, cell in rows(section(part))
    }
    assert shown["Its network", "bound"] == GENESIS.previous_hash.hex()
    assert shown["Its network", "hash of nothing"] == hashed().hex()
    assert shown["Its network", "id of the network"] == GENESIS.hash.hex()
    for block in (BLOCK_1, BLOCK_2):
        name = f"Block {block.index}"
        assert shown[name, "log_root"] == block.log_root.hex()
        assert shown[name, "body_hash"] == block.body_hash.hex()
        assert shown[name, f"hash of {name.lower()}"] == block.hash.hex()


def test_the_numbers_of_the_example() -> None:
    text = re.sub(r"\s+", " ", PAGE)
    steps = dict(rows(section("Block 2")))
    for name in ("late", "exponent", "whole", "fraction", "factor"):
        assert int(steps[name]) == BITS_2[name]
    assert steps["bits"] == f"`{BLOCK_2.bits:08x}`"
    digits, zeros = re.findall(r"`(\w+)` and (\d+) zeros", steps["target before it is made compact"])[0]
    assert digits + "0" * int(zeros) == f"{BITS_2['target before it is made compact']:x}"
    digits, zeros = re.findall(r"Their target is `(\w+)` and (\d+) zeros", text)[0]
    assert int(digits + "0" * int(zeros), 16) == expand(BLOCK_1.bits)
    assert f"The nonce {BLOCK_1.nonce} fits" in text
    assert f"The nonces 0, 1 and 2 do not fit, {BLOCK_2.nonce} does" in text
    weights = [2**256 // (expand(block.bits) + 1) for block in (BLOCK_1, BLOCK_2)]
    assert f"= {weights[0]}, so the branch weighs {weights[0]} |" in text
    assert f"| weight | {weights[1]}, so the branch weighs {sum(weights)} |" in text
    assert f"dated {GENESIS_MS}, which is `{GENESIS_MS:x}` in hex" in text


def test_the_limits_of_every_network() -> None:
    limits = dict(rows(section("Conventions")))
    assert limits["index, timestamp, log_size"] == "at most 2^53 − 1"  # noqa: RUF001 - the page's minus
    assert INDEX_MAX == TIME_MAX_MS == INTEGER_MAX == 2**53 - 1
    assert limits["an entry"] == f"{MAX_ENTRY_BYTES:,} bytes"
    assert limits["a salt"].startswith(f"{SALT_BYTES} bytes")
    assert limits["data"] == f"arrays and objects at most {MAX_DATA_DEPTH} deep"
    assert f"more than {LIMITS.future_ms:,} ms ahead of its own clock" in PAGE


# --- the code does that -----------------------------------------------------------------------------

NETWORK: Final = sealed_network(Kind.WORK, "format-example", SealedRules(**RULES), GENESIS_MS)
ENGINE: Final = WorkEngine(NETWORK)


def chain_of_the_example() -> list[SealedBlock]:
    """Genesis and both blocks, as a node makes them."""
    made: list[Any] = [NETWORK.genesis]
    for held, block in ((RECORDS[:2], BLOCK_1), (RECORDS[2:], BLOCK_2)):
        before = [header_of(each) for each in made]
        records = [make_record(each.id, each.value, each.salt) for each in held]
        draft = ENGINE.draft(before[-1], records, lambda _, wanted: before[-wanted:], block.timestamp)  # noqa: B023 - used at once
        found = draft.sealed(block.nonce)
        assert found is not None
        assert not any(draft.sealed(nonce) for nonce in range(block.nonce))
        made.append(found)
    return made


def test_the_network_of_the_example_is_ours() -> None:
    assert parameters(Kind.WORK, "format-example", SealedRules(**RULES), frozenset()) == PARAMETERS
    assert NETWORK.id == GENESIS.hash.hex()
    named = [name for name, *_ in rows(section("The network")) if name.startswith("`")]
    assert [name.strip("`") for name in named] == ["kind", "name", "members", *asdict(SealedRules(1, 1, 1))]


def test_members_are_hashed_in_order() -> None:
    members = ["ab" * 32, "01" * 32]
    expected = canonical({"kind": "work", "name": "m", "members": sorted(members), **RULES})
    assert parameters(Kind.WORK, "m", SealedRules(**RULES), frozenset(members)) == expected


def test_a_node_makes_the_blocks_of_the_example() -> None:
    made = chain_of_the_example()
    assert [header_bytes_of(block) for block in made] == [block.header for block in BLOCKS]
    assert [block.hash for block in made] == [block.hash.hex() for block in BLOCKS]
    assert [block.weight for block in made] == [0, 2, 4]
    assert json.loads(bytes(block_json(made[1]))) == BLOCK_1_JSON
    assert list(json.loads(bytes(block_json(made[1])))) == list(BLOCK_1_JSON)


def test_a_node_takes_the_blocks_of_the_example() -> None:
    made = chain_of_the_example()
    taken = [ENGINE.check_alone(ENGINE.read(ENGINE.whole(block))) for block in made[1:]]
    genesis = header_of(made[0])
    placed = ENGINE.place(taken, genesis, lambda _, __: [genesis], BLOCK_2.timestamp).blocks
    assert placed == made[1:]


def test_a_node_gives_and_takes_the_proofs_of_the_example() -> None:
    made = chain_of_the_example()

    def read(nodes: Sequence[log.Node]) -> list[bytes]:
        return [root(LEAVES[index << level : (index + 1) << level]) for level, index in nodes]

    record = made[1].records[0]
    given_one = proof.prove(record, 0, BLOCK_2.header, NETWORK.id, read)
    assert json.loads(msgspec.json.encode(given_one)) == PROOF
    assert proof.check(msgspec.json.decode(fenced("json")[2], type=proof.Proof), BLOCK_2.hash.hex()) == record
    erased = {**PROOF, "salt": None, "data": None}
    assert (
        json.loads(msgspec.json.encode(proof.prove(without_data(record), 0, BLOCK_2.header, NETWORK.id, read)))
        == erased
    )
    both = proof.prove_consistency(BLOCK_1.header, BLOCK_2.header, NETWORK.id, read)
    assert json.loads(msgspec.json.encode(both)) == CONSISTENCY
    assert proof.check_consistency(both) == (BLOCK_1.hash.hex(), BLOCK_2.hash.hex())


def test_the_members_of_proofs_are_all_described() -> None:
    described = [name.strip("`") for name, _ in rows(section("Proofs"))]
    assert described == [*proof.Proof.__struct_fields__, *proof.ConsistencyProof.__struct_fields__]
    assert f'"{proof.FORMAT}"' in PAGE
    assert f'"{proof.CONSISTENCY_FORMAT}"' in PAGE


# --- what the page says in other words --------------------------------------------------------------


@given(st.integers(0, 2**32 - 1) | st.integers(0, 2**256 - 1).map(lambda target: compact(max(target, 1))))
def test_the_page_and_the_code_agree_on_which_targets_have_a_form(bits: int) -> None:
    target = expand(bits)
    fits = 1 <= target < 2**256 and not bits & 0x800000 and compact(target) == bits
    if fits:
        assert difficulty.expand(bits) == target
        assert difficulty.work(bits) == 2**256 // (target + 1)
    else:
        with pytest.raises(ValueError, match="bits"):
            difficulty.expand(bits)


@given(st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1), st.integers(100, 10**8), st.integers(600_000, 10**11))
def test_the_page_and_the_code_agree_on_the_schedule(index: int, timestamp: int, spacing: int, half_life: int) -> None:
    rules = {"spacing_ms": spacing, "half_life_ms": half_life, "bits": 0x1D00FFFF, "limit_bits": 0x207FFFFF}
    engine = WorkEngine(sealed_network(Kind.WORK, "n", SealedRules(**rules), GENESIS_MS))
    for when in (timestamp, GENESIS_MS + spacing * index + timestamp % 10**9):  # a liar's clock, and a sane one
        assert engine.bits_after(Header(index, "", "", when)) == schedule(rules, GENESIS_MS, index, when)["bits"]


def leads(leaf: bytes, position: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Where a path of a proof leads, by the page; None when it fails."""
    if not 0 <= position < size:
        return None
    node, last, hash = position, size - 1, leaf
    for beside in path:
        if last == 0:
            return None
        if node % 2 or node == last:
            hash = hashed(b"\1", beside, hash)
            while node % 2 == 0 and node > 0:
                node, last = node >> 1, last >> 1
        else:
            hash = hashed(b"\1", hash, beside)
        node, last = node >> 1, last >> 1
    return hash if last == 0 else None


def lead_both(old: int, old_root: bytes, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The two roots that a path between logs of different sizes gives, by the page."""
    if old & (old - 1) == 0:
        path = [old_root, *path]
    node, last = old - 1, new - 1
    while node % 2:
        node, last = node >> 1, last >> 1
    a = b = path[0]
    for beside in path[1:]:
        if last == 0:
            return None
        if node % 2 or node == last:
            a, b = hashed(b"\1", beside, a), hashed(b"\1", beside, b)
            while node % 2 == 0 and node > 0:
                node, last = node >> 1, last >> 1
        else:
            b = hashed(b"\1", b, beside)
        node, last = node >> 1, last >> 1
    return (a, b) if last == 0 else None


@given(st.integers(1, 70).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))))
def test_proofs_can_be_checked_by_the_words_of_the_page(place: tuple[int, int]) -> None:
    position, size = place
    leaves = [hashed(bytes([number])) for number in range(size)]

    def read(nodes: Sequence[log.Node]) -> list[bytes]:
        return [root(leaves[index << level : (index + 1) << level]) for level, index in nodes]

    path = log.prove_inclusion(position, size, read)
    assert leads(leaves[position], position, size, path) == root(leaves)
    assert leads(leaves[position], position, size, [*path, hashed()]) is None
    assert leads(leaves[position], position, size, path[:-1]) != root(leaves) or size == 1
    if position:
        old_root = root(leaves[:position])
        both = lead_both(position, old_root, size, log.prove_consistency(position, size, read))
        assert both == (old_root, root(leaves))


# --- when a block is valid --------------------------------------------------------------------------

SMALL: Final = sealed_network(
    Kind.WORK,
    "small",
    SealedRules(60_000, 3_600_000, 0x207FFFFF, max_block_bytes=150, max_block_records=3, max_data_bytes=20),
    GENESIS_MS,
)
Raw = tuple[bytes, bytes | None, bytes | None]
"""A record on the wire: entry, salt, data."""

SALT: Final = bytes(16)


def raw(id: str, data: bytes = b"1") -> Raw:
    return canonical({"id": id, "commit": base64url(hashed(SALT, data))}), SALT, data


@dataclass(frozen=True)
class Candidate:
    """What a peer may send in the place of block 2: at first everything is wrong with it."""

    magic: bytes = b"BST1"
    index: int = 2**53
    previous_hash: bytes = bytes(32)
    timestamp: int = 2**53
    log_size: int = 0
    log_root: bytes = bytes(32)
    body_hash: bytes = bytes(32)
    bits: int = 0
    records: tuple[Raw, ...] = ()
    body: bytes = b"\x94"
    """The records on the wire; at first, the beginning of an array of four."""

    def whole(self) -> bytes:
        head = b"".join(
            [
                *(self.magic, u64(self.index), self.previous_hash, u64(self.timestamp), u64(self.log_size)),
                *(self.log_root, self.body_hash, self.bits.to_bytes(4, "big")),
            ]
        )
        fits = (n for n in count() if int.from_bytes(hashed(head, u64(n)), "big") <= expand(self.bits))
        nonce = next(fits) if self.bits else 0
        return head + u64(nonce) + self.body

    def holding(self, *records: Raw) -> Candidate:
        return replace(self, records=records, body=msgspec.msgpack.encode(records))

    def committed(self) -> Candidate:
        """With the body hash of its records."""
        return replace(self, body_hash=hashed(*self.leaves()))

    def leaves(self) -> list[bytes]:
        return [hashed(b"\0", entry) for entry, _, _ in self.records]

    def logged(self, *before: bytes) -> Candidate:
        """With the body hash and the log of its records, after those leaves."""
        leaves = self.leaves()
        return replace(self.committed(), log_size=len(before) + len(leaves), log_root=root([*before, *leaves]))


def test_every_rule_that_a_block_can_break_has_a_row() -> None:
    package = Path(tallystick.__file__).parent
    modules = [package / "model" / f"{name}.py" for name in ("sealed", "record", "canonical")]
    modules += [package / "consensus" / f"{name}.py" for name in ("sealed", "work", "links")]
    raised = {
        rule for module in modules for rule in re.findall(r"\bRule\.([A-Z_]+)", module.read_text(encoding="utf-8"))
    }
    of_callers = {Rule.NETWORK_TAKES_RECORDS.name, Rule.RECORD_ID_IS_WELL_FORMED.name}
    named = {Rule(value(rule)).name for rule, _ in rows(section("When a block is valid"))}
    assert named == raised - of_callers


def test_a_block_is_checked_in_the_order_of_the_page() -> None:
    """A block with which everything is wrong; each repair uncovers the fault that the next row names."""
    engine, store = WorkEngine(SMALL), MemoryStore(SMALL)
    genesis = header_of(SMALL.genesis)
    first = engine.draft(genesis, [make_record("A", 1, SALT)], lambda _, __: [genesis], GENESIS_MS + 60_000)
    parent = next(block for block in map(first.sealed, count()) if block is not None)
    assert isinstance(parent, SealedBlock)
    store.begin()
    store.apply(Append([parent]))
    store.commit()
    chain = Chain(engine, parent, LIMITS)
    past = [genesis, header_of(parent)]
    wall_ms = GENESIS_MS + 120_000
    a, b, c, d = raw("A"), raw("B"), raw("C"), raw("D")
    loose = raw("B", b'{"a": 1}')
    faults: list[tuple[str, Callable[[Candidate], Candidate]]] = [
        ("header-is-well-formed", lambda it: replace(it, magic=b"TSB1")),
        ("index-in-range", lambda it: replace(it, index=0)),
        ("header-is-well-formed", lambda it: replace(it, timestamp=GENESIS_MS)),
        ("block-within-size", lambda it: replace(it, body=b"\x93")),
        ("message-is-decodable", lambda it: it.holding((b"{}", b"", None), a, a)),
        ("genesis-is-ours", lambda it: replace(it, index=7)),
        ("seal-holds", lambda it: replace(it, bits=0x207FFFFE)),
        ("entry-is-well-formed", lambda it: it.holding((loose[0], b"", None), a, a)),
        ("commitment-matches-data", lambda it: it.holding((loose[0], b"", b" " * 21), a, a)),
        ("data-within-size", lambda it: it.holding((loose[0], b"", b" " * 20), a, a)),
        ("commitment-matches-data", lambda it: it.holding(loose, a, a)),
        ("data-is-canonical", lambda it: it.holding(b, a, a)),
        ("body-matches-header", lambda it: it.committed()),
        ("record-is-new", lambda it: it.holding(b, a, c).committed()),
        ("block-within-size", lambda it: it.holding(b, a).committed()),
        ("index-follows-parent", lambda it: replace(it, index=2)),
        ("names-its-parent", lambda it: replace(it, previous_hash=bytes.fromhex(parent.hash))),
        ("difficulty-follows-schedule", lambda it: replace(it, bits=engine.bits_after(header_of(parent)))),
        ("time-after-median", lambda it: replace(it, timestamp=wall_ms + LIMITS.future_ms + 1)),
        ("time-not-from-future", lambda it: replace(it, timestamp=wall_ms + LIMITS.future_ms)),
        ("log-matches-records", lambda it: it.logged(parent.log_root)),
        ("record-is-new", lambda it: it.holding(b, d).logged(parent.log_root)),
    ]  # fmt: skip
    assert [rule for rule, _ in faults] == [value(rule) for rule, _ in rows(section("When a block is valid"))]

    def check(candidate: Candidate) -> object:
        unchecked = engine.read(candidate.whole())
        block = engine.check_alone(unchecked)
        engine.check_in_place(block, header_of(parent))
        engine.place([block], header_of(parent), lambda _, __: past, wall_ms)
        return chain.accept([unchecked], store, wall_ms)

    candidate = Candidate()
    for rule, repair in faults:
        with pytest.raises(RuleViolation) as broken:
            check(candidate)
        assert broken.value.rule == rule
        candidate = repair(candidate)
    check(candidate)
    assert chain.tip.index == 2
