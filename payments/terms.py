"""What the operator of a depot decides about money."""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from payments.money import GstRule
from payments.rules import INDIA, Rules

__all__ = ["Terms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the operator decides. ``credit_limit_paise``: the most that a driver may owe."""

    credit_limit_paise: int = 5_000_00
    currency: str = "INR"
    timezone: ZoneInfo = INDIA
    gst: GstRule = field(default_factory=GstRule)
    rules: Rules = field(default_factory=Rules)
