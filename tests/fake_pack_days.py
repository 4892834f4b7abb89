"""Pack days of invented strings: cells that differ a little, one that may lose charge."""

from __future__ import annotations

import numpy as np

from bms_bridge.anomalies.pack_days import PackDays, day_text, joined, made

FIRST_DAY = 20_454
CAPACITY_AH = 150.0


def string(
    name: str,
    days: int = 60,
    *,
    cells: int = 12,
    seed: int = 0,
    slope_v: float = 1.1,
    noise_v: float = 0.001,
    leak_c_rate: float = 0.0,
    onset: int = 20,
    cell: int = 3,
    step_v: float = 0.0,
    bled_ah: float = 0.0,
    resistance: float = 0.0012,
    grows: float = 0.0,
    labels: tuple[str, str, str] = ("NMC", "A7", "2.1"),
) -> PackDays:
    """``leak_c_rate``: of ``cell`` from day ``onset`` on; ``step_v``: its sensor reads otherwise from then on; ``bled_ah``: balancing takes
    it from all other cells a day, and says so; ``grows``: resistance a day from ``onset`` on (share)."""
    random = np.random.default_rng(seed)
    behind = random.normal(0, 0.003, cells)
    volts, taken = [], []
    for day in range(days):
        lost = 24 * leak_c_rate * max(0, day - onset) * (np.arange(cells) == cell)
        bled = bled_ah * max(0, day - onset) / CAPACITY_AH * (np.arange(cells) != cell)
        read = 4.05 + slope_v * (behind - lost - bled + (lost + bled).mean()) + noise_v * random.normal(size=cells)
        read[cell] += step_v if day >= onset else 0.0
        volts.append(np.round(read, 3))
        taken.append(np.where((np.arange(cells) != cell) & (day > onset), bled_ah, 0.0) if bled_ah else np.empty(0))
    ohm = resistance * (1 + grows * np.maximum(0, np.arange(days) - onset)) * random.normal(1, 0.01, days)
    numbers = {
        "soc": np.full(days, 0.93),
        "slope_v": np.full(days, slope_v),
        "capacity_ah": np.full(days, CAPACITY_AH),
        "age_d": np.arange(days) + 300.0,
        "temperature_c": 28 + random.normal(0, 2, days),
        "resistance_ohm": ohm,
    }
    words = dict(zip(("chemistry", "batch", "firmware"), ([word] * days for word in labels), strict=True))
    return made(np.array([name] * days), [day_text(FIRST_DAY + day) for day in range(days)], volts, taken, numbers, words)


def fleet(count: int = 8, days: int = 60, *, first: PackDays | None = None, seed: int = 0) -> PackDays:
    """Healthy strings, and ``first`` beside them."""
    others = [string(f"E-{number}/P1", days, seed=seed + number + 1) for number in range(count)]
    return joined([first, *others] if first is not None else others)
