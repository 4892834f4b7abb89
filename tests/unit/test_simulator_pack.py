"""The battery model: constant current, taper, losses, temperature."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.pack import Pack, possible_wh


def charge(pack: Pack, max_w: float, seconds: float) -> float:
    """Charge at up to ``max_w`` for ``seconds``; returns the grid energy in Wh."""
    grid_wh = 0.0
    while seconds > 1e-6 and not pack.satisfied:
        power = min(max_w, pack.acceptance_w())
        step = min(seconds, max(pack.holds_for_s(power), 1e-3))
        pack.advance(power, step)
        grid_wh += power * step / 3600
        seconds -= step
    return grid_wh


def test_a_truck_at_quarter_c_keeps_full_power_to_95_percent() -> None:
    pack = Pack(600_000, 0.94, need_wh=36_000, efficiency=1.0)
    assert pack.acceptance_w() > 150_000
    pack = Pack(600_000, 0.96, need_wh=24_000, efficiency=1.0)
    assert pack.acceptance_w() < 150_000


def test_the_knee_moves_down_with_the_c_rate() -> None:
    pack = Pack(60_000, 0.70, need_wh=18_000, efficiency=1.0)
    assert pack.acceptance_w() == pytest.approx(60_000 * 1.5)  # 1.5C is the most at 70 %


def test_acceptance_falls_to_a_trickle_and_is_zero_once_satisfied() -> None:
    pack = Pack(60_000, 0.5, need_wh=30_000, efficiency=1.0)
    charge(pack, 60_000, 10 * 3600)
    assert pack.satisfied
    assert pack.soc == pytest.approx(1.0, abs=1e-6)
    assert pack.acceptance_w() == 0.0


@pytest.mark.parametrize(("battery_kwh", "max_kw"), [(600, 150), (75, 22), (60, 60), (15, 3.7)])
def test_a_pack_fills_in_sensible_time(battery_kwh: float, max_kw: float) -> None:
    pack = Pack(battery_kwh * 1000, 0.1, need_wh=battery_kwh * 900, efficiency=0.9)
    without_taper_h = battery_kwh * 0.9 / (max_kw * 0.9)
    grid_wh = charge(pack, max_kw * 1000, (without_taper_h + 0.75) * 3600)
    assert pack.satisfied
    assert grid_wh == pytest.approx(battery_kwh * 1000, rel=1e-6)


def test_fast_charging_heats_the_pack_and_rest_cools_it() -> None:
    pack = Pack(60_000, 0.1, need_wh=48_000, efficiency=0.92)
    charge(pack, 120_000, 900)
    hot = pack.temp_c
    assert 30 < hot < 60
    pack.advance(0, 4 * 3600)
    assert 25 < pack.temp_c < 25 + (hot - 25) / 2


def test_a_cold_pack_tapers_earlier_and_a_hot_one_is_throttled() -> None:
    warm, cold, hot = (Pack(60_000, 0.8, need_wh=6_000, temp_c=t) for t in (25.0, -10.0, 58.0))
    assert cold.acceptance_w() == pytest.approx(warm.acceptance_w() / 2)
    assert hot.acceptance_w() == pytest.approx(warm.acceptance_w() * 0.2)


@pytest.mark.parametrize(("capacity", "soc"), [(0.0, 0.5), (10_000.0, 0.95), (5_000.0, 0.0)])
def test_a_battery_that_cannot_hold_the_need_is_made_to_fit(capacity: float, soc: float) -> None:
    pack = Pack(capacity, soc, need_wh=8_000)
    assert pack.soc + pack.need_wh / pack.capacity_wh <= 1 + 1e-9
    charge(pack, 11_000, 12 * 3600)
    assert pack.satisfied


def test_possible_is_bounded_by_time_and_changes_nothing() -> None:
    pack = Pack(60_000, 0.2, need_wh=40_000, efficiency=0.9)
    assert possible_wh(pack, max_w=10_000, seconds=3600) == pytest.approx(9_000)
    assert possible_wh(pack, max_w=10_000, seconds=1e6) == pytest.approx(40_000)
    assert pack.got_wh == 0


@given(
    soc=st.floats(0, 0.99),
    capacity=st.floats(5_000, 600_000),
    efficiency=st.floats(0.7, 1.0),
    steps=st.lists(st.tuples(st.floats(0, 400_000), st.floats(0, 900)), max_size=30),
)
def test_grid_energy_times_efficiency_is_what_the_battery_gained(
    soc: float, capacity: float, efficiency: float, steps: list[tuple[float, float]]
) -> None:
    pack = Pack(capacity, soc, need_wh=capacity * (1 - soc), efficiency=efficiency)
    grid_wh = sum(charge(pack, power, seconds) for power, seconds in steps)
    assert grid_wh * efficiency == pytest.approx(pack.got_wh, rel=1e-6, abs=1e-6)
    assert pack.got_wh <= pack.need_wh + 1e-3 * max(1.0, capacity / 3600)
    assert 0 <= pack.soc <= 1
    assert pack.temp_c < 65
