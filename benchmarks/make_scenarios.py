"""Depots with everything switched on together that a plan can know, made from a seed: ``mix-1000-all`` and smaller ones.

    python benchmarks/make_scenarios.py [--vehicles 1000] [--seed 1000] [--plain] -o mix-1000-all.json

The fleet, prices and limits are those of :func:`benchmarks.plan_depots.mixed` (``--plain`` stops there), and on top of them: a tree of
feeders, cabinets with two outlets, phases with an unbalance limit, a transformer in kVA beside the contract, sun, export, two stationary
batteries, a demand charge in pieces, vehicles that give, second visits, minimum states of charge, full charges, preconditioning,
sessions that cannot pause, what batteries' life costs, tapers, temperature ceilings, shared shortages. The file is
``depot-scenario/2``; the same seed makes the same file.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.plan_depots import mixed
from optimizer import Cap, DemandPiece, Feeder, NamedLimit, Problem, Storage, Vehicle
from optimizer.apparent_power import transformer_limit
from optimizer.charge_curve import ChargeCurve
from optimizer.heat import PackHeat
from optimizer.life import life_cost
from optimizer.needs import Load, NextVisit, full_charge, minimum_now, preconditioned, several_visits
from optimizer.phases import PhaseLimits, Wiring, phase_caps
from optimizer.scenario import read, write
from optimizer.site_limits import least_of

GIVES, LATER, LOW, FULL, WARMED, STEADY, CABINETS, TAPERS, WARM = 0.12, 0.15, 0.03, 0.10, 0.10, 0.10, 0.20, 0.20, 0.05
"""Parts of the fleet: gives energy, visits again, is below its minimum, is to be full, is warmed before it leaves, cannot pause, shares
a cabinet, accepts less when nearly full, is near the ceiling of its temperature."""

PER_MAIN = 8
"""Feeders below a main feeder."""

WHEN_WARMED = 4
"""Slots of preconditioning before a departure."""


def plain(count: int, *, seed: int) -> Problem:
    """A night of a mixed fleet: windows, needs, feeders, priorities, a peak charge."""
    return read(mixed(count, seed=seed))


def everything(count: int, *, seed: int) -> Problem:
    """The same fleet with everything that the model knows."""
    rng = np.random.default_rng([count, seed, 2])
    depot = _assets(plain(count, seed=seed), rng)
    depot = replace(
        depot, id=f"mix-{count}-all", vehicles=tuple(_vehicle(depot, place, rng) for place in range(count)), share_shortage=True
    )
    low = rng.random(count) < LOW
    depot = replace(
        depot,
        vehicles=tuple(minimum_now(depot, i, 0.15 * v.energy_kwh) if low[i] else v for i, v in enumerate(depot.vehicles)),
    )
    depot = replace(depot, caps=(*_cabinets(depot, rng), *_phases(depot, rng)))
    warmed = np.flatnonzero(rng.random(count) < WARMED).tolist()
    loads = [
        Load(i, 0.08 * depot.vehicles[i].p_max_kw, depot.vehicles[i].departure_slot - WHEN_WARMED, depot.vehicles[i].departure_slot)
        for i in warmed
        if depot.vehicles[i].departure_slot - WHEN_WARMED >= depot.vehicles[i].arrival_slot
    ]
    return preconditioned(depot, loads)


def _assets(depot: Problem, rng: np.random.Generator) -> Problem:
    """Limits and sources of the site."""
    hours = (12 + depot.starts_h) % 24
    rated = sum(v.p_max_kw for v in depot.vehicles)
    sun = 0.06 * rated * np.maximum(np.cos((hours - 12.5) / 12 * np.pi), 0.0)
    background = depot.background_kw - sun
    contract = NamedLimit("contract", depot.site_limit_kw * np.where((hours >= 18) & (hours < 21), 1.0, 1.15))
    kva = 1.3 * depot.site_limit_kw
    transformer = transformer_limit(kva, background, 0.3 * depot.background_kw, power_factor=0.97)
    mains = [
        Feeder(f"M{n}", 0.85 * sum(f.limit_kw for f in depot.feeders[n * PER_MAIN : (n + 1) * PER_MAIN]))
        for n in range(-(-len(depot.feeders) // PER_MAIN))
    ]
    first = len(depot.feeders)
    below = [replace(feeder, parent=first + n // PER_MAIN) for n, feeder in enumerate(depot.feeders)]
    peak = float(depot.site_limit_kw.max())
    storages = tuple(
        Storage(f"B{n}", 0.02 * peak, 0.02 * peak, round(float(rng.uniform(0.01, 0.04)) * peak, 1), 0.05 * peak, 0.005 * peak)
        for n in range(2)
    )
    return replace(
        depot,
        background_kw=background,
        site_limit_kw=least_of([contract, transformer]),
        limit_sources=(contract, transformer),
        feeders=(*below, *mains),
        export_limit_kw=0.2 * depot.site_limit_kw,
        export_price_per_kwh=np.full(depot.n_slots, 0.04),
        storages=storages,
        demand_charge_per_kw=0.0,
        demand_pieces=(
            DemandPiece("demand", depot.demand_charge_per_kw, 0.5 * peak, np.ones(depot.n_slots)),
            DemandPiece("evening", 0.3 * depot.demand_charge_per_kw, 0.3 * peak, np.where((hours >= 18) & (hours < 22), 1.0, 0.0)),
            DemandPiece("excess", 2.0 * depot.demand_charge_per_kw, 0.95 * peak, np.ones(depot.n_slots)),
        ),
        first_slot_fraction=0.6,
    )


def _vehicle(depot: Problem, place: int, rng: np.random.Generator) -> Vehicle:
    """One of the fleet with what it has beside."""
    vehicle = depot.vehicles[place]
    gives, later, full, steady = rng.random(4) < (GIVES, LATER, FULL, STEADY)
    capacity = vehicle.energy_kwh / float(rng.uniform(0.45, 0.75))
    stored = max(0.95 * capacity - vehicle.energy_kwh, 0.05 * capacity)
    vehicle = _pack(replace(vehicle, urgency=round(float(rng.random()), 2)), rng, capacity=capacity, stored=stored)
    if gives:
        return replace(vehicle, discharge_kw=vehicle.p_max_kw, stored_kwh=stored, capacity_kwh=capacity, reserve_kwh=0.2 * capacity)
    back = vehicle.departure_slot + 6
    if later and back + 4 <= depot.n_slots:
        trip = NextVisit(back, depot.n_slots, energy_kwh=0.2 * vehicle.energy_kwh, spare_kwh=0.05 * capacity)
        return several_visits(vehicle, [trip], spare_kwh=0.05 * capacity)
    if full:
        return full_charge(vehicle, full_kwh=1.1 * vehicle.energy_kwh, dwell_slots=2)
    return replace(vehicle, pausable=not steady)


def _pack(vehicle: Vehicle, rng: np.random.Generator, *, capacity: float, stored: float) -> Vehicle:
    """What is known of its battery: what its life costs; of some what it accepts, and how warm it becomes."""
    cells, temp_c = ("LFP" if rng.random() < 0.6 else "NMC"), float(rng.uniform(8, 36))
    tapers, warm = rng.random(2) < (TAPERS, WARM)
    full = vehicle.p_max_kw
    return replace(
        vehicle,
        life=life_cost(
            cells, temp_c=temp_c, nominal_kwh=capacity, price_per_kwh=180.0, power_kw=full, least_kw=vehicle.p_min_kw, eff=vehicle.eff
        ),
        curve=ChargeCurve(np.array([0.0, 0.85, 1.0]), np.array([full, full, 0.15 * full]), capacity, stored) if tapers else None,
        heat=PackHeat(temp_c, 45.0, np.array(30.0), settle_h=2.0, rise_per_kw=25.0 / full) if warm else None,
    )


def _cabinets(depot: Problem, rng: np.random.Generator) -> list[Cap]:
    """Two neighbours on one cabinet, which has three quarters of the power of both."""
    found = []
    for i in range(0, len(depot.vehicles) - 1, 2):
        if rng.random() < CABINETS:
            both = depot.vehicles[i].p_max_kw + depot.vehicles[i + 1].p_max_kw
            found.append(Cap(f"cabinet {i // 2}", {i: 1.0, i + 1: 1.0}, np.full(depot.n_slots, 0.75 * both), source="cabinet"))
    return found


def _phases(depot: Problem, rng: np.random.Generator) -> list[Cap]:
    """Each feeder's unbalance, some of its vans on one phase."""
    found: list[Cap] = []
    for f in range(len(depot.feeders)):
        wirings = {}
        for i, vehicle in enumerate(depot.vehicles):
            if vehicle.feeder == f:
                turn = int(rng.integers(3))
                single = vehicle.p_max_kw <= 11.0
                wirings[i] = Wiring(tuple(1 + (turn + n) % 3 for n in range(3)), used=1 if single else None)
        if wirings:
            found += phase_caps(PhaseLimits(depot.feeders[f].id, wirings, unbalance_a=100.0), depot.n_slots)
    return found


def main() -> int:
    """Write one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vehicles", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--plain", action="store_true", help="only the fleet")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    made = (plain if arguments.plain else everything)(arguments.vehicles, seed=arguments.seed)
    arguments.output.write_text(json.dumps(write(made), allow_nan=False), encoding="utf-8")
    print(f"{arguments.output}: {len(made.vehicles)} rows of vehicles and loads, {made.n_slots} slots, {len(made.caps)} caps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
