"""A network as a file, `network.toml`: what the parties of a network agree on, and pass to each other.

    kind = "work"
    name = "our-ledger"
    spacing_ms = 60000
    ...
    id = "51f0..."

Everything that decides which blocks are valid stands in it, and `id` is the hash of the genesis block that follows
from all of that. So a file that was mistyped, or changed on its way, does not give the id it names, and is refused:
nobody joins another network than they mean to. A file of the classic kind has a name and members only, for the rules
of that kind are fixed.

Every number has bounds, with a reason. `difficulty_for` chooses the first difficulty, and `write` makes the file.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Final, NamedTuple

from tallystick.app.refusals import shown_value, unknown
from tallystick.consensus.difficulty import compact, expand, work
from tallystick.errors import ConfigError
from tallystick.model.block import TIMESTAMP_MAX, TIMESTAMP_MIN
from tallystick.model.limits import HOUR_MS, KIB, LIMITS, MIB, SECOND_MS
from tallystick.model.network import CLASSIC, EASIEST_BITS, Kind, Network, SealedRules, sealed_network

MEMBERS_MAX: Final = 256
"""Members a network file may list: parties who know each other, and each greeting is compared with all."""

MEMBER: Final = re.compile(r"[0-9a-fA-F]{64}")
NETWORK_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_BITS: Final = re.compile(r"[0-9a-fA-F]{8}")

DAY_MS: Final = 24 * HOUR_MS

HALF_LIFE_SPACINGS: Final = 10
"""Blocks come at random, as dice do: over fewer of them, difficulty would follow luck."""

RECORD_BYTES: Final = 256
"""What a record may take in a block beside its data: its id of 128 characters, its commitment, its salt."""

HARDEST_BITS: Final = compact(1 << 128)
"""Harder than this nothing can be found, however many look."""

HASHES_PER_SECOND: Final = 1_000_000
"""What one processor core looks through, about. A network starts with one node."""

Label = Callable[[str], str]
"""How a key is called in messages."""


class Bound(NamedTuple):
    """What a number may be."""

    least: int
    most: int
    unit: str = ""


BOUNDS: Final[Mapping[str, Bound]] = {
    # Below a tenth of a second blocks would chase each other round the world, beyond a day nobody would wait.
    "spacing_ms": Bound(100, DAY_MS, " ms"),
    # Blocks may be dated `future_ms` ahead. With a half-life five times that, the lie makes the next block 15 % easier.
    "half_life_ms": Bound(5 * LIMITS.future_ms, 1_000 * DAY_MS, " ms"),
    # Together they stay well below a frame of the nodes' protocol (`Limits.frame_bytes`).
    "max_block_bytes": Bound(4 * KIB, 2 * MIB, " bytes"),
    "max_block_records": Bound(1, 40_000),
    "max_data_bytes": Bound(1, 2 * MIB - RECORD_BYTES, " bytes"),
    # What a block of today may be dated, and so long that milliseconds are never taken for seconds.
    "genesis_ms": Bound(TIMESTAMP_MIN * SECOND_MS, TIMESTAMP_MAX * SECOND_MS, " ms"),
}

_RULES: Final = tuple(field.name for field in fields(SealedRules))
_KEYS: Final = ("kind", "name", *_RULES, "genesis_ms", "members", "id")


# --- reading ----------------------------------------------------------------------------------------


def network_of(table: Mapping[str, object], where: str) -> Network:
    """The network that a parsed file describes; `where` completes "Key kind ...". Raises ConfigError."""
    match table.get("kind"):
        case Kind.CLASSIC:
            return _classic(table, where)
        case Kind.WORK:
            return _sealed(table, where)
        case kind:
            shown = "missing" if kind is None else shown_value(kind)
            raise ConfigError(f'Key kind {where} is {shown}; this version knows kind = "classic" and kind = "work".')


def _classic(table: Mapping[str, object], where: str) -> Network:
    for key in table:
        if key not in {"kind", "name", "members"}:
            reason = "; the rules of a classic network are fixed"
            raise unknown("key", key, where, {"kind", "name", "members"}, reason)
    name = checked_name(table.get("name", CLASSIC.name), f"Key name {where}")
    return Network(Kind.CLASSIC, name, CLASSIC.genesis, _members_of(table, where))


def _sealed(table: Mapping[str, object], where: str) -> Network:
    for key in table:
        if key not in _KEYS:
            raise unknown("key", key, where, _KEYS)
    for key in (*_RULES, "name", "genesis_ms"):
        if key not in table:
            raise ConfigError(f"Key {key} {where} is missing; make a whole file with: tallystick network new")

    def label(key: str) -> str:
        return f"Key {key} {where}"

    name = checked_name(table["name"], label("name"))
    bits = {key: _bits(table[key], label(key)) for key in _RULES if key in {"bits", "limit_bits"}}
    numbers = {key: _whole_number(table[key], label(key)) for key in _RULES if key not in bits}
    rules = SealedRules(**numbers, **bits)
    genesis_ms = _whole_number(table["genesis_ms"], label("genesis_ms"))
    network = checked_network(name, rules, genesis_ms, _members_of(table, where), label)
    _check_id(network, table.get("id"), where)
    return network


def _whole_number(raw: object, label: str) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise ConfigError(f"{label} is {shown_value(raw)}; expected a whole number.")
    return raw


def _bits(raw: object, label: str) -> int:
    if not isinstance(raw, str) or not _BITS.fullmatch(raw):
        shown = shown_value(raw)
        raise ConfigError(f'{label} is {shown}; expected a compact target as text of 8 hex digits, as in "1f00ffff".')
    return int(raw, 16)


def _members_of(table: Mapping[str, object], where: str) -> frozenset[str]:
    return frozenset() if (listed := table.get("members")) is None else checked_members(listed, where)


def _check_id(network: Network, named: object, where: str) -> None:
    if named == network.id:
        return
    if named is None:
        raise ConfigError(f'Key id {where} is missing. If the file is as its parties agreed, add: id = "{network.id}"')
    raise ConfigError(
        f"Key id {where} is {shown_value(named)}, and its other keys give {network.id}: "
        "one of them was changed. Get the file again from whoever made the network; if this is to be a new one, write "
        "the new id."
    )


# --- what is allowed --------------------------------------------------------------------------------


def checked_name(name: object, label: str) -> str:
    """A network's name. Raises ConfigError."""
    if not isinstance(name, str) or not NETWORK_NAME.fullmatch(name):
        raise ConfigError(
            f"{label} is {shown_value(name)}; expected 1 to 64 of letters, digits and ._-, a letter or digit first."
        )
    return name


