"""Chains of sealed blocks as files: the same promises as for classic ones, with work in the place of length."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tallystick.app.transfer import BadLineError, Imported, take_lines, write_lines
from tallystick.chain.writes import Append, Erase
from tallystick.consensus import difficulty, engine_for
from tallystick.model.block import Header, header_of
from tallystick.model.limits import LIMITS
from tallystick.model.network import CLASSIC, Kind, SealedRules, sealed_network
from tallystick.model.record import make_record
from tallystick.model.sealed import SealedBlock
from tallystick.storage.opening import open_store

GENESIS_MS: Final = 1_700_000_000_000
RULES: Final = SealedRules(spacing_ms=1_000, half_life_ms=600_000, bits=0x2007FFFF)
NETWORK: Final = sealed_network(Kind.WORK, "test", RULES, GENESIS_MS)
ENGINE: Final = engine_for(NETWORK)
NOW_MS: Final = GENESIS_MS + 10_000_000

Chain = list[SealedBlock]
Line = dict[str, Any]


def genesis() -> SealedBlock:
    assert isinstance(NETWORK.genesis, SealedBlock)
    return NETWORK.genesis


def mined(
    count: int, on: Sequence[SealedBlock] = (), *, name: str = "a", records: int = 2, pace_ms: int = 1_000
) -> Chain:
    """A chain, genesis first, that goes on from `on` with `count` blocks."""
    blocks = [*on] or [genesis()]

    def past(_parent: Header, most: int) -> Sequence[Header]:
        return [header_of(block) for block in blocks[-most:]]

    for _ in range(count):
        parent = header_of(blocks[-1])
        held = [
            make_record(f"{name}-{parent.index + 1}-{n}", {"text": "é木", "n": [n, 1.5, None]}, bytes([n] * 16))
            for n in range(records)
        ]
        draft = ENGINE.draft(parent, held, past, parent.timestamp + pace_ms)
        block = next(found for nonce in range(10_000) if (found := draft.sealed(nonce)) is not None)
        assert isinstance(block, SealedBlock)
        blocks.append(block)
    return blocks


class Folder:
    """A data folder, opened anew for each step, as a command does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def holds(self, blocks: Sequence[SealedBlock], *erased: int) -> Folder:
        """The blocks; the first record of those with these indexes is erased."""
        store, reader = open_store(self.path, NETWORK)
        store.begin()
        store.apply(Append(blocks[1:]))
        for index in erased:
            record = blocks[index].records[0]
            store.apply(Erase(record.id))
        store.commit()
        reader.close()
        store.close()
        return self

    def takes(self, file: bytes, wall_ms: int = NOW_MS) -> Imported:
        store, reader = open_store(self.path, NETWORK)
        try:
            tip = reader.block(reader.tip().index)
            assert tip is not None
            return take_lines(io.BytesIO(file), store, tip, ENGINE, wall_ms=wall_ms, limits=LIMITS)
        finally:
            reader.close()
            store.close()

    def written(self) -> bytes:
        store, reader = open_store(self.path, NETWORK)
        out = io.BytesIO()
        write_lines(reader, out, LIMITS)
        reader.close()
        store.close()
        return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "data")


@pytest.fixture
def other(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "other")


# --- the format -------------------------------------------------------------------------------------


def test_a_line_is_a_block_as_the_api_shows_it(folder: Folder) -> None:
    blocks = mined(1)
    lines = [json.loads(line) for line in folder.holds(blocks).written().splitlines()]
    assert [line["hash"] for line in lines] == [block.hash for block in blocks]
    assert set(lines[1]) == {
        "index", "previous_hash", "timestamp", "records", "log_size", "log_root", "body_hash", "seal", "hash",
    }  # fmt: skip
    assert lines[1]["records"][0]["data"] == {"text": "é木", "n": [0, 1.5, None]}


@pytest.mark.parametrize("length", [0, 1, 2, 7])
def test_what_was_written_can_be_taken_and_is_the_same(folder: Folder, other: Folder, length: int) -> None:
    blocks = mined(length)
    file = folder.holds(blocks).written()
    taken = other.takes(file)
    assert (taken.blocks, taken.added, taken.removed) == (length + 1, length, 0)
    assert taken.tip.hash == blocks[-1].hash
    assert other.written() == file
    assert other.takes(file).added == 0


def test_what_was_erased_stays_erased(folder: Folder, other: Folder) -> None:
    blocks = mined(3)
    file = folder.holds(blocks, 2).written()
    assert json.loads(file.splitlines()[2])["records"][0]["erased"] is True
    assert other.takes(file).added == 3
    assert other.written() == file


def test_other_ways_to_write_the_same_file(folder: Folder, other: Folder) -> None:
    file = folder.holds(mined(2)).written()
    turned = [json.dumps(dict(reversed(json.loads(line).items())), indent=None) for line in file.splitlines()]
    assert other.takes(b"\xef\xbb\xbf" + "\r\n\n".join(turned).encode()).added == 2
    assert other.written() == file


# --- fork choice ------------------------------------------------------------------------------------


