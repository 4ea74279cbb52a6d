from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.model.needle import EXCERPT_CHARACTERS, PIECE, Needle

ODD = st.text(st.sampled_from("aAsS\u00df\u1e9e\ufb03\u0149\u0130\u0131\u03c3\u03c2\u03a3\u00e9\u0301x"), max_size=20)
"""Letters whose case is one of several, or more than one character."""


def test_every_character_folds_by_itself_and_never_to_nothing() -> None:
    """What cutting a long text anywhere rests on."""
    folded = [chr(code).casefold() for code in range(sys.maxunicode + 1)]
    assert min(map(len, folded)) == 1
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    assert everything.casefold() == "".join(folded)


@given(ODD.filter(bool), ODD)
def test_it_finds_what_is_there_without_regard_to_case_and_nothing_else(text: str, among: str) -> None:
    excerpt = Needle(text).excerpt(among)
    assert (excerpt is not None) == (text.casefold() in among.casefold())
    assert excerpt in {None, among}, "short texts are excerpts of themselves"


@given(st.text(min_size=1, max_size=5), st.text(max_size=400), st.text(max_size=400))
def test_what_was_found_stands_in_the_excerpt(text: str, before: str, behind: str) -> None:
    whole = before + text + behind
    excerpt = Needle(text).excerpt(whole)
    assert excerpt is not None
    assert len(excerpt) == min(EXCERPT_CHARACTERS, len(whole))
    assert excerpt in whole
    assert text.casefold() in excerpt.casefold()


@pytest.mark.parametrize("at", [0, 1, PIECE - 3, PIECE - 2, PIECE - 1, PIECE, 2 * PIECE - 1, 3 * PIECE - 7])
@pytest.mark.parametrize("filling", ["x", "ß", "\U0001f600"])
def test_in_a_long_text_it_is_found_wherever_pieces_end(at: int, filling: str) -> None:
    text = filling * at + "Straße!" + filling * (3 * PIECE - at - 7)
    tried = list(Needle("STRASSE!").tries(text))
    assert [each for each in tried if each is not None] == tried[-1:]
    assert "Straße!" in (tried[-1] or "")
    assert len(tried[-1] or "") == EXCERPT_CHARACTERS


def test_in_a_long_text_without_it_every_piece_is_tried() -> None:
    assert list(Needle("y").tries("x" * (2 * PIECE + 1))) == [None] * 3
    assert list(Needle("y").tries("")) == []


def test_a_needle_longer_than_an_excerpt_is_shown_from_its_beginning() -> None:
    text = "-" * 500 + "S" * 200 + "-" * 500
    assert Needle("ß" * 100).excerpt(text) == text[500 : 500 + EXCERPT_CHARACTERS]
