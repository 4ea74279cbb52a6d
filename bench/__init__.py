"""The whole suite of benchmarks, and what is made of it: `tallystick.bench`, with what takes long, for the documents.

`python -m bench` measures all and writes docs/benchmarks.json, the table in docs/benchmarks.md, and the plot. With
`--compare` it writes nothing, and fails where a ratio is much worse than the one in docs/benchmarks.json.
"""
