"""A month's peak target: chosen from nights of the past, free for the nights to come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from optimizer import DemandPiece, InvalidProblem, Problem, Vehicle, plan
from optimizer.month import end_to_end, fitting, peak_target, typical, with_target

T0 = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)


def night(kwh: float, **changes: object) -> Problem:
    """Four hours, the last two cheap; 6 a kW and month."""
    bus = Vehicle(id="bus", arrival_slot=0, departure_slot=4, energy_kwh=kwh, p_max_kw=200.0)
    given: dict[str, object] = {
        "t0": T0, "n_slots": 4, "slot_minutes": 60, "price_per_kwh": [3.0, 3.0, 1.0, 1.0], "site_limit_kw": 200.0,
        "background_kw": np.zeros(4), "vehicles": (bus,), "demand_charge_per_kw": 6.0,
    }  # fmt: skip
    return Problem(**(given | changes))  # type: ignore[arg-type]  # as the test says


def test_a_peak_is_worth_what_the_nights_save_with_it() -> None:
    """A kW more saves two cheap kWh × 2 a night, 4: one night does not pay its 6, two do. 100 kWh are then 50 kW twice."""
    assert peak_target([night(100.0)], nights_ahead=1).peak_kw == pytest.approx(25)
    assert peak_target([night(100.0)], nights_ahead=2).peak_kw == pytest.approx(50)
    assert peak_target([night(100.0)] * 2, nights_ahead=2).peak_kw == pytest.approx(50)


def test_one_hungry_night_is_no_reason_for_its_peak() -> None:
    """Nights of 40 kWh want 20 kW. The one of 100 needs 25, and would save with 50: alone it pays for no more than 25."""
    nights = [night(40.0)] * 4 + [night(100.0)]
    found = peak_target(nights, nights_ahead=5)
    assert found.peak_kw == pytest.approx(25)
    assert found.nights == 5
    assert found.cost == pytest.approx(4 * 40 + (2 * 25 * 3 + 2 * 25) + 6 * 25)
    assert found.energy_cost == pytest.approx(found.cost - 6 * 25)


def test_what_was_reached_is_free() -> None:
    reached = replace(night(100.0), mtd_peak_kw=40.0)
    assert peak_target([reached], nights_ahead=1).peak_kw == pytest.approx(40)
    assert peak_target([reached], nights_ahead=1).cost == pytest.approx(2 * 40 + 20 * 3)


def test_a_night_uses_what_its_month_pays_for() -> None:
    assert plan(night(100.0)).peak_kw == pytest.approx(25)
    assert plan(with_target(night(100.0), 50.0)).peak_kw == pytest.approx(50)
    piece = DemandPiece("demand", 6.0, 10.0, np.ones(4))
    told = replace(night(100.0), demand_charge_per_kw=0.0, demand_pieces=(piece,))
    assert plan(with_target(told, 50.0)).peak_kw == pytest.approx(50)
    assert with_target(told, 5.0).demand_pieces[0].free_kw == 10.0


def test_pieces_and_blocks_go_through_the_whole_month() -> None:
    """A floor of 40 kW: the target uses it all, and 30-minute blocks over slots of 20 keep their places."""
    piece = DemandPiece("demand", 6.0, 40.0, np.ones(4))
    nights = [replace(night(100.0), demand_charge_per_kw=0.0, demand_pieces=(piece,))] * 3
    assert peak_target(nights, nights_ahead=1).peak_kw == pytest.approx(40)
    thirds = replace(night(30.0), n_slots=6, slot_minutes=20, price_per_kwh=1.0, site_limit_kw=200.0, background_kw=np.zeros(6),
                     export_limit_kw=0.0, export_price_per_kwh=0.0, co2_g_per_kwh=0.0, demand_interval_slots=1.5)  # fmt: skip
    joined = end_to_end([thirds, thirds])
    assert len(joined.windows.block_hours) == 8
    assert joined.windows.block_hours == pytest.approx(0.5)


def test_typical_nights_spread_over_the_need() -> None:
    nights = [night(float(kwh)) for kwh in (50, 10, 40, 20, 30, 60)]
    assert [n.vehicles[0].energy_kwh for n in typical(nights, most=3)] == [40, 20, 60]
    assert typical(nights, most=10) == tuple(nights)
    assert fitting(nights, cells=4 * 9) == 3
    assert fitting(nights, cells=1) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"demand_charge_per_kw": 7.0}, "night 1 of a month has not the same demand charge"),
        ({"first_slot_fraction": 0.5}, "whole slots"),
        ({"demand_interval_slots": 3}, "whole demand blocks"),
        ({"demand_pieces": (DemandPiece("x", 1.0, 0.0, np.ones(4)),)}, "the same demand pieces"),
    ],
)
def test_nights_that_do_not_fit_together_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidProblem, match=says):
        peak_target([night(10.0), night(10.0, **changes)], nights_ahead=2)


def test_a_month_without_nights_is_refused() -> None:
    with pytest.raises(InvalidProblem, match="no night"):
        peak_target([], nights_ahead=3)
    with pytest.raises(InvalidProblem, match="at least one"):
        peak_target([night(1.0)], nights_ahead=0)