def checked_members(listed: object, where: str) -> frozenset[str]:
    """The node keys that are let in, of a list that is not empty. Raises ConfigError."""
    if not isinstance(listed, list) or not 1 <= len(listed) <= MEMBERS_MAX:
        was = f"a list of {len(listed)}" if isinstance(listed, list) else shown_value(listed)
        raise ConfigError(
            f"Key members {where} is {was}; expected a list of 1 to {MEMBERS_MAX} node keys. "
            "Leave it out to let everybody in."
        )
    members: set[str] = set()
    for number, key in enumerate(listed, 1):
        shown = f"Member {number} {where} is {shown_value(key)}"
        if not isinstance(key, str) or not MEMBER.fullmatch(key):
            raise ConfigError(f"{shown}; expected a node key of 64 hex digits, as its tallystick status shows it.")
        if key.lower() in members:
            raise ConfigError(f"{shown}, which is listed already; remove one of the two.")
        members.add(key.lower())
    return frozenset(members)


def checked_network(name: str, rules: SealedRules, genesis_ms: int, members: frozenset[str], label: Label) -> Network:
    """The network of kind work with these parameters, if they are fit for one. Raises ConfigError."""
    for key, number in {**asdict(rules), "genesis_ms": genesis_ms}.items():
        if (bound := BOUNDS.get(key)) is not None and not bound.least <= number <= bound.most:
            raise ConfigError(
                f"{label(key)} is {_shown(number)}{bound.unit}; expected {bound.least:,} to {bound.most:,}{bound.unit}."
            )
    _check_half_life(rules, label)
    _check_difficulty(rules, label)
    _check_sizes(rules, label)
    return sealed_network(Kind.WORK, name, rules, genesis_ms, members)


