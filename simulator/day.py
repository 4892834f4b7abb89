"""A day (or night) of a depot as it really happens: what was built, who comes when, what else the site draws.

The truth of the simulation. The controller never sees it: it is told announcements (stated departure, requested
energy) and what its chargers and its meter report.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from depot.registry import DepotSpec
from depot.values import ConnectorId


@dataclass(frozen=True, slots=True)
class Stay:
    """One vehicle's actual stay, times in seconds from the day's start.

    ``need_wh``: battery energy that it wants in truth and takes at most; ``requested_wh``: battery energy that is
    announced. ``stated_depart_s``: the departure that is announced; ``depart_s``: when it really leaves.
    ``max_w``/``min_w``: grid-side power range of the vehicle on its connector. ``discharge_w``: the most that it gives to the grid.
    """

    vehicle_id: str
    connector: ConnectorId
    arrive_s: float
    depart_s: float
    stated_depart_s: float
    need_wh: int
    requested_wh: int
    max_w: int
    min_w: int
    battery_wh: int
    soc_arrival: float
    efficiency: float = 0.9
    phases: int = 3
    priority: int = 0
    pack_temp_c: float = 25.0
    discharge_w: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """Everything that the plant plays. Steps are (seconds from start, value from then on), first at 0.

    ``base_w``: actual background (negative: PV). ``price``: per kWh in ``currency``. ``limits``: later changes of
    the site limit (seconds, W); the first limit is ``spec.contract_w``. ``demand_charge_per_kw``: this horizon's
    share, on the highest clock-aligned ``demand_interval_min`` mean above ``mtd_peak_w``. ``power_cuts``: of the whole
    site, as (seconds, how long). ``ambient_c``: of the air that cools the batteries.
    """

    name: str
    start: datetime
    duration_s: float
    spec: DepotSpec
    stays: tuple[Stay, ...]
    base_w: tuple[tuple[float, int], ...]
    price: tuple[tuple[float, float], ...]
    currency: str = "USD"
    demand_charge_per_kw: float = 0.0
    demand_interval_min: int = 15
    mtd_peak_w: int = 0
    limits: tuple[tuple[float, int], ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)
    power_cuts: tuple[tuple[float, float], ...] = ()
    ambient_c: float = 25.0
