"""Faulty peers by name: each breaks the rules in one way, and speaks the nodes' own dialect well enough to be let in.

Two kinds of them. A `guest` is no node: it knows the handshake, and what it says after it is all its own. A `turncoat`
is a whole node, which knows what honest ones know and is believed like them, and whose words are changed on their way
out. `cast` draws who lives in a world.
"""
