"""Getting acquainted: what it takes, and what it does not let through."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import Rule, RuleViolation
from tallystick.wire.native import codec
from tallystick.wire.native.handshake import Handshake, Side, Stranger, signed_text
from tallystick.wire.native.messages import Auth, Hello, Message, Ready
from tests.wire.native.people import anybody, broken_by, give, hello, identity, party, shake
from tests.wire.native.vocabulary import EXAMPLES, filled

DIALLER, ACCEPTOR = Side.DIALLER, Side.ACCEPTOR


def kinds(frames: list[bytes]) -> list[type]:
    return [type(codec.decode(frame)) for frame in frames]


def rule_of(to: Handshake, frame: bytes) -> Rule | None:
    broken = broken_by(to, frame)
    return None if broken is None else broken.rule


# --- as it should be --------------------------------------------------------------------------------


def test_two_nodes_get_acquainted() -> None:
    dialler, acceptor = party(DIALLER, 1), party(ACCEPTOR, 2)
    said = shake(dialler, acceptor)
    assert list(map(kinds, said)) == [[Hello], [Hello, Auth], [Auth], [Ready], [Ready]]
    assert dialler.is_over
    assert acceptor.is_over
    assert dialler.stranger == Stranger(identity(2).public, hello(2))
    assert acceptor.stranger == Stranger(identity(1).public, hello(1))
    assert dialler.said_tip == hello(1).tip.point


def test_nobody_is_done_before_the_other_said_ready() -> None:
    dialler, acceptor = party(DIALLER, 1), party(ACCEPTOR, 2)
    answers = give(acceptor, dialler.begin())
    ready = give(acceptor, give(dialler, answers))
    assert (dialler.is_over, acceptor.is_over) == (False, False)
    last = give(dialler, ready)
    assert (dialler.is_over, acceptor.is_over) == (True, False)
    assert give(acceptor, last) == []
    assert acceptor.is_over


def test_the_signed_text_stays_what_it_is() -> None:
    """Golden bytes: a context that no other signature of a node begins with, the side, and both hellos' SHA-256."""
    assert signed_text(b"a", b"b", DIALLER).hex() == (
        b"tallystick/auth/1".hex()
        + "00"
        + "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
        + "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"
    )
    assert signed_text(b"a", b"b", ACCEPTOR)[17] == 1
    dialler, acceptor = party(DIALLER, 1), party(ACCEPTOR, 2)
    [mine], [theirs, auth], *_ = shake(dialler, acceptor)
    message = codec.decode(auth)
    assert isinstance(message, Auth)
    assert identity(1).verify(identity(2).public, signed_text(mine, theirs, ACCEPTOR), message.signature)


@given(st.integers(0, 255), st.integers(0, 255))
def test_versions_must_have_ours_in_common(lowest: int, highest: int) -> None:
    broken = broken_by(party(ACCEPTOR, 2), codec.encode(hello(1, versions=(lowest, highest))))
    assert (broken is None) == (lowest <= 1 <= highest)
    assert broken is None or broken.rule is Rule.HELLO_IS_ACCEPTABLE


# --- who it is not ----------------------------------------------------------------------------------


@pytest.mark.parametrize("side", Side)
def test_another_network_is_told_so(side: Side) -> None:
    """Catalogue row 24."""
    broken = broken_by(party(side, 2), codec.encode(hello(1, network=filled(9))))
    assert broken is not None
    assert broken.rule is Rule.NETWORK_IS_OURS
    assert filled(9).hex() in broken.detail


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("changes", [{"key": identity(2).public}, {"nonce": filled(2, 8)}])
def test_a_node_knows_itself_by_its_key_or_its_nonce(side: Side, changes: dict[str, bytes]) -> None:
    """Catalogue row 28: the nonce shows it also where somebody else's key stands in between."""
    assert rule_of(party(side, 2), codec.encode(hello(1, **changes))) is Rule.PEER_IS_NOT_OURSELVES


def test_a_node_that_dials_itself_finds_out_before_it_has_signed_anything() -> None:
    """Catalogue row 28."""
    dialler = party(DIALLER, 1)
    acceptor = party(ACCEPTOR, 1, nonce=filled(8, 8), challenge=filled(8))
    assert rule_of(acceptor, dialler.begin()[0]) is Rule.PEER_IS_NOT_OURSELVES


