"""What the image runs, run here without an engine: entry point, settings and health check, as the files have them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tallystick.app.settings import SETTINGS
from tests.system.processes import NodeProcess, environment, nodes

ROOT = Path(__file__).parents[2]
IMAGE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
COMPOSE = (ROOT / "compose.yaml").read_text()


def instruction(name: str) -> str:
    """The last one of that name."""
    return str(re.findall(rf"^{name} (.+)$", IMAGE, flags=re.MULTILINE)[-1])


VARIABLES = dict(pair.split("=", 1) for pair in instruction("ENV").split())


class Contained(NodeProcess):
    """Told by its environment alone."""

    def arguments(self) -> list[str]:
        return []


def test_the_entry_point_serves_and_the_health_check_knows(tmp_path: Path) -> None:
    entry, command = json.loads(instruction("ENTRYPOINT")), json.loads(instruction("CMD"))
    assert [*entry, *command] == ["tallystick", "start"]
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    here = {"TALLYSTICK_DATA_DIR": str(tmp_path / "data"), "TALLYSTICK_PORT": "0", "TALLYSTICK_TOKEN_FILE": str(token)}
    variables = {name: value for name, value in VARIABLES.items() if name != "PATH"}
    node = Contained(tmp_path / "data", variables=variables | here)
    with nodes(node):
        assert healthy(node.port)
        assert node.get("/status")["network"]["kind"] == "classic"
        assert node.stop() == 0
        assert not healthy(node.port)


def healthy(port: int) -> bool:
    python, *rest = json.loads(instruction("HEALTHCHECK").partition(" CMD ")[2])
    assert python == "python"
    check = [word.replace(":3001/", f":{port}/") for word in rest]
    return subprocess.run([sys.executable, *check], env=environment(), capture_output=True, check=False).returncode == 0


def test_nobody_in_it_is_root_and_everything_it_needs_is_let_in() -> None:
    assert instruction("USER") == "tallystick"
    assert VARIABLES["TALLYSTICK_DATA_DIR"] == instruction("VOLUME")
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", IMAGE, flags=re.MULTILINE) for word in line.split()
    }
    assert copied == let_in
    assert all((ROOT / path).exists() for path in let_in)


def test_the_composed_nodes_know_their_settings_and_each_other() -> None:
    known = {setting.variable for setting in SETTINGS}
    assert set(re.findall(r"TALLYSTICK_[A-Z_]+", COMPOSE + IMAGE)) <= known
    services = re.findall(r"^  (node-\d+):$", COMPOSE, flags=re.MULTILINE)
    assert len(services) == 3
    assert set(re.findall(r"ws://([^:]+):3001", COMPOSE)) <= set(services)
    assert len(set(re.findall(r"127\.0\.0\.1:(\d+):3001", COMPOSE))) == 3
