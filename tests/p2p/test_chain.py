"""A whole chain as one message: exact, bounded, and only as fast as it is read."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tallystick.model.block import Block
from tallystick.model.limits import KIB, MIB, Limits
from tallystick.model.network import CLASSIC_GENESIS
from tallystick.node.effects import Say, SayChain
from tallystick.node.inputs import ChainSaid, PeerDrained, PeerOpened
from tallystick.p2p.chain import ChainSize, ChainStream, Measure
from tests.effort import examples

from .loopback import ListReader, Scene, blocks_after, node, raw_peer


def book_says(blocks: list[Block]) -> bytes:
    """RESPONSE_BLOCKCHAIN as the book's node writes it."""
    return json.dumps({"type": 2, "data": json.dumps([msgspec.to_builtins(block) for block in blocks])}).encode()


def measured(size: ChainSize) -> Measure:
    while (measure := size.step()) is None:
        pass
    return measure


def streamed(stream: ChainStream) -> bytes:
    text = b""
    while not stream.at_end:
        text += stream.read()
    return text


data = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(max_examples=examples(60))
@given(
    st.lists(st.tuples(data, st.integers(1, 30)), max_size=30),
    st.integers(100, 5_000),
    st.integers(100, 3_000),
)
def test_measure_and_stream_equal_what_the_book_writes(
    datas: list[tuple[str, int]], piece_bytes: int, page_bytes: int
) -> None:
    chain = [CLASSIC_GENESIS]
    for unit, times in datas:
        chain += blocks_after(chain[-1], 1, unit.replace("{", "(").replace("}", ")") * times)
    reader = ListReader(chain, page_bytes)
    size = ChainSize(reader, replace(Limits(), chain_piece_bytes=piece_bytes))
    measure = measured(size)
    stream = ChainStream(reader, measure)
    text = streamed(stream)
    assert text == book_says(chain)
    assert measure.size_bytes == stream.size_bytes == len(text)
    assert measured(size) == measure


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=8), st.integers(300, 5_000))
def test_what_is_remembered_of_a_measure_survives_growth_and_reorgs(
    changes: list[tuple[int, int]], piece_bytes: int
) -> None:
    reader = ListReader()
    size = ChainSize(reader, replace(Limits(), chain_piece_bytes=piece_bytes))
    for number, (dropped, added) in enumerate(changes):
        kept = reader.blocks[: max(1, len(reader.blocks) - dropped)]
        reader.blocks = kept + blocks_after(kept[-1], added, f"branch {number} " + "{}")
        assert measured(size).size_bytes == len(book_says(reader.blocks))


def test_a_chain_that_grew_is_measured_from_where_it_was() -> None:
    reader = ListReader([CLASSIC_GENESIS, *blocks_after(CLASSIC_GENESIS, 20_000)])
    size = ChainSize(reader, Limits())
    measured(size)
    reader.blocks += blocks_after(reader.blocks[-1], 1)
    reader.pages_read = 0
    assert measured(size).size_bytes == len(book_says(reader.blocks))
    assert reader.pages_read <= 3


def test_that_a_chain_is_too_long_is_found_once_and_then_known() -> None:
    """A query for a chain of any length costs one look-up."""
    reader = ListReader([CLASSIC_GENESIS, *blocks_after(CLASSIC_GENESIS, 5_000)])
    size = ChainSize(reader, replace(Limits(), message_bytes=100_000, chain_piece_bytes=10_000))
    assert measured(size).size_bytes > 100_000
    assert reader.pages_read < 30
    reader.pages_read = 0
    reader.blocks += blocks_after(reader.blocks[-1], 5_000)
    assert measured(size).size_bytes > 100_000
    assert reader.pages_read == 0
    reader.blocks = reader.blocks[:100]
    assert measured(size).size_bytes < 100_000


def test_a_chain_is_said_exactly_as_the_book_says_it(run: Scene) -> None:
    reader = ListReader([CLASSIC_GENESIS, *blocks_after(CLASSIC_GENESIS, 3_000, "žluť \\ {} \U0001f9fe")])

    async def scene() -> None:
        async with node(reader=reader) as here, raw_peer(here.port) as peer:
            await here.ledger.until(PeerOpened)
            here.hub.perform(SayChain(1))
            text = await peer.next_message()
            assert text == book_says(reader.blocks)
            assert await here.ledger.until(ChainSaid) == [ChainSaid(1, len(text))]
            here.hub.perform(SayChain(1))
            assert await peer.next_message() == text
            assert len(await here.ledger.until(ChainSaid, 2)) == 2

    run(scene)


