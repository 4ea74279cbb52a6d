"""Nodes of a work network as processes: what is posted at one is sealed by another, proved, and erased.

The network of each test is its own, begins when the test does, and has blocks a few times a second.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.system.native_client import dial, knock
from tests.system.processes import NodeProcess, connected, eventually, nodes, run
from tests.system.sealed_client import Network, check_proof, grow, push
from tests.system.work_nodes import WorkNode, holds_text, network_file, own_network, verified


def test_what_is_posted_where_nobody_mines_is_sealed_elsewhere_and_proved_offline(tmp_path: Path) -> None:
    """The main flow: the network's file, a record from one node into a block of the other, and a proof that needs
    neither of them."""
    network = network_file(tmp_path)
    a = WorkNode(tmp_path / "a", network, mines=True)
    with nodes(a):
        b = WorkNode(tmp_path / "b", network, a.address)
        with nodes(b):
            connected(b)
            posted = run("post", "--id", "invoice-1", "--as-json", '{"paid": true, "to": "Bölt"}', "--url", b.url)
            assert posted.returncode == 0, posted.stderr
            for node in (a, b):
                node.seals("invoice-1")
            assert a.record("invoice-1")["block"] == b.record("invoice-1")["block"]
            block = a.get(f"/blocks/{a.record('invoice-1')['block']['hash']}")
            assert [record["data"] for record in block["records"]] == [{"paid": True, "to": "Bölt"}]
            shown = run("record", "invoice-1", "--url", b.url)
            assert shown.returncode == 0, shown.stderr
            assert [word for word in (block["hash"], "Bölt") if word not in shown.stdout] == []
            proved = run("prove", "invoice-1", "--url", b.url)
            assert proved.returncode == 0, proved.stderr
    proof = json.loads(proved.stdout)
    check_proof(proof, proof["block"])
    empty = tmp_path / "nothing here"
    empty.mkdir()
    (empty / "proof.json").write_text(proved.stdout)
    held = run("check", "proof.json", "--block", proof["block"], within=empty)
    assert (held.returncode, "invoice-1" in held.stdout, "Bölt" in held.stdout) == (0, True, True)
    assert [file.name for file in empty.iterdir()] == ["proof.json"]
    other = run("check", "proof.json", "--block", "ab" * 32, within=empty)
    assert other.returncode == 1
    for name, value in tampered(proof).items():
        (empty / "tampered.json").write_text(json.dumps(proof | {name: value}))
        refused = run("check", "tampered.json", "--block", proof["block"], within=empty)
        assert refused.returncode == 1, name
        assert refused.stdout == ""
        assert len(refused.stderr.strip().splitlines()) == 1, refused.stderr


def tampered(proof: dict[str, object]) -> dict[str, object]:
    """Another value for what is proven, one at a time."""
    header = str(proof["header"])
    return {
        "data": {"paid": False, "to": "Bölt"},
        "header": header[:-1] + ("0" if header[-1] != "0" else "1"),
        "path": ["00" * 32],
    }


NOTE = "the ring is under the third stone"


def test_what_is_erased_is_gone_from_this_node_and_whoever_syncs_from_it(tmp_path: Path) -> None:
    """Its API, its files, its exports; chain, proofs and sync hold without it. The other node still has it."""
    network = own_network(tmp_path)
    a = WorkNode(tmp_path / "a", network, mines=True)
    with nodes(a):
        b = WorkNode(tmp_path / "b", network, a.address)
        with nodes(b):
            connected(b)
            for number in range(3):
                b.post(f"before {number}")
            b.post({"note": NOTE}, "secret")
            b.seals("secret")
            a.seals("secret")
            assert holds_text(b.folder, NOTE) != []
            assert run("erase", "secret", "--yes", "--url", b.url).returncode == 0
            assert holds_text(b.folder, NOTE) == []
            erased = b.record("secret")
            assert erased["erased"] is True
            assert not {"data", "salt"} & erased.keys()
            assert NOTE not in json.dumps([b.get("/records"), b.get(f"/blocks/{erased['block']['index']}")])
            assert b.ask("POST", "/records", {"id": "secret", "data": {"note": NOTE}})[0] == 409
            assert NOTE not in run("export", *b.on_folder).stdout
            check_proof(erased["proof"], erased["proof"]["block"])
            assert erased["proof"]["salt"] is None
            c = WorkNode(tmp_path / "c", network, b.address)
            with nodes(c):
                c.seals("secret")
                assert c.record("secret")["erased"] is True
                assert a.record("secret")["data"] == {"note": NOTE}
                assert NOTE not in b.log.read_text() + c.log.read_text()
                assert c.stop() == 0
            assert b.stop() == 0
    assert holds_text(b.folder, NOTE) + holds_text(c.folder, NOTE) == []
    assert verified(b)
    assert verified(c)


def test_a_node_of_a_sealed_network_speaks_to_its_own_only(tmp_path: Path) -> None:
    """Catalogue row 24: nodes of the book are refused at the door, others after their hello, without a grudge."""
    ours, theirs = own_network(tmp_path, "ours"), own_network(tmp_path, "theirs")
    genesis = Network.read(ours).genesis
    a = WorkNode(tmp_path / "a", ours)
    with nodes(a):
        with pytest.raises(InvalidStatus) as refused:
            connect(a.address)
        assert refused.value.response.status_code == 426
        with knock(a.port) as stranger:
            with pytest.raises(ConnectionClosed):
                stranger.greet(Network.read(theirs).genesis, network=Network.read(theirs).genesis.hash)
            assert stranger.how_it_ended() == 4002
        with dial(a.port, genesis, key=stranger.key, network=genesis.hash) as again:
            assert again.is_answered()
        other, classic = WorkNode(tmp_path / "b", theirs, a.address), NodeProcess(tmp_path / "c", a.address)
        with nodes(other, classic):
            eventually(lambda: "4002" in str(other.get("/status")["peers"]), "b does not know why")
            eventually(lambda: "4002" in str(classic.get("/status")["peers"]), "c does not know why")
            assert a.get("/peers") == []
            assert a.get("/bans") == []


def test_a_folder_belongs_to_one_network_and_one_process(tmp_path: Path) -> None:
    """Catalogue row 105; and a folder of another network is named, not opened."""
    network = own_network(tmp_path)
    classic, sealed = NodeProcess(tmp_path / "classic"), WorkNode(tmp_path / "sealed", network)
    with nodes(classic):
        classic.mine("hello")
    with nodes(sealed):
        sealed.post("hello", "greeting")
        second = run("start", "--port", "0", *sealed.on_folder)
        assert (second.returncode, str(sealed.folder) in second.stderr) == (5, True)
        assert sealed.states("greeting") == ["pending"]
    mistaken = [
        ["--data-dir", str(classic.folder), "--network", str(network)],
        ["--data-dir", str(sealed.folder)],
        ["--data-dir", str(sealed.folder), "--network", str(own_network(tmp_path, "another"))],
    ]
    for options, command in zip(
        mistaken, (["start", "--port", "0"], ["start", "--port", "0"], ["export"]), strict=True
    ):
        result = run(*command, *options)
        assert (result.returncode, "Traceback" in result.stderr) == (5, False), (command, result.stderr)
        assert options[1] in result.stderr
        assert "network" in result.stderr
    with nodes(sealed):
        assert sealed.states("greeting") == ["pending"]


def test_a_chain_sealed_by_somebody_else_is_served_and_continued(tmp_path: Path) -> None:
    """Format and rules are those of the document: a miner that shares no code with the node has its blocks taken."""
    network = own_network(tmp_path)
    own = Network.read(network)
    blocks = grow(own, own.genesis, 3, "theirs")
    a = WorkNode(tmp_path / "a", network)
    with nodes(a):
        with dial(a.port, own.genesis, network=own.genesis.hash) as miner:
            for block in blocks:
                miner.say(*push(block))
            assert miner.is_answered()
        assert a.tip() == (3, blocks[-1].hash.hex())
        a.mines = True
        assert a.stop() == 0
        a.start()
        status, block = a.ask("POST", "/mineBlock?wait=30", {"data": "ours"})
        assert status == 200
        assert block["index"] > 3
        assert [record["data"] for record in a.log_of_records()] == ["theirs 1", "theirs 2", "theirs 3", "ours"]
        assert a.stop() == 0
    assert verified(a)
