"""The composition root: the one place where all parts of a node meet.

    api.Server ──┐                       ┌── storage (the file)
                 ├── Runner ── Node ─────┤
    p2p.Hub ─────┘   (one writer)        └── effects back to Hub and callers

`run` starts a node and returns when it was asked to stop, or raises what stopped it. The port is taken first
(whoever watches the node can ask `/health` while a large store opens), then parts are started from the disk
outwards and stopped from the port inwards, so that nothing is promised that cannot be kept. Whatever was
opened is closed again, wherever the start or the stop fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from tallystick import __version__
from tallystick.api.access import Access, listens_privately
from tallystick.api.server import Server, is_this_machine, listen
from tallystick.app import logs
from tallystick.app.address_file import AddressFile
from tallystick.app.config import Config
from tallystick.app.entropy import ENTROPY
from tallystick.app.greeting import greeting, program_name
from tallystick.app.keys import node_identity
from tallystick.app.metrics import NodeCollector
from tallystick.app.mining import Miner
from tallystick.app.open_files import allowed_connections
from tallystick.app.runner import Runner, read_clock
from tallystick.consensus import engine_for
from tallystick.errors import StoreCorruptError
from tallystick.model.limits import LIMITS
from tallystick.node.machine import Node
from tallystick.node.profile import Profile
from tallystick.p2p.dialer import Dialer, resolved
from tallystick.p2p.door import Door
from tallystick.p2p.hub import Hub
from tallystick.storage.opening import open_store
from tallystick.storage.reader import SqliteReader
from tallystick.storage.sqlite import SqliteStore
from tallystick.wire import address_file
from tallystick.wire.addresses import judge

GRACE_S: Final = 3.0
"""For answers under way and goodbyes to peers; with it a node stops well within 5 s."""

log = structlog.get_logger("tallystick")


def run(config: Config, say: Callable[[str], None] | None = None) -> None:
    """Run a node until SIGINT or SIGTERM.

    `say` gets the lines for the person who started it; by default they are printed.
    Raises ConfigError or StoreError when it cannot start, and whatever made it stop later.
    """
    logs.configure(config.log_level, config.log_format)
    with asyncio.Runner(loop_factory=_event_loop) as loop:
        loop.run(_serve(config, say or partial(print, flush=True)))


def _event_loop() -> asyncio.AbstractEventLoop:
    """The fastest event loop there is."""
    try:
        import uvloop  # noqa: PLC0415 - not on Windows
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve(config: Config, say: Callable[[str], None]) -> None:
    """Run a node within a running event loop."""
    stop = _stop_signal()
    started_s = time.monotonic()
    server = await listen(
        _access(config),
        allowed_connections(LIMITS),
        resolve=resolved,
        data_size=partial(_size_of, config),
        tls=_server_tls(config),
    )
    with contextlib.ExitStack() as opened:
        goodbyes = [server.stop]
        try:
            store, reader = await asyncio.to_thread(open_store, config.data_dir, config.network)
            opened.callback(store.close)
            opened.callback(reader.close)
            profile = _profile(config, server)
            addresses = AddressFile(config.data_dir, LIMITS)
            runner = _runner(config, profile, store, reader, addresses)
            opened.callback(runner.stop)
            hub = Hub(runner, _dialer(config, profile, server))
            goodbyes.append(hub.close)
            miner = None
            if config.mine:
                miner = Miner(config.mine_workers, runner.mined)
                goodbyes.append(miner.close)
                miner.start()
            runner.start(hub, miner)
            server.open(runner, Door(hub), NodeCollector(runner, runner.commits, hub.total_traffic))
            log.info("ready", version=__version__, after_ms=int((time.monotonic() - started_s) * 1000))
            key, program = profile.identity.public.hex(), program_name(sys.argv[0])
            say(greeting(config, server.host, server.port, reader.tip(), key=key, program=program))
            await asyncio.wait((stop, runner.failed), return_when=asyncio.FIRST_COMPLETED)
            log.info("stopping")
        finally:
            failures = await asyncio.gather(*(goodbye(GRACE_S) for goodbye in goodbyes), return_exceptions=True)
    for failure in (runner.failure, *failures):
        if failure is not None:
            raise failure
    say("Stopped. Everything acknowledged is on disk.")


def _stop_signal() -> asyncio.Future[object]:
    """Done at the first SIGINT or SIGTERM; a second one ends the process the hard way."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[object] = loop.create_future()

    def asked(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        if not stop.done():
            stop.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt
            loop.add_signal_handler(number, asked, number)
    return stop


def _access(config: Config) -> Access:
    return Access(
        host=config.host,
        port=config.port,
        write_token=config.token,
        read_token=config.read_token,
        open=config.open,
        tls=config.tls_cert is not None,
        allowed_hosts=frozenset(config.allowed_hosts),
        allowed_origins=frozenset(config.allowed_origins),
    )


def _server_tls(config: Config) -> ssl.SSLContext | None:
    """What the port speaks TLS with, if it does."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    from tallystick.app.tls import server_context  # noqa: PLC0415 - few use TLS, and it loads a library for certificates

    return server_context(config.tls_cert, config.tls_key)


def _profile(config: Config, server: Server) -> Profile:
    """What the node is told about itself. Its key is made at the first start."""
    identity, members = node_identity(config.data_dir), config.network.members
    inbound = config.read_token is None or bool(members)
    if members and identity.public.hex() not in members:
        log.warning(
            "this node is not among the members of its network, and will be refused by them",
            key=identity.public.hex(),
            network=config.network.name,
        )
    return Profile(
        identity=identity,
        agent=f"tallystick/{__version__}",
        listen_port=server.port if config.tls_cert is None and inbound else 0,  # others dial it without TLS
        dial=config.peers,
        classic=config.network.rules is None and not members and config.read_token is None,
        inbound=inbound,
        discover=config.discover,
        private_ok=listens_privately(config.host),
        max_reorg=config.max_reorg,
        mines=config.mine,
    )


def _runner(
    config: Config, profile: Profile, store: SqliteStore, reader: SqliteReader, addresses: AddressFile
) -> Runner:
    tip = reader.block(reader.tip().index)
    if tip is None:
        raise StoreCorruptError(
            f"The last block in {config.data_dir} cannot be read. Run verify, then restore a backup."
        )
    node = Node(
        engine_for(config.network),
        tip,
        LIMITS,
        read_clock(),
        ENTROPY,
        profile=profile,
        remembered=store.peers(),
        bans=store.bans(),
        book=addresses.read(partial(address_file.decode, limits=LIMITS, private_ok=profile.private_ok)),
    )
    return Runner(node, store, reader, config.network, LIMITS, addresses.write)


def _dialer(config: Config, profile: Profile, server: Server) -> Dialer:
    """The way out. Each dial is judged anew, for a name may lead elsewhere today.

    Loopback and private addresses are for peers that the operator named, whether at the start or with
    the token that every other `addPeer` of a guarded node had to show, and for nodes that listen on such
    addresses themselves.
    """
    trusted = config.token is not None or listens_privately(config.host)

    def judge_dial(address: str, ip: str) -> None:
        judge(ip, private_ok=trusted or address in config.peers)

    is_ours = partial(is_this_machine, (server.host, server.port))
    return Dialer(LIMITS, judge_dial, is_ours, resolved, tls=_client_tls(config), classic_ok=profile.classic)


def _client_tls(config: Config) -> ssl.SSLContext | None:
    """Whom to trust besides those whom the system does; None: nobody. Raises ConfigError."""
    if config.tls_ca is None:
        return None
    from tallystick.app.tls import client_context  # noqa: PLC0415 - as above

    return client_context(config.tls_ca)


def _size_of(config: Config) -> int | None:
    """Bytes of the ledger and its log."""
    with contextlib.suppress(OSError):
        return sum(file.stat().st_size for file in config.data_dir.glob("ledger.sqlite*"))
    return None
