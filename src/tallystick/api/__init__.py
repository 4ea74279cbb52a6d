"""The node over HTTP: the book's four endpoints, and the resources beside them.

`app` lists the routes and is where to start. A request goes through `protocol` (bytes, deadlines, caps on
connections), `access` (who may ask what), one of the nouns (`blocks`, `records`, `peers`, `bans`, `state`) or
`mine`, and comes back through `answers` or, when something was wrong with it, through `problems`. `server` opens
the port.

The node itself is known here as a `tallystick.node.ports.Ledger` and nothing more.
"""
