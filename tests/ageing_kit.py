"""A fleet whose packs age by factors that are known, as a depot estimates them: for tests of the loop that is closed."""

from __future__ import annotations

import numpy as np

from bms_bridge.estimates.outlook import Dated
from bms_bridge.lake.schema import moment
from bms_bridge.life.history import NINETY
from controller.life_factors import expected

START_S = 1_700_000_000.0
NOW_US = round((START_S + 800 * 86_400) * 1e6)
NOW = moment(NOW_US)


def fleet(
    *, calendar: float, cycle: float, packs: int = 12, rows: int = 10, days: float = 720.0, deviation: float = 0.004, kind: str = "LFP",
    soc: bool = True, seed: int = 3,
) -> dict[str, list[Dated]]:  # fmt: skip
    """Estimates of packs by name: temperatures of 22 to 38 °C, 80 to 400 full cycles a year, states of charge of 0.4 to 0.8."""
    rng = np.random.default_rng(seed)
    found = {}
    for number in range(packs):
        name, a_year = f"E-{100 + number}/P1", rng.uniform(80, 400)
        warm, full, rate = rng.uniform(22, 38), rng.uniform(0.4, 0.8), rng.uniform(0.1, 0.5)
        years = np.linspace(0, days / 365.25, rows)
        flat = np.ones(rows)
        time, wear = expected(
            kind, np.full(rows, name), years, 50 + a_year * years, temp_c=warm * flat, soc=full * flat, rate_c=rate * flat
        )
        soh = rng.uniform(0.95, 1.0) - calendar * time - cycle * wear + rng.normal(0, deviation, rows)
        half = NINETY * deviation
        history = []
        for at, health in zip(years, soh, strict=True):
            hours = 24.0 + 6000 * at
            use = {
                "cycles": 50 + a_year * at, "warm_h": hours, "warm_c_h": warm * hours, "soc_h": hours * soc,
                "soc_sum_h": full * hours * soc,
                "rate_c_h": 0.2 * hours * rate, "rate_c2_h": 0.2 * hours * rate**2,
            }  # fmt: skip
            history.append(Dated(START_S + at * 365.25 * 86_400, None, float(health), float(health - half), float(health + half), use))
        found[name] = history
    return found
