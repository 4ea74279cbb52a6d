"""JSON that means one thing: the quick way and the slow way say the same, and what is read is canonical.

Blocks in JSON, as exports and the API have them, are read by the same means: what is taken is shown again as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from tallystick.errors import Rule, RuleViolation
from tallystick.model import strict as product
from tallystick.model.canonical import canonical, check_canonical
from tallystick.model.shown import block_json, read_block_json
from tests.consensus.forging import CHAIN, ENGINE, RULES
from tests.fuzz.strictly import strictly
from tests.fuzz.target import SetAttribute, Target
from tests.fuzz.trees import json_trees

DATA_BYTES: Final = 200
REFUSALS: Final = {Rule.DATA_IS_CANONICAL, Rule.DATA_WITHIN_SIZE, Rule.HASH_MATCHES_CONTENT}


def one(data: bytes) -> None:
    """A text has one value by two decoders, or none; a line is a block, which is written back, or none."""
    quickly, slowly = _value(product.value_of, data), _value(product.value_slowly, data)
    assert quickly == slowly == _value(strictly, data)
    compact = _compact(data)
    if compact is not None:
        assert _value(product.value_of, compact) == slowly
        assert _compact(compact) == compact
        _check_data(compact)
    elif slowly is not None:
        assert not _is_utf8(slowly)  # half a surrogate pair, which only one of them minds
    _check_block(data)


Read = tuple[str, str] | None
"""A value as it may be compared: 1 and 1.0 apart, NaN like NaN."""


def _value(read: Any, text: bytes) -> Read:  # noqa: ANN401 - a reader
    try:
        value = read(text)
    except (ValueError, RecursionError):
        return None
    return type(value).__name__, repr(value)


def _is_utf8(read: Read) -> bool:
    return read is not None and "\\ud" not in read[1]


def _compact(text: bytes) -> bytes | None:
    try:
        return product.compact(text)
    except (ValueError, RecursionError):
        return None


def _check_data(text: bytes) -> None:
    """Data in its canonical form is canonical, and the form of what the text says."""
    try:
        form = product.canonical_data(text, DATA_BYTES)
    except RuleViolation as broken:
        assert broken.rule in REFUSALS
        assert len(broken.detail) < 300
        return
    except ValueError as error:
        assert _value(product.value_slowly, text) is None
        assert str(error)
        return
    check_canonical(form)
    assert canonical(strictly(text)) == form


def _check_block(line: bytes) -> None:
    try:
        block = read_block_json(line, RULES.max_data_bytes)
    except RuleViolation as broken:
        assert broken.rule in REFUSALS
        return
    except (ValueError, RecursionError):
        return
    try:
        checked = ENGINE.check_alone(block)
    except RuleViolation:
        return
    again = read_block_json(block_json(checked), RULES.max_data_bytes)
    assert again == block


def seeds() -> Iterator[bytes]:
    """Texts that are laid out, that say something twice or nothing, and blocks."""
    yield from (b"null", b"[]", b'"\\ud800"', b"[" * 65 + b"]" * 65, b"1e400", b"-0", b'{"a":1,"a":1}', b'"\\/"', b" 1")
    yield from (b'{"a": [1, 2.50, "\\u00e9"],\n "b": null}', b'{"a":1,"b":{"a":1,"a":2}}', b'{"x":NaN}', b"9" * 30)
    for block in CHAIN[:6]:
        yield bytes(block_json(block))
        yield json.dumps(json.loads(bytes(block_json(block))), indent=1).encode()


def plant(put: SetAttribute) -> None:
    """Of two equal keys the last counts."""
    put(product, "_members", dict)


TARGET: Final = Target(
    one=one,
    seeds=seeds,
    plant=plant,
    mutate=json_trees(),
    dictionary=(b'"erased":true', b'{"a":1,"a":1}'),
    runs=3_000,
)