def test_a_chain_that_just_fits_is_said_and_one_byte_more_is_the_latest_block(run: Scene) -> None:
    reader = ListReader([CLASSIC_GENESIS, *blocks_after(CLASSIC_GENESIS, 300)])
    whole = book_says(reader.blocks)

    async def scene() -> None:
        async with node(replace(Limits(), message_bytes=len(whole)), reader) as here, raw_peer(here.port) as peer:
            await here.ledger.until(PeerOpened)
            here.hub.perform(SayChain(1))
            assert await peer.next_message() == whole
            await here.ledger.until(ChainSaid)
        async with node(replace(Limits(), message_bytes=len(whole) - 1), reader) as here, raw_peer(here.port) as peer:
            await here.ledger.until(PeerOpened)
            with capture_logs() as logs:
                here.hub.perform(SayChain(1))
                assert await peer.next_message() == book_says(reader.blocks[-1:])
                assert await here.ledger.until(ChainSaid) == [ChainSaid(1, 0)]
            [line] = [line["event"] for line in logs]
            assert "too long" in line

    run(scene)


def long_chain() -> ListReader:
    return ListReader([CLASSIC_GENESIS, *blocks_after(CLASSIC_GENESIS, 12_000, "x" * 800 + " {}")])


def test_a_chain_is_read_only_as_its_reader_reads(run: Scene) -> None:
    """At most a few pieces are in memory for a peer, whatever the length of the chain."""
    reader = long_chain()

    async def scene() -> None:
        async with node(reader=reader) as here, raw_peer(here.port, receive_buffer=4_096) as slow:
            await here.ledger.until(PeerOpened)
            socket = here.socket(1)
            here.hub.perform(SayChain(1))
            await here.until(lambda: not socket._writable)
            assert socket._waiting_bytes() < 512 * KIB
            read_so_far = reader.pages_read
            here.hub.perform(Say([1], b"gossip", gossip=True))
            text = await slow.next_message()
            assert reader.pages_read > read_so_far
            assert text == book_says(reader.blocks)
            assert await slow.next_message() == b"gossip"
            assert not [event for event in here.ledger.inputs if isinstance(event, PeerDrained)]

    run(scene)


def test_a_reorg_while_a_chain_is_said_ends_the_connection(run: Scene) -> None:
    reader = long_chain()

    async def scene() -> None:
        async with (
            node(replace(Limits(), close_ms=100), reader) as here,
            raw_peer(here.port, receive_buffer=4_096) as slow,
        ):
            await here.ledger.until(PeerOpened)
            socket = here.socket(1)
            here.hub.perform(SayChain(1))
            await here.until(lambda: not socket._writable)
            kept = reader.blocks[:11_000]
            reader.blocks = kept + blocks_after(kept[-1], 2_000, "another branch {}")
            with pytest.raises(EOFError):
                await slow.next_message()
            assert slow.wire.close_rcvd is not None
            assert slow.wire.close_rcvd.code == 1001
            assert not [event for event in here.ledger.inputs if isinstance(event, ChainSaid)]
            assert (await here.closed()).rule is None

    run(scene)


def test_a_chain_that_grows_while_it_is_said_is_said_as_it_was(run: Scene) -> None:
    reader = long_chain()

    async def scene() -> None:
        async with node(reader=reader) as here, raw_peer(here.port, receive_buffer=4_096) as slow:
            await here.ledger.until(PeerOpened)
            here.hub.perform(SayChain(1))
            await here.until(lambda: not here.socket(1)._writable)
            expected = book_says(reader.blocks)
            reader.blocks += blocks_after(reader.blocks[-1], 10)
            assert await slow.next_message() == expected

    run(scene)


def test_others_have_their_turn_while_a_chain_is_measured_and_said(run: Scene) -> None:
    """Between two turns of the loop no more than a few pages are read."""
    reader = long_chain()

    async def scene() -> None:
        async with node(reader=reader) as here, raw_peer(here.port) as peer:
            await here.ledger.until(PeerOpened)
            turns = 0
            pages_a_turn: dict[int, int] = {}

            def count() -> None:
                pages_a_turn[turns] = pages_a_turn.get(turns, 0) + 1

            reader.on_page = count
            here.hub.perform(SayChain(1))

            def turn() -> bool:
                nonlocal turns
                turns += 1
                return any(isinstance(event, ChainSaid) for event in here.ledger.inputs)

            message = here.loop_task(peer.next_message())
            await here.until(turn)
            assert len(await message) > 10 * MIB
            assert max(pages_a_turn.values()) <= 8

    run(scene)


def test_a_peer_that_leaves_while_its_chain_is_said_leaves_nothing_behind(run: Scene) -> None:
    reader = long_chain()

    async def scene() -> None:
        async with node(reader=reader) as here:
            async with raw_peer(here.port, receive_buffer=4_096):
                await here.ledger.until(PeerOpened)
                here.hub.perform(SayChain(1))
                await here.until(lambda: not here.socket(1)._writable)
            await here.closed()
            async with raw_peer(here.port):
                await here.ledger.until(PeerOpened, 2)
                here.hub.perform(SayChain(2))
            await here.ledger.until(PeerOpened, 2)

    run(scene)
