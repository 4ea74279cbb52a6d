"""The laws: what must hold all along, and what must hold once everything is healed.

A checker watches a world and raises `LawBrokenError` at the event that broke a law; what can
only be judged in the end is judged by `check_soundness` and `check_promises`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from typing import Final

from tallystick.chain.writes import Write
from tallystick.consensus import engine_for
from tallystick.errors import Rule
from tallystick.model.block import Block
from tallystick.model.sealed import SealedBlock
from tallystick.node.effects import Effect, HangUp, Hold, Say
from tallystick.node.inputs import Input, Mined, PeerClosed, PeerOpened
from tallystick.sim.audit import flaws
from tallystick.sim.book import Book
from tallystick.sim.host import Host
from tallystick.sim.inside import Held, disagreements, discrepancies, held
from tallystick.sim.machine import Machine
from tallystick.sim.promises import Key, Promises
from tallystick.wire.addresses import ip_of
from tallystick.wire.native import codec
from tallystick.wire.native.messages import Announce, Point, Push
from tallystick.wire.reactions import REACTIONS, Offence

RULES: Final = {str(rule): rule for rule in Rule}

GRUDGES: Final = frozenset({Offence.VIOLATION, Offence.RATE})
"""What is remembered: no honest node is ever guilty of it."""


_TELLS: Final = {
    codec.encode(each)[:2] for each in (Push(bytes(1), bytes(32)), Announce((Point(0, bytes(32)),), bytes(32)))
}
"""How frames begin that tell of blocks."""

SLACK_MS: Final = 1_000
"""From the check of a block to its commit."""


class LawBrokenError(AssertionError):
    """A law of the simulator was broken."""


class Blame:
    """No honest node breaks a rule in the eyes of another, whatever the network does to it.

    What is *slow* may be the line's fault, where the line can be slow; that is counted in `excused`.
    """

    def __init__(self, *, may_be_slow: bool, faulty_ips: Collection[str] = ()) -> None:
        """`faulty_ips` are the numeric addresses of those who are not honest."""
        self.may_be_slow = may_be_slow
        self._faulty_ips = faulty_ips
        self.excused: Counter[Rule] = Counter()
        self.deserved: Counter[Rule] = Counter()
        """What faulty peers were hung up on for."""

        self.held_ms = 0
        """How long they were left unread, all together."""

        self._faulty: set[tuple[int, int]] = set()
        """Of the honest: their connections with those who are not, by machine and peer."""

    def done(self, machine: Machine, effect: Effect) -> None:
        """Is an honest node hung up on, or held back?"""
        if isinstance(effect, HangUp) and (rule := RULES.get(effect.reason)) is not None:
            self._judge(machine, effect.peer, rule, effect.reason)
        elif isinstance(effect, Hold) and machine.is_honest:
            if not self._is_faulty(machine, effect.peer):
                raise LawBrokenError(f"{machine} holds back an honest peer for {effect.for_ms} ms")
            self.held_ms += effect.for_ms

    def stepped(self, machine: Machine, batch: Sequence[Input], writes: Sequence[Write]) -> None:
        """Did a socket end for the fault of an honest node?"""
        for event in batch:
            if isinstance(event, PeerOpened) and ip_of(event.remote) in self._faulty_ips:
                self._faulty.add((machine.number, event.peer))
            elif isinstance(event, PeerClosed):
                if event.rule is not None:
                    self._judge(machine, event.peer, event.rule, event.reason)
                self._faulty.discard((machine.number, event.peer))

    def _judge(self, machine: Machine, peer: int, rule: Rule, why: str) -> None:
        if not machine.is_honest:
            return
        if self._is_faulty(machine, peer):
            self.deserved[rule] += 1
            return
        offence = REACTIONS[rule].offence
        if offence in GRUDGES or (offence is Offence.SLOW and not self.may_be_slow):
            raise LawBrokenError(f"{machine} blames an honest peer: {rule} ({why})")
        self.excused[rule] += 1

    def _is_faulty(self, machine: Machine, peer: int) -> bool:
        """Is somebody faulty at the other end, or was?"""
        end = machine.ends.get(peer)
        if end is not None:
            return not end.other.machine.is_honest
        return (machine.number, peer) in self._faulty


class Insides:
    """What is in a node's memory is what is on its disk, and no more than its limits allow.

    Looked at after one batch in `every`, for looking costs more than a step.
    """

    def __init__(self, every: int = 50) -> None:
        self._every = every
        self._batches = 0
        self.looks = 0
        self.most: dict[str, Held] = {}
        """The largest amount of each thing that was ever seen."""

    def done(self, machine: Machine, effect: Effect) -> None:
        """Looked at after the batch."""

    def stepped(self, machine: Machine, batch: Sequence[Input], writes: Sequence[Write]) -> None:
        """Look at whoever was at work just now."""
        self._batches += 1
        if self._batches % self._every == 0:
            self.look(machine)

    def look(self, machine: Machine) -> None:
        """Look inside, now that nothing is under way."""
        resident = machine.resident
        if not isinstance(resident, Host) or not machine.is_up or not machine.is_honest:
            return
        self.looks += 1
        for wrong in disagreements(resident):
            raise LawBrokenError(f"{machine}: {wrong}")
        for each in (*held(resident), *_outboxes(machine)):
            known = self.most.get(each.what)
            if known is None or each.amount > known.amount:
                self.most[each.what] = each
            if each.amount > each.most:
                raise LawBrokenError(f"{machine} holds {each.amount:,} {each.what}; at most {each.most:,} are allowed")


def _outboxes(machine: Machine) -> Iterator[Held]:
    for end in machine.ends.values():
        yield Held("bytes in an outbox", end.most_waiting_bytes, end.terms.outbox_drop_bytes)
        yield Held("bytes unread at a peer", end.unread_bytes, 2 * end.terms.inbox_bytes + end.terms.message_bytes)


class Course:
    """What a node follows only ever gets better, is not of the future when it comes, and is durable before anybody is
    told of it.

    Between two chains that are equally good the one that is followed stays: else whoever copies a block gains by it.
    """

    def __init__(self) -> None:
        self._tips: dict[int, tuple[str, int]] = {}
        """Of each machine: the last block of its best chain, and what that weighs."""

    def done(self, machine: Machine, effect: Effect) -> None:
        """Does somebody honest tell of a block?"""
        if type(effect) is not Say or effect.message[:2] not in _TELLS:
            return
        host = machine.resident
        if not machine.is_honest or not isinstance(host, Host):
            return
        message, state = codec.decode(effect.message), host.store.committed
        if isinstance(message, Push):
            names = [engine_for(host.network).read(message.block).hash]
        else:
            names = [point.hash.hex() for point in message.points] if isinstance(message, Announce) else []
        for name in names:
            if name not in state.where and state.aside(name) is None:
                raise LawBrokenError(f"{machine} tells of block {name[:12]}, which is not durable")

    def stepped(self, machine: Machine, batch: Sequence[Input], writes: Sequence[Write]) -> None:
        """Is it on another chain than before, or further?"""
        host = machine.resident
        if not machine.is_honest or not isinstance(host, Host):
            return
        tip = host.chain()[-1]
        before = self._tips.get(machine.number)
        if before is not None and before[0] == tip.hash:
            return
        weight = host.weight()
        if before is not None and weight <= before[1]:
            raise LawBrokenError(f"{machine} left a chain of weight {before[1]} for one of {weight}")
        self._tips[machine.number] = (tip.hash, weight)
        if not isinstance(tip, SealedBlock) or any(isinstance(event, Mined) for event in batch):
            return  # its own may be dated by a clock that was set back since
        ahead_ms = tip.timestamp - machine.now.wall_ms
        if ahead_ms > host.limits.future_ms + SLACK_MS:
            raise LawBrokenError(f"{machine} follows block {tip.index}, which is dated {ahead_ms:,} ms ahead of it")


# --- in the end -------------------------------------------------------------------------------------


def tips(machines: Iterable[Machine]) -> set[tuple[int, str]]:
    """The last blocks of their chains."""
    found = set()
    for machine in machines:
        if isinstance(machine.resident, Host | Book):
            tip = machine.resident.chain()[-1]
            found.add((tip.index, tip.hash))
    return found


def check_soundness(machines: Collection[Machine]) -> None:
    """Every store is what its node's memory says, with everything recomputed, and its chain is lawful; none of these is
    kept out by another."""
    honest = {machine.ip for machine in machines}
    honest |= {m.resident.profile.identity.public.hex() for m in machines if isinstance(m.resident, Host)}
    for machine in machines:
        if not isinstance(machine.resident, Host):
            continue
        host = machine.resident
        for wrong in (*discrepancies(host), *flaws(host.chain(), host.network)):
            raise LawBrokenError(f"{machine}: {wrong}")
        for banned in host.node.banned(machine.now):
            if banned.subject in honest:
                raise LawBrokenError(f"{machine} keeps out an honest {banned.subject}")


def keys_of(machine: Machine) -> list[Key]:
    """What the best chain of a node holds, in order."""
    found: list[Key] = []
    if isinstance(machine.resident, Host | Book):
        for block in machine.resident.chain()[1:]:
            if isinstance(block, Block):
                found.append(block.data)
            elif isinstance(block, SealedBlock):
                found += [record.leaf for record in block.records]
    return found


def check_promises(promises: Promises, machines: Iterable[Machine], made: Container[Key] = ()) -> None:
    """Everything acknowledged is on every best chain exactly once; nothing is there twice, nor out of nowhere: what
    others have `made` they have put there themselves."""
    for machine in machines:
        if not isinstance(machine.resident, Host):
            continue
        counts = Counter(keys_of(machine))
        lost = [key for key in promises.acknowledged if counts[key] == 0 and key not in promises.erased]
        if lost:
            raise LawBrokenError(f"{machine} lost {len(lost)} of what was acknowledged, {shown(lost[0], promises)}")
        twice = [key for key, count in counts.items() if count > 1]
        if twice:
            raise LawBrokenError(f"{machine} has {len(twice)} posts twice, {shown(twice[0], promises)}")
        strange = [key for key in counts if key not in promises.posted and key not in made]
        if strange:
            raise LawBrokenError(f"{machine} has what nobody posted, {shown(strange[0], promises)}")


def shown(key: Key, promises: Promises) -> str:
    """A post, for a message."""
    name = key[:40] if isinstance(key, str) else key.hex()[:12]
    return f"such as {name!r} (acknowledged by {promises.acknowledged.get(key)})"
