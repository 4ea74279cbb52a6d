"""What the explorer says of blocks and proofs: the rules the node knows, by their names, and nothing that throws."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser

from tallystick.consensus.classic import ClassicEngine
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import UncheckedBlock, block_hash
from tallystick.model.log import ProofError
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.model.proof import ConsistencyProof, Proof, check, check_consistency
from tallystick.model.record import Record, raw_of, with_data, without_data
from tallystick.model.sealed import SealedBlock, sealed_block
from tallystick.model.shown import block_json
from tallystick.testing import local
from tests import format_example as example
from tests.consensus.forging import BLOCK, CHAIN, PARENT, forged, through_all_stages, whole
from tests.effort import examples
from tests.model.test_canonical import values
from tests.model.test_proof import CHANGES, LINK, document, header, linked, name
from tests.storage.sealed_blocks import record
from tests.web.modules import Modules, modules_at

GENESIS_JSON: Final = {
    "index": 0,
    "previous_hash": example.GENESIS.previous_hash.hex(),
    "timestamp": example.GENESIS_MS,
    "records": [],
    "log_size": 0,
    "log_root": example.GENESIS.log_root.hex(),
    "body_hash": example.GENESIS.body_hash.hex(),
    "seal": example.GENESIS.header[124:].hex(),
    "hash": example.GENESIS.hash.hex(),
}
BOOK_GENESIS: Final = msgspec.to_builtins(CLASSIC_GENESIS)
BOOK_BLOCK: Final = {
    "data": "hello",
    "hash": block_hash(1, CLASSIC_GENESIS.hash, 1_700_000_000, "hello"),
    "index": 1,
    "previous_hash": CLASSIC_GENESIS.hash,
    "timestamp": 1_700_000_000,
}
Path_ = tuple[str | int, ...]


@pytest.fixture(scope="module")
def modules(browser: Browser) -> Iterator[Modules]:
    with local.quiet(), local.network(1) as (ledger,), modules_at(browser, ledger.url) as modules:
        yield modules


def blocks_checked(modules: Modules, cases: Sequence[Sequence[Any]]) -> list[list[dict[str, Any]]]:
    """The checks of each block with its parent and the network's id, if they are given."""
    script = (
        "return Promise.all(given.map(([block, parent, network]) => checks.checkBlock(block, parent, { network })))"
    )
    return told(modules.run(script, list(cases)))


def proofs_checked(modules: Modules, cases: Sequence[Sequence[Any]]) -> list[list[dict[str, Any]]]:
    script = "return Promise.all(given.map(([proof, trusted]) => checks.checkProof(proof, { trusted })))"
    return told(modules.run(script, list(cases)))


def links_checked(modules: Modules, cases: Sequence[Sequence[Any]]) -> list[list[dict[str, Any]]]:
    script = "return Promise.all(given.map(([proof, old, hash]) => checks.checkConsistency(proof, old, hash)))"
    return told(modules.run(script, list(cases)))


