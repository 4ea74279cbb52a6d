"""The explorer: the pages on which people look at a ledger in their browsers.

    static/             all that a browser gets, as it is: one page, one style sheet, small ES modules
    static/ledger/      checks of blocks, records and proofs: pure functions of what the node answered
    static/views/       a module for each thing there is to look at
    pages               the files, as the API serves them

There is no build step, and nothing is loaded from anywhere else. The page asks the node's public API, as any client
would, and believes none of it: what it says of hashes, links and proofs it has computed itself.
"""
