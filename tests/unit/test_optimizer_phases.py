"""Who loads which phase, and the caps that this makes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import InvalidProblem, Problem, Vehicle, plan
from optimizer.phases import PhaseLimits, Wiring, loads, phase_caps

SLOTS = 4


@pytest.mark.parametrize(
    ("wiring", "expected"),
    [
        (Wiring((1, 2, 3)), (1 / 3, 1 / 3, 1 / 3)),
        (Wiring((2, 3, 1), used=1), (0, 1, 0)),
        (Wiring((2, 3, 1), used=2), (0, 1 / 2, 1 / 2)),
        (Wiring((3,), used=3), (0, 0, 1)),
        (Wiring(), (1 / 3, 1 / 3, 1 / 3)),
        (Wiring(used=1), (1, 1, 1)),
    ],
)
def test_what_each_phase_carries(wiring: Wiring, expected: tuple[float, ...]) -> None:
    assert loads(wiring) == pytest.approx(expected)


def test_a_current_limit_leaves_what_the_background_leaves() -> None:
    (cap,) = phase_caps(PhaseLimits("site", {0: Wiring((1,))}, current_a=100.0, background_kw=np.full((3, SLOTS), 3.0)), SLOTS)
    assert (cap.id, cap.weights, cap.source) == ("site: L1", {0: 1.0}, "site")
    assert cap.limit_kw == pytest.approx([20.0] * SLOTS)


def test_an_unknown_phase_counts_on_all_three_and_makes_no_phase_lighter() -> None:
    limits = PhaseLimits("site", {0: Wiring(used=1), 1: Wiring((1,))}, unbalance_a=20.0, deviation_a=20.0)
    caps = {cap.id: cap.weights for cap in phase_caps(limits, SLOTS)}
    assert caps["site: L1 above L2"] == {0: 1.0, 1: 1.0}
    assert caps["site: L2 above L1"] == {0: 1.0, 1: -1.0}
    assert caps["site: L2 above the mean"] == pytest.approx({0: 2 / 3, 1: -1 / 3})
    assert caps["site: L2 below the mean"] == pytest.approx({0: 1 / 3, 1: 1 / 3})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Wiring((1, 1)), "at most once"),
        (lambda: Wiring((0, 1)), "1, 2 and 3"),
        (lambda: Wiring(used=4), "not on 4"),
        (lambda: phase_caps(PhaseLimits("site", {}, current_a=-1.0), SLOTS), "current_a is negative"),
        (lambda: phase_caps(PhaseLimits("site", {}, current_a=1.0, power_factor=0.0), SLOTS), "power_factor"),
        (lambda: phase_caps(PhaseLimits("site", {}, current_a=1.0, background_kw=np.zeros((2, SLOTS))), SLOTS), "three phases"),
        (lambda: phase_caps(PhaseLimits("site", {}, current_a=1.0, voltage_v=float("nan")), SLOTS), "voltage_v"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, message: str) -> None:
    with pytest.raises(InvalidProblem, match=message):
        make()


wirings = st.builds(
    Wiring,
    st.sampled_from([(), (1,), (2,), (3,), (1, 2, 3), (2, 3, 1), (3, 1, 2), (1, 2)]),
    st.sampled_from([None, 1, 2, 3]),
)


@settings(max_examples=40, deadline=None)
@given(
    its=st.lists(wirings, min_size=1, max_size=5),
    current=st.integers(0, 200),
    unbalance=st.none() | st.integers(0, 60),
    deviation=st.none() | st.integers(0, 60),
    background=st.lists(st.integers(0, 30), min_size=3, max_size=3),
    data=st.data(),
)
def test_whatever_the_unknown_wiring_is_no_phase_is_overloaded(
    its: list[Wiring], current: int, unbalance: int | None, deviation: int | None, background: list[int], data: st.DataObject
) -> None:
    rest = np.outer(background, np.ones(SLOTS))
    limits = PhaseLimits(
        "site", dict(enumerate(its)), current_a=float(current), unbalance_a=unbalance, deviation_a=deviation, background_kw=rest
    )
    problem = Problem(
        t0=datetime(2026, 1, 12, tzinfo=UTC),
        n_slots=SLOTS,
        slot_minutes=15,
        price_per_kwh=np.array([0.3, 0.1, 0.1, 0.2]),
        site_limit_kw=500.0,
        background_kw=rest.sum(axis=0),
        vehicles=tuple(Vehicle(f"v{n}", 0, SLOTS, energy_kwh=10.0, p_max_kw=22.0) for n in range(len(its))),
        caps=phase_caps(limits, SLOTS),
    )
    power = plan(problem, direct=True).power_kw
    really = [Wiring(tuple(data.draw(st.permutations([1, 2, 3]))), w.count) if not w.known else w for w in its]
    on_phases = rest + np.array([loads(w) for w in really]).T @ power
    assert (on_phases <= np.maximum(current * 0.23, rest) + 1e-5).all()
    if unbalance is not None:
        spread = max(background) - min(background)
        assert (on_phases.max(axis=0) - on_phases.min(axis=0)).max() <= max(unbalance * 0.23, spread) + 1e-5
    if deviation is not None:
        off = np.abs(on_phases - on_phases.mean(axis=0)).max()
        assert off <= max(deviation * 0.23, float(np.abs(rest - rest.mean(axis=0)).max())) + 1e-5
