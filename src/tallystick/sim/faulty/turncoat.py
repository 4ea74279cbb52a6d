"""A whole node whose words are changed on their way out.

It syncs, relays and answers like any other, so it stands where honest nodes stand, has what they have, and is asked and
believed like them. Then each message passes through `says`, in which it may be held back, changed or sent twice. What
the node thinks it has said it has not said; it never notices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tallystick.model.limits import Limits
from tallystick.model.network import Network
from tallystick.node.effects import Admit, Effect, Say
from tallystick.node.inputs import Input, Now, PeerClosed, Tick
from tallystick.node.profile import Profile
from tallystick.sim.chance import Chance, stream
from tallystick.sim.host import Host
from tallystick.sim.identity import draw_identity
from tallystick.wire.dialect import Dialect


class Turncoat(Host):
    """A node that does not say what it means."""

    acts_every_ms: int | None = None
    """How often it does something on its own account."""

    def __init__(
        self,
        network: Network,
        limits: Limits,
        chance: Chance,
        *,
        dials: Sequence[str] = (),
        listen_port: int = 0,
    ) -> None:
        profile = Profile(
            draw_identity(chance, is_stub=False),
            agent="tallystick/sim",
            listen_port=listen_port,
            dial=tuple(dials),
            discover=False,
            classic=False,
        )
        entropy = stream(chance.getrandbits(64), "entropy")
        super().__init__(network, limits, profile, entropy, dialects=frozenset({Dialect.NATIVE}))
        self.chance = chance
        self.admitted: dict[int, None] = {}
        """Peers whose handshake is over."""

        self._act_ms = 0

    @property
    def keys(self) -> Sequence[str]:
        """Those it has used, 64 hex digits each."""
        return [self.profile.identity.public.hex()]

    def start(self, now: Now) -> None:
        super().start(now)
        self.admitted = {}
        self._act_ms = now.mono_ms

    def wake_at_ms(self) -> int | None:
        wake_ms = super().wake_at_ms()
        if self.acts_every_ms is None or not self.admitted:
            return wake_ms
        return self._act_ms if wake_ms is None else min(wake_ms, self._act_ms)

    def step(self, event: Input, now: Now) -> Sequence[Effect]:
        self.hears(event)
        if isinstance(event, PeerClosed):
            self.admitted.pop(event.peer, None)
        effects = list(self._twisted(super().step(event, now), now))
        if isinstance(event, Tick) and self.acts_every_ms is not None and now.mono_ms >= self._act_ms:
            self._act_ms = now.mono_ms + self.acts_every_ms
            effects += self.acts(now)
        return effects

    def _twisted(self, effects: Sequence[Effect], now: Now) -> Iterator[Effect]:
        for effect in effects:
            match effect:
                case Say(peers, message, gossip):
                    for peer in peers:
                        for each in self.says(peer, message, now):
                            yield Say([peer], each, gossip)
                case Admit(peer):
                    self.admitted[peer] = None
                    yield effect
                case _:
                    yield effect

    # --- what is its own affair ----------------------------------------------------------------

    def hears(self, event: Input) -> None:
        """Something happens to it."""

    def says(self, peer: int, frame: bytes, now: Now) -> Sequence[bytes]:
        """What is said to a peer in place of this frame."""
        return [frame]

    def acts(self, now: Now) -> Sequence[Effect]:
        """What it does unasked, every `acts_every_ms`."""
        return ()
