"""The proxy does to a line what its methods say, and nothing else: what stands between nodes must not lie itself."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.system.processes import PATIENCE_S, eventually
from tests.system.proxy import Proxies, Proxy, Way


@contextmanager
def echo() -> Iterator[int]:
    """A port that says back what it hears."""

    repeaters: list[threading.Thread] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                heard, _ = listening.accept()
                repeaters.append(threading.Thread(target=repeat, args=(heard,)))
                repeaters[-1].start()

    def repeat(heard: socket.socket) -> None:
        with heard, suppress(OSError):
            while data := heard.recv(65_536):
                heard.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve)
        server.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        for thread in (server, *repeaters):
            thread.join(PATIENCE_S)


@contextmanager
def line() -> Iterator[Proxy]:
    """A proxy to something that says back what it hears."""
    with echo() as port, Proxies() as proxies:
        yield proxies.line("line", port)


def dial(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S)


def all_of(dialled: socket.socket) -> bytes:
    """What comes until the end."""
    heard = b""
    while data := dialled.recv(65_536):
        heard += data
    return heard


def exactly(dialled: socket.socket, size: int) -> bytes:
    heard = b""
    while len(heard) < size and (data := dialled.recv(size - len(heard))):
        heard += data
    return heard


def test_what_goes_in_comes_out() -> None:
    data = bytes(range(256)) * 12_000
    with line() as proxy, dial(proxy) as dialled:
        sender = threading.Thread(target=dialled.sendall, args=(data,))
        sender.start()
        assert exactly(dialled, len(data)) == data
        sender.join(PATIENCE_S)
        dialled.shutdown(socket.SHUT_WR)
        assert all_of(dialled) == b""
        assert proxy.passed(Way.OUT) == proxy.passed(Way.BACK) == len(data)
        eventually(lambda: proxy.connections == 0, "the connection never ended")


def test_a_delay_is_a_delay_and_keeps_the_order() -> None:
    with line() as proxy, dial(proxy) as dialled:
        proxy.delay(0.1, 0.05, Way.OUT)
        started = time.monotonic()
        for number in range(50):
            dialled.sendall(bytes([number]))
        assert exactly(dialled, 50) == bytes(range(50))
        assert time.monotonic() - started >= 0.1
        proxy.clear()
        dialled.sendall(b"soon")
        assert exactly(dialled, 4) == b"soon"


def test_a_narrow_line_takes_its_time() -> None:
    with line() as proxy, dial(proxy) as dialled:
        proxy.narrow(100_000, Way.BACK)
        started = time.monotonic()
        dialled.sendall(bytes(30_000))
        assert exactly(dialled, 30_000) == bytes(30_000)
        assert time.monotonic() - started >= 0.25


@pytest.mark.parametrize("way", Way)
def test_it_cuts_after_exactly_so_many_bytes_and_once(way: Way) -> None:
    with line() as proxy:
        with dial(proxy) as dialled:
            proxy.cut_after(1_234, way)
            dialled.sendall(bytes(5_000))
            with suppress(ConnectionResetError):
                assert len(all_of(dialled)) <= 1_234
        eventually(lambda: proxy.connections == 0, "the connection never ended")
        assert proxy.passed(way) == 1_234
        assert proxy.cuts == 1
        with dial(proxy) as dialled:
            dialled.sendall(bytes(5_000))
            assert exactly(dialled, 5_000) == bytes(5_000)


@pytest.mark.parametrize("way", Way)
def test_in_silence_nothing_gets_through_and_nobody_is_told(way: Way) -> None:
    with line() as proxy, dial(proxy) as before:
        before.sendall(b"x")
        assert exactly(before, 1) == b"x"
        proxy.silence(way)
        through = proxy.passed(way)
        with dial(proxy) as during:
            for dialled in (before, during):
                dialled.sendall(b"hello?")
                dialled.settimeout(0.05)
                with pytest.raises(TimeoutError):
                    dialled.recv(1)
                dialled.settimeout(PATIENCE_S)
            assert proxy.passed(way) == through
            proxy.clear()
            assert exactly(before, 6) == exactly(during, 6) == b"hello?"


def test_refused_and_taken_again_at_the_same_port() -> None:
    with line() as proxy, dial(proxy) as open_already:
        eventually(lambda: proxy.connections == 1, "it was never taken")
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            dial(proxy)
        open_already.sendall(b"still here")
        assert exactly(open_already, 10) == b"still here"
        proxy.resume()
        with dial(proxy) as dialled:
            dialled.sendall(b"x")
            assert exactly(dialled, 1) == b"x"


def test_who_comes_in_while_the_door_closes_is_let_in_or_not_and_never_forgotten() -> None:
    """A socket that nobody closes would be an error here."""
    with line() as proxy:
        for _ in range(100):
            with dial(proxy):
                proxy.refuse()
            proxy.reset()
            proxy.resume()
        gc.collect()


def test_a_reset_is_told_to_both_ends() -> None:
    with line() as proxy, dial(proxy) as dialled:
        dialled.sendall(b"x")
        assert exactly(dialled, 1) == b"x"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            dialled.recv(1)
        assert proxy.connections == 0


def test_whoever_is_led_to_nobody_is_hung_up_on() -> None:
    with Proxies() as proxies, socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
        taken.close()
        with dial(proxies.line("line", nobody)) as dialled:
            assert all_of(dialled) == b""
