"""The client's core, without a socket: against a ledger that keeps to the documents, and against others."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.client.errors import (
    BranchSwitched,
    ClientError,
    IdTaken,
    Misuse,
    NotFound,
    NotProven,
    NotYet,
    Refused,
    Silent,
    Unavailable,
    Unreachable,
    Unreadable,
)
from tallystick.client.flows import RETRY_MOST_S, Core, Course, Flow, NewRecord
from tallystick.client.requests import Answer, Request
from tallystick.model.limits import LIMITS
from tallystick.model.network import CLASSIC
from tests.storage.sealed_blocks import record, records

from .ledger import Driver, Ledger, ok, problem

GONE = Unreachable("http://a", "it hung up")


def driver(ledger: Ledger) -> Driver:
    return Driver(ledger.answer)


# --- posting ----------------------------------------------------------------------------------------


def test_a_post_without_an_id_gets_one_before_it_is_sent() -> None:
    ledger = Ledger()
    [receipt] = driver(ledger).run(Core().post([NewRecord({"a": [1, None]})]))
    assert receipt.status == "pending"
    assert [(each.id, each.data) for each in ledger.pool] == [(receipt.id, b'{"a":[1,null]}')]
    assert NewRecord(1).id < NewRecord(1).id, "ids rise"


def test_a_post_whose_answer_was_lost_is_recorded_once() -> None:
    ledger = Ledger()
    lost: list[Answer | ClientError] = [GONE, Silent("http://a", "too long"), problem(503, "pool-has-room", "0")]

    def respond(request: Request) -> Answer | ClientError:
        answer = ledger.answer(request)
        return lost.pop() if lost else answer

    made = Driver(respond)
    [receipt] = made.run(made.core.post([NewRecord("x")]))
    assert [each.id for each in ledger.pool] == [receipt.id]
    assert len(made.pauses) == 3
    assert len({request.body for request in ledger.asked}) == 1


@given(st.lists(st.sampled_from(["arrives", "is lost", "is answered too late", "meets a full pool"]), max_size=12))
def test_whatever_becomes_of_the_tries_each_record_is_there_once_and_in_order(fates: list[str]) -> None:
    ledger = Ledger()
    left = iter(fates)

    def respond(request: Request) -> Answer | ClientError:
        match next(left, "arrives"):
            case "is lost":
                return GONE
            case "is answered too late":
                ledger.answer(request)
                return Silent("http://a", "too long")
            case "meets a full pool":
                return problem(503, "pool-has-room", "1")
        return ledger.answer(request)

    made = Driver(respond, patience_s=1_000)
    batches = [[NewRecord(f"{batch} {number}") for number in range(3)] for batch in range(3)]
    for batch in batches:
        receipts = made.run(made.core.post(batch))
        assert [each.id for each in receipts] == [each.id for each in batch]
    assert [each.id for each in ledger.pool] == [each.id for batch in batches for each in batch]


def test_retries_end_and_leave_the_node_alone_for_as_long_as_it_asks() -> None:
    busy = Driver(lambda _: problem(503, "busy", "7"), patience_s=30)
    with pytest.raises(Unavailable) as refused:
        busy.run(busy.core.status())
    assert busy.pauses == [7.0] * 4
    assert (refused.value.problem, refused.value.retry_after_s, refused.value.may_retry) == ("busy", 7.0, True)

    away = Driver(lambda _: GONE, patience_s=60)
    with pytest.raises(Unreachable):
        away.run(away.core.status())
    assert away.pauses[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert max(away.pauses) == RETRY_MOST_S
    assert sum(away.pauses) <= 60

    for odd in ("86401", "soon", "-1", "1e3", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 5_000):
        hasty = Driver(lambda _, odd=odd: problem(503, "busy", odd), patience_s=0.4)  # type: ignore[misc]
        with pytest.raises(Unavailable):
            hasty.run(hasty.core.status())
        assert hasty.pauses == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize("answer", [problem(400, "x"), problem(409, "x"), problem(500, "internal"), ok([])])
def test_what_will_not_help_is_not_tried_again(answer: Answer) -> None:
    made = Driver(lambda _: answer)
    with pytest.raises(ClientError) as error:
        made.run(made.core.status())
    assert not error.value.may_retry
    assert made.pauses == []


def test_an_id_that_is_taken_has_its_own_error() -> None:
    made = driver(Ledger())
    made.run(made.core.post([NewRecord("one", "id")]))
    with pytest.raises(IdTaken) as taken:
        made.run(made.core.post([NewRecord("other", "id")]))
    assert (taken.value.status, taken.value.rule) == (409, "record-id-is-free")


def test_many_go_in_requests_that_a_node_takes() -> None:
    ledger = Ledger()
    small = [NewRecord(number, f"s-{number}") for number in range(2_001)]
    large = [NewRecord("x" * 60_000, f"l-{number}") for number in range(300)]
    receipts = driver(ledger).run(Core().post(iter([*small, *large])))
    assert [each.id for each in receipts] == [each.id for each in [*small, *large]]
    bodies = [request.body or b"" for request in ledger.asked]
    assert max(map(len, bodies)) <= LIMITS.request_body_bytes
    assert max(len(msgspec.json.decode(body)) for body in bodies) <= LIMITS.records_per_post
    assert len(bodies) == 5
    assert driver(ledger).run(Core().post([])) == []


@pytest.mark.parametrize(
    "data", [float("nan"), [float("inf")], 2**53, "\ud800", {1: 2}, object(), {"a": {"b": object()}}]
)
def test_data_that_has_no_canonical_form_is_not_sent(data: object) -> None:
    ledger = Ledger()
    with pytest.raises(Misuse):
        driver(ledger).run(Core().post([NewRecord(data)]))
    assert ledger.asked == []


@pytest.mark.parametrize("id", ["", "..", "a/b", "a?b", "ü", "x" * 129])
def test_an_id_that_is_none_is_not_sent(id: str) -> None:
    made = driver(Ledger())
    calls: list[Flow[Any]] = [
        made.core.post([NewRecord(1, id)]),
        made.core.record(id),
        made.core.wait(id, 1, 1),
        made.core.verify(id, "ab" * 32, None),
    ]
    for flow in calls:
        with pytest.raises(Misuse):
            made.run(flow)


@pytest.mark.parametrize("ids", [[], ["b"], ["a", "b"]])
def test_receipts_for_something_else_are_no_receipts(ids: list[str]) -> None:
    answer = ok({"records": [{"id": id, "commit": "c", "status": "pending"} for id in ids]}, 202)
    made = Driver(lambda _: answer)
    with pytest.raises(Unreadable):
        made.run(made.core.post([NewRecord(1, "a")]))


# --- a classic network ------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [GONE, Silent("http://a", "x"), problem(503, "store-full", "1")])
def test_mining_is_never_tried_again(trouble: Answer | ClientError) -> None:
    asked = []

    def respond(request: Request) -> Answer | ClientError:
        asked.append(request)
        return trouble

    made = Driver(respond)
    with pytest.raises((Unreachable, Unavailable)):
        made.run(made.core.mine("x"))
    assert len(asked) == 1
    assert made.pauses == []


def test_a_mined_block_is_what_it_says_and_holds_the_data() -> None:
    genesis = msgspec.to_builtins(CLASSIC.genesis)
    made = Driver(lambda _: ok(genesis))
    assert made.run(made.core.mine("my genesis block!!")).hash == CLASSIC.id
    with pytest.raises(NotProven, match="does not"):
        made.run(made.core.mine("something else"))
    for change in ({"data": "forged"}, {"timestamp": 1_700_000_000}, {"index": 1}, {"hash": "ab" * 32}):
        forged = Driver(lambda _, change=change: ok(genesis | change))  # type: ignore[misc]
        with pytest.raises(NotProven):
            forged.run(forged.core.mine("my genesis block!!"))
    with pytest.raises(Misuse):
        made.run(made.core.mine("\ud800"))


def test_where_blocks_have_to_be_found_mining_may_take_too_long() -> None:
    made = Driver(lambda _: ok({"records": [{"id": "a", "commit": "c", "status": "pending"}]}, 202))
    with pytest.raises(NotYet) as waiting:
        made.run(made.core.mine("x"))
    assert waiting.value.id == "a"


# --- one record, one block --------------------------------------------------------------------------


def test_waiting_looks_less_and_less_often_and_ends() -> None:
    ledger = Ledger(pool=[record("a")])
    made = driver(ledger)
    made.paused = lambda: None if len(made.pauses) < 4 else void(ledger.seal())
    found = made.run(made.core.wait("a", 3, 60))
    assert (found.status, found.confirmations) == ("included", 3)
    assert found.value == "the text of a"
    assert made.pauses == sorted(made.pauses)
    made.paused = lambda: None
    with pytest.raises(NotYet) as late:
        made.run(made.core.wait("a", 4, 10))
    assert (late.value.status, late.value.confirmations) == ("included", 3)
    assert sum(made.pauses[-20:]) >= 10
    with pytest.raises(NotFound):
        made.run(made.core.wait("b", 1, 10))


def void(_: object) -> None: ...


def test_a_block_is_found_by_index_hash_and_as_the_latest() -> None:
    ledger = Ledger()
    block = ledger.seal(*records("a", 3))
    made = driver(ledger)
    for which in (1, block.hash, block.hash.upper(), "latest"):
        found = made.run(made.core.block(which))
        assert (found.hash, [each.id for each in found.records or ()]) == (block.hash, ["a-0", "a-1", "a-2"])
    with pytest.raises(NotFound):
        made.run(made.core.block(9))
    for odd in ("first", "../peers", -1):
        with pytest.raises(Misuse):
            made.run(made.core.block(odd))


@pytest.mark.parametrize("path", ["index", "hash", "timestamp", "log_root", "seal", "body_hash", "records"])
def test_a_forged_block_is_refused(path: str) -> None:
    ledger = Ledger()
    block = ledger.seal(*records("a", 2))
    shown = msgspec.json.decode(ledger.answer(Request("GET", "/blocks/1")).body)
    other = {"index": 2, "timestamp": 5, "seal": "00", "records": shown["records"][:1]}.get(path, "ab" * 32)
    forger = Driver(lambda _: ok(shown | {path: other}))
    for which in (block.hash, 1):
        with pytest.raises(NotProven):
            forger.run(forger.core.block(which))
    shown["records"][0]["data"] = "forged"
    with pytest.raises(NotProven):
        Driver(lambda _: ok(shown)).run(Core().block(block.hash))


def test_the_block_of_another_hash_is_refused() -> None:
    ledger = Ledger()
    ledger.seal()
    asked_for = ledger.seal().hash
    with pytest.raises(NotProven, match="asked for block"):
        Driver(lambda _: ledger.answer(Request("GET", "/blocks/1"))).run(Core().block(asked_for))


# --- along the chain --------------------------------------------------------------------------------


def grown(blocks: int, each: int = 2) -> Ledger:
    ledger = Ledger()
    for index in range(1, blocks + 1):
        ledger.seal(*records(f"b{index}", each))
    return ledger


def test_blocks_and_records_come_in_order_from_anywhere() -> None:
    ledger = grown(5)
    made = driver(ledger)
    assert [block.index for block in made.walk(made.core.blocks(-1, follow=False))] == [0, 1, 2, 3, 4, 5]
    assert [block.index for block in made.walk(made.core.blocks(3, follow=False))] == [4, 5]
    assert made.walk(made.core.blocks(99, follow=False)) == []
    ids = [each.id for each, _ in ledger.log]
    assert [each.id for each in made.walk(made.core.records(0, follow=False))] == ids
    assert [each.id for each in made.walk(made.core.records(7, follow=False))] == ids[7:]
    assert made.walk(made.core.records(10, follow=False)) == []
    with pytest.raises(Misuse):
        made.walk(made.core.records(-1, follow=False))


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5), after=st.integers(0, 8))
def test_whatever_the_pages_everything_comes_once_and_in_order(sizes: list[int], after: int) -> None:
    ledger = HONEST
    numbers = itertools.cycle(sizes)

    def respond(request: Request) -> Answer:
        short = {**request.query, "limit": str(min(int(request.query["limit"]), next(numbers)))}
        return ledger.answer(Request(request.method, request.path, short))

    made = Driver(respond)
    assert [each.index for each in made.walk(made.core.blocks(after - 1, follow=False))] == list(range(after, 4))
    assert [each.position for each in made.walk(made.core.records(after, follow=False))] == list(range(after, 6))


def test_who_follows_sees_what_is_added() -> None:
    ledger = grown(2)
    made = driver(ledger)
    made.paused = lambda: void(ledger.seal(*records(f"p{len(made.pauses)}", 2)))
    assert [block.index for block in made.walk(made.core.blocks(-1, follow=True), most=6)] == [0, 1, 2, 3, 4, 5]
    ids = [each.id for each in made.walk(made.core.records(0, follow=True), most=14)]
    assert ids == [each.id for each, _ in ledger.log][:14]


Walk = Callable[[Core, int], Course[Any]]


@pytest.mark.parametrize(
    ("walk", "after", "stands"),
    [
        (lambda core, after: core.blocks(after, follow=True), -1, 3),
        (lambda core, after: core.records(after, follow=True), 0, 6),
    ],
)
@pytest.mark.parametrize("kept", [0, 1, 3])
def test_a_switch_is_told_with_where_to_begin_again(walk: Walk, after: int, stands: int, kept: int) -> None:
    ledger = grown(5)
    made = driver(ledger)

    def switch() -> None:
        ledger.chain = ledger.chain[: kept + 1]
        for index in range(7):
            ledger.seal(*records(f"other{index}", 2))

    made.paused = switch
    with pytest.raises(BranchSwitched) as switched:
        made.walk(walk(made.core, after))
    expected = kept if stands == 3 else 2 * kept
    assert switched.value.after == expected
    made.paused = lambda: None
    again = made.walk(walk(made.core, switched.value.after), most=1)
    assert again


def test_pages_that_do_not_fit_are_refused() -> None:
    ledger = grown(4)
    blocks = msgspec.json.decode(ledger.answer(Request("GET", "/blocks", {"from": "0", "limit": "9"})).body)
    entries = msgspec.json.decode(ledger.answer(Request("GET", "/records", {"after": "0", "limit": "9"})).body)
    for page in (
        blocks[1:],
        blocks[:1] + blocks[2:],
        blocks[::-1],
        [blocks[0], blocks[1] | {"previous_hash": "0" * 64}],
    ):
        with pytest.raises(Unreadable):
            Driver(lambda _, page=page: ok(page)).walk(Core().blocks(-1, follow=False))  # type: ignore[misc]
    for page in (entries[1:], entries[::-1], [entries[0] | {"block": None}], [entries[0] | {"data": 1}]):
        with pytest.raises(Unreadable):
            Driver(lambda _, page=page: ok(page)).walk(Core().records(0, follow=False))  # type: ignore[misc]


# --- whatever is answered ---------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.sampled_from(
    [
        Request("GET", "/blocks/1"),
        Request("GET", "/blocks", {"from": "0", "limit": "9"}),
        Request("GET", "/records", {"after": "0", "limit": "9"}),
        Request("GET", "/records/b1-0"),
        Request("GET", "/blocks/latest/consistency", {"from": "1"}),
    ]
)
HONEST = grown(3)


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """An honest answer in which something was put in another's place."""
    value = msgspec.json.decode(HONEST.answer(draw(DOCUMENTS)).body)
    for _ in range(draw(st.integers(1, 3))):
        place: Any = value
        while isinstance(place, dict | list) and place:
            key = (
                draw(st.sampled_from(sorted(place)))
                if isinstance(place, dict)
                else draw(st.sampled_from(range(len(place))))
            )
            if not isinstance(place[key], dict | list) or draw(st.booleans()):
                place[key] = draw(JSON)
                break
            place = place[key]
    return msgspec.json.encode(value)


