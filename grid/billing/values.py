"""What goes into a bill and what comes out of it: contract and history, extras, lines in whole paise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction

from grid import GridError
from grid.months import Month
from grid.tariff.hours import Valid

__all__ = ["Bill", "BillExtras", "BillLine", "BilledDemand", "BillingError", "BillingHistory", "ContractChange", "PastMonth"]


class BillingError(GridError):
    """A bill cannot be made of what was given; the message says what is missing or contradictory."""


@dataclass(frozen=True, slots=True)
class PastMonth:
    """What an earlier bill said: the recorded maximum demand and the billing demand, in the tariff's unit (kW or kVA)."""

    recorded: Fraction
    billing: Fraction


@dataclass(frozen=True, slots=True)
class ContractChange:
    """From the local day ``since`` on the contract demand is ``demand`` kW or kVA (the tariff's unit)."""

    since: date
    demand: Fraction


@dataclass(frozen=True, slots=True)
class BillingHistory:
    """Past months, as far as they are known, and changes of the contract in any order."""

    months: Mapping[Month, PastMonth] = field(default_factory=dict)
    contracts: tuple[ContractChange, ...] = ()


@dataclass(frozen=True, slots=True)
class BillExtras:
    """What the blocks don't tell. ``power_factor``: the month's average as the utility's meter shows it, above 0 and up to 1;
    it also stands in for apparent energy that was not measured. ``monthly``: what is published for this month, by the
    adder's code (FPPCA: rupees per unit; shares in percent). ``assumed_power_factor`` only stands in, where nobody knows the
    month's."""

    power_factor: Fraction | None = None
    monthly: Mapping[str, Fraction] = field(default_factory=dict)
    assumed_power_factor: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One line: ``quantity`` × ``rate`` (exact; in the currency per ``unit``), for the share of the month that ``valid``
    leaves, rounded as the tariff says to ``amount_paise``. ``explanation``: how the quantity and the amount came about."""

    code: str
    text: str
    quantity: Fraction
    unit: str
    rate: Fraction
    amount_paise: int
    explanation: str
    order_ref: str
    valid: Valid


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledDemand:
    """Of one demand layer and one contract: what was recorded (the block that began at ``at``; None: none was), what is
    billed, and the contract; kW or kVA (``unit``)."""

    code: str
    unit: str
    recorded: Fraction
    at: datetime | None
    billing: Fraction
    contract: Fraction | None
    excess: Fraction
    valid: Valid


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A month's bill: the lines add up to ``total_paise`` exactly. ``covered``: measured share of the month, which is not
    filled up; ``caveats``: what this bill doesn't know, in sentences."""

    tariff: str
    title: str
    currency: str
    month: Month
    begins_at: datetime
    ends_at: datetime
    lines: tuple[BillLine, ...]
    total_paise: int
    demands: tuple[BilledDemand, ...]
    energy_kwh: Fraction
    energy_kvah: Fraction | None
    power_factor: Fraction | None
    covered: Fraction
    caveats: tuple[str, ...]
