"""Demand charges in pieces: what is free, what exceeds the contract, hours that count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from optimizer import DemandPiece, InvalidProblem, Problem, Vehicle, plan
from optimizer.evaluate import evaluate

HOURS = 8


def depot(*pieces: DemandPiece, energy_kwh: float = 400.0, **more: object) -> Problem:
    """Eight hours, cheap ones in the middle; one bus fleet as one vehicle of 200 kW."""
    price = np.array([8.0, 8.0, 4.0, 4.0, 8.0, 8.0, 8.0, 8.0])
    values = {
        "t0": datetime(2026, 11, 22, tzinfo=UTC),
        "n_slots": HOURS,
        "slot_minutes": 60,
        "price_per_kwh": price,
        "site_limit_kw": 500.0,
        "background_kw": 0.0,
        "vehicles": (Vehicle("fleet", 0, HOURS, energy_kwh, 200.0),),
        "demand_pieces": pieces,
    }
    return Problem(**(values | more))  # type: ignore[arg-type]  # as the test says


def piece(per_kw: float, free_kw: float, group: str = "demand", counts: object = 1.0) -> DemandPiece:
    return DemandPiece(group, per_kw, free_kw, counts)  # type: ignore[arg-type]  # spread by the problem


@pytest.mark.parametrize("direct", [False, True])
def test_the_peak_rises_to_the_free_floor_and_not_above_it(direct: bool) -> None:
    result = plan(depot(piece(50.0, 120.0)), direct=direct)
    assert result.peak_kw == pytest.approx(120.0, abs=1e-3)
    assert result.demand_cost == pytest.approx(0.0, abs=1e-6)
    assert result.power_kw[0, 2:4] == pytest.approx([120.0, 120.0], abs=1e-3)  # all that is free in the cheap hours
    freely = plan(depot(), direct=direct)
    assert freely.peak_kw == pytest.approx(200.0, abs=1e-3)


def test_the_peak_rises_above_the_floor_where_that_is_cheaper() -> None:
    assert plan(depot(piece(3.0, 120.0))).peak_kw == pytest.approx(200.0, abs=1e-3)  # 2 h × 4 a kWh saved for 3 a kW


def test_demand_above_the_contract_costs_more_than_below_it() -> None:
    pieces = (piece(3.0, 120.0), piece(6.0, 150.0, "excess"))
    result = plan(depot(*pieces))
    assert result.peak_kw == pytest.approx(150.0, abs=1e-3)
    assert result.demand_cost == pytest.approx(90.0, abs=1e-2)


def test_hours_that_do_not_count_are_free() -> None:
    counts = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    assert plan(depot(piece(50.0, 0.0, counts=counts))).peak_kw == pytest.approx(200.0, abs=1e-3)


def test_the_dearest_piece_of_a_group_counts_alone() -> None:
    problem = depot(piece(4.0, 100.0), piece(10.0, 180.0))
    power = np.zeros((1, HOURS))
    power[0, 2:4] = 200.0
    assert evaluate(problem, power).demand_cost == pytest.approx(max(4.0 * 100, 10.0 * 20))
    assert evaluate(replace(problem, demand_pieces=(piece(4.0, 100.0), piece(10.0, 180.0, "other"))), power).demand_cost == pytest.approx(
        600
    )


def test_what_the_background_makes_is_paid_anyway() -> None:
    problem = depot(piece(10.0, 50.0), background_kw=90.0)
    result = plan(problem)
    assert result.demand_cost == pytest.approx(10.0 * (result.peak_kw - 90.0), abs=1e-3)
    assert result.site_kw.max() == pytest.approx(result.peak_kw, abs=1e-6)


@pytest.mark.parametrize("wrong", [piece(-1.0, 0.0), piece(1.0, float("nan")), piece(1.0, 0.0, counts=[1.0]), piece(1.0, 0.0, counts=0.5)])
def test_pieces_that_cannot_be_are_refused(wrong: DemandPiece) -> None:
    with pytest.raises(InvalidProblem, match="demand piece"):
        depot(wrong)
