"""Benchmarks: what a node does on this machine, each figure beside a yardstick measured in the same run.

A figure alone says as much about the machine as about the program. So beside each stands the least that anybody would
have to do for the same: the smallest handler of the same server, the same rows inserted bare, a loop over hashlib. Both
are measured in turn, round by round, and the ratio is what can be compared: with another machine, or with last year.

`figures` are the results as values, `suite` runs the parts. Each part is a module: `write_path`, `read_path`,
`records`, `sync`, `verifying`, `mining` and `starting`. Nodes are measured from outside, as processes (`nodes`), by a
`load` that is another; `bare` holds the yardsticks, and `smallest` is one of them.
"""
