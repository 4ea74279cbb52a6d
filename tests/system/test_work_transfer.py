"""Chains of work networks as files, and a classic chain carried into one."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tests.system.processes import NodeProcess, nodes, run
from tests.system.work_nodes import WorkNode, network_file, own_network, verified


def test_export_import_backup_and_restore_of_a_sealed_ledger(tmp_path: Path) -> None:
    """The chain goes by export, everything by backup: what waits in the pool, too. An export that was changed is
    refused as a whole."""
    network = own_network(tmp_path)
    a = WorkNode(tmp_path / "a", network, mines=True)
    with nodes(a):
        for number in range(5):
            a.post({"number": number, "text": "é\u2028\ud83d\ude00"}, f"sealed-{number}")
        a.post("to be forgotten", "erased")
        a.seals("erased", *(f"sealed-{number}" for number in range(5)))
        assert a.ask("DELETE", "/records/erased")[0] == 200
        assert a.stop() == 0
        a.mines = False
        a.start()
        a.post("it waits", "pending")
        exported = run("export", *a.on_folder)
        assert exported.returncode == 0, exported.stderr
        assert exported.stdout.count("\n") == a.tip()[0] + 1
        kept = run("backup", str(tmp_path / "copy.sqlite"), *a.on_folder)
        assert kept.returncode == 0, kept.stderr
        records, tip = a.log_of_records(), a.tip()
    b, c = WorkNode(tmp_path / "b", network), WorkNode(tmp_path / "c", network)
    changed = exported.stdout.replace('"number":3', '"number":4')
    refused = run("import", "-", *b.on_folder, stdin=changed)
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    [at] = [number for number, line in enumerate(changed.split("\n"), 1) if '"sealed-3"' in line]
    assert f"line {at}" in refused.stderr
    imported = run("import", "-", *b.on_folder, stdin=exported.stdout)
    assert imported.returncode == 0, imported.stderr
    c.folder.mkdir()
    shutil.move(tmp_path / "copy.sqlite", c.folder / "ledger.sqlite")
    with nodes(b, c):
        for node in (b, c):
            assert node.tip() == tip
            assert node.log_of_records() == records
        assert (b.states("pending"), c.states("pending")) == ([], ["pending"])
        assert b.record("erased")["erased"] is True
        assert run("export", *b.on_folder).stdout == exported.stdout
    assert verified(c)


def test_a_classic_chain_is_adopted_once_and_sealed(tmp_path: Path) -> None:
    """Each record names the block that it came from; the old folder stays as it is."""
    network = network_file(tmp_path)
    old = NodeProcess(tmp_path / "old")
    with nodes(old):
        for number in range(5):
            old.mine(f"page {number}")
        blocks = old.chain()[1:]
    new = WorkNode(tmp_path / "new", network)
    adopt = ("network", "adopt", "--data-dir", str(old.folder), *("--network", str(network)), "--json")
    for added in (5, 0):
        done = run(*adopt, "--data-dir", str(new.folder))
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["blocks"], told["added"]) == (5, added)
    new.mines = True
    with nodes(new):
        ids = [f"classic:{block['index']}:{block['hash'][:16]}" for block in blocks]
        new.seals(*ids)
        held = new.log_of_records()
        assert [record["id"] for record in held] == ids
        for record, block in zip(held, blocks, strict=True):
            named = record["data"]["adopted"]
            assert (named["index"], named["hash"], named["timestamp"]) == (
                block["index"],
                block["hash"],
                block["timestamp"],
            )
            assert re.fullmatch("[0-9a-f]{64}", named["network"])
            assert record["data"]["data"] == block["data"]
        assert new.stop() == 0
        assert json.loads(run(*adopt, "--data-dir", str(new.folder)).stdout)["added"] == 0
    assert verified(new)
    with nodes(old):
        assert old.chain()[1:] == blocks