CALLS: list[Callable[[Core], Any]] = [
    lambda core: core.status(),
    lambda core: core.peers(),
    lambda core: core.add_peer("ws://a:1"),
    lambda core: core.post([NewRecord(1, "a")]),
    lambda core: core.mine("x"),
    lambda core: core.block(1),
    lambda core: core.block(HONEST.chain[1].hash),
    lambda core: core.records_of("b1-0"),
    lambda core: core.wait("b1-0", 1, 0),
    lambda core: core.blocks(-1, follow=False),
    lambda core: core.records(0, follow=False),
    lambda core: core.verify("b1-0", HONEST.chain[-1].hash, None),
    lambda core: core.verify_consistency(HONEST.chain[1].hash, "latest"),
]


@given(
    body=st.binary(max_size=50) | JSON.map(msgspec.json.encode) | altered(),
    status=st.sampled_from([200, 202]) | st.integers(100, 599),
    retry_after=st.none() | st.text(max_size=10),
)
def test_whatever_is_answered_it_is_a_value_or_a_typed_error(body: bytes, status: int, retry_after: str | None) -> None:
    for call in CALLS:
        answers = [Answer(status, body, "Reason", retry_after)]
        made = Driver(lambda _, answers=answers: answers.pop() if answers else ok([]), patience_s=0)  # type: ignore[misc]
        try:
            made.walk(call(made.core))
        except ClientError as error:
            assert str(error).isprintable()
            assert len(str(error)) < 2_000
            if isinstance(error, Refused):
                assert error.status == status
