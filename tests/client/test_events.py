"""Events as the client has them: their stream cut anywhere, and what is done about connections that break."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.client.errors import ClientError, Misuse, Refused, Unavailable, Unreachable, Unreadable
from tallystick.client.events import (
    EVENT_BYTES_MAX,
    BlockAdded,
    Event,
    EventStream,
    Message,
    PeerChanged,
    RecordMoved,
    Reorg,
    Reset,
    read,
)
from tallystick.client.flows import Core, Items, Pause, advanced
from tallystick.client.following import Listen, More, Wanted, events
from tallystick.client.requests import Answer

from .ledger import problem

HASH: Final = "ab" * 32
HEADER: Final = f'{{"index":3,"hash":"{HASH}","previous_hash":"{HASH}","timestamp":7}}'

BEGINNING: Final = b"retry: 1000\nid: 3-%b-all-on-0\n\n" % HASH.encode()
BLOCK: Final = b"id: 4\nevent: block\ndata: %b\n\n" % HEADER.encode()
PEER: Final = b'event: peer\ndata: {"address":"a:1","dialled":null,"dialect":null,"state":"connected"}\n\n'
BEAT: Final = b":\n\n"

# --- the bytes --------------------------------------------------------------------------------------


def heard(*parts: bytes) -> tuple[list[Message], str | None, str]:
    """Messages, where to go on, and how it ended."""
    stream = EventStream()
    messages: list[Message] = []
    try:
        for part in parts:
            messages += stream.add(part)
    except Unreadable as error:
        return messages, None, str(error)
    return messages, stream.last_id, ""


fields = st.sampled_from(
    [b"data: x", b"data", b"data:", b"id: 1", b"id: 2", b"id:", b"event: block", b":", b"", b"?: y"]
)
streams = st.lists(st.tuples(fields, st.sampled_from([b"\n", b"\r\n", b"\r"]))).map(
    lambda lines: b"".join(line + end for line, end in lines) + b"\n:"
)


@given(streams | st.binary(max_size=60), st.data())
def test_wherever_the_bytes_are_cut_the_same_is_heard(sent: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)))))
    parts = [sent[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    assert heard(*parts) == heard(sent)
    assert heard(*(bytes([byte]) for byte in sent)) == heard(sent)


@given(st.binary(max_size=200))
def test_foreign_bytes_lead_to_typed_errors_alone(sent: bytes) -> None:
    for message in heard(b"event: block\ndata: " + sent + b"\n\n", sent)[0]:
        try:
            event = read(message)
        except Unreadable as error:
            assert str(error).isprintable()
        else:
            assert isinstance(event, Event | None)


def test_fields_mean_what_the_standard_says() -> None:
    sent = (
        b"\xef\xbb\xbfid: 7\r\ndata:a\rdata:  b\nevent: x\n\nevent: y\n\n: comment\ndata\n\nid: 8\ndata: never ended\n"
    )
    assert heard(sent) == ([Message("x", b"a\n b", "7"), Message("", b"", "7")], "7", "")


@pytest.mark.parametrize("endless", [b"data: " + b"x" * 1_000, b"data: " + b"x" * 1_000 + b"\n", b":" * 1_000])
def test_what_never_ends_is_refused_in_time(endless: bytes) -> None:
    stream = EventStream()
    with pytest.raises(Unreadable, match="longer"):
        [part for _ in range(2 * EVENT_BYTES_MAX // 1_000) for part in stream.add(endless)]
    assert len(stream._rest) + stream._data_bytes < EVENT_BYTES_MAX + 3_000


def test_an_id_that_cannot_be_sent_back_is_refused() -> None:
    for id in (b"", b"a b", b"\xc3\xa9", b"x" * 257):
        assert "no id" in heard(b"id: " + id + b"\n\n")[2]


def said(kind: str, data: str) -> Event | None:
    return read(Message(kind, data.encode(), "9"))


def test_each_type_is_read() -> None:
    where = f'{{"index":3,"hash":"{HASH}","timestamp":7}}'
    block = said("block", HEADER[:-1] + ',"records":5}')
    assert isinstance(block, BlockAdded)
    assert (block.id, block.index, block.records) == ("9", 3, 5)
    moved = said(
        "record", f'{{"id":"r","last_event_id":"lie","leaf":"00","status":"included","block":{where},"position":4}}'
    )
    assert isinstance(moved, RecordMoved)
    assert (moved.id, moved.record_id, moved.position, moved.block and moved.block.index) == ("9", "r", 4, 3)
    reorg = said("reorg", f'{{"fork":{HEADER},"removed":[{HEADER}]}}')
    assert isinstance(reorg, Reorg)
    assert [each.index for each in reorg.removed] == [3]
    assert isinstance(said("reset", HEADER), Reset)
    assert isinstance(said("peer", '{"address":"a:1","dialled":null,"dialect":null,"state":"gone"}'), PeerChanged)
    assert said("weather", "rain") is None


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("block", "{"),
        ("block", "[]"),
        ("block", '{"index":-1}'),
        ("block", "[" * 100_000),
        ("record", '{"id":"r","leaf":"","status":"lost"}'),
        ("record", '{"id":"r","leaf":"","status":"included","block":null,"position":null}'),
        ("peer", '{"address":"a:1","state":"bored"}'),
        ("peer", '{"address":"\xff'),
    ],
)
def test_what_is_no_event_is_a_typed_error(kind: str, data: str) -> None:
    with pytest.raises(Unreadable):
        said(kind, data)


# --- connections that break -------------------------------------------------------------------------

OPEN: Final = Answer(200, b"", kind="text/event-stream; charset=utf-8")
LOST: Final = Unreachable("there", "it ended the stream")


class Told:
    """Runs the core against what is to come of each of its wishes, on a clock of its own."""

    def __init__(
        self, *outcomes: Answer | bytes | ClientError, wanted: Wanted | None = None, patience_s: float = 30
    ) -> None:
        self.now_s = 0.0
        self.pauses: list[float] = []
        self.asked: list[tuple[str, str]] = []
        self._outcomes: Iterator[Answer | bytes | ClientError] = iter(outcomes)
        self._story = events(Core(patience_s, lambda: self.now_s, lambda: 1.0), wanted or Wanted())

    def all(self) -> list[Any]:
        """Everything until the outcomes are over."""
        told: list[Any] = []
        step = advanced(self._story)
        while True:
            if isinstance(step, Items):
                told += step.found
                step = advanced(self._story)
            elif isinstance(step, Pause):
                self.pauses.append(step.seconds)
                self.now_s += step.seconds
                step = advanced(self._story)
            else:
                assert isinstance(step, Listen | More)
                if isinstance(step, Listen):
                    self.asked.append(
                        (step.request.headers.get("Last-Event-ID", ""), step.request.query.get("from", ""))
                    )
                outcome = next(self._outcomes, None)
                if outcome is None:
                    return told
                step = advanced(self._story, outcome)


def test_it_goes_on_behind_the_last_event_that_came_whole() -> None:
    told = Told(OPEN, BEGINNING, BLOCK + PEER + BLOCK[:-1], LOST, LOST, OPEN, BEAT, wanted=Wanted(since=4))
    block, peer = told.all()
    assert (block.id, block.index, peer.id) == ("4", 3, "4")
    assert told.asked == [("", "4"), ("4", ""), ("4", "")]
    assert told.pauses == [0.1, 0.2]


def test_it_goes_on_where_it_began_if_nothing_came() -> None:
    told = Told(OPEN, BEGINNING, LOST, OPEN)
    assert told.all() == []
    assert told.asked == [("", ""), (f"3-{HASH}-all-on-0", "")]


def test_it_begins_behind_an_event_that_a_program_remembers() -> None:
    told = Told(OPEN, wanted=Wanted((BlockAdded, Reorg), after="4"))
    told.all()
    assert told.asked == [("4", "")]
    assert Wanted((Reorg, BlockAdded)).request(None).query == {"types": "block,reorg"}


def test_a_node_that_stays_away_is_an_error_in_the_end() -> None:
    told = Told(OPEN, BLOCK, *[LOST] * 1_000, patience_s=12)
    with pytest.raises(Unreachable):
        told.all()
    assert told.pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    with pytest.raises(Unreachable):
        Told(OPEN, BLOCK, LOST, patience_s=0).all()


def test_a_long_silence_uses_up_no_patience() -> None:
    told = Told(OPEN, BEAT, LOST, OPEN, BLOCK, patience_s=1)
    story = told._story
    assert isinstance(advanced(story), Listen)
    assert isinstance(advanced(story, OPEN), More)
    advanced(story, BEAT)
    told.now_s = 10_000
    assert isinstance(advanced(story, LOST), Pause)


def test_who_greets_and_hangs_up_is_asked_less_and_less_often() -> None:
    greeting: list[Answer | bytes | ClientError] = [OPEN, BEGINNING, LOST]
    told = Told(*(greeting * 10))
    told.all()
    assert told.pauses[-3:] == [5.0, 5.0, 5.0]


def test_a_busy_node_is_left_alone_as_long_as_it_wants() -> None:
    told = Told(problem(503, "busy", retry_after="5"), OPEN, BLOCK)
    assert len(told.all()) == 1
    assert told.pauses == [5.0]
    with pytest.raises(Unavailable):
        Told(*[problem(503, "busy", retry_after="5")] * 10).all()


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (problem(400, "bad-parameter"), Refused),
        (Answer(200, b"{}", kind="application/json"), Unreadable),
        (Answer(302, b""), Unreadable),
    ],
)
def test_what_cannot_pass_is_told_at_once(outcome: Answer, error: type[ClientError]) -> None:
    with pytest.raises(error):
        Told(outcome).all()


@pytest.mark.parametrize(
    "wanted", [{"types": ()}, {"types": (Event,)}, {"types": ("block",)}, {"after": "a b"}, {"after": "é"},
               {"since": -1}, {"after": "1", "since": 1}]
)  # fmt: skip
def test_what_cannot_be_asked_is_misuse(wanted: dict[str, Any]) -> None:
    with pytest.raises(Misuse):
        Wanted(**wanted)


def test_what_came_before_nonsense_is_told() -> None:
    told = Told(OPEN, BLOCK + b"event: block\ndata: {\n\n")
    story = told._story
    advanced(story)
    advanced(story, OPEN)
    assert isinstance(advanced(story, BLOCK + b"event: block\ndata: {\n\n"), Items)
    with pytest.raises(Unreadable):
        advanced(story)
