"""What all sockets of a node share."""

from __future__ import annotations

import asyncio

import msgspec

from tallystick.node.ports import Ledger
from tallystick.p2p.chain import ChainSize
from tallystick.p2p.permit import Permit


class Shared(msgspec.Struct, frozen=True):
    """The surroundings of a socket."""

    ledger: Ledger
    permit: Permit
    chain_size: ChainSize


def report_failure(task: asyncio.Task[None]) -> None:
    """A bug of ours must not vanish with the task it happened in."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": f"{task.get_name()} failed", "exception": error})
