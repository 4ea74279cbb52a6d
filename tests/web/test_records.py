"""Pages of records and of the log: proofs, whose they are, and that a node that lies is found out."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tallystick.client import NewRecord
from tallystick.testing.local import LocalLedger
from tests.cli.running import run
from tests.web.browsing import Guard
from tests.web.nodes import asked, erase, one_node
from tests.web.reading import altered, checks, follow_link, heading, summary, turn, visit

COUNT: Final = 120
VALUE: Final = {"sensor": 7, "text": "ä <b>", "list": [1.5, None, True]}

Change = Callable[[dict[str, Any], dict[str, Any]], object]
"""Of a record as it is shown, and its proof."""


@pytest.fixture(scope="module")
def ledger() -> Iterator[LocalLedger]:
    """A log of `COUNT` records before the one that is looked at, and one block behind it."""
    with one_node(seals=False) as ledger:
        ledger.client.post_many([NewRecord(f"text {number}", id=f"r{number}") for number in range(COUNT)])
        ledger.seal()
        ledger.client.post(VALUE, id="one")
        ledger.client.post("gone", id="gone")
        ledger.seal(2)
        erase(ledger, "gone")
        yield ledger


def all_but_trust(page: Page) -> set[bool | None]:
    """What the checks come to, but for the one that takes a hash of somebody else."""
    found = checks(page)
    assert found.pop("block-is-trusted") is None
    return set(found.values())


# --- what holds -------------------------------------------------------------------------------------


def test_a_proof_is_checked_and_says_what_it_rests_on(page: Page, ledger: LocalLedger) -> None:
    visit(page, ledger, "/records/one")
    assert all_but_trust(page) == {True}
    assert summary(page) == "All that can be checked here holds."
    assert json.loads(page.locator("pre.data").inner_text()) == VALUE
    expect(page.get_by_text("Included: it is in a block of the best chain.")).to_be_visible()
    follow_link(page, page.locator("dd").get_by_role("link", name="Block 2"))
    assert heading(page).inner_text() == "Block 2"


def test_every_place_of_the_log_is_proven(page: Page, ledger: LocalLedger) -> None:
    visit(page, ledger, "/records")
    for position in (0, 1, 63, 64, 119, 120):
        id = asked(ledger, f"/records?after={position}&limit=1")[0]["id"]
        turn(page, f"/records/{id}")
        assert all_but_trust(page) == {True}


def test_what_was_erased_is_proven_without_its_data(page: Page, ledger: LocalLedger) -> None:
    visit(page, ledger, "/records/gone")
    found = checks(page)
    assert {rule for rule, holds in found.items() if holds is None} == {
        "block-is-trusted",
        "commitment-matches-data",
        "data-is-canonical",
    }
    assert False not in found.values()
    expect(page.get_by_text("The data was erased or withheld.")).to_be_visible()


def test_a_proof_is_held_against_a_hash_that_one_trusts(page: Page, ledger: LocalLedger, guard: Guard) -> None:
    visit(page, ledger, "/records/one")
    checks(page)
    trusted = page.get_by_label("Check against a block's hash that you trust")
    for index in (2, 3):
        trusted.fill(asked(ledger, f"/blocks/{index}")["hash"])
        page.get_by_role("button", name="Check", exact=True).click()
        expect(page.locator(".checks .summary")).to_contain_text("checks hold.")
        assert set(checks(page).values()) == {True}
    guard.expects("answered 404")
    guard.expects("Failed to load resource")
    for wrong, words in (("f" * 64, "f{8}"), (asked(ledger, "/blocks/1")["hash"], "not in|As of that block")):
        trusted.fill(wrong)
        page.get_by_role("button", name="Check", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text(re.compile(words))
    trusted.fill("nonsense")  # which the form does not take
    assert not trusted.evaluate("(input) => input.checkValidity()")


def test_the_proof_that_is_downloaded_is_one_for_the_terminal(page: Page, ledger: LocalLedger, tmp_path: Path) -> None:
    visit(page, ledger, "/records/one")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the proof").click()
    assert download.value.suggested_filename == "one.proof.json"
    file = tmp_path / "one.proof.json"
    download.value.save_as(file)
    tip = asked(ledger, "/blocks/latest")["hash"]
    assert run("check", str(file), "--block", tip).code == 0
    assert run("check", str(file), "--block", "f" * 64).code == 1


def test_a_record_that_waits_is_drawn_anew_when_its_block_is_there(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node(seals=False))
    ledger.client.post("text", id="waits")
    visit(page, ledger, "/records/waits")
    expect(page.get_by_text("waits for a block")).to_be_visible()
    ledger.seal()
    expect(page.get_by_text("Included: it is in a block")).to_be_visible()
    assert all_but_trust(page) == {True}
    trusted = page.get_by_label("Check against a block's hash that you trust")
    trusted.fill("half a hash")
    heading(page).click()
    ledger.seal()
    expect(page.locator(".depth")).to_have_text("2")
    expect(trusted).to_have_value("half a hash")


def test_the_log_is_shown_a_stretch_at_a_time(page: Page, ledger: LocalLedger) -> None:
    visit(page, ledger, "/records")
    seen = []
    while True:
        seen += [int(text) for text in page.locator("tbody th").all_inner_texts()]
        older = page.get_by_role("link", name="Older")
        if not older.count():
            break
        follow_link(page, older)
    assert seen == [*reversed(range(COUNT + 2))]
    follow_link(page, page.get_by_role("link", name="Newest"))
    expect(page.get_by_role("row", name="gone")).to_contain_text("erased")
    for odd in ("before=0", "before=999999", "before=-1", "before=x", "before="):
        turn(page, f"/records?{odd}")
        assert heading(page).inner_text() == "Records"


def test_a_classic_network_has_none_and_says_so(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node("classic"))
    visit(page, ledger, "/records/one")
    expect(page.get_by_text("holds one text, and no records")).to_be_visible()
    expect(page.locator("nav a[data-only=records]")).to_be_hidden()


# --- a node that lies -------------------------------------------------------------------------------


def flipped(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def of_proof(name: str, value: Any) -> Change:  # noqa: ANN401 - any JSON value
    return lambda _, proof: proof.__setitem__(name, value)


def of_shown(name: str, value: Any) -> Change:  # noqa: ANN401 - any JSON value
    return lambda record, _: record.__setitem__(name, value)


OTHER_COMMIT: Final = "A" * 43
OTHER_SALT: Final = "A" * 22
LIES: Final[dict[str, Change]] = {
    "data that is shown": of_shown("data", "another"),
    "data that is shown, a space": of_shown("data", {**VALUE, "text": "ä <b> "}),
    "data that is shown as erased": lambda record, _: (record.pop("data"), record.pop("salt")),
    "id that is shown": of_shown("id", "another"),
    "commit that is shown": of_shown("commit", OTHER_COMMIT),
    "salt that is shown": of_shown("salt", OTHER_SALT),
    "position that is shown": of_shown("position", 7),
    "data": of_proof("data", "another"),
    "data of both": lambda record, proof: (record.update(data=1), proof.update(data=1)),
    "salt": of_proof("salt", OTHER_SALT),
    "no salt, no data": lambda _, proof: (proof.pop("salt"), proof.pop("data")),
    "no salt": lambda record, proof: (proof.pop("salt"), record.pop("salt")),
    "entry of another id": lambda _, proof: proof.update(entry=proof["entry"].replace('"one"', '"two"')),
    "entry of another commit": lambda record, proof: (
        proof.update(entry=proof["entry"].replace(record["commit"], OTHER_COMMIT)),
        record.update(commit=OTHER_COMMIT),
    ),
    "entry with a space": lambda _, proof: proof.update(entry=" " + proof["entry"]),
    "entry is null": of_proof("entry", None),
    "position": of_proof("position", 7),
    "position of both": lambda record, proof: (record.update(position=7), proof.update(position=7)),
    "position beyond the log": of_proof("position", 10**9),
    "first step": lambda _, proof: proof["path"].__setitem__(0, flipped(proof["path"][0])),
    "last step": lambda _, proof: proof["path"].__setitem__(-1, flipped(proof["path"][-1])),
    "a step less": lambda _, proof: proof["path"].pop(),
    "a step more": lambda _, proof: proof["path"].append("0" * 64),
    "steps in another order": lambda _, proof: proof["path"].reverse(),
    "no path": lambda _, proof: proof.pop("path"),
    "path is a number": of_proof("path", 1),
    "header": lambda _, proof: proof.update(header=flipped(proof["header"])),
    "header is short": of_proof("header", "54534231"),
    "header is null": of_proof("header", None),
    "block": of_proof("block", "0" * 64),
    "block is null": of_proof("block", None),
    "format": of_proof("format", "tallystick-proof/2"),
    "network": of_proof("network", "0" * 64),
    "an empty document": lambda _, proof: proof.clear(),
}


def test_no_part_of_a_record_or_its_proof_can_be_another(page: Page, ledger: LocalLedger) -> None:
    """Neither what the proof says, nor what stands beside it."""
    lie: list[Change] = []

    def tell(_: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        told = copy.deepcopy(value)
        for record in told["records"] if lie else ():
            lie[0](record, record["proof"])
        return told

    altered(page, "**/records/one", tell)
    visit(page, ledger, "/records/one")
    assert False not in checks(page).values()
    believed = []
    for name, change in LIES.items():
        lie[:] = [change]
        turn(page, "/records/one")
        if False not in checks(page).values():
            believed.append(name)
    assert believed == []


def test_the_proof_of_another_record_proves_nothing_of_this_one(page: Page, ledger: LocalLedger) -> None:
    """Not even against a hash that the reader trusts."""
    other = asked(ledger, "/records/r5")["records"][0]["proof"]

    def instead(_: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        value["records"][0]["proof"] = other
        return value

    altered(page, "**/records/one?block=*", instead)
    visit(page, ledger, "/records/one")
    assert all_but_trust(page) == {True}
    page.get_by_label("Check against a block's hash that you trust").fill(other["block"])
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.locator(".checks.bad")).to_be_visible()
    found = checks(page)
    assert found["block-is-trusted"] is True
    assert [rule for rule, holds in found.items() if holds is False] == ["proof-is-of-what-is-shown"]
