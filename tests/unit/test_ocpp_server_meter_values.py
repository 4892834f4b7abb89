"""Meter values: normalised, and the impossible kept out (reference no. 9)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depot.registry import ConnectorSpec
from ocpp_server.meter_values import MeterGuard, Sample, read_samples

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SPEC = ConnectorSpec(1, 22_000, 4_140)


def sample(*values: dict[str, Any], at: str = "2026-03-01T12:00:00Z") -> tuple[Sample, Counter[str]]:
    rejected: Counter[str] = Counter()
    return read_samples([{"timestamp": at, "sampledValue": list(values)}], rejected)[0], rejected


def guard() -> tuple[MeterGuard, Counter[str]]:
    rejected: Counter[str] = Counter()
    return MeterGuard(SPEC, rejected), rejected


def test_a_value_without_measurand_and_unit_is_the_import_register_in_wh() -> None:
    found, _ = sample({"value": "1234.5"})
    assert (found.energy_wh, found.power_w) == (1234.5, None)


@pytest.mark.parametrize(
    ("value", "field", "wanted"),
    [
        ({"value": "1.5", "unit": "kWh"}, "energy_wh", 1500.0),
        ({"value": "7.4", "measurand": "Power.Active.Import", "unit": "kW"}, "power_w", 7400.0),
        ({"value": "55", "measurand": "SoC", "location": "EV"}, "soc", 0.55),
        ({"value": 55, "measurand": "Display.PresentSOC", "unit": "Percent", "location": "EV"}, "soc", 0.55),
        ({"value": "300.15", "measurand": "Temperature", "unit": "K", "location": "EV"}, "pack_temp_c", 27.0),
        ({"value": "77", "measurand": "Temperature", "unit": "Fahrenheit", "location": "EV"}, "pack_temp_c", 25.0),
        ({"value": "40", "measurand": "Temperature", "unit": "Celsius"}, "pack_temp_c", None),
        ({"value": "16", "measurand": "Current.Import", "unit": "A"}, "current_a", 16.0),
        ({"value": "5", "measurand": "Power.Active.Import", "location": "Inlet"}, "power_w", None),
        ({"value": "5", "measurand": "Power.Active.Import", "format": "SignedData"}, "power_w", None),
    ],
)
def test_units_and_places(value: dict[str, Any], field: str, wanted: float | None) -> None:
    found, _ = sample(value)
    assert getattr(found, field) == (pytest.approx(wanted) if wanted is not None else None)


@pytest.mark.parametrize("text", ["NaN", "inf", "-Infinity", "", "twelve", "1e999", "1e300"])
def test_no_number_is_no_value(text: str) -> None:
    found, rejected = sample({"value": text})
    assert found.energy_wh is None
    assert rejected["not_a_number"] == 1


def test_a_unit_of_another_quantity_is_no_value() -> None:
    found, rejected = sample({"value": "5", "measurand": "Power.Active.Import", "unit": "Wh"})
    assert found.power_w is None
    assert rejected["unit_mismatch"] == 1


def phase(name: str, value: str, measurand: str = "Power.Active.Import") -> dict[str, Any]:
    return {"value": value, "measurand": measurand, "phase": name}


def test_phases_are_summed_only_without_a_total() -> None:
    three = [phase("L1", "1000"), phase("L2", "2000"), phase("L3", "3000")]
    assert sample(*three)[0].power_w == 6000
    assert sample(*three, {"value": "5900", "measurand": "Power.Active.Import"})[0].power_w == 5900


def test_current_is_the_largest_phase_and_voltage_the_mean_of_phases_to_neutral() -> None:
    currents = [phase(p, v, "Current.Import") for p, v in (("L1", "10"), ("L2", "16"), ("L3", "0"), ("N", "20"))]
    voltages = [phase(p, v, "Voltage") for p, v in (("L1-N", "230"), ("L2-N", "232"), ("L1-L2", "400"))]
    found, _ = sample(*currents, *voltages)
    assert (found.current_a, found.voltage_v) == (16.0, 231.0)


def test_problem_07_samples_come_in_the_order_of_the_chargers_time() -> None:
    entries = [{"timestamp": f"2026-03-01T12:0{m}:00Z", "sampledValue": [{"value": str(m)}]} for m in (3, 1, 2)]
    assert [s.energy_wh for s in read_samples(entries, Counter())] == [1, 2, 3]


def test_problem_10_a_time_before_2020_is_distrusted() -> None:
    found, rejected = sample({"value": "1"}, at="1970-01-01T00:00:10Z")
    assert found.reported_at is None
    assert rejected["distrusted_time"] == 1


@pytest.mark.parametrize(
    ("power", "kept"), [(22_000, 22_000), (66_000, 66_000), (66_001, None), (-22_000, -22_000), (-22_001, None), (None, None)]
)
def test_power_beyond_what_the_outlet_can_do_is_rejected(power: float | None, kept: int | None) -> None:
    judge, rejected = guard()
    assert judge.power_w(power) == kept
    assert rejected.total() == (1 if power is not None and kept is None else 0)


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def test_a_register_that_runs_backwards_is_rejected_until_it_is_plainly_a_new_one() -> None:
    judge, rejected = guard()
    assert judge.energy_wh(50_000, None, at(0)) == 50_000
    assert [judge.energy_wh(10 + n, None, at(1 + n)) for n in range(6)] == [None, None, None, None, 14, 15]
    assert rejected["register_backwards"] == 5
    assert rejected["register_reset"] == 1


def test_a_register_that_jumps_beyond_the_rating_is_rejected() -> None:
    judge, rejected = guard()
    judge.energy_wh(1_000, 11_000, at(0))
    assert judge.energy_wh(1_000_000, 11_000, at(1)) is None
    assert rejected["register_jumped"] == 1
    assert judge.energy_wh(1_367, 11_000, at(2)) == 1_367, "the outlier is forgotten"


def charge(judge: MeterGuard, *, minutes: int, raw0: float, per_kwh: float, power_w: int = 11_000, digits: int = 4) -> list[int | None]:
    """A session at constant power, one sample a minute; the register counts ``per_kwh`` for a kWh."""
    return [judge.energy_wh(round(raw0 + power_w / 1000 * m / 60 * per_kwh, digits), power_w, at(m)) for m in range(minutes)]


def test_problem_09_kwh_sold_as_wh_is_recognised_and_the_session_keeps_its_start() -> None:
    judge, rejected = guard()
    start_wh = judge.started(12)
    values = charge(judge, minutes=60, raw0=12.0, per_kwh=1.0)
    assert judge.scale == 1000
    assert rejected["kwh_for_wh"] == 1
    assert values[-1] is not None
    assert values[-1] - start_wh == pytest.approx(11_000 * 59 / 60, abs=50)
    assert judge.stopped(23) - start_wh == pytest.approx(11_000 * 59 / 60, abs=50), "the last sample is finer than whole kWh"
    known = [v for v in values if v is not None]
    assert known == sorted(known)


def test_problem_09_whole_kwh_are_recognised_too() -> None:
    judge, _ = guard()
    judge.started(100)
    charge(judge, minutes=60, raw0=100.0, per_kwh=1.0, digits=0)
    assert judge.scale == 1000


def test_a_second_session_of_a_kwh_station_is_right_from_its_start() -> None:
    judge, _ = guard()
    judge.started(12)
    charge(judge, minutes=60, raw0=12.0, per_kwh=1.0)
    start_wh = judge.started(23)
    assert judge.energy_wh(24.0, 11_000, at(70)) == start_wh + 1000


def test_an_honest_register_is_left_alone() -> None:
    judge, rejected = guard()
    judge.started(12_000)
    assert charge(judge, minutes=60, raw0=12_000.0, per_kwh=1000.0)[-1] == 12_000 + round(11_000 * 59 / 60)
    assert judge.scale == 1
    assert rejected.total() == 0


@pytest.mark.parametrize("set_at_s", range(90, 110))
def test_a_clock_that_is_set_in_a_session_does_not_multiply_its_energy(set_at_s: int) -> None:
    """Ten minutes appear from nowhere: for one sample the register moved a thousandth of power × time."""
    judge, rejected = guard()
    judge.started(12_000)
    for second in range(300):
        raw = 12_000 + 11_000 * second / 3600
        minute = second / 60 + (10 if second >= set_at_s else 0)
        assert judge.energy_wh(raw, 11_000, at(minute)) == round(raw)
    assert judge.scale == 1
    assert rejected["kwh_for_wh"] == 0


def test_a_station_that_was_repaired_is_believed_again() -> None:
    judge, _ = guard()
    judge.started(12)
    charge(judge, minutes=60, raw0=12.0, per_kwh=1.0)
    for m in range(60, 120):
        judge.energy_wh(23_000 + 11_000 * (m - 60) / 60, 11_000, at(m))
    assert judge.scale == 1


numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


@given(st.lists(st.tuples(numbers, numbers, st.floats(0, 5)), max_size=30))
@settings(max_examples=300, deadline=None)
def test_what_passes_is_possible_and_a_register_falls_only_as_a_reset(steps: list[tuple[float, float, float]]) -> None:
    judge, rejected = guard()
    now, last = T0, None
    for power, energy, minutes in steps:
        now += timedelta(minutes=minutes)
        watts = judge.power_w(power)
        assert watts is None or -SPEC.rated_w <= watts <= 3 * SPEC.rated_w
        resets = rejected["register_reset"] + rejected["register_jumped"] + rejected["kwh_for_wh"]
        wh = judge.energy_wh(energy, watts, now)
        if wh is not None and last is not None and wh < last - 1:
            assert rejected["register_reset"] + rejected["register_jumped"] + rejected["kwh_for_wh"] >= max(1, resets)
        last = wh if wh is not None else last


def test_what_a_vehicle_shows_stands_in_only_where_no_state_of_charge_is_told() -> None:
    shown = {"value": "57", "measurand": "Display.PresentSOC", "location": "EV"}
    told = {"value": "55", "measurand": "SoC", "location": "EV"}
    for values in ([shown, told], [told, shown]):
        entry = {"timestamp": "2026-11-20T19:42:00Z", "sampledValue": values}
        assert [sample.soc for sample in read_samples([entry], Counter())] == [0.55]
