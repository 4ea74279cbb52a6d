"""Bans over HTTP: who is kept out, and who may say so."""

from __future__ import annotations

import pytest

from tallystick.api.bans import canonical
from tallystick.errors import Rule, RuleViolation, StoreError
from tallystick.node.ports import Banned
from tests.api.serving import JSON_HEAD, run, serving

KEY = "0123456789abcdef" * 4


def test_a_ban_is_set_listed_and_lifted() -> None:
    async def main() -> None:
        async with serving() as node:
            assert (await node.client.get("/bans")).json() == []
            for subject in (KEY.upper(), "10.0.0.7", "2001:DB8:0::1"):
                answer = await node.client.post("/bans", json={"subject": subject})
                assert (answer.status_code, answer.json()) == (200, {"status": True})
            node.ledger.bans.append(Banned("10.0.0.9", manual=False, remaining_ms=5_000))
            assert (await node.client.get("/bans")).json() == [
                {"subject": KEY, "manual": True, "remaining_ms": None},
                {"subject": "10.0.0.7", "manual": True, "remaining_ms": None},
                {"subject": "2001:db8::1", "manual": True, "remaining_ms": None},
                {"subject": "10.0.0.9", "manual": False, "remaining_ms": 5_000},
            ]
            for path in (KEY.upper(), "10.0.0.7", "2001%3Adb8%3A%3A1", "10.0.0.9"):
                answer = await node.client.delete(f"/bans/{path}")
                assert (answer.status_code, answer.json()) == (200, {"status": True})
            assert node.ledger.bans == []

    run(main())


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        (KEY, KEY),
        (KEY.upper(), KEY),
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_a_subject_has_one_spelling(text: str, subject: str) -> None:
    assert canonical(text) == subject


BAD = [
    "",
    "x",
    KEY[:-1],
    KEY + "0",
    "g" * 64,
    "10.0.0.7:3001",
    "ws://10.0.0.7",
    "localhost",
    "10.0.0",
    "1",
    "\x00",
    "é",
]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_subject_is_refused(text: str) -> None:
    with pytest.raises(RuleViolation) as caught:
        canonical(text)
    assert caught.value.rule is Rule.BAN_IS_WELL_FORMED
    assert "node key of 64 hex digits" in caught.value.detail


@pytest.mark.parametrize(
    "body", [b"{}", b'{"subject": 3}', b'{"subject": null}', b'{"Subject": "10.0.0.7"}', b'{"subject": "10.0.0.7:1"}']
)
def test_a_bad_ban_is_a_problem_document(body: bytes) -> None:
    async def main() -> None:
        async with serving() as node:
            answer = await node.client.post("/bans", content=body, headers=JSON_HEAD)
            assert (answer.status_code, answer.json()["rule"]) == (400, "ban-is-well-formed")
            assert "subject" in answer.json()["detail"] or "10.0.0.7:1" in answer.json()["detail"]
            assert node.ledger.bans == []

    run(main())


def test_the_other_ways_to_ask_wrongly() -> None:
    async def main() -> None:
        async with serving() as node:
            assert (await node.client.post("/bans", content=b'{"subject": "10.0.0.7"}')).status_code == 415
            assert (await node.client.post("/bans", content=b"x", headers=JSON_HEAD)).status_code == 400
            for path, status, rule in (
                ("10.0.0.7", 404, "ban-is-known"),
                ("10.0.0.7%3A3001", 400, "ban-is-well-formed"),
                ("%00", 400, "ban-is-well-formed"),
                ("%ff", 400, "ban-is-well-formed"),
            ):
                answer = await node.client.delete(f"/bans/{path}")
                assert (answer.status_code, answer.json()["rule"]) == (status, rule), path
            node.ledger.fails_with = StoreError("gone")
            assert (await node.client.post("/bans", json={"subject": "10.0.0.7"})).status_code == 503

    run(main())
