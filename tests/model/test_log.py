"""The log: proofs are those of the RFC, hold, and hold for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.model.log import (
    EMPTY_EDGE,
    EMPTY_ROOT,
    Edge,
    ProofError,
    check_consistency,
    check_inclusion,
    extend,
    leaf_hash,
    node_hash,
    parents,
    prove_consistency,
    prove_inclusion,
    root_of,
)

from .merkle import Reading, entry, mth, path, proof, split

ENTRIES: Final = [entry(number) for number in range(600)]
LEAVES: Final = [leaf_hash(each) for each in ENTRIES]
SIZES: Final = st.integers(1, len(ENTRIES))


@st.composite
def included(draw: st.DrawFn) -> tuple[int, int]:
    """A position, and the size of a log that reaches beyond it."""
    size = draw(SIZES)
    return draw(st.integers(0, size - 1)), size


@st.composite
def grown(draw: st.DrawFn) -> tuple[int, int]:
    """The size of a log, and what it grew to; there is a path between them."""
    new = draw(st.integers(2, len(ENTRIES)))
    return draw(st.integers(1, new - 1)), new


def holds_inclusion(leaf: bytes, position: int, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    try:
        check_inclusion(leaf, position, size, root, path)
    except ProofError as error:
        assert 0 < len(str(error)) < 300
        return False
    return True


def holds_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    try:
        check_consistency(old, old_root, new, new_root, path)
    except ProofError as error:
        assert 0 < len(str(error)) < 300
        return False
    return True


# --- what was published -----------------------------------------------------------------------------

PUBLISHED: Final = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
"""The entries that Certificate Transparency's implementations are tested with, and below what comes of them."""

ROOTS: Final = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

E1: Final = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
E4: Final = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E6: Final = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
N23: Final = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N45: Final = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
N67: Final = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N4567: Final = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"

INCLUSIONS: Final = [
    (0, 1, []),
    (0, 8, [E1, N23, N4567]),
    (5, 8, [E4, N67, ROOTS[4]]),
    (2, 3, [ROOTS[2]]),
    (1, 5, [ROOTS[1], N23, E4]),
]

CONSISTENCIES: Final = [
    (1, 1, []),
    (1, 8, [E1, N23, N4567]),
    (6, 8, [N45, N67, ROOTS[4]]),
    (2, 5, [N23, E4]),
    (6, 7, [N45, E6, ROOTS[4]]),
]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert root_of(extend(EMPTY_EDGE, 0, [leaf_hash(each) for each in PUBLISHED[:size]])).hex() == ROOTS[size]
    assert mth(PUBLISHED[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("position", "size", "expected"), INCLUSIONS)
def test_inclusion_paths_are_the_published_ones(position: int, size: int, expected: list[str]) -> None:
    proven = prove_inclusion(position, size, Reading(PUBLISHED[:size]))
    assert [hash.hex() for hash in proven] == expected
    check_inclusion(leaf_hash(PUBLISHED[position]), position, size, bytes.fromhex(ROOTS[size]), proven)


@pytest.mark.parametrize(("old", "new", "expected"), CONSISTENCIES)
def test_consistency_paths_are_the_published_ones(old: int, new: int, expected: list[str]) -> None:
    proven = prove_consistency(old, new, Reading(PUBLISHED[:new]))
    assert [hash.hex() for hash in proven] == expected
    check_consistency(old, bytes.fromhex(ROOTS[old]), new, bytes.fromhex(ROOTS[new]), proven)


def test_the_example_of_rfc_9162_reads_as_it_stands_there() -> None:
    """Section 2.1.5: a tree of seven, its nodes named a to l."""
    #              root
    #            /      \
    #           k        l
    #          / \      / \
    #         g   h    i   j
    #        /\   /\   /\  |
    #       a  b c  d e  f d6
    a, b, c, d, e, f, j = LEAVES[:7]
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, l = node_hash(g, h), node_hash(i, j)  # noqa: E741 - its name there
    read = Reading(ENTRIES[:7])
    assert root_of((k, i, j)) == node_hash(k, l)
    assert extend(EMPTY_EDGE, 0, LEAVES[:7]) == (k, i, j)
    paths = {position: prove_inclusion(position, 7, read) for position in (0, 3, 4, 6)}
    assert paths == {0: [b, h, l], 3: [c, g, l], 4: [f, j, k], 6: [i, k]}
    between = {old: prove_consistency(old, 7, read) for old in (3, 4, 6)}
    assert between == {3: [c, d, g, l], 4: [l], 6: [i, j, k]}


# --- the twin ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 150), max_size=6))
def test_a_log_that_grows_in_any_steps_has_the_root_of_its_definition(steps: list[int]) -> None:
    edge: Edge = EMPTY_EDGE
    size = 0
    for step in steps:
        more = [leaf_hash(entry(number)) for number in range(size, size + step)]
        edge, size = extend(edge, size, more), size + step
        assert root_of(edge) == mth([entry(number) for number in range(size)])
        assert len(edge) == size.bit_count()


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=9))
def test_parents_are_of_pairs(hashes: list[bytes]) -> None:
    expected = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
    assert parents(hashes) == expected


