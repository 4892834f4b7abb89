"""A pack's own open-circuit curve: seen between two full charges, used instead of one that does not fit."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

from bms_bridge.soc.cells import kind_of
from bms_bridge.soc.estimate import Knowledge, Samples, Track, begin, follow, follow_on
from bms_bridge.soc.own_curve import BINS, Seen, gather, mean_off_v, mismatch_v, own_kind, seen_range

STEP_S = 120.0
OFF_V = -0.06
OFFSET_C = 0.004
SEEN = (np.arange(BINS) + 0.5) / BINS
PARTS = ("time_s", "current_c", "voltage_v", "temperature_c")


def lived(*legs: tuple[float, float], soc: float = 0.95) -> tuple[Samples, np.ndarray]:
    """A cell whose curve lies 60 mV below LFP's: (capacities per hour, hours) legs; its sensor is off by 0.4 % of a capacity an hour."""
    kind = kind_of("LFP")
    wanted = np.concatenate([np.full(round(hours * 3600 / STEP_S), rate) for rate, hours in legs])
    current, true = np.zeros(len(wanted)), np.zeros(len(wanted))
    for place, rate in enumerate(wanted):
        step = min(rate * STEP_S / 3600, 1.0 - soc)
        soc += step
        current[place], true[place] = step * 3600 / STEP_S, soc
    volts = kind.curve.voltage(true) + OFF_V + 0.05 * current
    ended = (true >= 0.9999) & (current > 0)
    volts[ended] = 3.58
    rows = (np.arange(len(current)) * STEP_S, current + OFFSET_C, volts, np.full(len(current), 25.0))
    return Samples(**dict(zip(PARTS, (row[None, :] for row in rows), strict=True))), true


DAY = ((0.25, 1.5), (0.0, 1.0), (-0.2, 2.0), (0.0, 0.7), (-0.15, 2.0), (0.0, 0.7), (0.2, 4.0), (0.0, 1.0))


@functools.cache
def two_days() -> tuple[Samples, Track, np.ndarray]:
    samples, true = lived(*DAY, *DAY[2:])
    return samples, follow(kind_of("LFP"), samples, Knowledge(soc=0.95, soc_sd=0.05)), true


def test_a_curve_that_is_off_is_told_and_learned_from_what_lies_between_full_charges() -> None:
    base = kind_of("LFP")
    samples, track, true = two_days()
    assert track.full[0].sum() >= 3
    seen = gather(base, Seen(), samples, track)
    off_v, wrong = mismatch_v(base, seen)
    assert wrong
    assert off_v == pytest.approx(-OFF_V, abs=0.02)
    assert mean_off_v(base, seen) == pytest.approx(OFF_V, abs=0.02)
    assert np.isnan(mean_off_v(base, Seen()))
    assert seen.offset_c == pytest.approx(OFFSET_C, abs=0.0015)
    own = own_kind(base, seen)
    assert own is not None
    assert "its own" in own.source
    low, high = seen_range(seen)
    assert (low < 0.35, high > 0.95) == (True, True)
    inside = np.linspace(0.4, 0.95, 12)
    assert own.curve.voltage(inside) == pytest.approx(base.curve.voltage(inside) + OFF_V, abs=0.015)
    assert float(own.ocv_error_at(np.array([0.02]))[0]) > 2 * float(own.ocv_error_at(np.array([0.6]))[0])  # nothing was seen there
    again, later = lived(*DAY)
    known = Knowledge(soc=0.75, soc_sd=0.1, offset=seen.offset_c, offset_sd=seen.offset_sd_c)
    with_own, with_base = (follow(kind, again, known) for kind in (own, base))
    miss = [float(np.sqrt(((one.soc[0] - later) ** 2).mean())) for one in (with_own, with_base)]
    assert miss[0] < 0.04
    assert miss[0] < 0.7 * miss[1]
    assert true.min() < 0.4


def test_an_own_curve_knows_no_better_than_the_capacity_that_it_was_counted_in() -> None:
    base = kind_of("LFP")
    samples, track, _ = two_days()
    seen = gather(base, Seen(), samples, track)
    low, high = (own_kind(base, seen, capacity_sd) for capacity_sd in (0.01, 0.08))
    assert low is not None
    assert high is not None
    again, _ = lived(*DAY)
    widths, doubts = [], []
    for kind in (low, high):
        found = follow(kind, again, Knowledge(soc=0.75, soc_sd=0.1))
        half = 0.5 * (found.high[0] - found.low[0])
        widths.append((half[found.soc[0] < 0.5].mean(), half[found.soc[0] > 0.97].mean()))
        doubts.append(float(found.capacity_sd[0, -1]))
    assert widths[1][0] > widths[0][0] + 0.02  # far from full
    assert widths[1][1] == pytest.approx(widths[0][1], abs=0.005)  # full is full
    assert doubts[1] >= 0.08


def test_what_is_seen_in_pieces_is_the_same() -> None:
    base = kind_of("LFP")
    samples, track, _ = two_days()
    whole = gather(base, Seen(), samples, track)
    mark, seen, before = begin(base, Knowledge(soc=0.95, soc_sd=0.05), 1), Seen(), None
    for place in range(0, samples.time_s.shape[1], 97):
        piece = Samples(**{name: getattr(samples, name)[:, place : place + 97] for name in PARTS})
        found, mark = follow_on(base, piece, mark)
        seen = gather(base, seen, piece, found, before)
        before = (float(piece.time_s[0, -1]), float(piece.current_c[0, -1]))
    assert mark.time_s[0] == samples.time_s[0, -1]
    assert seen.fulls == whole.fulls
    assert seen.off_v == pytest.approx(whole.off_v, abs=1e-6)
    assert seen.log.shape == whole.log.shape


def test_rests_that_do_not_fit_widen_before_the_curve_is_known() -> None:
    _, track, _ = two_days()
    assert track.curve_sd[0, -1] > 1.2 * kind_of("LFP").first_error_v


def test_a_gap_in_what_flowed_or_one_full_charge_alone_teaches_nothing() -> None:
    base = kind_of("LFP")
    samples, track, _ = two_days()
    current = samples.current_c.copy()
    current[0, 200] = np.nan
    first = gather(base, Seen(), replace(samples, current_c=current), track)
    assert first.fulls < gather(base, Seen(), samples, track).fulls
    assert own_kind(base, Seen()) is None
    assert np.isnan(mismatch_v(base, Seen())[0])