def told(found: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """The same, if each check is told as it should be."""
    for checks in found:
        assert checks
        for each in checks:
            assert set(each) == {"rule", "holds", "what", "expected", "found"}
            assert re.fullmatch(r"[a-z]+(-[a-z]+)+", each["rule"])
            assert each["holds"] in {True, False, None}
            assert re.fullmatch(r"[ -~]{10,300}\.", each["what"]), each["what"]
            for value in (each["expected"], each["found"]):
                assert value is None or re.fullmatch(r"[ -~]{1,90}", value), value
    return found


def outcomes(checks: list[dict[str, Any]]) -> dict[str, bool | None]:
    return {each["rule"]: each["holds"] for each in checks}


def broken(checks: list[dict[str, Any]]) -> set[str]:
    return {each["rule"] for each in checks if each["holds"] is False}


# --- what is sound ----------------------------------------------------------------------------------


def test_the_worked_example_of_the_format_holds(modules: Modules) -> None:
    (genesis, one) = blocks_checked(
        modules, [[GENESIS_JSON, None, GENESIS_JSON["hash"]], [example.BLOCK_1_JSON, GENESIS_JSON]]
    )
    assert set(outcomes(genesis).values()) == set(outcomes(one).values()) == {True}
    (proof,) = proofs_checked(modules, [[example.PROOF, example.PROOF["block"]]])
    assert set(outcomes(proof).values()) == {True}
    hashes = [example.BLOCK_1.hash.hex(), example.BLOCK_2.hash.hex()]
    (link,) = links_checked(modules, [[example.CONSISTENCY, *hashes]])
    assert set(outcomes(link).values()) == {True}


def test_the_blocks_of_a_chain_hold(modules: Modules) -> None:
    shown = [msgspec.json.decode(block_json(block)) for block in CHAIN]
    first, *others = blocks_checked(
        modules, [[block, parent] for parent, block in zip([None, *shown], shown, strict=False)]
    )
    assert outcomes(first)["genesis-is-ours"] is None
    assert not broken(first)
    for checks, block in zip(others, shown[1:], strict=True):
        unknown = {rule for rule, holds in outcomes(checks).items() if holds is None}
        assert not broken(checks)
        assert unknown == (
            {"log-matches-records"} if block["records"] and block["log_size"] > len(block["records"]) else set()
        )


def test_blocks_of_the_book_hold(modules: Modules) -> None:
    genesis, block, alone = blocks_checked(modules, [[BOOK_GENESIS], [BOOK_BLOCK, BOOK_GENESIS], [BOOK_BLOCK]])
    assert set(outcomes(genesis).values()) == set(outcomes(block).values()) == {True}
    assert {rule for rule, holds in outcomes(alone).items() if holds is None} == {
        "index-follows-parent",
        "names-its-parent",
    }


def test_erased_data_cannot_be_judged_and_breaks_nothing(modules: Modules) -> None:
    held = [record("a"), record("b"), without_data(record("c"))]
    some, none = (sealed(forged(records=each), each) for each in (held, [without_data(one) for one in held]))
    (kept, gone) = blocks_checked(modules, [[some, shown(PARENT)], [none, shown(PARENT)]])
    assert not broken(kept) | broken(gone)
    assert outcomes(kept)["commitment-matches-data"] is True
    assert "1 other was erased" in next(each["what"] for each in kept if each["rule"] == "commitment-matches-data")
    assert outcomes(gone)["commitment-matches-data"] is outcomes(gone)["data-is-canonical"] is None


def test_thousands_of_records_make_as_many_checks_as_one(modules: Modules) -> None:
    held = [record(f"record-{number}") for number in range(3_000)]
    block = sealed(forged(records=held), held)
    (checks,) = blocks_checked(modules, [[block]])
    assert len(checks) == 12
    assert not broken(checks)
    block["records"][2_345]["data"] = "another"
    (checks,) = blocks_checked(modules, [[block]])
    assert broken(checks) == {"commitment-matches-data"}
    assert "Record 2346 of 3000" in next(each["what"] for each in checks if each["holds"] is False)


# --- what the node refuses --------------------------------------------------------------------------


def shown(block: SealedBlock) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.json.decode(block_json(block))
    return value


def sealed(forgery: Any, records: Sequence[Record]) -> dict[str, Any]:  # noqa: ANN401 - what `forged` makes
    return shown(sealed_block(forgery.header, forgery.fields, tuple(records)))


OTHERS: Final = [record("x"), record("y")]
FORGERIES: Final[dict[str, dict[str, Any]]] = {
    "another index": {"index": BLOCK.index + 1},
    "the index of the parent": {"index": PARENT.index},
    "another parent": {"previous_hash": bytes(32)},
    "a larger log": {"log_size": BLOCK.log_size + 1},
    "an empty log": {"log_size": 0},
    "another body": {"body_hash": bytes(32)},
    "no work": {"seal": bytes.fromhex("1d00ffff0000000000000000")},
    "no target": {"seal": bytes.fromhex("207fffff0000000000000000").replace(b"\x7f", b"\xff")},
    "a target of nothing": {"seal": bytes(12)},
    "a record twice": {"records": [OTHERS[0], OTHERS[0]]},
    "a record of another id": {"raws": [record("z"), OTHERS[1]]},
    "a record more": {"raws": [*OTHERS, record("z")]},
    "a record less": {"raws": OTHERS[:1]},
    "records in another order": {"raws": OTHERS[::-1]},
    "other data": {"raws": [msgspec.structs.replace(OTHERS[0], data=b'"other"'), OTHERS[1]]},
    "another salt": {"raws": [msgspec.structs.replace(OTHERS[0], salt=bytes(16)), OTHERS[1]]},
    "an entry of another form": {"records": [with_data("no id", b"1", bytes(16))]},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_the_node_refuses_breaks_the_same_rule_here(modules: Modules, forgery: str) -> None:
    changes = dict(FORGERIES[forgery])
    raws = changes.pop("raws", None)
    records = changes.pop("records", OTHERS)
    block = forged(records=records, raws=None if raws is None else [raw_of(each) for each in raws], **changes)
    with pytest.raises(RuleViolation) as violation:
        through_all_stages(whole(block), PARENT)
    (checks,) = blocks_checked(modules, [[sealed(block, records if raws is None else raws), shown(PARENT)]])
    assert str(violation.value.rule) in broken(checks)


def test_blocks_that_fit_together_and_still_break_a_rule(modules: Modules) -> None:
    """Each is hashed anew, so that nothing but that rule is broken, whatever else cannot be judged."""
    short = {**example.BLOCK_1_JSON, "log_size": 1}
    both = copy.deepcopy(example.BLOCK_1_JSON)
    both["records"][0]["erased"] = False  # type: ignore[index]
    long = {**example.BLOCK_1_JSON, "records": [{"id": "a" * 129, "commit": "A" * 43, "erased": True}]}
    cases: list[tuple[str, Any]] = [
        ("timestamp-has-ten-digits", {**BOOK_BLOCK, "timestamp": 10**10}),
        ("timestamp-has-ten-digits", {**BOOK_BLOCK, "timestamp": 10**9 - 1}),
        ("log-matches-records", short),
        ("commitment-matches-data", both),
        ("entry-is-well-formed", long),
    ]
    again = modules.run("return Promise.all(given.map(checks.rehash))", [block for _, block in cases])
    for (rule, _), checks in zip(cases, blocks_checked(modules, [[block] for block in again]), strict=True):
        assert rule in broken(checks) <= {rule, "seal-holds", "body-matches-header"}


def test_data_of_the_book_is_a_text(modules: Modules) -> None:
    """Or 7 and "7" would have one hash."""
    hash = block_hash(1, CLASSIC_GENESIS.hash, 1_700_000_000, "7")
    text, number = blocks_checked(modules, [[{**BOOK_BLOCK, "hash": hash, "data": data}] for data in ("7", 7)])
    assert (broken(text), broken(number)) == (set(), {"hash-matches-content"})


def test_every_rule_of_the_format_is_judged_or_said_not_to_be(modules: Modules) -> None:
    text = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
    table = text.partition("## When a block is valid")[2].partition("\n## ")[0]
    rules = {*re.findall(r"^\| `([a-z-]+)` \|", table, flags=re.MULTILINE), "hash-matches-content"}
    judged = blocks_checked(modules, [[GENESIS_JSON], [example.BLOCK_1_JSON, GENESIS_JSON]])
    assert set().union(*map(outcomes, judged)) | set(modules.run("return Object.keys(checks.NOT_JUDGED)")) == rules
    book = blocks_checked(modules, [[BOOK_GENESIS], [BOOK_BLOCK]])
    assert set().union(*map(outcomes, book)) <= {str(rule) for rule in Rule}


# --- damage -----------------------------------------------------------------------------------------

HOSTILE: Final = (
    "null", "true", "0", "-1", "1.5", "9007199254740992", "1e400", "1e21", '""', '"x"', '"\\ud800"', '"\\u202e<b>"',
    '"' + "0" * 64 + '"', '"' + "F" * 64 + '"', '"' + "a" * 5_000 + '"', "[]", "[[]]", "{}", "[" * 900 + "]" * 900,
    '{"__proto__":{"length":1}}', '{"constructor":{"prototype":1},"toString":0,"length":64}',
)  # fmt: skip
MARK: Final = "DAMAGED HERE"


def damages(value: Any) -> Iterator[tuple[Path_, str]]:  # noqa: ANN401 - any JSON value
    """The text of a JSON value with one part of it left out or replaced, for each part and each hostile value."""
    for path in places(value):
        *to, last = path
        without = copy.deepcopy(value)
        del at(without, to)[last]
        yield path, json.dumps(without)
        marked = copy.deepcopy(value)
        at(marked, to)[last] = MARK
        for hostile in HOSTILE:
            if json.dumps(json.loads(hostile)) != json.dumps(at(value, path)):
                yield path, json.dumps(marked).replace(json.dumps(MARK), hostile)


def places(value: Any, path: Path_ = ()) -> Iterator[Path_]:  # noqa: ANN401 - likewise
    if path:
        yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def at(value: Any, path: Sequence[str | int]) -> Any:  # noqa: ANN401 - likewise
    for key in path:
        value = value[key]
    return value


def given_as(*texts: str) -> str:
    return f"[{','.join(texts)}]"


SUBJECTS: Final[dict[str, tuple[Any, str, str]]] = {
    "a block": (example.BLOCK_1_JSON, "checks.checkBlock(one, beside)", json.dumps(GENESIS_JSON)),
    "a block of many": (shown(CHAIN[7]), "checks.checkBlock(one, beside)", json.dumps(shown(CHAIN[6]))),
    "a genesis block": (GENESIS_JSON, "checks.checkBlock(one, null)", "null"),
    "a block of the book": (BOOK_BLOCK, "checks.checkBlock(one, beside)", json.dumps(BOOK_GENESIS)),
    "the genesis block of the book": (BOOK_GENESIS, "checks.checkBlock(one, null)", "null"),
    "a proof": (example.PROOF, "checks.checkProof(one, { trusted: beside })", json.dumps(example.PROOF["block"])),
    "a link": (
        example.CONSISTENCY,
        "checks.checkConsistency(one, ...beside)",
        json.dumps([example.BLOCK_1.hash.hex(), example.BLOCK_2.hash.hex()]),
    ),
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_any_damage_to_any_member_breaks_a_rule(modules: Modules, subject: str) -> None:
    """But to the network that a proof names, which is not proven: any hash will do."""
    value, call, beside = SUBJECTS[subject]
    cases = [(path, text) for path, text in damages(value) if not (path == ("network",) and "0" * 64 in text)]
    script = f"const [beside, all] = given; return Promise.all(all.map((one) => {call}))"
    found = told(modules.run(script, given_as(beside, given_as(*(text for _, text in cases)))))
    for (path, text), checks in zip(cases, found, strict=True):
        assert broken(checks), (path, text[:300])


@pytest.mark.parametrize("subject", ["a block", "a block of the book"])
def test_any_damage_to_what_is_hashed_of_the_parent_breaks_a_rule(modules: Modules, subject: str) -> None:
    block, _, parent = SUBJECTS[subject]
    cases = [(path, text) for path, text in damages(json.loads(parent)) if path not in {("hash",), ("records",)}]
    script = "const [block, all] = given; return Promise.all(all.map((one) => checks.checkBlock(block, one)))"
    found = told(modules.run(script, given_as(json.dumps(block), given_as(*(text for _, text in cases)))))
    for (path, text), checks in zip(cases, found, strict=True):
        assert broken(checks), (path, text[:300])


@settings(max_examples=examples(30))
@given(
    st.lists(values | st.sampled_from([{"records": [1]}, {"records": None}, {"index": 0, "records": []}]), max_size=20)
)
def test_nothing_that_is_no_block_and_no_proof_throws(modules: Modules, drawn: list[Any]) -> None:
    script = """return Promise.all(given.flatMap((one) => [checks.checkBlock(one, given[0]), checks.checkBlock(one),
      checks.checkProof(one, { trusted: one }), checks.checkProof(one), checks.checkConsistency(one, one, one)]))"""
    for checks in told(modules.run(script, drawn)):
        assert broken(checks)
    assert len(modules.run("return Promise.all(given.map(checks.rehash))", drawn)) == len(drawn)


# --- proofs -----------------------------------------------------------------------------------------


@settings(max_examples=examples(30))
@given(
    st.lists(st.integers(1, 30).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))), min_size=1)
)
def test_proofs_hold_here_as_they_do_there(modules: Modules, drawn: list[tuple[int, int]]) -> None:
    cases = [(document(*place), name(place[1])) for place in drawn]
    bare = [({**proof, "salt": None, "data": None}, trusted) for proof, trusted in cases]
    for checks in proofs_checked(modules, cases):
        assert set(outcomes(checks).values()) == {True}
    for checks in proofs_checked(modules, bare):
        assert not broken(checks)
        assert outcomes(checks)["commitment-matches-data"] is None
    for checks in proofs_checked(modules, [[proof] for proof, _ in cases]):
        assert [rule for rule, holds in outcomes(checks).items() if holds is None] == ["block-is-trusted"]
        assert not broken(checks)


