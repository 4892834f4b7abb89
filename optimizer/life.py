"""What holding and charging costs a battery of its life, in currency: rent on what it stores, wear on what flows into it.

    chemistry, °C per slot, state of health, price of the pack --life_cost()--> LifeCost of a Vehicle or Storage --> costs per cell

Both are linear, so that a plan has no more rows for them. Calendar ageing is a straight line over the state of charge
(:mod:`optimizer.life_table`): a kWh that comes in slot k pays rent for the slots until its vehicle leaves. A full cycle wears the
same whenever it comes, but not at every temperature: a slot pays what it wears more than the best slot of the stay. (What every slot
wears is paid anyway, and for what is given and bought back again it stands on the giving.) Above a gentle rate a kWh wears more:
those cells stand in the model twice, see :mod:`optimizer.life_bands`.

Money. What is written off while a pack loses the 20 % of its first life is its price less what it is worth then; while it loses the
next 20 %, in its second life, it is what it was worth at the beginning of that. Never less than a quarter of a new pack's price: an old
pack that brings nothing any more still carries its vehicle, and a pack that sells at its price today is not thereby free to wear.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from optimizer.errors import InvalidProblem
from optimizer.life_table import GENTLE_C, MODEL_OF, models, rates_of
from optimizer.stays import windows_of

if TYPE_CHECKING:
    from optimizer.problem import Problem

FloatArray = npt.NDArray[np.float64]

FIRST_LIFE_SOH = 0.8
"""At this state of health a pack's life in a vehicle is over."""

WRITE_OFF_FADE = 0.2
"""So much loss writes off what a life is worth."""

LEAST_SHARE = 0.25
"""Of a new pack's price: what wearing one out costs at least."""

LEAST_SOH = 0.4
"""Below this a state of health is taken to be this."""

LEAST_FACTOR, MOST_FACTOR = 0.25, 4.0
"""No fleet's ageing is taken to be further from the table than this."""

HOURS_PER_YEAR = 8760.0

LEAST_RENT = 1e-12

RENT_STEP = 1.3
"""Rents count in steps of this ratio: a forecast of their temperatures is no better, and where each vehicle has one of its own in between,
the simplex takes several times as long to order what costs nearly the same (11 s instead of 1.5 s for 1,000 cold LFP packs, for less than
half a percent of the ageing). What a plan wears is told exactly."""


@dataclass(frozen=True, eq=False, slots=True)
class LifeCost:
    """What a battery's life costs, in currency; arrays have one number for all slots, or one per slot of the horizon.

    ``rent_per_kwh_h``: for each kWh that it stores, an hour (calendar ageing). ``wear_per_kwh``: for each kWh that flows into it
    (cycle ageing). ``steep_per_kwh``: how much more for what flows in above ``gentle_kw``, the grid-side mean power of a slot (fast
    charging, the more the colder); None: nothing is. ``fade_cost``: what losing all of its capacity would cost at this rate, so that
    costs / ``fade_cost`` is loss as a share of the nominal capacity; 0: not known.
    """

    rent_per_kwh_h: FloatArray
    wear_per_kwh: FloatArray
    gentle_kw: float | None = None
    steep_per_kwh: FloatArray | None = None
    fade_cost: float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Ageing:
    """What a plan costs the batteries, in currency [vehicle]: ``rent`` of what the stay adds to what they store, until they leave; ``wear``
    of what flows in, and what it wears ``steep``ly above the gentle rate."""

    rent: FloatArray
    wear: FloatArray
    steep: FloatArray

    @property
    def total(self) -> FloatArray:
        """[vehicle] all of it."""
        return self.rent + self.wear + self.steep


