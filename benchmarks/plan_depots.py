"""Depots to plan for, made from a seed: big mixed fleets, their ticks through a night, and small random ones. Scenario dicts.

mixed(1000, seed=1)              a night of vans, buses and trucks: like the synthetic scenario files, without what gives
Night(scenario, seed).at(tick)   the same night a quarter of an hour later each time, as the depot would ask again
random_depot(seed)               anything that the relaxed model knows, small
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import raw_plan

Scenario = dict[str, Any]

SLOTS = 96
NOON_PRICES = [0.10] * 8 + [0.13] * 8 + [0.36] * 20 + [0.13] * 12 + [0.11] * 20 + [0.13] * 16 + [0.10] * 12
"""Stylised, USD: from noon to noon; no published tariff."""

NIGHTS_A_MONTH = 21
DEMAND_PER_KW_MONTH = 18.0
HEADROOM = 1.10
"""Site limit above the least feasible peak."""

NEW_PRICES = 16
"""Ticks."""

FEEDER_SHARE = 0.75
PER_FEEDER = 25


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of vehicle: how many of all, its chargers and packs, when it comes and goes (minutes after noon, mean and deviation)."""

    name: str
    share: float
    ratings_kw: tuple[float, ...]
    least_kw: float
    packs_kwh: tuple[float, ...]
    eff: float
    comes: tuple[float, float]
    goes: tuple[float, float]
    soc: tuple[float, float]
    target: float


KINDS = (
    Kind("van", 0.45, (11.0, 22.0, 30.0), 4.14, (47.0, 75.0, 77.0), 0.90, (300, 76), (1127, 51), (0.15, 0.65), 0.9),
    Kind("ebus12", 0.27, (80.0, 150.0), 10.0, (350.0, 422.0), 0.94, (493, 97), (1039, 62), (0.25, 0.60), 1.0),
    Kind("ebus18", 0.14, (150.0,), 10.0, (490.0, 525.0), 0.94, (540, 110), (1018, 55), (0.20, 0.55), 1.0),
    Kind("truck", 0.14, (150.0, 240.0), 10.0, (336.0, 540.0), 0.94, (343, 124), (984, 85), (0.25, 0.65), 1.0),
)


