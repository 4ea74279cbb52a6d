"""Who lives in a world beside the honest nodes: drawn from the seed, and brought in.

The laws hold among honest nodes that are connected through honest ones: whoever is reached through liars alone hears
what they like. So each honest node dials an honest one that was there before it, whatever else it dials; of those who
dial from many places at once no more are drawn than network groups can tell from honest nodes; and whoever makes blocks
in a network where they have to be found makes fewer than the honest miners, or the chain would be its.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tallystick.model.limits import Limits
from tallystick.model.network import Network
from tallystick.sim.chance import Chance, happens
from tallystick.sim.faulty.boaster import Boaster, Staller
from tallystick.sim.faulty.flooder import Flooder
from tallystick.sim.faulty.guest import Guest
from tallystick.sim.faulty.makers import Equivocator, Forger, Maker
from tallystick.sim.faulty.mutator import Mutator
from tallystick.sim.faulty.replayer import Replayer
from tallystick.sim.faulty.surround import Eclipser, Poisoner
from tallystick.sim.faulty.turncoat import Turncoat
from tallystick.sim.faulty.withholder import Bare, Trickler, Withholder
from tallystick.sim.machine import Machine
from tallystick.sim.world import World, address_of

PORT: Final = 3001
"""Where those listen that can be dialled."""


class Name(enum.StrEnum):
    """The faulty peers there are."""

    BOASTER = "boaster"
    """Liar about height: claims a chain that it has not."""

    STALLER = "staller"
    """Likewise, and answers nothing at all."""

    FLOODER = "flooder"
    """Header flooder: long worthless branches, and all their blocks unasked."""

    WITHHOLDER = "withholder"
    """Announces blocks and records, and never delivers them."""

    BARE = "bare"
    """Delivers blocks without what their records hold."""

    TRICKLER = "trickler"
    """Answers at a few bytes a second."""

    MUTATOR = "mutator"
    """Changes bits and fields of what it says."""

    EQUIVOCATOR = "equivocator"
    """Two blocks at one height, for two halves of its peers."""

    FORGER = "forger"
    """Makes blocks that break a rule of the network."""

    REPLAYER = "replayer"
    """Repeats old messages, of other sessions too."""

    POISONER = "poisoner"
    """Floods the book with addresses."""

    ECLIPSER = "eclipser"
    """One of many machines that try to take all places."""


HAND: Final = 5
"""Machines of an eclipser."""

SEALED_ONLY: Final = frozenset({Name.BARE})

GUESTS: Final[Mapping[Name, type[Guest]]] = {
    Name.BOASTER: Boaster,
    Name.STALLER: Staller,
    Name.FLOODER: Flooder,
    Name.POISONER: Poisoner,
}
TURNCOATS: Final[Mapping[Name, type[Turncoat]]] = {
    Name.WITHHOLDER: Withholder,
    Name.BARE: Bare,
    Name.TRICKLER: Trickler,
    Name.MUTATOR: Mutator,
    Name.REPLAYER: Replayer,
}
MAKERS: Final[Mapping[Name, type[Maker]]] = {Name.EQUIVOCATOR: Equivocator, Name.FORGER: Forger}


@dataclass(frozen=True, slots=True)
class Faulty:
    """One of them, and whom it knows. Nodes are meant by their numbers."""

    name: Name
    dials: tuple[int, ...] = ()
    dialled_by: tuple[int, ...] = ()
    """Honest nodes whose operators have named it: they dial it for ever, and never hold it to be bad."""

    listens: bool = True
    """Does it say where it can be dialled?"""


def draw_faulty(chance: Chance, honest: Sequence[int], *, is_sealed: bool) -> tuple[Faulty, ...]:
    """None at all in most worlds, else up to three; an eclipser with all its machines. `honest` nodes are those that
    speak the native dialect."""
    if not honest or happens(chance, 0.6):
        return ()
    names = sorted(set(Name) if is_sealed else set(Name) - SEALED_ONLY)
    drawn = list[Faulty]()
    for name in chance.sample(names, chance.randint(1, 3)):
        for _ in range(HAND if name is Name.ECLIPSER else 1):
            most = len(honest) if name in {Name.ECLIPSER, Name.EQUIVOCATOR} else chance.randint(1, len(honest))
            dials = tuple(sorted(chance.sample(honest, most)))
            dialled_by = tuple(node for node in honest if name is not Name.ECLIPSER and happens(chance, 0.3))
            drawn.append(Faulty(name, dials, dialled_by, listens=happens(chance, 0.7)))
    return tuple(drawn)


def hemmed_in(limits: Limits, faulty: Collection[Faulty]) -> Limits:
    """With so few places and so small a book that whoever wants to fill them can."""
    names = {each.name for each in faulty}
    if Name.WITHHOLDER in names:
        limits = replace(limits, wanted_records=20)
    if names & {Name.POISONER, Name.ECLIPSER}:
        limits = replace(
            limits, native_inbound_peers=8, strangers=16, outbound_peers=4, addresses=64, addresses_per_source=12
        )
    return limits


def ip_for(faulty: Sequence[Faulty], at: int, number: int) -> str | None:
    """Where one of these lives, on the machine of this number; None: where that machine would stand anyway.

    All machines of an eclipser are public ones, in two network groups."""
    return f"80.{at % 2}.{number & 255}.1" if faulty[at].name is Name.ECLIPSER else None


def address_for(faulty: Sequence[Faulty], at: int, nodes: int) -> str:
    """Where one of these is dialled, in a world that has so many honest nodes."""
    ip = ip_for(faulty, at, nodes + at)
    return address_of(nodes + at) if ip is None else f"ws://{ip}:{PORT}"


def move_in(world: World, faulty: Sequence[Faulty], network: Network, limits: Limits, until_ms: int) -> list[Machine]:
    """Bring them in, after the honest nodes. Those who make blocks make none after `until_ms`."""
    nodes = len(world.machines)
    friends = [address_for(faulty, at, nodes) for at, each in enumerate(faulty) if each.name is Name.ECLIPSER]
    moved = []
    for at, each in enumerate(faulty):
        chance = world.stream(f"{each.name} {nodes + at}")
        dials = [world.machines[node].address for node in each.dials]
        port = PORT if each.listens else 0
        resident: Guest | Turncoat
        match each.name:
            case Name.ECLIPSER:
                dials *= limits.native_inbound_per_host
                resident = Eclipser(network, chance, friends=friends, dials=dials, listen_port=port)
            case Name.EQUIVOCATOR | Name.FORGER:
                maker = MAKERS[each.name]
                resident = maker(network, limits, chance, dials=dials, listen_port=port, until_ms=until_ms)
            case name if name in GUESTS:
                resident = GUESTS[name](network, chance, dials=dials, listen_port=port)
            case name:
                resident = TURNCOATS[name](network, limits, chance, dials=dials, listen_port=port)
        moved.append(world.add(resident, is_honest=False, ip=ip_for(faulty, at, nodes + at)))
    return moved
