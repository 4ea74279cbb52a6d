"""Who may ask what: the matrices of Host, Origin, token and bind address."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tallystick.api.access import Access, Gate, Head, listens_privately, own_names
from tallystick.api.problems import Fault, Refusal

LOCAL = Access("127.0.0.1", 3001)
PUBLIC = Access("0.0.0.0", 3001, write_token="w" * 32)  # noqa: S104 - it is about such addresses and tokens
NAMES = frozenset({"localhost", "mybox"})
GET = Head(raw=b"GET /blocks HTTP/1.1", method="GET", hosts=["127.0.0.1:3001"], origins=[], authorizations=[])
POST = replace(GET, raw=b"POST /mineBlock HTTP/1.1", method="POST")
KNOCK = replace(GET, raw=b"GET / HTTP/1.1", knocks=True)


def fault_of(head: Head, access: Access = LOCAL) -> Fault | None:
    try:
        Gate(access, NAMES).judge(head)
    except Refusal as refusal:
        assert refusal.detail.isascii()
        assert len(refusal.detail) < 400
        return refusal.fault
    return None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:3001",
        "localhost",
        "LOCALHOST:3001",
        "localhost.",
        "mybox:1",
        "[::1]",
        "[::1]:3001",
        "192.168.7.7:3001",
        "8.8.8.8",
        "[2001:db8::1]:80",
        "ledger.example",
        "Ledger.Example:443",
    ],
)
def test_numeric_own_and_listed_names_pass(host: str) -> None:
    access = replace(LOCAL, allowed_hosts=frozenset({"Ledger.example"}))
    assert fault_of(replace(GET, hosts=[host]), access) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3001", "127.0.0.1.evil.example", "127.1", "0x7f.1", "a_b"]
)
def test_foreign_names_are_misdirected(host: str) -> None:
    """Catalogue row 115: DNS rebinding. A page's own name now points at us; the browser still says which."""
    assert fault_of(replace(GET, hosts=[host])) is Fault.HOST_NOT_LISTED


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["127.0.0.1", "127.0.0.1"],
        [""],
        ["a b"],
        ["user@localhost"],
        ["localhost:port"],
        ["localhost:3001:1"],
        ["[::1"],
        ["::1"],
        ["localhost/x"],
        ["\x7f"],
        ["é"],
        ["localhost:123456"],
    ],
)
def test_garbled_hosts_are_bad_requests(hosts: list[str]) -> None:
    assert fault_of(replace(GET, hosts=hosts)) is Fault.HOST_MALFORMED


ORIGINS = [
    ([], None),
    (["http://127.0.0.1:3001"], None),
    (["HTTP://127.0.0.1:3001"], None),
    (["https://wallet.example"], None),
    (["null"], Fault.ORIGIN_NOT_ALLOWED),
    ([""], Fault.ORIGIN_NOT_ALLOWED),
    (["http://127.0.0.1"], Fault.ORIGIN_NOT_ALLOWED),
    (["http://127.0.0.1:3002"], Fault.ORIGIN_NOT_ALLOWED),
    (["https://127.0.0.1:3001"], Fault.ORIGIN_NOT_ALLOWED),
    (["http://localhost:3001"], Fault.ORIGIN_NOT_ALLOWED),
    (["http://evil.example"], Fault.ORIGIN_NOT_ALLOWED),
    (["https://wallet.example.evil.example"], Fault.ORIGIN_NOT_ALLOWED),
    (["http://127.0.0.1:3001", "http://evil.example"], Fault.ORIGIN_NOT_ALLOWED),
    (["file://"], Fault.ORIGIN_NOT_ALLOWED),
]


@pytest.mark.parametrize(("origins", "fault"), ORIGINS)
@pytest.mark.parametrize("head", [GET, POST, KNOCK], ids=["get", "post", "knock"])
def test_only_our_own_and_listed_pages_may_ask(head: Head, origins: list[str], fault: Fault | None) -> None:
    """Catalogue rows 113 and 114: pages of other sites, over HTTP and through a WebSocket."""
    access = replace(LOCAL, allowed_origins=frozenset({"https://wallet.example"}))
    assert fault_of(replace(head, origins=origins), access) is fault


def test_a_default_port_may_be_left_out() -> None:
    for host, origin in (("127.0.0.1", "http://127.0.0.1:80"), ("127.0.0.1:80", "http://127.0.0.1")):
        assert fault_of(replace(GET, hosts=[host], origins=[origin])) is None


def test_with_tls_our_own_pages_are_https_ones() -> None:
    access = replace(LOCAL, tls=True)
    for host, origin, ours in (
        ("127.0.0.1:3001", "https://127.0.0.1:3001", True),
        ("127.0.0.1", "https://127.0.0.1:443", True),
        ("127.0.0.1:443", "https://127.0.0.1", True),
        ("127.0.0.1:3001", "http://127.0.0.1:3001", False),
        ("127.0.0.1:80", "https://127.0.0.1", False),
    ):
        fault = fault_of(replace(GET, hosts=[host], origins=[origin]), access)
        assert fault is (None if ours else Fault.ORIGIN_NOT_ALLOWED)


