"""Coverage-guided fuzzing: what anybody may send us or leave on our disk, changed until the code takes another way.

Each module of `targets` states one law, as a function `one(data)` that raises when bytes break it. `corpus` keeps
the bytes that led somewhere, a folder a target. `test_corpus.py` replays them, without a fuzzer and everywhere;
`campaign` looks for more of them, where atheris is to be had (`make fuzz`). docs/fuzzing.md says how to work with it.
"""