@given(included())
def test_inclusion_is_proven_as_the_rfc_defines_it(place: tuple[int, int]) -> None:
    position, size = place
    read = Reading(ENTRIES[:size])
    proven = prove_inclusion(position, size, read)
    assert proven == path(position, ENTRIES[:size])
    (asked,) = read.asked
    assert len(asked) <= 2 * size.bit_length()
    check_inclusion(LEAVES[position], position, size, mth(ENTRIES[:size]), proven)


@given(grown())
def test_consistency_is_proven_as_the_rfc_defines_it(sizes: tuple[int, int]) -> None:
    old, new = sizes
    read = Reading(ENTRIES[:new])
    proven = prove_consistency(old, new, read)
    assert proven == proof(old, ENTRIES[:new])
    (asked,) = read.asked
    assert len(asked) <= 2 * new.bit_length()
    check_consistency(old, mth(ENTRIES[:old]), new, mth(ENTRIES[:new]), proven)


def test_all_proofs_of_small_logs_are_those_of_the_rfc_and_hold() -> None:
    roots = [mth(ENTRIES[:size]) for size in range(34)]
    for size in range(1, 34):
        read = Reading(ENTRIES[:size])
        for position in range(size):
            proven = prove_inclusion(position, size, read)
            assert proven == path(position, ENTRIES[:size])
            check_inclusion(LEAVES[position], position, size, roots[size], proven)
        for old in range(1, size + 1):
            proven = prove_consistency(old, size, read)
            assert proven == proof(old, ENTRIES[:size])
            check_consistency(old, roots[old], size, roots[size], proven)


# --- what does not hold -----------------------------------------------------------------------------


@st.composite
def changed(draw: st.DrawFn, path: Sequence[bytes]) -> list[bytes]:
    """The path with one thing changed."""
    changes = ["longer", *(["bit", "left out", "cut", "doubled"] if path else [])]
    match draw(st.sampled_from(changes)):
        case "longer":
            at = draw(st.integers(0, len(path)))
            return [*path[:at], draw(st.binary(min_size=32, max_size=32)), *path[at:]]
        case "bit":
            at, bit = draw(st.integers(0, len(path) - 1)), draw(st.integers(0, 255))
            return [*path[:at], flipped(path[at], bit), *path[at + 1 :]]
        case "left out":
            at = draw(st.integers(0, len(path) - 1))
            return [*path[:at], *path[at + 1 :]]
        case "cut":
            at, length = draw(st.integers(0, len(path) - 1)), draw(st.integers(0, 31))
            return [*path[:at], path[at][:length], *path[at + 1 :]]
        case _:
            at = draw(st.integers(0, len(path) - 1))
            return [*path[:at], path[at] + path[at], *path[at + 1 :]]


def flipped(hash: bytes, bit: int) -> bytes:
    return (int.from_bytes(hash, "big") ^ 1 << bit).to_bytes(len(hash), "big")


@given(included(), st.data())
def test_a_changed_inclusion_path_is_refused(place: tuple[int, int], data: st.DataObject) -> None:
    position, size = place
    root, proven = mth(ENTRIES[:size]), path(position, ENTRIES[:size])
    assert not holds_inclusion(LEAVES[position], position, size, root, data.draw(changed(proven)))
    bit = data.draw(st.integers(0, 255))
    assert not holds_inclusion(flipped(LEAVES[position], bit), position, size, root, proven)
    assert not holds_inclusion(LEAVES[position], position, size, flipped(root, bit), proven)


@given(grown(), st.data())
def test_a_changed_consistency_path_is_refused(sizes: tuple[int, int], data: st.DataObject) -> None:
    old, new = sizes
    old_root, new_root = mth(ENTRIES[:old]), mth(ENTRIES[:new])
    proven = proof(old, ENTRIES[:new])
    assert not holds_consistency(old, old_root, new, new_root, data.draw(changed(proven)))
    bit = data.draw(st.integers(0, 255))
    assert not holds_consistency(old, flipped(old_root, bit), new, new_root, proven)
    assert not holds_consistency(old, old_root, new, flipped(new_root, bit), proven)


