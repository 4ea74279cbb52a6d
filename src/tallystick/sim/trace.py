"""A run as one number: the hash over everything that happened to anybody and everything that anybody did.

Two runs with the same trace are the same run. The last events are kept as they are, to be shown when a law is broken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from tallystick.chain.writes import AddRecords, AddSide, Append, Complete
from tallystick.errors import RuleViolation
from tallystick.node.effects import Effect, Log, Mine, Reply, SaveAddresses, Say
from tallystick.node.inputs import Input, PeerSaid, PostAndWait, PostRecords

SHOWN: Final = 60
"""Events that a failure shows."""

_TEXT: Final = 160


class Trace:
    """The account of a run."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=16)
        self._last: deque[tuple[int, int, Input | Effect | str]] = deque(maxlen=SHOWN)
        self.events = 0

    def note(self, now_us: int, machine: int, what: Input | Effect | str) -> None:
        """This happened to a machine, or was done by it."""
        self.events += 1
        self._last.append((now_us, machine, what))
        self._hash.update(b"%d %d " % (now_us, machine))
        match what:
            case PeerSaid(peer, message):
                self._hash.update(b"said %d " % peer)
                self._hash.update(message)
            case Say(peers, message, gossip):
                self._hash.update(f"say {list(peers)} {gossip} ".encode())
                self._hash.update(message)
            case _:
                self._hash.update(text_of(what).encode())

    def digest(self) -> str:
        """The hash so far, 32 hex digits."""
        return self._hash.hexdigest()

    def last(self) -> Iterator[str]:
        """The last events, a line each, oldest first."""
        for now_us, machine, what in self._last:
            yield f"{now_us / 1e6:14.6f} s  {machine:>5}  {text_of(what)[:_TEXT]}"


class Untraced(Trace):
    """For worlds that are measured: events are counted, and that is all."""

    def note(self, now_us: int, machine: int, what: Input | Effect | str) -> None:
        self.events += 1


def text_of(what: Input | Effect | str) -> str:  # noqa: C901, PLR0911 - a case a kind
    """An event or an effect in one line, without what is long."""
    kind = type(what).__name__
    match what:
        case str():
            return what
        case PeerSaid(peer, message):
            return f"{kind} {peer} {len(message)} bytes"
        case Say(peers, message, gossip):
            return f"{kind} {list(peers)} {len(message)} bytes{' gossip' if gossip else ''}"
        case Append(blocks) | AddSide(blocks):
            return f"{kind} {[block.hash[:12] for block in blocks]}"
        case AddRecords(records) | Complete(records) | PostRecords(_, records):
            return f"{kind} {[record.id for record in records]}"
        case PostAndWait(_, record):
            return f"{kind} {record.id}"
        case Reply(ticket, answer):
            what_said = answer.rule if isinstance(answer, RuleViolation) else type(answer).__name__
            return f"{kind} {ticket} {what_said}"
        case Log(level, event, fields):
            return f"{kind} {level} {event}: {fields.get('rule', '')} {fields.get('why', '')}"
        case SaveAddresses(content):
            return f"{kind} {len(content)} bytes"
        case Mine(number, head, _):
            return f"{kind} {number} {head[-16:].hex()}"
        case _:
            return repr(what)
