"""One trace of a cell or a pack, whole: clocks aligned, followed, each cell beside the mean, resistance and capacity as found.

Trace --analyse--> Analysis: what ``./chargeyard battery soc`` tells
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from bms_bridge.current_sign import TURNED, turned
from bms_bridge.soc import TraceRefused
from bms_bridge.soc.align import Lag, find_lag, moved
from bms_bridge.soc.bar_delta import Differences, differences
from bms_bridge.soc.cells import CellKind
from bms_bridge.soc.estimate import Knowledge, Method, Track, Verdict, follow
from bms_bridge.soc.identify import Resistance, resistance
from bms_bridge.soc.own_curve import Seen, gather, mismatch_v
from bms_bridge.soc.trace import Trace, as_samples, binned

STEP_S: Final = 10.0
CELLS: Final = 3


@dataclass(frozen=True, slots=True)
class Analysis:
    """``trace``: as it was followed (binned, aligned, per cell). ``track``: one row. ``lag``: what was taken off the voltage's
    clock; None: nothing.
    ``steps``: resistance by recursive least squares. ``cells``: None where fewer than three cells are told. ``curve_off_v``: how far the
    curve is off between two full charges (V; NaN: there were none); ``curve_wrong``: more than it claims, or its rests say so."""

    trace: Trace
    track: Track
    lag: Lag | None
    steps: Resistance
    cells: Differences | None
    curve_off_v: float = float("nan")
    curve_wrong: bool = False

    @property
    def told(self) -> float:
        """Share of the samples with a state of charge."""
        return float((self.track.verdict[0] == Verdict.TOLD).mean())


def analyse(
    kind: CellKind,
    trace: Trace,
    *,
    capacity_ah: float,
    known: Knowledge,
    method: Method = "ekf",
    series: int | None = None,
    lag_s: float | None = None,
) -> Analysis:
    """Estimate over one trace. ``lag_s``: how late the voltage's time stamps are (None: found from the trace). TraceRefused: a
    capacity that
    cannot be, or voltages of nobody knows how many cells,
    or currents with the other sign."""
    if not 0.01 <= capacity_ah <= 100_000:
        raise TraceRefused(f"a capacity of {capacity_ah:g} Ah cannot be: say the cell's (or the parallel group's) nominal capacity")
    one = trace.per_cell(series)
    typical = float(np.nanmedian(one.voltage_v))
    if not 0.6 * kind.empty_v <= typical <= 1.15 * kind.full_v:
        raise TraceRefused(
            f"voltages about {typical:.2f} V per cell are no {kind.chemistry} cell's ({kind.empty_v:g} to {kind.full_v:g} V): "
            "check --chemistry and --series"
        )
    fastest = float(np.nanmax(np.abs(one.current_a))) / capacity_ah
    if fastest > 30:
        raise TraceRefused(f"{fastest:.0f} capacities per hour cannot be: check --capacity-ah and the unit of the current (A)")
    if turned(one.time_s, one.current_a, one.voltage_v):
        raise TraceRefused(TURNED)
    lag = (
        find_lag(one.time_s, one.current_a, one.voltage_v) if lag_s is None else (Lag(lag_s, float("nan"), float("nan")) if lag_s else None)
    )
    if lag is not None:
        cells = one.cells_v.copy()
        for column in range(cells.shape[1]):
            cells[:, column] = moved(one.time_s, cells[:, column], lag.lag_s)
        one = replace(one, voltage_v=moved(one.time_s, one.voltage_v, lag.lag_s), cells_v=cells)
    steps = resistance(one.time_s, one.current_a, one.voltage_v, capacity_ah=capacity_ah)
    if steps.steps >= 20 and float(steps.ohm[-1]) < -3 * steps.ohm_sd:
        raise TraceRefused(TURNED)
    short = binned(one, STEP_S)
    samples = as_samples(short, capacity_ah)
    track = follow(kind, samples, known, method=method)
    off_v, wrong = mismatch_v(kind, gather(kind, Seen(), samples, track))
    wrong = wrong or bool(track.curve_sd[0, -1] > 2 * kind.first_error_v)
    apart = None
    if short.cells_v.shape[1] >= CELLS:
        apart = differences(kind, short.time_s, short.current_a / capacity_ah, track.soc[0], short.cells_v)
    return Analysis(short, track, lag, steps, apart, off_v, wrong)
