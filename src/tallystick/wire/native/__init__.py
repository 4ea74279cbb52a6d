"""The nodes' own dialect, `tallystick.1`: binary messages, authenticated peers, headers-first sync, relay.

Nothing here knows a socket. `messages` is the vocabulary and `codec` its one way of being written; `table` says
which reply answers which request, how large each may be and how often it may come. `handshake` finds out who is
there, `session` is one conversation, `sync` fetches a chain that is ahead from all who have it. docs/protocol.md
specifies all of it for other implementers.
"""
