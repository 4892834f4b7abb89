"""Money as people read it: Indian groups, true minus signs, exact paise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depot.money_text import amount, amount_of, currency_symbol, grouped, money, plain_decimal, rupees, short_rupees


@pytest.mark.parametrize(
    ("paise", "words"),
    [
        (0, "₹0.00"),
        (5, "₹0.05"),
        (12_345, "₹123.45"),
        (99_999, "₹999.99"),
        (1_23_45_678, "₹1,23,456.78"),
        (4_77_527_00, "₹4,77,527.00"),
        (100_000_00, "₹1,00,000.00"),
        (1_00_00_000_00, "₹1,00,00,000.00"),
        (-250, "−₹2.50"),
        (-5, "−₹0.05"),
    ],
)
def test_rupees_are_exact_and_grouped_by_lakh(paise: int, words: str) -> None:
    assert rupees(paise) == words


@pytest.mark.parametrize(
    ("paise", "words"),
    [(47_752_749, "₹4,77,527"), (47_752_750, "₹4,77,528"), (-150, "−₹2"), (-49, "₹0"), (-50, "−₹1"), (9_99_99_950, "₹10,00,000")],
)
def test_whole_rupees_round_halves_away_from_zero_and_never_to_minus_zero(paise: int, words: str) -> None:
    assert rupees(paise, whole=True) == words


def test_other_currencies_are_grouped_by_thousands() -> None:
    assert money(123_456_789, "USD") == "$1,234,567.89"
    assert money(-123_456_789, "CHF", whole=True) == "−CHF 1,234,568"
    assert grouped(1_234_567, "EUR") == "1,234,567"
    assert [currency_symbol(code) for code in ("INR", "GBP", "KES")] == ["₹", "£", "KES "]


def test_paise_are_left_out_where_there_are_none() -> None:
    assert [short_rupees(paise) for paise in (1_500_000, 1_500_050, 0)] == ["₹15,000", "₹15,000.50", "₹0"]


def test_papers_without_a_true_minus_sign_get_a_hyphen() -> None:
    assert amount(-10_234_560, minus="-") == "-1,02,345.60"


@pytest.mark.parametrize(
    ("value", "digits", "words"), [(477_527.4, 0, "4,77,527"), (-0.3, 0, "0"), (-1_234_567.891, 2, "−12,34,567.89"), (0.005, 2, "0.01")]
)
def test_computed_amounts(value: float, digits: int, words: str) -> None:
    assert amount_of(value, "INR", digits=digits) == words


@given(st.integers(-(10**15), 10**15))
def test_no_digit_is_lost_or_made(paise: int) -> None:
    assert amount(paise).replace(",", "").replace("−", "-") == plain_decimal(paise)
    assert amount(paise, "USD").replace(",", "").replace("−", "-") == plain_decimal(paise)
    *leading, last = amount(abs(paise)).partition(".")[0].split(",")
    assert len(last) == 3 or not leading
    assert all(len(group) == 2 for group in leading[1:])
    assert plain_decimal(paise) == f"{'-' if paise < 0 else ''}{abs(paise) // 100}.{abs(paise) % 100:02d}"
