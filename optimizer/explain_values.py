"""What an explanation of a plan says, as values: numbers per slot and vehicle, shortfalls with causes and remedies, sentences' parts.

Everything follows from the plan's linear programme. A shadow price is the exact dual at the optimum: what the objective would fall by
if one more kW were there, as long as the same limits go on binding. Because a dual is linear in the objective, each one is split into
what it says of money and what it says of energy that nobody gets:

    bill      currency: energy and demand charge
    life      currency: what a policy weighs beside the bill: wear of batteries, else the tie-break between equal slots, or delay
    shortage  kWh (battery) that are not served

At a corner of the model a dual is one of several; then it lies between what one kW more would save and what one kW less would cost.
Arrays have a number per slot or per vehicle of the problem. The values go through the planner's pipe and to the web as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from optimizer.problem import FloatArray, Policy
from optimizer.stays import Shortfall
from optimizer.weights import Weights

SCHEMA = "plan-explanation/1"


class LimitKind(StrEnum):
    """What holds power down beside a vehicle's own rating and window."""

    SITE = "site"
    FEEDER = "feeder"
    CAP = "cap"


class Cause(StrEnum):
    """Why a vehicle is short: it could not take more itself, or one limit had no more room while it was there."""

    OWN = "own"
    SITE = "site"
    FEEDER = "feeder"
    CAP = "cap"


class Grounds(StrEnum):
    """How a number was found: ``exact`` from the duals or from the plan itself, ``solved`` by solving the changed problem,
    ``at-least`` a bound from the duals (the truth may be more)."""

    EXACT = "exact"
    SOLVED = "solved"
    AT_LEAST = "at-least"


class RemedyKind(StrEnum):
    """What would let a vehicle leave with all that it needs."""

    LATER = "later"
    LIMIT = "limit"
    CHARGER = "charger"
    PRIORITY = "priority"


@dataclass(frozen=True, eq=False, slots=True)
class LimitPrice:
    """Shadow prices of one limit, per kW of a slot [slot]; all 0 where it does not bind. ``saved_bill``, ``saved_life``: currency
    that one more kW in that slot alone would save (negative: it would serve more energy, which costs). ``served_kwh``: battery
    energy that it would serve in addition, and ``penalty`` what the objective weighs that with (no money: it only decides who is
    served). ``source`` [slot]: who set the limit, where that is known, else "". ``held`` [slot]: 1 where
    sessions that cannot pause, or the background, need more than the limit leaves: there one more kW of the limit changes nothing."""

    kind: LimitKind
    id: str
    limit_kw: FloatArray
    saved_bill: FloatArray
    saved_life: FloatArray
    served_kwh: FloatArray
    penalty: FloatArray
    source: tuple[str, ...] = ()
    held: FloatArray | None = None

    @property
    def saved(self) -> FloatArray:
        """[slot] bill and life together."""
        return self.saved_bill + self.saved_life

    @property
    def binds(self) -> bool:
        """Whether it costs anything anywhere."""
        return bool((np.abs(self.saved) > TINY).any() or (self.served_kwh > TINY).any())


@dataclass(frozen=True, eq=False, slots=True)
class PeakPrice:
    """One part of a demand charge. ``free_kw``: block means up to here cost nothing more; ``reached_kw``: the highest that counts;
    ``per_kw``: its rate over this horizon, currency; ``saved_per_kw``: what one more kW free would save on the bill."""

    name: str
    free_kw: float
    reached_kw: float
    per_kw: float
    saved_per_kw: float


@dataclass(frozen=True, eq=False, slots=True)
class VehiclePrices:
    """[vehicle] what its wishes cost. ``target_bill``, ``target_life``: currency for one more kWh into its battery; ``target_short_kwh``:
    how much of that kWh nobody would get (1: all of it, 0: all is served), and ``target_penalty`` what the objective weighs that with.
    ``earlier_bill``, ``earlier_short_kwh``: what it costs, and
    who gets less, if it leaves one slot earlier; ``earlier_grounds``: how that was found."""

    target_bill: FloatArray
    target_life: FloatArray
    target_short_kwh: FloatArray
    target_penalty: FloatArray
    earlier_bill: FloatArray
    earlier_short_kwh: FloatArray
    earlier_grounds: tuple[Grounds, ...]


@dataclass(frozen=True, slots=True)
class CellPrice:
    """What a power costs in one cell beside what all vehicles bear in that slot: state of its battery, milestones, heat."""

    vehicle: int
    slot: int
    bill: float
    life: float
    shortage: float


@dataclass(frozen=True, slots=True)
class Remedy:
    """Something that lets the vehicle leave with all that it needs. Proved: the changed problem was solved; with the whole amount
    nothing of the shortfall is left, with half of it something is (a class of priority has no half).

    ``amount`` in ``unit``: minutes later, kW more of each limit of ``where`` (feeders by their ids, "" the site) or of the charger of
    the vehicle ``where``, classes of priority up.
    ``from_slot`` ≤ slots < ``until_slot``: when it is needed. ``bill``: what the plan costs more with it (the energy that is served
    more is in it; what the remedy itself costs is not). ``others_short_kwh``: by how much others fall shorter by it."""

    kind: RemedyKind
    where: tuple[str, ...]
    amount: float
    unit: str
    from_slot: int
    until_slot: int
    bill: float
    others_short_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class ShortReason:
    """A vehicle that leaves with less than it needs. ``short_kwh`` of ``need_kwh`` (battery); ``own_kwh`` of that it could not take
    itself, whatever the limits: its window and rating. ``cause``: what keeps the most of the rest from it; ``where``: which feeder or
    cap; ``source``: who set that limit, where known; ``slots``: how many slots of its stay are full there. ``ahead``: vehicles of a
    higher class that draw there meanwhile, with energy enough. ``soc_needed``, ``soc_reached``: None where its battery's state is not
    known. ``remedies``: cheapest first. ``tried``: False where the time did not suffice to look for any."""

    vehicle: int
    id: str
    need_kwh: float
    short_kwh: float
    own_kwh: float
    cause: Cause
    where: str
    source: str
    slots: int
    ahead: int
    soc_needed: float | None
    soc_reached: float | None
    remedies: tuple[Remedy, ...] = ()
    tried: bool = True


