"""Durable state: SQLite on disk, a naive twin in memory, and the tools that check and copy a data folder.

`opening` is where to start: `open_store` for the one process that writes, `open_reader` for everybody who
only looks. What an implementation owes is written in `tallystick.chain.contracts`; how the file is laid
out, in `schema`; how a write becomes rows, in `sqlite`, `side` and `switch`; why looking up a hash needs a
second file, in `hash_index`. `verify` recomputes a ledger, `backup` copies one beside its running node.
"""