def test_changed_proofs_are_refused_here_as_they_are_there(modules: Modules) -> None:
    changed = [change(document()) for change in CHANGES.values()]
    for proof in changed:
        with pytest.raises(ProofError):
            check(msgspec.json.decode(json.dumps(proof), type=Proof), name(7))
    for change, checks in zip(CHANGES, proofs_checked(modules, [[proof, name(7)] for proof in changed]), strict=True):
        assert broken(checks), change
    (other,) = proofs_checked(modules, [[document(), name(8)]])
    assert broken(other) == {"block-is-trusted"}


def test_logs_of_all_sizes_are_linked_and_no_other(modules: Modules) -> None:
    sizes = [(old, new) for new in range(31) for old in range(new + 1)]
    links = [msgspec.to_builtins(linked(*pair)) for pair in sizes]
    for checks in links_checked(
        modules, [[link, name(old), name(new)] for link, (old, new) in zip(links, sizes, strict=True)]
    ):
        assert set(outcomes(checks).values()) == {True}
    swapped = [
        {**link, "old_header": header(old + 1).hex()} for link, (old, _) in zip(links, sizes, strict=True) if old < 30
    ]
    for link, checks in zip(swapped, links_checked(modules, [[link] for link in swapped]), strict=True):
        try:
            check_consistency(msgspec.convert(link, ConsistencyProof))
        except ProofError:
            assert broken(checks) == {"path-leads-to-both-roots"}
        else:
            assert not broken(checks)
    assert msgspec.to_builtins(LINK)["format"] == links[0]["format"]


