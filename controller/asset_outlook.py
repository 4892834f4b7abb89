"""What a plan is told of solar plants and batteries: what the sun will give, and what each battery holds and may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from depot.assets import StorageReading, StorageSpec
from depot.values import Plan
from optimizer import LifeCost, Storage, life_cost
from optimizer.life import LEAST_SOH

NO_FACTORS: Mapping[str, tuple[float, float]] = {}


class Outlook(Protocol):
    """Who knows. ``pv_now_w``: what the sun gives now, 0 where nobody says."""

    @property
    def pv_now_w(self) -> int: ...
    def pv_kw(self, start_s: float, slots: int, slot_s: int) -> npt.NDArray[np.float64]: ...
    def storages(self, feeders: Sequence[str]) -> tuple[Storage, ...]: ...


def storage_of(
    spec: StorageSpec, reading: StorageReading, feeders: Sequence[str], factors: Mapping[str, tuple[float, float]] = NO_FACTORS
) -> Storage | None:
    """The battery as the optimizer takes it; None where its state of charge is not known. ``factors``: as :func:`life_of` takes them."""
    if reading.soc is None:
        return None
    return Storage(
        id=spec.asset_id,
        charge_kw=min(spec.charge_w, spec.charge_w if reading.charge_w is None else reading.charge_w) / 1000.0,
        discharge_kw=min(spec.discharge_w, spec.discharge_w if reading.discharge_w is None else reading.discharge_w) / 1000.0,
        stored_kwh=reading.soc * spec.capacity_wh / 1000.0,
        capacity_kwh=spec.soc_max * spec.capacity_wh / 1000.0,
        reserve_kwh=spec.soc_min * spec.capacity_wh / 1000.0,
        eff=spec.efficiency,
        wear_per_kwh=spec.wear_per_kwh,
        feeder=feeders.index(spec.feeder_id) if spec.feeder_id in feeders else None,
        life=life_of(spec, reading, factors),
    )


def life_of(spec: StorageSpec, reading: StorageReading, factors: Mapping[str, tuple[float, float]] = NO_FACTORS) -> LifeCost | None:
    """What holding and giving cost the battery, by the health and the temperature that it tells, else those of the settings; None: its
    life has no price, or nothing is known of such cells. Rounded, because costs that differ in nothing that matters slow a plan down.
    ``factors``: how many times as fast as the table cells of a chemistry age, in time and by cycles."""
    pack = spec.life
    if pack is None:
        return None
    calendar_factor, cycle_factor = factors.get(pack.chemistry, (1.0, 1.0))
    told_c = pack.ambient_c if reading.temp_c is None else reading.temp_c
    health = max(round(reading.soh or pack.health, 2), LEAST_SOH)
    return life_cost(
        pack.chemistry,
        temp_c=float(round(told_c)),
        nominal_kwh=spec.capacity_wh / 1000.0 / health,
        price_per_kwh=pack.price_per_kwh,
        worth_per_kwh=pack.worth_per_kwh,
        soh=health,
        calendar_factor=calendar_factor,
        cycle_factor=cycle_factor,
    )


def plan_rows(storages: Sequence[Storage], storage_kw: npt.NDArray[np.float64]) -> dict[str, tuple[int, ...]]:
    """What each battery shall draw, W per slot."""
    return {s.id: tuple(int(w) for w in np.round(row * 1000.0)) for s, row in zip(storages, storage_kw, strict=True)} if storages else {}


def planned_w(plan: Plan | None, asset_id: str, slot: int | None) -> int | None:
    """What the plan says for a battery in a slot; None where it says nothing."""
    row = plan.storage_w.get(asset_id) if plan is not None else None
    return row[slot] if row is not None and slot is not None and slot < len(row) else None
