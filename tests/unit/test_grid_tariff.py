"""Tariffs: exact prices at local times, steps, vectors, and clear refusals."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid import GridError
from grid.tariff import InvalidTariff, Tariff, UnknownTariff, minor_units

IST = ZoneInfo("Asia/Kolkata")

MINIMAL = """
schema = "tariff/1"
name = "t"
title = "T"
currency = "INR"
timezone = "Asia/Kolkata"
basis = "kWh"
order = "none"
source = "none"
base = "7"
"""


def at(hour: int, minute: int = 0, *, day: date = date(2025, 6, 2)) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=IST)


def filled_in(name: str) -> str:
    """The name with 1 for every parameter that a template leaves to the user."""
    return f"{name}:" + ",".join(f"{key}=1" for key in Tariff.needed(name))


def test_every_packaged_tariff_says_where_it_comes_from_and_what_it_leaves_out() -> None:
    assert len(Tariff.names()) == 11
    for name in Tariff.names():
        tariff = Tariff.named(filled_in(name))
        assert tariff.name == name
        assert tariff.source
        assert tariff.leaves_out
        assert all(layer.order_ref for layer in tariff.layers)
        assert all(parameter.meaning for parameter in tariff.parameters.values())
        assert name == "stylised-tou" or tariff.uncertain, "what was not read in the order itself is said"


def test_a_template_names_what_it_needs() -> None:
    assert set(Tariff.needed("kerala-ht")) == {"energy_rate", "demand_rate"}
    assert Tariff.needed("delhi-ev-ht") == {}
    with pytest.raises(
        InvalidTariff, match=r"must be given: energy_rate \(energy charge in normal hours.*kerala-ht:energy_rate=…,demand_rate=…"
    ):
        Tariff.named("kerala-ht")
    with pytest.raises(UnknownTariff):
        Tariff.needed("kerala")


@pytest.mark.data
@pytest.mark.parametrize("scenario", ["nrel-fleet1", "acn-caltech-20191016", "mix-50"])
def test_stylised_tou_is_the_scenarios_price_vector(data_dir: Path, scenario: str) -> None:
    expected = json.loads((data_dir / "scenarios" / f"{scenario}.json").read_text())
    tariff = Tariff.named("stylised-tou", timezone="America/Denver")
    start = datetime.fromisoformat(expected["t0"]).replace(tzinfo=tariff.zone)
    assert tariff.vector(start, expected["n_slots"], 900) == expected["tariff"]["energy_per_kwh"]
    assert float(tariff.demand_charge_per_kw_month) == expected["tariff"]["demand_charge_per_kw_month"]
    assert tariff.demand_interval_min == expected["tariff"]["demand_interval_min"]
    assert tariff.currency == expected["tariff"]["currency"]


def test_kerala_takes_the_average_ruling_tariff_as_a_parameter() -> None:
    assert Tariff.named("kerala-kseb-ev").price_per_kwh(at(9)) == Decimal("5.005")
    assert Tariff.named("kerala-kseb-ev").price_per_kwh(at(16)) == Decimal("9.295")
    other = Tariff.named("kerala-kseb-ev:average_ruling_tariff=8")
    assert [other.price_per_kwh(at(*hm)) for hm in ((8, 59), (9, 0), (15, 59), (16, 0))] == [
        Decimal("10.4"),
        Decimal("5.6"),
        Decimal("5.6"),
        Decimal("10.4"),
    ]
    assert other.demand_charge_per_kw_month == 0


def test_telangana_night_rebate_ends_on_1_december_2025() -> None:
    tariff = Tariff.named("telangana-ht-ix-ev")
    assert tariff.price_per_kwh(at(23, day=date(2025, 11, 30))) == Decimal("4.50")
    assert tariff.price_per_kwh(at(0, day=date(2025, 12, 1))) == Decimal("6.00")
    assert tariff.price_per_kwh(at(7, day=date(2025, 12, 1))) == Decimal("7.00")


def test_kvah_and_kva_are_divided_by_the_power_factor() -> None:
    assert Tariff.named("delhi-ev-ht:power_factor=0.8").price_per_kwh(at(12)) == 5
    assert Tariff.named("delhi-ev-ht:power_factor=0.96").price_per_kwh(at(12)) == Fraction(25, 6)
    assert Tariff.named("karnataka-bescom-ht-ev:power_factor=0.9").demand_charge_per_kw_month == 200


def test_steps_begin_at_the_start_and_hold_each_change_once() -> None:
    tariff = Tariff.named("kerala-kseb-ev")
    steps = tariff.steps(at(8, 50), at(17))
    assert [(when.astimezone(IST).strftime("%H:%M"), price) for when, price in steps] == [
        ("08:50", Decimal("9.295")),
        ("09:00", Decimal("5.005")),
        ("16:00", Decimal("9.295")),
    ]
    assert all(when.tzinfo is UTC for when, _ in steps)


@given(st.integers(0, 96), st.integers(1, 40), st.sampled_from([60, 300, 900, 1800, 3600]))
def test_a_vector_holds_the_same_money_as_the_steps(quarter: int, slots: int, slot_s: int) -> None:
    tariff = Tariff.named("telangana-ht-ix-ev")
    start = at(0) + timedelta(minutes=15 * quarter, seconds=7 * quarter)
    stop = start + timedelta(seconds=slots * slot_s)
    steps = [*tariff.steps(start, stop), (stop, Decimal(0))]
    exact = sum(float(price) * (until - since).total_seconds() for (since, price), (until, _) in pairwise(steps))
    assert sum(tariff.vector(start, slots, slot_s)) * slot_s == pytest.approx(exact)


def test_a_day_of_25_hours_keeps_local_hours() -> None:
    tariff = Tariff.named("stylised-tou", timezone="America/Los_Angeles")
    start = datetime(2019, 11, 3, tzinfo=tariff.zone)
    hours = [(when - start.astimezone(UTC)).total_seconds() / 3600 for when, _ in tariff.steps(start, start + timedelta(days=1))]
    assert hours[:4] == [0, 6, 10, 15]


def test_months_weekdays_and_whole_days() -> None:
    tariff = Tariff.parse(
        MINIMAL
        + """
