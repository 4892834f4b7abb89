"""A day of a duty in seconds, for many packs at once: what it asks of them, how warm they get, and how much such a day ages them.

    lanes (chemistry × duty × season × health) --30 s steps, 5 min for ageing--> Day, after two days at 5 min steps that settle it

Lanes are independent: a fleet of one kind under one duty needs few. Power, energy and current are per nominal Ah and Wh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bms_bridge.twin.ageing import DEPTHS, ageing_of, at_depth
from bms_bridge.twin.cell import BUILD_UP_S, cells_of
from bms_bridge.twin.duty import DAY_H, Duty
from bms_bridge.twin.lump import Floats, lumps_of

STEP_S: Final = 30.0
SLOW_S: Final = 300.0
SETTLE_DAYS: Final = 2
DAYS_PER_YEAR: Final = 365.25
MOST_TIMES: Final = 1.25


@dataclass(frozen=True, slots=True)
class Lanes:
    """n lanes. ``season``: of its duty; ``health``: share of the nominal capacity; ``resistance``: times a new cell's."""

    chemistry: list[str]
    duty: list[Duty]
    season: NDArray[np.intp]
    health: Floats
    resistance: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Day:
    """n lanes. ``time``, ``time_warmer``: what a day adds to the sum of time, as it is and in surroundings that are 1 K warmer; ``cycles``:
    to the sum of cycles; ``full_cycles``: charged energy by nominal; ``depth``: the day's swing of the state of charge; ``hottest_c``,
    ``mean_c``; ``unserved``: share of the asked discharge that was not given; ``efficiency``: energy out by energy in."""

    time: Floats
    time_warmer: Floats
    cycles: Floats
    full_cycles: Floats
    depth: Floats
    hottest_c: Floats
    mean_c: Floats
    unserved: Floats
    efficiency: Floats


class _Run:
    """What changes over a day."""

    def __init__(self, lanes: Lanes) -> None:
        count = len(lanes.chemistry)
        self.lanes = lanes
        self.cells = cells_of(lanes.chemistry, lanes.resistance)
        self.lumps = lumps_of(lanes.chemistry)
        self.ageing = ageing_of(lanes.chemistry)
        duties: dict[int, Duty] = {id(duty): duty for duty in lanes.duty}
        place = {key: index for index, key in enumerate(duties)}
        self.duties = list(duties.values())
        self.duty = np.array([place[id(duty)] for duty in lanes.duty], dtype=np.intp)
        self.top = np.array([duty.top_soc for duty in lanes.duty])
        self.floor = np.array([duty.floor_soc for duty in lanes.duty])
        self.cooled_c = np.array([np.inf if duty.cooled_c is None else duty.cooled_c for duty in lanes.duty])
        self.mean_c = np.array([duty.ambient_c[season] for duty, season in zip(lanes.duty, lanes.season, strict=True)])
        self.swing_k = np.array([duty.swing_k for duty in lanes.duty])
        self.soc = self.top.copy()
        self.behind_v = np.zeros(count)
        self.temp = np.minimum(self.mean_c, self.cooled_c)
        self.heat_k = self.lumps.warms_k / self.cells.nominal_v
        """K in the end per W/Ah."""
        self.c_rate = np.zeros(count)
        self.volts = np.zeros(count)

    def step(self, asked: Floats, around: Floats, hours: float) -> None:
        """``asked``: kW per nominal kWh."""
        cells, health = self.cells, self.lanes.health
        open_v = cells.open_circuit_v(self.soc) + self.behind_v
        current = cells.current(asked * cells.nominal_v, open_v)
        taken = np.where(current > 0, current * self.lumps.accepted(slice(None), self.soc), current)
        most = np.maximum(self.top - self.soc, 0.0) * health / hours
        least = -np.maximum(self.soc - self.floor, 0.0) * health / hours
        self.c_rate = current = np.clip(taken, least, most)
        left = np.exp(-hours * 3600 / BUILD_UP_S)
        self.behind_v = self.behind_v * left + current * cells.behind * (1 - left)
        self.soc = self.soc + current * hours / health
        heat = current * current * cells.at_once + self.behind_v * self.behind_v / cells.behind
        self.temp = np.minimum(
            self.lumps.cooled(slice(None), around + heat * self.heat_k, self.temp, hours), np.maximum(self.cooled_c, -40.0)
        )
        self.volts = open_v + current * cells.at_once


