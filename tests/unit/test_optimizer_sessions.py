"""Sessions that cannot pause: late, but in one piece."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import Problem, Vehicle, plan
from optimizer.evaluate import evaluate
from optimizer.sessions import broken_sessions

PRICES = np.array([0.1, 0.1, 0.5, 0.5, 0.1, 0.1, 0.4, 0.4])
SLOTS = len(PRICES)


def depot(*vehicles: Vehicle, **others: Any) -> Problem:
    given = {"site_limit_kw": 1000.0, "background_kw": 0.0, "price_per_kwh": PRICES, **others}
    return Problem(t0=datetime(2026, 1, 12, tzinfo=UTC), n_slots=SLOTS, slot_minutes=60, vehicles=vehicles, **given)


def van(name: str = "a", **others: Any) -> Vehicle:
    numbers = {"energy_kwh": 40.0, "p_max_kw": 11.0, "p_min_kw": 4.0, "pausable": False, **others}
    return Vehicle(**{"id": name, "arrival_slot": 0, "departure_slot": SLOTS, **numbers})


def test_whoever_can_pause_does() -> None:
    power = plan(depot(van(pausable=True))).power_kw[0]
    assert power[[2, 3]].max() == pytest.approx(0)


def test_a_session_that_cannot_pause_goes_on_through_dear_hours_at_its_floor() -> None:
    problem = depot(van())
    result = plan(problem)
    assert not broken_sessions(problem, result.power_kw)
    assert result.unmet_kwh.sum() == pytest.approx(0, abs=1e-6)
    assert result.power_kw[0, [2, 3]] == pytest.approx([4, 4])
    assert result.power_kw[0, [6, 7]].max() == pytest.approx(0, abs=1e-6)


def test_it_begins_late_where_that_is_as_good() -> None:
    power = plan(depot(van(energy_kwh=20.0))).power_kw[0]
    assert power[:4].max() == pytest.approx(0, abs=1e-6)
    assert power[4:6].sum() == pytest.approx(20)


def test_one_that_runs_is_not_let_go_until_it_has_what_it_needs() -> None:
    problem = depot(van(energy_kwh=20.0, floor_kw=4.0), price_per_kwh=PRICES[::-1].copy())
    power = plan(problem).power_kw[0]
    assert not broken_sessions(problem, power[None, :])
    assert power[:3].min() >= 4 - 1e-6
    assert power.sum() == pytest.approx(20)


def test_a_need_below_one_slot_of_the_floor_is_served_in_one_slot() -> None:
    power = plan(depot(van(energy_kwh=2.0))).power_kw[0]
    assert sorted(power)[-1] == pytest.approx(2)
    assert sorted(power)[:-1] == pytest.approx([0] * (SLOTS - 1))


def test_nobody_is_short_because_of_it() -> None:
    """Four vans on a site that is full all night: whatever cannot be in one piece stays as it is."""
    vans = [van(str(n), energy_kwh=40.0) for n in range(4)]
    problem = depot(*vans, site_limit_kw=20.0)
    relaxed = plan(depot(*(van(str(n), energy_kwh=40.0, pausable=True) for n in range(4)), site_limit_kw=20.0))
    result = plan(problem)
    assert (result.unmet_kwh <= relaxed.unmet_kwh + 0.01).all()
    assert evaluate(problem, result.power_kw).keeps_limits


@st.composite
def stays(draw: st.DrawFn, name: str) -> Vehicle:
    arrival = draw(st.integers(0, SLOTS - 1))
    return van(
        name,
        arrival_slot=arrival,
        departure_slot=draw(st.integers(arrival, SLOTS)),
        energy_kwh=float(draw(st.integers(0, 60))),
        p_max_kw=draw(st.sampled_from([7.0, 11.0, 22.0])),
        floor_kw=draw(st.sampled_from([0.0, 0.0, 4.0])),
        pausable=draw(st.sampled_from([True, False, False])),
    )


@settings(max_examples=40, deadline=None)
@given(
    its=st.lists(st.integers(0, 9), min_size=1, max_size=6, unique=True).flatmap(lambda ns: st.tuples(*(stays(f"v{n}") for n in ns))),
    limit=st.sampled_from([15.0, 30.0, 200.0]),
    round_minimum=st.sampled_from([False, True, "all"]),
)
def test_no_more_is_short_than_in_the_relaxed_plan_and_fewer_sessions_are_broken(
    its: tuple[Vehicle, ...], limit: float, round_minimum: Any
) -> None:
    problem = depot(*its, site_limit_kw=limit)
    relaxed = plan(replace(problem, vehicles=tuple(replace(v, pausable=True) for v in its)), direct=True)
    result = plan(problem, direct=True, round_minimum=round_minimum)
    assert result.unmet_kwh.sum() <= relaxed.unmet_kwh.sum() + 0.02  # of equals it may be another one
    assert (result.power_kw.sum(axis=0) <= problem.room_kw + 1e-5).all()
    assert (result.power_kw >= problem.lower_kw - 1e-6).all()
    if limit == 200.0:
        assert len(broken_sessions(problem, result.power_kw)) <= len(broken_sessions(problem, relaxed.power_kw))
