"""What a plan knows of the vehicles' batteries: what their life costs, how warm charging makes them, what they accept nearly full.

    registry, settings --chemistry, size--> SafetyPacks --PackNow--> LifeCost, PackHeat  of the optimizer's Vehicle
    telemetry --health, temperature------->

What is not known of a battery is not guessed: its vehicle is planned as if nothing were known of its life. A battery that nobody
hears of, of a chemistry without a model, or a depot that names no price, changes nothing in a plan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import numpy as np

from bms_bridge.chemistry import CELL, TABLE, Chemistry
from bms_bridge.contract import PackSample, Source
from controller.ageing import interval
from controller.packs import Packs
from depot.ageing import Ageing
from depot.events import VisitAnnounced
from depot.values import PackKey
from optimizer import ChargeCurve, FloatArray, LifeCost, PackHeat, Policy, Vehicle, Weights, life_cost

SETTLE_H = 4.0
"""Time constant with which a battery comes to the ambient temperature. Ours, of the size of a bus's pack without active cooling."""

HEAT_WH_PER_K_KWH = 1.7
"""Heat capacity of a pack: 6 kg a kWh, 1 kJ/(kg·K)."""

LASTING_RESISTANCE = 2.0
"""By how much the resistance of half an hour is above that of ten seconds (:data:`bms_bridge.sop.FACTORS`, its middle)."""

TEMP_FRESH_S = 3600.0
"""A temperature this old still says how warm a battery is."""

TEMP_STEP_C, HEALTH_STEP = 1.0, 0.01
"""Temperatures and healths are rounded to this: a forecast is no better, and costs that differ in nothing that matters make a plan's
computation longer."""

KNEE_SOC = 0.9
"""Above this state of charge a pack at depot power is taken to taper; what it really accepts is measured."""

FULL_SHARE = 0.1
"""Of its power, what a full one is taken to accept."""


@dataclass(frozen=True, slots=True)
class LifeSettings:
    """``price_per_kwh``: of a new pack (None: its life has no price); ``worth_per_kwh``: of one at 80 % health. ``weight``: how much of
    that counts beside the bill. ``ambient_c``: what packs come to at rest; None: they stay as they are. ``ceiling``: plans keep packs
    below the temperature from which they would be derated. ``factors``: by chemistry, how many times as fast as the table the fleet's own
    packs age, in time and by cycles (:mod:`controller.life_factors`)."""

    price_per_kwh: float | None = None
    worth_per_kwh: float = 0.0
    weight: float = 1.0
    ambient_c: float | None = None
    ceiling: bool = False
    factors: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PackNow:
    """A vehicle's battery, all its packs together. ``soh`` (a fraction), ``temp_c`` (of the hottest sensor) and ``capacity_kwh`` (when new)
    None: not known."""

    chemistry: Chemistry
    capacity_kwh: float | None = None
    soh: float | None = None
    temp_c: float | None = None


class PacksNow(Protocol):
    """Who knows the batteries."""

    def of(self, vehicle_id: str, now: datetime) -> PackNow | None:
        """None: nothing is known of its battery."""


class SafetyPacks:
    """What the safety room knows: ``packs`` of registry and settings, ``newest`` samples of each pack and source."""

    def __init__(self, packs: Packs, newest: Mapping[PackKey, Mapping[Source, PackSample]]) -> None:
        self._packs = packs
        self._newest = newest

    def of(self, vehicle_id: str, now: datetime) -> PackNow | None:
        keys = self._packs.of(vehicle_id)
        chemistries = {self._packs.chemistry_of(key) for key in keys}
        if len(chemistries) != 1 or (chemistry := chemistries.pop()) is None:
            return None  # nothing is known, or packs of two kinds in one vehicle
        said = [sample for key in keys for sample in self._newest.get(key, {}).values()]
        sizes = [self._packs.facts_of(key).capacity_wh for key in keys]
        return PackNow(
            chemistry=chemistry,
            capacity_kwh=sum(size for size in sizes if size) / 1000.0 if all(sizes) else None,
            soh=min((sample.soh for sample in said if sample.soh), default=None),
            temp_c=_hottest(said, now),
        )


def _hottest(said: Sequence[PackSample], now: datetime) -> float | None:
    fresh = (sample for sample in said if (now - sample.received_at).total_seconds() <= TEMP_FRESH_S)
    return max((temp for sample in fresh for temp in sample.temperatures_c if temp is not None and math.isfinite(temp)), default=None)


def with_life(vehicle: Vehicle, pack: PackNow | None, settings: LifeSettings, *, ahead_h: FloatArray) -> Vehicle:
    """The vehicle with what is known of its battery's life and heat; ``ahead_h`` [slot]: the slots' middles, hours from now."""
    size_kwh = (pack.capacity_kwh or vehicle.capacity_kwh) if pack is not None else 0.0
    if pack is None or not size_kwh:
        return vehicle
    life = _life(vehicle, pack, settings, size_kwh=size_kwh, ahead_h=ahead_h)
    heat = _heat(vehicle, pack, settings, size_kwh=size_kwh)
    return vehicle if life is None and heat is None else replace(vehicle, life=life, heat=heat)


def kept_out(vehicle: Vehicle, policy: Policy | Weights, settings: LifeSettings) -> Vehicle:
    """The vehicle as it counts under ``policy``: where others' life counts beside the bill, that of an unknown battery costs nothing, as
    under the bill alone."""
    return replace(vehicle, holding_per_kwh_h=0.0) if vehicle.life is None and _counts(policy, settings) else vehicle


