"""What the explorer computes is what the node computes: hashes, canonical texts, targets, paths and verdicts."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser

from tallystick.consensus.difficulty import compact, expand, work
from tallystick.model.block import TIMESTAMP_MAX, TIMESTAMP_MIN, block_hash
from tallystick.model.canonical import canonical
from tallystick.model.record import Record, make_record, without_data
from tallystick.model.sealed import SealedBlock
from tallystick.model.shown import block_json
from tallystick.testing import local
from tests.effort import examples
from tests.model.merkle import entry, mth, path, proof
from tests.model.test_canonical import NO_NUMBERS, NUMBERS, double, nested, values
from tests.storage.sealed_blocks import GENESIS, child
from tests.web.browsing import Guard, guarded
from tests.web.modules import Modules, modules_at

STATIC: Final = Path(local.__file__).parents[1] / "web" / "static"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ids = st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True).filter(lambda name: name not in {".", ".."})
records = st.builds(make_record, ids, values, st.binary(min_size=16, max_size=16))


@pytest.fixture(scope="module")
def modules(browser: Browser) -> Iterator[Modules]:
    with local.quiet(), local.network(1) as (ledger,), modules_at(browser, ledger.url) as modules:
        yield modules


def batches(one: st.SearchStrategy[Any], most: int = 40) -> st.SearchStrategy[list[Any]]:
    """A list goes to the browser at once."""
    return st.lists(one, min_size=1, max_size=most)


# --- bytes and hashes -------------------------------------------------------------------------------


@settings(max_examples=examples(20))
@given(batches(st.binary(max_size=70)))
def test_bytes_are_written_and_read_the_one_way(modules: Modules, drawn: list[bytes]) -> None:
    script = """return given.map((text) => {
      const read = bytes.fromHex(text);
      const url = bytes.base64url(read);
      return [bytes.hex(read), url, bytes.hex(bytes.fromBase64url(url)), bytes.toNumber(read)];
    });"""
    for written, (hex_, url, again, number) in zip(drawn, modules.run(script, [b.hex() for b in drawn]), strict=True):
        assert hex_ == again == written.hex()
        assert url == urlsafe_b64encode(written).rstrip(b"=").decode()
        assert int(number) == int.from_bytes(written)


def test_bytes_that_are_written_otherwise_are_refused(modules: Modules) -> None:
    wrong_hex: list[Any] = ["0", "0G", "AB", " 00", "0x", "00\n", None, 0, [], {}]
    wrong_base64: list[Any] = ["A", "AAA=", "AB", "A+", "A/", "A A", "AA\n", "ÄÄ", None, 0, [], {}]
    assert all("refused" in each for each in modules.run("return each(bytes.fromHex)", wrong_hex))
    assert all("refused" in each for each in modules.run("return each(bytes.fromBase64url)", wrong_base64))
    assert all("refused" in each for each in modules.run("return each(bytes.utf8)", ["\ud800", "a\udfff", 1, None]))


def test_numbers_are_written_big_endian(modules: Modules) -> None:
    numbers = [0, 1, 255, 256, 2**31, 2**32 - 1, 2**53 - 1]
    written = modules.run("return each((one) => bytes.hex(bytes.u64(one)))", numbers)
    assert written == [number.to_bytes(8, "big").hex() for number in numbers]
    small = modules.run("return each((one) => bytes.hex(bytes.u32(one)))", numbers[:-1])
    assert small == [number.to_bytes(4, "big").hex() for number in numbers[:-1]]
    assert modules.run("return bytes.hex(bytes.u64(2n ** 64n - 1n))") == "ff" * 8
    for function, wrong in {"u64": [-1, 0.5, 2**53, "1", None], "u32": [-1, 0.5, 2**32, "1", None]}.items():
        assert all("refused" in each for each in modules.run(f"return each(bytes.{function})", wrong))


def test_both_ways_to_hash_are_sha_256(modules: Modules) -> None:
    script = """const filled = (length) => Uint8Array.from({ length }, (_, at) => (at * 7 + length) % 256);
      return each(async (length) =>
        [await hash.sha256(filled(length)), hash.sha256Here(filled(length))].map(bytes.hex));"""
    lengths = [*range(200), 1_000_000]
    for length, found in zip(lengths, modules.run(script, lengths), strict=True):
        expected = sha256(bytes((at * 7 + length) % 256 for at in range(length))).hexdigest()
        assert found == [expected, expected]


def test_a_page_that_the_browser_does_not_trust_with_webcrypto_hashes_by_itself(browser: Browser) -> None:
    """As one from a node elsewhere on the network, over plain HTTP."""
    guard = Guard(hosts={"tallystick.test"})
    with guarded(browser, guard) as context:
        page = context.new_page()
        page.route("**/*.js", lambda route: route.fulfill(path=STATIC / route.request.url.partition("/explorer/")[2]))
        page.route("**/page", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
        page.goto("http://tallystick.test/page")
        here = Modules(page)
        assert here.run("return [isSecureContext, hash.hashedBy]") == [False, "JavaScript"]
        block = child(GENESIS, [make_record("a", {"b": 1}, bytes(16))])
        assert "false" not in verdicts(here, [[shown(block), shown(GENESIS)]])[0].values()


def test_the_nodes_own_page_hashes_with_webcrypto(modules: Modules) -> None:
    assert modules.run("return hash.hashedBy") == "WebCrypto"


def test_many_are_hashed_in_their_order(modules: Modules) -> None:
    script = """return hash.ofEach(given, async (one, at) =>
      one === at && bytes.hex(await hash.sha256(bytes.u32(one))))"""
    assert modules.run(script, [*range(1_500)]) == [sha256(n.to_bytes(4, "big")).hexdigest() for n in range(1_500)]


# --- canonical JSON ---------------------------------------------------------------------------------


@settings(max_examples=examples(30))
@given(batches(values))
def test_values_have_the_same_canonical_text(modules: Modules, drawn: list[Any]) -> None:
    assert modules.run("return each(canonical.canonical)", drawn) == [canonical(value).decode() for value in drawn]


def test_numbers_are_those_of_rfc_8785_within_the_limits(modules: Modules) -> None:
    numbers = [double(bits) for bits, _ in NUMBERS]
    assert modules.run("return each(canonical.canonical)", numbers) == [text for _, text in NUMBERS]
    beyond = [double(bits) for bits, _ in NO_NUMBERS[:5]] + [2**53, -(2**53), 10**16, 10**20]
    assert all("2^53" in each["refused"] for each in modules.run("return each(canonical.canonical)", beyond))
    assert modules.run("return each(canonical.canonical)", [2**53 - 1, 1 - 2**53]) == [f"{2**53 - 1}", f"{1 - 2**53}"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "undefined", "1n", "() => 1", "Symbol()", "[,]"])
def test_what_is_no_json_has_no_canonical_text(modules: Modules, value: str) -> None:
    script = f"try {{ return canonical.canonical({value}); }} catch (error) {{ return {{ refused: error.message }}; }}"
    assert "refused" in modules.run(script)


def test_half_surrogate_pairs_and_deep_nesting_have_none_either(modules: Modules) -> None:
    halves: list[Any] = ["\ud800", {"\udfff": 1}, ["\ud83d"], {"a": {"b": "\ud800x"}}]
    assert all("surrogate" in each["refused"] for each in modules.run("return each(canonical.canonical)", halves))
    for within in "[{":
        deep = [json.loads(nested(depth, within=within)) for depth in (64, 65, 900)]
        fits, *others = modules.run("return each(canonical.canonical)", deep)
        assert fits == nested(64, within=within)
        assert all("64 deep" in each["refused"] for each in others)


def test_keys_that_objects_inherit_are_keys_like_any_other(modules: Modules) -> None:
    text = '[{"toString":1,"constructor":{"a":0},"__proto__":{"b":[]},"hasOwnProperty":null}]'
    assert modules.run("return each(canonical.canonical)", text) == [canonical(json.loads(text)[0]).decode()]


# --- blocks of the book -----------------------------------------------------------------------------


@settings(max_examples=examples(20))
@given(
    batches(st.tuples(st.integers(0, 2**53 - 1), st.text("0123456789abcdef", min_size=64, max_size=64),
                      st.integers(TIMESTAMP_MIN, TIMESTAMP_MAX), texts))
)  # fmt: skip
def test_blocks_of_the_book_have_the_same_hash(modules: Modules, drawn: list[tuple[int, str, int, str]]) -> None:
    names = ("index", "previous_hash", "timestamp", "data")
    blocks = [dict(zip(names, each, strict=True)) for each in drawn]
    assert modules.run("return each(classic.classicHash)", blocks) == [block_hash(*each) for each in drawn]


# --- sealed blocks ----------------------------------------------------------------------------------


def shown(block: SealedBlock) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.json.decode(block_json(block))
    return value


def verdicts(modules: Modules, pairs: list[list[Any]]) -> list[dict[str, Any]]:
    """Of each block and its parent: what each rule says."""
    script = "return each(async ([block, parent]) => Object.fromEntries("
    script += "(await checks.checkBlock(block, parent)).map(({ rule, holds }) => [rule, holds])))"
    return list(modules.run(script, pairs))


@settings(max_examples=examples(15))
@given(batches(records, 12), st.lists(st.booleans(), min_size=12, max_size=12))
def test_records_and_blocks_have_the_same_hashes(modules: Modules, drawn: list[Record], erased: list[bool]) -> None:
    held = [without_data(each) if gone else each for each, gone in zip(drawn, erased, strict=False)]
    block = child(child(GENESIS, drawn[:1], 7), held)
    found = modules.run(
        """return {
          entries: given.records.map(record.entryOf),
          leaves: (await hash.ofEach(given.records, record.leafOf)).map(bytes.hex),
          commits: await hash.ofEach(given.records, async (one) =>
            one.erased ? one.commit : record.commitment(one.salt, one.data)),
          body: await sealed.bodyHash(await hash.ofEach(given.records, record.leafOf)),
          header: bytes.hex(sealed.headerBytes(given)), hash: await sealed.sealedHash(given),
        };""",
        bytes(block_json(block)).decode(),
    )
    assert found["entries"] == [each.entry.decode() for each in held]
    assert found["leaves"] == [each.leaf.hex() for each in held]
    assert found["commits"] == [json.loads(each.entry)["commit"] for each in held]
    assert (found["body"], found["hash"]) == (block.body_hash.hex(), block.hash)
    assert sha256(bytes.fromhex(found["header"])).hexdigest() == block.hash


bits = st.integers(0, 2**32 - 1) | st.builds(
    lambda size, mantissa: size << 24 | mantissa, st.integers(0, 34), st.integers(0, 2**24 - 1)
)


@settings(max_examples=examples(20))
@given(batches(bits, 60))
def test_bits_stand_for_the_same_targets(modules: Modules, drawn: list[int]) -> None:
    script = """return each((one) => {
      const target = sealed.expand(one);
      return [target, sealed.compact(target), sealed.expectedHashes(one),
        sealed.meetsTarget(target.toString(16).padStart(64, "0"), one),
        target + 1n < 2n ** 256n && sealed.meetsTarget((target + 1n).toString(16).padStart(64, "0"), one)];
    });"""
    for each, found in zip(drawn, modules.run(script, drawn), strict=True):
        try:
            target = expand(each)
        except ValueError:
            assert "refused" in found
        else:
            assert found == [str(target), each, str(work(each)), True, False]
            assert compact(target) == each


# --- the log ----------------------------------------------------------------------------------------

ENTRIES: Final = [entry(number) for number in range(33)]


INCLUSION: Final = """return each(async ([leaf, position, size, path]) => bytes.hex(
  await log.followInclusion(bytes.fromHex(leaf), position, size, path.map(bytes.fromHex))));"""
CONSISTENCY: Final = """return each(async ([old, oldRoot, size, root, path]) => (await log.followConsistency(
  old, bytes.fromHex(oldRoot), size, bytes.fromHex(root), path.map(bytes.fromHex))).map(bytes.hex));"""
SIZES: Final = range(len(ENTRIES) + 1)
LEAVES: Final = [sha256(b"\0" + each).hexdigest() for each in ENTRIES]
ROOTS: Final = [mth(ENTRIES[:size]).hex() for size in SIZES]


def test_roots_are_those_of_the_tree_of_the_rfc(modules: Modules) -> None:
    script = "return each(async (leaves) => bytes.hex(await log.rootOf(leaves.map(bytes.fromHex))))"
    assert modules.run(script, [LEAVES[:size] for size in SIZES]) == ROOTS
    script = "return each(async (text) => bytes.hex(await log.leafHash(bytes.utf8(text))))"
    assert modules.run(script, [each.decode() for each in ENTRIES]) == LEAVES


def test_a_path_leads_from_every_position_to_the_root_and_no_longer_or_shorter_one_does(modules: Modules) -> None:
    ways = [
        (LEAVES[position], position, size, [each.hex() for each in path(position, ENTRIES[:size])])
        for size in SIZES
        for position in range(size)
    ]
    assert modules.run(INCLUSION, ways) == [ROOTS[size] for _, _, size, _ in ways]
    longer = [(*rest, [*path, LEAVES[0]]) for *rest, path in ways]
    shorter = [(*rest, path[:-1]) for *rest, path in ways if path]
    assert all("refused" in each for each in modules.run(INCLUSION, longer + shorter))


def test_a_path_leads_from_every_root_to_every_later_one(modules: Modules) -> None:
    ways = [
        (old, ROOTS[old], new, ROOTS[new], [each.hex() for each in proof(old, ENTRIES[:new])] if 0 < old < new else [])
        for new in SIZES
        for old in range(new + 1)
    ]
    assert modules.run(CONSISTENCY, ways) == [[old, new] for _, old, _, new, _ in ways]
    longer = [(*rest, [*path, LEAVES[0]]) for *rest, path in ways]
    shorter = [(*rest, path[:-1]) for *rest, path in ways if path]
    assert all("refused" in each for each in modules.run(CONSISTENCY, longer + shorter))
    assert all("refused" in each for each in modules.run(CONSISTENCY, [(5, ROOTS[5], 3, ROOTS[3], [])]))


def test_a_position_beyond_the_log_is_refused(modules: Modules) -> None:
    script = "return each(async ([position, size]) => log.followInclusion(log.EMPTY_ROOT, position, size, []))"
    assert all("refused" in each for each in modules.run(script, [[0, 0], [1, 1], [-1, 1], [2**53 - 1, 2**53 - 1]]))
