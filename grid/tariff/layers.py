"""The layers of a tariff: what an order says, as data. Each has a code, its validity and the order that it stands in.

    energy         what a kWh or kVAh costs: a base or slabs of the month, changed by rules of the time of day
    demand         what a kW or kVA of billing demand costs in a month, and one above the contract
    fixed          by the month, the day or the contract
    power factor   a surcharge or an incentive by the month's average
    adder          fuel cost, duty, tax: per kWh, per kVAh, or a share of other layers

A rate that changes is two layers of the same code, one after the other. Rates are exact, in the tariff's currency.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from grid.tariff.hours import ALWAYS, ANY_TIME, Valid, When
from grid.tariff.numbers import Rounding
from grid.tariff.rule import Rule

__all__ = [
    "POWER_FACTOR",
    "Adder",
    "AdderBasis",
    "DemandBasis",
    "DemandLayer",
    "EnergyBasis",
    "EnergyLayer",
    "Excess",
    "FixedLayer",
    "FixedPer",
    "Kind",
    "Layer",
    "MidMonth",
    "Operation",
    "Parameter",
    "PowerFactorLayer",
    "PowerFactorStep",
    "Roundings",
    "Slab",
    "SlabMode",
    "TodRule",
    "affine",
]  # fmt: skip


POWER_FACTOR = "power_factor"
"""The parameter that says how many kW a kVA of the site are."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that the order leaves to somebody else, or that belongs to the site."""

    value: Fraction
    meaning: str


class EnergyBasis(StrEnum):
    """What the meter counts for the energy charge."""

    KWH = "kWh"
    KVAH = "kVAh"


class DemandBasis(StrEnum):
    """What the meter averages for the demand charge."""

    KW = "kW"
    KVA = "kVA"


class Operation(StrEnum):
    """What a rule of the time of day does to the price that the ones before it left."""

    MUL = "mul"
    ADD = "add"
    ABS = "abs"


class Kind(StrEnum):
    """What a rule of the time of day is meant as; only the check looks at it."""

    SOLAR = "solar"
    PEAK = "peak"
    NIGHT = "night"
    NORMAL = "normal"


class SlabMode(StrEnum):
    """``telescopic``: each slab's rate for the energy within it; ``whole``: the slab reached prices all of it."""

    TELESCOPIC = "telescopic"
    WHOLE = "whole"


class MidMonth(StrEnum):
    """A demand layer that holds for a part of the month. ``days``: the whole month's demand, by the share of days;
    ``part``: the demand of its own days, by their share; ``first`` or ``last``: the layer of that day holds for all of it."""

    DAYS = "days"
    PART = "part"
    FIRST = "first"
    LAST = "last"


class FixedPer(StrEnum):
    """What a fixed charge is counted by."""

    MONTH = "month"
    DAY = "day"
    CONTRACT = "contract"


class AdderBasis(StrEnum):
    """What an adder is counted by."""

    KWH = "kWh"
    KVAH = "kVAh"
    PCT_OF = "pct_of"


@dataclass(frozen=True, slots=True, kw_only=True)
class TodRule:
    """One rule of the time of day. ``name``: as bills call it."""

    operation: Operation
    value: Fraction
    when: When = ANY_TIME
    name: str = ""
    kind: Kind | None = None
    order_ref: str = ""

    def __str__(self) -> str:
        return self.name or str(self.when.hours)


def affine(rules: Iterable[TodRule]) -> tuple[Fraction, Fraction]:
    """(a, b): the rules one after the other make a·base + b of every base price."""
    a, b = Fraction(1), Fraction(0)
    for rule in rules:
        match rule.operation:
            case Operation.MUL:
                a, b = a * rule.value, b * rule.value
            case Operation.ADD:
                b += rule.value
            case Operation.ABS:
                a, b = Fraction(0), rule.value
    return a, b


@dataclass(frozen=True, slots=True)
class Slab:
    """Energy of a month up to ``up_to`` (kWh or kVAh; None: no end) at ``rate``."""

    up_to: Fraction | None
    rate: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What all layers have. ``text``: as the bill calls it."""

    code: str
    text: str
    order_ref: str
    valid: Valid = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyLayer(Layer):
    """An energy charge. ``slabs`` have at least one entry; a flat rate is one slab without an end."""

    basis: EnergyBasis
    slabs: tuple[Slab, ...]
    slab_mode: SlabMode = SlabMode.TELESCOPIC
    tod: tuple[TodRule, ...] = ()

    def zone(self, local: datetime) -> tuple[TodRule, ...]:
        """The rules that hold at this local time, in their order."""
        return tuple(rule for rule in self.tod if rule.when.holds(local))

    @property
    def flat(self) -> bool:
        """Whether the base price doesn't depend on how much was used."""
        return len(self.slabs) == 1

    def marginal(self, used: Fraction) -> Fraction:
        """The base price of one more unit after ``used`` units in the month."""
        return next(slab.rate for slab in self.slabs if slab.up_to is None or used < slab.up_to)


@dataclass(frozen=True, slots=True)
class Excess:
    """Demand above ``above`` × contract costs ``multiplier`` × rate; with ``also_base`` beside the base rate, else in its place."""

    multiplier: Fraction
    also_base: bool = False
    above: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandLayer(Layer):
    """A demand charge: ``rate`` per unit of billing demand and month. Blocks of ``block_min``, aligned to the local clock.
    ``round``: of recorded and billing demand."""

    basis: DemandBasis
    block_min: int
    rate: Fraction
    billing_rule: Rule
    excess: Excess | None = None
    round: Rounding | None = None
    mid_month: MidMonth = MidMonth.DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedLayer(Layer):
    """``amount`` per month, day, or kW or kVA of contract and month; a part of a month by its days."""

    amount: Fraction
    per: FixedPer = FixedPer.MONTH


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerFactorStep:
    """For an average in [``at_least``, ``below``): percent of other layers, or money per unit of energy; below 0 an incentive.
    With ``points_from``: for every hundredth between the average and that value, begun ones counted in full."""

    at_least: Fraction
    below: Fraction
    pct: Fraction | None = None
    per_kwh: Fraction | None = None
    points_from: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerFactorLayer(Layer):
    """``of``: codes of the layers whose amounts the percentages are of; ``round``: of the average."""

    steps: tuple[PowerFactorStep, ...]
    of: tuple[str, ...]
    round: Rounding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adder(Layer):
    """``value``: money per unit, or percent of the layers ``of``. None: published month by month, given with the bill's extras."""

    basis: AdderBasis
    value: Fraction | None
    of: tuple[str, ...] = ()


TO_PAISE = Rounding(Fraction(1, 100))


@dataclass(frozen=True, slots=True)
class Roundings:
    """Of each line and of the bill, in the currency's main unit."""

    line: Rounding = TO_PAISE
    bill: Rounding = TO_PAISE


PAISE_ROUNDINGS = Roundings()
