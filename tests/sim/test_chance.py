"""Streams of randomness."""

from tallystick.sim.chance import happens, stream


def test_a_stream_depends_on_its_seed_and_its_name_alone() -> None:
    drawn = [stream(seed, name).random() for seed in (1, 2) for name in ("links", "faults")]
    assert len(set(drawn)) == 4
    assert drawn == [stream(seed, name).random() for seed in (1, 2) for name in ("links", "faults")]


def test_a_share_of_all_times() -> None:
    chance = stream(1, "share")
    assert not any(happens(chance, 0.0) for _ in range(100))
    assert all(happens(chance, 1.0) for _ in range(100))
    assert 400 < sum(happens(chance, 0.5) for _ in range(1_000)) < 600
