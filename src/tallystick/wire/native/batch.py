"""What a sync deals in: peers that say they have a chain, stretches of it, and what to do about both. See `sync`."""

from __future__ import annotations

from dataclasses import dataclass, field

from tallystick.errors import RuleViolation
from tallystick.model.sealed import AnyBlock
from tallystick.wire.native.messages import Point


@dataclass(slots=True)
class Candidate:
    """A peer that says it has a chain."""

    index: int
    weight: int
    void_until_ms: int = 0
    """It could not keep its word: not asked before this."""

    delivered: bool = False
    """Blocks of it were good: it leads before others, whose claims cost nothing."""

    at_once: int = 1
    """Requests that may be under way to it."""

    in_flight: int = 0
    measured_from_ms: int = 0
    measured_from_bytes: int = 0


@dataclass(slots=True)
class Batch:
    """A stretch of the chain to fetch."""

    at: Point | None
    """The last block we have before what is to come; None: wherever the lead's chain leaves ours."""

    stop: Point | None
    """Its last block, by the plan; None: the open end."""

    blocks: list[AnyBlock] = field(default_factory=list)
    """Arrived, checked, and not connected yet."""

    sizes: list[int] = field(default_factory=list)
    """Bytes of each of these, counted once."""

    held: list[int] = field(default_factory=list)
    """What each takes in memory."""

    complete: bool = False
    peer: int | None = None
    number: int = 0
    """Of the request under way."""

    asked_ms: int = 0
    claimed: int = 0
    claimant: int | None = None
    """Weight that a peer claimed when it was asked for the open end, and which peer."""

    cut_short_by: int | None = None
    cut_short_ms: int = 0
    """The peer whose last answer was much shorter than it might have been, and when: if it is asked on, its time goes
    on too."""

    lacking: set[int] = field(default_factory=set)
    """Peers that do not have it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask this peer for the rest of this batch."""

    peer: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class Blame:
    """This peer broke a rule of syncing."""

    peer: int
    broken: RuleViolation
