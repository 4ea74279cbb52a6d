"""A few real nodes that know each other through proxies only, clients who post all the time, and the laws that hold
whatever was done to them meanwhile (`faults`).

A world is drawn from its seed: who dials whom, what is posted where, which faults come in which order. What the seed
does not say is when: these are real processes on a real machine. So a seed that failed names a story to try again, not
a run that repeats itself; `told` is that story, and stands in the report beside the ends of the nodes' logs.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from itertools import combinations
from pathlib import Path
from typing import Final, Self

import psutil

from tests.system.clients import Client
from tests.system.disk import Disk, small_disk
from tests.system.processes import PATIENCE_S, NodeProcess, eventually, met, run
from tests.system.proxy import Proxies, Proxy, Way
from tests.system.work_nodes import WorkNode, gone, own_network

IMPATIENT: Final = {
    "ping_every_ms": 1_500,
    "pong_within_ms": 3_000,
    "outbox_stall_ms": 3_000,
    "handshake_ms": 2_000,
    "reply_within_ms": 4_000,
    "redial_first_ms": 100,
    "redial_max_ms": 1_000,
    "useful_connection_ms": 1_000,
    "close_ms": 500,
    "stall_ms": 1_000,
    "stall_first_ms": 500,
    "record_patience_ms": 1_000,
    "remine_jitter_ms": 100,
    "remine_jitter_max_ms": 1_000,
    "remine_calm_ms": 5_000,
}
"""Of a node that gives up within seconds what a real one waits a minute or two for."""

BITS: Final = 14
"""Exponent of the hashes a block takes: some blocks a second, so that two miners fork now and then."""

LAWFUL_DROPS: Final = {
    "pong-in-time",
    "outbox-drains",
    "message-arrives-in-time",
    "handshake-in-time",
    "sync-keeps-up",
    "peer-keeps-up",
    "peer-connects-once",
}
"""Rules that an honest peer may seem to break when it stands still, its line is bad, or it dials who is dialling it.
Nothing is held against it afterwards. Any other rule in a log is a node that blames an honest one."""

LAWFUL_ERRORS: Final = {
    "the node stops",  # its disk is full, and it says so
    "a request failed",  # likewise, to whoever posted
    "no block can be made; is a clock wrong?",
    "posts wait to be mined again",  # likewise
}
"""What a node may log as an error."""


@dataclass(eq=False)
class Link:
    """What connects two nodes: one line, or two where each dials the other. Only one of them is in use then."""

    ends: tuple[NodeProcess, NodeProcess]
    lines: dict[Proxy, NodeProcess] = field(default_factory=dict)
    """And who dials it."""

    def __str__(self) -> str:
        return f"the link of {name(self.ends[0])} and {name(self.ends[1])}"

    def ways(self, source: NodeProcess) -> list[tuple[Proxy, Way]]:
        """Of what one of the two sends."""
        return [(line, Way.OUT if dialler is source else Way.BACK) for line, dialler in self.lines.items()]

    def cuts(self) -> int:
        """How often one of them was cut in the middle."""
        return sum(line.cuts for line in self.lines)

    def breaks(self) -> None:
        """Whatever connects the two ends now."""
        for line in self.lines:
            line.reset()

    def refuses(self) -> None:
        """Nothing connects the two from now on."""
        for line in self.lines:
            line.refuse()
        self.breaks()

    def clears(self) -> None:
        """It is a link like any other again."""
        for line in self.lines:
            line.clear()


class World:
    """Owner of nodes, links, clients, and of what is being done to them."""

    def __init__(self, folder: Path, kind: str, seed: int, count: int = 3, *, patient: bool = False) -> None:
        """`patient` nodes have the limits of real ones: giving each other up takes them minutes, coming back too."""
        self.seed = seed
        self.random = random.Random(f"{seed} {kind}")  # noqa: S311 - chance of a test
        self.limits = {} if patient else IMPATIENT
        self.patience_s = 240.0 if patient else 2 * PATIENCE_S
        """Whatever is waited for is well within this. On an idle machine all agree again after a second or two."""

        self.busy: set[object] = set()
        """Nodes and links that something is being done to."""

        self.told: list[str] = []
        self._began_s = time.monotonic()
        self._opened = ExitStack()
        self._processes: set[psutil.Process] = set()
        network = own_network(folder, bits=BITS) if kind == "work" else None
        self.nodes = [self._node(folder / "abcdefgh"[number], network, mines=number < 2) for number in range(count)]
        self.links: list[Link] = []
        self.disks: dict[NodeProcess, Disk] = {}
        self.filler = Client("filler", self.nodes, seed, sizes=(50_000,))
        """Posts when it is told to."""

        self.clients = [*(Client(f"client-{number}", self.nodes, seed) for number in range(2)), self.filler]

    def _node(self, folder: Path, network: Path | None, *, mines: bool) -> NodeProcess:
        clock = folder.with_suffix(".clock")
        clock.write_bytes(bytes(8))
        variables = {"TALLYSTICK_LOG_FORMAT": "json"}
        if network is not None:
            return WorkNode(folder, network, mines=mines, variables=variables, limits=self.limits, clock=clock)
        options = ("--no-discover",)
        return NodeProcess(folder, options=options, variables=variables, limits=self.limits, clock=clock)

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            proxies = opened.enter_context(Proxies(self.seed))
            for node in self.nodes:
                self.disks[node] = opened.enter_context(small_disk(node.folder))
                opened.callback(node.end)
            self._draw_links(proxies)
            with ThreadPoolExecutor() as pool:
                list(pool.map(self.start, self.nodes))
            for client in self.clients[:-1]:
                client.start()
                opened.callback(client.stop)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.add_note("\n".join(["What was done:", *self.told, *map(last_words, self.nodes)]))
        self._opened.close()

    def _draw_links(self, proxies: Proxies) -> None:
        """A ring, some of the other pairs, and some dial each other both ways."""
        for (i, one), (j, other) in combinations(enumerate(self.nodes), 2):
            in_ring = j - i in {1, len(self.nodes) - 1}
            if not in_ring and self.random.random() < 0.5:
                continue
            link = Link((one, other))
            for dialler in self.random.choice(((one,), (other,), (one, other))):
                line = proxies.line(f"{name(one)}{name(other)} {name(dialler)}")
                link.lines[line] = dialler
                dialler.peers += (line.address,)
            self.links.append(link)

    # --- what faults need ------------------------------------------------------------------------

    def tell(self, what: str) -> None:
        self.told.append(f"{time.monotonic() - self._began_s:6.2f} s  {what}")

    def wait(self, until: Callable[[], bool], because: str) -> None:
        eventually(until, because, self.patience_s)

    def acknowledged(self, *by: NodeProcess) -> list[str]:
        """Names of posts; without `by`, by any node."""
        return [post for client in self.clients for post, node in client.acknowledged if not by or node in by]

    def goes_on(self, posts: int, *by: NodeProcess) -> None:
        """Wait until so many more are acknowledged by these nodes, or by any."""
        wanted = len(self.acknowledged(*by)) + posts
        self.wait(lambda: len(self.acknowledged(*by)) >= wanted, "no node takes posts any more")

    @property
    def free_nodes(self) -> list[NodeProcess]:
        """Those that nothing is being done to."""
        return [node for node in self.nodes if node not in self.busy]

    @property
    def free_links(self) -> list[Link]:
        return [link for link in self.links if link not in self.busy]

    @contextmanager
    def a_node(self) -> Iterator[NodeProcess]:
        """One to do something to."""
        node = self.random.choice(self.free_nodes)
        self.busy.add(node)
        yield node
        self.busy.discard(node)

    @contextmanager
    def a_link(self) -> Iterator[Link]:
        """Likewise."""
        link = self.random.choice(self.free_links)
        self.busy.add(link)
        yield link
        link.clears()
        self.busy.discard(link)

    def start(self, node: NodeProcess, before: Callable[[], None] | None = None) -> None:
        """Start it, at whatever port, and have its links lead there."""
        node.port = 0
        node.start(before)
        for link in self.links:
            for line, dialler in link.lines.items():
                if node in link.ends and dialler is not node:
                    line.target = node.port

    def kill(self, node: NodeProcess) -> None:
        self._processes |= processes_of(node)
        node.kill()

    def is_among_peers(self, node: NodeProcess) -> bool:
        """Does any other node that nothing is being done to count this one among its peers?"""
        return any(met(lambda: key_of(node) in keys_at(other)) for other in self.free_nodes)  # noqa: B023 - called at once

    def connects(self, link: Link) -> bool:
        """Does either end, as far as it can be asked, count the other among its peers?"""
        one, other = link.ends
        return any(
            node in self.free_nodes and met(lambda: key_of(peer) in keys_at(node))  # noqa: B023 - called at once
            for node, peer in ((one, other), (other, one))
        )

    # --- the end ---------------------------------------------------------------------------------

    def heals(self) -> None:
        """Nothing is being done to anybody any more, and nobody posts: all must be well, and soon."""
        for client in self.clients[:-1]:
            client.stop()
        assert self.busy == set()
        self.tell("healing")
        self.wait(lambda: self._is_whole() and self._agrees(), "they never agreed")
        self.tell("healed")

    def _is_whole(self) -> bool:
        """Are all connected again whom a link connects?"""
        return all(key_of(other) in keys_at(one) for one, other in (link.ends for link in self.links))

    def _agrees(self) -> bool:
        """Do all hold the same chain, and nothing beside it that has to be on it?"""
        states = [node.get("/status") for node in self.nodes]
        if any(state["sync"] or state["lost_duties"] or (state["pool"] or {}).get("records") for state in states):
            return False
        if len({state["tip"]["hash"] for state in states}) == 1:
            return True
        if len({state["tip"]["index"] for state in states}) == 1:
            self.filler.posts(self.nodes[0])  # of two branches as good as each other both stay, until one has more
        return False

    def check(self) -> None:
        """Every law, one after the other; the last ones of nodes that have ended."""
        for node in self.nodes:
            self._check_chain(node)
            assert node.get("/bans") == [], f"{name(node)} keeps an honest node out"
        assert [complaint for client in self.clients for complaint in client.complaints] == []
        for node in self.nodes:
            self._processes |= processes_of(node)
            assert node.stop() == 0
        gone(self._processes)
        with ThreadPoolExecutor() as pool:
            assert [*pool.map(verdict, self.nodes)] == [""] * len(self.nodes)
        for node in self.nodes:
            check_log(node)

    def _check_chain(self, node: NodeProcess) -> None:
        """What was acknowledged is there once, what was only attempted at most once, and nothing else is. What nobody
        erased, everybody has; what was erased at a node stays so."""
        attempted = {post for client in self.clients for post in client.attempted}
        erased = {post: by for client in self.clients for post, by in client.erased}
        if isinstance(node, WorkNode):
            records = node.log_of_records()
            held = Counter(record["id"] for record in records)
            for record in records:
                assert record["id"] in erased or "data" in record
                assert erased.get(record["id"]) is not node or "data" not in record
        else:
            held = Counter(text.split(" ")[0] for text in node.data()[1:])
        assert [post for post in self.acknowledged() if held[post] != 1] == [], "lost, or there twice"
        assert [post for post, times in held.items() if times > 1 or post not in attempted] == []


def check_log(node: NodeProcess) -> None:
    """No bug, nobody honest blamed, and no last words but those of a full disk."""
    told = node.events()
    assert {line["rule"] for line in told if line["event"] == "peer dropped"} <= LAWFUL_DROPS
    assert {line["event"] for line in told if line["level"] in {"error", "critical"}} <= LAWFUL_ERRORS
    loose = [line for line in node.log.read_text().splitlines() if not line.startswith("{")]
    assert [line for line in loose if not line.startswith("tallystick: ") or "disk" not in line] == []


def name(node: NodeProcess) -> str:
    return node.folder.name


def key_of(node: NodeProcess) -> str:
    """Its node key, even if it does not answer."""
    return next(str(line["key"]) for line in node.events() if line["event"] == "made the key of this node")


def connected(node: NodeProcess) -> list[dict[str, object]]:
    return [peer for peer in node.get("/status")["peers"] if peer["state"] == "connected"]


def keys_at(node: NodeProcess) -> list[object]:
    """Node keys of its peers."""
    return [peer["key"] for peer in connected(node)]


def processes_of(node: NodeProcess) -> set[psutil.Process]:
    """The node itself, if it runs, and those that search for it."""
    if node.process is None or node.process.poll() is not None:
        return set()
    process = psutil.Process(node.process.pid)
    return {process, *process.children(recursive=True)}


def verdict(node: NodeProcess) -> str:
    """What `tallystick verify` complains of."""
    result = run("verify", *node.on_folder, "--thorough")
    return result.stderr if result.returncode else ""


def last_words(node: NodeProcess) -> str:
    """What it says of itself, if it still does, and the end of its log."""
    lines = node.log.read_text().splitlines()[-12:] if node.log.exists() else []
    with suppress(OSError, HTTPException):
        lines.append(json.dumps(node.ask("GET", "/status", within_s=1.0)[1]))
    return "\n".join([f"{name(node)}:", *lines])
