"""A pack's state of charge while it is used: its samples since the last look, followed on from where they were left. Pure.

    Told.add() ... Told.take() --Bins--> go_on(kinds, Going, Bins) --> Going, ChargeState, points for its past

The pack counts as one large cell of its mean cell's voltage. Steps are :data:`STEP_S` long, however often its unit tells: a day costs
the same at one sample a second and at one a minute. What comes later than the step that it belongs to is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from bms_bridge.estimates.charge_past import points
from bms_bridge.estimates.charge_view import ChargePoint, ChargeState
from bms_bridge.lake.schema import moment
from bms_bridge.mean_cell import mean_cell_v
from bms_bridge.soc import filters
from bms_bridge.soc.bar_delta import CellsMark, Differences, begin_cells, cells_on
from bms_bridge.soc.cells import CellKind
from bms_bridge.soc.estimate import MOST_GAP_S, NORMAL_90, REST_C, WORDS, Knowledge, Mark, Samples, Track, Verdict, begin, follow_on
from bms_bridge.soc.own_curve import CAPACITY_SD, Seen, gather, mean_off_v, mismatch_v, own_kind

Floats = NDArray[np.float64]

STEP_S: Final = 30.0
BMS_ERROR: Final = 0.05
"""How wrong a battery management system's own state of charge may be: it says no interval."""

BMS_SLEPT: Final = 0.02
"""Its state of charge changed by more than this over a gap: the vehicle did not sleep."""

BMS_FRESH_S: Final = 300.0
CELLS: Final = 3
MOST_PENDING: Final = 40_000


@dataclass(frozen=True, slots=True)
class Bins:
    """Steps in order [n]: s, A, V of the mean cell, °C, V of the cells [n, m]; ``bms`` [n]: what the pack's own system says. NaN: not
    told."""

    time_s: Floats
    current_a: Floats
    voltage_v: Floats
    temperature_c: Floats
    cells_v: Floats
    bms: Floats

    def __len__(self) -> int:
        return len(self.time_s)


