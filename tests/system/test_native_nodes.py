"""Nodes that speak their own dialect, as processes: long syncs, members, TLS, discovery, bans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tallystick.chain.writes import Append
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS
from tallystick.storage.opening import open_store
from tests.cli.certificate import certificate
from tests.node.player import grow
from tests.system.processes import NodeProcess, Served, connected, eventually, nodes, run

LONG = 60_000
"""Blocks that no message of the classic dialect could carry."""


def make_chain(folder: Path, blocks: int) -> None:
    """A ledger of so many blocks."""
    store, reader = open_store(folder, CLASSIC)
    made = grow(CLASSIC_GENESIS, *(f"{number:>200}" for number in range(blocks)))
    store.begin()
    for start in range(0, blocks, 1_000):
        store.apply(Append(made[start : start + 1_000]))
    store.commit()
    reader.close()
    store.close()


def tip(node: Served) -> int:
    index: int = node.get("/blocks/latest")["index"]
    return index


def peer_of(node: Served) -> dict[str, Any]:
    [peer] = [peer for peer in node.get("/status")["peers"] if peer["state"] == "connected"]
    assert isinstance(peer, dict)
    return peer


def key_of(node: Served) -> str:
    key: str = node.get("/status")["key"]
    return key


def test_a_chain_too_long_for_the_book_is_fetched_and_a_kill_in_between_costs_nothing(tmp_path: Path) -> None:
    """Catalogue rows 62 and 67: killed in the middle of a sync, it goes on from what was durable; what is posted to
    it meanwhile is on the chain in the end."""
    make_chain(tmp_path / "a", LONG)
    a = NodeProcess(tmp_path / "a")
    with nodes(a):
        b = NodeProcess(tmp_path / "b", a.address)
        with nodes(b):
            eventually(lambda: tip(b) > 2_000, "b never began")
            b.kill()
            b.start()
            again = tip(b)
            b.mine("posted while syncing")
            eventually(lambda: tip(b) == tip(a) > LONG, "b never caught up")
            assert again > 0
            assert b.get(f"/blocks/{LONG // 2}") == a.get(f"/blocks/{LONG // 2}")
            eventually(lambda: a.get("/blocks/latest")["data"] == "posted while syncing", "the post was lost")
            assert peer_of(b)["dialect"] == "tallystick.1"
            assert b.get("/status")["dropped"] == a.get("/status")["dropped"] == []
            assert b.stop() == 0
    assert run("verify", "--data-dir", str(tmp_path / "b")).returncode == 0


def test_several_peers_serve_one_sync(tmp_path: Path) -> None:
    """Each of them sends a part of the chain."""
    make_chain(tmp_path / "a", LONG)
    a = NodeProcess(tmp_path / "a", options=("--no-discover",))
    with nodes(a):
        b = NodeProcess(tmp_path / "b", a.address, options=("--no-discover",))
        with nodes(b):
            eventually(lambda: tip(b) == LONG, "b never caught up")
            c = NodeProcess(tmp_path / "c", a.address, b.address, options=("--no-discover",))
            with nodes(c):
                eventually(lambda: tip(c) == LONG, "c never caught up")
                received = [peer["received_bytes"] for peer in c.get("/status")["peers"]]
                assert sum(received) > LONG * 200
                assert min(received) > 1_000_000


def test_a_block_goes_down_a_line_of_ten(tmp_path: Path) -> None:
    line: list[NodeProcess] = []
    for number in range(10):
        peers = (line[-1].address,) if line else ()
        node = NodeProcess(tmp_path / str(number), *peers, options=("--no-discover",))
        line.append(node)
        node.start()
    with nodes():
        try:
            for node in line[1:-1]:
                connected(node, 2)
            for number, node in ((1, line[0]), (2, line[9]), (3, line[4])):
                block = node.mine(f"post {number}")
                for other in line:
                    eventually(lambda other=other, block=block: other.get("/blocks/latest") == block, "it got stuck")  # type: ignore[misc]
            # Whoever is at an end has one link, and got each body once, if it did not send it.
            assert peer_of(line[9])["received_bytes"] < 3_000
        finally:
            for node in line:
                node.end()


def test_a_members_only_network_lets_nobody_else_in_by_any_dialect(tmp_path: Path) -> None:
    a, b, stranger = (NodeProcess(tmp_path / name, options=("--no-discover",)) for name in ("a", "b", "stranger"))
    with nodes(a, b, stranger):
        members = [key_of(a), key_of(b)]
    network = tmp_path / "network.toml"
    network.write_text(f'kind = "classic"\nname = "ours"\nmembers = {json.dumps(members)}\n')
    a.options = b.options = ("--no-discover", "--network", str(network))
    with nodes(a):
        b.peers = stranger.peers = (a.address,)
        with nodes(b, stranger):
            connected(b)
            block = a.mine("among ourselves")
            eventually(lambda: b.get("/blocks/latest") == block, "a member was kept out")
            eventually(
                lambda: [one["rule"] for one in a.get("/status")["dropped"]][:1] == ["peer-is-a-member"], "let in"
            )
            assert tip(stranger) == 0
            assert [peer["key"] for peer in a.get("/status")["peers"]] == [key_of(b)]
            with pytest.raises(InvalidStatus) as refused:
                connect(a.address)
            assert refused.value.response.status_code == 426


def test_who_guards_reading_is_dialled_by_members_only(tmp_path: Path) -> None:
    """No peer can show a token, so without a list of members nobody may dial in; those it dials are served."""
    for name in ("write", "read"):
        (tmp_path / name).write_text(f"a-token-to-{name}-with-24")
        (tmp_path / name).chmod(0o600)
    guarded = ("--no-discover", "--token-file", str(tmp_path / "write"), "--read-token-file", str(tmp_path / "read"))
    b = NodeProcess(tmp_path / "b", options=("--no-discover",))
    with nodes(b):
        a = NodeProcess(tmp_path / "a", b.address, options=guarded)
        with nodes(a):
            connected(b)
            c = NodeProcess(tmp_path / "c", a.address, options=("--no-discover",))
            with nodes(c):
                eventually(lambda: "403" in str(c.get("/status")["peers"]), "c was let in")
            with pytest.raises(InvalidStatus) as refused:
                connect(a.address)
            assert refused.value.response.status_code == 403


def test_peers_and_callers_over_tls(tmp_path: Path) -> None:
    """A node with a certificate serves `https` and `wss` on its port; one that does not trust it says why."""
    trusted, _ = certificate(tmp_path)
    secret = tmp_path / "node.pem"
    options = ("--no-discover", "--tls-cert", str(trusted), "--tls-key", str(secret))
    a = NodeProcess(tmp_path / "a", options=options)
    with nodes(a):
        secure = a.address.replace("ws://", "wss://")
        b = NodeProcess(tmp_path / "b", secure, options=("--no-discover", "--tls-ca", str(trusted)))
        c = NodeProcess(tmp_path / "c", secure, options=("--no-discover",))
        with nodes(b, c):
            connected(b)
            url = f"https://127.0.0.1:{a.port}"
            assert run("mine", "in secret", "--url", url, "--ca", str(trusted)).returncode == 0
            eventually(lambda: b.data()[1:] == ["in secret"], "it never reached b")
            eventually(lambda: "certificate is not accepted" in str(c.get("/status")["peers"]), "c is connected")
            assert tip(c) == 0


def test_a_node_finds_others_through_one_and_remembers_them(tmp_path: Path) -> None:
    """Catalogue rows 68 and 76: c knows b only, hears of a, and after a restart finds a though b is gone."""
    a = NodeProcess(tmp_path / "a")
    with nodes(a):
        b = NodeProcess(tmp_path / "b", a.address)
        with nodes(b):
            connected(b)
            c = NodeProcess(tmp_path / "c", b.address)
            with nodes(c):
                connected(c, 2)
                found = {peer["origin"] for peer in c.get("/status")["peers"] if peer["state"] == "connected"}
                assert found & {"book", "inbound"}
                assert c.stop() == 0
                assert (tmp_path / "c" / "addresses.json").is_file()
                b.kill()
                c.peers = ()
                c.start()
                block = a.mine("without b")
                eventually(lambda: c.get("/blocks/latest") == block, "c did not find a again")


def test_a_ban_is_kept_and_lifted(tmp_path: Path) -> None:
    """Catalogue row 39, by hand: a banned key does not come back, after a restart neither, until it is forgiven."""
    a = NodeProcess(tmp_path / "a", options=("--no-discover",))
    with nodes(a):
        b = NodeProcess(tmp_path / "b", a.address, options=("--no-discover",))
        with nodes(b):
            connected(a)
            url = f"http://127.0.0.1:{a.port}"
            assert run("ban", key_of(b), "--url", url).returncode == 0
            eventually(lambda: a.get("/peers") == [], "b is still there")
            a.kill()
            a.start()
            assert key_of(b) in run("peers", "--banned", "--url", url).stdout
            eventually(lambda: "4007" in str(b.get("/status")["peers"]), "b was let in")
            assert a.get("/peers") == []
            assert run("unban", key_of(b), "--url", url).returncode == 0
            connected(a)