[[energy]]
weekdays = ["sun"]
factor = "0.5"
[[energy]]
months = [6]
from = "22:00"
to = "24:00"
add = "1"
"""
    )
    assert tariff.price_per_kwh(at(12, day=date(2025, 6, 1))) == Decimal("3.5")
    assert tariff.price_per_kwh(at(23, 59, day=date(2025, 6, 1))) == Decimal("4.5")
    assert tariff.price_per_kwh(at(23, 59, day=date(2025, 7, 1))) == 7


def test_remarks_name_the_period_that_is_not_covered() -> None:
    remarks = Tariff.named("karnataka-bescom-ht-ev").remarks(at(0), at(12))
    assert "held until 2022-03-31" in remarks[0]
    assert "leaves out" in remarks[-1]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("kerala", "there are: delhi-ev-ht"),
        ("../../etc/passwd", "no tariff is called"),
        ("kerala-kseb-ev:rate=7", "it has: average_ruling_tariff"),
        ("kerala-kseb-ev:average_ruling_tariff", "is not parameter=value"),
        ("kerala-kseb-ev:average_ruling_tariff=nan", "not a finite number"),
        ("kerala-kseb-ev:average_ruling_tariff=-1", "out of range"),
        ("delhi-ev-ht:power_factor=1.2", "out of range"),
    ],
)
def test_a_name_that_cannot_be_right_says_what_to_write(name: str, says: str) -> None:
    with pytest.raises((UnknownTariff, InvalidTariff), match=says) as caught:
        Tariff.named(name)
    assert isinstance(caught.value, GridError)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not toml", "not a TOML file"),
        ('schema = "tariff/3"', "this reads 'tariff/2' and 'tariff/1'"),
        (MINIMAL.replace('base = "7"', "base = 7.1"), "in quotes"),
        (MINIMAL.replace("Asia/Kolkata", "Asia/Nowhere"), "is not a time zone"),
        (MINIMAL + "typo = 1", "unknown keys typo"),
        (MINIMAL + '[[energy]]\nfrom = "09:10"\nprice = "1"', "not a quarter hour"),
        (MINIMAL + '[[energy]]\nprice = "1"\nadd = "1"', "exactly one of"),
        (MINIMAL + '[demand]\nper = "kW"\ninterval_min = 7', "blocks must fill the day"),
    ],
)
def test_a_file_that_cannot_be_right_says_where(text: str, says: str) -> None:
    with pytest.raises(InvalidTariff, match=says):
        Tariff.parse(text)


def test_naive_times_are_refused() -> None:
    with pytest.raises(InvalidTariff, match="no time zone"):
        Tariff.named("delhi-ev-ht").price_per_kwh(datetime(2025, 1, 1))


@given(st.integers(0, 10_000_000))
def test_energy_cost_is_exact_and_rounds_once(energy_wh: int) -> None:
    tariff = Tariff.named("kerala-kseb-ev")
    exact = tariff.energy_cost(energy_wh, at(9))
    assert exact == Fraction(5005, 1000) * energy_wh / 1000
    assert abs(Fraction(minor_units(exact), 100) - exact) <= Fraction(1, 200)


def test_minor_units_round_halves_away_from_zero() -> None:
    assert [minor_units(Decimal(text)) for text in ("0.005", "-0.005", "1.004", "2.675")] == [1, -1, 100, 268]


def test_the_documented_example_is_a_tariff() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "tariffs.md").read_text(encoding="utf-8")
    tariff = Tariff.parse(text.split("```toml\n")[1].split("```")[0], parameters={"power_factor": Fraction(4, 5)})
    assert tariff.price_per_kwh(at(17)) == Fraction("7.5") * Fraction("1.09")
    assert tariff.price_per_kwh(at(18, day=date(2025, 6, 1))) == Fraction("8.75") * Fraction("1.09")
    assert tariff.price_per_kwh(at(18, day=date(2025, 7, 1)), monthly={"fppca": Fraction("0.1")}) == Fraction("7.6") * Fraction("1.09")
    assert tariff.demand_charge_per_kw_month == 225
    assert [name for name in Tariff.names() if f"`{name}`" not in text] == []
