"""What is believed: nothing that does not follow from a hash one had before."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.client import proofs
from tallystick.client.errors import Misuse, NotFound, NotProven, Unreadable
from tallystick.client.flows import Core
from tallystick.client.requests import Request
from tests.storage.sealed_blocks import record, records

from .ledger import Driver, Ledger, ok


def ledger() -> Ledger:
    made = Ledger()
    for index in range(1, 6):
        made.seal(*records(f"b{index}", 3))
    return made


LEDGER = ledger()
TIP = LEDGER.chain[-1].hash


def document(id: str = "b2-1", block: str = "latest") -> dict[str, Any]:
    answer = LEDGER.answer(Request("GET", f"/records/{id}", {"block": block}))
    proof: dict[str, Any] = json.loads(answer.body)["records"][0]["proof"]
    return proof


@pytest.mark.parametrize("form", [json.dumps, lambda made: json.dumps(made).encode(), dict, proofs.read_proof])
def test_a_proof_holds_in_every_form(form: Any) -> None:  # noqa: ANN401
    proven = proofs.check(form(document()), TIP.upper())
    assert (proven.id, proven.value, proven.position) == ("b2-1", "the text of b2-1", 4)
    assert (proven.block.index, proven.block.hash, proven.log_size) == (5, TIP, 15)
    assert proofs.led_to(proofs.read_proof(form(document()))) == TIP


@given(
    member=st.sampled_from(sorted(document().keys() - {"network"})),  # which is not proven
    value=st.sampled_from([None, "ab" * 32]) | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=3)),
)
def test_a_proof_with_anything_else_in_it_does_not_hold(member: str, value: object) -> None:
    changed = document() | {member: value}
    try:
        assert proofs.check(changed, TIP).value == "the text of b2-1"
    except Unreadable as error:
        assert str(error).isprintable()
    else:
        assert changed == document()


def test_a_proof_holds_for_its_own_block_alone() -> None:
    with pytest.raises(NotProven, match="leads to the block"):
        proofs.check(document(), LEDGER.chain[4].hash)
    for odd in ("", "latest", "zz" * 32, TIP[:-1]):
        with pytest.raises(Misuse):
            proofs.check(document(), odd)
    nothing: list[proofs.Document] = [b"", b"[]", b"\xff", "\ud800", b"[" * 100_000, {}]
    for none in nothing:
        with pytest.raises(Unreadable):
            proofs.check(none, TIP)


def test_verify_asks_for_the_block_that_is_trusted_and_believes_nobody() -> None:
    made = Driver(LEDGER.answer)
    old = LEDGER.chain[3].hash
    assert made.run(made.core.verify("b1-0", old, None)).block.index == 3
    assert made.run(made.core.verify("b1-0", old, b'"the text of b1-0"')).data == b'"the text of b1-0"'
    with pytest.raises(NotProven, match="expected"):
        made.run(made.core.verify("b1-0", old, b'"another text"'))
    with pytest.raises(NotProven, match="no proof"):
        made.run(made.core.verify("b4-0", old, None))
    with pytest.raises(NotFound):
        made.run(made.core.verify("b1-0", "ab" * 32, None))
    with pytest.raises(Misuse):
        made.run(made.core.verify("b1-0", "latest", None))


def test_a_node_that_gives_the_proof_of_another_record_is_found_out() -> None:
    honest = json.loads(LEDGER.answer(Request("GET", "/records/b1-0")).body)
    honest["records"][0]["proof"] = document("b2-1")
    with pytest.raises(NotProven, match="another record"):
        Driver(lambda _: ok(honest)).run(Core().verify("b1-0", TIP, None))


def test_a_node_that_kept_another_history_is_found_out() -> None:
    forged = Ledger()
    for index in range(1, 6):
        forged.seal(*records(f"b{index}", 3)[: 2 if index == 2 else 3])
    with pytest.raises(NotFound):
        Driver(forged.answer).run(Core().verify("b1-0", TIP, None))
    other = json.loads(forged.answer(Request("GET", "/records/b1-0")).body)
    with pytest.raises(NotProven):
        Driver(lambda _: ok(other)).run(Core().verify("b1-0", TIP, None))


def test_consistency_leads_from_the_trusted_block_to_a_later_one() -> None:
    made = Driver(LEDGER.answer)
    old = LEDGER.chain[2].hash
    assert made.run(made.core.verify_consistency(old, "latest")) == TIP
    assert made.run(made.core.verify_consistency(old, LEDGER.chain[4].hash)) == LEDGER.chain[4].hash
    answer = LEDGER.answer(Request("GET", "/blocks/latest/consistency", {"from": "2"}))
    assert proofs.check_consistency(answer.body, old, TIP) == TIP
    liar = Driver(lambda _: answer)
    for trusted, later in ((LEDGER.chain[1].hash, "latest"), (old, LEDGER.chain[4].hash)):
        with pytest.raises(NotProven):
            liar.run(liar.core.verify_consistency(trusted, later))
    proof = msgspec.json.decode(answer.body)
    for change in ({"path": proof["path"][1:]}, {"path": ["x"]}, {"header": ""}, {"format": "?"}):
        with pytest.raises(NotProven):
            proofs.check_consistency(msgspec.json.encode(proof | change), old)


def test_an_erased_record_is_proven_without_its_data() -> None:
    made = document() | {"salt": None, "data": None}
    proven = proofs.check(made, TIP)
    assert (proven.data, proven.value) == (None, None)
    assert proven.commit == json.loads(record("b2-1").entry)["commit"]
