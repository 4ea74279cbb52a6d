"""What a target is, and which there are."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.fuzz import targets
from tests.fuzz.trees import Mutate

CORPUS: Final = Path(__file__).parent / "corpus"

FILES_MOST: Final = 15
"""In the corpus of one target: everybody who clones has them, and every run of the tests replays them."""

NAMES: Final = tuple(module.name for module in pkgutil.iter_modules(targets.__path__))
"""Of all targets, in the order of the alphabet."""

SetAttribute = Callable[[Any, str, Any], None]
"""`setattr`, or one that is undone after a test."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A law, and how to look for bytes that break it. Each module of `targets` has one, as `TARGET`."""

    one: Callable[[bytes], None]
    """The law. Raises, whatever it may be, for bytes that break it; the same for the same bytes, always."""

    seeds: Callable[[], Iterable[bytes]]
    """Where the search begins, and what is replayed before the corpus: what is sound, and meets as much as can be."""

    plant: Callable[[SetAttribute], None]
    """Break the code so that the law does not hold any more: what shows that the target can find something."""

    runs: int
    """Inputs that `make fuzz` tries unless told otherwise: a few seconds' worth."""

    size_bytes: int = 4_096
    """The longest input that is tried."""

    mutate: Mutate | None = None
    """For inputs whose structure bits do not respect."""

    dictionary: Sequence[bytes] = ()
    """Words that are put in, and that nobody would guess."""


def load(name: str) -> Target:
    """The target of that name; raises ModuleNotFoundError."""
    target: Target = importlib.import_module(f"tests.fuzz.targets.{name}").TARGET
    return target


def kept(name: str) -> list[Path]:
    """The files of a target's corpus, in the order of their names."""
    return sorted((CORPUS / name).iterdir()) if (CORPUS / name).is_dir() else []
