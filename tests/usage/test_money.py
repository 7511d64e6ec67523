from __future__ import annotations

import pytest

from usage.money import decimal, divide_half_up, dollars, in_sen, ringgit


@pytest.mark.parametrize(("amount", "by", "rounded"), [(5, 10, 1), (4, 10, 0), (15, 10, 2), (-5, 10, -1), (-4, 10, 0)])
def test_halves_are_rounded_away_from_zero(amount: int, by: int, rounded: int) -> None:
    assert divide_half_up(amount, by) == rounded


def test_amounts_are_formatted() -> None:
    assert (ringgit(123_456), ringgit(-5), ringgit(0)) == ("RM 1,234.56", "-RM 0.05", "RM 0.00")
    assert (decimal(1, 6), decimal(-1_500_000, 6), decimal(7, 2)) == ("0.000001", "-1.500000", "0.07")
    assert dollars(1_234_565_000) == "USD 1,234.57"
    assert in_sen(15_000) == 2
