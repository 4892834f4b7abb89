"""What a stationary battery's life costs in a plan: rent on what it holds, wear on what leaves it, by cases computed by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from optimizer import InvalidProblem, LifeCost, PlanResult, Policy, Problem, Storage, life_cost, plan
from optimizer.evaluate import evaluate
from optimizer.storage import life_costs

SLOTS = 4
BATTERY = Storage("b", 10.0, 10.0, 0.0, 10.0, eff=1.0, end_value_per_kwh=0.0)


def life(rent: Any = 0.0, wear: Any = 0.0) -> LifeCost:
    return LifeCost(np.asarray(rent, dtype=float), np.asarray(wear, dtype=float))


def night(prices: list[float], battery: Storage) -> Problem:
    """Slots of an hour; 10 kW are drawn anyway."""
    return Problem(
        t0=datetime(2026, 11, 22, tzinfo=UTC), n_slots=len(prices), slot_minutes=60, price_per_kwh=np.array(prices),
        site_limit_kw=np.full(len(prices), 1000.0), background_kw=np.full(len(prices), 10.0), vehicles=(), storages=(battery,),
    )  # fmt: skip


def both(problem: Problem, policy: Policy = Policy.CHEAPEST) -> PlanResult:
    """The plan as both writers make it."""
    slow, fast = plan(problem, policy=policy, direct=False), plan(problem, policy=policy)
    assert slow.storage_kw == pytest.approx(fast.storage_kw, abs=1e-6)
    assert evaluate(problem, fast.power_kw, fast.storage_kw).keeps_limits
    return fast


@pytest.mark.parametrize(("wear", "used"), [(1.9, True), (2.1, False)])
def test_energy_is_shifted_where_it_saves_more_than_it_wears(wear: float, used: bool) -> None:
    found = both(night([1.0, 3.0], replace(BATTERY, life=life(wear=wear))))
    assert found.storage_kw[0] == pytest.approx([10.0, -10.0] if used else [0.0, 0.0])


def test_what_is_told_of_its_wear_goes_before_its_life() -> None:
    found = both(night([1.0, 3.0], replace(BATTERY, wear_per_kwh=0.0, life=life(wear=9.0))))
    assert found.storage_kw[0] == pytest.approx([10.0, -10.0])


@pytest.mark.parametrize(("rent", "used"), [(0.45, True), (0.55, False)])
def test_rent_runs_from_the_middle_of_one_slot_to_the_middle_of_the_other(rent: float, used: bool) -> None:
    # bought in hour 0, given in hour 3: held for 3 h; with a sharper price for the hours between, nothing else pays
    found = both(night([1.0, 1.5, 1.5, 2.5], replace(BATTERY, life=life(rent=rent))))
    held = np.cumsum(found.storage_kw[0])
    assert (held[0] > 9.0) == used
    bought_later = both(night([1.0, 1.0, 1.0, 2.5], replace(BATTERY, life=life(rent=rent))))
    assert bought_later.storage_kw[0] == pytest.approx([0.0, 0.0, 10.0, -10.0])  # as late as it can


def test_a_warm_hour_wears_more_and_is_not_used() -> None:
    found = both(night([1.0, 3.0, 3.0], replace(BATTERY, life=life(wear=[0.0, 2.5, 0.1]))))
    assert found.storage_kw[0] == pytest.approx([10.0, 0.0, -10.0])


def test_what_a_plan_costs_a_battery() -> None:
    problem = night([1.0, 1.0, 1.0], replace(BATTERY, eff=0.5, life=life(rent=[0.1, 0.2, 0.4], wear=2.0)))
    # 8 kW in: 4 kWh held, through the whole of hour 1, and half of hours 0 and 2 on average; 2 kW out: 4 kWh leave
    costs = life_costs(problem, np.array([[8.0, 0.0, -2.0]]), scale=1.0)
    assert costs == pytest.approx([2 * 0.1 + 4 * 0.2 + 2 * 0.4 + 4 * 2.0])


def test_a_pack_in_its_second_life_is_neither_free_to_wear_nor_as_dear_as_a_new_one() -> None:
    packs = {
        soh: life_cost("LFP", temp_c=25.0, nominal_kwh=100.0, price_per_kwh=12_000.0, worth_per_kwh=4_000.0, soh=soh) for soh in (1.0, 0.75)
    }
    new, old = packs[1.0], packs[0.75]
    assert new is not None
    assert old is not None
    assert 0 < float(old.wear_per_kwh) < float(new.wear_per_kwh)
    nothing_left = life_cost("LFP", temp_c=25.0, nominal_kwh=100.0, price_per_kwh=12_000.0, soh=0.75)
    assert nothing_left is not None
    assert float(nothing_left.wear_per_kwh) >= 0.25 * float(new.wear_per_kwh)
    # a spread between the two wears: the old pack shifts energy, the new one rests
    spread = 0.9 * float(new.wear_per_kwh)
    for pack, used in ((old, True), (new, False)):
        assert bool(both(night([1.0, 1.0 + spread], replace(BATTERY, life=pack))).storage_kw.any()) is used


def test_numbers_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidProblem, match=r"storage b: life\.rent_per_kwh_h"):
        night([1.0, 2.0], replace(BATTERY, life=life(rent=[0.1, 0.2, 0.3])))
    with pytest.raises(InvalidProblem, match=r"storage b: life\.wear_per_kwh"):
        night([1.0, 2.0], replace(BATTERY, life=life(wear=float("nan"))))
