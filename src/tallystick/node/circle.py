"""Whom a node knows and dials: configured peers for ever, and others on its own account.

Puts together what `wire` keeps apart: the addresses that the operator named (`redial`), the book of those that
others told of (`address_book`), the connections chosen from it (`outbound`), and what is told to whoever asks
(`exchange`). Times called `now_ms` are monotonic, `wall_ms` are what the book goes by.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from tallystick.model.limits import Limits
from tallystick.node.effects import SaveAddresses
from tallystick.node.inputs import Moment
from tallystick.node.profile import Profile
from tallystick.wire import address_file
from tallystick.wire.address_book import AddressBook, Entry
from tallystick.wire.endpoint import Endpoint
from tallystick.wire.exchange import Answers, Intake
from tallystick.wire.native.messages import Address
from tallystick.wire.native.session import NativeSession
from tallystick.wire.netgroups import source_of
from tallystick.wire.outbound import Chain as Course
from tallystick.wire.outbound import Outbound
from tallystick.wire.redial import Redial


class Among:
    """What native peers are known by, as a container: it is asked seldom, and not put together before."""

    def __init__(self, find: Callable[[], Iterable[object]]) -> None:
        self._find = find

    def __contains__(self, what: object) -> bool:
        return what is not None and what in self._find()


class Circle:
    """Owner of all addresses."""

    def __init__(
        self, limits: Limits, profile: Profile, remembered: Iterable[str], book: AddressBook | None, now_ms: int
    ) -> None:
        self._limits = limits
        self._profile = profile
        self._book = book or AddressBook(limits, private_ok=profile.private_ok)
        self._outbound = Outbound(limits, self._book, now_ms)
        self._answers = Answers(limits)
        self._intakes: dict[int, Intake] = {}
        self._save_ms = now_ms + limits.save_addresses_ms
        self.redial = Redial(limits, dict.fromkeys([*profile.dial, *remembered]), now_ms)
        """The addresses that the operator named, now or earlier."""

    def __len__(self) -> int:
        """Addresses in the book."""
        return len(self._book)

    def is_configured(self, address: str | None) -> bool:
        """Did the operator name this address?"""
        return address is not None and any(entry.address == address for entry in self.redial)

    def chose(self, address: str | None) -> bool:
        """Did we dial it on our own account?"""
        return address is not None and address in self._outbound

    @property
    def has_chosen(self) -> bool:
        """Did we dial anybody on our own account?"""
        return bool(self._outbound)

    # --- dialling ------------------------------------------------------------------------------

    def due(
        self,
        moment: Moment,
        keys: Container[str],
        places: Container[Endpoint],
        is_refused: Callable[[str, str | None], bool],
    ) -> list[str]:
        """The addresses to dial now. `keys` are of nodes we are connected with, `places` where they say they listen;
        `is_refused` judges address and key."""
        now_ms = moment.now.mono_ms
        due = self.redial.due(now_ms, keys)
        if self._profile.discover:
            configured = {entry.address for entry in self.redial}

            def avoid(entry: Entry) -> bool:
                known = entry.key in keys or entry.endpoint in places or entry.endpoint.address in configured
                return known or is_refused(entry.endpoint.ip, entry.key)

            due += self._outbound.due(now_ms, moment.now.wall_ms, moment.entropy, avoid=avoid)
        return due

    def next_ms(self, keys: Container[str]) -> int | None:
        """When `due` or `save` next has something to do."""
        times = [self.redial.next_ms(keys)]
        if self._profile.discover:
            times.append(self._outbound.next_ms())
        if self._book.changed:
            times.append(self._save_ms)
        return min((time for time in times if time is not None), default=None)

    def opened(self, address: str, peer: int, now_ms: int) -> bool:
        """A dial became connection `peer`; False when nobody wants it any more."""
        return self._outbound.opened(address, peer) or self.redial.opened(address, peer, now_ms)

    def failed(self, address: str, reason: str, moment: Moment) -> None:
        """A dial came to nothing."""
        self._outbound.failed(address, moment.now.wall_ms)
        self.redial.failed(address, moment.now.mono_ms, moment.entropy, reason)

    def ended(self, peer: int, address: str | None, reason: str, moment: Moment) -> None:
        """Connection `peer` is gone; `address` is what we dialled, if we did."""
        self._intakes.pop(peer, None)
        self._outbound.ended(peer, moment.now.wall_ms)
        if address is not None:
            self.redial.ended(address, peer, moment.now.mono_ms, moment.entropy, reason)

    # --- whom we met ---------------------------------------------------------------------------

    def met(self, peer: int, session: NativeSession, ip: str, moment: Moment) -> None:
        """The node at this numeric address has proved its key."""
        stranger = session.handshake.stranger
        if stranger is None:
            return
        key = stranger.key.hex()
        if session.dialled is None:
            if stranger.hello.listen_port:
                self._book.add(Endpoint.of(ip, stranger.hello.listen_port), source_of(ip), moment.now.wall_ms)
            return
        self.led_to(peer, session.dialled, key, moment)
        if not self.chose(session.dialled):
            self._met_configured(peer, session.remote, key, moment)

    def led_to(self, peer: int, address: str | None, key: str, moment: Moment) -> None:
        """What we dialled leads to this node, whether or not this connection to it stays."""
        if address is not None:
            self.redial.learn(address, key)
            self._outbound.ready(peer, key, moment.now.mono_ms, moment.now.wall_ms)

    def _met_configured(self, peer: int, remote: str, key: str, moment: Moment) -> None:
        """Its address is worth telling, too."""
        endpoint = Endpoint.read(remote)
        self._outbound.configured_ready(peer, endpoint)
        self._book.succeeded(endpoint, key, moment.now.wall_ms)

    def forget(self, address: str | None) -> None:
        """What we dialled there broke a rule: not again on our own account."""
        endpoint = None if address is None else Endpoint.dialled(address)
        if endpoint is not None and self.chose(address):
            self._book.forget(endpoint)

    def is_ourselves(self, address: str | None) -> None:
        """What we dialled there was this node itself."""
        endpoint = None if address is None else Endpoint.dialled(address)
        if endpoint is not None and self.chose(address):
            self._book.is_ourselves(endpoint)

    def weigh(self, peer: int, weight: int, ours: int, now_ms: int) -> Course:
        """Is the chain of a peer we chose good enough to stay with it?"""
        return self._outbound.weigh(peer, weight, ours, now_ms)

    # --- whom others know ----------------------------------------------------------------------

    def asks_addresses(self, peer: int, now_ms: int) -> None:
        """This peer is asked whom it knows."""
        intake = self._intakes.setdefault(peer, Intake(self._limits, now_ms))
        intake.asked()

    def told(self, peer: int, ip: str, addresses: Sequence[Address], moment: Moment) -> None:
        """It answered."""
        intake = self._intakes.get(peer)
        if intake is None:
            return
        packed = [(address.ip, address.port) for address in addresses]
        for endpoint in intake.take(packed, moment.now.mono_ms):
            self._book.add(endpoint, source_of(ip), moment.now.wall_ms)

    def to_tell(self, ip: str, moment: Moment) -> tuple[Address, ...]:
        """What to answer to whoever asks from this numeric address."""
        now = moment.now
        packed = self._answers.answer(self._book, ip, now.mono_ms, now.wall_ms, moment.entropy)
        return tuple(Address(*each) for each in packed)

    # --- on disk -------------------------------------------------------------------------------

    def save(self, now_ms: int, wall_ms: int, *, at_once: bool = False) -> Iterator[SaveAddresses]:
        """Write the book now and then, when it changed."""
        if self._book.changed and (at_once or now_ms >= self._save_ms):
            self._save_ms = now_ms + self._limits.save_addresses_ms
            self._book.forget_stale(wall_ms)
            self._book.changed = False
            yield SaveAddresses(address_file.encode(self._book))