def fade_value(price_per_kwh: float, *, worth_per_kwh: float = 0.0, soh: float = 1.0) -> float:
    """What a kWh of nominal capacity costs that is lost. ``price_per_kwh``: of a new pack; ``worth_per_kwh``: of the old one, at the end
    of its first life; the rule stands at the top of this module. Raises :class:`InvalidProblem` for negative numbers."""
    for name, value in (("price_per_kwh", price_per_kwh), ("worth_per_kwh", worth_per_kwh), ("soh", soh)):
        if not (np.isfinite(value) and value >= 0):
            raise InvalidProblem(f"{name} is {value}; a finite number of at least 0 is expected")
    written_off = price_per_kwh - worth_per_kwh if soh > FIRST_LIFE_SOH else worth_per_kwh
    return max(written_off, LEAST_SHARE * price_per_kwh) / WRITE_OFF_FADE


def life_cost(
    cells: str,
    *,
    temp_c: FloatArray | float,
    nominal_kwh: float,
    price_per_kwh: float,
    worth_per_kwh: float = 0.0,
    soh: float = 1.0,
    power_kw: float = 0.0,
    least_kw: float = 0.0,
    eff: float = 1.0,
    calendar_factor: float = 1.0,
    cycle_factor: float = 1.0,
) -> LifeCost | None:
    """The cost of one pack's life; None where nothing is known of its cells.

    ``cells``: a chemistry, or the name of a model of the table. ``temp_c``: of the cells, one number or one per slot. ``nominal_kwh``: when
    new. ``power_kw``: the most that it is charged with (grid side), ``least_kw``: the charger's minimum, which is gentle in any case;
    ``power_kw`` 0: however fast, it wears the same. ``calendar_factor``, ``cycle_factor``: so many times as fast as the table it ages, as a
    fleet's own packs have shown. Raises :class:`InvalidProblem` for numbers that cannot be.
    """
    model = MODEL_OF.get(cells.upper(), cells)
    if model not in models():
        return None
    temps = np.asarray(temp_c, dtype=np.float64)
    if not np.isfinite(temps).all():
        raise InvalidProblem(f"temp_c of {cells} cells is not a finite number")
    if not (np.isfinite(nominal_kwh) and nominal_kwh > 0 and 0 < eff <= 1):
        raise InvalidProblem(f"a battery of {nominal_kwh} kWh with an efficiency of {eff} cannot be")
    for name, factor in (("calendar_factor", calendar_factor), ("cycle_factor", cycle_factor)):
        if not (np.isfinite(factor) and LEAST_FACTOR <= factor <= MOST_FACTOR):
            raise InvalidProblem(f"{name} is {factor}; it lies between {LEAST_FACTOR:g} and {MOST_FACTOR:g}")
    healthy = max(soh, LEAST_SOH)
    value = fade_value(price_per_kwh, worth_per_kwh=worth_per_kwh, soh=soh)
    rates = rates_of(model, temps)
    wear = cycle_factor * value * rates.cycle / healthy
    cost = LifeCost(
        rent_per_kwh_h=calendar_factor * value * rates.per_soc / (HOURS_PER_YEAR * healthy),
        wear_per_kwh=wear,
        fade_cost=value * nominal_kwh,
    )
    per_c_kw = nominal_kwh * healthy / eff  # grid side
    most_c, gentle_c = power_kw / per_c_kw, max(GENTLE_C, least_kw / per_c_kw)
    if most_c <= gentle_c:
        return cost
    # the chord of what charging at c costs an hour, c·(1 + slope·(c − GENTLE_C)), from the gentle rate to the most
    return replace(cost, gentle_kw=gentle_c * per_c_kw, steep_per_kwh=wear * rates.steep_per_c * (most_c + gentle_c - GENTLE_C))


def checked(who: str, life: LifeCost, n_slots: int) -> LifeCost:
    """The same with arrays that cannot be written to; raises :class:`InvalidProblem`."""
    made: dict[str, Any] = {}
    for name in ("rent_per_kwh_h", "wear_per_kwh", "steep_per_kwh"):
        value = getattr(life, name)
        if value is None:
            continue
        array = np.array(value, dtype=np.float64)
        if array.shape not in ((), (n_slots,)) or not np.isfinite(array).all() or array.min() < 0:
            raise InvalidProblem(f"{who}: life.{name}: one finite number of at least 0 is expected, or one for each of the {n_slots} slots")
        array.flags.writeable = False
        made[name] = array
    if (life.gentle_kw is None) != (life.steep_per_kwh is None):
        raise InvalidProblem(f"{who}: life.gentle_kw and life.steep_per_kwh belong together")
    for name in ("gentle_kw", "fade_cost"):
        value = getattr(life, name)
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise InvalidProblem(f"{who}: life.{name} is {value}; a finite number of at least 0 is expected")
    return replace(life, **made)


