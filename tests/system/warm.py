"""Nodes that need not import everything anew, which is most of what a start costs.

A process that has imported what a node imports waits here, one for each worker. Asked for a node, it forks: the child
takes the arguments, environment and files it is given, and goes on as `python -m tallystick` would. It is a process
in every respect: it has a PID, memory and signals of its own, and can be killed. `Forked` is to tests what
`subprocess.Popen` is. No interpreter, no import and no compiled file of the product starts with it, which other tests
show: those that call the command line as a person does, and all that say `cold`.

Nothing is warm in the nightly (`COLD_NODES=1`), and where a system has no `pidfd_open` (Linux has).

    python -m tests.system.warm FD
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from typer.testing import CliRunner

import tallystick
from tallystick.cli import main
from tallystick.cli.application import app
from tallystick.cli.exits import ExitCode
from tests.system.altered import put_on

MAIN: Final = str(Path(tallystick.__file__).with_name("__main__.py"))
WARM: Final = hasattr(os, "pidfd_open") and "COLD_NODES" not in os.environ
ORDER_BYTES: Final = 2**17
"""Arguments and environment of a process."""

FILES: Final = 4
"""Handed over with an order: standard input, output and error, and where PID and exit code are told."""


# --- for tests --------------------------------------------------------------------------------------


class Forked:
    """`tallystick`, forked. The part of `subprocess.Popen` that tests use."""

    stdout: IO[str] | None = None

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        files: tuple[int, int, int],
        *,
        within: Path | None = None,
        altered: tuple[str, str] | None = None,
    ) -> None:
        """With these arguments and standard input, output and error. `altered` is what `altered.py` takes."""
        self.args = arguments
        self.returncode: int | None = None
        self._lock = threading.Lock()
        place = str(within or Path.cwd())
        order = {"argv": [*arguments], "environment": {**environment}, "within": place, "altered": altered}
        told, tell = os.pipe()
        self._told = os.fdopen(told, "r")
        try:
            socket.send_fds(_forker(), [json.dumps(order).encode()], [*files, tell])
        finally:
            os.close(tell)
        self.pid = int(self._told.readline())

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        with self._lock:
            if self.returncode is None and select.select([self._told], [], [], 0)[0]:
                self._ended()
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            left_s = None if deadline is None else deadline - time.monotonic()
            if left_s is not None and left_s <= 0:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            with contextlib.suppress(ValueError):  # another thread heard of the end and closed it
                select.select([self._told], [], [], left_s)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing, if it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _ended(self) -> None:
        code = self._told.readline()
        self._told.close()
        self.returncode = int(code) if code else -signal.SIGKILL  # no word: the process that forks is gone, too


_lock: Final = threading.Lock()
_ways: Final[list[socket.socket]] = []


def _forker() -> socket.socket:
    """The way to the process that forks for this one. It is started when it is first asked, and ends with us."""
    with _lock:
        if not _ways:
            ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with its:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tests.system.warm", str(its.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[its.fileno()],
                    cwd=Path(__file__).parents[2],
                )
            _ways.append(ours)
            atexit.register(_end, ours, process)
        return _ways[0]


def _end(ours: socket.socket, process: subprocess.Popen[bytes]) -> None:
    ours.close()
    process.wait()


# --- the process that forks -------------------------------------------------------------------------


def serve(orders: socket.socket) -> list[str] | None:
    """Fork for each order. Returns in each child what makes a clock or limits other, and never in this process but
    at the end of orders, when it exits."""
    children: dict[int, tuple[int, int]] = {}
    while True:
        for ready in select.select([orders.fileno(), *children], [], [])[0]:
            if ready in children:
                _tell_end(ready, *children.pop(ready))
                continue
            order, files, _, _ = socket.recv_fds(orders, ORDER_BYTES, FILES)
            if not order:
                os._exit(0)
            pid = os.fork()
            if not pid:
                orders.close()
                for pidfd, (_, tell) in children.items():
                    os.close(pidfd)
                    os.close(tell)
                return _become(json.loads(order), files)
            os.write(files[-1], b"%d\n" % pid)
            children[os.pidfd_open(pid)] = (pid, files[-1])
            for file in files[:-1]:
                os.close(file)


def _tell_end(pidfd: int, pid: int, tell: int) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):  # nobody wants to know
        os.write(tell, b"%d\n" % code)
    os.close(pidfd)
    os.close(tell)


def _become(order: dict[str, object], files: Sequence[int]) -> list[str] | None:
    """Take the files, environment and arguments that were ordered."""
    *standard, tell = files
    os.close(tell)
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    argv, environment, altered = order["argv"], order["environment"], order["altered"]
    os.chdir(str(order["within"]))
    assert isinstance(argv, list)
    assert isinstance(environment, dict)
    assert altered is None or isinstance(altered, list)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv[:] = [MAIN, *argv]
    return altered


def _import_all() -> None:
    """Whatever nodes and commands import when they are called: each is called in vain."""
    import uvloop  # noqa: F401, PLC0415 - this is a process of its own

    for arguments in (("start", "--port", "none"), ("status", "--url", "none")):
        assert CliRunner().invoke(app, arguments).exit_code == ExitCode.USAGE
    gc.collect()
    gc.freeze()  # what is never looked through is never copied


if __name__ == "__main__":
    _import_all()
    alter = serve(socket.socket(fileno=int(sys.argv[1])))
    if alter is not None:
        put_on(*alter)
    main()
