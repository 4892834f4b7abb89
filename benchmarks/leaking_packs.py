"""Packs for the benchmark of anomalies: strings of measured cells, healthy ones and ones with a short that is put into one cell.

What is measured: capacity, and how fast the voltage rises at the end of a charge, of each cell at each of its charges (XJTU and
Tongji NCM cells, sixteen features of a charge: the charge between 4.0 V and 4.2 V and of the constant-voltage phase). Cells of a
string are of one batch, each from a charge of its own on; a charge a day. What is assumed is in :class:`Assumed`: scatter of
self-discharge, sensors, temperatures, balancing, days without a reading, exchanged sensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bms_bridge.anomalies.pack_days import PackDays, day_text, made
from bms_bridge.health.charge_table import ChargeTable, read_charges

Floats = NDArray[np.float64]
FIRST_DAY = 20_454
"""1 January 2026."""

WINDOW_V = 0.2
TOP_V = 4.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """Not measured, ours. Self-discharge of a cell (share a day at 25 °C, doubling each 10 K) with its scatter among cells; a
    converter's step and noise; the slope's error; how often a day has no reading; how many packs get a cell's sensor exchanged, and by how
    much it then reads otherwise; balancing: current (1/h), hours a day, from which difference."""

    self_discharge: float = 0.0006
    self_discharge_scatter: float = 0.3
    step_v: float = 0.001
    noise_v: float = 0.001
    slope_error: float = 0.05
    silent_share: float = 0.15
    exchanged_share: float = 0.2
    exchanged_v: float = 0.008
    balancing_c_rate: float = 1 / 1500
    balancing_h: float = 4.0
    balancing_from_v: float = 0.005
    balancing_told_error: float = 0.1
    capacity_ah: float = 150.0
    cells: int = 24


@dataclass(frozen=True, slots=True)
class Charges:
    """Charges of one measured cell: capacity (share of nominal), charge between 4.0 V and 4.2 V and of the
    constant-voltage phase (shares of the capacity)."""

    batch: str
    capacity: Floats
    window: Floats
    held: Floats


@dataclass(frozen=True, slots=True)
class Invented:
    """``onset``, ``cell``: of the short, -1: none. ``event``: the first day (index) with cells apart by each threshold, -1: never."""

    table: PackDays
    onset: int
    cell: int
    events: dict[float, int]


def measured_cells(data: Path, least: int) -> list[Charges]:
    """NCM cells with at least so many charges, out of the folders ``xjtu`` and ``tju``."""
    found = []
    for name in ("xjtu", "tju"):
        for folder in (data / "battery" / name, data / name):
            for file in sorted(folder.glob("*.parquet")):
                table = read_charges(file, name)
                if name == "tju":
                    table = table.rows(table.chemistries == "NCM")
                found += _cells(table, name, least)
            if folder.is_dir():
                break
    return found


def _cells(table: ChargeTable, name: str, least: int) -> list[Charges]:
    found = []
    for cell in np.unique(table.cells):
        own = table.rows((table.cells == cell) & np.isfinite(table.capacity_ah))
        if len(own) < least:
            continue
        capacity = own.capacity_ah
        window, held = own.features[:, 4] / capacity, own.features[:, 12] / capacity
        usual = (np.abs(window / np.median(window) - 1) < 0.5) & (held < 0.2)
        soh = own.soh
        if usual.sum() >= least:
            found.append(Charges(f"{name} {own.batches[0]}", soh[usual], window[usual], held[usual]))
    return found


def nmc_pack(
    name: str,
    cells: Sequence[Charges],
    days: int,
    random: np.random.Generator,
    *,
    leak_c_rate: float = 0.0,
    onset: int = -1,
    balancing: str = "none",
    assumed: Assumed | None = None,
) -> Invented:
    """A string of measured cells of one batch, a charge a day to 86 to 98 %. ``balancing``: none, told or hidden."""
    a = assumed or Assumed()
    picked = [cells[int(i)] for i in random.integers(0, len(cells), a.cells)]
    starts = [int(random.integers(0, max(1, len(cell.capacity) - days))) for cell in picked]

    def series(attribute: str) -> Floats:
        return np.array([np.resize(getattr(cell, attribute)[start:], days) for cell, start in zip(picked, starts, strict=True)]).T

    capacity, window, held = series("capacity"), series("window"), series("held")
    world = _World(a, days, random, leak_c_rate, onset, balancing)

    def voltage(day: int, soc: Floats) -> Floats:
        return np.asarray(TOP_V - (1 - held[day] - soc) * WINDOW_V / window[day], dtype=np.float64)

    def slope(day: int, _soc: float) -> float:
        return float(np.mean(WINDOW_V / window[day]))

    return world.lived(name, "NMC", picked[0].batch, capacity, voltage, slope, lambda _day: float(random.uniform(0.86, 0.98)))


def lfp_pack(
    name: str,
    days: int,
    random: np.random.Generator,
    *,
    leak_c_rate: float = 0.0,
    onset: int = -1,
    full_every_d: int = 0,
    balancing: str = "none",
    assumed: Assumed | None = None,
) -> Invented:
    """An LFP string on an assumed curve: 0.3 mV for each percent up to 97 %, then up to 3.6 V. ``full_every_d``: 0: it is never
    charged above 92 %; else so often to 99.5 %."""
    a = assumed or Assumed()
    world = _World(a, days, random, leak_c_rate, onset, balancing)
    knee, top = 0.97, 0.26

    def voltage(_day: int, soc: Floats) -> Floats:
        return np.asarray(3.34 + 0.03 * (soc - 0.9) + top * (np.clip(soc - knee, 0, None) / 0.03) ** 2, dtype=np.float64)

    def slope(_day: int, soc: float) -> float:
        return 0.03 + 2 * top * max(soc - knee, 0.0) / 0.03**2

    def target(day: int) -> float:
        return 0.995 if full_every_d and day % full_every_d == 0 else float(random.uniform(0.85, 0.92))

    capacity = np.linspace(1, 0.97, days)[:, None] * random.normal(1, 0.01, a.cells)[None, :]
    return world.lived(name, "LFP", "assumed", capacity, voltage, slope, target)


class _World:
    """What happens to a string from day to day."""

    def __init__(self, a: Assumed, days: int, random: np.random.Generator, leak_c_rate: float, onset: int, balancing: str) -> None:
        self.a, self.days, self.random = a, days, random
        self.leak_share, self.onset, self.balancing = 24 * leak_c_rate, onset if leak_c_rate else -1, balancing

    def lived(self, name, chemistry, batch, capacity, voltage, slope, target) -> Invented:  # type: ignore[no-untyped-def]
        a, random = self.a, self.random
        count = a.cells
        cell = int(random.integers(count)) if self.onset >= 0 else -1
        loss = a.self_discharge * np.exp(a.self_discharge_scatter * random.normal(size=count))
        charge = capacity[0] * np.clip(0.93 + 0.003 * random.normal(size=count), 0, 1)
        warmer_k = random.uniform(0, 4, count)
        season_c = 28 + 7 * np.sin(2 * np.pi * (np.arange(self.days) / 365 + random.uniform()))
        exchanged = int(random.integers(20, self.days - 10)) if random.uniform() < a.exchanged_share else self.days
        exchanged_cell, resistance = int(random.integers(count)), 0.0012 * random.normal(1, 0.03)
        break_from = int(random.integers(self.days))
        events = {0.05: -1, 0.10: -1, 0.15: -1}
        rows: list[tuple[int, Floats, Floats, float, float, float, float]] = []
        taken = np.zeros(count)
        for day in range(self.days):
            if day:
                charge = charge * capacity[day] / capacity[day - 1]
            charge -= random.uniform(0.3, 0.7) * capacity[day].mean()
            warm_c = season_c[day] + random.normal(0, 2)
            charge -= capacity[day] * loss * 2 ** ((warm_c + warmer_k - 25) / 10)
            if 0 <= self.onset <= day:
                charge[cell] -= self.leak_share * capacity[day, cell]
            charge += (target(day) - (charge / capacity[day]).mean()) * capacity[day].mean()
            volts = voltage(day, charge / capacity[day])
            over = float((volts - TOP_V).max()) if chemistry == "NMC" else 0.0
            if over > 0:  # the highest cell ends the charge
                charge -= over / slope(day, 0.9) * capacity[day].mean()
                volts = voltage(day, charge / capacity[day])
            for threshold in events:
                if events[threshold] < 0 and volts.max() - volts.min() >= threshold:
                    events[threshold] = day
            if random.uniform() >= a.silent_share and not break_from <= day < break_from + 10:
                read = volts + a.noise_v * random.normal(size=count)
                read[exchanged_cell] += a.exchanged_v if day >= exchanged else 0.0
                soc = float((charge / capacity[day]).mean())
                told = taken * (1 + a.balancing_told_error * random.normal(size=count)) if self.balancing == "told" else np.empty(0)
                r = resistance * (1 + 1.5 * (1 - float(capacity[day].mean()))) * (1 + 0.005 * (25 - warm_c)) * random.normal(1, 0.02)
                measured = slope(day, soc) * random.normal(1, a.slope_error)
                rows.append((day, np.round(read / a.step_v) * a.step_v, told * a.capacity_ah, soc, measured, r, warm_c))
                taken = np.zeros(count)
            if self.balancing != "none":
                bled = np.where(volts > volts.min() + a.balancing_from_v, a.balancing_c_rate * a.balancing_h, 0.0)
                charge -= bled
                taken += bled
        n = len(rows)
        numbers = {
            "soc": [np.clip(row[3] + 0.01 * random.normal(), 0, 1) for row in rows],
            "slope_v": [row[4] for row in rows],
            "resistance_ohm": [row[5] for row in rows],
            "temperature_c": [row[6] for row in rows],
            "capacity_ah": [a.capacity_ah] * n,
            "age_d": [row[0] + 400.0 for row in rows],
        }
        labels = {"chemistry": [chemistry] * n, "batch": [batch] * n, "firmware": ["1.0"] * n}
        dates = [day_text(FIRST_DAY + row[0]) for row in rows]
        table = made(np.array([name] * n), dates, [row[1] for row in rows], [row[2] for row in rows], numbers, labels)
        return Invented(table, self.onset, cell, events)
