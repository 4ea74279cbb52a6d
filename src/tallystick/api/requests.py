"""What several nouns ask of a request."""

from __future__ import annotations

from typing import Final

from sanic import Request

from tallystick.api.problems import Fault, Refusal
from tallystick.errors import shown

READ: Final = ["GET", "HEAD"]
"""HEAD goes wherever GET goes (RFC 9110, section 9.1)."""

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
