"""Networks: whoever changes one parameter is in another network."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from hashlib import sha256
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from tallystick.model.canonical import check_canonical
from tallystick.model.log import EMPTY_ROOT
from tallystick.model.network import CLASSIC, Kind, Network, SealedRules, parameters, sealed_network
from tallystick.model.sealed import SealedBlock, header_bytes_of

numbers = st.integers(1, 2**32 - 1)
rules = st.builds(SealedRules, *[numbers for _ in fields(SealedRules)])
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
times = st.integers(0, 2**53 - 1)
keys = st.binary(min_size=32, max_size=32).map(bytes.hex)
members = st.frozensets(keys, max_size=3)
sealed_kinds = st.sampled_from([kind for kind in Kind if kind is not Kind.CLASSIC])

Parts = tuple[Kind, str, SealedRules, int, frozenset[str]]
parts = st.tuples(sealed_kinds, names, rules, times, members)

RULES: Final = SealedRules(10_000, 600_000, 0x1F00_FFFF)


def genesis(network: Network) -> SealedBlock:
    assert isinstance(network.genesis, SealedBlock)
    return network.genesis


def test_a_network_is_known_by_this_hash() -> None:
    """Golden: the parameters as they are hashed, and the genesis block that names them in the place of a parent."""
    text = parameters(Kind.WORK, "harbour", RULES, frozenset({"cd" * 32, "ab" * 32}))
    assert text == (
        b'{"bits":520159231,"half_life_ms":600000,"kind":"work","limit_bits":545259519,"max_block_bytes":1048576,'
        b'"max_block_records":10000,"max_data_bytes":65536,"members":["' + b"ab" * 32 + b'","' + b"cd" * 32 + b'"],'
        b'"name":"harbour","spacing_ms":10000}'
    )
    network = sealed_network(Kind.WORK, "harbour", RULES, 1_700_000_000_000, frozenset({"cd" * 32, "ab" * 32}))
    block = header_bytes_of(genesis(network))
    assert block == (
        b"TSB1" + bytes(8) + sha256(text).digest() + (1_700_000_000_000).to_bytes(8, "big") + bytes(8)
        + sha256(b"").digest() + sha256(b"").digest() + bytes.fromhex("1f00ffff") + bytes(8)
    )  # fmt: skip
    assert network.id == sha256(block).hexdigest() == "31be264a7cfe14a015da7140c235f7d0f30e3bfdcd39906bacb5e5e478509d2b"


@given(parts)
def test_a_network_is_what_its_parameters_make_it(made: Parts) -> None:
    network = sealed_network(*made)
    kind, name, agreed, genesis_ms, allowed = made
    assert network == sealed_network(*made)
    assert (network.kind, network.name, network.rules, network.members) == (kind, name, agreed, allowed)
    block = genesis(network)
    assert (block.index, block.timestamp, block.log_size, block.log_root) == (0, genesis_ms, 0, EMPTY_ROOT)
    assert (block.records, block.edge, network.id) == ((), (), block.hash)
    text = parameters(kind, name, agreed, allowed)
    check_canonical(text)
    assert json.loads(text) == {"kind": str(kind), "name": name, "members": sorted(allowed), **asdict(agreed)}


@given(parts, parts)
def test_two_networks_share_an_id_only_if_they_are_one(one: Parts, other: Parts) -> None:
    assert (sealed_network(*one).id == sealed_network(*other).id) == (one == other)


@given(parts, st.data())
def test_any_one_parameter_makes_another_network(made: Parts, data: st.DataObject) -> None:
    """Also those that neither the genesis block nor its seal shows."""
    kind, name, agreed, genesis_ms, allowed = made
    ids = {sealed_network(*made).id}
    for field in fields(SealedRules):
        changed: dict[str, Any] = {field.name: getattr(agreed, field.name) ^ data.draw(numbers)}
        ids.add(sealed_network(kind, name, replace(agreed, **changed), genesis_ms, allowed).id)
    ids.add(sealed_network(kind, name + "x", agreed, genesis_ms, allowed).id)
    ids.add(sealed_network(kind, name, agreed, genesis_ms ^ 1, allowed).id)
    ids.add(sealed_network(kind, name, agreed, genesis_ms, allowed ^ {"ab" * 32}).id)
    assert len(ids) == 1 + len(fields(SealedRules)) + 3
    assert CLASSIC.id not in ids


@given(st.lists(keys, unique=True, max_size=4), st.randoms(use_true_random=False))
def test_members_are_a_set(listed: list[str], random: Any) -> None:  # noqa: ANN401 - of Hypothesis
    """In whatever order a file lists them."""
    shuffled = [*listed]
    random.shuffle(shuffled)
    ids = {sealed_network(Kind.WORK, "n", RULES, 0, frozenset(each)).id for each in (listed, shuffled, listed * 2)}
    assert len(ids) == 1


def test_the_name_of_a_network_cannot_pass_for_its_rules() -> None:
    """What is hashed is JSON, so quotation marks in a name are escaped."""
    odd = 'n","spacing_ms":1,"x":"'
    assert json.loads(parameters(Kind.WORK, odd, RULES, frozenset()))["name"] == odd
    assert json.loads(parameters(Kind.WORK, odd, RULES, frozenset()))["spacing_ms"] == RULES.spacing_ms
