from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.app.transfer import BadLineError, Imported, take_lines, write_lines
from tallystick.chain.writes import OWN, Append
from tallystick.consensus import engine_for
from tallystick.errors import StoreCorruptError
from tallystick.model.block import Block, Header, header_of
from tallystick.model.limits import LIMITS
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.storage.memory import MemoryReader, MemoryStore
from tallystick.storage.opening import open_store

ENGINE = engine_for(CLASSIC)
NOW_MS = 1_700_000_100_000
SMALL = dataclasses.replace(LIMITS, view_page=3, side_bytes=2**62)


def chain(*data: str, on: Sequence[Block] = (CLASSIC_GENESIS,)) -> list[Block]:
    blocks = [*on]
    for each in data:
        block = ENGINE.seal(header_of(blocks[-1]), each, 1_700_000_000_000)
        assert isinstance(block, Block)
        blocks.append(block)
    return blocks


def lines(blocks: Iterable[Block]) -> bytes:
    return b"".join(msgspec.json.encode(block) + b"\n" for block in blocks)


class Folder:
    """A data folder, opened anew for each step, as a command does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def holds(self, blocks: Sequence[Block]) -> None:
        store, reader = open_store(self.path, CLASSIC, SMALL)
        store.begin()
        store.apply(Append(blocks[1:], [OWN] * (len(blocks) - 1)))
        store.commit()
        reader.close()
        store.close()

    def takes(self, file: bytes) -> Imported:
        store, reader = open_store(self.path, CLASSIC, SMALL)
        try:
            tip = reader.block(reader.tip().index)
            assert tip is not None
            return take_lines(io.BytesIO(file), store, tip, ENGINE, wall_ms=NOW_MS, limits=SMALL)
        finally:
            reader.close()
            store.close()

    def written(self) -> bytes:
        store, reader = open_store(self.path, CLASSIC, SMALL)
        out = io.BytesIO()
        write_lines(reader, out, SMALL)
        reader.close()
        store.close()
        return out.getvalue()

    def lost(self) -> list[str]:
        store, reader = open_store(self.path, CLASSIC, SMALL)
        lost = [duty.data for duty in store.lost(10)]
        reader.close()
        store.close()
        return lost


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "data")


# --- the format -------------------------------------------------------------------------------------


def test_the_format_is_pinned(folder: Folder) -> None:
    assert folder.written() == (
        b'{"data":"my genesis block!!","hash":"816534932c2b7154836da6afc367695e6337db8a921823784c14378abed4f7d7",'
        b'"index":0,"previous_hash":"0","timestamp":1465154705}\n'
    )


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 10])
def test_what_was_written_can_be_taken_and_is_the_same(tmp_path: Path, length: int) -> None:
    one, other = Folder(tmp_path / "one"), Folder(tmp_path / "other")
    blocks = chain(*('"a": 1, "a":\n\u2028é木🌳' for _ in range(length - 1)))
    one.holds(blocks)
    file = one.written()
    assert file == lines(blocks)
    taken = other.takes(file)
    assert (taken.blocks, taken.added, taken.removed) == (length, length - 1, 0)
    assert taken.tip == header_of(blocks[-1])
    assert other.written() == file
    assert other.takes(file).added == 0


@given(
    order=st.permutations(["data", "hash", "index", "previous_hash", "timestamp"]),
    end=st.sampled_from([b"\n", b"\r\n", b" \n\n", b"\r\n\r\n"]),
    bom=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    escaped=st.booleans(),
    last=st.booleans(),
)
def test_other_ways_to_write_the_same_file(order: list[str], end: bytes, bom: bytes, escaped: bool, last: bool) -> None:  # noqa: FBT001
    blocks = chain("a", "ü", "c", "d")
    documents = [{key: msgspec.to_builtins(block)[key] for key in order} for block in blocks]
    file = bom + end.join(json.dumps(document, ensure_ascii=escaped).encode() for document in documents)
    store = MemoryStore(CLASSIC, SMALL)
    taken = take_lines(io.BytesIO(file + end * last), store, CLASSIC.genesis, ENGINE, wall_ms=NOW_MS, limits=SMALL)
    assert taken.added == 4
    assert MemoryReader(store, SMALL).page(0, 100) == blocks


# --- fork choice ------------------------------------------------------------------------------------


def test_a_file_that_goes_further_is_added(folder: Folder) -> None:
    ours = chain("1", "2")
    folder.holds(ours)
    longer = chain("3", "4", "5", "6", "7", on=ours)
    assert folder.takes(lines(longer)) == Imported(8, header_of(longer[-1]), added=5, removed=0)
    assert folder.written() == lines(longer)


def test_a_file_that_is_a_part_of_ours_changes_nothing(folder: Folder) -> None:
    ours = chain("1", "2", "3", "4")
    folder.holds(ours)
    for part in (ours[:1], ours[:3], ours):
        assert folder.takes(lines(part)) == Imported(len(part), header_of(ours[-1]), added=0, removed=0)
    assert folder.written() == lines(ours)


@pytest.mark.parametrize("shared", [0, 1, 3])
@pytest.mark.parametrize("more", [1, 2, 9])
def test_a_longer_branch_replaces_ours_and_what_was_mined_is_owed(folder: Folder, shared: int, more: int) -> None:
    ours = chain(*(f"ours {n}" for n in range(5)))
    folder.holds(ours)
    left = 5 - shared
    longer = chain(*(f"other {n}" for n in range(left + more)), on=ours[: shared + 1])
    taken = folder.takes(lines(longer))
    assert taken == Imported(len(longer), header_of(longer[-1]), added=left + more, removed=left)
    assert folder.written() == lines(longer)
    assert folder.lost() == [f"ours {n}" for n in range(shared, 5)]


def test_a_branch_that_is_not_longer_changes_nothing(folder: Folder) -> None:
    ours = chain("1", "2", "3", "4")
    folder.holds(ours)
    for length in range(5):
        other = chain(*("other" for _ in range(length)))
        assert folder.takes(lines(other)) == Imported(length + 1, header_of(ours[-1]), added=0, removed=0)
    assert folder.written() == lines(ours)
    assert folder.lost() == []


# --- what is wrong ----------------------------------------------------------------------------------


def bad_files() -> Iterable[tuple[str, bytes, str]]:
    good = lines(chain("1", "2", "3", "4", "5", "6")).splitlines(keepends=True)
    other = lines(chain("x", "2", "3", "4", "5", "6")).splitlines(keepends=True)

    def with_line(number: int, line: bytes) -> bytes:
        return b"".join([*good[: number - 1], line, *good[number:]])

    yield "no json", with_line(6, b"garbage\n"), "line 6: not a block in JSON"
    yield "array", with_line(6, b"[]\n"), "line 6: not a block in JSON"
    yield "not utf-8", with_line(5, b'{"data":"\xff"}\n'), "line 5: not a block"
    yield "two in a line", with_line(2, good[1].strip() + b"," + good[2]), "line 2: 2 blocks in one line"
    yield "cut off", b"".join(good)[:-30], "line 7: not a block in JSON"
    yield "missing key", with_line(3, b'{"data":"","hash":"","index":2,"timestamp":1}\n'), "line 3: .*previous_hash"
    yield "unknown key", with_line(3, good[2].replace(b"{", b'{"x":1,', 1)), "line 3: .*x"
    yield "key twice", with_line(3, good[2].replace(b"{", b'{"index":2,', 1)), "line 3: .*twice"
    yield "wrong type", with_line(4, good[3].replace(b'"index":3', b'"index":"3"')), "line 4: .*index"
    yield (
        "hash",
        with_line(6, good[5].replace(b'"data":"5"', b'"data":"6"')),
        r"line 6: .*\(rule hash-matches-content\)",
    )
    yield "branch", b"".join([*good[:5], *other[5:]]), r"line 6: .*\(rule names-its-parent\)"
    yield "branch at a page", b"".join([*good[:3], *other[3:]]), r"line 4: .*rule (names-its-parent|parent-is-known)"
    yield "gap", b"".join([*good[:4], *good[5:]]), "line 5: block 5 where block 4 should be"
    yield "no genesis", b"".join(good[1:]), "line 1: block 1 where block 0"
    yield "twice", b"".join([*good, *good]), "line 8: block 0 where block 7"
    yield "other genesis", with_line(1, lines([another_genesis()])), r"line 1: .*\(rule hash-matches-content\)"
    yield "after blank lines", b"\n\r\n" + with_line(2, b"x\n"), "line 4: not a block"
    yield "nested", with_line(2, b"[" * 100_000 + b"\n"), "line 2: not a block"


def another_genesis() -> Block:
    return msgspec.structs.replace(CLASSIC_GENESIS, data="another")


@pytest.mark.parametrize(("file", "words"), [pytest.param(f, w, id=name) for name, f, w in bad_files()])
def test_one_bad_line_is_named_and_nothing_is_taken(folder: Folder, file: bytes, words: str) -> None:
    ours = chain("1", "2")
    folder.holds(ours)
    with pytest.raises(BadLineError, match=words) as caught:
        folder.takes(file)
    assert len(str(caught.value)) < 600
    assert folder.written() == lines(ours)
    assert folder.lost() == []


def test_a_line_longer_than_any_block_is_not_read() -> None:
    limits = dataclasses.replace(SMALL, import_line_bytes=1_000)
    with pytest.raises(BadLineError, match="line 1: longer than 1,000 bytes"):
        take_lines(
            io.BytesIO(b"x" * 10_000),
            MemoryStore(CLASSIC, SMALL),
            CLASSIC.genesis,
            ENGINE,
            wall_ms=NOW_MS,
            limits=limits,
        )


def test_an_empty_file_is_no_change(folder: Folder) -> None:
    for file in (b"", b"\n", b"\xef\xbb\xbf", b"\r\n\r\n"):
        assert folder.takes(file) == Imported(0, header_of(CLASSIC.genesis), added=0, removed=0)


def test_a_switch_while_writing_is_noticed() -> None:
    class Switching:
        def tip(self) -> Header:
            return header_of(chain("1", "2", "3", "4", "5")[-1])

        def page(self, first: int, count: int) -> Sequence[Block]:
            blocks = chain("1", "2", "3", "4", "5") if first == 0 else chain("x", "2", "3", "4", "5")
            return blocks[first : first + count]

    with pytest.raises(StoreCorruptError, match="block 3 does not follow"):
        write_lines(Switching(), io.BytesIO(), SMALL)  # type: ignore[arg-type]  # only these two are asked
