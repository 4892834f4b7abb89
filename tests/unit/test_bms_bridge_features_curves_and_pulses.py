"""dQ/dV, pulses and relaxation against an invented cell whose peaks, resistances and times are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from feature_kit import OHM, PAIRS, PEAKS_V, flow, pulse

from bms_bridge.features import WindowMissing
from bms_bridge.features.differential import Peak, curves, peaks, tracked
from bms_bridge.features.pulses import at_reference, resistance_health, steps, summary
from bms_bridge.features.relaxation import impedance, relaxation
from bms_bridge.features.samples import Samples, ordered


def slow_charge(*, step_s: float = 20.0, noise_v: float = 0.0, amps: float = 0.4, shift_v: float = 0.0) -> Samples:
    time_s = np.arange(0.0, 2.0 * 0.96 / amps * 3600, step_s)
    current = np.full(len(time_s), amps)
    voltage = flow(time_s, current, soc=0.02, pairs=False) + shift_v
    return ordered(time_s, current, voltage + np.random.default_rng(4).normal(0, noise_v, len(time_s)) if noise_v else voltage)


@pytest.mark.parametrize(("step_s", "noise_v"), [(5.0, 0.0), (60.0, 0.0), (5.0, 0.003), (20.0, 0.001)])
def test_peaks_lie_where_the_plateaus_are_whatever_sampling_and_noise(step_s: float, noise_v: float) -> None:
    found = curves(slow_charge(step_s=step_s, noise_v=noise_v), 2.0)
    assert np.trapezoid(found.ica_ah_per_v, found.voltage_v) == pytest.approx(2.0 * 0.96, rel=0.05)
    assert (found.dva_v_per_ah > 0).all()
    tops = [peak.at for peak in peaks(found.voltage_v, found.ica_ah_per_v)]
    np.testing.assert_allclose(tops, np.array(PEAKS_V) + 0.4 * OHM, atol=0.012)
    assert found.noise_v == pytest.approx(noise_v, rel=0.9, abs=0.0015)


def test_a_discharge_has_the_same_peaks_lower_by_its_drop() -> None:
    up = slow_charge()
    time_s = up.time_s
    down = ordered(time_s, -up.current_a, flow(time_s, -up.current_a, soc=0.98, pairs=False))
    found = curves(down, 2.0)
    assert (np.diff(found.voltage_v) > 0).all()
    np.testing.assert_allclose([peak.at for peak in peaks(found.voltage_v, found.ica_ah_per_v)], np.array(PEAKS_V) - 0.4 * OHM, atol=0.012)


def test_spikes_and_a_fast_charge_are_borne_and_told() -> None:
    clean = slow_charge(step_s=5.0)
    spiked = clean.voltage_v.copy()
    spiked[::97] += 0.3
    found = curves(replace(clean, voltage_v=spiked), 2.0)
    assert len(peaks(found.voltage_v, found.ica_ah_per_v)) == 2
    assert not found.notes
    assert "polarisation" in curves(slow_charge(amps=1.5), 2.0).notes[0]


@pytest.mark.parametrize(
    ("cut", "why"),
    [
        (lambda s: s.rows(slice(0, 20)), "too few"),
        (lambda s: s.rows(slice(0, 80)), "too little"),
        (lambda s: s.rows((s.time_s < 4_000) | (s.time_s > 7_000)), "gap"),
        (lambda s: replace(s, voltage_v=np.full(len(s), 3.7)), "hardly moved"),
    ],
)
def test_no_curve_without_one_stretch_of_charge(cut: object, why: str) -> None:
    with pytest.raises(WindowMissing, match=why):
        curves(cut(slow_charge()), 2.0)  # type: ignore[operator]


def test_peaks_are_followed_in_order_and_lost_ones_are_told() -> None:
    def at(*volts: float) -> list[Peak]:
        return [Peak(one, 1.0, 1.0, 0.02, 0.1) for one in volts]

    assert [now and now.at for _, now in tracked(at(3.5, 3.8), at(3.52, 3.83))] == [3.52, 3.83]
    assert [now and now.at for _, now in tracked(at(3.5, 3.8), at(3.83))] == [None, 3.83]
    assert [now and now.at for _, now in tracked(at(3.5, 3.8), at(3.45, 3.51, 3.6, 3.81))] == [3.51, 3.81]
    assert tracked([], at(3.5)) == []
    assert [now for _, now in tracked(at(3.5), at(3.9))] == [None]


def expected(since_s: float) -> float:
    return OHM + sum(ohm * (1 - np.exp(-since_s / tau)) for ohm, tau in PAIRS)


def test_a_pulse_tells_the_resistances_that_it_was_made_with() -> None:
    found = steps(pulse(step_s=0.02), 2.0)
    assert [np.sign(step.change_a) for step in found] == [1, -1]
    told = summary(found[:1])
    for time_s, ohm in zip((0.1, 1.0, 10.0, 30.0), told.at_ohm, strict=True):
        assert ohm == pytest.approx(expected(time_s), rel=0.06), time_s
    assert told.ohmic_ohm == pytest.approx(OHM, rel=0.15)
    assert told.transfer_ohm == pytest.approx(expected(1.0) - expected(0.1), rel=0.2)
    assert told.diffusion_ohm == pytest.approx(expected(30.0) - expected(1.0), rel=0.1)


def test_slow_sampling_tells_what_it_can_and_no_more() -> None:
    told = summary(steps(pulse(step_s=1.0), 2.0))
    assert np.isnan(told.at_ohm[0])
    assert np.isnan(told.ohmic_ohm)
    assert told.at_ohm[2] == pytest.approx(expected(10.0), rel=0.1)
    with pytest.raises(WindowMissing, match="no step"):
        summary(steps(pulse(amps=0.1), 2.0))


def test_a_pulse_that_ends_early_tells_no_later_time() -> None:
    told = summary(steps(pulse(hold_s=5.0), 2.0)[:1])
    assert np.isfinite(told.at_ohm[1])
    assert np.isnan(told.at_ohm[2])
    assert np.isnan(told.diffusion_ohm)


def test_relaxation_gives_back_the_impedance_that_the_cell_was_made_with() -> None:
    made = pulse(noise_v=0.0002, amps=20.0)
    found = relaxation(made, steps(made, 2.0)[0])
    hertz, told = impedance(found)
    truth = OHM + sum(ohm / (1 + 2j * np.pi * hertz * tau) for ohm, tau in PAIRS)
    assert np.abs(told - truth).max() < 0.08 * np.abs(truth).max()
    assert told.imag.max() <= 1e-12
    assert found.residual_ohm < 5e-5
    assert np.isnan(impedance(found, np.array([1e4]))[1]).all()  # faster than the pulse could show
    with pytest.raises(WindowMissing, match="too few"):
        relaxation(made, replace(steps(made, 2.0)[0], hold_s=0.3))


def test_warm_cells_resist_less_and_the_reference_says_how_unsure_that_is() -> None:
    assert at_reference(0.05, 25.0) == pytest.approx((0.05, 0.05, 0.05))
    cold, low, high = at_reference(0.05, 5.0)
    assert low < cold < high < 0.05
    assert at_reference(0.05, 45.0)[0] > 0.05
    with pytest.raises(ValueError, match="positive"):
        at_reference(-1.0, 25.0)


def test_resistance_health_falls_to_nothing_at_twice_the_new_resistance() -> None:
    same = resistance_health((0.06, 25.0), (0.04, 25.0))
    assert (same.rise, same.health) == pytest.approx((0.5, 0.5))
    assert same.low == pytest.approx(same.high)
    apart = resistance_health((0.06, 35.0), (0.04, 25.0))
    assert apart.low < apart.rise < apart.high
    assert apart.rise > same.rise
    assert resistance_health((0.08, 25.0), (0.04, 25.0)).health == pytest.approx(0.0)
    with pytest.raises(ValueError, match="apart"):
        resistance_health((0.06, 25.0), (0.04, 25.0), soc_apart=0.3)


def test_driving_is_full_of_steps_and_each_tells_the_same_resistance() -> None:
    """Four hours whose current never stands still for long."""
    random = np.random.default_rng(6)
    current = np.repeat(random.normal(0, 40, 14_400 // 4), 4)
    found = steps(ordered(np.arange(14_400.0), current, 350 + 0.05 * current), 100.0)
    assert len(found) > 1_000
    assert summary(found).at_ohm[1] == pytest.approx(0.05, rel=0.01)