@pytest.mark.parametrize("old", [3, 4])
def test_a_link_leads_to_both_roots(modules: Modules, old: int) -> None:
    """Whichever of them is another, and though nobody is trusted."""
    link = msgspec.to_builtins(linked(old, 7))
    for name_ in ("old_header", "header"):
        text = link[name_]
        changed = {**link, name_: text[:120] + ("00" if text[120:122] != "00" else "01") + text[122:]}
        with pytest.raises(ProofError):
            check_consistency(msgspec.convert(changed, ConsistencyProof))
        (checks,) = links_checked(modules, [[changed]])
        assert broken(checks) == {"path-leads-to-both-roots"}


# --- the lab ----------------------------------------------------------------------------------------


def test_what_is_computed_anew_of_a_sound_block_is_the_block(modules: Modules) -> None:
    sound = [example.BLOCK_1_JSON, GENESIS_JSON, BOOK_BLOCK, BOOK_GENESIS, *map(shown, CHAIN)]
    assert modules.run("return Promise.all(given.map(checks.rehash))", sound) == sound


@settings(max_examples=examples(30))
@given(st.integers(0, 1), values, st.integers(1, 2**53 - 1))
def test_a_changed_block_fits_together_again_but_for_its_seal_and_its_log(
    modules: Modules,
    which: int,
    value: Any,  # noqa: ANN401 - any JSON value
    timestamp: int,
) -> None:
    block = copy.deepcopy(example.BLOCK_1_JSON)
    block["records"][which]["data"] = value  # type: ignore[index]
    block["timestamp"] = timestamp
    again = modules.run("return checks.rehash(given)", block)
    assert block != again
    (checks,) = blocks_checked(modules, [[again, GENESIS_JSON]])
    assert broken(checks) <= {"seal-holds", "log-matches-records"}
    assert "log-matches-records" in broken(checks) or value == example.RECORDS[which].value


def test_a_block_of_the_book_is_forged_by_hashing_it_again(modules: Modules) -> None:
    """Which is what a classic network does not protect against."""
    again = modules.run("return checks.rehash(given)", {**BOOK_BLOCK, "data": "forged"})
    (checks,) = blocks_checked(modules, [[again, BOOK_GENESIS]])
    assert not broken(checks)
    ClassicEngine(CLASSIC).check_alone(UncheckedBlock(**again))
