"""The sockets of the peers: rims that move bytes between WebSockets and the node, and decide nothing.

`hub` performs the node's effects and owns the open sockets; `door` lets peers in, `dialer` goes out to
them; both end in the same `socket`. What a socket is made of: `inbox` turns bytes into messages,
`outbox` messages into frames, `chain` a whole chain into pieces, and `permit` keeps large messages
from arriving all at once.
"""
