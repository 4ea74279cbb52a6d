"""The command of those who fuzz: `python -m tests.fuzz --help`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
import traceback
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.fuzz import campaign
from tests.fuzz.target import CORPUS, FILES_MOST, NAMES, kept, load

FOUND: Final = Path(__file__).parents[2] / ".fuzz"
"""Where findings go unless said otherwise; not under version control."""

_NAME_DIGITS: Final = 16


def main() -> int:
    """Do what the command line says; the exit code is 1 when a law was broken (or none was, where the code is)."""
    options = _arguments()
    if options.command == "search":
        return _search(options)
    return {"replay": _replay, "keep": _keep}[options.command](options)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Look for bytes that break a law.")
    commands = parser.add_subparsers(dest="command", required=True)
    search = commands.add_parser("search", help="fuzz targets, one after the other")
    search.add_argument(
        "names", nargs="+", choices=[*NAMES, "all"], metavar="TARGET", help=f"all, or of: {', '.join(NAMES)}"
    )
    search.add_argument("--seconds", type=int, help="how long to look at each; else a few thousand inputs")
    search.add_argument("--runs", type=int, help="how many inputs to try of each")
    search.add_argument("--seed", type=int, default=1, help="of the fuzzer's choices")
    search.add_argument("--from-seeds", action="store_true", help="begin without the corpus that is kept")
    search.add_argument("--planted", action="store_true", help="break the code first; an error is what is not found")
    search.add_argument("--found", type=Path, default=FOUND, help="where findings go (%(default)s)")
    replay = commands.add_parser("replay", help="run a target on files, without a fuzzer")
    replay.add_argument("name", choices=NAMES, metavar="TARGET")
    replay.add_argument("files", nargs="+", type=Path, metavar="FILE")
    keep = commands.add_parser("keep", help="put what was found into the corpus, as far as it covers more")
    keep.add_argument("names", nargs="+", choices=[*NAMES, "all"], metavar="TARGET")
    keep.add_argument("--found", type=Path, default=FOUND, help="where findings are (%(default)s)")
    return parser.parse_args()


def _names(options: argparse.Namespace) -> list[str]:
    return list(NAMES) if "all" in options.names else options.names


def _search(options: argparse.Namespace) -> int:
    if importlib.util.find_spec("atheris") is None:
        why = (
            "is not installed (requirements/fuzz.txt)"
            if campaign.SUPPORTED
            else "is not made for this machine or Python"
        )
        print(f"Nothing is fuzzed: atheris {why}.")
        return 1 if campaign.SUPPORTED else 0
    if os.environ.get("PYTHONHASHSEED") != "0":  # the same choices lead the same way only if sets have one order
        os.execve(
            sys.executable, [sys.executable, "-m", "tests.fuzz", *sys.argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"}
        )
    effort = campaign.Effort(options.seconds, options.runs, options.seed, not options.from_seeds, options.planted)
    names, is_well = _names(options), True
    folder = options.found / "planted" if options.planted else options.found
    if options.planted:
        shutil.rmtree(folder, ignore_errors=True)
    atheris = campaign.prepared(names)
    for name in names:
        found = campaign.search(atheris, name, effort, folder / name)
        print(f"{name}: {found.last_line}", flush=True)
        is_well = is_well and (bool(found.broken) if options.planted else found.is_complete and not found.broken)
        if found.broken or not found.is_complete:
            print(f"    the whole log: {found.log}")
        for file in found.broken:
            print(f"    broken by {file}; replay it: {sys.executable} -m tests.fuzz replay {name} {file}", flush=True)
    return 0 if is_well else 1


def _replay(options: argparse.Namespace) -> int:
    target, broken = load(options.name), 0
    for file in options.files:
        try:
            target.one(file.read_bytes())
        except Exception:  # noqa: BLE001 - any exception breaks a law
            broken += 1
            traceback.print_exc()
            print(f"{file}: broken")
        else:
            print(f"{file}: holds")
    return 1 if broken else 0


def _keep(options: argparse.Namespace) -> int:
    from tests.fuzz.cover import chosen  # noqa: PLC0415 - imports what `campaign` wants to import itself

    for name in _names(options):
        target, folder = load(name), CORPUS / name
        named = [file for file in kept(name) if len(file.name) != _NAME_DIGITS]  # by hand, for what they break
        others = [file for file in kept(name) if file not in named]
        found = sorted((options.found / name / "corpus").glob("*"))
        inputs = {file.read_bytes() for file in [*others, *found]}
        first = [*target.seeds(), *(file.read_bytes() for file in named)]
        best = chosen(target, first, inputs, FILES_MOST - len(named))
        folder.mkdir(parents=True, exist_ok=True)
        for file in others:
            file.unlink()
        for data in best:
            (folder / sha256(data).hexdigest()[:_NAME_DIGITS]).write_bytes(data)
        print(f"{name}: {len(best)} of {len(inputs)} are kept, {sum(map(len, best)):,} bytes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
