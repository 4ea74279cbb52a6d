"""The classic dialect: golden bytes out, one reading in."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Block, UncheckedBlock, block_hash
from tallystick.model.network import CLASSIC_GENESIS
from tallystick.wire import classic

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
blocks = st.builds(
    Block,
    data=texts,
    hash=st.text("0123456789abcdef", min_size=64, max_size=64),
    index=st.integers(0, 2**53 - 1),
    previous_hash=st.text("0123456789abcdef", min_size=64, max_size=64),
    timestamp=st.integers(10**9, 10**10 - 1),
)


def as_unchecked(block: Block) -> UncheckedBlock:
    return UncheckedBlock(block.data, block.hash, block.index, block.previous_hash, block.timestamp)


def as_the_book_writes(*chain: Block) -> bytes:
    rows = [
        {
            "data": b.data,
            "hash": b.hash,
            "index": b.index,
            "previous_hash": b.previous_hash,
            "timestamp": b.timestamp,
        }
        for b in chain
    ]
    return json.dumps({"type": 2, "data": json.dumps(rows)}).encode()


def a_block(**changes: str) -> str:
    """The JSON text of a block, with some values replaced by raw JSON."""
    values = {"data": '"a"', "hash": '"x"', "index": "1", "previous_hash": '"0"', "timestamp": "1465154705"}
    return "{" + ", ".join(f'"{key}": {value}' for key, value in (values | changes).items()) + "}"


def response_of(inner: str) -> bytes:
    return json.dumps({"type": 2, "data": inner}).encode()


# --- golden bytes -----------------------------------------------------------------------------------


def test_queries_are_the_bytes_of_the_book() -> None:
    assert classic.QUERY_LATEST == b'{"type": 0}'
    assert classic.QUERY_ALL == b'{"type": 1}'


def test_the_genesis_response_is_the_bytes_of_the_book() -> None:
    assert classic.response([CLASSIC_GENESIS]) == (
        b'{"type": 2, "data": "[{\\"data\\": \\"my genesis block!!\\", '
        b'\\"hash\\": \\"816534932c2b7154836da6afc367695e6337db8a921823784c14378abed4f7d7\\", '
        b'\\"index\\": 0, \\"previous_hash\\": \\"0\\", \\"timestamp\\": 1465154705}]"}'
    )


def test_text_beyond_ascii_is_escaped_twice() -> None:
    block = Block('é"\\\n\U0001f600', "00", 1, "11", 1465154705)
    assert classic.response([block]) == (
        b'{"type": 2, "data": "[{\\"data\\": \\"\\\\u00e9\\\\\\"\\\\\\\\\\\\n\\\\ud83d\\\\ude00\\", '
        b'\\"hash\\": \\"00\\", \\"index\\": 1, \\"previous_hash\\": \\"11\\", \\"timestamp\\": 1465154705}]"}'
    )


@given(st.lists(blocks, max_size=5))
def test_a_response_is_what_json_dumps_writes(chain: list[Block]) -> None:
    assert classic.response(chain) == as_the_book_writes(*chain)


@given(st.lists(st.lists(blocks, min_size=1, max_size=3), min_size=1, max_size=4))
def test_a_chain_in_pieces_is_the_chain_in_one(pages: list[list[Block]]) -> None:
    pieces = b"".join(classic.chain_piece(page, first=number == 0) for number, page in enumerate(pages))
    assert classic.CHAIN_HEAD + pieces + classic.CHAIN_TAIL == as_the_book_writes(*[b for page in pages for b in page])


@given(st.lists(blocks, max_size=5))
def test_what_is_written_is_read_back(chain: list[Block]) -> None:
    assert classic.decode(classic.response(chain)) == classic.Response([as_unchecked(block) for block in chain])


def test_queries_are_read() -> None:
    assert classic.decode(b'{"type": 0}') == classic.QueryLatest()
    assert classic.decode(b' {"type":1}\n') == classic.QueryAll()


def test_data_that_is_null_is_no_data() -> None:
    """Some kin of the book's node write it in every query; for that nobody is to be refused for a day."""
    assert classic.decode(b'{"type": 0, "data": null}') == classic.QueryLatest()
    assert classic.decode(b'{"data":null,"type":1}') == classic.QueryAll()
    for text, why in (
        (b'{"type": 2, "data": null}', "no message has type 2 without data"),
        (b'{"type": 0, "data": null, "data": null}', "twice"),
    ):
        with pytest.raises(RuleViolation, match=why):
            classic.decode(text)


