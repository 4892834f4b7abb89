"""No powers between 0 and the minimum, in any slot."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import Problem, Vehicle, plan
from optimizer.evaluate import evaluate

PRICES = np.array([0.3, 0.1, 0.1, 0.2, 0.1, 0.4, 0.1, 0.1])
SLOTS = len(PRICES)


def depot(*needs_kwh: float, limit_kw: float) -> Problem:
    vans = tuple(Vehicle(f"v{n}", 0, SLOTS, energy_kwh=need, p_max_kw=11.0, p_min_kw=4.0) for n, need in enumerate(needs_kwh))
    return Problem(
        t0=datetime(2026, 1, 12, tzinfo=UTC),
        n_slots=SLOTS,
        slot_minutes=60,
        price_per_kwh=PRICES,
        site_limit_kw=limit_kw,
        background_kw=0.0,
        vehicles=vans,
    )


def test_the_hour_is_rounded_alone_unless_all_slots_are_asked_for() -> None:
    problem = depot(13.0, 24.5, 12.0, limit_kw=20.0)
    hour, everywhere = (plan(problem, round_minimum=which) for which in (True, "all"))
    assert evaluate(problem, everywhere.power_kw).below_minimum == 0
    first = hour.power_kw[:, 0]
    assert not ((first > 1e-6) & (first < 4.0 - 1e-6)).any()
    assert everywhere.unmet_kwh.max() <= 0.02


@settings(max_examples=40, deadline=None)
@given(needs=st.lists(st.integers(1, 160).map(lambda n: n / 2), min_size=1, max_size=5), limit=st.sampled_from([9.0, 20.0, 200.0]))
def test_nobody_is_short_for_a_minimum_and_limits_hold(needs: list[float], limit: float) -> None:
    problem = depot(*needs, limit_kw=limit)
    relaxed, rounded = (plan(problem, round_minimum=which) for which in (False, "all"))
    assert rounded.unmet_kwh.sum() <= relaxed.unmet_kwh.sum() + 0.05
    verdict = evaluate(problem, rounded.power_kw)
    assert verdict.keeps_limits
    assert verdict.below_minimum <= evaluate(problem, relaxed.power_kw).below_minimum
