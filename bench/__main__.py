"""`python -m bench`: run every benchmark and print one table, in Markdown."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys

import psutil

from bench import length, mining, propagation, records, sync, write_path


def main() -> None:
    """Print the machine, then the table as its lines are measured."""
    memory = psutil.virtual_memory().total / 2**30
    print(
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}\n"
    )
    print("| what | measured | yardstick, same run | ratio | goal |")
    print("|---|---|---|---|---|", flush=True)
    for part in (write_path, length, sync, propagation, records, mining):
        for line in part.rows():
            print(line, flush=True)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
