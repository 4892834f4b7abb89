"""What the operator of a depot decides about money."""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from payments.gst import DatedGst, GstBook, Supplier
from payments.money import GstRule
from payments.rules import INDIA, Rules

__all__ = ["Terms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the operator decides. ``credit_limit_paise``: the most that a driver may owe; ``spread_days``: over how many days'
    debits; ``cancel_older``: whether a mandate that a newer one of the same driver has replaced is ended at the gateway.
    ``gst`` holds until the first of ``gst_changes``; ``supplier``: who issues the invoices."""

    credit_limit_paise: int = 5_000_00
    spread_days: int = 1
    cancel_older: bool = True
    currency: str = "INR"
    timezone: ZoneInfo = INDIA
    gst: GstRule = field(default_factory=GstRule)
    rules: Rules = field(default_factory=Rules)
    gst_changes: tuple[DatedGst, ...] = ()
    supplier: Supplier = field(default_factory=Supplier)

    @property
    def gst_book(self) -> GstBook:
        """All that taxes depend on."""
        return GstBook(base=self.gst, changes=self.gst_changes, supplier=self.supplier)
