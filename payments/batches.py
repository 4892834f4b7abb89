"""Which open bills of a driver are debited together, and how much of them. Pure: (bills, instrument, now) in, a batch out.

    AUTOPAY   one debit per driver and business day, made at the cut-off; whole bills, oldest first, up to the cap of one
              debit (the mandate's maximum, and ₹15,000 unless the driver is to be asked); the rest is for the next day
    RESERVE   one debit per session at once, within what the block still holds
    ONE_TIME  one debit, once, within the block

A bill that is above the cap by itself is split over days, never inside one. Less than the least debit waits for more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from payments.reasons import Reason
from payments.rules import Rules
from payments.states import MandateState, Mode

__all__ = ["Batch", "Instrument", "OpenBill", "batch"]


@dataclass(frozen=True, slots=True)
class OpenBill:
    """What of a bill is in no debit yet. ``split_on``: business days of the debits that took a part of it."""

    bill_id: str
    invoiced_at: datetime
    open_paise: int
    split_on: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Instrument:
    """The mandate to debit. ``taken_paise``: of a block, what our debits took or may take; ``taken_days``: business days that
    have a debit of this driver by AutoPay."""

    mandate_id: str
    mode: Mode
    state: MandateState
    max_amount_paise: int
    expire_at: datetime
    taken_paise: int = 0
    taken_days: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Batch:
    """``takes``: (bill, paise) of one debit on ``day``; none: nothing now. ``again_at``: when to look at the rest, None: when
    another bill comes. ``stuck``: why the rest cannot be debited from this instrument."""

    day: date | None = None
    takes: tuple[tuple[str, int], ...] = ()
    again_at: datetime | None = None
    stuck: Reason | None = None

    @property
    def amount_paise(self) -> int:
        """Of the debit."""
        return sum(paise for _, paise in self.takes)


def batch(bills: Sequence[OpenBill], instrument: Instrument | None, *, now: datetime, rules: Rules) -> Batch:
    """The next debit for these bills of one driver (oldest first)."""
    if not bills:
        return Batch()
    if instrument is None:
        return Batch(stuck=Reason.MANDATE_NOT_ACTIVE)
    daily = instrument.mode is Mode.AUTOPAY and rules.cut_off is not None
    if daily:
        bills = [bill for bill in bills if rules.cut_off_of(bill.invoiced_at) <= now] or bills[:1]
        due_at = rules.cut_off_of(bills[0].invoiced_at)
        if now < due_at:
            return Batch(again_at=due_at)
    trouble = _unusable(instrument, now)
    if trouble is Reason.MANDATE_PAUSED and now < bills[0].invoiced_at + rules.paused_patience:
        return Batch(again_at=now + rules.paused_look)
    if trouble is not None:
        return Batch(stuck=trouble)
    if instrument.mode is not Mode.AUTOPAY:
        return _of_block(bills, instrument, now, rules)
    day = rules.closed_day(now)
    if daily and day in instrument.taken_days:
        return Batch(again_at=rules.cut_off_on(day, 1))
    fresh = [bill for bill in bills if day not in bill.split_on]
    if not fresh:
        return Batch(again_at=rules.cut_off_on(day, 1))
    takes = _fill(fresh if daily else _one_session(fresh, rules), rules.cap_paise(instrument.max_amount_paise), rules)
    rest = sum(bill.open_paise for bill in bills) - sum(paise for _, paise in takes)
    if not takes or rest < rules.least_debit_paise:
        return Batch(day, takes)
    whole = {bill.bill_id: bill.open_paise for bill in bills}
    split = any(whole[bill_id] > paise for bill_id, paise in takes)
    later = daily or (split and len(fresh) == 1) or len(fresh) < len(bills)
    return Batch(day, takes, again_at=rules.cut_off_on(day, 1) if later else now)


def _unusable(instrument: Instrument, now: datetime) -> Reason | None:
    if instrument.expire_at <= now or instrument.state is MandateState.EXPIRED:
        return Reason.MANDATE_EXPIRED
    if instrument.state is MandateState.PAUSED:
        return Reason.MANDATE_PAUSED
    if instrument.state in (MandateState.CANCELLED, MandateState.CANCEL_PENDING):
        return Reason.MANDATE_CANCELLED
    return None if instrument.state is MandateState.ACTIVE else Reason.MANDATE_NOT_ACTIVE


def _of_block(bills: Sequence[OpenBill], instrument: Instrument, now: datetime, rules: Rules) -> Batch:
    left = instrument.max_amount_paise - instrument.taken_paise
    once = instrument.mode is Mode.ONE_TIME
    if left < rules.least_debit_paise or (once and instrument.taken_paise):
        return Batch(stuck=Reason.AMOUNT_NOT_MANDATES)
    chosen = bills if once else _one_session(bills, rules)
    takes = _fill(chosen, left, rules)
    rest = sum(bill.open_paise for bill in bills) - sum(paise for _, paise in takes)
    return Batch(rules.india_day(now), takes, again_at=now if takes and rest else None)


def _one_session(bills: Sequence[OpenBill], rules: Rules) -> Sequence[OpenBill]:
    """The oldest bill that can be debited, with those that are too small for a debit of their own."""
    main = next((bill for bill in bills if bill.open_paise >= rules.least_debit_paise), None)
    return [bill for bill in bills if bill is main or bill.open_paise < rules.least_debit_paise]


def _fill(bills: Sequence[OpenBill], cap_paise: int, rules: Rules) -> tuple[tuple[str, int], ...]:
    """Whole bills, oldest first; only one that is above the cap by itself is split, and leaves no rest too small to debit."""
    takes: list[tuple[str, int]] = []
    room = cap_paise
    for bill in bills:
        if bill.open_paise > room:
            if bill.open_paise > cap_paise and not takes and cap_paise >= 2 * rules.least_debit_paise:
                rest = bill.open_paise - cap_paise
                takes.append((bill.bill_id, cap_paise if rest >= rules.least_debit_paise else bill.open_paise - rules.least_debit_paise))
            break
        takes.append((bill.bill_id, bill.open_paise))
        room -= bill.open_paise
    return tuple(takes) if sum(paise for _, paise in takes) >= rules.least_debit_paise else ()
