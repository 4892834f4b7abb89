"""What a battery's own management system measures: cells, sensors, insulation; and what it allows.

    Pack (charge and temperature of the whole), power --advance()--> one bad cell, hot spots --look()--> Look

All cells follow the pack, each with its small differences; one may be bad, and has a charge and a temperature of its own. No
chemistry is modelled: voltages, gradients and rates are of ordinary size, so that who watches batteries has something to see.
Nothing here is shared with who does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from simulator.battery_faults import (
    Fault,
    HotPack,
    InsulationFault,
    InternalShort,
    LostSensors,
    OverCharge,
    Runaway,
    StopDemanded,
    StuckSensor,
    TwinSensor,
)
from simulator.pack import Pack

SENSORS = 4
_GRADIENT_K = 0.4
"""From sensor to sensor, at rest; as much again at 1C."""
_NOISE_K = 0.15
_NEIGHBOURS = 0.6
"""How much of a hot spot's excess the sensors around it see."""
_COOLING_S = 900.0
"""Time constant of a hot spot towards the pack."""
_CELL_HEAT_WH_PER_K_KWH = 1.8
_NEAR, _NEAR_LAG_S = 0.7, 8.0
"""Share of a bad cell's excess that the sensor beside it sees, and how late."""
_FAR, _FAR_LAG_S = 0.15, 60.0
_SCALE_ENDS_C = 125.0
"""The most that such a sensor can say."""
_SELF_HEAT_130C, _SELF_HEAT_DOUBLES_K = 0.0148, 8.0
"""K/s of a cell at 130 °C by itself, and the K that double it: 13 minutes from there, as oven tests have it."""
_SEPARATOR_C = (125.0, 140.0)
"""Between these a cell's voltage collapses."""
_GOES_OFF_C, _BLAST_K = 200.0, 250.0
_LEAK_MOST_A = 2000.0
_SOUND_OHM = 2_000_000.0
_GROUP, _GROUPS_UNLIKE, _CELLS_UNLIKE = 12, 0.006, 0.004
"""Cells that age together (as in a module), and how unlike such groups and their cells become in capacity, as shares."""

_MARGIN = 1.25
"""The management allows so much more current than the battery takes by itself."""


@dataclass(frozen=True, slots=True)
class Make:
    """A make of battery. ``rest_v``: (state of charge, V of a cell at rest), rising. ``full_v``: most that a cell may have while
    charging. ``drop_1c_v``: what 1C adds to a cell's voltage."""

    chemistry: str
    rest_v: tuple[tuple[float, float], ...]
    full_v: float
    drop_1c_v: float

    def at_rest(self, soc: float) -> tuple[float, float]:
        """(V, V per unit of charge) of a cell at rest; straight on beyond both ends."""
        points = self.rest_v
        k = 1
        while k < len(points) - 1 and soc > points[k][0]:
            k += 1
        (x0, y0), (x1, y1) = points[k - 1], points[k]
        slope = (y1 - y0) / (x1 - x0)
        return y0 + (soc - x0) * slope, slope


LFP: Final = Make(
    "LFP", ((0.0, 2.80), (0.05, 3.12), (0.12, 3.21), (0.3, 3.28), (0.6, 3.31), (0.9, 3.34), (0.96, 3.36), (1.0, 3.44)), 3.65, 0.09
)
NMC: Final = Make("NMC", ((0.0, 3.20), (0.1, 3.46), (0.3, 3.60), (0.5, 3.70), (0.75, 3.93), (0.9, 4.07), (1.0, 4.16)), 4.20, 0.06)
MAKES: Final[Mapping[str, Make]] = {make.chemistry: make for make in (LFP, NMC)}


def series_of(capacity_wh: float) -> int:
    """Cells in series of a battery of ordinary build: a three-wheeler's, a car's or van's, a bus's."""
    return 16 if capacity_wh < 20_000 else 108 if capacity_wh < 100_000 else 192


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the battery's management system says at one moment: °C, V, A (charging positive), ohm; None: no value."""

    temperatures_c: list[float | None]
    soc: float
    current_a: float
    voltage_v: float
    cells_v: list[float]
    insulation_ohm: float
    limit_a: float
    limit_v: float
    stop: bool
    alarms: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _BadCell:
    """The one cell that has a life of its own. ``short_of``: charge that it lacks against the others. ``ahead_v``: what it is
    above them. ``near_k``, ``far_k``: its excess as the sensors see it."""

    excess_k: float = 0.0
    short_of: float = 0.0
    ahead_v: float = 0.0
    near_k: float = 0.0
    far_k: float = 0.0
    gone: bool = False


