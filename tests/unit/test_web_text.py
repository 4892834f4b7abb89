"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web import text

NOW = datetime(2026, 11, 20, 19, 42, 12, tzinfo=UTC)
CLOCK = text.DepotTime("Asia/Kolkata", NOW)


@pytest.mark.parametrize(
    ("power_w", "words"),
    [
        (None, "?"),
        (0, "0"),
        (40, "0"),
        (7_400, "7.4"),
        (7_000, "7"),
        (9_990, "10"),
        (43_600, "44"),
        (1_146_000, "1,146"),
        (-5_900, "−5.9"),
        (-20, "0"),
    ],
)
def test_kw(power_w: int | None, words: str) -> None:
    assert text.kw(power_w) == words


@given(st.integers(-(10**9), 10**9))
def test_kw_is_never_off_by_more_than_half_its_last_digit(power_w: int) -> None:
    words = text.kw(power_w).replace(",", "").replace("−", "-")
    assert abs(float(words) * 1000 - power_w) <= (50.01 if "." in words else 500.01)


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        (72_480, "INR", "72,480"),
        (123_456, "INR", "1,23,456"),
        (12_345_678.5, "INR", "1,23,45,678"),
        (1_234_567, "USD", "1,234,567"),
        (None, "INR", "?"),
    ],
)
def test_money_groups_rupees_by_lakh(amount: float | None, currency: str, words: str) -> None:
    assert text.money(amount, currency) == words


def test_times_stand_in_the_depots_zone_and_far_ones_carry_their_date() -> None:
    assert CLOCK.clock(NOW) == "01:12"
    assert CLOCK.seconds(NOW) == "01:12:12"
    assert CLOCK.day() == "Sat 21 Nov · IST"
    assert CLOCK.clock(NOW + timedelta(hours=4, minutes=18)) == "05:30"
    assert CLOCK.clock(NOW + timedelta(hours=24)) == "Sun 22 Nov 01:12"
    assert CLOCK.clock(None) == "–"


def test_daylight_saving_is_the_zones_own() -> None:
    summer = text.DepotTime("Europe/Berlin", datetime(2026, 7, 1, 12, tzinfo=UTC))
    winter = text.DepotTime("Europe/Berlin", datetime(2026, 12, 1, 12, tzinfo=UTC))
    assert (summer.clock(summer.now), winter.clock(winter.now)) == ("14:00", "13:00")


@pytest.mark.parametrize(("seconds", "words"), [(None, "?"), (0.42, "0.4 s"), (35, "35 s"), (245, "4 min"), (7_300, "2 h"), (-1, "0.0 s")])
def test_age(seconds: float | None, words: str) -> None:
    assert text.age(seconds) == words


@pytest.mark.parametrize(("margin", "words"), [(None, ""), (19, "+19 min"), (0, "+0 min"), (-12, "−12 min"), (180, "+3 h")])
def test_margin(margin: int | None, words: str) -> None:
    assert text.minutes(margin) == words


@pytest.mark.parametrize(("seconds", "words"), [(1428, "23:48"), (3725, "1:02:05"), (-4, "00:00")])
def test_countdown(seconds: float, words: str) -> None:
    assert text.countdown(seconds) == words