def _check_half_life(rules: SealedRules, label: Label) -> None:
    least = HALF_LIFE_SPACINGS * rules.spacing_ms
    if rules.half_life_ms < least:
        raise ConfigError(
            f"{label('half_life_ms')} is {rules.half_life_ms:,} ms; at a spacing of {rules.spacing_ms:,} ms expected "
            f"at least {least:,} ms, {HALF_LIFE_SPACINGS} blocks, or difficulty would follow luck."
        )


def _check_difficulty(rules: SealedRules, label: Label) -> None:
    for key, bits, easiest in (
        ("limit_bits", rules.limit_bits, EASIEST_BITS),
        ("bits", rules.bits, rules.limit_bits),
    ):
        try:
            target = expand(bits)
        except ValueError:
            target = 0
        if not expand(HARDEST_BITS) <= target <= expand(easiest) or compact(target) != bits:
            raise ConfigError(
                f"{label(key)} is {bits:08x}; expected a compact target from {HARDEST_BITS:08x} (hardest) "
                f"to {easiest:08x} (easiest), written the shortest way."
            )


def _check_sizes(rules: SealedRules, label: Label) -> None:
    most = rules.max_block_bytes - RECORD_BYTES
    if rules.max_data_bytes > most:
        raise ConfigError(
            f"{label('max_data_bytes')} is {rules.max_data_bytes:,} bytes; a block of {rules.max_block_bytes:,} bytes "
            f"holds records with at most {most:,}."
        )


def _shown(number: int) -> str:
    return f"{number:,}" if abs(number) < 10**20 else "a number of more than 20 digits"


# --- difficulty -------------------------------------------------------------------------------------


def difficulty_for(hashes: int) -> int:
    """The compact target that takes so many hashes on average, as far as there is one."""
    return compact(max(expand(HARDEST_BITS), min(expand(EASIEST_BITS), (1 << 256) // max(hashes, 2) - 1)))


def read_difficulty(text: str) -> int:
    """The compact target that a person named: its 8 hex digits, or a number N of zero bits that a hash must begin with,
    which takes 2**N hashes on average. Raises ValueError."""
    if _BITS.fullmatch(text):
        return int(text, 16)
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= 128:  # noqa: PLR2004 - as `HARDEST_BITS` has it
        raise ValueError("neither a compact target of 8 hex digits nor a number from 1 to 128")
    return difficulty_for(1 << int(text))


def hashes_for(bits: int) -> int:
    """How many hashes a block takes on average."""
    return work(bits)


# --- writing ----------------------------------------------------------------------------------------


def write(network: Network) -> str:
    """The file that describes a sealed network, with a comment for each key."""
    rules = network.rules
    assert rules is not None  # noqa: S101 - of a sealed network
    genesis_ms = network.genesis.timestamp
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(genesis_ms // SECOND_MS))
    text = f"""\
# The network {network.name}. All who take part start with this file:
#     tallystick start --network network.toml
# Whatever is changed here makes another network, with another id.

kind = "{network.kind}"
name = "{network.name}"

# Time between two blocks that difficulty aims at.
spacing_ms = {rules.spacing_ms}

# When the chain is so much behind its schedule, blocks are half as difficult; ahead of it, twice.
half_life_ms = {rules.half_life_ms}

# Difficulty of the first block, as a compact target: {hashes_for(rules.bits):,} hashes on average.
bits = "{rules.bits:08x}"

# It never gets easier than this: {hashes_for(rules.limit_bits):,} hashes.
limit_bits = "{rules.limit_bits:08x}"

# What fits a block, and how much data one record may hold.
max_block_bytes = {rules.max_block_bytes}
max_block_records = {rules.max_block_records}
max_data_bytes = {rules.max_data_bytes}

# When the network began, in milliseconds since 1970: {made}.
genesis_ms = {genesis_ms}
"""
    if network.members:
        listed = "".join(f'    "{key}",\n' for key in sorted(network.members))
        text += f"\n# Node keys of all who may take part.\nmembers = [\n{listed}]\n"
    why = "What follows from all of the above. A file that was mistyped gives another id, and is refused."
    return f'{text}\n# {why}\nid = "{network.id}"\n'
