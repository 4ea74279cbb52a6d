"""What the pages compute beyond a block and its parent: the edge of the log, and blocks as a forger would make them."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
import pytest
from playwright.sync_api import Browser

from tallystick.consensus.classic import ClassicEngine
from tallystick.model.block import UncheckedBlock, block_hash, header_of
from tallystick.model.log import Node, extend, parents, prove_inclusion, root_of
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.model.sealed import SealedBlock
from tallystick.model.shown import block_json, read_block_json
from tallystick.testing import local
from tests.consensus.forging import CHAIN, ENGINE, LATER_MS, PAST
from tests.model.merkle import entry
from tests.web.modules import Modules, modules_at

LEAVES: Final = [sha256(b"\0" + entry(number)).digest() for number in range(5_000)]
LEVELS: Final = [LEAVES]
while len(LEVELS[-1]) > 1:
    LEVELS.append(parents(LEVELS[-1]))


@pytest.fixture(scope="module")
def modules(browser: Browser) -> Iterator[Modules]:
    with local.quiet(), local.network(1) as (ledger,), modules_at(browser, ledger.url) as modules:
        yield modules


# --- the edge of the log ----------------------------------------------------------------------------


def hashes(nodes: Sequence[Node]) -> list[bytes]:
    return [LEVELS[level][index] for level, index in nodes]


def way(position: int, size: int) -> tuple[int, int, list[str]]:
    return position, size, [each.hex() for each in prove_inclusion(position, size, hashes)]


def edge_of(size: int) -> list[str]:
    return [each.hex() for each in extend((), 0, LEAVES[:size])]


EDGE: Final = """return each(async ([position, size, path]) => {
  const { size: found, trees } = frontier.edgeBefore(position, size, path.map(bytes.fromHex));
  return [found, trees.map(bytes.hex), bytes.hex(await frontier.rootOfEdge({ size: found, trees }))];
});"""


def test_a_path_shows_the_log_before_its_entry(modules: Modules) -> None:
    small = [(position, size) for size in range(131) for position in range(size)]
    large = [(pow(7, size, size), size) for size in range(131, len(LEAVES), 16)]
    edges = [edge_of(size) for size in range(131)]
    for found, (position, _) in zip(
        modules.run(EDGE, [way(*each) for each in small + large]), small + large, strict=True
    ):
        edge = edges[position] if position < len(edges) else edge_of(position)
        assert found == [position, edge, root_of([bytes.fromhex(each) for each in edge]).hex()]


def test_a_path_that_is_too_long_or_too_short_shows_nothing(modules: Modules) -> None:
    """Or it shows the same log: what is beside on the right does not matter, and then the root is compared."""
    ways = [way(position, size) for size in range(1, 70) for position in range(size)]
    longer = [(position, size, [*path, "0" * 64]) for position, size, path in ways]
    assert all("refused" in each for each in modules.run(EDGE, longer))
    shorter = [(position, size, path[:-1]) for position, size, path in ways if path]
    for found, (position, _, _) in zip(modules.run(EDGE, shorter), shorter, strict=True):
        assert "refused" in found or found[1] == edge_of(position)


def test_an_edge_is_extended_by_leaves(modules: Modules) -> None:
    script = """const leaves = given.leaves.map(bytes.fromHex);
      return Promise.all(given.sizes.map(async ([first, last]) => {
        const edge = { size: first, trees: given.edges[first].map(bytes.fromHex) };
        const { size, trees } = await frontier.extended(edge, leaves.slice(first, last));
        return [size, trees.map(bytes.hex)];
      }));"""
    sizes = [(first, first + more) for first in range(100) for more in (0, 1, 2, 3, 13, 30)]
    given = {"leaves": [each.hex() for each in LEAVES[:130]], "sizes": sizes, "edges": [edge_of(n) for n in range(100)]}
    assert modules.run(script, given) == [[last, edge_of(last)] for _, last in sizes]


# --- everything about a block -----------------------------------------------------------------------


def shown(block: SealedBlock) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.json.decode(block_json(block))
    return value


WHOLE: Final = """return each(async ([block, parent, answer]) => {
  const network = { id: "0".repeat(64), kind: "work" };
  const checks = await whole.blockChecks(block, parent, { network, ref: block.hash, ask: async () => answer });
  return Object.fromEntries(checks.map(({ rule, holds }) => [rule, holds]));
});"""
AT: Final = next(n for n, block in enumerate(CHAIN) if len(block.records) > 1 and block.log_size > 4)
PAIR: Final = [shown(CHAIN[AT]), shown(CHAIN[AT - 1])]


POSITION: Final = CHAIN[AT].log_size - len(CHAIN[AT].records)


def answer_of(path: object, position: object = POSITION) -> dict[str, Any]:
    """What a node says of the block's first record."""
    commit = json.loads(CHAIN[AT].records[0].entry)["commit"]
    return {"records": [{"commit": commit, "proof": {"position": position, "path": path}}]}


def true_path() -> list[str]:
    leaves = [record.leaf for block in CHAIN[: AT + 1] for record in block.records]
    levels = [leaves]
    while len(levels[-1]) > 1:
        levels.append(parents(levels[-1]))
    position = CHAIN[AT].log_size - len(CHAIN[AT].records)
    return [
        each.hex()
        for each in prove_inclusion(
            position, len(leaves), lambda nodes: [levels[level][index] for level, index in nodes]
        )
    ]


def test_a_true_proof_settles_the_log_of_a_block(modules: Modules) -> None:
    (found,) = modules.run(WHOLE, [[*PAIR, answer_of(true_path())]])
    assert set(found.values()) == {True}


NO_RECORDS: Final[list[Any]] = [[], None, 7, [None], [{}], [{"commit": None}], "text", [[]]]