@pytest.mark.parametrize(
    "agent", ["t\u00e9st", "a\nb", "\0", "\u202eabc", "\x7f", "a\tb", "\ud7ff", "\U0010ffff" * 128]
)
def test_an_agent_that_is_not_plain_is_refused_and_shown_escaped(agent: str) -> None:
    """Catalogue row 27: operators read it, so it needs no washing."""
    broken = broken_by(party(ACCEPTOR, 2), codec.encode(hello(1, agent=agent)))
    assert broken is not None
    assert broken.rule is Rule.HELLO_IS_ACCEPTABLE
    assert broken.detail.isascii()
    assert broken.detail.isprintable()


@pytest.mark.parametrize("agent", ["", "x" * 128, "name/1.0 (a; b)"])
def test_a_plain_agent_is_fine(agent: str) -> None:
    assert broken_by(party(ACCEPTOR, 2), codec.encode(hello(1, agent=agent))) is None


def test_an_agent_that_is_too_long_is_no_message() -> None:
    """Catalogue row 27."""
    assert rule_of(party(ACCEPTOR, 2), codec.encode(hello(1, agent="x" * 129))) is Rule.MESSAGE_IS_DECODABLE


@pytest.mark.parametrize("side", Side)
def test_who_is_not_welcome_is_told_after_showing_the_key(side: Side) -> None:
    def judge(stranger: Stranger) -> None:
        raise RuleViolation(Rule.PEER_IS_A_MEMBER, stranger.key.hex())

    parties = [party(each, 1 + each, judge if each is side else anybody) for each in Side]
    with pytest.raises(RuleViolation) as caught:
        shake(*parties)
    assert (caught.value.rule, caught.value.detail) == (Rule.PEER_IS_A_MEMBER, identity(2 - side).public.hex())
    assert parties[side].stranger is None
    assert not any(each.is_over for each in parties)


# --- signatures -------------------------------------------------------------------------------------


def talk_until_auth(seed: int = 1) -> tuple[Handshake, Handshake, list[bytes], list[bytes]]:
    """Both parties, the acceptor's answer and the dialler's auth; neither auth is delivered to its judge yet."""
    dialler, acceptor = party(DIALLER, seed), party(ACCEPTOR, 2)
    answers = give(acceptor, dialler.begin())
    auth = give(dialler, answers[:1])
    return dialler, acceptor, answers, auth


def test_a_signature_by_another_key_is_refused() -> None:
    """Catalogue row 29: whoever shows a key that is not its own."""
    dialler, acceptor, *_ = talk_until_auth()
    text = signed_text(codec.encode(hello(1)), codec.encode(hello(2)), DIALLER)
    assert rule_of(acceptor, codec.encode(Auth(identity(3).sign(text)))) is Rule.PEER_IS_WHO_IT_CLAIMS
    assert acceptor.stranger is None
    assert rule_of(dialler, codec.encode(Auth(filled(0, 64)))) is Rule.PEER_IS_WHO_IT_CLAIMS


def test_a_signature_for_the_other_direction_is_refused() -> None:
    """Catalogue row 29: what we signed ourselves, sent back to us, too."""
    dialler, acceptor, answers, auth = talk_until_auth()
    assert rule_of(dialler, auth[0]) is Rule.PEER_IS_WHO_IT_CLAIMS
    assert rule_of(acceptor, answers[1]) is Rule.PEER_IS_WHO_IT_CLAIMS
    _, acceptor, *_ = talk_until_auth()
    text = signed_text(codec.encode(hello(1)), codec.encode(hello(2)), ACCEPTOR)
    assert rule_of(acceptor, codec.encode(Auth(identity(1).sign(text)))) is Rule.PEER_IS_WHO_IT_CLAIMS


def test_a_signature_of_an_earlier_connection_is_refused() -> None:
    """Catalogue row 29: the acceptor's challenge is new each time."""
    *_, auth = talk_until_auth()
    acceptor = party(ACCEPTOR, 2, challenge=filled(9), nonce=filled(9, 8))
    give(acceptor, [codec.encode(hello(1))])
    assert rule_of(acceptor, auth[0]) is Rule.PEER_IS_WHO_IT_CLAIMS