@dataclass(slots=True)
class Told:
    """Samples of one pack that were not followed yet."""

    _rows: list[tuple[float, float, float, float, float]] = field(default_factory=list)
    _cells: list[NDArray[np.float32]] = field(default_factory=list)
    newest_s: float = 0.0

    def add(
        self, t_s: float, current_a: float, voltage_v: float | None, cells_v: NDArray[np.float32], hottest_c: float, bms: float | None
    ) -> None:
        """One sample; ``voltage_v``: of the pack."""
        self._rows.append((t_s, current_a, math.nan if voltage_v is None else voltage_v, hottest_c, math.nan if bms is None else bms))
        self._cells.append(cells_v)
        self.newest_s = max(self.newest_s, t_s)
        if len(self._rows) > MOST_PENDING:
            del self._rows[: MOST_PENDING // 2], self._cells[: MOST_PENDING // 2]

    def drop(self) -> None:
        """Forget what waits."""
        self._rows, self._cells = [], []

    def take(self, series: int, *, after_s: float, now_s: float) -> Bins | None:
        """Whole steps after ``after_s``, taken out; the one that may still be filled stays. None: there is none."""
        edge = self.newest_s if now_s - self.newest_s > 2 * STEP_S else self.newest_s - STEP_S
        last = math.floor(edge / STEP_S)
        first = math.floor(after_s / STEP_S) + 1 if math.isfinite(after_s) else -math.inf
        ready, places, left = [], [], []
        for place, row in enumerate(self._rows):
            number = math.floor(row[0] / STEP_S)
            if number > last:
                left.append(place)
            elif number >= first:
                ready.append(place)
                places.append(number)
        rows, cells = np.array([self._rows[place] for place in ready]).reshape(-1, 5), [self._cells[place] for place in ready]
        self._rows, self._cells = [self._rows[place] for place in left], [self._cells[place] for place in left]
        return _bins(rows, cells, np.array(places), series) if ready else None


def _bins(rows: Floats, cells: list[NDArray[np.float32]], places: NDArray[np.int64], series: int) -> Bins:
    """Means over steps; of cells where as many as there are in series were told."""
    numbers, back = np.unique(places, return_inverse=True)
    count = len(numbers)

    def mean(values: Floats) -> Floats:
        there = np.isfinite(values)
        total = np.bincount(back, np.where(there, values, 0.0), count)
        known = np.bincount(back, there, count)
        return np.asarray(np.divide(total, known, out=np.full(count, np.nan), where=known > 0))

    voltage = mean(rows[:, 2]) / series
    by_cell = np.full((count, series), np.nan)
    whole = [place for place, own in enumerate(cells) if len(own) == series]
    if whole:
        table = np.stack([cells[place] for place in whole]).astype(np.float64)
        there = np.isfinite(table)
        total, known = np.zeros((count, series)), np.zeros((count, series))
        np.add.at(total, back[whole], np.where(there, table, 0.0))
        np.add.at(known, back[whole], there)
        by_cell = np.divide(total, known, out=by_cell, where=known > 0)
        means = mean_cell_v(by_cell)
        voltage = np.where(np.isfinite(means), means, voltage)
    return Bins(mean(rows[:, 0]), mean(rows[:, 1]), voltage, mean(rows[:, 3]), by_cell, mean(rows[:, 4]))


@dataclass(frozen=True, slots=True)
class Going:
    """Where a pack was left. ``base``: name of the curve that it was begun with; ``capacity_ah`` that currents are told in;
    ``cells`` None: not told by cell. ``bms``: what the pack's own system said last, at ``bms_s``. ``full_s``: of the last full charge.
    ``capacity_sd``: of ``capacity_ah``, a share."""

    base: str
    capacity_ah: float
    mark: Mark
    cells: CellsMark | None
    seen: Seen
    at_s: float
    bms: float = math.nan
    bms_s: float = math.nan
    full_s: float = math.nan
    capacity_sd: float = CAPACITY_SD


def start(base: CellKind, capacity_ah: float, capacity_sd: float, before: Going | None = None) -> Going:
    """Before the first step; ``before``: of another curve or another capacity, whose charge and resistances are kept."""
    known = Knowledge(capacity_sd=capacity_sd)
    if before is None:
        return Going(name_of(base), capacity_ah, begin(base, known, 1), None, Seen(), -math.inf, capacity_sd=capacity_sd)
    state = before.mark.belief.state[0]
    scale = before.capacity_ah / capacity_ah
    known = replace(known, soc=float(np.clip(state[filters.SOC], 0, 1)), soc_sd=0.15, offset=float(state[filters.OFFSET]) * scale)
    mark = begin(base, known, 1)
    was = before.mark
    mark = replace(mark, time_s=was.time_s, held_c=was.held_c * scale, held_v=was.held_v, blind_s=was.blind_s)
    return replace(before, base=name_of(base), capacity_ah=capacity_ah, mark=mark, cells=None, seen=Seen(), capacity_sd=capacity_sd)


def name_of(base: CellKind) -> str:
    """A curve's name: what must not change while a pack is followed."""
    ends = base.curve.voltage(np.array([0.05, 0.3, 0.5, 0.7, 0.95]))
    return f"{base.chemistry} {base.source} {np.round(ends, 3).tolist()}"


def kind_now(base: CellKind, going: Going) -> CellKind:
    """The kind that a pack is followed with: with its own curve as soon as enough was seen of it."""
    return own_kind(base, going.seen, going.capacity_sd) or base


def go_on(base: CellKind, kind: CellKind, going: Going, bins: Bins) -> tuple[Going, CellKind, ChargeState, list[ChargePoint]]:
    """Follow the steps. ``kind``: as :func:`kind_now` has it; the one that holds from now on comes back, and
    a point for each quarter of an hour."""
    bins = _woken(going, bins)
    current_c = bins.current_a / going.capacity_ah
    rows = (bins.time_s, current_c, bins.voltage_v, bins.temperature_c)
    samples = Samples(**dict(zip(("time_s", "current_c", "voltage_v", "temperature_c"), (row[None, :] for row in rows), strict=True)))
    track, mark = follow_on(kind, samples, going.mark)
    before = (float(going.mark.time_s[0]), float(going.mark.held_c[0]))
    seen = gather(base, going.seen, samples, track, before if all(map(math.isfinite, before)) else None)
    cells, apart = going.cells, None
    if bins.cells_v.shape[1] >= CELLS and np.isfinite(bins.cells_v).any():
        if cells is None or len(cells.state) != bins.cells_v.shape[1]:
            cells = begin_cells(bins.cells_v.shape[1])
        apart, cells = cells_on(kind, cells, bins.time_s, current_c, track.soc[0], bins.cells_v)
    if seen.fulls > going.seen.fulls:
        filters.see_rest(mark.belief, np.array([seen.offset_c]), seen.offset_sd_c)
        own = own_kind(base, seen, going.capacity_sd)
        if own is not None:
            kind = own
            filters.renew_curve(kind, mark.belief)
    told = np.flatnonzero(np.isfinite(bins.bms))
    full = np.flatnonzero(track.full[0])
    after = replace(
        going,
        mark=mark,
        cells=cells,
        seen=seen,
        at_s=float(bins.time_s[-1]),
        bms=float(bins.bms[told[-1]]) if len(told) else going.bms,
        bms_s=float(bins.time_s[told[-1]]) if len(told) else going.bms_s,
        full_s=float(bins.time_s[full[-1]]) if len(full) else going.full_s,
    )
    return after, kind, _with_cells(_state(base, kind, after, track, bins), apart), points(bins.time_s, bins.bms, track)


def _woken(going: Going, bins: Bins) -> Bins:
    """Where its own system says that it did not sleep over a gap, a step without a current says so: the interval grows by what may
    have flowed."""
    times = np.concatenate([going.mark.time_s, bins.time_s])
    own = np.concatenate([[going.bms], bins.bms])
    gaps = np.flatnonzero(np.diff(times) > MOST_GAP_S)
    woken = [int(gap) for gap in gaps if abs(own[gap + 1] - own[gap]) > BMS_SLEPT]
    if not woken:
        return bins
    values = [np.insert(part, woken, np.nan) for part in (bins.current_a, bins.voltage_v, bins.temperature_c, bins.bms)]
    time_s = np.insert(bins.time_s, woken, [bins.time_s[gap] - 1.0 for gap in woken])
    return Bins(time_s, values[0], values[1], values[2], np.insert(bins.cells_v, woken, np.nan, axis=0), values[3])


def _state(base: CellKind, kind: CellKind, going: Going, track: Track, bins: Bins) -> ChargeState:
    """What is known after the last step."""
    verdict = Verdict(int(track.verdict[0, -1]))
    soc, low, high = (round(float(row[0, -1]), 4) for row in (track.soc, track.low, track.high))
    resting = bool(abs(np.nan_to_num(bins.current_a[-1], nan=1e9)) < REST_C * going.capacity_ah)
    off_v, wrong = mismatch_v(base, going.seen, going.capacity_sd)
    mean_v = mean_off_v(base, going.seen)
    own = kind.source if kind is not base else ""
    now_off_v, may_off_v = float(track.curve_v[0, -1]), float(track.curve_sd[0, -1])
    bms = going.bms if math.isfinite(going.bms) and abs(going.at_s - going.bms_s) <= BMS_FRESH_S else math.nan
    note = ""
    if verdict is Verdict.TOLD and math.isfinite(bms) and not low - BMS_ERROR <= bms <= high + BMS_ERROR:
        note = (
            f"its own system says {bms:.0%}, its charge and voltage {low:.0%} to {high:.0%}: farther apart than both may be wrong "
            f"(its system's taken for {100 * BMS_ERROR:.0f} %-points)"
        )
    curve_note = ""
    if wrong:
        curve_note = f"the {base.source} curve does not fit this pack: off by {1000 * off_v:.0f} mV where it was seen" + (
            "; its own is used instead" if own else ""
        )
    elif not own and may_off_v > 2 * base.first_error_v:
        curve_note = (
            f"its rests do not fit the {base.source} curve (about {1000 * abs(now_off_v):.0f} mV): intervals are wider until its own is "
            "known, after two full charges"
        )
    ratio, spread = float(track.capacity[0, -1]), NORMAL_90 * float(track.capacity_sd[0, -1])
    ohmic_mohm = 1000 * float(track.ohmic[0, -1]) * kind.ohmic_v_per_c / going.capacity_ah
    doubt = math.exp(NORMAL_90 * float(track.ohmic_sd[0, -1]))
    told = verdict is Verdict.TOLD
    return ChargeState(
        at=moment(round(going.at_s * 1e6)),
        soc=soc if told else None,
        low=low if told else None,
        high=high if told else None,
        reason="" if told else WORDS[verdict].removeprefix("none: "),
        resting=resting,
        bms_soc=round(bms, 4) if math.isfinite(bms) else None,
        disagree=bool(note),
        note=note,
        curve=own or base.source,
        curve_off_mv=round(1000 * off_v, 1) if math.isfinite(off_v) else None,
        curve_wrong=bool(curve_note),
        curve_note=curve_note,
        capacity_ah=round(ratio * going.capacity_ah, 2),
        capacity_low_ah=round(ratio * math.exp(-spread) * going.capacity_ah, 2),
        capacity_high_ah=round(ratio * math.exp(spread) * going.capacity_ah, 2),
        cell_mohm=round(ohmic_mohm, 4),
        cell_low_mohm=round(ohmic_mohm / doubt, 4),
        cell_high_mohm=round(ohmic_mohm * doubt, 4),
        offset_a=round(float(track.offset_c[0, -1]) * going.capacity_ah, 3),
        full_at=moment(round(going.full_s * 1e6)) if math.isfinite(going.full_s) else None,
        curve_mean_mv=round(1000 * mean_v, 1) if math.isfinite(mean_v) else None,
        curve_off_wrong=wrong,
    )


def _with_cells(state: ChargeState, apart: Differences | None) -> ChargeState:
    """With the cells that are most and least charged, beside the mean."""
    if apart is None:
        return state
    most, least = int(apart.delta_soc.argmax()), int(apart.delta_soc.argmin())
    return msgspec.structs.replace(
        state,
        fullest_cell=most + 1,
        fullest_by=round(float(apart.delta_soc[most]), 4),
        emptiest_cell=least + 1,
        emptiest_by=round(float(apart.delta_soc[least]), 4),
        cells_error=round(float(NORMAL_90 * np.hypot(apart.delta_soc_sd[most], apart.delta_soc_sd[least])), 4),
    )
