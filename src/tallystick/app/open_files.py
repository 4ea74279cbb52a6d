"""As many open files as a node's limits need.

To the kernel a connection is an open file, and a process may have only so many: 1,024 on many systems, unless
it asks for more. If strangers' connections used them up, the store could not open what it needs
(a database for the hash index, a journal too long for memory), and a store that fails stops the node.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from tallystick.model.limits import Limits

RESERVED: Final = 64
"""Files for the store, the log, the event loop and the interpreter: about 25 in use, and some to spare."""

CONNECTIONS_MIN: Final = 16


def allowed_connections(limits: Limits) -> Limits:
    """Ask the system for the files these limits need; where it refuses, limits with fewer connections."""
    try:
        import resource  # noqa: PLC0415 - not on Windows, which has no such limit
    except ImportError:
        return limits
    needed = limits.connections + limits.peer_addresses + RESERVED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < needed:
        wanted = needed if hard == unlimited else min(needed, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limits if soft == unlimited else fitting(limits, soft)


def fitting(limits: Limits, files: int) -> Limits:
    """Limits under which connections, both ways, leave `RESERVED` of so many open files to the node."""
    if limits.connections + limits.peer_addresses + RESERVED <= files:
        return limits
    half = max(CONNECTIONS_MIN, (files - RESERVED) // 2)
    connections = max(half, files - RESERVED - limits.peer_addresses)
    return replace(limits, connections=min(limits.connections, connections))
