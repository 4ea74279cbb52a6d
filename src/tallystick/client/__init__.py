"""The client: a node, as a Python program uses it.

    from tallystick.client import Client

    with Client("http://127.0.0.1:3001") as node:
        receipt = node.post({"sensor": 7, "celsius": 21})
        record = node.wait(receipt.id, confirmations=6)

    answers          what a node says, as values
    errors           everything that can go wrong, as one tree
    requests         what is sent and what comes back, without a connection
    proofs           checking what a node says against a hash that is trusted
    flows            the core: what is asked, how often, and what is made of it; no I/O
    events           what a node tells as it happens, as values, and their stream
    following        the core of following it: where to go on after a lost connection
    connection       what httpx is told, and what its errors mean
    sync             the blocking shell, `Client`
    asynchronous     the one for event loops, `AsyncClient`
    logging_handler  what a program logs, as records: `LedgerHandler`

The command line uses the same answers, proofs and shell. Nothing here loads the node: no server, no store.
"""

from tallystick.client.answers import (
    Block,
    BlockHeader,
    Match,
    Peer,
    Receipt,
    Record,
    Status,
    StoredRecord,
)
from tallystick.client.asynchronous import AsyncClient
from tallystick.client.errors import (
    BranchSwitched,
    ClientError,
    IdTaken,
    Misuse,
    NotFound,
    NotProven,
    NotYet,
    Refused,
    Silent,
    TokenNeeded,
    Unavailable,
    Unreachable,
    Unreadable,
    Untrusted,
)
from tallystick.client.events import BlockAdded, Event, PeerChanged, RecordMoved, Reorg, Reset
from tallystick.client.flows import NewRecord
from tallystick.client.logging_handler import LedgerHandler
from tallystick.client.proofs import Proven, check, check_block, check_consistency
from tallystick.client.sync import Client

__all__ = [
    "AsyncClient",
    "Block",
    "BlockAdded",
    "BlockHeader",
    "BranchSwitched",
    "Client",
    "ClientError",
    "Event",
    "IdTaken",
    "LedgerHandler",
    "Match",
    "Misuse",
    "NewRecord",
    "NotFound",
    "NotProven",
    "NotYet",
    "Peer",
    "PeerChanged",
    "Proven",
    "Receipt",
    "Record",
    "RecordMoved",
    "Refused",
    "Reorg",
    "Reset",
    "Silent",
    "Status",
    "StoredRecord",
    "TokenNeeded",
    "Unavailable",
    "Unreachable",
    "Unreadable",
    "Untrusted",
    "check",
    "check_block",
    "check_consistency",
]
