"""State of charge: filters on cells of another family than their own, anchors, honest plateaus, reasons to say nothing."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from benchmarks.soc_particles import Particles, Recorded, Sensors, day, measured
from bms_bridge.soc import CurveRefused
from bms_bridge.soc.bar_delta import differences
from bms_bridge.soc.cells import CellKind, kind_of, with_curve
from bms_bridge.soc.estimate import Knowledge, Method, Samples, Track, Verdict, follow
from bms_bridge.soc.ocv import OcvCurve, fit_ocv, mean_current

EVERY = 6


@functools.cache
def a_day(chemistry: str) -> tuple[Recorded, Recorded]:
    cells = Particles(chemistry, 3, 41, soc=np.array([0.2, 0.35, 0.5]), kind_seed=7)
    true = day(cells, 4, hours=16)
    told = measured(true, Sensors(), 8)
    mean = told.current_c.reshape(3, -1, EVERY).mean(axis=2)
    last = slice(EVERY - 1, None, EVERY)
    thin = Recorded(told.time_s[:, last], mean, told.voltage_v[:, last], told.temperature_c[:, last], told.soc[:, last])
    return thin, thin


@functools.cache
def learned(chemistry: str) -> CellKind:
    soc = np.concatenate([[0, 0.01, 0.02, 0.04], np.linspace(0.06, 1, 60)])
    full = float(Particles(chemistry, 1, 900, spread=0.0, kind_seed=7).full_soc()[0])
    cells = Particles(chemistry, len(soc), 900, soc=soc * full, spread=0.0, kind_seed=7)
    curve = OcvCurve(tuple(soc.tolist()), tuple(np.maximum.accumulate(cells.voltage(np.zeros(len(soc)))).tolist()))
    return with_curve(chemistry, curve, 0.006)


def samples(told: Recorded) -> Samples:
    return Samples(time_s=told.time_s, current_c=told.current_c, voltage_v=told.voltage_v, temperature_c=told.temperature_c)


def misses(track: Track, true: Recorded) -> np.ndarray:
    return np.sqrt(np.nanmean((track.soc - true.soc) ** 2, axis=1))


@pytest.mark.parametrize(("chemistry", "most"), [("NMC", 0.02), ("LFP", 0.04)])
@pytest.mark.parametrize("method", ["ekf", "ukf"])
def test_a_wrong_start_and_an_offset_are_found_out(chemistry: str, most: float, method: Method) -> None:
    true, told = a_day(chemistry)
    known = Knowledge(soc=np.clip(true.soc[:, 0] + np.array([0.1, -0.1, 0.1]), 0, 1))
    track = follow(learned(chemistry), samples(told), known, method=method)
    counted = follow(learned(chemistry), samples(told), known, method="counting")
    assert misses(track, true).mean() < most
    assert misses(track, true).mean() < 0.4 * misses(counted, true).mean()
    inside = (track.low <= true.soc) & (np.minimum(true.soc, 1.0) <= track.high)
    assert inside.mean() > 0.7
    assert track.full.any(axis=1).all()
    assert (track.verdict == Verdict.TOLD).mean() > 0.8


def test_the_plateau_is_told_wide_and_the_end_of_charge_narrow() -> None:
    true, told = a_day("LFP")
    track = follow(kind_of("lfp"), samples(told), Knowledge())
    width = track.high - track.low
    plateau = (true.soc[1] > 0.35) & (true.soc[1] < 0.6) & (np.arange(len(true.soc[1])) < track.full[1].argmax())
    assert np.median(width[1][plateau]) > 0.12
    for row in range(3):
        at = int(track.full[row].argmax())
        assert width[row, at] < 0.08
        assert abs(track.soc[row, at] - true.soc[row, at]) < 0.04


def test_a_gap_widens_and_a_long_one_says_nothing() -> None:
    _, told = a_day("NMC")
    broken = samples(told)
    current, voltage = broken.current_c.copy(), broken.voltage_v.copy()
    current[0, 583:593] = np.nan
    current[1, 583:617] = np.nan
    voltage[2, 583:617] = np.nan
    track = follow(
        learned("NMC"),
        Samples(time_s=broken.time_s, current_c=current, voltage_v=voltage, temperature_c=broken.temperature_c),
        Knowledge(soc=0.3),
    )
    width = track.high - track.low
    assert (track.verdict[0, 567:600] == Verdict.TOLD).all()
    assert width[0, 592] > width[0, 582]
    assert track.verdict[1, 612] == Verdict.NO_CURRENT
    assert track.verdict[2, 612] == Verdict.NO_VOLTAGE
    assert (track.verdict[:, 620] == Verdict.TOLD).all()


def test_nothing_known_on_a_plateau_is_no_estimate() -> None:
    kind = kind_of("LFP")
    count = 30
    still = Samples(
        time_s=np.arange(count)[None, :] * 10.0,
        current_c=np.zeros((1, count)),
        voltage_v=np.full((1, count), float(kind.curve.voltage(np.array([0.5]))[0])),
        temperature_c=np.full((1, count), np.nan),
    )
    track = follow(kind, still, Knowledge())
    told = track.verdict[0] == Verdict.TOLD
    assert not told.any() or (track.high - track.low)[0, told].min() > 0.4


def test_what_rest_shows_is_taken_off_the_current() -> None:
    kind = kind_of("NMC")
    count = 500
    still = Samples(
        time_s=np.arange(count)[None, :] * 10.0,
        current_c=np.full((1, count), 0.012),
        voltage_v=np.full((1, count), 3.7),
        temperature_c=np.full((1, count), 25.0),
    )
    track = follow(kind, still, Knowledge(soc=0.5))
    assert track.rest[0].sum() == 1
    assert track.offset_c[0, -1] == pytest.approx(0.012, abs=0.003)


def test_cells_that_differ_are_told_apart() -> None:
    kind = kind_of("NMC")
    hours = np.arange(0, 4, 10 / 3600)
    current = 0.2 * np.sign(np.sin(hours * 9)) + 0.1
    soc = 0.3 + np.concatenate([[0.0], np.cumsum(current[:-1]) * 10 / 612])
    offsets = np.array([0.0, 0.02, -0.03, 0.01])
    ohm = np.array([0.06, 0.05, 0.07, 0.06])
    random = np.random.default_rng(1)
    volts = kind.curve.voltage(soc[:, None] + offsets) + ohm * current[:, None] + random.normal(0, 0.001, (len(hours), 4))
    volts[::50, 1] = np.nan
    found = differences(kind, hours * 3600, current, soc, volts, keep=True)
    assert found.delta_soc == pytest.approx(offsets - offsets.mean(), abs=0.006)
    assert found.resistance_v_per_c[2] > found.resistance_v_per_c[1]
    assert found.delta_over_time.shape == (len(hours), 4)
    assert (found.delta_soc_sd < 0.02).all()


def test_curves_that_cannot_be_are_refused() -> None:
    with pytest.raises(CurveRefused, match="must rise"):
        OcvCurve((0.0, 0.5, 0.4, 1.0), (3.0, 3.2, 3.3, 3.4))
    with pytest.raises(CurveRefused, match="four knots"):
        OcvCurve((0.0, 1.0), (3.0, 3.4))
    with pytest.raises(CurveRefused, match="from 0 to 1"):
        OcvCurve((0.2, 0.5, 0.8, 1.0), (3.0, 3.2, 3.3, 3.4))
    with pytest.raises(CurveRefused, match="no open-circuit curve ships for NCA"):
        kind_of("nca")
    with pytest.raises(CurveRefused, match="no chemistry lead"):
        kind_of("lead")
    time = np.arange(100.0)
    with pytest.raises(CurveRefused, match="too fast"):
        fit_ocv(time * 10, np.full(100, 4.0), np.linspace(3, 4, 100))
    with pytest.raises(CurveRefused, match="no charge"):
        fit_ocv(time, np.zeros(100), np.linspace(3, 4, 100))


def test_a_decaying_current_is_counted_by_its_logarithm() -> None:
    time = np.array([0.0, 700.0, 1400.0])
    current = np.exp(-time / 900.0)
    assert float((mean_current(current) * 700).sum()) == pytest.approx(900 * (1 - np.exp(-1400 / 900)), rel=1e-6)
    assert mean_current(np.array([1.0, -1.0]))[0] == 0.0
    assert mean_current(np.array([0.0, 0.0]))[0] == 0.0


def test_a_current_that_goes_up_and_down_is_counted_whole() -> None:
    """A logarithmic mean between two steps of driving would count a discharge a tenth short, and take that for the sensor's offset."""
    current = -0.3 + 0.25 * np.sin(np.arange(2_000) * 0.9)
    plain = 0.5 * (current[1:] + current[:-1])
    assert float(mean_current(current).sum()) == pytest.approx(float(plain.sum()), rel=1e-9)
    assert float(mean_current(-current).sum()) == pytest.approx(-float(plain.sum()), rel=0.01)  # recuperating, or a charge that is uneven


def test_a_curve_comes_back_from_its_own_slow_charge() -> None:
    kind = kind_of("NMC")
    soc = np.linspace(0, 1, 2000)
    up = kind.curve.voltage(soc) + 0.05 * 0.08
    fit = fit_ocv(soc * 20 * 3600, np.full(2000, 2.5), up)
    assert fit.capacity_ah == pytest.approx(50, rel=0.01)
    middle = np.linspace(0.1, 0.95, 30)
    assert fit.curve.voltage(middle) == pytest.approx(kind.curve.voltage(middle), abs=0.004)
    assert "only a charge" in fit.notes[0]
    assert fit.curve.soc_of(fit.curve.voltage(middle)) == pytest.approx(middle, abs=0.002)