def test_a_handshake_without_an_origin_is_not_held_to_its_host() -> None:
    for hosts in (["node.example:3001"], [], ["%%"]):
        assert fault_of(replace(KNOCK, hosts=hosts)) is None
    with_origin = replace(KNOCK, hosts=["evil.example"], origins=["http://evil.example"])
    assert fault_of(with_origin) is Fault.HOST_NOT_LISTED


BOTH = replace(PUBLIC, read_token="r" * 32)
READ_ONLY = Access("127.0.0.1", 0, read_token="r" * 32)
W, R, NONE, WRONG = ["Bearer " + "w" * 32], ["Bearer " + "r" * 32], list[str](), ["Bearer " + "x" * 32]
TOKENS = [
    # access, method, what is shown, served?
    (LOCAL, POST, NONE, True),
    (LOCAL, GET, NONE, True),
    (PUBLIC, GET, NONE, True),
    (PUBLIC, POST, NONE, False),
    (PUBLIC, POST, WRONG, False),
    (PUBLIC, POST, W, True),
    (PUBLIC, POST, ["bearer   " + "w" * 32], True),
    (PUBLIC, POST, ["Basic " + "w" * 32], False),
    (PUBLIC, POST, ["w" * 32], False),
    (PUBLIC, POST, ["Bearer"], False),
    (PUBLIC, POST, ["Bearer é\udcff"], False),
    (PUBLIC, POST, W * 2, False),
    (PUBLIC, replace(POST, method="DELETE"), NONE, False),
    (PUBLIC, replace(POST, method="post"), NONE, False),
    (replace(PUBLIC, host="127.0.0.1"), POST, NONE, False),
    (replace(PUBLIC, open=True), POST, NONE, True),
    (replace(PUBLIC, write_token=None, open=True), POST, NONE, True),
    (BOTH, GET, NONE, False),
    (BOTH, GET, R, True),
    (BOTH, GET, W, True),
    (BOTH, POST, R, False),
    (BOTH, POST, W, True),
    (BOTH, replace(GET, raw=b"GET /health HTTP/1.1"), NONE, True),
    (BOTH, replace(GET, raw=b"GET /ready HTTP/1.1"), NONE, True),
    (BOTH, replace(GET, raw=b"GET /health?x HTTP/1.1"), NONE, False),
    (READ_ONLY, POST, NONE, False),
    (READ_ONLY, POST, R, True),
]


@pytest.mark.parametrize(("access", "head", "shown", "served"), TOKENS)
def test_tokens(access: Access, head: Head, shown: list[str], served: bool) -> None:  # noqa: FBT001
    """Catalogue row 114: what writes needs what no page of another site has."""
    fault = fault_of(replace(head, authorizations=shown), access)
    assert fault is (None if served else Fault.TOKEN_NEEDED)


def test_every_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catalogue row 117: how long an answer takes tells nothing of any token, nor which of them was right."""
    compared: list[bytes] = []

    def compare(given: bytes, token: bytes) -> bool:
        compared.append(token)
        return given == token

    monkeypatch.setattr("hmac.compare_digest", compare)
    for shown in (R, W, WRONG):
        compared.clear()
        fault_of(replace(GET, authorizations=shown), BOTH)
        assert sorted(compared) == [b"r" * 32, b"w" * 32]


def test_a_token_is_not_asked_of_peers() -> None:
    """What a read token shuts out, the classic dialect, the node refuses itself (`Profile.classic`)."""
    assert fault_of(KNOCK, BOTH) is None
    assert fault_of(KNOCK, PUBLIC) is None


def test_no_token_ever_shows_in_a_repr() -> None:
    """Catalogue row 122: secrets in logs."""
    assert "www" not in repr(BOTH)
    assert "rrr" not in repr(BOTH)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET http://evil.example/ HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET /a\x00b HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET / HTTP/1.1\r\nx: a\x00b",
        b"GET / HTTP/1.1\r\nx: a\nb: c",
        b"GET / HTTP/1.1\r\nx: a\rb: c",
        b"GET / HTTP/1.1\r\nx: a\r\n folded",
        b"GET / HTTP/1.1\r\nContent-Length : 5",
        b"GET / HTTP/1.1\r\n: empty",
        b"GET / HTTP/2.0",
        b"GET  / HTTP/1.1",
    ],
)
@pytest.mark.parametrize("head", [GET, KNOCK], ids=["get", "knock"])
def test_heads_that_two_programs_might_read_differently_are_refused(head: Head, raw: bytes) -> None:
    """Catalogue rows 118 and 120."""
    assert fault_of(replace(head, raw=raw)) is Fault.BAD_REQUEST


def test_which_addresses_count_as_private() -> None:
    private = ["127.0.0.1", "localhost", "10.0.0.1", "192.168.1.1", "::1", "fd00::1"]
    public = ["0.0.0.0", "::", "8.8.8.8", "ledger.example", ""]  # noqa: S104 - it is about such addresses
    assert [listens_privately(host) for host in private + public] == [True] * len(private) + [False] * len(public)


def test_a_machine_knows_its_own_names() -> None:
    assert "localhost" in own_names()
    assert "" not in own_names()
