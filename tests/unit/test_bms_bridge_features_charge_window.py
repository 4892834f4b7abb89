"""The end of a charge as sixteen numbers: exact on a straight line, the same whatever the sampling, missing when not measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from feature_kit import charge
from scipy.stats import spearmanr

from bms_bridge.features import WindowMissing
from bms_bridge.features.charge_window import Window, charge_table, charges_of, window_features
from bms_bridge.features.sample_files import read_samples
from bms_bridge.features.samples import Samples, ordered
from bms_bridge.health.charge_table import FEATURES

WINDOW = Window(4.2)


def straight(step_s: float = 1.0) -> Samples:
    """3.9 to 4.2 V in 900 s at 2 A, then from 2 A down to nothing in 1,000 s."""
    time_s = np.arange(0.0, 1_900 + step_s / 2, step_s)
    rising = time_s <= 900
    voltage = np.where(rising, 3.9 + 0.3 * time_s / 900, 4.2)
    current = np.where(rising, 2.0, 2.0 * (1 - (time_s - 900) / 1_000))
    return ordered(time_s, current, voltage)


def named(numbers: np.ndarray) -> dict[str, float]:
    return dict(zip(FEATURES, numbers.tolist(), strict=True))


def test_straight_lines_have_the_numbers_that_can_be_reckoned_by_hand() -> None:
    found = named(window_features(straight(), WINDOW))
    assert found["CC_charge_time"] == pytest.approx(600, abs=10)
    assert found["CC_Q"] == pytest.approx(2 * found["CC_charge_time"] / 3600)
    assert found["voltage_mean"] == pytest.approx(4.1, abs=0.002)
    assert found["voltage_std"] == pytest.approx(0.2 / np.sqrt(12), rel=0.02)
    assert found["voltage_kurtosis"] == pytest.approx(-1.2, abs=0.02)
    assert found["voltage_skewness"] == pytest.approx(0.0, abs=0.02)
    assert found["voltage_slope"] == pytest.approx(0.3 / 900, rel=1e-3)
    assert found["voltage_entropy"] == pytest.approx(np.log(found["CC_charge_time"] / WINDOW.step_s), abs=0.02)
    assert found["CV_charge_time"] == pytest.approx(200, abs=1)  # from 0.5 A to 0.1 A
    assert found["CV_Q"] == pytest.approx(0.3 * 200 / 3600, rel=0.01)
    assert found["current_slope"] == pytest.approx(-0.002, rel=0.01)


@pytest.mark.parametrize("step_s", [2.0, 10.0, 25.0])
def test_numbers_are_the_same_whatever_the_sampling_is(step_s: float) -> None:
    fine, coarse = (window_features(straight(step), WINDOW) for step in (1.0, step_s))
    np.testing.assert_allclose(coarse, fine, rtol=0.03, atol=0.05)


def test_noise_of_a_millivolt_moves_numbers_little() -> None:
    clean = straight()
    noisy = replace(clean, voltage_v=clean.voltage_v + np.random.default_rng(2).normal(0, 0.001, len(clean)))
    a, b = named(window_features(clean, WINDOW)), named(window_features(noisy, WINDOW))
    for name in ("voltage_mean", "CC_Q", "CC_charge_time", "CV_Q", "CV_charge_time"):
        assert b[name] == pytest.approx(a[name], rel=0.03), name


@pytest.mark.parametrize(
    ("cut", "why"),
    [
        (lambda s: s.rows(slice(400, None)), "began above"),
        (lambda s: s.rows(slice(0, 700)), "below the cut-off"),
        (lambda s: s.rows(slice(0, 1_400)), "fell to"),
        (lambda s: s.rows((s.time_s < 500) | (s.time_s > 800)), "gap"),
        (lambda s: s.rows((s.time_s < 1_700) | (s.time_s > 1_790)), "gap"),
        (lambda s: replace(s, current_a=np.where(s.time_s < 600, 1.0, s.current_a)), "no constant current"),
        (lambda s: replace(s, current_a=s.current_a / 10), "no constant current"),
    ],
)
def test_a_window_that_was_not_measured_is_missing_with_its_reason(cut: object, why: str) -> None:
    with pytest.raises(WindowMissing, match=why):
        window_features(cut(straight()), WINDOW)  # type: ignore[operator]


def test_a_cell_that_faded_takes_less_in_its_window_and_one_that_resists_more_at_constant_voltage() -> None:
    new, smaller, stiffer = (
        named(window_features(charge(capacity_ah=ah, ohm=ohm), WINDOW)) for ah, ohm in ((2.0, 0.06), (1.6, 0.06), (2.0, 0.12))
    )
    assert smaller["CC_charge_time"] == pytest.approx(0.8 * new["CC_charge_time"], rel=0.03)
    assert smaller["CC_Q"] == pytest.approx(0.8 * new["CC_Q"], rel=0.03)
    assert stiffer["CV_charge_time"] > 1.5 * new["CV_charge_time"]


def test_charges_become_a_table_that_health_takes() -> None:
    whole, missing = charges_of(charge(), 2.0, WINDOW)
    assert (len(whole), missing) == (1, [])
    table = charge_table("invented", {"a": whole, "b": whole}, 2.0, "batch-0")
    assert table.features.shape == (2, 16)
    assert table.batches.tolist() == ["batch-0"] * 2
    assert np.isnan(table.soh).all()
    with pytest.raises(WindowMissing):
        charge_table("invented", {"a": []}, 2.0)


@pytest.mark.data
def test_real_charges_tell_fade_by_their_constant_voltage_phase(data_dir: Path) -> None:
    """CALCE CS2 cells (LCO, sampled every 50 s, most charges cut before 0.1 A): none has the usual window, most have a shorter one, and
    what flows in it grows as the cell fades."""
    samples = read_samples(data_dir / "battery" / "calce" / "calce_curves_every10th.parquet")["CS2_37"]
    whole, missing = charges_of(samples, 1.1, Window(4.2, to_a=0.3))
    assert len(whole) > 50
    assert missing
    cycles, slowness = (np.array(column) for column in zip(*[(cycle, named(numbers)["CV_Q"]) for cycle, numbers in whole], strict=True))
    assert spearmanr(cycles, slowness).statistic > 0.7
