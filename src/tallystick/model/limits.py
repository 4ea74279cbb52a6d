"""Every limit in one place, each with its reason.

Whatever a peer, a client or a file can make us loop over or allocate is bounded by one of these. They
are a frozen value handed in from outside, so that a simulator or a test can run with smaller ones.
Units are in the names.
"""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a node. The defaults are what a real node uses."""

    # --- chain ---------------------------------------------------------------------------------
    recent_headers: int = 2_000
    """Headers of the best chain kept in memory; a fork deeper than that asks the store."""

    view_page: int = 1_000
    """Headers, blocks or duties asked of a view or written by one effect at a time."""

    side_bytes: int = 256 * MIB
    """Data of other people's side branches kept in the store; beyond it the oldest go first."""

    side_block_bytes: int = 256
    """What a side block counts beside its data: its row and index entries. Without it, empty blocks would be free."""

    index_batch: int = 50_000
    """Hashes of the newest blocks looked up in memory (at most twice as many) before they go to the hash index
    in one sorted batch; random keys written one by one would cost more than the blocks themselves."""

    opening_blocks: int = 6
    """Last blocks whose hashes are recomputed when a store is opened; a torn disk shows there first."""

    remine_jitter_ms: int = 500
    """A lost duty is mined again after 0 to this many ms, so that two nodes seldom collide."""

    remine_jitter_max_ms: int = 8 * SECOND_MS
    """The jitter doubles up to this while what was mined again keeps losing."""

    remine_calm_ms: int = 30 * SECOND_MS
    """So long without a new loss after mining again, and the jitter starts from the bottom."""

    # --- posts ---------------------------------------------------------------------------------
    classic_post_bytes: int = 1_000_000
    """RESPONSE_BLOCKCHAIN of one posted block, written as the book's `json.dumps` writes it, may not
    be longer: the book's node hangs up at 2**20 bytes, and one such block would cut it off for ever."""

    # --- the classic dialect -------------------------------------------------------------------
    message_bytes: int = 16 * MIB
    """A message in either direction."""

    large_message_bytes: int = 1 * MIB
    """Above this a message is large: one at a time in the whole node, for decoding costs five times its size."""

    classic_inbound_peers: int = 8
    """Classic peers that dialled us; each may cost a whole chain per query."""

    chain_bytes_per_minute: int = 64 * MIB
    """Whole-chain answers to one peer; what is over it waits. Twelve bytes in, the whole chain out."""

    received_bytes_per_minute: int = 64 * MIB
    """Block messages taken from one peer; beyond it we read slower (alternating deep reorgs stay bounded)."""

    effort_bytes: int = 256
    """A block looked up or moved for a peer's message counts as so many bytes of `received_bytes_per_minute`:
    else two long branches could overtake each other, a few hundred bytes at a time, for next to nothing."""

    remembered_allowances: int = 1_000
    """Addresses that hung up after using up some of the above, and find it so when they come back."""

    query_all_patience_ms: int = 30 * SECOND_MS
    """A peer that answered QUERY_ALL with less than we need is not asked again before this is over."""

    query_latest_every_ms: int = 30 * SECOND_MS
    """Classic peers are asked for their latest block this often; it heals what a broken broadcast lost."""

    # --- connections ---------------------------------------------------------------------------
    handshake_ms: int = 10 * SECOND_MS
    """From the first byte of a connection or request to the end of its head."""

    request_ms: int = 30 * SECOND_MS
    """From the first byte of a request to the end of its body."""

    connections: int = 1_024
    """Open TCP connections to our port, API and peers together."""

    connections_per_address: int = 64
    """Of these from one address that is not loopback."""

    request_body_bytes: int = 8 * MIB
    """A request's body; larger than any acceptable post, so that a post too long gets its own answer."""

    large_body_bytes: int = 64 * KIB
    large_bodies: int = 16
    """Longer bodies than the first are received, so many at a time; others wait, and what they send waits in the
    kernel. A thousand connections sending eight megabytes each would cost eight gigabytes."""

    request_json_values: int = 1_000
    """Values in a request's body. One is wanted; eight megabytes of empty lists would cost 300 in memory."""

    request_json_depth: int = 16
    """Nesting of a request's body; a decoder calls itself for each level."""

    keep_alive_ms: int = 60 * SECOND_MS
    """A connection to the API that asks nothing for so long is closed."""

    answer_stall_bytes: int = 16 * KIB
    """A client that takes less than this of a waiting answer within `outbox_stall_ms` is not reading."""

    large_answer_bytes: int = 64 * KIB
    unread_answers_bytes: int = 128 * MIB
    """Longer answers than the first are refused while clients leave so much of their answers unread, all
    together. One block can have 16 MiB, and a thousand connections may ask for it and not read."""

    whole_chains: int = 16
    """Answers with the whole chain under way at a time; each may hold a few pages (`page_bytes`)."""

    wrong_token_ms: int = 250
    """A wrong token is answered this late, so that nobody tries many."""

    outbox_pause_bytes: int = 1 * MIB
    """While this much waits to be sent to a peer, its next message is not handled and gossip is dropped."""

    outbox_drop_bytes: int = 24 * MIB
    """So much waiting and the peer is dropped; room for one whole message and then some."""

    outbox_stall_ms: int = 20 * SECOND_MS
    """Something waits and nothing moved for so long: the peer is dropped."""

    inbox_bytes: int = 2 * MIB
    """Whole messages of one peer that may wait to be handled; then nothing more is read. Twice what pauses
    an outbox, so that two nodes with full outboxes facing each other still read, and neither waits for ever."""

    large_message_ms: int = 60 * SECOND_MS
    """A peer sending a large message while others wait to send theirs must be done within this."""

    fragment_bytes: int = 64 * KIB
    """Longer messages go out in fragments of this size, made as the socket drains: a broadcast of a large
    message costs its size once, not once a peer."""

    chain_piece_bytes: int = 128 * KIB
    """A whole-chain answer is read and encoded in pieces of about this size (one block may be longer)."""

    close_ms: int = 2 * SECOND_MS
    """From our close frame to the end of the connection; a peer that is not done by then is cut off."""

    dialled_addresses: int = 4
    """Numeric addresses of one name that are tried, in the resolver's order."""

    lookups: int = 64
    """Names that are looked up at a time, each in a thread that a silent name server may keep for half a minute."""

    ping_every_ms: int = 30 * SECOND_MS
    pong_within_ms: int = 60 * SECOND_MS
    """A peer that did not answer a ping for so long is gone."""

    stall_ms: int = 5 * SECOND_MS
    """When we ourselves stood still for so long, every deadline of a peer moves by as much."""

    # --- peers we dial -------------------------------------------------------------------------
    peer_addresses: int = 256
    """Addresses we dial, when `addPeer` adds another. Start options may bring as many on top of the remembered."""

    redial_first_ms: int = 1 * SECOND_MS
    redial_max_ms: int = 60 * SECOND_MS
    """Back-off of a peer that cannot be reached: doubles from the first to the second, with jitter."""

    useful_connection_ms: int = 60 * SECOND_MS
    """A connection must have lasted so long before its back-off starts from the bottom again."""

    discourage_ms: int = 24 * HOUR_MS
    """How long the address of a peer that broke a rule is refused."""

    discouraged_addresses: int = 10_000
    """Addresses remembered as discouraged; the oldest are forgiven first."""

    # --- reading -------------------------------------------------------------------------------
    page_blocks: int = 1_000
    """Blocks a client may ask for in one page."""

    page_bytes: int = 1 * MIB
    """Data of blocks read from the store, or of inputs written to it in one batch, at a time."""

    import_line_bytes: int = 64 * MIB
    """One block as a line of an imported file: data of a whole message, every character of it escaped."""

    fork_blocks: int = 100
    """Forks in one answer, and blocks shown of each."""

    fork_runs: int = 10_000
    """Unbranched stretches walked down for one answer to see where forks leave the best chain. A peer can make
    side branches with a branching at every block, and the walk holds up everybody."""


LIMITS = Limits()
"""The defaults."""
