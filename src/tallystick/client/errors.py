"""Everything that can go wrong when a program talks to a node: one tree of exceptions.

    ClientError
    ├── Misuse            cannot be asked: the program has to change
    ├── Unreachable       no whole answer came: nobody listens, the connection broke
    │   ├── Silent        or the node took too long
    │   └── Untrusted     or it could not show who it is
    ├── Unreadable        what answers does not speak as a node
    │   └── NotProven     it does, and what it says contradicts itself or what is trusted
    ├── Refused           the node said no, in a problem document (RFC 9457)
    │   ├── TokenNeeded, NotFound, IdTaken, Unavailable
    ├── BranchSwitched    what was read is no longer the chain
    └── NotYet            waited long enough

`may_retry` says whether the same may well succeed a little later. `str()` is a sentence for a person, in which foreign
text is bounded and made safe to show.
"""

from __future__ import annotations

import ssl
from typing import Final

from tallystick.errors import TallystickError
from tallystick.model.text import printable

DETAIL_CHARACTERS: Final = 500
"""Of what a node says for a reason."""


class ClientError(TallystickError):
    """Root of all of these."""

    may_retry = False
    """May the same succeed a little later, without anybody changing anything?"""


class Misuse(ClientError):
    """What was asked for cannot be: the URL is none, an id is not well-formed, data has no canonical form."""


class Unreachable(ClientError):
    """No whole answer came. Of a post nobody knows whether it was taken; one with an id is safely posted again."""

    may_retry = True

    def __init__(self, where: str, reason: str, *, was_sent: bool = True) -> None:
        """`was_sent` is False when there never was a connection, so that nothing can have happened."""
        super().__init__(f"{where} gives no answer: {reason}")
        self.reason = reason
        self.was_sent = was_sent


class Silent(Unreachable):
    """The node took too long."""


class Untrusted(Unreachable):
    """No TLS connection came about, though something listens there."""

    may_retry = False

    def __init__(self, where: str, error: ssl.SSLError) -> None:
        self.is_certificate = isinstance(error, ssl.SSLCertVerificationError)
        """Is it the certificate that is not trusted? Else no TLS is spoken there, or another one."""

        said = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.reason
        reason = printable(said or str(error))
        super().__init__(where, reason, was_sent=False)


class Unreadable(ClientError):
    """What answers does not speak as a node: no JSON of the expected form, too much of it, a redirect."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this is no answer of a Tallystick node: {reason}")
        self.reason = reason


class NotProven(Unreadable):
    """A proof does not hold, or an answer does not fit its own hashes. Whoever sent it is broken, or lies."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.args = (f"this does not hold: {reason}",)


class Refused(ClientError):
    """The node said no."""

    def __init__(
        self, status: int, problem: str = "", detail: str = "", *, rule: str | None = None, retry_after_s: float = 0.0
    ) -> None:
        self.status = status
        """HTTP's code."""

        self.problem = printable(problem)
        """What programs should look at: the end of the document's `type`, which never changes. "" if there is none."""

        self.detail = printable(detail, DETAIL_CHARACTERS)
        """What was wrong, in words."""

        self.rule = None if rule is None else printable(rule)
        """The rule of the ledger that was broken (`tallystick.errors.Rule`), if it is one."""

        self.retry_after_s = retry_after_s
        """How long the node wants to be left alone; 0.0 if it does not say."""

        self.may_retry = status in _PASSING
        named = f" ({self.problem})" if self.problem else ""
        super().__init__(f"the node answered {status}{named}: {self.detail or 'no reason given'}")


class TokenNeeded(Refused):
    """A token is asked for, or another one."""


class NotFound(Refused):
    """There is no such block or record; or the network keeps no records, see `rule`."""


class IdTaken(Refused):
    """The id names a record with other data."""


class Unavailable(Refused):
    """The node cannot do it now: its pool is full, it is starting, it is busy, its disk is full."""


_PASSING: Final = frozenset({408, 429, 503})
_KINDS: Final = {401: TokenNeeded, 404: NotFound, 409: IdTaken, 503: Unavailable}


def refused(status: int, problem: str, detail: str, *, rule: str | None = None, retry_after_s: float = 0.0) -> Refused:
    """The exception for a status."""
    return _KINDS.get(status, Refused)(status, problem, detail, rule=rule, retry_after_s=retry_after_s)


class BranchSwitched(ClientError):
    """The node follows another branch now, which leaves the one that was read.

    Of what an iterator gave, everything up to and including `after` still stands; nothing behind it does. Begin again
    with that.
    """

    may_retry = True

    def __init__(self, after: int) -> None:
        super().__init__(f"the node switched to another branch; what came after {after} is not on its chain any more")
        self.after = after
        """What to give for `after`; -1 when nothing that is remembered still stands."""


class NotYet(ClientError):
    """The time is over, and a record is not where it was waited for. It is as safe as before."""

    may_retry = True

    def __init__(self, id: str, status: str, confirmations: int) -> None:
        super().__init__(f"record {printable(id)} is {printable(status)}, with {confirmations} confirmations by now")
        self.id = id
        self.status = status
        self.confirmations = confirmations
