"""What several nouns ask of a request."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from sanic import Request

from tallystick.api.problems import Fault, Refusal
from tallystick.errors import shown

READ: Final = ["GET", "HEAD"]
"""HEAD goes wherever GET goes (RFC 9110, section 9.1)."""

_WHOLE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_QUERY_FIELDS_MAX: Final = 4
_EXACTLY: Final = "application/json"


def require_json(request: Request) -> None:
    """A body must call itself JSON, and be no more than that. Raises Refusal.

    A page of another site can send a form or plain text without asking anybody, but not this type.
    """
    headers = request.headers
    kind = headers.getone("content-type", "")
    if kind != _EXACTLY and kind.partition(";")[0].strip().lower() != _EXACTLY:
        was = f"Content-Type is {shown(kind)}" if kind else "Content-Type is missing"
        raise Refusal(Fault.NOT_JSON_TYPE, f"{was}; send Content-Type: {_EXACTLY}")
    if "content-encoding" in headers and headers["content-encoding"].strip().lower() != "identity":
        raise Refusal(
            Fault.NOT_JSON_TYPE, f"Content-Encoding is {shown(headers['content-encoding'])}; send the JSON as it is"
        )


def parameters(query: str, known: set[str]) -> dict[str, str]:
    """The parameters of a query, each of them known, and there once. A misspelt one is refused: ignored, it would ask
    for something else. Raises Refusal."""
    expected = ", ".join(sorted(known))
    try:
        pairs = parse_qsl(
            query,
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="strict",
            max_num_fields=_QUERY_FIELDS_MAX,
        )
    except ValueError:
        raise Refusal(Fault.BAD_PARAMETER, f"{shown(query)} is no query in UTF-8; known are: {expected}") from None
    given = dict(pairs)
    for name in given:
        if name not in known:
            raise Refusal(Fault.BAD_PARAMETER, f"{shown(name)} is unknown; known are: {expected}")
    if len(given) != len(pairs):
        raise Refusal(Fault.BAD_PARAMETER, f"a parameter occurs twice in {shown(query)}; give each once")
    return given


def whole_number(text: str, name: str, least: int, most: int) -> int:
    """The value of the parameter `name`, digits and nothing else. Raises Refusal."""
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        raise Refusal(Fault.BAD_PARAMETER, f"{name} is {shown(text)}; give a number from {least} to {most}")
    return int(text)


def names_html(request: Request) -> bool:
    """Is a page asked for? Browsers name HTML among what they accept; programs accept JSON, or anything."""
    return "text/html" in request.headers.getone("accept", "")