def mixed(count: int, *, seed: int) -> Scenario:
    """``count`` vehicles behind feeders of 25; the site's limit is 1.10 × the least peak that serves everybody."""
    rng = np.random.default_rng([count, seed])
    kinds = rng.choice(len(KINDS), size=count, p=[kind.share for kind in KINDS])
    vehicles: list[Scenario] = []
    for n, which in enumerate(kinds.tolist()):
        kind = KINDS[which]
        pack = float(rng.choice(kind.packs_kwh)) * float(rng.uniform(0.82, 1.0))
        energy = pack * (kind.target - float(rng.uniform(*kind.soc)))
        rating = float(rng.choice(kind.ratings_kw))
        arrival = int(np.clip(rng.normal(*kind.comes), 30, 1000) // 15) + 1
        departure = int(np.clip(rng.normal(*kind.goes), 800, 1400) // 15)
        departure = min(SLOTS, max(departure, arrival + 1 + int(np.ceil(energy / kind.eff / rating * 4))))
        vehicles.append(
            {
                "id": f"{kind.name}-{n:04}",
                "arrival_slot": arrival,
                "departure_slot": departure,
                "energy_kwh": round(energy, 2),
                "p_max_kw": rating,
                "p_min_kw": kind.least_kw,
                "eff": kind.eff,
                "priority": int(rng.choice([0, 1, 2], p=[0.8, 0.15, 0.05])),
                "feeder": n // PER_FEEDER,
            }
        )
    rated = sum(v["p_max_kw"] for v in vehicles)
    hours = np.arange(SLOTS) / 4
    base = rated * (0.0155 + 0.0045 * np.cos((hours - 1.5) / 24 * 2 * np.pi))
    scenario: Scenario = {
        "schema": "depot-scenario/1",
        "id": f"mixed-{count}",
        "seed": seed,
        "source": "synthetic, benchmarks/plan_depots.py",
        "t0": "2026-01-12T12:00:00",
        "n_slots": SLOTS,
        "slot_minutes": 15,
        "tariff": {
            "currency": "USD",
            "energy_per_kwh": NOON_PRICES,
            "demand_charge_per_kw_horizon": DEMAND_PER_KW_MONTH / NIGHTS_A_MONTH,
            "demand_interval_min": 15,
        },
        "site": {
            "limit_kw": 0.0,
            "mtd_peak_kw": 0.0,
            "base_load_kw": [round(float(kw), 2) for kw in base],
            "pv_kw": [0.0] * SLOTS,
            "feeders": [
                {"id": f"F{f}", "limit_kw": round(FEEDER_SHARE * sum(v["p_max_kw"] for v in vehicles if v["feeder"] == f), 1)}
                for f in range(-(-count // PER_FEEDER))
            ],
        },
        "vehicles": vehicles,
    }
    scenario["site"]["limit_kw"] = round(HEADROOM * least_peak_kw(scenario))
    return scenario


def least_peak_kw(scenario: Scenario) -> float:
    """The least peak, with the base load, that serves everybody's energy."""
    asked = raw_plan.Depot.read(scenario)
    asked.limit = np.full(len(asked.hours), 10.0 * asked.rating.sum() + 1)
    asked.price, asked.charge = np.full(len(asked.hours), 1e-3), 1.0
    power = raw_plan.solve(asked).power
    return float((power.sum(axis=0) + asked.background).max())


class Night:
    """One night, asked about every quarter of an hour. The depot learns as it goes: every twentieth vehicle is known only when it
    plugs in, some leave early; at each tick every tenth need and the forecast of the base load are corrected a little, and every
    sixteenth tick brings new prices, each of them within 1 % of the old one."""

    def __init__(self, scenario: Scenario, *, seed: int) -> None:
        self._whole = scenario
        self._rng = np.random.default_rng(seed)
        self._left = {v["id"]: float(v["energy_kwh"]) for v in scenario["vehicles"]}
        self._gone: set[str] = set()
        self._price = np.array(scenario["tariff"]["energy_per_kwh"])
        self._peak_kw = float(scenario["site"]["mtd_peak_kw"])
        self.tick = 0

    def asked(self) -> Scenario:
        """The problem of this tick."""
        tick, whole = self.tick, self._whole
        vehicles = []
        for n, vehicle in enumerate(whole["vehicles"]):
            unannounced = n % 20 == 7 and vehicle["arrival_slot"] > tick
            if unannounced or vehicle["departure_slot"] <= tick or vehicle["id"] in self._gone:
                continue
            arrival, departure = max(vehicle["arrival_slot"] - tick, 0), vehicle["departure_slot"] - tick
            vehicles.append(vehicle | {"arrival_slot": arrival, "departure_slot": departure, "energy_kwh": self._left[vehicle["id"]]})
        if tick and tick % NEW_PRICES == 0:
            self._price = np.array(whole["tariff"]["energy_per_kwh"]) * (1 + 0.01 * self._rng.uniform(-1, 1, whole["n_slots"]))
        base = np.array(whole["site"]["base_load_kw"][tick:]) * (1 + 0.02 * self._rng.uniform(-1, 1))
        site = whole["site"] | {
            "base_load_kw": base.tolist(),
            "pv_kw": whole["site"]["pv_kw"][tick:],
            "mtd_peak_kw": self._peak_kw,
        }
        minutes = 12 * 60 + 15 * tick
        return whole | {
            "t0": f"2026-01-{12 + minutes // 1440:02}T{minutes // 60 % 24:02}:{minutes % 60:02}:00",
            "n_slots": whole["n_slots"] - tick,
            "tariff": whole["tariff"] | {"energy_per_kwh": self._price[tick:].tolist()},
            "site": site,
            "vehicles": vehicles,
        }

    def charge(self, asked: Scenario, power_kw: npt.NDArray[np.float64]) -> None:
        """What was planned for the first slot has been charged; the next tick."""
        hours = asked["slot_minutes"] / 60
        site_kw = float(power_kw[:, 0].sum()) + asked["site"]["base_load_kw"][0]
        self._peak_kw = max(self._peak_kw, site_kw)
        for vehicle, row in zip(asked["vehicles"], power_kw, strict=True):
            left = self._left[vehicle["id"]] - max(0.0, float(row[0])) * hours * vehicle["eff"]
            if self._rng.random() < 0.1:
                left *= float(self._rng.uniform(0.97, 1.03))
            self._left[vehicle["id"]] = max(0.0, left)
            if vehicle["arrival_slot"] == 0 and self._rng.random() < 0.002:
                self._gone.add(vehicle["id"])
        self.tick += 1


def random_depot(seed: int) -> Scenario:
    """A small one of anything: slot lengths, prices below 0, sun, export, demand blocks, feeders, priorities, limits that are too low."""
    rng = np.random.default_rng(seed)
    minutes = int(rng.choice([5, 15, 30, 60]))
    slots = int(rng.integers(4, 60))
    feeders = int(rng.integers(0, 4))
    vehicles = []
    for n in range(int(rng.integers(1, 41))):
        arrival = int(rng.integers(0, slots))
        departure = int(rng.integers(arrival + 1, slots + 1))
        rating = float(rng.choice([7.4, 11.0, 22.0, 60.0, 150.0]))
        room = rating * (departure - arrival) * minutes / 60
        vehicles.append(
            {
                "id": f"v{n}",
                "arrival_slot": arrival,
                "departure_slot": departure,
                "energy_kwh": round(float(room * rng.uniform(0.05, 1.1)), 3),
                "p_max_kw": rating,
                "p_min_kw": float(rng.choice([0.0, 4.14, 6.0])),
                "eff": float(rng.choice([0.85, 0.9, 0.95, 1.0])),
                "priority": int(rng.integers(0, 3)),
                **({"feeder": int(rng.integers(0, feeders))} if feeders else {}),
            }
        )
    rated = sum(v["p_max_kw"] for v in vehicles)
    sunny = bool(rng.random() < 0.3)
    price = np.round(rng.uniform(-0.05 if rng.random() < 0.2 else 0.02, 0.5, max(1, slots // 4 + 1)).repeat(4)[:slots], 4)
    return {
        "schema": "depot-scenario/1",
        "id": f"random-{seed}",
        "t0": f"2026-01-12T{int(rng.integers(0, 24)):02}:{int(rng.integers(0, 60 // minutes)) * minutes:02}:00",
        "n_slots": slots,
        "slot_minutes": minutes,
        "tariff": {
            "energy_per_kwh": price.tolist(),
            "demand_charge_per_kw_horizon": float(rng.choice([0.0, 0.5, 3.0])),
            "demand_interval_min": minutes * int(rng.choice([1, 1, 2, 4])),
            "export_per_kwh": float(rng.choice([0.0, 0.05])),
        },
        "site": {
            "limit_kw": np.round(rated * rng.uniform(0.1, 1.0) * rng.choice([1.0, 0.5], slots), 2).tolist(),
            "mtd_peak_kw": round(float(rated * rng.uniform(0, 0.3)), 1),
            "base_load_kw": np.round(rng.uniform(0, 0.1, slots) * rated, 2).tolist(),
            "pv_kw": np.round(rng.uniform(0, 0.5, slots) * rated, 2).tolist() if sunny else [0.0] * slots,
            "feeders": [{"id": f"F{f}", "limit_kw": round(float(rated * rng.uniform(0.1, 0.8)), 1)} for f in range(feeders)],
        },
        "vehicles": deepcopy(vehicles),
    }
