"""How a billing demand is found: an expression tree, as orders write it ("the highest of …").

    Largest(args)                         the highest of several terms
    ├── Recorded(factor, hours)           the month's highest block mean, perhaps only of some hours of the day
    ├── Contract(factor)                  a share of the contract demand
    ├── Highest(what, lookback, factor, cap)   the highest recorded or billing demand of past months, capped before the factor
    └── Constant(value)                   a least demand in kW or kVA

``Recorded`` can't be capped: then what a month costs never falls as its peak grows, and a planner can minimise it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Protocol

from grid.tariff.errors import TariffError
from grid.tariff.hours import Hours
from grid.tariff.numbers import plain

__all__ = [
    "Constant", "Contract", "DemandFacts", "Found", "Highest", "Largest", "NoContract", "PastDemand", "Recorded", "Rule", "find", "terms",
]  # fmt: skip


class NoContract(TariffError):
    """The rule needs a contract demand, and none is known."""


class PastDemand(StrEnum):
    """Which demand of past months counts."""

    RECORDED = "highest_recorded"
    BILLING = "highest_billing"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The highest block mean of the month, in ``hours`` only if given."""

    factor: Fraction = Fraction(1)
    hours: Hours | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """A share of the contract demand."""

    factor: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Constant:
    """A demand that is always billed, kW or kVA."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Highest:
    """The highest demand of the ``lookback`` months before, no more than ``cap`` (before the factor)."""

    what: PastDemand
    lookback: int
    factor: Fraction = Fraction(1)
    cap: Contract | Constant | None = None


@dataclass(frozen=True, slots=True)
class Largest:
    """The highest of its terms."""

    args: tuple[Rule, ...]


Rule = Recorded | Contract | Constant | Highest | Largest


class DemandFacts(Protocol):
    """What a rule may ask, all in the unit of the demand (kW or kVA)."""

    @property
    def unit(self) -> str: ...
    @property
    def contract(self) -> Fraction | None: ...
    def recorded(self, hours: Hours | None) -> Fraction: ...
    def highest(self, what: PastDemand, lookback: int) -> tuple[Fraction, int]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A value and how it came about. ``lacking``: months of the history that are not known."""

    value: Fraction
    words: str
    lacking: int = 0


def find(rule: Rule, facts: DemandFacts) -> Found:
    """The value of a rule. Raises :class:`NoContract`."""
    unit = facts.unit
    match rule:
        case Recorded(factor, hours):
            measured = facts.recorded(hours)
            where = f" recorded {hours}" if hours else " recorded"
            return Found(measured * factor, f"{_share(factor)}{plain(measured, 3)} {unit}{where}{_makes(factor, measured, unit)}")
        case Contract(factor):
            whole = _contract(facts)
            return Found(whole * factor, f"{_share(factor)}{plain(whole, 3)} {unit} contract demand{_makes(factor, whole, unit)}")
        case Constant(value):
            return Found(value, f"at least {plain(value, 3)} {unit}")
        case Highest(what, lookback, factor, cap):
            past, known = facts.highest(what, lookback)
            kind = "recorded" if what is PastDemand.RECORDED else "billing"
            words = f"{plain(past, 3)} {unit} highest {kind} demand of the {lookback} months before"
            if cap is not None:
                ceiling = find(cap, facts).value
                if ceiling < past:
                    past, words = ceiling, f"{words}, counted up to {plain(ceiling, 3)} {unit}"
            return Found(past * factor, f"{_share(factor)}{words}{_makes(factor, past, unit)}", lookback - known)
        case Largest(args):
            found = [find(arg, facts) for arg in args]
            value = max(one.value for one in found)
            return Found(value, f"the highest of {'; '.join(one.words for one in found)}", max(one.lacking for one in found))


def terms(rule: Rule) -> Iterator[Recorded | Contract | Constant | Highest]:
    """The terms of a rule without their nesting: the rule is their maximum."""
    if isinstance(rule, Largest):
        for arg in rule.args:
            yield from terms(arg)
    else:
        yield rule


def _contract(facts: DemandFacts) -> Fraction:
    if facts.contract is None:
        raise NoContract("the billing demand depends on the contract demand: give it")
    return facts.contract


def _share(factor: Fraction) -> str:
    return "" if factor == 1 else f"{plain(factor * 100, 3)} % of "


def _makes(factor: Fraction, value: Fraction, unit: str) -> str:
    return "" if factor == 1 else f" = {plain(value * factor, 3)} {unit}"
