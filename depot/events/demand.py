"""Facts of the demand book. See :mod:`depot.demand_book`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.demand_book import MonthDemand, UtilityBill
from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class MonthDemandRecorded(Event):
    """A person typed in what an old bill said."""

    TYPE: ClassVar[str] = "demand.month_recorded"
    demand: MonthDemand


@dataclass(frozen=True, slots=True)
class UtilityBillRecorded(Event):
    """A person typed in the utility's bill."""

    TYPE: ClassVar[str] = "demand.utility_bill_recorded"
    bill: UtilityBill