def run_day(lanes: Lanes, *, step_s: float = STEP_S) -> Day:
    """The day of each lane."""
    run = _Run(lanes)
    count = len(lanes.chemistry)
    slow = np.array([duty.rates(SLOW_S) for duty in run.duties])
    for _ in range(SETTLE_DAYS):
        for k in range(slow.shape[1]):
            run.step(slow[run.duty, k], _around(run, (k + 0.5) * SLOW_S / 3600), SLOW_S / 3600)
    fine = np.array([duty.rates(step_s) for duty in run.duties])
    per_slow = round(SLOW_S / step_s)
    hours, slow_h = step_s / 3600, SLOW_S / 3600
    time, warmer, full = np.zeros(count), np.zeros(count), np.zeros(count)
    cycles = np.zeros((len(DEPTHS), count))
    given, energy_in, energy_out = np.zeros(count), np.zeros(count), np.zeros(count)
    warmth = np.zeros(count)
    hottest, low, high = run.temp.copy(), run.soc.copy(), run.soc.copy()
    for k in range(slow.shape[1]):
        around = _around(run, (k + 0.5) * slow_h)
        soc, temp, charged = run.soc, run.temp, np.zeros(count)
        for j in range(per_slow):
            run.step(fine[run.duty, k * per_slow + j], around, hours)
            charged += np.maximum(run.c_rate, 0.0) * hours
            power = run.c_rate * run.volts * hours / run.cells.nominal_v
            energy_in += np.maximum(power, 0.0)
            energy_out -= np.minimum(power, 0.0)
        low, high = np.minimum(low, run.soc), np.maximum(high, run.soc)
        hottest = np.maximum(hottest, run.temp)
        mean_c, mean_soc = (temp + run.temp) / 2, (soc + run.soc) / 2
        warmth += mean_c * slow_h / DAY_H
        years = slow_h / 24 / DAYS_PER_YEAR
        time += run.ageing.time_stress(mean_c, mean_soc) * years
        warmer += run.ageing.time_stress(np.minimum(mean_c + 1.0, np.maximum(run.cooled_c, mean_c)), mean_soc) * years
        full += charged
        cycles += run.ageing.cycle_stress(mean_c, charged / slow_h / lanes.health) * charged
    given = energy_out
    asked = -(np.minimum(fine, 0.0).sum(axis=1) * hours)[run.duty]
    depth = high - low
    days = np.array([duty.days_per_week for duty in lanes.duty]) / 7
    resting = run.ageing.time_stress(np.minimum(run.mean_c, run.cooled_c), run.top) * DAY_H / 24 / DAYS_PER_YEAR
    return Day(
        time=days * time + (1 - days) * resting,
        time_warmer=days * warmer + (1 - days) * resting * (warmer / np.maximum(time, 1e-300)),
        cycles=days * at_depth(cycles, depth),
        full_cycles=days * full,
        depth=depth,
        hottest_c=hottest,
        mean_c=days * warmth + (1 - days) * np.minimum(run.mean_c, run.cooled_c),
        unserved=np.where(asked > 0, np.clip(1 - given / np.maximum(asked, 1e-12), 0.0, 1.0), 0.0),
        efficiency=np.where(energy_in > 0, energy_out / np.maximum(energy_in, 1e-12), np.nan),
    )


def with_full_cycles(duty: Duty, chemistry: str, full_cycles_a_year: float) -> Duty:
    """The duty with as much power as brings a new pack so many full cycles a year: asked energy is of the nominal voltage, and a pack
    that is used near full has a higher one. At most :data:`MOST_TIMES` the power; what a pack cannot take is not made up for."""
    day = run_day(Lanes([chemistry], [duty], np.zeros(1, dtype=np.intp), np.ones(1), np.ones(1)))
    times = full_cycles_a_year / max(float(day.full_cycles[0]) * DAYS_PER_YEAR, 1e-9)
    times = min(max(times, 1.0), MOST_TIMES)
    return replace(duty, power=tuple((hours, rate * times) for hours, rate in duty.power))


def _around(run: _Run, hour: float) -> Floats:
    swing: Floats = run.mean_c + run.swing_k * np.cos((hour - 15.0) / 24.0 * 2 * np.pi)
    return swing
