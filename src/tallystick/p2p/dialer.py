"""The way out: from an address to an open WebSocket, or one line that says why not.

A name is resolved once, every numeric address it stands for is judged, and exactly what was judged is
dialled: no second look-up, no proxy, no redirect can lead elsewhere (DNS rebinding, CWE-918). All of it
together has `Limits.handshake_ms`.

We offer the subprotocol `tallystick.1`. Who does not take it up speaks the classic dialect, as a node of
the book does, which does not even look at what is offered.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, cast

from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from tallystick.errors import Rule, RuleViolation, TallystickError, shown
from tallystick.model.limits import LIMITS, Limits
from tallystick.wire.addresses import PeerAddress, parse
from tallystick.wire.dialect import Dialect

Judge = Callable[[str, str], None]
"""`judge(address, ip)`: may we dial `ip` for the sake of `address`? Raises RuleViolation."""

IsOurs = Callable[[str, int], bool]
"""`is_ours(ip, port)`: is that where we ourselves listen?"""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""`resolve(host, port)`: its numeric addresses. Raises OSError."""

_lookups: Final = threading.BoundedSemaphore(LIMITS.lookups)

_HEAD_BYTES: Final = 16 * 1024
"""An answer to a handshake has a few hundred bytes; more than this before its end is none."""

_HEAD_END: Final = b"\r\n\r\n"
_SWITCHING: Final = b"101"


class DialError(TallystickError):
    """The address can't be reached, may not be dialled, or nobody there speaks our protocol."""


class Line(NamedTuple):
    """A WebSocket that is open. Reading is paused; `early` came after the handshake already."""

    wire: ClientProtocol
    transport: asyncio.Transport
    early: bytes


class Dialer:
    """Opens connections to peers."""

    def __init__(
        self,
        limits: Limits,
        judge: Judge,
        is_ours: IsOurs,
        resolve: Resolve,
        *,
        tls: ssl.SSLContext | None = None,
        classic_ok: bool = True,
    ) -> None:
        """`tls` decides whose certificates are accepted (by default whom the system trusts; all of those are read when
        the first `wss://` is dialled), `classic_ok` whether peers may speak the classic dialect."""
        self._limits = limits
        self._judge = judge
        self._is_ours = is_ours
        self._resolve = resolve
        self._tls = tls
        self._classic_ok = classic_ok

    async def dial(self, address: str) -> Line:
        """Open a WebSocket to `ws://host:port`. Raises DialError or RuleViolation; leaves nothing open then."""
        where = parse(address)
        seconds = self._limits.handshake_ms / 1000
        try:
            async with asyncio.timeout(seconds):
                return await self._try_each(where, await self._numeric(where))
        except TimeoutError:
            raise DialError(f"no WebSocket within {seconds:g} s") from None

    async def _numeric(self, where: PeerAddress) -> Sequence[str]:
        """What to dial. One address of a name that may not be dialled condemns the name."""
        try:
            found = await self._resolve(where.host, where.port)
        except OSError as error:
            raise DialError(f"{where.host} does not resolve: {error.strerror or error}") from error
        ips = list(dict.fromkeys(found))
        for ip in ips:
            self._judge(where.text, ip)
        if any(self._is_ours(ip, where.port) for ip in ips):
            raise RuleViolation(Rule.ADDRESS_IS_NOT_OURS, f"{where.text} is this node itself")
        if not ips:
            raise DialError(f"{where.host} has no address")
        return ips[: self._limits.dialled_addresses]

    async def _try_each(self, where: PeerAddress, ips: Sequence[str]) -> Line:
        """The first of the addresses that answers; the others must not be kept from their turn by a silent one."""
        for position, ip in enumerate(ips):
            try:
                async with asyncio.timeout(self._limits.handshake_ms / 1000 / (len(ips) - position)):
                    return await self._open(where, ip)
            except (DialError, TimeoutError):
                if position == len(ips) - 1:
                    raise
        raise AssertionError("there is at least one address")

    async def _open(self, where: PeerAddress, ip: str) -> Line:
        wire = ClientProtocol(
            parse_uri(f"{where.text}/"),
            extensions=None,
            subprotocols=[Subprotocol(Dialect.NATIVE)],
            max_size=None,  # the inbox judges that
        )
        handshake = _Handshake(wire, classic_ok=self._classic_ok)
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(
                lambda: handshake, ip, where.port, ssl=self._tls_for(where), server_hostname=_name_in_tls(where)
            )
            return Line(wire, handshake.transport, await handshake.answered)
        except BaseException as error:
            handshake.abandon()
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                raise DialError(f"{ip} port {where.port}: {_reason(error)}") from error
            raise

    def _tls_for(self, where: PeerAddress) -> ssl.SSLContext | None:
        if where.scheme != "wss":
            return None
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


