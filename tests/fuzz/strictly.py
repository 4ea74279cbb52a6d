"""JSON that means one thing, by a decoder that has nothing in common with ours: what several laws compare with."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def strictly(text: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a text. Raises ValueError when it is not UTF-8, has a key twice, or says NaN; RecursionError."""
    return json.loads(
        text.decode("utf-8") if isinstance(text, bytes) else text, object_pairs_hook=_members, parse_constant=_refuse
    )


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)
