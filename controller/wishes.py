"""What a stay asks for beside the energy of its departure: warming or cooling before it leaves, and now and then a full battery. Pure.

    registry, settings, facts --load_of(), full_due()--> the plan (comfort) and the limiter (last in turn)

Preconditioning is a load at the outlet that reaches no battery. A full charge, held for a while, lets the management of cells with a
flat voltage (LFP) see where they are and balance them. Both are comfort: nobody departs short for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from depot.state import DepotState, Visit

FULL_SOC = 0.99
"""A battery that says so is full; people and vehicles say whole percents."""


class Load(NamedTuple):
    """Preconditioning of one stay: ``power_w`` at the outlet in [``from_``, ``until``)."""

    power_w: int
    from_: datetime
    until: datetime

    def runs(self, at: datetime) -> bool:
        """Whether it is its time."""
        return self.from_ <= at < self.until


@dataclass(frozen=True, slots=True)
class Preconditioning:
    """Of vehicles of one ``model`` ("": of all): so much, so many minutes before they leave."""

    power_w: int
    minutes: int
    model: str = ""


@dataclass(frozen=True, slots=True)
class FullCharges:
    """Vehicles all of whose packs are of these ``chemistries`` become full every so many days, and stay so for ``dwell_min``."""

    every_days: int = 7
    dwell_min: int = 60
    chemistries: frozenset[str] = frozenset({"LFP"})


@dataclass(frozen=True, slots=True)
class Tested:
    """A vehicle in a reference test: its battery shall become full, whatever else it needs. ``lacks_wh``: to full, None: it rests full;
    ``dwell_min``: full so long before it leaves. ``own_pace``: its level is the test's, not the plan's; others come first. ``pace_w``: no
    price lets a plan give it less, W at the charger; limits and others' departures do; 0: any."""

    lacks_wh: int | None
    dwell_min: int
    own_pace: bool = False
    pace_w: int = 0


@dataclass(frozen=True, slots=True)
class WishSettings:
    """What settings say of all vehicles; the registry may say something else of one."""

    preconditioning: tuple[Preconditioning, ...] = ()
    full_charges: FullCharges | None = None


def load_of(state: DepotState, visit: Visit, settings: WishSettings) -> Load | None:
    """The preconditioning of a stay. The registry's word on a vehicle counts before the settings' (0 kW: none), a rule that names its
    model before one for all."""
    stay = visit.announced
    vehicle = state.vehicles.get(stay.vehicle_id)
    if vehicle is not None and vehicle.precondition_w is not None:
        power_w, minutes = vehicle.precondition_w, vehicle.precondition_min or 0
    elif settings.preconditioning:
        model = vehicle.model if vehicle is not None else ""
        rules = {rule.model: rule for rule in reversed(settings.preconditioning)}
        rule = (rules.get(model) if model else None) or rules.get("")
        if rule is None:
            return None
        power_w, minutes = rule.power_w, rule.minutes
    else:
        return None
    if not power_w or not minutes or stay.returning:
        return None
    return Load(power_w, stay.depart_at - timedelta(minutes=minutes), stay.depart_at)


def chemistries_of(state: DepotState, vehicle_id: str) -> frozenset[str]:
    """Of the vehicle's registered packs; none where none are."""
    return frozenset(pack.chemistry.upper() for pack in state.packs_of(vehicle_id))


def full_due(state: DepotState, vehicle_id: str, settings: WishSettings, now: datetime) -> bool:
    """Whether a vehicle's battery shall become full: its packs are of such a kind, and it is long ago, or never was."""
    rule = settings.full_charges
    if rule is None:
        return False
    kinds = chemistries_of(state, vehicle_id)
    if not kinds or not kinds <= rule.chemistries:
        return False
    last = state.full_charges.get(vehicle_id)
    return last is None or now - last >= timedelta(days=rule.every_days)


class FullSince:
    """Since when each present vehicle says that it is full. One vehicle's word is kept as long as its stay goes on and it says so."""

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}

    def seen(self, said: Mapping[str, tuple[float, datetime]], now: datetime, *, dwell: timedelta) -> list[str]:
        """``said``: by stay, its newest state of charge and when it was said. The stays that have been full for ``dwell``."""
        full = {visit_id: at for visit_id, (soc, at) in said.items() if soc >= FULL_SOC}
        self._since = {visit_id: min(self._since.get(visit_id, at), at) for visit_id, at in full.items()}
        return [visit_id for visit_id, at in self._since.items() if now - at >= dwell]
