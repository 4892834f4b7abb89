"""Limits in kVA as real power; the least of several limits and whose it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer import InvalidProblem, NamedLimit
from optimizer.apparent_power import room_kw, transformer_limit
from optimizer.site_limits import least_of, sources

kw = st.floats(-400, 800)


@given(limit=st.floats(0, 1000), p_b=kw, q_b=kw, power_factor=st.sampled_from([1.0, 0.98, 0.9, 0.6, -0.95]))
def test_the_room_is_the_most_that_keeps_the_limit(limit: float, p_b: float, q_b: float, power_factor: float) -> None:
    tangent = math.copysign(math.tan(math.acos(abs(power_factor))), power_factor)

    def apparent(power_kw: float) -> float:
        return math.hypot(p_b + power_kw, q_b + power_kw * tangent)

    room = float(room_kw(np.array([limit]), np.array([p_b]), np.array([q_b]), power_factor=power_factor)[0])
    assert room >= 0
    if room > 0:
        assert apparent(room) <= limit * (1 + 1e-9) + 1e-5
    assert all(apparent(room + more) > limit - 1e-5 for more in (0.01, 1.0, 100.0, 1000.0))


def test_charging_takes_reactive_power_of_its_own() -> None:
    alone, beside = (room_kw(np.array([100.0]), np.array([0.0]), np.array([q]), power_factor=0.9)[0] for q in (0.0, 40.0))
    assert alone == pytest.approx(90)
    assert beside < math.sqrt(100**2 - 40**2)


def test_the_site_limit_is_background_and_room() -> None:
    limit = transformer_limit(np.array([100.0, 100.0]), np.array([60.0, 120.0]), np.array([0.0, 0.0]), power_factor=1.0)
    assert limit.source == "transformer"
    assert limit.limit_kw == pytest.approx([100.0, 120.0])


@pytest.mark.parametrize("power_factor", [0.0, 1.2, float("nan")])
def test_a_power_factor_that_cannot_be_is_refused(power_factor: float) -> None:
    with pytest.raises(InvalidProblem, match="power_factor"):
        room_kw(np.ones(1), np.ones(1), np.ones(1), power_factor=power_factor)


def test_the_least_limit_binds_and_is_named() -> None:
    limits = (NamedLimit("contract", np.array([100.0, 100.0, 50.0])), NamedLimit("scada", np.array([120.0, 80.0, 50.0])))
    least = least_of(limits)
    assert least.tolist() == [100, 80, 50]
    assert sources(limits, least) == ("contract", "scada", "contract")
    assert sources(limits, least - 10) == ("", "", "")
    assert sources((), least) == ("", "", "")
    with pytest.raises(InvalidProblem, match="at least one limit"):
        least_of(())
