"""Months over years for packs × members: health, cycles and years to an end, with P10, P50, P90.

    packs, their duties --lanes: kinds × seasons × healths, a day in seconds each--> what a day takes --months, members--> Outlook

Multi-rate: a day is run in seconds at seven healths and in each season of its duty; what it takes is read between those for every
member's own health, month by month. What a member cannot serve any more shows as ``unserved``; it goes on being asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.twin.ageing import ageing_of, mean_loss, own_cycle_factor, time_rate
from bms_bridge.twin.day import DAYS_PER_YEAR, STEP_S, Day, Lanes, run_day
from bms_bridge.twin.duty import Duty
from bms_bridge.twin.lump import Floats
from bms_bridge.twin.members import EXPONENTS, MEMBERS, Members, Pack, Spread, members_of, spreads

HEALTHS: Final = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
QUANTILES: Final = (0.1, 0.5, 0.9)
ENDS: Final = (0.8, 0.7, 0.6)
GONE: Final = 0.3
"""Below this health nothing is told; a member stays there."""

AT_ONCE: Final = 1000
"""Packs in memory together: some hundred megabytes for ten years."""

MOST_DRIFT_C: Final = 5.0
"""Nobody measured how packs go on at faster charges than this."""

MONTHS: Final = 12
MOST_YEARS: Final = 40


@dataclass(frozen=True, eq=False, slots=True)
class Outlook:
    """``health`` [pack, year, quantile]: at the ends of years, the first entry is now; ``years_to``, ``cycles_to`` [pack, end, quantile] of
    :data:`ENDS`: from now on, inf: not within the run, 0: already below; ``hottest_c`` [pack]; ``unserved`` [pack, 2]: share of what is
    asked, now and at the end (middle member); ``efficiency`` [pack]; ``bent`` [pack]: share of members past their bend at the end;
    ``member_health`` [pack, year, member]; ``full_cycles_a_year`` [pack]: in the first year, middle member."""

    health: Floats
    years_to: Floats
    cycles_to: Floats
    hottest_c: Floats
    unserved: Floats
    efficiency: Floats
    bent: Floats
    member_health: Floats
    full_cycles_a_year: Floats


@dataclass(frozen=True, eq=False, slots=True)
class _Table:
    """What a day takes, [kind, season slot, health]; ``of`` [pack]: its kind. Seasons are twelve months."""

    of: NDArray[np.intp]
    time: Floats
    warmer: Floats
    cycles: Floats
    full: Floats
    hottest: Floats
    unserved: Floats
    efficiency: Floats


def outlook(
    packs: Sequence[Pack],
    duties: Sequence[Duty],
    *,
    years: int = 10,
    members: int = MEMBERS,
    step_s: float = STEP_S,
    ends: Sequence[float] = ENDS,
    steps_a_month: int = 1,
    spread: Mapping[str, Spread] | None = None,
) -> Outlook:
    """Run each pack under its duty for ``years``. ``ends``: healths until which years and cycles are told; ``steps_a_month``: more than one
    for duties that wear a pack out within months; ``spread``: see :func:`members_of`. UnknownCell: of a chemistry nothing is known;
    ValueError: lengths differ."""
    if len(packs) != len(duties) or not packs or not 1 <= years <= MOST_YEARS:
        raise ValueError(f"one duty per pack, at least one pack, 1 to {MOST_YEARS} years")
    if len(packs) > AT_ONCE:
        parts = [
            outlook(
                packs[i : i + AT_ONCE],
                duties[i : i + AT_ONCE],
                years=years,
                members=members,
                step_s=step_s,
                ends=ends,
                steps_a_month=steps_a_month,
                spread=spread,
            )
            for i in range(0, len(packs), AT_ONCE)
        ]
        return Outlook(*(np.concatenate([getattr(part, name) for part in parts]) for name in Outlook.__slots__))
    table = _table(packs, duties, step_s)
    drawn = members_of(list(packs), members=members, spread=spread)
    ageing = ageing_of([pack.chemistry for pack in packs])
    rate = np.array([min(duty.charge_c_rate, MOST_DRIFT_C) for duty in duties])
    return _Months(table, drawn, ageing.time_exponent[:, None], ageing.cycle_exponent[:, None], rate[:, None], steps_a_month).run(
        years, tuple(ends)
    )


class _Months:
    def __init__(self, table: _Table, drawn: Members, time_exponent: Floats, cycle_exponent: Floats, rate: Floats, steps: int) -> None:
        self.table, self.drawn, self.steps = table, drawn, steps
        self.z_time = time_exponent
        self.z_own = np.clip(time_exponent + drawn.exponent, *EXPONENTS)
        self.z_cycles = drawn.cycle_exponent
        self.time_sum = np.power(drawn.lost_time, 1 / self.z_own)
        self.cycle_sum = np.power(drawn.lost_cycles, 1 / self.z_cycles)
        self.cycle_factor = own_cycle_factor(drawn.cycles, cycle_exponent, self.z_cycles)
        self.cycle_drift = drawn.cycle_drift * np.exp(drawn.drift_per_c * rate)
        self.full = np.zeros_like(drawn.time)
        self.who = table.of[:, None]

    def run(self, years: int, ends: tuple[float, ...]) -> Outlook:
        health = self._health()
        path, full_path = [health], [self.full.copy()]
        for month in range(years * MONTHS):
            for _ in range(self.steps):
                health = self._step(month % MONTHS, health)
                path.append(health)
                full_path.append(self.full.copy())
        months, cycles = np.array(path), np.array(full_path)  # [step, pack, member]
        a_year = MONTHS * self.steps
        years_to, cycles_to = _crossings(months, cycles, ends, a_year)
        middle = (np.median(months[0], axis=1), np.median(months[-1], axis=1))
        table = self.table
        unserved = [_between(table.unserved.mean(axis=1), table.of, value) for value in middle]
        now = _between(table.efficiency.mean(axis=1), table.of, middle[0])
        hottest = np.max([_between(table.hottest.max(axis=1), table.of, value) for value in middle], axis=0)
        return Outlook(
            health=np.moveaxis(np.quantile(months[::a_year], QUANTILES, axis=2), 0, -1).swapaxes(0, 1),
            years_to=years_to,
            cycles_to=cycles_to,
            hottest_c=hottest,
            unserved=np.stack(unserved, axis=1),
            efficiency=now,
            bent=(months[-1] < self.drawn.knee_soh).mean(axis=1),
            member_health=months[::a_year].swapaxes(0, 1),
            full_cycles_a_year=np.median(cycles[a_year], axis=1),
        )

    def _step(self, month: int, health: Floats) -> Floats:
        part = 1 / (MONTHS * self.steps)
        low, share = _place(health)

        def a_day(values: Floats) -> Floats:
            left = values[self.who, month, low]
            found: Floats = left + (values[self.who, month, low + 1] - left) * share
            return found

        time = a_day(self.table.time)
        warmth = np.power(a_day(self.table.warmer) / np.maximum(time, 1e-300), self.drawn.warmth_k)
        bent = np.where(health < self.drawn.knee_soh, self.drawn.knee_ratio, 1.0)
        yearly = mean_loss(time * warmth * DAYS_PER_YEAR, self.z_time) * self.drawn.time
        self.time_sum += time_rate(yearly, self.z_own) * self.drawn.time_drift * part
        self.cycle_sum += a_day(self.table.cycles) * self.cycle_factor * bent * self.cycle_drift * (DAYS_PER_YEAR * part)
        self.full += a_day(self.table.full) * (DAYS_PER_YEAR * part)
        return np.minimum(self._health(), health)

    def _health(self) -> Floats:
        lost = np.power(self.time_sum, self.z_own) + np.power(self.cycle_sum, self.z_cycles)
        found: Floats = np.maximum(1.0 - lost, GONE)
        return found


def _table(packs: Sequence[Pack], duties: Sequence[Duty], step_s: float) -> _Table:
    """The days of all kinds of pack and duty; each is run once."""
    kinds: dict[tuple[str, Duty], int] = {}
    of = np.array([kinds.setdefault((pack.chemistry, duty), len(kinds)) for pack, duty in zip(packs, duties, strict=True)], dtype=np.intp)
    keys = [(name, duty, season, health) for name, duty in kinds for season in range(len(duty.ambient_c)) for health in HEALTHS]
    growth = [spreads()[name].resistance_per_fade if name in spreads() else 0.0 for name, *_ in keys]
    day = run_day(
        Lanes(
            chemistry=[name for name, *_ in keys],
            duty=[duty for _, duty, _, _ in keys],
            season=np.array([season for _, _, season, _ in keys], dtype=np.intp),
            health=np.array([health for *_, health in keys]),
            resistance=np.array([1 + per * (1 - key[3]) for per, key in zip(growth, keys, strict=True)]),
        ),
        step_s=step_s,
    )
    seasons = [len(duty.ambient_c) for _, duty in kinds]
    starts = np.concatenate([[0], np.cumsum([count * len(HEALTHS) for count in seasons])])
    begins = np.arange(MONTHS) * np.array(seasons)[:, None] // MONTHS * len(HEALTHS)
    rows = starts[:-1, None] + begins
    take = rows[:, :, None] + np.arange(len(HEALTHS))
    return _Table(of, *(values[take] for values in _columns(day)))


def _columns(day: Day) -> tuple[Floats, ...]:
    return day.time, day.time_warmer, day.cycles, day.full_cycles, day.hottest_c, day.unserved, np.nan_to_num(day.efficiency)


def _place(health: Floats) -> tuple[NDArray[np.intp], Floats]:
    place = np.clip((health - HEALTHS[0]) * 10, 0, len(HEALTHS) - 1 - 1e-9)
    low = place.astype(np.intp)
    return low, place - low


def _between(values: Floats, of: NDArray[np.intp], health: Floats) -> Floats:
    """[kind, health] at each pack's own."""
    low, share = _place(health)
    found: Floats = values[of, low] + (values[of, low + 1] - values[of, low]) * share
    return found


