"""How a depot plans: what the settings say of slots, cadence, reserves, batteries and stays, as the planning knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.planning_life import LifeSettings
from controller.planning_stays import StaySettings
from optimizer import Policy


@dataclass(frozen=True, slots=True)
class PlanningSettings:
    """``cadence_s``: at the latest after this. ``spacing_s``: at the earliest after the last one. ``reserve_share`` of
    the limit is held back in slots more than an hour ahead (late arrivals, reference §4.2). ``ready_margin_min``:
    vehicles are planned to be ready this long before they leave. ``demand_share``: the part of the month's demand
    charge that one horizon is made to feel. ``reserve_soc``: no vehicle is planned to give below it; ``wear_per_kwh``: what a
    kWh that leaves a battery costs it (None: a typical share of the price); ``export_price_per_kwh``: what is paid for export;
    ``learned_fallback``: plan by the learned policy while the planner is down. ``life``: what batteries cost.
    ``stays``: what vehicles ask for beside energy."""

    slot_minutes: int = 15
    horizon_h: int = 24
    cadence_s: float = 300.0
    spacing_s: float = 20.0
    policy: Policy = Policy.CHEAPEST
    margin_share: float = 0.01
    reserve_share: float = 0.05
    ready_margin_min: float = 10.0
    demand_share: float = 1 / 21
    expires_s: float = 1200.0
    reserve_soc: float = 0.3
    wear_per_kwh: float | None = None
    export_price_per_kwh: float = 0.0
    learned_fallback: bool = False
    life: LifeSettings = field(default_factory=LifeSettings)
    stays: StaySettings = field(default_factory=StaySettings)