class Cells:
    """The inside of a battery of ``make`` with ``series`` cells in series and ``sensors`` thermometers, drawn by ``rng``.
    ``faults`` may be changed at any time; ``alarms``: flags that are raised whatever else is."""

    def __init__(self, make: Make, *, series: int, rng: Random, sensors: int = SENSORS, faults: Iterable[Fault] = ()) -> None:
        self.make = make
        self.faults: list[Fault] = list(faults)
        self.alarms: list[str] = []
        self.excess_k = 0.0
        """Of a pack that overheats, above what charging explains."""
        self.bad = _BadCell()
        self._rng = rng
        self._bad_at = rng.randrange(series)
        self._fuller = [rng.gauss(0.0, 0.003) for _ in range(series)]
        self._stiffer = [1.0 + rng.gauss(0.0, 0.03) for _ in range(series)]
        self._ohm = _SOUND_OHM * rng.uniform(0.8, 1.5)
        self._smaller: list[float] = []
        """By how much less each holds than the mean cell, as a share; empty: all hold the same."""
        self._sensors = sensors
        self._stuck: dict[int, float] = {}

    # -- time ---------------------------------------------------------------------------------------------------------

    def aged(self, *, stiffer: float = 1.0, short_of: float = 0.0, uneven: Random | None = None) -> None:
        """What years have done: each cell's resistance times ``stiffer``; the charge that the one bad cell lacks (0 to 1); cells and
        groups of them that have become unlike in capacity, drawn by ``uneven``."""
        self._stiffer = [own * stiffer for own in self._stiffer]
        self.bad.short_of = short_of
        if uneven is not None:
            groups = [uneven.gauss(0.0, _GROUPS_UNLIKE) for _ in range(-(-len(self._fuller) // _GROUP))]
            self._smaller = [groups[k // _GROUP] + uneven.gauss(0.0, _CELLS_UNLIKE) for k in range(len(self._fuller))]

    def advance(self, seconds: float, pack: Pack, *, power_w: float, on_charger_s: float) -> None:
        """Let ``seconds`` pass with ``power_w`` (grid side) flowing; ``on_charger_s``: since when it is plugged in, at their end."""
        heating = 0.0
        for fault in self.faults:
            since_s = on_charger_s - fault.after_s
            if since_s <= 0:
                continue
            if isinstance(fault, HotPack) and power_w > 0:
                heating += fault.rise_k_per_min / 60.0
                self.excess_k = min(fault.most_k, self.excess_k + fault.rise_k_per_min * min(seconds, since_s) / 60.0)
            elif isinstance(fault, OverCharge) and power_w > 0:
                self.bad.ahead_v += fault.v_per_min * min(seconds, since_s) / 60.0
        if not heating:
            self.excess_k *= math.exp(-seconds / _COOLING_S)
        if self.bad.excess_k > 0 or any(isinstance(fault, (InternalShort, Runaway)) for fault in self.faults):
            steps = max(1, math.ceil(seconds))
            for k in range(steps):
                self._cell_lives(seconds / steps, pack, on_charger_s - seconds + (k + 1) * seconds / steps)

    def _cell_lives(self, seconds: float, pack: Pack, at_s: float) -> None:
        """A second of the bad cell: leak, heat from within, heat that leaves."""
        bad, cells = self.bad, len(self._fuller)
        rate = 0.0
        for fault in self.faults:
            since_s = at_s - fault.after_s
            if since_s <= 0:
                continue
            if isinstance(fault, InternalShort):
                doubled = 2.0 ** min(30.0, since_s / fault.doubles_s) if fault.doubles_s else 1.0
                leak_a = min(_LEAK_MOST_A, fault.leak_a * doubled)
                volts = self.make.at_rest(pack.soc)[0]
                capacity_ah = pack.capacity_wh / (cells * volts)
                if bad.short_of < pack.soc:
                    bad.short_of += leak_a * seconds / 3600.0 / capacity_ah
                    rate += leak_a * volts / 3600.0 / (_CELL_HEAT_WH_PER_K_KWH * pack.capacity_wh / cells / 1000.0)
            elif isinstance(fault, Runaway):
                rate += fault.rate_k_per_s * 2.0 ** min(12.0, since_s / fault.doubles_s)
        cell_c = pack.temp_c + bad.excess_k
        if not bad.gone:
            rate += _SELF_HEAT_130C * 2.0 ** ((min(cell_c, _GOES_OFF_C) - 130.0) / _SELF_HEAT_DOUBLES_K)
            bad.excess_k += rate * seconds
            if pack.temp_c + bad.excess_k >= _GOES_OFF_C:
                bad.gone = True
                bad.excess_k += _BLAST_K
        bad.excess_k *= math.exp(-seconds / _COOLING_S)
        bad.near_k += (bad.excess_k * _NEAR - bad.near_k) * (1.0 - math.exp(-seconds / _NEAR_LAG_S))
        bad.far_k += (bad.excess_k * _FAR - bad.far_k) * (1.0 - math.exp(-seconds / _FAR_LAG_S))

    # -- what is measured -----------------------------------------------------------------------------------------------

    def look(self, pack: Pack, *, power_w: float, on_charger_s: float) -> Look:
        """What the management system says now."""
        battery_w = power_w * pack.efficiency if power_w > 0 else power_w / pack.efficiency
        c_rate = battery_w / pack.capacity_wh
        cells = self._cells(pack.soc, c_rate, pack.temp_c)
        voltage_v = sum(cells)
        temperatures = self._temperatures(pack.temp_c, abs(c_rate), on_charger_s)
        ohm = self._insulation(on_charger_s)
        demanded = any(isinstance(fault, StopDemanded) and on_charger_s > fault.after_s for fault in self.faults)
        allowed_w = 0.0 if demanded else pack.allowed_w() * pack.efficiency
        return Look(
            temperatures_c=temperatures,
            soc=pack.soc,
            current_a=round(battery_w / max(voltage_v, 1.0), 1),
            voltage_v=round(voltage_v, 1),
            cells_v=cells,
            insulation_ohm=round(ohm, -2),
            limit_a=round(_MARGIN * allowed_w / max(voltage_v, 1.0), 1),
            limit_v=round(self.make.full_v * len(cells), 1),
            stop=demanded,
            alarms=self._raised(temperatures, on_charger_s),
        )

    def _cells(self, soc: float, c_rate: float, pack_c: float) -> list[float]:
        rest_v, slope = self.make.at_rest(soc)
        drop_v = self.make.drop_1c_v * c_rate
        rest_mv, slope_mv, drop_mv = rest_v * 1000.0 + 0.5, slope * 1000.0, drop_v * 1000.0
        fuller = self._fuller
        if self._smaller:  # full together, the smaller ones are emptier below
            fuller = [f - less * (1.0 - soc) for f, less in zip(fuller, self._smaller, strict=True)]
        # whole millivolts, without a call for each cell: there are thousands of them in a yard
        cells = [(rest_mv + slope_mv * f + drop_mv * s) // 1.0 / 1000.0 for f, s in zip(fuller, self._stiffer, strict=True)]
        bad = self.bad
        if bad.short_of or bad.ahead_v or bad.excess_k > 1.0:
            volts = self.make.at_rest(max(0.0, soc - bad.short_of))[0] + drop_v + bad.ahead_v
            low, high = _SEPARATOR_C
            sound = min(1.0, max(0.0, (high - pack_c - bad.excess_k) / (high - low)))
            cells[self._bad_at] = 0.0 if bad.gone else round(volts * (0.3 + 0.7 * sound), 3)
        return cells

    def _temperatures(self, pack_c: float, c_rate: float, at_s: float) -> list[float | None]:
        gauss, bad = self._rng.gauss, self.bad
        gradient_k = _GRADIENT_K * (1.0 + c_rate)
        middle = (self._sensors - 1) / 2
        found: list[float | None] = []
        for number in range(self._sensors):
            excess_k = self.excess_k * (_NEIGHBOURS if number else 1.0) + (bad.far_k if number else bad.near_k)
            value = pack_c + gradient_k * (number - middle) + excess_k + gauss(0.0, _NOISE_K)
            found.append(round(min(value, _SCALE_ENDS_C), 1))
        if bad.gone and bad.near_k > _SCALE_ENDS_C:
            found[0] = None  # burnt
        for fault in self.faults:
            if at_s <= fault.after_s:
                continue
            if isinstance(fault, StuckSensor):
                value_c = found[fault.sensor]
                if value_c is not None:
                    found[fault.sensor] = self._stuck.setdefault(fault.sensor, value_c)
            elif isinstance(fault, TwinSensor):
                found[fault.sensor] = found[fault.sensor - 1]
            elif isinstance(fault, LostSensors):
                found[: fault.count] = [None] * min(fault.count, len(found))
        return found

    def _insulation(self, at_s: float) -> float:
        ohm = self._ohm * (1.0 + self._rng.gauss(0.0, 0.01))
        for fault in self.faults:
            if isinstance(fault, InsulationFault) and at_s > fault.after_s:
                ohm = fault.ohm + (ohm - fault.ohm) * math.exp(-(at_s - fault.after_s) / fault.falls_s)
        return ohm

    def _raised(self, temperatures: list[float | None], at_s: float) -> list[str]:
        alarms = list(self.alarms)
        hottest = max((c for c in temperatures if c is not None), default=None)
        for fault in self.faults:
            if isinstance(fault, HotPack) and fault.alarm_c is not None and hottest is not None and hottest >= fault.alarm_c:
                alarms.append(fault.alarm)
        return alarms