def _life(vehicle: Vehicle, pack: PackNow, settings: LifeSettings, *, size_kwh: float, ahead_h: FloatArray) -> LifeCost | None:
    temps = _forecast(pack, settings, ahead_h)
    if temps is None or settings.price_per_kwh is None:
        return None
    calendar_factor, cycle_factor = settings.factors.get(pack.chemistry.value, (1.0, 1.0))
    return life_cost(
        pack.chemistry.value,
        temp_c=temps,
        nominal_kwh=size_kwh,
        price_per_kwh=settings.price_per_kwh,
        worth_per_kwh=settings.worth_per_kwh,
        soh=1.0 if pack.soh is None else round(pack.soh / HEALTH_STEP) * HEALTH_STEP,
        power_kw=vehicle.p_max_kw,
        least_kw=vehicle.p_min_kw,
        eff=vehicle.eff,
        calendar_factor=calendar_factor,
        cycle_factor=cycle_factor,
    )


def _forecast(pack: PackNow, settings: LifeSettings, ahead_h: FloatArray) -> FloatArray | None:
    """°C per slot (one number where it does not change): from what it has to what surrounds it."""
    start, end = pack.temp_c, settings.ambient_c
    if start is None or end is None:
        known = end if start is None else start
        return None if known is None else np.array(round(known / TEMP_STEP_C) * TEMP_STEP_C)
    temps = np.round((end + (start - end) * np.exp(-ahead_h / SETTLE_H)) / TEMP_STEP_C) * TEMP_STEP_C
    return temps if temps.min() < temps.max() else np.array(temps[0])


def _heat(vehicle: Vehicle, pack: PackNow, settings: LifeSettings, *, size_kwh: float) -> PackHeat | None:
    """Losses are I²R of its cells (:data:`bms_bridge.chemistry.CELL`), as a straight line up to the vehicle's most power."""
    if pack.temp_c is None or not settings.ceiling:
        return None
    cell = CELL[pack.chemistry]
    loss_share = LASTING_RESISTANCE * cell.ohm_ah / cell.nominal_v * vehicle.p_max_kw / size_kwh
    return PackHeat(
        temp_c=pack.temp_c,
        ceiling_c=TABLE[pack.chemistry].derate_from_c,
        ambient_c=np.array(pack.temp_c if settings.ambient_c is None else settings.ambient_c),
        settle_h=SETTLE_H,
        rise_per_kw=1000.0 * loss_share * SETTLE_H / (HEAT_WH_PER_K_KWH * size_kwh),
    )


def charge_curve(stay: VisitAnnounced, *, wants_wh: float, full_w: int, to_full_wh: float = 0.0) -> ChargeCurve | None:
    """What the battery accepts, where it is to be charged beyond its knee; None: it is not, or its announcement does not tell.

    Nothing is known of the pack but its size: above :data:`KNEE_SOC` the power is taken to fall in proportion to what is left, to
    :data:`FULL_SHARE` at the end. ``wants_wh``: into the battery, until it has what was announced; ``full_w``: grid side;
    ``to_full_wh``: into the battery, until it is full, where a full charge is due."""
    if not stay.battery_wh:
        return None
    if to_full_wh > 0:
        stored_wh = stay.battery_wh - to_full_wh
    elif stay.soc_arrival is None or wants_wh <= 0:
        return None
    else:
        target = min(1.0, stay.soc_arrival + stay.battery_energy_wh / stay.battery_wh)
        if target <= KNEE_SOC:
            return None
        stored_wh = target * stay.battery_wh - wants_wh
    return ChargeCurve(
        soc=np.array([KNEE_SOC, 1.0]),
        accepts_kw=np.array([full_w, FULL_SHARE * full_w]) / 1000.0,
        capacity_kwh=stay.battery_wh / 1000.0,
        stored_kwh=max(0.0, stored_wh) / 1000.0,
    )


def basis_of(settings: LifeSettings, ageing: Mapping[str, Ageing] | None = None) -> str:
    """How ageing is counted where the fleet's own packs have told it, in words; "" where the table holds as it is. ``ageing``: what the
    depot found by itself, for how sure that is."""
    parts = [
        f"{kind} {calendar:.2g} times as fast in time, {cycle:.2g} by cycles{_how_sure((calendar, cycle), (ageing or {}).get(kind))}"
        for kind, (calendar, cycle) in sorted(settings.factors.items())
    ]
    return f"ageing as your own packs show it: {'; '.join(parts)}" if parts else ""


def _how_sure(pair: tuple[float, float], known: Ageing | None) -> str:
    """Intervals, packs and day of the depot's own finding; "" where another one counts."""
    factors = None if known is None else known.in_force
    if factors is None or (factors.calendar, factors.cycle) != pair:
        return ""
    spans = [interval(factors.calendar, factors.calendar_spread), interval(factors.cycle, factors.cycle_spread)]
    words = " and ".join(f"{low:.2g} to {high:.2g}" for low, high in spans)
    return f" ({words} at 90 %, {factors.packs} packs, {factors.found_at:%-d %b %Y})"


def policy_of(policy: Policy | Weights, settings: LifeSettings) -> Policy | Weights:
    """What a plan weighs: where batteries have a price, their life is a part of the cost."""
    return Weights(wear=settings.weight) if _counts(policy, settings) else policy


def _counts(policy: Policy | Weights, settings: LifeSettings) -> bool:
    return policy is Policy.CHEAPEST and settings.price_per_kwh is not None and settings.weight > 0
