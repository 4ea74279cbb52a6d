from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tallystick import __version__
from tallystick.app.config import Config
from tallystick.cli import application
from tallystick.cli.application import verdict
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.reference import all_commands, reference
from tallystick.errors import ConfigError, Rule, RuleViolation, StoreCorruptError, StoreLockedError

from .fake_node import Answer, Asked, fake_node
from .running import PATIENCE_S, run, shell

ROOT = Path(__file__).parents[2]
HEAVY = (
    "sanic",
    "httpx",
    "websockets",
    "sqlite3",
    "rich",
    "cryptography",
    "structlog",
    "uvloop",
    "asyncio",
    "msgspec",
    "platformdirs",
)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["start", "--help"], ["network", "new", "--help"], ["nonsense"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """So it answers at once; what is measured are imports, for time depends on the machine."""
    code = (
        "import sys, atexit; from tallystick.cli import main\n"
        f"atexit.register(lambda: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr))\n"
        f"sys.argv = ['tallystick', *{arguments!r}]; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ran.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "arguments", [["block", "1", "--url", "http://127.0.0.1:1"], ["start", "--data-dir", "/x", "--port", "bad"]]
)
def test_options_are_taken_without_a_validation_library(arguments: list[str]) -> None:
    """Typer would load it for any option, a tenth of a second."""
    code = (
        "import sys, atexit; from tallystick.cli import main\n"
        "atexit.register(lambda: print('pydantic' in sys.modules, file=sys.stderr))\n"
        f"sys.argv = ['tallystick', *{arguments!r}]; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ran.returncode in {ExitCode.USAGE, ExitCode.UNREACHABLE}
    assert ran.stderr.splitlines()[-1] == "False"


@pytest.mark.parametrize("command", ["block", "ban", "add-peer"])
def test_an_argument_that_is_no_text_is_refused_in_words(command: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tallystick", command, b"\xff", "--url", "http://127.0.0.1:1"],
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == ExitCode.USAGE
    assert b"is no text in UTF-8" in ran.stderr


def test_the_reference_is_what_help_says() -> None:
    """`make docs` writes it."""
    assert (ROOT / "docs" / "cli.md").read_text() == reference()


def test_every_command_is_documented() -> None:
    documented = (ROOT / "docs" / "cli.md").read_text()
    for words in all_commands():
        assert f"## tallystick {' '.join(words)}\n" in documented


def test_version() -> None:
    assert run("--version") == (0, f"tallystick {__version__}\n", "")


def test_without_arguments_it_helps() -> None:
    ran = run()
    assert "Commands:" in ran.out + ran.err


@pytest.mark.parametrize("arguments", [["nonsense"], ["block", "1", "2"], ["start", "--prot", "1"], ["mine"]])
def test_usage_errors_have_their_code(arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.code == ExitCode.USAGE
    assert ran.err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (Failure(ExitCode.REFUSED, "no"), ExitCode.REFUSED, "no"),
        (ConfigError("bad port"), ExitCode.USAGE, "bad port"),
        (StoreLockedError("in use"), ExitCode.FOLDER, "in use"),
        (StoreCorruptError("block 5", 5), ExitCode.FOLDER, "block 5"),
        (RuleViolation(Rule.INDEX_IN_RANGE, "index -1"), ExitCode.NO, "index -1 (rule index-in-range)"),
        (PermissionError(13, "Permission denied", "/x"), ExitCode.FOLDER, "/x: Permission denied."),
        (OSError(28, "No space left on device"), ExitCode.FOLDER, "No space left on device."),
        (BrokenPipeError(), ExitCode.PIPE_CLOSED, ""),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, ""),
        (RuntimeError("a\x1b[2Jb\nc"), ExitCode.BUG, r"unexpected error, RuntimeError: a\x1b[2Jb\nc"),
    ],
)
def test_every_error_has_a_code_and_words(error: BaseException, code: ExitCode, words: str) -> None:
    found, message = verdict(error)
    assert found is code
    assert words in message


def test_exit_codes_are_documented() -> None:
    for code in ExitCode:
        assert code.meaning.endswith(".")


def test_a_bug_shows_no_traceback_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("tallystick.cli.folder.find", broken)
    ran = run("verify")
    assert ran.code == ExitCode.BUG
    assert "unexpected error" in ran.err
    assert f"{application.DEBUG_VARIABLE}=1" in ran.err
    debugged = shell("block", "--url", "http://127.0.0.1:1", env={"TALLYSTICK_DEBUG": "1"})
    assert "Traceback" in debugged.err


def test_a_reader_who_leaves_early_is_no_error() -> None:
    block = {"data": "x" * 1_000, "hash": "ab" * 32, "index": 0, "previous_hash": "0", "timestamp": 1_700_000_000}

    def respond(asked: Asked) -> Answer:
        if asked.path == "/blocks/latest":
            return Answer({**block, "index": 10_000})
        first = int(asked.path.partition("from=")[2].partition("&")[0])
        links = [{**block, "index": i, "previous_hash": "ab" * 32} for i in range(first, first + 1_000)]
        return Answer(links)

    with fake_node(respond) as node:
        command = [sys.executable, "-m", "tallystick", "blocks", "--all", "--json", "--url", node.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == b"[\n"
            process.stdout.close()
            errors = process.stderr.read()
            code = process.wait(PATIENCE_S)
    assert (code, errors) == (ExitCode.PIPE_CLOSED, b"")


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent to a process on POSIX")
def test_ctrl_c_ends_without_a_traceback() -> None:
    def respond(_asked: Asked) -> Answer:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
        return Answer({})

    with fake_node(respond) as node:
        command = [sys.executable, "-m", "tallystick", "status", "--url", node.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            out, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, errors) == (ExitCode.INTERRUPTED, b"", b"")


def test_start_refuses_bad_settings_before_anything_starts(tmp_path: Path) -> None:
    for arguments, words in (
        (["--port", "x"], "Option --port is 'x'"),
        (["--peer", "http://a:1"], "ws://"),
        (["--tls-cert", "x"], "without --tls-key"),
        (["--mine"], "--mine looks for blocks"),
        (["--mine-workers", "0"], "expected 1 to 256"),
        (["--host", "0.0.0.0"], "--token-file"),  # noqa: S104 - refused
        (["--config", str(tmp_path / "none.toml")], "Cannot read"),
        (["--network", str(tmp_path / "none.toml")], "a network is classic or a file"),
    ):
        ran = run("start", "--data-dir", str(tmp_path / "data"), *arguments)
        assert ran.code == ExitCode.USAGE
        assert words in ran.err
    assert list(tmp_path.iterdir()) == []


def test_start_passes_what_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Config] = []
    monkeypatch.setattr("tallystick.app.compose.run", seen.append)
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    token.chmod(0o644)
    ran = run(
        "start", "--host", "0.0.0.0", "--port", "3002", "--data-dir", "d", "--peer", "ws://a:1", "--peer", "ws://b:2",  # noqa: S104
        "--token-file", str(token), "--allowed-host", "x", "--allowed-origin", "https://y", "--max-reorg", "5",
        "--log-level", "debug", "--log-format", "json", "--no-open", "--network", "classic", "--no-discover",
        "--tls-cert", "c", "--tls-key", "k", "--tls-ca", "a",
        env={"TALLYSTICK_PORT": "1"},
    )  # fmt: skip
    assert ran.code == 0
    assert ("chmod 600" in ran.err) is (os.name == "posix")
    (config,) = seen
    assert (config.host, config.port, config.data_dir) == ("0.0.0.0", 3002, Path("d"))  # noqa: S104
    assert config.peers == ("ws://a:1", "ws://b:2")
    assert (config.allowed_hosts, config.allowed_origins, config.max_reorg) == (("x",), ("https://y",), 5)
    assert (config.log_level, config.log_format, config.open) == ("debug", "json", False)
    assert (config.tls_cert, config.tls_key, config.tls_ca) == (Path("c"), Path("k"), Path("a"))
    assert config.discover is False
    assert config.token is not None
    assert config.token not in ran.out + ran.err