def test_a_file_that_goes_further_is_added(folder: Folder, other: Folder) -> None:
    ours = mined(3)
    longer = other.holds(mined(4, ours)).written()
    assert folder.holds(ours).takes(longer) == Imported(8, folder_tip(folder), added=4, removed=0)
    assert folder.written() == longer


def folder_tip(folder: Folder) -> Header:
    store, reader = open_store(folder.path, NETWORK)
    tip = reader.tip()
    reader.close()
    store.close()
    return tip


@pytest.mark.parametrize("shared", [0, 2])
def test_a_branch_with_more_work_replaces_ours(folder: Folder, other: Folder, shared: int) -> None:
    ours = mined(4)
    theirs = other.holds(mined(5 - shared, ours[: shared + 1], name="b")).written()
    taken = folder.holds(ours).takes(theirs)
    assert (taken.added, taken.removed) == (5 - shared, 4 - shared)
    assert folder.written() == theirs


def test_a_longer_branch_with_less_work_changes_nothing(folder: Folder, other: Folder) -> None:
    """Blocks that come slowly get easier; five such took less work than three that came in time."""
    ours, theirs = mined(3), mined(5, name="b", pace_ms=RULES.half_life_ms)
    assert sum(map(work, theirs)) < sum(map(work, ours))
    before, file = folder.holds(ours).written(), other.holds(theirs).written()
    assert folder.takes(file) == Imported(6, folder_tip(folder), added=0, removed=0)
    assert folder.written() == before
    assert other.takes(before).removed == 5
    assert other.written() == before


def work(block: SealedBlock) -> int:
    return difficulty.work(int.from_bytes(block.seal[:4], "big"))


# --- what is wrong ----------------------------------------------------------------------------------


def changed(key: str, change: Callable[[Any], object]) -> Callable[[Line], Line]:
    return lambda line: {**line, key: change(line[key])}


def with_record(**changes: object) -> Callable[[Line], Line]:
    return lambda line: {**line, "records": [{**line["records"][0], **changes}, *line["records"][1:]]}


BAD: Final[dict[str, tuple[Callable[[Line], object], str]]] = {
    "data": (with_record(data="forged"), "commitment-matches-data"),
    "salt": (with_record(salt="B" * 21 + "A"), "commitment-matches-data"),
    "commitment": (with_record(commit="A" * 43), ""),
    "id": (with_record(id="other"), "body-matches-header"),
    "no record": (changed("records", lambda _: []), "body-matches-header"),
    "record twice": (changed("records", lambda held: [*held, held[0]]), "body-matches-header"),
    "order": (changed("records", lambda held: held[::-1]), "body-matches-header"),
    "hash": (changed("hash", lambda text: text[::-1]), ""),
    "time": (changed("timestamp", lambda ms: ms + 1), ""),
    "parent": (changed("previous_hash", lambda text: text[::-1]), ""),
    "log size": (changed("log_size", lambda size: size + 1), ""),
    "log root": (changed("log_root", lambda root: root[::-1]), ""),
    "seal": (changed("seal", lambda seal: seal[::-1] if isinstance(seal, str) else {}), ""),
    "no key": (lambda line: {key: line[key] for key in line if key != "seal"}, "not a block in JSON"),
    "no object": (lambda _: [], "not a block in JSON"),
    "classic": (lambda _: {"data": "", "hash": "", "index": 3, "previous_hash": "", "timestamp": 1}, "not a block"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_bad_line_is_named_and_nothing_is_taken(folder: Folder, other: Folder, name: str) -> None:
    change, words = BAD[name]
    lines = [json.loads(line) for line in other.holds(mined(5)).written().splitlines()]
    lines[3] = change(lines[3])
    before = folder.written()
    with pytest.raises(BadLineError, match=r"^line 4: ") as caught:
        folder.takes("\n".join(map(json.dumps, lines)).encode())
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600
    assert folder.written() == before


def test_a_block_that_does_not_fit_its_place_is_named(folder: Folder, other: Folder, tmp_path: Path) -> None:
    """Sound by itself, and in order, but the chain before it has another log."""
    lines = other.holds(mined(5)).written().splitlines()
    foreign = Folder(tmp_path / "foreign").holds(mined(5, name="b")).written().splitlines()
    with pytest.raises(BadLineError, match=r"line 4: .*\(rule names-its-parent\)"):
        folder.takes(b"\n".join([*lines[:3], foreign[3], *lines[4:]]))


def test_a_block_from_the_future_waits_for_its_time(folder: Folder, other: Folder) -> None:
    file = other.holds(mined(3)).written()
    with pytest.raises(BadLineError, match=r"line 3: .*\(rule time-not-from-future\)"):
        folder.takes(file, wall_ms=GENESIS_MS + 1_000 - LIMITS.future_ms)
    assert folder.takes(file).added == 3


def test_a_classic_chain_is_no_sealed_one(folder: Folder, tmp_path: Path) -> None:
    store, reader = open_store(tmp_path / "classic", CLASSIC)
    out = io.BytesIO()
    write_lines(reader, out, LIMITS)
    reader.close()
    store.close()
    with pytest.raises(BadLineError, match="line 1: not a block in JSON"):
        folder.takes(out.getvalue())
