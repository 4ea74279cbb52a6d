"""What a message may show of values that others chose."""

from __future__ import annotations

import pytest

from tallystick.errors import shown


@pytest.mark.parametrize(
    "value", ["x" * 10_000, "\r\n\x00\x1b[31m", "\u202e\ud800", b"\xff" * 500, 10**100, -(10**80), None]
)
def test_foreign_values_are_shown_escaped_and_bounded(value: object) -> None:
    """Catalogue row 120."""
    text = shown(value)
    assert len(text) < 100
    assert text.isprintable()
    assert text.isascii()


def test_what_is_short_is_shown_whole() -> None:
    assert shown("ws://x") == "'ws://x'"
    assert shown(10**79) == "1" + "0" * 79
    assert "digits" in shown(10**5_000), "which Python would not write out"
