from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.model.text import VALUE_CHARACTERS, printable, printable_lines


@given(st.text(), st.integers(0, 50))
def test_the_result_is_printable_whatever_comes(text: str, limit: int) -> None:
    """Catalogue rows 17 and 120: what peers wrote is escaped where people read it."""
    assert printable(text, limit).isprintable()
    assert all(line.isprintable() for line in printable_lines(text, limit).split("\n"))


@given(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=VALUE_CHARACTERS))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nERROR forged", r"a\r\nERROR forged"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ud800", r"\ud800"),
        ("tab\there", r"tab\there"),
        ("naïve 木 🌳", "naïve 木 🌳"),
    ],
)
def test_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_long_text_is_cut_and_counted() -> None:
    assert printable("x" * 205) == "x" * 200 + "…(+5 characters)"
