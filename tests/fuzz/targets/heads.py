"""Heads of requests before the gate: who passes has a head that reads one way, names this node, shows its token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Final

from tallystick.api import access as product
from tallystick.api.access import Access, Gate, Head
from tallystick.api.problems import TABLE, Refusal
from tests.fuzz.target import SetAttribute, Target

NAMES: Final = frozenset({"localhost", "node"})
TOKEN: Final = "0123456789abcdef"  # noqa: S105 - of nobody
ACCESSES: Final = (
    Access("127.0.0.1", 3001),
    Access("8.8.8.8", 3001, write_token=TOKEN, allowed_hosts=frozenset({"Ledger.Example."})),
    Access("8.8.8.8", 3001, write_token=TOKEN, read_token=TOKEN[::-1], tls=True),
    Access("10.0.0.1", 3001, open=True, allowed_origins=frozenset({"https://ledger.example"})),
)
GATES: Final = tuple(Gate(access, NAMES) for access in ACCESSES)


def one(data: bytes) -> None:
    """Before gates of four kinds, a head is refused with an answer, or it may pass by a second, slower look."""
    head = _head(data)
    for access, gate in zip(ACCESSES, GATES, strict=True):
        try:
            gate.judge(head)
        except Refusal as refusal:
            assert 400 <= TABLE[refusal.fault].status < 500
            assert refusal.detail.isascii()
            assert len(refusal.detail) < 500
            continue
        _check_form(data)
        if not head.knocks:
            host = _name_of(head.hosts)
            assert host in NAMES | {"ledger.example"} or _is_numeric(host)
            assert (
                not head.origins or head.origins[0].lower() in access.allowed_origins or host in head.origins[0].lower()
            )
            _check_token(access, head)
        elif head.origins:
            assert len(head.origins) == 1


def _head(raw: bytes) -> Head:
    """What a lenient reader finds in it."""
    line, *lines = raw.split(b"\r\n")
    fields = [line.decode("latin-1").partition(":") for line in lines]

    def of(name: str) -> Sequence[str]:
        return [value.strip() for key, _, value in fields if key.lower() == name]

    method, _, target = line.decode("latin-1").partition(" ")
    upgrade = "websocket" in [each.lower() for each in of("upgrade")]
    knocks = upgrade and method == "GET" and target.split(" ")[0].partition("?")[0] == "/"
    return Head(raw, method, of("host"), of("origin"), of("authorization"), knocks)


def _check_form(raw: bytes) -> None:
    """RFC 9112, sections 3 and 5, a byte at a time."""
    line, *lines = raw.split(b"\r\n")
    method, target, version = line.split(b" ")
    assert method.isalpha()
    assert target.startswith(b"/")
    assert version in {b"HTTP/1.0", b"HTTP/1.1"}
    assert all(0x20 < byte < 0x7F for byte in target)
    for field in lines:
        name, colon, value = field.partition(b":")
        assert colon
        assert name
        assert all(chr(byte).isalnum() or byte in b"!#$%&'*+-.^_`|~" for byte in name)
        assert name.isascii()
        assert all(byte == 0x09 or byte >= 0x20 for byte in value)
        assert 0x7F not in value


def _name_of(hosts: Sequence[str]) -> str:
    """The name in the only Host there is, without its port."""
    [host] = hosts
    name = host[: host.index("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return name.lower().strip("[]").rstrip(".")


def _is_numeric(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _check_token(access: Access, head: Head) -> None:
    """Whoever passed and is not open to all showed a token that is good for it."""
    reads = head.method in {"GET", "HEAD", "OPTIONS"}
    probes = reads and head.raw.split(b" ")[1] in {b"/health", b"/ready"}
    if access.open or access.write_token is None or probes or (reads and access.read_token is None):
        return
    [shown] = head.authorizations
    scheme, _, token = shown.partition(" ")
    assert scheme.lower() == "bearer"
    assert token.strip() in {access.write_token, *([access.read_token] if reads else [])}


def seeds() -> Iterator[bytes]:
    """Requests of clients, of pages of our own and of others, of peers, with tokens and without, and odd ones."""
    post, get = b"POST /mineBlock HTTP/1.1\r\n", b"GET /blocks?from=1 HTTP/1.1\r\n"
    bearer = b"Authorization: Bearer " + TOKEN.encode()
    yield from (
        post + b"Host: localhost:3001", get + b"Host: 127.0.0.1", get + b"Host: [::1]:3001\r\nAccept: */*",
        post + b"Host: node\r\n" + bearer,
        get + b"host: LEDGER.example\r\nauthorization: bearer " + TOKEN[::-1].encode(),
        post + b"Host: localhost\r\nOrigin: http://localhost",
        post + b"Host: localhost:443\r\nOrigin: https://localhost",
        post + b"Host: localhost\r\nOrigin: https://ledger.example", post + b"Host: localhost\r\nOrigin: null",
        get + b"Host: evil.example", get + b"Host: a\r\nHost: b", b"GET /health HTTP/1.0\r\nHost: 1.2.3.4",
        b"GET / HTTP/1.1\r\nHost: evil\r\nUpgrade: websocket",
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nOrigin: http://evil",
        get + b"Host: localhost\r\n folded", get + b"Host : localhost", b"GET http://x/ HTTP/1.1\r\nHost: localhost",
        b"",
    )  # fmt: skip


def plant(put: SetAttribute) -> None:
    """An origin of the right name is taken under every scheme."""
    put(Gate, "_authority", lambda _self, origin: f"{origin.partition('://')[2].partition(':')[0]}:80")
    put(product, "_is_numeric", lambda _name: True)


TARGET: Final = Target(
    one=one,
    seeds=seeds,
    plant=plant,
    dictionary=(b"\r\nHost: localhost", b"\r\nOrigin: http://localhost", b"\r\nAuthorization: Bearer ", TOKEN.encode(),
                b"\r\nUpgrade: websocket", b"HEAD ", b" HTTP/1.1"),
    size_bytes=800,
    runs=4_000,
)  # fmt: skip
