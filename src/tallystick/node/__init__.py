"""The node as one state machine: an input and the time go in, effects come out.

`machine` is where to start; `inputs` and `effects` are its vocabulary.
"""
