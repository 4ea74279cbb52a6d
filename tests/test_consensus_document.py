"""The figures of docs/consensus.md are what their formulas give."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Final

import pytest

PAGE: Final = (Path(__file__).parents[1] / "docs" / "consensus.md").read_text(encoding="utf-8")


def rewritten(share: Fraction, confirmations: int) -> Fraction:
    """The chance that a branch without a record overtakes, by the formula of the page."""
    p, q, n = 1 - share, share, confirmations
    lost = (math.comb(m + n - 1, m) * (p**n * q**m - p**m * q**n) for m in range(n + 1))
    return 1 - sum(lost, Fraction(0))


def race(share: Fraction, confirmations: int, until: int) -> Fraction:
    """The same by adding up what can happen until the others have found their blocks: the attacker, who has found one
    before, finds m more (fewer than `until`), and then makes up for the rest as a gambler with these odds does."""
    p, q, n = 1 - share, share, confirmations
    return sum(
        (math.comb(m + n - 1, m) * p**n * q**m * min(Fraction(1), (q / p) ** max(n - m, 0)) for m in range(until)),
        Fraction(0),
    )


@pytest.mark.parametrize("share", [Fraction(1, 20), Fraction(1, 5), Fraction(2, 5)])
@pytest.mark.parametrize("confirmations", [1, 3, 6])
def test_the_formula_is_that_of_the_race(share: Fraction, confirmations: int) -> None:
    assert float(rewritten(share, confirmations)) == pytest.approx(float(race(share, confirmations, 200)), rel=1e-9)


def tables(heading: str) -> list[list[list[str]]]:
    """The tables of a section of the page, heads included."""
    section = re.split(r"^#+ ", PAGE.split(f"# {heading}\n")[1], flags=re.MULTILINE)[0]
    found = re.findall(r"((?:^\|.*\n)+)", section, flags=re.MULTILINE)
    return [[[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()] for table in found]


def percents(text: str) -> Fraction:
    return Fraction(text.removesuffix("%").strip()) / 100


def test_the_chances_of_a_rewrite() -> None:
    (_, *heads), _, *lines = tables("Confirmations")[0]
    for share, *chances in lines:
        for head, shown in zip(heads, chances, strict=True):
            chance = float(100 * rewritten(percents(share), int(head.removeprefix("n = "))))
            assert shown == ("< 0.001" if chance < 0.001 else f"{chance:.3g}")


def test_the_confirmations_that_are_needed() -> None:
    (_, *heads), _, *lines = tables("Confirmations")[1]
    for share, *needed in lines:
        for head, shown in zip(heads, needed, strict=True):
            n = int(shown)
            assert rewritten(percents(share), n) < percents(head) <= rewritten(percents(share), n - 1)


def test_the_share_of_stale_blocks() -> None:
    (_, *heads), _, *lines = tables("Spacing and stale blocks")[0]
    for spacing, *shares in lines:
        for head, shown in zip(heads, shares, strict=True):
            delay_s, spacing_s = (float(re.sub(r"[^\d.]", "", text)) for text in (head, spacing))
            assert shown == f"{100 * (1 - math.exp(-delay_s / spacing_s)):.2g} %"


def test_other_figures_of_the_page() -> None:
    text = re.sub(r"\s+", " ", PAGE)
    a_day = 10 * 10**6 * 86_400
    assert f"made {a_day / 1e11:.1f} · 10^11 hashes" in text
    assert 80 < a_day / 10**10 < 100, "a minute and a half"
    assert f"{100 * 0.9 / 1.9:.1f} % of the hash power are as good as" in text
    assert f"{100 * (2 ** (120 / 600) - 1):.0f} % easier at a half-life of 600 s" in text
    assert f"and {100 * (2 ** (120 / 3600) - 1):.0f} % at an hour" in text