def _crossings(health: Floats, cycles: Floats, ends: tuple[float, ...], a_year: int) -> tuple[Floats, Floats]:
    """Years and full cycles from now to each end, [pack, end, quantile]."""
    years_to, cycles_to = [], []
    for end in ends:
        below = health <= end
        first = np.where(below.any(axis=0), below.argmax(axis=0), -1)
        before = np.maximum(first - 1, 0)
        pack, member = np.indices(first.shape)
        high, low = health[before, pack, member], health[first, pack, member]
        share = np.where(high > low, (high - end) / np.maximum(high - low, 1e-12), 0.0)
        at = np.where(first > 0, before + share, 0.0)
        full = cycles[before, pack, member] + share * (cycles[first, pack, member] - cycles[before, pack, member])
        never = first < 0
        years_to.append(_quantiles(np.where(never, np.inf, at / a_year)))
        cycles_to.append(_quantiles(np.where(never, np.inf, np.where(first > 0, full, 0.0))))
    return np.stack(years_to, axis=1), np.stack(cycles_to, axis=1)


def _quantiles(values: Floats) -> Floats:
    """[pack, quantile]; by sorted members, so that inf stays inf."""
    ordered = np.sort(values, axis=1)
    places = [min(round(q * (values.shape[1] - 1)), values.shape[1] - 1) for q in QUANTILES]
    found: Floats = ordered[:, places]
    return found
