"""What the operator of a depot decides about money."""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from payments.money import GstRule
from payments.rules import INDIA, Rules

__all__ = ["Terms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the operator decides. ``credit_limit_paise``: the most that a driver may owe; ``spread_days``: over how many days'
    debits; ``cancel_older``: whether a mandate that a newer one of the same driver has replaced is ended at the gateway."""

    credit_limit_paise: int = 5_000_00
    spread_days: int = 1
    cancel_older: bool = True
    currency: str = "INR"
    timezone: ZoneInfo = INDIA
    gst: GstRule = field(default_factory=GstRule)
    rules: Rules = field(default_factory=Rules)
