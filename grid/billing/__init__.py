"""Bills: meter blocks of a month × a tariff, exact, in whole paise, every line explained.

BillingError (a :class:`grid.GridError`): a bill cannot be made of what was given.
"""

from __future__ import annotations

from grid.billing.values import Bill, BilledDemand, BillExtras, BillingError, BillingHistory, BillLine, ContractChange, PastMonth
from grid.months import Month

__all__ = ["Bill", "BillExtras", "BillLine", "BilledDemand", "BillingError", "BillingHistory", "ContractChange", "Month", "PastMonth"]
