"""Network files: refused with a sentence for a person, or a network that is written as a file that gives it again."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tallystick.app import network_file as product
from tallystick.app.config import load_network
from tallystick.consensus import engine_for
from tallystick.errors import ConfigError
from tallystick.model.network import CLASSIC, EASIEST_BITS, Kind, Network
from tests.app.test_config_network import KEYS, NETWORK, toml
from tests.fuzz.target import SetAttribute, Target
from tests.fuzz.trees import Change, changed

BOUNDS: Final = dict(product.BOUNDS)


def one(data: bytes) -> None:
    """A file is refused with one error, or describes one network, on which nodes can start."""
    try:
        network = load_network(Path("n.toml"), "the test", lambda _path: data)
    except ConfigError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 800
        return
    assert len(network.members) <= product.MEMBERS_MAX
    engine = engine_for(network)
    assert engine.network is network
    if network.kind is Kind.CLASSIC:
        assert network.id == CLASSIC.id
        return
    _check_rules(network)
    written = product.write(network)
    assert load_network(Path("n.toml"), "the test", lambda _path: written.encode()) == network


def _check_rules(network: Network) -> None:
    rules = network.rules
    assert rules is not None
    for key, number in {**{name: getattr(rules, name) for name in KEYS if hasattr(rules, name)}}.items():
        bound = BOUNDS.get(key)
        assert bound is None or bound.least <= number <= bound.most
    assert rules.half_life_ms >= product.HALF_LIFE_SPACINGS * rules.spacing_ms
    assert rules.limit_bits <= EASIEST_BITS
    assert rules.max_data_bytes + product.RECORD_BYTES <= rules.max_block_bytes
    header = network.genesis.header
    header_of = engine_for(network).draft(header, [], lambda _header, _count: [header], header.timestamp + 1)
    assert header_of.expected_hashes >= 1


# --- changing keys, and the id with them ------------------------------------------------------------------


def mutate(data: bytes, most: int, chance: random.Random, change: Change) -> bytes:
    """The keys of a file changed, mostly with the id that they give: else nothing is learnt but that it is wrong."""
    if chance.random() < 1 / 3:
        return change(data, most)
    try:
        table = changed(tomllib.loads(data.decode()), chance, binary=False)
        table = _named(table) if chance.random() < 3 / 4 else table
        written = toml({key: value for key, value in table.items() if value is not None}).encode()
    except Exception:  # noqa: BLE001 - what cannot be written, or broke the code: `one` will show
        return change(data, most)
    return written if len(written) <= most else change(data, most)


def _named(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the id that the refusal of a wrong one tells."""
    try:
        product.network_of({**table, "id": "?"}, "here")
    except ConfigError as error:
        words = str(error).replace(":", " ").split()
        ids = [word for word in words if len(word) == 64]
        return {**table, "id": ids[-1]} if ids else table
    return table


def seeds() -> Iterator[bytes]:
    """A file with members and one without, classic ones, and some that are wrong."""
    yield product.write(NETWORK).encode()
    yield product.write(
        product.checked_network("n", replace(NETWORK.rules or _none(), spacing_ms=1_000), 10**12, frozenset(), str)
    ).encode()
    yield toml(KEYS).encode()
    yield from (
        b'kind = "classic"',
        b'kind = "classic"\nname = "x"\nmembers = ["' + b"ab" * 32 + b'"]',
        b'kind = "quorum"',
        b"",
    )
    yield toml({key: value for key, value in KEYS.items() if key != "id"}).encode()


def _none() -> Any:  # noqa: ANN401 - never reached
    raise AssertionError("the network of the tests has rules")


def plant(put: SetAttribute) -> None:
    """The bounds of numbers are not looked at."""
    put(product, "BOUNDS", {})


TARGET: Final = Target(
    one=one,
    seeds=seeds,
    plant=plant,
    mutate=mutate,
    dictionary=(b"members = []\n", b'bits = "207fffff"\n', b"'''", b'"""', b"inf", b"1979-05-27", b"[a.b]\n", b"0x7f"),
    runs=1_500,
)