@dataclass(frozen=True, slots=True)
class Relaxed:
    """A limit that cannot be kept: in ``from_slot`` ≤ slots < ``until_slot`` background (``background_kw``) and sessions that cannot
    pause (``floors_kw``) need up to ``over_kw`` more than it allows, at the worst slot."""

    kind: LimitKind
    id: str
    from_slot: int
    until_slot: int
    over_kw: float
    background_kw: float
    floors_kw: float
    source: str = ""


@dataclass(frozen=True, slots=True)
class LimitValue:
    """What one more kW in all slots of the horizon is worth. ``saved_bill``: currency over this horizon, by the duals;
    ``saved_next``: the same found by solving with one kW more (what really is saved; at a corner less), None where it was not solved;
    ``served_kwh``: energy that is served in addition."""

    kind: str
    id: str
    saved_bill: float
    saved_next: float | None
    served_kwh: float

    def month(self, horizons: float) -> float:
        """Currency in a month of ``horizons`` horizons that are like this one: which no month is. A figure to compare with what the kW
        costs, no forecast."""
        return horizons * (self.saved_bill if self.saved_next is None else self.saved_next)


@dataclass(frozen=True, eq=False, slots=True)
class Explanation:
    """Why a plan is as it is. ``energy_price_per_kwh`` [slot]: what a kWh that a vehicle draws adds to the energy bill (less than the
    tariff's where the sun gives more than is drawn); ``peak_per_kw`` [slot]: what a kW adds to the demand charges; ``life_per_kw``
    and ``penalty_per_kw`` [slot]: what else it adds for everybody, of what the policy weighs beside the bill, and of energy that somebody
    would lack.
    ``limits``: the site's first, then those that bind. ``cells``: what single cells bear beside. ``shortfalls``: of whole needs;
    ``milestones``: those that are missed. ``power_kw`` [vehicle × slot] is the
    relaxed plan's: the plan itself may differ in the first hour, where powers below a charger's minimum are rounded.
    ``site_kw_for_all``: the site limit, the same in all slots, that would serve everybody whom a higher site limit can; None: nobody
    is short, or it was not asked. ``least_kw``, ``most_kw`` [vehicle × slot]: bounds that batteries which taper and sessions that
    cannot pause have narrowed; None: the problem's."""

    problem_id: str
    policy: Policy | Weights
    currency: str
    t0: datetime
    slot_minutes: float
    vehicle_ids: tuple[str, ...]
    cost: float
    peak_kw: float
    unmet_kwh: FloatArray
    power_kw: FloatArray
    energy_price_per_kwh: FloatArray
    peak_per_kw: FloatArray
    life_per_kw: FloatArray
    penalty_per_kw: FloatArray
    limits: tuple[LimitPrice, ...]
    peaks: tuple[PeakPrice, ...]
    vehicles: VehiclePrices
    cells: tuple[CellPrice, ...]
    shortfalls: tuple[ShortReason, ...]
    milestones: tuple[Shortfall, ...]
    relaxed: tuple[Relaxed, ...]
    values: tuple[LimitValue, ...]
    site_kw_for_all: float | None = None
    least_kw: FloatArray | None = None
    most_kw: FloatArray | None = None
    solve_s: float = 0.0
    schema: str = SCHEMA


@dataclass(frozen=True, slots=True)
class Part:
    """One part of what a kWh costs in a cell, currency per grid kWh: ``name`` is energy, peak, site, feeder, cap, life, own or shortage;
    ``where``: which feeder or cap."""

    name: str
    where: str
    per_kwh: float


@dataclass(frozen=True, slots=True)
class CellReason:
    """Why vehicle ``id`` draws ``power_kw`` in ``slot``. ``parts``: what a kWh costs there, summing to ``per_kwh``; ``worth_per_kwh``:
    what a kWh is worth to it, which is what one costs in the dearest slot that it uses in part. It draws all it can where that is
    less, nothing where it is more: ``reduced_per_kwh`` = ``per_kwh`` − ``worth_per_kwh``. ``other_slot``: the slot to compare with
    (for a cell in use the cheapest that has room left, for one that is not the dearest in use), None: there is none.
    ``words``: the same in a sentence."""

    vehicle: int
    id: str
    slot: int
    power_kw: float
    most_kw: float
    least_kw: float
    parts: tuple[Part, ...]
    per_kwh: float
    worth_per_kwh: float
    reduced_per_kwh: float
    other_slot: int | None
    other_per_kwh: float | None
    words: str


TINY = 1e-7
"""Duals below this are rounding."""
