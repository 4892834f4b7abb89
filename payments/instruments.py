"""What a driver pays with: AutoPay, Reserve Pay, a one-time mandate; their bounds, what is left of a block, which one counts.

Sources: RBI e-mandate framework 2026 (₹15,000 for each debit without a second factor); the gateway's public documentation:
maximum of an ordinary mandate ₹99,999, Reserve Pay ₹10,000 a block for at most 90 days, released 10 minutes before its end;
one-time mandate ₹1 lakh, one debit, the rest is released by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from payments.rules import INDIA
from payments.states import MandateState, Mode

__all__ = ["BOUNDS", "Bounds", "Instrument", "in_order", "link_ends_at", "superseded"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the gateway takes: paise of the maximum (AutoPay) or of the block, and how long it may live."""

    least_paise: int
    most_paise: int
    longest: timedelta


BOUNDS = {
    Mode.AUTOPAY: Bounds(1_00, 99_999_00, timedelta(days=30 * 365)),
    Mode.RESERVE: Bounds(1_00, 10_000_00, timedelta(days=90)),
    Mode.ONE_TIME: Bounds(1_00, 1_00_000_00, timedelta(days=90)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One of a driver's mandates as known. ``max_amount_paise``: of each debit (AutoPay) or of the block; ``blocked_paise``
    and ``debited_paise``: of a block, as the gateway told. ``customer_id`` "": not known yet."""

    mandate_id: str
    mode: Mode
    state: MandateState
    max_amount_paise: int
    expire_at: datetime
    created_at: datetime
    blocked_paise: int = 0
    debited_paise: int = 0
    customer_id: str = ""

    @property
    def in_force(self) -> bool:
        """Whether it pays now."""
        return self.state is MandateState.ACTIVE

    @property
    def held_paise(self) -> int:
        """What a block held at first; its maximum until the gateway has told. 0 for AutoPay."""
        return (self.blocked_paise or self.max_amount_paise) if self.mode.blocks else 0

    def left_paise(self, spent_paise: int) -> int:
        """What is left of a block of which ``spent_paise`` are billed or reserved; the gateway's own count of what it has
        debited holds where it is more. A block that is not in force, and a one-time mandate that was used, hold nothing."""
        if not self.mode.blocks or self.state is not MandateState.ACTIVE:
            return 0
        spent = max(spent_paise, self.debited_paise)
        return 0 if self.mode is Mode.ONE_TIME and spent else max(0, self.held_paise - spent)


def in_order(instruments: Sequence[Instrument]) -> list[Instrument]:
    """Those in force first, then paused ones, then the rest; the newest first in each."""

    def rank(one: Instrument) -> int:
        return 0 if one.state is MandateState.ACTIVE else 1 if one.state is MandateState.PAUSED else 2

    newest_first = sorted(instruments, key=lambda one: (one.created_at, one.mandate_id), reverse=True)
    return sorted(newest_first, key=rank)


def superseded(instruments: Sequence[Instrument]) -> list[Instrument]:
    """Those that a newer one of the same driver and mode, in force, has replaced: a driver who registers again has two tokens
    at the gateway. A function of what is known, so that it does not matter which of the two was told first."""
    live = [one for one in in_order(instruments) if one.state in (MandateState.ACTIVE, MandateState.PAUSED)]
    newest: dict[Mode, Instrument] = {}
    for one in live:
        if one.state is MandateState.ACTIVE:
            newest.setdefault(one.mode, one)
    return [
        one
        for one in live
        if one.mode in newest and (one.created_at, one.mandate_id) < (newest[one.mode].created_at, newest[one.mode].mandate_id)
    ]


def link_ends_at(created_at: datetime) -> datetime:
    """Until when an approval may come: order and authorisation are of the same day (India's) by the gateway's rules, and
    whoever asks late in the evening gets the next day as well."""
    local = created_at.astimezone(INDIA)
    midnight = datetime.combine(local.date() + timedelta(days=1), time(0), INDIA)
    return (midnight if local.hour < 22 else midnight + timedelta(days=1)).astimezone(created_at.tzinfo)
