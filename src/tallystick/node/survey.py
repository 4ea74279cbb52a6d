"""What a branch weighs, before any of its bodies is fetched.

Where headers show what a branch weighs, whoever claims to have a heavier one is asked for its headers first. They are
checked as they come, everything but their bodies, and none is kept: only where we are, what it weighs so far, and the
names of the blocks that end batches, by which the bodies are fetched afterwards. A chain that turns out lighter than
ours has cost its sender as much as us, and no room (Bitcoin Core, `HeadersSyncState`). One that is heavier is fetched
by names that are proved: other bodies than those of the surveyed headers fit nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallystick.chain.contracts import Engine, Past
from tallystick.errors import Rule, RuleViolation
from tallystick.model.block import Header
from tallystick.model.limits import Limits
from tallystick.model.sealed import SealedHeader
from tallystick.wire.native.messages import GetSurvey, Point, Survey

LEAST_PART: Final = 20
"""A batch has at least this part of `Limits.batch_blocks`: names of batches are what a survey keeps, and headers claim
what they like."""


class Surveying:
    """A survey of one peer's branch, from where it leaves ours."""

    def __init__(self, engine: Engine, fork: Header, past: Past, limits: Limits) -> None:
        """`fork` is the last block that both have, and `past` what is before it."""
        self._engine = engine
        self._limits = limits
        self._newest = list(past(fork, limits.survey_window))
        self.fork = fork
        self.ends_in_future = False
        """Does the branch go on with blocks dated too far ahead of our clock? They are left for later."""

        self.ends: list[Point] = []
        """The last block of each batch."""

        self._cut_at = fork
        """The last of these; at first the fork."""

    @property
    def last(self) -> Header:
        """The last block that was surveyed."""
        return self._newest[-1]

    @property
    def weight(self) -> int:
        """Of the branch, as far as it was surveyed."""
        return self._engine.weight(self.last)

    def request(self) -> GetSurvey:
        """What to ask next."""
        return GetSurvey(1, (point_of(self.last),), None, self._limits.headers_per_reply)

    def take(self, reply: Survey, wall_ms: int) -> bool:
        """Check the next headers; True when there are no more that can be. Raises RuleViolation."""
        if reply.parent != point_of(self.last):
            raise RuleViolation(
                Rule.REPLY_FITS_REQUEST, f"headers after block {reply.parent.index}, not after {self.last.index}"
            )
        try:
            headers = self._engine.survey(reply.headers, self.last, self._past, wall_ms)
        except RuleViolation as broken:
            if broken.rule is not Rule.TIME_NOT_FROM_FUTURE:
                raise
            headers = ()
        self.ends_in_future = len(headers) < len(reply.headers)
        self._cut(headers)
        self._newest = [*self._newest, *headers][-self._limits.survey_window :]
        return self.ends_in_future or len(reply.headers) < self._limits.headers_per_reply

    def _cut(self, headers: Sequence[Header]) -> None:
        """Note where batches end. By what headers claim of their records, so it is bounded by blocks as well."""
        most, records = self._limits.batch_blocks, self._limits.batch_records
        for header in headers:
            blocks = header.index - self._cut_at.index
            is_large = blocks * LEAST_PART >= most and _log_size(header) - _log_size(self._cut_at) >= records
            if blocks >= most or is_large:
                self._cut_at = header
                self.ends.append(point_of(header))

    def _past(self, _: Header, count: int) -> Sequence[Header]:
        return self._newest[-count:]


def _log_size(header: Header) -> int:
    return header.log_size if isinstance(header, SealedHeader) else 0


def point_of(header: Header) -> Point:
    """A block's place and name."""
    return Point(header.index, bytes.fromhex(header.hash))
