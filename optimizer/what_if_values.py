"""What-if, as values: a change, what a plan comes to, and two plans side by side. They go to the web as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ChangeKind(StrEnum):
    """What is changed. ``limit``: of the site; ``feeder``, ``cap``: of one (``target``: its id); ``price``: of energy; ``contract``: the
    peak that costs nothing more, of all demand charges; ``more``: vehicles in addition (like ``target``, else like the median one);
    ``charger``: power of the charger of vehicle ``target``, 0 kW: it is down; ``depart``, ``arrive``: of vehicle ``target``; ``need``:
    energy that it needs."""

    LIMIT = "limit"
    FEEDER = "feeder"
    CAP = "cap"
    PRICE = "price"
    CONTRACT = "contract"
    MORE = "more"
    CHARGER = "charger"
    DEPART = "depart"
    ARRIVE = "arrive"
    NEED = "need"


class How(StrEnum):
    """``by``: the amount is added; ``to``: it takes the place of what is there; ``times``: it multiplies."""

    BY = "by"
    TO = "to"
    TIMES = "times"


@dataclass(frozen=True, slots=True)
class Change:
    """One change. ``amount``: kW for limits, contract and charger, minutes for times, kWh for a need, a count for ``more``, currency
    per kWh for a price; a factor where ``how`` is ``times``. ``from_slot`` ≤ slots < ``until_slot`` (None: to the end): where it holds,
    of limits, prices and chargers."""

    kind: ChangeKind
    amount: float
    how: How = How.BY
    target: str = ""
    from_slot: int = 0
    until_slot: int | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What a plan comes to. ``wear_cost``: currency, of the batteries whose wear is known; None: of none."""

    cost: float
    energy_cost: float
    demand_cost: float
    energy_kwh: float
    peak_kw: float
    unmet_kwh: float
    short: tuple[str, ...]
    wear_cost: float | None
    over_limit_kw: float


@dataclass(frozen=True, slots=True)
class VehicleChange:
    """What a change does to one vehicle. ``moved_kwh``: grid energy that it draws in other slots than before. ``unmet_…_kwh`` None: it is
    not in that plan."""

    id: str
    unmet_before_kwh: float | None
    unmet_after_kwh: float | None
    moved_kwh: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Before and after. ``changes``: in words; ``vehicles``: those for which something differs, the worst first."""

    changes: tuple[str, ...]
    before: Figures
    after: Figures
    vehicles: tuple[VehicleChange, ...]
    currency: str
    solve_s: float