def turns(m: int, n: int) -> str:
    """The way from leaf m up to the root of n: on which side each sibling stands."""
    if n == 1:
        return ""
    k = split(n)
    return turns(m, k) + "r" if m < k else turns(m - k, n - k) + "l"


def growth(m: int, n: int, *, whole: bool = True) -> str:
    """The way from the first m leaves up to the root of n: what was there before, and what came."""
    if m == n:
        return "old" if whole else ""
    k = split(n)
    return growth(m, k, whole=whole) + "+" if m <= k else growth(m - k, n - k, whole=False) + "="


@given(included(), included())
def test_an_inclusion_path_is_of_one_place_only(place: tuple[int, int], claimed: tuple[int, int]) -> None:
    """A root does not tell the size of its log: of another size the same path may hold, if it is the same way. That is
    why headers commit to both."""
    proven, root = path(place[0], ENTRIES[: place[1]]), mth(ENTRIES[: place[1]])
    assert holds_inclusion(LEAVES[place[0]], *claimed, root, proven) == (turns(*claimed) == turns(*place))
    for position in range(-1, place[1] + 2):
        assert holds_inclusion(LEAVES[place[0]], position, place[1], root, proven) == (position == place[0])


@given(grown(), grown())
def test_a_consistency_path_is_between_two_logs_only(sizes: tuple[int, int], claimed: tuple[int, int]) -> None:
    """Likewise."""
    roots = [mth(ENTRIES[:size]) for size in sizes]
    proven = proof(sizes[0], ENTRIES[: sizes[1]])
    held = holds_consistency(claimed[0], roots[0], claimed[1], roots[1], proven)
    assert held == (growth(*claimed) == growth(*sizes))


@given(grown())
def test_a_log_that_was_rewritten_is_not_consistent(sizes: tuple[int, int]) -> None:
    """Whatever path is shown: here those that would be right for either log."""
    old, new = sizes
    rewritten = [*ENTRIES[: old - 1], b"something else", *ENTRIES[old:new]]
    for entries in (ENTRIES[:new], rewritten):
        assert not holds_consistency(old, mth(ENTRIES[:old]), new, mth(rewritten), proof(old, entries))


def test_the_empty_log_and_the_log_itself_need_no_path() -> None:
    root = mth(ENTRIES[:5])
    assert prove_consistency(0, 5, Reading(ENTRIES[:5])) == prove_consistency(5, 5, Reading(ENTRIES[:5])) == []
    assert prove_consistency(0, 0, Reading([])) == []
    check_consistency(0, EMPTY_ROOT, 5, root, [])
    check_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    check_consistency(5, root, 5, root, [])
    for old, old_root, size, size_root in ((0, root, 5, root), (5, root, 5, EMPTY_ROOT), (0, root, 0, EMPTY_ROOT)):
        assert not holds_consistency(old, old_root, size, size_root, [])
    for old, old_root in ((0, EMPTY_ROOT), (5, root)):
        assert not holds_consistency(old, old_root, 5, root, [root])


@pytest.mark.parametrize(("position", "size"), [(0, 0), (-1, 3), (3, 3), (2**60, 3), (0, -1)])
def test_what_is_not_in_the_log_has_no_path(position: int, size: int) -> None:
    with pytest.raises(ValueError, match="no entry"):
        prove_inclusion(position, size, Reading(ENTRIES))
    with pytest.raises(ProofError, match="none stands at position"):
        check_inclusion(LEAVES[0], position, size, mth(ENTRIES[:3]), [])


@pytest.mark.parametrize(("old", "new"), [(4, 3), (-1, 3), (1, 0)])
def test_a_log_does_not_shrink(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="no beginning"):
        prove_consistency(old, new, Reading(ENTRIES))
    with pytest.raises(ProofError, match="no beginning"):
        check_consistency(old, mth(ENTRIES[: max(old, 0)]), new, mth(ENTRIES[:new]), [])


def test_the_longest_log_there_can_be_is_checked_in_53_steps() -> None:
    """A log has up to 2^53 - 1 entries; a path longer than it is high is refused on the way, however long it is."""
    size, hash = 2**53 - 1, bytes(32)
    for count in (0, 52, 54, 100_000):
        assert not holds_inclusion(hash, size // 2, size, hash, [hash] * count)
        assert not holds_consistency(size // 2, hash, size, hash, [hash] * count)
    with pytest.raises(ProofError, match="longer than"):
        check_inclusion(hash, 0, size, hash, [hash] * 54)
    with pytest.raises(ProofError, match="too short"):
        check_inclusion(hash, 0, size, hash, [hash] * 52)
    with pytest.raises(ProofError, match="leads to the root"):
        check_inclusion(hash, 0, size, hash, [hash] * 53)