def test_a_timestamp_may_be_a_string_as_in_pynaivechain() -> None:
    message = classic.decode(response_of("[" + a_block(timestamp='"1465154705"') + "]"))
    assert isinstance(message, classic.Response)
    assert message.blocks[0].timestamp == "1465154705"


# --- hostile input ----------------------------------------------------------------------------------

HOSTILE = {
    "not JSON": b"hello",
    "empty": b"",
    "not an object": b"[]",
    "a number": b"7",
    "unknown type": b'{"type": 3}',
    "negative type": b'{"type": -1}',
    "no type": b'{"data": "[]"}',
    "extra key": b'{"type": 0, "x": 1}',
    "type is a string": b'{"type": "0"}',
    "row 18: type is a bool": b'{"type": true}',
    "row 19: type is a float": b'{"type": 1.0}',
    "row 14: type twice": b'{"type": 0, "type": 1}',
    "row 14: type twice, once escaped": b'{"type": 0, "typ\\u0065": 1}',
    "query with data": b'{"type": 0, "data": "[]"}',
    "response without data": b'{"type": 2}',
    "data is not a string": b'{"type": 2, "data": []}',
    "row 8: trailing bytes": b'{"type": 0}x',
    "row 8: two messages": b'{"type": 0}{"type": 1}',
    "byte order mark": b'\xef\xbb\xbf{"type": 0}',
    "not UTF-8": b'{"type": 2, "data": "\xff"}',
    "NUL": b'{"type": 0}\x00',
    "row 10: nesting outside": b"[" * 100_000,
    "row 10: nesting in type": b'{"type": ' + b"[" * 100_000,
    "row 10: nesting inside": response_of("[" * 100_000),
    "row 10: nested objects inside": response_of('{"data":' * 100_000),
    "row 11: many empty objects": response_of("[" + ",".join(["{}"] * 500_000) + "]"),
    "inner: not JSON": response_of("hello"),
    "inner: an object": response_of(a_block()),
    "inner: nulls": response_of("[null]"),
    "inner: missing key": response_of('[{"data": "a"}]'),
    "inner: extra key": response_of("[" + a_block(more="1") + "]"),
    "row 14: data twice": response_of('[{"data": "b", ' + a_block()[1:] + "]"),
    "row 14: hash twice, escaped": response_of('[{"h\\u0061sh": "b", ' + a_block()[1:] + "]"),
    "row 12: NaN": response_of("[" + a_block(timestamp="NaN") + "]"),
    "row 12: Infinity": response_of("[" + a_block(index="Infinity") + "]"),
    "row 12: 1e400": response_of("[" + a_block(index="1e400") + "]"),
    "row 13: 5000 digits": response_of("[" + a_block(index="9" * 5000) + "]"),
    "row 15: lone surrogate in data": response_of("[" + a_block(data='"\\ud800"') + "]"),
    "row 15: swapped surrogates": response_of("[" + a_block(data='"\\udc00\\ud800"') + "]"),
    "row 15: lone surrogate outside": b'{"type": 2, "data": "\\ud800"}',
    "row 18: index is a bool": response_of("[" + a_block(index="true") + "]"),
    "row 19: timestamp is a float": response_of("[" + a_block(timestamp="1465154705.0") + "]"),
    "row 19: index is a string": response_of("[" + a_block(index='"1"') + "]"),
    "row 19: data is a number": response_of("[" + a_block(data="1") + "]"),
    "row 19: hash is null": response_of("[" + a_block(hash="null") + "]"),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_has_no_single_reading_is_refused(text: bytes) -> None:
    """Catalogue rows 1, 2, 8-15, 18, 19: malformed or ambiguous messages break exactly one rule, briefly."""
    with pytest.raises(RuleViolation) as caught:
        classic.decode(text)
    assert caught.value.rule is Rule.MESSAGE_IS_WELL_FORMED
    assert len(caught.value.detail) <= 300


def test_data_that_looks_like_keys_is_data() -> None:
    """Catalogue row 14: JSON inside data is no duplicate key, however it is quoted."""
    for data in ('{"hash": 1, "hash": 2}', '":', '\\":', '"hash":', "a\\", '\\"', '"" :"":'):
        block = Block(data, "x", 1, "0", 1465154705)
        assert classic.decode(classic.response([block])) == classic.Response([as_unchecked(block)])


@pytest.mark.parametrize("unit", ['":', '" :', '"'])
def test_data_made_of_what_looks_like_keys_costs_no_more_than_other_data(unit: str) -> None:
    """Catalogue row 109: a message may cost about five times its size."""
    block = UncheckedBlock(unit * 50_000, "a" * 64, 1, "b" * 64, 1_700_000_000)
    text = classic.response([block])
    tracemalloc.start()
    assert classic.decode(text) == classic.Response([block])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 5 * len(text)


def test_data_is_kept_byte_for_byte() -> None:
    """Catalogue row 17: no normalisation, no bidi or control character is touched."""
    for data in ("e\u0301", "\u00e9", "\u202eevil", "\x00\x07\x7f\r\n", "\ufeff", "\U0010ffff"):
        block = Block(data, "x", 1, "0", 1465154705)
        message = classic.decode(classic.response([block]))
        assert isinstance(message, classic.Response)
        assert message.blocks[0].data == data


@given(st.binary(max_size=200))
def test_no_bytes_make_anything_else_escape(text: bytes) -> None:
    """Catalogue row 23, and a defect of the book's node: what it could not read escaped as an exception and left a
    dead socket behind. Here whatever arrives, the answer is a message or a broken rule.
    """
    try:
        classic.decode(text)
    except RuleViolation as broken:
        assert broken.rule is Rule.MESSAGE_IS_WELL_FORMED


@given(st.data(), st.lists(blocks, min_size=1, max_size=2))
def test_no_mutation_makes_anything_else_escape(data: st.DataObject, chain: list[Block]) -> None:
    """Catalogue row 23, starting from a good message."""
    text = bytearray(classic.response(chain))
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        classic.decode(bytes(text))
    except RuleViolation as broken:
        assert broken.rule is Rule.MESSAGE_IS_WELL_FORMED


# --- posts that fit ---------------------------------------------------------------------------------


def sealed(data: str) -> Block:
    return Block(data, block_hash(1, "0" * 64, 1465154705, data), 1, "0" * 64, 1465154705)


@pytest.mark.parametrize("character", ["a", '"', "é", "\U0001f600", "\x01"])
def test_a_post_fits_if_its_response_does(character: str) -> None:
    """PROTOCOL: 413 exactly from the first byte over the limit, however much the text grows when escaped twice."""
    limit = 10_000
    growth = len(classic.response([sealed(character * 2)])) - len(classic.response([sealed(character)]))
    count = (limit - len(classic.response([sealed("")]))) // growth
    classic.check_post_fits(sealed(character * count), limit)
    with pytest.raises(RuleViolation) as caught:
        classic.check_post_fits(sealed(character * (count + 1)), limit)
    assert caught.value.rule is Rule.DATA_WITHIN_SIZE


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.integers(0, 5_000))
def test_a_size_is_counted_without_being_written(text: str, repeated: int) -> None:
    """Slices end anywhere, in the middle of what is escaped together too."""
    block = sealed(text * repeated)
    assert classic.response_size(block) == len(classic.response([block]))


@given(texts)
def test_the_cheap_bound_never_lets_too_much_through(data: str) -> None:
    assert len(classic.response([sealed(data)])) <= len(data) * classic.LONGEST_CHARACTER + classic.LONGEST_FRAME
