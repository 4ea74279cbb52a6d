"""Looking for bytes that break a law, guided by what they make the code do (atheris, which is libFuzzer for Python).

Instrumenting all our modules takes seconds and libFuzzer ends its process, so that is done once, and each target then
has a process forked off it. What is found is in `Findings.folder`: inputs that led somewhere new, what broke a law, and
the log. With a seed and a number of runs, everything happens again in the same way.
"""

from __future__ import annotations

import contextlib
import io
import os
import platform
import random
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from tests.fuzz.target import Target, kept, load

HANGS_AFTER_S: Final = 60
"""An input that takes so long is as bad as one that raises: inputs take milliseconds. Not where inputs are counted:
there nothing is to depend on how busy the machine is."""

_PROGRESS: Final = re.compile(r"#\d+\s")
"""How a line of libFuzzer's log begins that tells how far it is."""

_NOT_FUZZED: Final = 70
"""Exit code of a process that libFuzzer did not end itself."""

MEMORY_MIB: Final = 1_024
"""Likewise for a process that needs more: beside the code, inputs take a few."""

SUPPORTED: Final = (
    platform.python_implementation() == "CPython"
    and sys.platform == "linux"
    and platform.machine() == "x86_64"
    and sys.version_info < (3, 14)
    and platform.libc_ver()[0] == "glibc"
)
"""Is there a wheel of the atheris that is pinned? Then it is an error when it is not here."""


@dataclass(frozen=True)
class Effort:
    """How long to look, and how."""

    seconds: int | None = None
    """None: `runs`, or as many inputs as the target says."""

    runs: int | None = None
    seed: int = 1
    from_corpus: bool = True
    """Begin with what is kept, or with nothing but the seeds."""

    planted: bool = False
    """Break the code first (`Target.plant`)."""


@dataclass(frozen=True)
class Findings:
    """What came of one target."""

    name: str
    broken: Sequence[Path]
    """Inputs that broke the law."""

    is_complete: bool
    """Did it look as long as it was told to?"""

    log: Path

    @property
    def last_line(self) -> str:
        """What libFuzzer said last of its progress."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if _PROGRESS.match(line)]
        return " ".join(lines[-1].split()) if lines else "nothing was tried"


def prepared(names: Sequence[str]) -> Any:  # noqa: ANN401 - a module without types
    """The fuzzer, once all code that these targets use is loaded in a form that tells where it went.

    Call it before anything of tallystick is imported. Raises ModuleNotFoundError where there is no atheris.
    """
    import atheris  # noqa: PLC0415 - not to be had everywhere

    early = [name for name in sys.modules if name.partition(".")[0] == "tallystick"]
    if early:
        raise RuntimeError(f"{early[0]} was imported too early to be instrumented")
    with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=["tallystick"]):
        for name in names:
            load(name)
    return atheris


def search(atheris: Any, name: str, effort: Effort, folder: Path) -> Findings:  # noqa: ANN401 - see `prepared`
    """Fuzz one target in a process of its own; what it finds goes into `folder`."""
    new, log = folder / "corpus", folder / "log"
    new.mkdir(parents=True, exist_ok=True)
    known = set(folder.glob("broken-*"))
    child = os.fork()
    if not child:
        _search(atheris, name, effort, folder)
    _, status = os.waitpid(child, 0)
    broken = sorted(set(folder.glob("broken-*")) - known)
    return Findings(name, broken, os.waitstatus_to_exitcode(status) == 0, log)


def _search(atheris: Any, name: str, effort: Effort, folder: Path) -> NoReturn:  # noqa: ANN401 - see `prepared`
    """What the child does: it never returns, for libFuzzer ends its process."""
    try:
        with (folder / "log").open("wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        target = load(name)
        if effort.planted:
            target.plant(setattr)
        with tempfile.TemporaryDirectory() as scratch:
            options = {"custom_mutator": _mutator(target, atheris)} if target.mutate else {}
            atheris.Setup([name, *_options(target, name, effort, folder, Path(scratch))], target.one, **options)
            atheris.Fuzz()
    except SystemExit:  # a law is broken: libFuzzer writes down the input when the process ends in the usual way
        raise
    except BaseException:  # noqa: BLE001 - a mutator failed, or this module; the log says which
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(_NOT_FUZZED)


def _options(target: Target, name: str, effort: Effort, folder: Path, scratch: Path) -> list[str]:
    """What libFuzzer is told. Seeds are listed one by one: the order of a folder is not the same everywhere."""
    runs = None if effort.seconds else effort.runs or target.runs
    inputs = [scratch / f"seed-{number:04}" for number, _ in enumerate(target.seeds())]
    for file, seed in zip(inputs, target.seeds(), strict=True):
        file.write_bytes(seed)
    inputs += kept(name) if effort.from_corpus else []
    inputs += sorted((folder / "corpus").iterdir())
    (scratch / "inputs").write_text(",".join(map(str, inputs)))
    options = [
        f"-seed={effort.seed}",
        f"-max_len={target.size_bytes}",
        "-len_control=0",  # long inputs from the start: nine bytes are no document
        "-keep_seed=1",  # decoders in C show no ways of their own, so seeds that look alike to the fuzzer are not
        f"-timeout={0 if runs else HANGS_AFTER_S}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-artifact_prefix={folder}/broken-",
        f"-seed_inputs=@{scratch / 'inputs'}",
        f"-runs={len(inputs) + runs}" if runs else f"-max_total_time={effort.seconds}",
    ]
    if target.dictionary:
        (scratch / "words").write_text("".join(map(_quoted, target.dictionary)))
        options.append(f"-dict={scratch / 'words'}")
    return [*options, str(folder / "corpus")]


def _quoted(word: bytes) -> str:
    """A line of a dictionary, as libFuzzer reads it."""
    return '"' + "".join([rf"\x{byte:02x}" for byte in word]) + '"\n'


def _mutator(target: Target, atheris: Any) -> Any:  # noqa: ANN401 - see `prepared`
    mutate = target.mutate
    assert mutate is not None

    def custom(data: bytes, most: int, seed: int) -> bytes:
        return mutate(bytes(data), most, random.Random(seed), atheris.Mutate)  # noqa: S311 - repeatable, not secret

    return custom
