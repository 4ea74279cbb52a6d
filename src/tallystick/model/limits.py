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

MAX_ENTRY_BYTES = 65_535
"""An entry of the log: its length always fits two bytes, whatever stands over it."""

MAX_DATA_DEPTH = 64
"""Arrays and objects within each other in a record's data. Consensus: where a decoder's own stack ends depends on the
machine, and what one node can read another must be able to read."""


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

    # --- records -------------------------------------------------------------------------------
    pool_bytes: int = 128 * MIB
    """Records that are in no block yet; beyond it posts are refused (503), and what peers offer is not taken."""

    pool_foreign_bytes: int = 96 * MIB
    """Of these, what came from peers: however much they send, our own callers find room."""

    pool_peer_bytes: int = 32 * MIB
    """Of these, what came from one address."""

    pool_record_bytes: int = 256
    """What a record counts beside its parts: rows and index entries. Without it, tiny records would be nearly free."""

    records_per_post: int = 1_000
    """Records in one `POST /records`; its size is bounded by `request_body_bytes`."""

    records_per_page: int = 1_000
    """Records a client may ask for in one page, and that are shown of one id."""

    records_per_id: int = 8
    """Records that are looked at to see what an id stands for. Two that share one are a rare accident, of a client who
    tried again at another node; a peer can make as many as it likes, and whoever posts or passes on that id would pay
    for them all."""

    waiting_posts: int = 1_024
    """Callers of `POST /mineBlock` that wait for their block, all together."""

    post_wait_ms: int = 30 * SECOND_MS
    post_wait_max_ms: int = 300 * SECOND_MS
    """How long such a caller waits when it does not say, and at most."""

    announced_records: int = 1_000
    """Records in one announcement (`inv`)."""

    records_per_request: int = 256
    """Records asked for at a time."""

    known_records: int = 20_000
    """Records that a peer is remembered to have, newest last."""

    wanted_records: int = 50_000
    """Records that peers announced and that are asked for or will be, all together."""

    pool_again_ms: int = MINUTE_MS
    """From the end of the pool to its beginning: peers hear of all of it again, for announcements may be lost."""

    record_patience_ms: int = 5 * SECOND_MS
    """A peer that was asked for records has so long, then another one that announced them is asked."""

    future_ms: int = 2 * MINUTE_MS
    """A sealed block may be dated so far ahead of our clock."""

    template_ms: int = 1 * SECOND_MS
    """What is being mined is made anew this often, when there is something to add, or its time would be wrong."""

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

    # --- the nodes' own dialect ----------------------------------------------------------------
    frame_bytes: int = 4 * MIB
    """A message of the native dialect. Longer replies come in parts."""

    stranger_frame_bytes: int = 4 * KIB
    """Likewise, before the handshake is done; a hello has a few hundred bytes."""

    part_bytes: int = 1 * MIB
    """A reply that is longer goes out in parts of this size, so that others get between them."""

    reply_bytes: int = 20 * MIB
    """A reply put together from its parts: one block of `message_bytes` of data, and then some."""

    native_inbox_bytes: int = 5_000_000
    native_inbox_messages: int = 16
    """So much of one native peer waits to be handled; then nothing more is read (Bitcoin Core, `fPauseRecv`)."""

    native_outbox_drop_bytes: int = 8 * MIB
    """So much waiting for a native peer and it is dropped. Only gossip can pile up, for no request is handled
    over `outbox_pause_bytes`; replies under way in parts do not count."""

    native_inbound_peers: int = 64
    native_inbound_per_host: int = 2
    """Native peers that dialled us: in all, and from one public address (of IPv6: one /64)."""

    strangers: int = 64
    stranger_grace_ms: int = 2 * SECOND_MS
    """Those who dialled us and whose handshake is not over, beside the above. When there are more, the one that has
    been there longest goes, not before it had so long: time for a few round trips over a slow line."""

    outbound_peers: int = 8
    """Native peers we dial on our own account, from the book of addresses."""

    anchors: int = 2
    """The last good ones of these, dialled first after a restart: whoever fills our book gains nothing at once."""

    peers_slice_ms: int = 10
    """Of each batch so long at most is spent on what peers say, then callers have their turn. A question for 2,000
    blocks takes half of it."""

    progress_every_ms: int = 1 * SECOND_MS
    """How often the core hears that a message is still arriving."""

    agent_bytes: int = 128
    """Name and version of a peer's program."""

    locator_points: int = 64
    """Blocks named by a locator: the newest ten, then ever larger steps down to genesis."""

    headers_per_reply: int = 2_000
    survey_window: int = 11
    """Of surveyed headers so many are kept, for those that follow: what their times are held against."""

    blocks_per_request: int = 128
    reply_soft_bytes: int = 2 * MIB
    """A reply ends with the block that reaches this, or with as many as these."""

    sealed_reply_bytes: int = 512 * KIB
    sealed_reply_blocks: int = 500
    """Likewise where blocks hold records, and at most so many blocks. A record costs who reads it from the store five
    microseconds, and who checks and keeps it twenty, and their callers wait so long."""

    batch_blocks: int = 1_000
    """Blocks asked for at a time while syncing: large enough for one commit, small enough that the API
    answers in between."""

    batch_records: int = 10_000
    """Where blocks hold records, a batch ends with the block that brings so many, once it has a twentieth of
    `batch_blocks`: a few replies. So there is always another batch to ask for while one is on its way, and little waits
    for what is before it."""

    plan_batches: int = 32
    """Batches whose ends a peer names ahead, so that others can be asked for them at the same time."""

    requests_in_flight: int = 2
    """Batches asked of one peer at a time (`requests_in_flight * reply_soft_bytes` is 4 MiB)."""

    window_batches: int = 16
    """Batches past the last connected block that may be asked for; at a thousand blocks each, and beside it
    `window_bytes`."""

    window_bytes: int = 64 * MIB
    """Of blocks downloaded and not connected yet, all peers together, replies under way in parts included."""

    staged_bytes: int = 4096 * MIB
    """Of a longer branch that is still arriving, on disk. A branch that has not overtaken ours by then is given up."""

    deep_switch_rest_ms: int = 100
    """After a switch of branches that took off more than `recent_headers`, no other one as deep is begun for so long,
    for each 1,000 blocks moved. Moving them takes 10 ms: two branches that overtake each other in turns hold up the
    node a tenth of the time at most."""

    stall_first_ms: int = 2 * SECOND_MS
    stall_max_ms: int = 64 * SECOND_MS
    """A peer that holds up everybody else has so long; doubled each time one was dropped for it, and back in
    small steps as blocks connect (Bitcoin Core, `BLOCK_STALLING_TIMEOUT`)."""

    coming_within_ms: int = 10 * SECOND_MS
    """Whoever is at it, and delivers at least the following, is waited for so much longer."""

    slow_bytes_per_second: int = 128_000
    """A peer that delivers less while something is asked of it is replaced, if there is another (CometBFT)."""

    slow_after_ms: int = 4 * SECOND_MS
    """How long it is measured before that."""

    reply_within_ms: int = 120 * SECOND_MS
    """A request without an answer for so long, and nothing arriving meanwhile, is given up and the peer dropped."""

    stuck_ms: int = 20 * MINUTE_MS
    stuck_grace_ms: int = 2 * MINUTE_MS
    """A peer that we dialled on our own account and that has less than we have for so long is asked once, and
    replaced when that does not help within the grace (Bitcoin Core, `ConsiderEviction`)."""

    push_bytes: int = 20_000
    """A shorter new block is pushed whole to a peer at the tip, a longer one announced."""

    announced_points: int = 8
    """Blocks in one announcement; whoever misses more than that asks for headers (BIP 130)."""

    relay_patience_ms: int = 300
    """Somebody is a few blocks ahead (`announced_points`): they are probably on their way to us, by another road.
    Nobody is asked for them before this is over."""

    known_blocks: int = 2_000
    """Blocks that a peer is remembered to have, newest last."""

    history_bytes_per_minute: int = 2_048 * MIB
    """Blocks older than `recent_headers` sent to one peer; what is over it waits. Newer ones are always sent."""

    expired_requests: int = 64
    """Requests given up whose late answers are still recognised, and ignored."""

    rate_refusal_ms: int = 300 * SECOND_MS
    """How long a peer that asked too much too fast is refused."""

    addresses: int = 4_096
    """The book of addresses, all together."""

    addresses_per_source: int = 512
    """Of these, what one source (a network group) may have filled."""

    addresses_per_reply: int = 1_000
    addresses_per_minute: int = 6
    """Taken from one peer: a reply's worth at first, then one in ten seconds."""

    address_cache_ms: int = 24 * HOUR_MS
    """All who ask for addresses within so long get the same answer: repeated questions reveal nothing."""

    address_horizon_ms: int = 30 * 24 * HOUR_MS
    """An address not heard of for so long is forgotten."""

    save_addresses_ms: int = 5 * MINUTE_MS
    """How often the book goes to disk, when it changed."""

    address_file_bytes: int = 4 * MIB
    """The book on disk: several times what a full one takes. A larger file is another file."""

    bans: int = 1_000
    """Manual bans."""

    # --- connections ---------------------------------------------------------------------------
    handshake_ms: int = 10 * SECOND_MS
    """From the first byte of a connection or request to the end of its head."""

    request_ms: int = 30 * SECOND_MS
    """From the first byte of a request to the end of its body."""

    connections: int = 1_024
    """Open TCP connections to our port, API and peers together."""

    connections_per_address: int = 64
    """Of these from one address that is not loopback."""

    spare_files: int = 16
    """Open files that connections never take from the store, the log and dialling, however few there are."""

    accept_pause_ms: int = 1 * SECOND_MS
    """When only these are left, new connections wait for so long before it is tried again."""

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

    event_streams: int = 64
    """Clients that follow `GET /events` at a time. Each costs a look at the chain whenever something happened, at most
    every `events_every_ms`."""

    events_every_ms: int = 100
    event_beat_ms: int = 15 * SECOND_MS
    """Where nothing happens a line without meaning is sent so often, for proxies end what rests."""

    events_at_once: int = 100
    """Made for a client, in a few milliseconds, before others have their turn."""

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

    idle_frames: int = 1_000
    """WebSocket frames that bring nothing, control frames and short fragments, taken from one peer within a quarter of
    `outbox_stall_ms`. Ten MiB of frames of six bytes cost ten seconds; an honest peer sends a few a minute."""

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

    first_ping_ms: int = 0
    """From the end of a native handshake to the first ping."""

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

    search_characters: int = 100
    """The longest text that is searched for."""

    search_matches: int = 50
    search_matches_first: int = 20
    """Matches in one answer, at most and when nobody says."""

    search_rows: int = 20_000
    search_stretch_characters: int = 4 * MIB
    """One request looks through so many blocks or records, or to the one that brings their texts to so many characters:
    70 to 100 ms of work, most of it taking rows from the store."""

    search_slice_rows: int = 250
    search_slice_characters: int = 64 * KIB
    """Of these so many at a time, in a millisecond, before others have their turn. To answer a post takes several turns
    of the event loop, and while somebody searches each waits for a slice."""

    searches: int = 64
    """Requests that search, all but one of which wait: there is one block of `message_bytes` in memory for them all."""

    fork_blocks: int = 100
    """Forks in one answer, and blocks shown of each."""

    fork_runs: int = 10_000
    """Unbranched stretches walked down for one answer to see where forks leave the best chain. A peer can make
    side branches with a branching at every block, and the walk holds up everybody."""

    def of_replies(self, *, sealed: bool) -> tuple[int, int]:
        """How many blocks a reply may hold, and with how many bytes it ends; `sealed` where blocks hold records."""
        if sealed:
            return self.sealed_reply_blocks, min(self.sealed_reply_bytes, self.reply_soft_bytes)
        return self.headers_per_reply, self.reply_soft_bytes


LIMITS = Limits()
"""The defaults."""
