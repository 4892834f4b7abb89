"""Facts of vehicles' stays, and the plans for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from depot.events.envelope import Event
from depot.values import ConnectorId


@dataclass(frozen=True, slots=True)
class VisitAnnounced(Event):
    """A vehicle's stay as the timetable, the driver or the operator states it; replaces what was known before.

    ``battery_energy_wh``: what the battery must still receive at arrival. ``efficiency``: battery per grid energy.
    ``connector`` None: not known yet, matched when ``id_tag`` or the vehicle shows up. Larger priority first.
    ``returning``: it left before its time with energy missing (``arrive_at`` says when). It may only be plugged anew: no
    power is planned for it before it is back. ``discharge_w``: the most that the vehicle gives to the grid; 0: nothing.
    """

    TYPE: ClassVar[str] = "visit.stay_announced"
    visit_id: str
    vehicle_id: str
    arrive_at: datetime
    depart_at: datetime
    battery_energy_wh: int
    max_w: int
    min_w: int = 0
    connector: ConnectorId | None = None
    efficiency: float = 0.9
    battery_wh: int = 0
    soc_arrival: float | None = None
    pausable: bool | None = None
    priority: int = 0
    id_tag: str = ""
    returning: bool = False
    discharge_w: int = 0


@dataclass(frozen=True, slots=True)
class VisitArrived(Event):
    TYPE: ClassVar[str] = "visit.vehicle_arrived"
    visit_id: str
    connector: ConnectorId


@dataclass(frozen=True, slots=True)
class VisitEnded(Event):
    TYPE: ClassVar[str] = "visit.vehicle_left"
    visit_id: str


@dataclass(frozen=True, slots=True)
class VisitCancelled(Event):
    """The stay will not happen: taken back before the vehicle came."""

    TYPE: ClassVar[str] = "visit.stay_cancelled"
    visit_id: str


@dataclass(frozen=True, slots=True)
class VisitHeld(Event):
    """A person stopped the charging of this visit (``held``), or let it go on."""

    TYPE: ClassVar[str] = "visit.charging_held"
    visit_id: str
    held: bool


@dataclass(frozen=True, slots=True)
class VehicleBalanced(Event):
    """The vehicle's battery was full for as long as its cells need to be balanced, while it was plugged in."""

    TYPE: ClassVar[str] = "vehicle.cells_balanced"
    vehicle_id: str


@dataclass(frozen=True, slots=True)
class PlanAccepted(Event):
    """A plan's summary; the plan itself is a projection that can be solved again."""

    TYPE: ClassVar[str] = "plan.advice_accepted"
    plan_id: str
    cost: float
    unmet_wh: int
    solve_s: float
    cause: str = ""