class _Handshake(asyncio.Protocol):
    """The client's half of RFC 6455, section 4.1. `answered` becomes what came after the server's answer."""

    def __init__(self, wire: ClientProtocol, *, classic_ok: bool) -> None:
        self._wire = wire
        self._classic_ok = classic_ok
        self._head = bytearray()
        self._transport: asyncio.Transport | None = None
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    @property
    def transport(self) -> asyncio.Transport:
        if self._transport is None:
            raise AssertionError("asked before the connection was made")
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without deriving from it
        self._wire.send_request(self._wire.connect())
        self._transport.write(b"".join(self._wire.data_to_send()))

    def data_received(self, data: bytes) -> None:
        if self.answered.done():
            return
        self._head += data
        end = self._head.find(_HEAD_END)
        if end >= 0:
            self._answer(bytes(self._head[: end + len(_HEAD_END)]), bytes(self._head[end + len(_HEAD_END) :]))
        elif len(self._head) > _HEAD_BYTES:
            self._fail(f"its answer to the handshake is longer than {_HEAD_BYTES:,} bytes")

    def _answer(self, head: bytes, early: bytes) -> None:
        """Judge the status line first: after any other than 101 the library would wait for a body."""
        status = head.split(b"\r\n", 1)[0]
        if status.split(b" ")[1:2] != [_SWITCHING]:
            self._fail(f"no WebSocket there: it answered {shown(status.decode(errors='replace'))}")
            return
        self._wire.receive_data(head)
        self._wire.events_received()
        if self._wire.state is not State.OPEN:
            self._fail(f"no WebSocket there: {self._wire.handshake_exc}")
            return
        if self._wire.subprotocol is None and not self._classic_ok:
            self._fail(f"it does not speak {Dialect.NATIVE}, and in this network nodes speak nothing else")
            return
        self.transport.pause_reading()
        self.answered.set_result(early)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"it closed the connection during the handshake{f': {_reason(exc)}' if exc else ''}")

    def _fail(self, reason: str) -> None:
        if not self.answered.done():
            self.answered.set_exception(DialError(reason))

    def abandon(self) -> None:
        """Leave nothing open behind a dial that failed or was called off."""
        if not self.answered.cancel() and not self.answered.cancelled():
            self.answered.exception()  # whoever asked is gone: it counts as heard
        if self._transport is not None:
            self._transport.abort()


async def resolved(host: str, port: int) -> Sequence[str]:
    """The numeric addresses of `host`, in the resolver's order. Raises OSError.

    A look-up can block for half a minute and nothing can call it off. So it has a thread of its own
    that nobody waits for: the event loop's threads would be joined when the node stops. There are
    `Limits.lookups` of them at most, in the whole process.
    """
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[str]] = loop.create_future()

    def settle(found: Sequence[str] | OSError) -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def look_up() -> None:
        found: Sequence[str] | OSError
        try:
            found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except OSError as error:
            found = error
        except UnicodeError as error:
            found = OSError(f"not a host name: {error}")
        _lookups.release()
        with suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(settle, found)

    if not _lookups.acquire(blocking=False):
        raise OSError("too many names are being looked up already")
    try:
        threading.Thread(target=look_up, name="resolver", daemon=True).start()
    except RuntimeError as error:
        _lookups.release()
        raise OSError(f"no thread to look it up in: {error}") from error
    return await answer


def _name_in_tls(where: PeerAddress) -> str | None:
    return where.host if where.scheme == "wss" else None


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):  # its number is OpenSSL's, not the system's
        return f"no TLS there: {(error.reason or 'it is not understood').lower().replace('_', ' ')}"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio puts the address in place of the reason
    return str(error) or type(error).__name__
