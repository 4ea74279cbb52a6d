"""What the fuzzer found worth keeping, without a fuzzer: every input holds, and breaks once the code is broken."""

from __future__ import annotations

from typing import Final

import pytest

from tests.fuzz.draw import Draw
from tests.fuzz.target import CORPUS, FILES_MOST, NAMES, Target, kept, load

CORPUS_BYTES: Final = 250_000
"""Of all files together: more would be a burden for everybody who clones."""


def inputs(name: str) -> list[tuple[str, bytes]]:
    """Where a search begins: the seeds, and then what was found worth keeping."""
    seeds = [(f"seed {number}", data) for number, data in enumerate(load(name).seeds())]
    return seeds + [(str(file), file.read_bytes()) for file in kept(name)]


@pytest.mark.parametrize("name", NAMES)
def test_whatever_was_found_holds(name: str) -> None:
    """Catalogue row 23, from bytes that led somewhere."""
    target = load(name)
    assert list(target.seeds()) == list(target.seeds())
    for where, data in inputs(name):
        assert len(data) <= target.size_bytes
        try:
            target.one(data)
        except Exception as error:
            error.add_note(f"broken by {where}; replay it: python -m tests.fuzz replay {name} FILE")
            raise


@pytest.mark.parametrize("name", NAMES)
def test_a_target_notices_when_the_code_is_broken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would find nothing, however long it looked."""
    target = load(name)
    target.plant(monkeypatch.setattr)
    assert any(_is_broken(target, data) for _, data in reversed(inputs(name)))


def _is_broken(target: Target, data: bytes) -> bool:
    try:
        target.one(data)
    except Exception:  # noqa: BLE001 - any exception breaks a law
        return True
    return False


def test_the_corpus_is_small_and_of_targets_there_are() -> None:
    assert sorted(folder.name for folder in CORPUS.iterdir()) == sorted(NAMES)
    assert all(0 < len(kept(name)) <= FILES_MOST for name in NAMES)
    assert sum(file.stat().st_size for name in NAMES for file in kept(name)) <= CORPUS_BYTES


def test_any_bytes_are_choices_and_an_end_is_zeros() -> None:
    draw = Draw(b"\x05\x02\x01\xff\x02ab")
    assert (draw.upto(3), draw.pick("abc"), draw.chance(), draw.byte()) == (1, "c", True, 255)
    assert bool(draw)
    assert (draw.blob(), bool(draw)) == (b"ab", False)
    assert (draw.byte(), draw.upto(10**6), draw.integer(), draw.blob(), draw.pick("xy")) == (0, 0, 0, b"", "x")
    assert Draw(b"\xff" * 9).integer() == -1
