"""The API as a document for programs: OpenAPI 3.1, at `GET /openapi.json`.

    shapes      how a schema is written here
    ledger      schemas of blocks, records and proofs
    node        schemas of what a node says of itself, its peers, and of problems
    happenings  schemas of events
    operations  what can be asked: a table, an entry for each method of a path
    document    the three put together, with the answer to each problem

Handlers read bytes themselves and know nothing of it, so it could say anything. That it is complete, and true, is shown
by tests: of routes, parameters and problems each is in here, and real nodes are asked what the document says can be
asked, and have to answer what it says they do.
"""
