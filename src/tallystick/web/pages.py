"""The files of the explorer, and the headers that keep a browser from doing more with them than we want.

Anybody may write what the explorer shows: data of records, names of networks, what peers call their programs. The page
puts such text into the document as text (`static/dom.js`). Should it ever fail to, the browser still runs nothing: the
policy lets in scripts and styles of this node's own files only, none that stand in a page, and no text may become
markup (Trusted Types).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

FRONT: Final = "index.html"
"""The one page. It is at `/`; all other files are below `/explorer/`."""

KINDS: Final[Mapping[str, str]] = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""Every kind of file there is, by its ending."""

_MAY: Final[Mapping[str, str]] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
POLICY: Final = "; ".join(f"{what} {whose}" for what, whose in _MAY.items())
"""Content Security Policy, level 3. `form-action`: forms are read by scripts and never sent by the browser."""

HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""With every file. A browser may keep it, and asks each time whether it is still the one: after an upgrade nobody runs
yesterday's scripts."""


@dataclass(frozen=True, slots=True)
class Page:
    """One file."""

    body: bytes
    kind: str
    tag: str
    """Names its content (RFC 9110, section 8.8.3), quotes included."""


@cache
def pages() -> Mapping[str, Page]:
    """Every file by its path below `static`, such as `views/block.js`. Read once: they are few and small."""
    return dict(_below(resources.files(__package__) / "static", ""))


def _below(folder: Traversable, path: str) -> list[tuple[str, Page]]:
    found: list[tuple[str, Page]] = []
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        ending = entry.name.rpartition(".")[2]
        if entry.is_dir():
            found += _below(entry, f"{path}{entry.name}/")
        elif ending in KINDS:
            body = entry.read_bytes()
            found.append((path + entry.name, Page(body, KINDS[ending], f'"{hashlib.sha256(body).hexdigest()[:32]}"')))
    return found
