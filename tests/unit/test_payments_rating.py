"""What a session costs under a driver's tariff: prices by clock, day, energy and duration, idle time, bounds, bad registers."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from payments import InvalidBill, InvalidTariff
from payments.driver_tariff import DriverTariff, Kind, simple_tariff
from payments.rating import Rated, Reading, SessionFacts, Span, rate
from payments.rules import INDIA
from payments.tariff_text import from_data

EVENING = datetime(2026, 11, 23, 21, 0, tzinfo=INDIA)  # a Monday
MINUTE = timedelta(minutes=1)


def tariff(*elements: dict[str, Any], **more: Any) -> DriverTariff:
    return from_data({"schema": "driver-tariff/1", "id": "t", "elements": list(elements), **more})


def facts(*register: tuple[int, int], start: datetime = EVENING, **more: Any) -> SessionFacts:
    """``register``: minutes from the start, Wh."""
    for word in ("full_at", "gone_at"):
        if word in more:
            more[word] = start + more[word] * MINUTE
    more["held"] = tuple(Span(start + a * MINUTE, start + b * MINUTE) for a, b in more.pop("held", ()))
    return SessionFacts(readings=tuple(Reading(start + m * MINUTE, wh) for m, wh in register), **more)


def amounts(rated: Rated) -> list[tuple[Kind, int, Fraction, int]]:
    return [(line.kind, line.element, line.quantity, line.amount_paise) for line in rated.lines]


NIGHT = {"energy": {"price": "9.50"}, "when": {"from": "22:00", "to": "06:00"}}
DAY = {"energy": {"price": "14.50"}}


def test_one_price_is_a_tariff_of_one_element() -> None:
    rated = rate(simple_tariff(Fraction(1450), 20_00), facts((0, 100), (60, 10_100)))
    assert amounts(rated) == [(Kind.ENERGY, 0, Fraction(10), 14_500), (Kind.FLAT, 0, Fraction(1), 20_00)]
    assert (rated.taxable_paise, rated.energy_wh, rated.split_wh, rated.remarks) == (16_500, 10_000, 0, ())


def test_a_price_that_changes_between_two_readings_splits_them_by_time() -> None:
    rated = rate(tariff(NIGHT, DAY), facts((0, 0), (90, 9_000)))  # 21:00 to 22:30
    assert amounts(rated) == [(Kind.ENERGY, 0, Fraction(3), 2850), (Kind.ENERGY, 1, Fraction(6), 8700)]
    assert rated.split_wh == 9_000
    assert "shared out by time" in rated.remarks[-1]


def test_readings_at_the_change_need_no_share() -> None:
    rated = rate(tariff(NIGHT, DAY), facts((0, 0), (60, 8_000), (90, 9_000)))
    assert amounts(rated) == [(Kind.ENERGY, 0, Fraction(1), 950), (Kind.ENERGY, 1, Fraction(8), 11_600)]
    assert rated.split_wh == 0


def test_hours_over_midnight_and_weekdays_are_the_tariffs_clock() -> None:
    weekend = {"energy": {"price": "5"}, "when": {"days": ["sat", "sun"]}}
    friday = datetime(2026, 11, 27, 18, 0, tzinfo=INDIA).astimezone(tz=None)
    rated = rate(tariff(weekend, DAY), facts((0, 0), (480, 8_000), start=friday))  # Friday 18:00 to Saturday 02:00 in India
    assert amounts(rated) == [(Kind.ENERGY, 0, Fraction(2), 1_000), (Kind.ENERGY, 1, Fraction(6), 8_700)]
    late = rate(tariff(NIGHT, DAY), facts((0, 0), (60, 1_000), start=datetime(2026, 11, 24, 5, 30, tzinfo=INDIA)))
    assert [line.quantity for line in late.lines] == [Fraction(1, 2), Fraction(1, 2)]


def test_slabs_of_energy_are_cut_where_they_end() -> None:
    first = {"energy": {"price": "10"}, "when": {"to_kwh": "5"}}
    rated = rate(tariff(first, {"energy": {"price": "20"}}), facts((0, 0), (10, 4_000), (20, 7_000)))
    assert amounts(rated) == [(Kind.ENERGY, 0, Fraction(5), 5_000), (Kind.ENERGY, 1, Fraction(2), 4_000)]


def test_idle_time_counts_from_full_after_the_grace_until_unplugged() -> None:
    idle = {"energy": {"price": "10"}, "idle": {"price": "120", "grace_min": 15}}
    charged = ((0, 0), (60, 6_000), (100, 6_000))
    assert rate(tariff(idle), facts(*charged, full_at=60, gone_at=75)).taxable_paise == 6_000
    rated = rate(tariff(idle), facts(*charged, full_at=60, gone_at=135))
    assert amounts(rated)[1] == (Kind.IDLE, 0, Fraction(1), 12_000)
    unknown = rate(tariff(idle), facts(*charged, full_at=60))
    assert (unknown.taxable_paise, "no idle time" in unknown.remarks[0]) == (6_000, True)


def test_what_the_depot_held_back_costs_no_time() -> None:
    timed = tariff({"time": {"price": "60"}, "idle": {"price": "600"}})
    charged = ((0, 0), (60, 6_000))
    assert amounts(rate(timed, facts(*charged, held=[(10, 40)])))[0] == (Kind.TIME, 0, Fraction(1, 2), 3_000)
    late = rate(timed, facts(*charged, gone_at=120, held=[(50, 90)]))
    assert amounts(late) == [(Kind.TIME, 0, Fraction(50, 60), 5_000), (Kind.IDLE, 0, Fraction(1, 2), 30_000)]


def test_duration_limits_cut_time() -> None:
    free = {"time": {"price": "0"}, "when": {"to_min": 30}}
    rated = rate(tariff({"energy": {"price": "1"}}, free, {"time": {"price": "60"}}), facts((0, 0), (90, 1_000)))
    assert amounts(rated)[1:] == [(Kind.TIME, 2, Fraction(1), 6_000)]


def test_zero_energy_session_costs_nothing_unless_flat_says_so() -> None:
    parts = {"energy": {"price": "10"}, "time": {"price": "60"}, "idle": {"price": "60"}, "flat": {"price": "30"}}
    nothing = facts((0, 500), (60, 500), full_at=1, gone_at=120)
    assert rate(tariff(parts, min_price="50"), nothing).lines == ()
    rated = rate(tariff({**parts, "flat": {"price": "30", "without_energy": True}}, min_price="50"), nothing)
    assert amounts(rated) == [(Kind.FLAT, 0, Fraction(1), 3_000)]


def test_least_and_most_price_are_lines() -> None:
    low = rate(tariff(DAY, min_price="50"), facts((0, 0), (60, 1_000)))
    assert (low.taxable_paise, low.lines[-1].amount_paise, low.lines[-1].element) == (5_000, 3_550, -1)
    high = rate(tariff(DAY, max_price="100"), facts((0, 0), (60, 10_000)))
    assert (high.taxable_paise, high.lines[-1].amount_paise) == (10_000, -4_500)


@pytest.mark.parametrize(
    ("register", "energy_wh", "words"),
    [
        ([1_000, 5_000, 4_900, 6_000], 5_000, "fell for a while"),
        ([1_000, 5_000, 0, 2_000], 6_000, "began again"),
        ([1_000, 900, 900], 0, "began again"),
        ([1_000, 5_000, 3_000, 3_000], 4_000, "fell for a while"),
    ],
)
def test_a_register_that_falls_never_makes_a_negative_or_double_line(register: list[int], energy_wh: int, words: str) -> None:
    rated = rate(tariff(DAY), facts(*((10 * n, wh) for n, wh in enumerate(register))))
    assert rated.energy_wh == energy_wh
    assert all(line.quantity >= 0 and line.amount_paise >= 0 for line in rated.lines)
    assert any(words in remark for remark in rated.remarks)


def test_missing_readings_and_an_end_that_was_never_told_are_said() -> None:
    rated = rate(tariff(DAY), facts((0, 0), (180, 3_000), estimated=True))
    assert [remark.split(":")[0] for remark in rated.remarks] == ["no reading for 180 min", "the station told no end of the session"]


def test_each_line_is_rounded_once_half_up() -> None:
    rated = rate(tariff({"energy": {"price": "5"}}), facts((0, 0), (1, 1), (2, 2), (3, 3)))
    assert rated.taxable_paise == 2  # 1.5 paise, not three halves rounded up each


def test_steps_round_the_quantity_up() -> None:
    rated = rate(tariff({"energy": {"price": "10", "step_wh": 500}, "time": {"price": "60", "step_s": 900}}), facts((0, 0), (16, 1_200)))
    assert [line.quantity for line in rated.lines] == [Fraction(3, 2), Fraction(1, 2)]


def test_the_worst_case_is_never_less_than_the_bill() -> None:
    chosen = tariff({**NIGHT, "time": {"price": "10"}}, {**DAY, "idle": {"price": "100"}, "flat": {"price": "5"}})
    rated = rate(chosen, facts((0, 0), (240, 20_000), gone_at=480))
    assert rated.taxable_paise <= chosen.worst_paise(energy_wh=20_000, longest=timedelta(hours=4))
    one = simple_tariff(Fraction(1450), 20_00)
    assert one.worst_paise(energy_wh=20_000, longest=timedelta(hours=4)) == 31_000


def test_facts_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidBill, match="start and one at its end"):
        facts((0, 0))
    with pytest.raises(InvalidBill, match="order of time"):
        facts((5, 0), (0, 5))
    with pytest.raises(InvalidBill, match="overlap"):
        facts((0, 0), (9, 5), held=[(0, 5), (4, 6)])
    with pytest.raises(InvalidTariff, match="cannot depend on energy"):
        tariff({"flat": {"price": "1"}, "when": {"to_kwh": 5}})
