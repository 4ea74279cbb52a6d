"""Pages of blocks: what holds of them, what they say of themselves, and that a node that lies is found out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tallystick.client import NewRecord
from tallystick.testing.local import LocalLedger
from tests.web.browsing import Guard
from tests.web.nodes import apart, asked, erase, join, one_node
from tests.web.reading import altered, checks, follow_link, heading, summary, turn, until, visit

MANY: Final = 230
"""Records of one block: more than a page shows at once."""

TEXTS: Final = ("", "one", "three\nlines\nlong")

Change = Callable[[Any], None]


@pytest.fixture(scope="module")
def work() -> Iterator[LocalLedger]:
    """Genesis, a record, none, many, two."""
    with one_node("work", seals=False) as ledger:
        ledger.client.post({"first": True}, id="first")
        ledger.seal()
        ledger.seal()
        ledger.client.post_many([NewRecord(f"text {number}") for number in range(MANY)])
        ledger.seal()
        ledger.client.post("one", id="one")
        ledger.client.post(["two", 2], id="two")
        ledger.seal()
        yield ledger


@pytest.fixture(scope="module")
def classic() -> Iterator[LocalLedger]:
    with one_node("classic") as ledger:
        for text in TEXTS:
            ledger.client.mine(text)
        yield ledger


# --- what holds -------------------------------------------------------------------------------------


def test_every_check_of_a_work_block_holds(page: Page, work: LocalLedger) -> None:
    visit(page, work, "/blocks")
    for ref in ("0", "1", "2", "3", "4", asked(work, "/blocks/3")["hash"], "latest"):
        turn(page, f"/blocks/{ref}")
        assert set(checks(page).values()) == {True}
        assert summary(page) == f"All {len(checks(page))} checks hold."
        assert heading(page).inner_text() == f"Block {asked(work, f'/blocks/{ref}')['index']}"


def test_every_check_of_a_classic_block_holds(page: Page, classic: LocalLedger) -> None:
    visit(page, classic, "/blocks")
    for index, text in enumerate(["my genesis block!!", *TEXTS]):
        turn(page, f"/blocks/{index}")
        assert set(checks(page).values()) == {True}
        assert page.locator("pre.data").inner_text() == text


def test_many_records_are_shown_some_at_a_time(page: Page, work: LocalLedger) -> None:
    visit(page, work, "/blocks/3")
    rows, more = page.locator("tbody tr"), page.get_by_role("button", name="Show more")
    for count in (100, 200, MANY):
        expect(rows).to_have_count(count)
        if count < MANY:
            more.click()
    expect(more).to_be_hidden()


def test_neighbours_are_a_click_away(page: Page, work: LocalLedger) -> None:
    visit(page, work, "/blocks/0")
    for index in range(1, 5):
        follow_link(page, page.get_by_role("link", name=f"Block {index} →"))
        assert heading(page).inner_text() == f"Block {index}"
    expect(page.get_by_role("link", name="Block 5 →")).to_have_count(0)
    follow_link(page, page.get_by_role("link", name="← Block 3"))
    assert heading(page).inner_text() == "Block 3"


def test_erased_data_breaks_no_check(page: Page, opened: ExitStack) -> None:
    ledger = opened.enter_context(one_node())
    for id in ("kept", "gone"):
        ledger.client.wait(ledger.client.post(f"text of {id}", id=id).id)
    erase(ledger, "gone")
    visit(page, ledger, "/blocks/2")
    assert False not in checks(page).values()
    expect(page.get_by_role("row", name="gone erased")).to_be_visible()
    assert summary(page) == "All that can be checked here holds."


@pytest.mark.parametrize("kind", ["work", "classic"])
def test_a_block_that_left_the_chain_says_so(page: Page, opened: ExitStack, kind: str) -> None:
    one, other = opened.enter_context(apart(kind))
    for ledger, count in ((one, 1), (other, 3)):
        for number in range(count):
            post(ledger, f"{ledger.url} {number}")
    left = asked(one, "/blocks/1")["hash"]
    join(one, other)
    until(page, lambda: asked(one, "/forks"))
    visit(page, one, f"/blocks/{left}")
    expect(page.locator("p.notice")).to_contain_text("not on the best chain")
    assert False not in checks(page).values()
    if kind == "classic":
        until(page, lambda: asked(one, f"/blocks/{left}").get("mined_again_as"))
        visit(page, one, f"/blocks/{left}")
        follow_link(page, page.locator("p.notice").get_by_role("link").first)
        expect(page.locator("pre.data")).to_have_text(f"{one.url} 0")


def post(ledger: LocalLedger, text: str) -> None:
    if ledger.kind == "classic":
        ledger.client.mine(text)
    else:
        ledger.client.wait(ledger.client.post(text).id)


def test_a_block_that_is_not_there_is_told_in_words(page: Page, work: LocalLedger, guard: Guard) -> None:
    guard.expects(r"answered 4\d\d")
    guard.expects("Failed to load resource")
    visit(page, work, "/blocks")
    for ref in ("99", "f" * 64, "nonsense", "-1", "9" * 30, "<img src=x>", "%", "a%2f..%2f..%2fstatus"):
        turn(page, f"/blocks/{ref}")
        assert page.get_by_role("alert").is_visible()
        assert heading(page).inner_text() == "That did not work"


# --- a node that lies -------------------------------------------------------------------------------


def sets(name: str, value: Any) -> Change:  # noqa: ANN401 - any JSON value
    return lambda block: block.__setitem__(name, value)


def flips(name: str) -> Change:
    """The last hex digit becomes another one."""
    return lambda holder: holder.__setitem__(name, flipped(holder[name]))


def flipped(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def adds(name: str, number: int) -> Change:
    return lambda block: block.__setitem__(name, block[name] + number)


def lacks(name: str) -> Change:
    return lambda block: block.pop(name)


def of_record(change: Change) -> Change:
    return lambda block: change(block["records"][-1])


OF_ANY: Final[dict[str, Change]] = {
    "hash": flips("hash"),
    "previous_hash": flips("previous_hash"),
    "index": adds("index", 1),
    "index as text": sets("index", "3"),
    "timestamp": adds("timestamp", 1),
    "no hash": lacks("hash"),
    "hash is null": sets("hash", None),
    "hash is markup": sets("hash", "<img src=x onerror=alert(1)>"),
}
OF_CLASSIC: Final[dict[str, Change]] = OF_ANY | {
    "data": sets("data", "another"),
    "data, a space": lambda block: block.__setitem__("data", block["data"] + " "),
    "no data": lambda block: block.__setitem__("data", ""),
}
OF_WORK: Final[dict[str, Change]] = OF_ANY | {
    "log_size": adds("log_size", 1),
    "log_root": flips("log_root"),
    "body_hash": flips("body_hash"),
    "nonce": flips("seal"),
    "bits": lambda block: block.__setitem__("seal", "20" + "6" + block["seal"][3:]),
    "no records": sets("records", []),
    "a record less": lambda block: block["records"].pop(),
    "a record twice": lambda block: block["records"].append(block["records"][0]),
    "another order": lambda block: block["records"].reverse(),
    "records are null": sets("records", None),
    "no list of records": lacks("records"),
    "id": of_record(sets("id", "other")),
    "id is markup": of_record(sets("id", "<b>")),
    "commit": of_record(lambda record: record.__setitem__("commit", "A" * 43)),
    "salt": of_record(lambda record: record.__setitem__("salt", "A" * 22)),
    "data": of_record(sets("data", "another")),
    "data is null": of_record(sets("data", None)),
    "erased, with its data": of_record(lambda record: record.update(erased=True)),
    "a record is null": lambda block: block["records"].__setitem__(0, None),
}


def believed(page: Page, ledger: LocalLedger, path: str, lies: dict[str, Change], which: str) -> list[str]:
    """Those of these lies that the page does not call so. `which` answers of the node are changed."""
    lie: list[Change] = []

    def tell(_: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        told = copy.deepcopy(value)
        lie[0](told)
        return told

    visit(page, ledger, path)
    altered(page, which, tell)
    found = []
    for name, change in lies.items():
        lie[:] = [change]
        turn(page, path)
        shown = page.locator(".checks.good, .checks.bad, [role=alert]").first
        shown.wait_for()
        if "good" in (shown.get_attribute("class") or ""):
            found.append(name)
    page.unroute(which)
    return found


def test_no_member_of_a_classic_block_can_be_another(page: Page, classic: LocalLedger, guard: Guard) -> None:
    guard.expects("40[04]")  # of a predecessor that is not there
    assert believed(page, classic, "/blocks/3", OF_CLASSIC, "**/blocks/3") == []


def test_no_member_of_a_work_block_can_be_another(page: Page, work: LocalLedger, guard: Guard) -> None:
    guard.expects("40[04]")
    assert believed(page, work, "/blocks/4", OF_WORK, "**/blocks/4") == []


def test_the_predecessor_is_not_believed_either(page: Page, work: LocalLedger, classic: LocalLedger) -> None:
    for ledger, index, all_lies in ((work, 4, OF_WORK), (classic, 3, OF_CLASSIC)):
        parent = asked(ledger, f"/blocks/{index}")["previous_hash"]
        lies = {name: lie for name, lie in all_lies.items() if name not in NOT_LOOKED_AT}
        assert believed(page, ledger, f"/blocks/{index}", lies, f"**/blocks/{parent}") == []


NOT_LOOKED_AT: Final = {
    *("hash", "no hash", "hash is null", "hash is markup"),
    *("no records", "a record less", "a record twice", "another order", "records are null", "a record is null"),
    *("id", "id is markup", "commit", "salt", "data", "data is null", "erased, with its data"),
}
"""Its hash is computed, whatever it says. Of a sealed one that takes the header only: its records are not shown."""


def with_proof(change: Change) -> Change:
    return lambda answer: change(answer["records"][0]["proof"])


LYING_PROOFS: Final[dict[str, Change]] = {
    "last step": with_proof(lambda proof: proof["path"].__setitem__(-1, flipped(proof["path"][-1]))),
    "last but one": with_proof(lambda proof: proof["path"].__setitem__(-2, flipped(proof["path"][-2]))),
    "second step": with_proof(lambda proof: proof["path"].__setitem__(1, flipped(proof["path"][1]))),
    "a step more": with_proof(lambda proof: proof["path"].append("0" * 64)),
    "a step less": with_proof(lambda proof: proof["path"].pop()),
    "no steps": with_proof(sets("path", [])),
    "no path": with_proof(lacks("path")),
    "path is null": with_proof(sets("path", None)),
    "steps are numbers": with_proof(sets("path", [1, 2, 3])),
    "far too many": with_proof(lambda proof: proof["path"].extend(["0" * 64] * 10_000)),
}  # fmt: skip


def test_the_proof_that_leads_to_the_log_root_is_not_believed(page: Page, work: LocalLedger) -> None:
    assert believed(page, work, "/blocks/4", LYING_PROOFS, "**/records/one?*") == []


def test_a_node_that_shows_no_proof_leaves_the_log_open(page: Page, work: LocalLedger, guard: Guard) -> None:
    guard.expects("503")
    page.route("**/records/one?*", lambda route: route.fulfill(status=503, json={"title": "busy"}))
    visit(page, work, "/blocks/4")
    found = checks(page)
    assert [rule for rule, holds in found.items() if holds is not True] == ["log-matches-records"]
    assert found["log-matches-records"] is None
    assert summary(page) == "All that can be checked here holds."


def test_a_sound_block_in_place_of_another_is_found_out(page: Page, work: LocalLedger) -> None:
    other = asked(work, "/blocks/2")
    for ref in ("3", asked(work, "/blocks/3")["hash"]):
        page.route(f"**/blocks/{ref}", lambda route: route.fulfill(json=other))
        visit(page, work, f"/blocks/{ref}")
        assert [rule for rule, holds in checks(page).items() if holds is False] == ["is-what-was-asked-for"]


def test_a_block_that_cost_nothing_is_none_of_a_work_network(
    page: Page, work: LocalLedger, classic: LocalLedger
) -> None:
    """Its hash, its predecessor and its index are in order."""
    block, parent = asked(classic, "/blocks/1"), asked(classic, "/blocks/0")
    page.route("**/blocks/1", lambda route: route.fulfill(json=block))
    page.route(f"**/blocks/{parent['hash']}", lambda route: route.fulfill(json=parent))
    visit(page, work, "/blocks/1")
    assert [rule for rule, holds in checks(page).items() if holds is False] == ["is-what-was-asked-for"]
