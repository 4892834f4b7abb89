"""Two-stage planning: one decision now for several futures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import InvalidProblem, Problem, Vehicle, plan
from optimizer.two_stage import plan_two_stage

T0 = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)


def future(*vehicles: Vehicle, price: tuple[float, ...] = (0.3, 0.1, 0.1, 0.1), limit_kw: float = 40.0) -> Problem:
    return Problem(
        t0=T0, n_slots=4, slot_minutes=60, price_per_kwh=np.array(price), site_limit_kw=np.full(4, limit_kw), background_kw=np.zeros(4),
        vehicles=vehicles,
    )  # fmt: skip


def car(name: str, **changes: float) -> Vehicle:
    given: dict[str, object] = {"id": name, "arrival_slot": 0, "departure_slot": 4, "energy_kwh": 60.0, "p_max_kw": 40.0}
    return Vehicle(**(given | changes))  # type: ignore[arg-type]  # as the test says


def test_one_future_is_the_plan() -> None:
    asked = future(car("a"), car("b", arrival_slot=2, energy_kwh=30.0))
    assert plan_two_stage([asked]).now_kw == pytest.approx(plan(asked, direct=True).power_kw[:, 0], abs=1e-6)


def test_the_dear_slot_is_used_for_the_future_that_needs_it() -> None:
    """The other one comes with 30 kWh or with 100: then 40 of the first one's 60 kWh must flow now."""
    small, large = (future(car("a"), car("b", arrival_slot=1, energy_kwh=kwh)) for kwh in (30.0, 100.0))
    assert plan(small, direct=True).power_kw[0, 0] == pytest.approx(0)
    found = plan_two_stage([small, large])
    assert found.now_kw == pytest.approx([40, 0])
    assert [power[0, 0] for power in found.power_kw] == pytest.approx([40, 40])
    assert found.power_kw[1].sum() == pytest.approx(160)


def test_futures_must_begin_alike() -> None:
    with pytest.raises(InvalidProblem, match="at least one"):
        plan_two_stage([])
    with pytest.raises(InvalidProblem, match="same vehicles"):
        plan_two_stage([future(car("a")), future(car("b"))])
    with pytest.raises(InvalidProblem, match="slot 0"):
        plan_two_stage([future(car("a")), future(car("a", arrival_slot=1))])
    assert not plan_two_stage([future(car("a", energy_kwh=0.0))] * 2).now_kw.any()


@settings(max_examples=40, deadline=None)
@given(needs=st.lists(st.integers(0, 120), min_size=2, max_size=4), arrival=st.integers(1, 3), here=st.integers(1, 120))
def test_no_decision_now_is_cheaper_on_average(needs: list[int], arrival: int, here: int) -> None:
    """Held against every kW that could flow now, with each future planned on from there."""
    futures = [future(car("a", energy_kwh=float(here)), car("b", arrival_slot=arrival, energy_kwh=float(kwh))) for kwh in needs]
    found = plan_two_stage(futures)

    def mean(now_kw: float) -> float:
        fixed = [replace(f, vehicles=(replace(f.vehicles[0], cap_kw=np.array([now_kw, 40, 40, 40])), f.vehicles[1])) for f in futures]
        return float(np.mean([_cost(f, now_kw) for f in fixed]))

    assert mean(float(found.now_kw[0])) <= min(mean(kw) for kw in np.linspace(0, min(40, here), 5)) + 1e-3


def _cost(problem: Problem, now_kw: float) -> float:
    """The rest of a future after ``now_kw`` flowed to the first vehicle: unmet energy weighs as the plan weighs it, above all."""
    left = max(problem.vehicles[0].energy_kwh - now_kw, 0.0)
    rest = replace(problem, vehicles=(replace(problem.vehicles[0], arrival_slot=1, energy_kwh=left, cap_kw=None), problem.vehicles[1]))
    found = plan(rest, direct=True)
    return 0.3 * now_kw + found.cost + 100 * float(found.unmet_kwh.sum())