def test_no_answer_of_a_node_throws_or_is_believed(modules: Modules) -> None:
    """A hash beside the path on its right is of entries that come later: it is not looked at."""
    path, other = true_path(), "0" * 64
    lefts = {step for step, each in enumerate(path) if each in {left.hex() for left in CHAIN[AT - 1].edge}}
    assert lefts
    assert len(lefts) < len(path)
    wrong: list[Any] = [
        *(answer_of([*path[:at], other, *path[at + 1 :]]) for at in lefts),
        *(answer_of(path, position) for position in (0, -1, 10**9, None, "5", 1.5)),
        *map(answer_of, ([], [other], [*path, other], [None], ["xyz"], [1], [other] * 10_000)),
        *map(answer_of, (None, 7, "text", {}, {"length": 3})),
        *({"records": odd} for odd in NO_RECORDS),
        *(None, 7, "text", [], {}),
    ]
    for answer, found in zip(wrong, modules.run(WHOLE, [[*PAIR, each] for each in wrong]), strict=True):
        assert "refused" not in found, answer
        assert found.pop("log-matches-records") is not True, answer
        assert set(found.values()) == {True}


# --- forgeries --------------------------------------------------------------------------------------

FORGE: Final = """
  const { blocks, at, data } = given;
  const copies = structuredClone(blocks);
  const edge = given.edge && { size: given.edge.size, trees: given.edge.trees.map(bytes.fromHex) };
  if (copies[at].records) copies[at].records[0].data = data;
  else copies[at].data = data;
  const broken = async (blocks) => (await tamper.judged(blocks, given.parent, edge)).map((checks) =>
    checks.filter(({ holds }) => holds === false).map(({ rule }) => rule));
  const stages = [await broken(blocks), await broken(copies)];
  let made = await tamper.rewritten(copies, at, { edge, all: false });
  stages.push(await broken(made));
  made = await tamper.rewritten(made, at, { edge, all: true });
  stages.push(await broken(made));
  for (let place = at; made[place]?.seal && place < made.length; place += 1) {
    const { block } = await tamper.sealed(made[place], async () => true);
    made = made.with(place, block);
    if (place + 1 === made.length) break;
    const next = made.with(place + 1, { ...made[place + 1], previous_hash: block.hash });
    made = await tamper.rewritten(next, place + 1, { edge, all: true });
  }
  stages.push(await broken(made));
  return { made, stages, given: blocks };
"""


def test_a_rewritten_work_chain_is_one_that_the_node_accepts(modules: Modules) -> None:
    """That is what makes the lab true: nothing is wrong with the forgery but that others have another one."""
    first = next(n for n, block in enumerate(CHAIN) if block.records and n > 1)
    before, blocks = CHAIN[first - 1], CHAIN[first : first + 4]
    edge = {"size": before.log_size, "trees": [each.hex() for each in before.edge]}
    originals = [shown(block) for block in blocks]
    given = {"blocks": originals, "parent": shown(before), "edge": edge, "at": 0, "data": {"another": ["value"]}}
    found = modules.run(FORGE, given)
    untouched, content, link, resealed, done = found["stages"]
    assert untouched == done == [[]] * 4
    assert content[0] == ["commitment-matches-data"]
    assert "names-its-parent" in link[1]
    assert {rule for rules in resealed for rule in rules} <= {"seal-holds"}
    assert found["given"] == originals  # copies were changed, and nothing else
    read = [ENGINE.check_alone(read_block_json(json.dumps(block).encode(), 10_000)) for block in found["made"]]
    placed = ENGINE.place(read, header_of(before), PAST, LATER_MS).blocks
    edge_now, size = before.edge, before.log_size
    for block, original in zip(placed, blocks, strict=True):
        edge_now, size = extend(edge_now, size, [each.leaf for each in block.records]), size + len(block.records)
        assert (block.log_size, block.log_root) == (size, root_of(edge_now))
        assert block.hash != original.hash
    assert placed[0].records[0].data == b'{"another":["value"]}'


@pytest.mark.parametrize("at", range(4))
def test_whichever_block_of_a_classic_chain_is_rewritten_the_node_accepts_it(modules: Modules, at: int) -> None:
    engine, chain = ClassicEngine(CLASSIC), [msgspec.to_builtins(CLASSIC_GENESIS)]
    for number in range(1, 5):
        parent = chain[-1]["hash"]
        hash = block_hash(number, parent, 1_700_000_000 + number, f"text {number}")
        chain.append({"index": number, "previous_hash": parent, "timestamp": 1_700_000_000 + number,
                      "data": f"text {number}", "hash": hash})  # fmt: skip
    given = {"blocks": chain[1:], "parent": chain[0], "edge": None, "at": at, "data": "ä \U0001f333 another"}
    found = modules.run(FORGE, given)
    untouched, content, link, rewritten, _ = found["stages"]
    assert untouched == rewritten == [[]] * 4
    assert content[at] == ["hash-matches-content"]
    assert link[at] == []
    assert link[at + 1 :] == ([["names-its-parent"], *[[]] * (2 - at)] if at < 3 else [])
    blocks = [engine.check_alone(msgspec.convert(block, UncheckedBlock)) for block in [chain[0], *found["made"]]]
    for parent_, block in itertools.pairwise(blocks):
        engine.check_in_place(block, header_of(parent_))


def test_a_search_for_a_nonce_stops_when_it_is_told_to(modules: Modules) -> None:
    hard = copy.deepcopy(PAIR[0])
    hard["seal"] = "1d00ffff" + "0" * 16
    script = "let turns = 0; return [await tamper.sealed(given, async () => (turns += 1) < 4), turns]"
    assert modules.run(script, hard) == [None, 4]
