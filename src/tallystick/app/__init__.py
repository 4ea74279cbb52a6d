"""The program around the node: configuration, logs, and the composition root that puts all parts together.

`config` says what a node is started with, `compose` starts it.
"""