@pytest.mark.parametrize(
    "change",
    [
        {"listen_port": 1},
        {"agent": "test/1 "},
        {"challenge": filled(7)},
        {"frame_bytes": 4_096},
        {"requests": 3},
        {"role": 1},
        {"versions": (0, 1)},
        {"final": hello(1).tip},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_hello_changed_on_the_way_is_found_by_both(change: dict[str, object]) -> None:
    """Catalogue row 29: both sign both hellos, byte for byte."""
    dialler, acceptor = party(DIALLER, 1), party(ACCEPTOR, 2)
    [mine] = dialler.begin()
    changed = codec.encode(hello(1, **change))
    assert changed != mine
    answers = give(acceptor, [changed])
    auth = give(dialler, answers[:1])
    assert rule_of(dialler, answers[1]) is Rule.PEER_IS_WHO_IT_CLAIMS
    assert rule_of(acceptor, auth[0]) is Rule.PEER_IS_WHO_IT_CLAIMS


def test_a_relay_that_shows_its_own_key_to_each_is_known_as_itself() -> None:
    """Catalogue row 29: it can talk with both, but as neither."""
    dialler, relay_in = party(DIALLER, 1), party(ACCEPTOR, 3)
    shake(dialler, relay_in)
    assert dialler.stranger is not None
    assert dialler.stranger.key == identity(3).public


# --- in this order only -----------------------------------------------------------------------------


def stages(side: Side) -> list[Handshake]:
    """Handshakes that await a hello, an auth, and ready."""
    made: list[Handshake] = []
    for steps in range(3):
        parties = [party(DIALLER, 1), party(ACCEPTOR, 2)]
        mine, other = parties[side], parties[1 - side]
        to_me, to_other = other.begin(), mine.begin()
        for _ in range(steps):
            if not to_me:
                to_me = give(other, to_other)
            to_other = give(mine, [to_me.pop(0)])
        made.append(mine)
    return made


FIRST: tuple[type, ...] = (Hello, Auth, Ready)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(("side", "stage"), list(product(Side, range(3))))
def test_nothing_else_is_taken(side: Side, stage: int, name: str) -> None:
    """Catalogue rows 25 and 26: no other message first, no message before ready, no second hello."""
    message: Message = EXAMPLES[name]
    if isinstance(message, FIRST[stage]):
        return
    mine = stages(side)[stage]
    assert rule_of(mine, codec.encode(message)) is Rule.HELLO_COMES_FIRST
    assert not mine.is_over


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("stage", range(3))
def test_what_may_be_ignored_later_is_not_taken_now(side: Side, stage: int) -> None:
    """Catalogue row 25: a stranger has no use for messages of a later version."""
    assert rule_of(stages(side)[stage], b"\x91\xcc\x80") is Rule.HELLO_COMES_FIRST


def test_an_acceptor_says_nothing_before_it_has_heard_a_good_hello() -> None:
    """Catalogue row 25: who asks a port who is there must first say who asks."""
    acceptor = party(ACCEPTOR, 2)
    assert acceptor.begin() == []
    with pytest.raises(RuleViolation):
        give(acceptor, [codec.encode(hello(1, network=filled(9)))])
    assert acceptor.stranger is None


def test_afterwards_the_handshake_takes_nothing_more() -> None:
    """Catalogue row 26."""
    dialler, acceptor = party(DIALLER, 1), party(ACCEPTOR, 2)
    shake(dialler, acceptor)
    assert rule_of(acceptor, codec.encode(hello(1))) is Rule.HELLO_COMES_FIRST
    assert rule_of(dialler, codec.encode(Ready())) is Rule.HELLO_COMES_FIRST


@given(
    st.lists(
        st.sampled_from([*map(codec.encode, EXAMPLES.values()), codec.encode(hello(1)), b"", b"\x91"]), max_size=5
    ),
    st.sampled_from(Side),
)
def test_nobody_gets_in_without_a_signature(frames: list[bytes], side: Side) -> None:
    mine = party(side, 2)
    mine.begin()
    for frame in frames:
        if broken_by(mine, frame) is not None:
            break
    assert mine.stranger is None
    assert not mine.is_over
