"""Ledgers for the tests of other projects: real nodes that start in milliseconds and leave nothing behind.

    def test_it_is_recorded(ledger):
        receipt = ledger.client.post({"sensor": 7})
        assert ledger.client.wait(receipt.id).value == {"sensor": 7}

    plugin   the fixtures `ledger` and `ledger_network`, which pytest finds by itself
    local    what they yield: nodes in a thread of this process, with the real API on ports of their own
    miner    who seals their blocks, at once

Nothing here is loaded before a test asks for a fixture.
"""
