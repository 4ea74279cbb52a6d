"""What is said of a name that nobody knows, of a file, and of a value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from tallystick.errors import ConfigError, shown
from tallystick.model.text import printable


def unknown(what: str, name: str, where: str | None, known: Iterable[str], reason: str = "") -> ConfigError:
    """`name` is not among those `known`; if it is nearly one of them, that is suggested."""
    what = " ".join(filter(None, (what, printable(name, 80), where)))
    near = difflib.get_close_matches(name, list(known), n=1)
    guess = f" Did you mean {near[0]}?" if near else ""
    return ConfigError(f"Unknown {what}{reason}.{guess} Known: {', '.join(sorted(known))}.")


def shown_path(path: Path) -> str:
    """A path as it may stand in a message."""
    return printable(str(path))


def shown_value(raw: object) -> str:
    """A value of a TOML file as it may stand in a message."""
    if isinstance(raw, list | dict):
        return "a list" if isinstance(raw, list) else "a table"
    return shown(raw)
