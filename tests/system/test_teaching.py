"""The lessons of docs/teaching.md do what they say: the program in them is run here, between real nodes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.system.processes import NodeProcess, eventually, nodes, run

DOCUMENT = Path(__file__).parents[2] / "docs" / "teaching.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_who_rewrites_a_classic_chain_thoroughly_is_followed(tmp_path: Path) -> None:
    hashes, rewrite = PROGRAMS
    alice = NodeProcess(tmp_path / "alice")
    with nodes(alice):
        for word in ("one", "two", "three"):
            alice.mine(word)
        checked = hashes.replace(":3001/", f":{alice.port}/")
        assert subprocess.run([sys.executable, "-c", checked], capture_output=True, check=True).stdout == b"True\n"
        assert alice.stop() == 0
    assert run("export", "chain.jsonl", "--data-dir", str(alice.folder), within=tmp_path).returncode == 0
    subprocess.run([sys.executable, "-c", rewrite], cwd=tmp_path, check=True)
    assert run("import", "forged.jsonl", "--data-dir", "mallory", within=tmp_path).returncode == 0
    assert run("verify", "--data-dir", "mallory", within=tmp_path).returncode == 0
    with nodes(alice):
        with nodes(NodeProcess(tmp_path / "mallory", alice.address)):
            eventually(lambda: len(alice.chain()) == 7, "Alice did not follow the longer chain")
        assert alice.data() == ["my genesis block!!", "one", "TWO", "three", "and one more", "two", "three"]
        [left] = alice.get("/forks")
        assert [block["data"] for block in left["blocks"]] == ["three", "two"]