def rent_until(problem: Problem, *, in_steps: bool = False) -> FloatArray:
    """[vehicle × slot] rent of a battery-side kWh that comes in a slot, until its vehicle leaves; 0 where nothing is known.
    ``in_steps``: of :data:`RENT_STEP`, as it counts in the objective (grid side)."""
    per_h, rent = np.zeros(problem.upper_kw.shape), np.zeros(problem.upper_kw.shape)
    for row, vehicle in zip(per_h, problem.vehicles, strict=True):
        if vehicle.life is not None:
            row[:] = vehicle.life.rent_per_kwh_h
    if in_steps:
        eff = np.array([v.eff for v in problem.vehicles])[:, None]
        per_h = _stepped(per_h * eff) / eff
    slots, visits = np.arange(problem.n_slots), [windows_of(vehicle) for vehicle in problem.vehicles]
    for turn in range(max((len(its) for its in visits), default=0)):
        edges = np.array([its[turn] if turn < len(its) else (0, 0) for its in visits])
        there = (edges[:, :1] <= slots) & (slots < edges[:, 1:])
        paid = np.where(there, per_h * problem.hours, 0.0)
        left = np.cumsum(paid[:, ::-1], axis=1)[:, ::-1] - 0.5 * paid  # on average it comes in the middle of its slot
        rent = np.where(there, left, rent)
    return rent


def _stepped(rent: FloatArray) -> FloatArray:
    steps: FloatArray = np.log(np.maximum(rent, LEAST_RENT)) / np.log(RENT_STEP)
    return np.where(rent > LEAST_RENT, RENT_STEP ** np.round(steps), rent)


def wear_in(problem: Problem) -> FloatArray:
    """[vehicle × slot] wear of a kWh that flows into the battery; 0 where nothing is known."""
    wear = np.zeros(problem.upper_kw.shape)
    for row, vehicle in zip(wear, problem.vehicles, strict=True):
        if vehicle.life is not None:
            row[:] = vehicle.life.wear_per_kwh
    return wear


def least_wear(problem: Problem) -> FloatArray:
    """[vehicle] wear of a kWh in the best slot of its stay."""
    wear = np.where(problem.upper_kw > 0, wear_in(problem), np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(wear), wear, 0.0)


def cell_costs(problem: Problem) -> FloatArray:
    """[vehicle × slot] what a grid-side kWh costs the battery's life, by when it comes; at least 0."""
    eff = np.array([v.eff for v in problem.vehicles])[:, None]
    cost: FloatArray = eff * (rent_until(problem, in_steps=True) + np.maximum(wear_in(problem) - least_wear(problem)[:, None], 0.0))
    return cost


def ageing_of(problem: Problem, power_kw: FloatArray) -> Ageing:
    """What ``power_kw`` [vehicle × slot] costs the batteries of which something is known."""
    eff = np.array([v.eff for v in problem.vehicles])[:, None]
    flows = np.where(power_kw > 0, power_kw * eff, power_kw / eff) * problem.hours  # battery side, kWh
    fast = np.zeros(flows.shape)
    for row, kw, vehicle in zip(fast, power_kw, problem.vehicles, strict=True):
        if vehicle.life is not None and vehicle.life.gentle_kw is not None and vehicle.life.steep_per_kwh is not None:
            row[:] = np.maximum(kw - vehicle.life.gentle_kw, 0.0) * vehicle.eff * problem.hours * vehicle.life.steep_per_kwh
    return Ageing(
        rent=(flows * rent_until(problem)).sum(axis=1),
        wear=(np.maximum(flows, 0.0) * wear_in(problem)).sum(axis=1),
        steep=fast.sum(axis=1),
    )
