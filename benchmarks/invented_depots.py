"""Invented depot nights, drawn by a seed: to choose parameters on, so that real and published ones stay unseen.

Vans, buses and trucks that come in the evening and leave in the morning, feeders of about 25 vehicles, a stylised price of the day
(dear 16–21 h) and 18 a month for a kW. Another distribution than the published scenarios': other shares, hours and needs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from optimizer import Feeder, Problem, Vehicle, min_peak_kw

SLOTS = 96
FIRST_HOUR = 12
NIGHTS_PER_MONTH = 21
RATE_PER_KW_MONTH = 18.0
T0 = datetime(2026, 1, 12, FIRST_HOUR, tzinfo=UTC)

_KINDS = {  # share by kind of depot; ratings kW; need kWh (mean, spread); efficiency; least kW; pack kWh
    "van": ((7.4, 11.0, 22.0), (30.0, 12.0), 0.9, 4.14, 75.0),
    "bus": ((60.0, 80.0, 150.0), (210.0, 80.0), 0.94, 10.0, 420.0),
    "truck": ((120.0, 150.0, 240.0), (190.0, 70.0), 0.94, 10.0, 500.0),
}
MIXES = {"mix": (0.45, 0.35, 0.2), "van": (1.0, 0.0, 0.0), "bus": (0.0, 1.0, 0.0), "truck": (0.0, 0.2, 0.8)}


def prices() -> np.ndarray:
    """Per kWh and slot, from 12:00 on."""
    hours = (FIRST_HOUR + np.arange(SLOTS) / 4) % 24
    return np.select([(hours >= 16) & (hours < 21), hours < 5, (hours >= 9) & (hours < 14)], [0.36, 0.11, 0.10], default=0.13)


def base_kw(peak_kw: float) -> np.ndarray:
    """A depot's own load: a bell around 14 h over a floor."""
    hours = (FIRST_HOUR + np.arange(SLOTS) / 4) % 24
    away = np.minimum(np.abs(hours - 14), 24 - np.abs(hours - 14))
    return peak_kw * (0.55 + 0.45 * np.exp(-((away / 4.5) ** 2)))


def night(seed: int, *, kind: str = "mix", vehicles: int = 50, limit_kw: float | None = None, tightness: float = 1.1) -> Problem:
    """``limit_kw`` None: ``tightness`` times the least peak that serves everybody. The demand charge is one night's share."""
    rng = np.random.default_rng([seed, vehicles, list(MIXES).index(kind)])
    fleet = tuple(_vehicle(rng, n, kind) for n in range(vehicles))
    rated = sum(v.p_max_kw for v in fleet)
    count = -(-vehicles // 25)
    feeders = tuple(Feeder(f"F{f}", np.full(SLOTS, 0.75 * max(sum(v.p_max_kw for v in fleet if v.feeder == f), 1.0))) for f in range(count))
    problem = Problem(
        id=f"invented-{kind}-{vehicles}-{seed}",
        t0=T0,
        n_slots=SLOTS,
        slot_minutes=15,
        price_per_kwh=prices(),
        site_limit_kw=np.full(SLOTS, 1e6),
        background_kw=base_kw(0.03 * rated),
        vehicles=fleet,
        feeders=feeders,
        demand_charge_per_kw=RATE_PER_KW_MONTH / NIGHTS_PER_MONTH,
    )
    level = limit_kw if limit_kw is not None else float(np.ceil(tightness * min_peak_kw(problem)))
    return replace(problem, site_limit_kw=np.full(SLOTS, level))


def _vehicle(rng: np.random.Generator, n: int, kind: str) -> Vehicle:
    name = str(rng.choice(list(_KINDS), p=MIXES[kind]))
    ratings, (mean, spread), eff, least, pack = _KINDS[name]
    comes_h = rng.normal(18.5, 1.8)
    leaves_h = rng.normal(30.2, 1.3)
    comes = int(np.clip(np.ceil((comes_h - FIRST_HOUR) * 4), 0, SLOTS - 8))
    leaves = int(np.clip(np.floor((leaves_h - FIRST_HOUR) * 4), comes + 4, SLOTS))
    rating = float(rng.choice(ratings))
    need = float(np.clip(rng.normal(mean, spread), 0.2 * mean, 0.9 * pack))
    need = min(need, 0.75 * rating * eff * (leaves - comes) / 4)
    return Vehicle(
        id=f"{name}-{n:04d}", arrival_slot=comes, departure_slot=leaves, energy_kwh=need, p_max_kw=rating, p_min_kw=least, eff=eff,
        feeder=n // 25,
    )  # fmt: skip
