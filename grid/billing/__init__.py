"""Bills: meter blocks of a month × a tariff, exact, in whole paise, every line explained.

    blocks     the month's blocks on the local clock, block demands
    energy     time of day, slabs          demand   billing rule, excess, contract; fixed charges
    making     the whole bill: power factor, adders, rounding
    drafts     lines before they are rounded, cut where anything changes within the month

BillingError (a :class:`grid.GridError`): a bill cannot be made of what was given.
"""

from __future__ import annotations

from grid.billing.making import bill
from grid.billing.values import Bill, BilledDemand, BillExtras, BillingError, BillingHistory, BillLine, ContractChange, PastMonth
from grid.months import Month

__all__ = [
    "Bill", "BillExtras", "BillLine", "BilledDemand", "BillingError", "BillingHistory", "ContractChange", "Month", "PastMonth", "bill",
]  # fmt: skip
