"""What regulator and network allow, as numbers that can be set: notice, execution windows, caps, retries.

Sources: RBI e-mandate framework 2026 (notice of 24 h, ₹15,000 without a second factor); NPCI from 1 August 2025
(executions outside of peak hours, one attempt and three retries, status checks 90 s apart). Press reports differ in
details, hence settings. All times of day are Indian time, whatever the depot's zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

__all__ = ["INDIA", "NPCI_WINDOWS", "Rules", "Window"]

INDIA = ZoneInfo("Asia/Kolkata")

Window = tuple[time, time]
"""Half-open; an end of 00:00 means midnight."""

NPCI_WINDOWS: tuple[Window, ...] = ((time(0), time(10)), (time(13), time(17)), (time(21, 30), time(0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One instance per depot. Amounts in paise.

    ``mandate_spare``: so long after a session's end a mandate must live to be debited; ``block_spare``: the same of a block, which is
    debited at once and released 10 minutes before its end.

    ``lookup_spacing``, ``lookups_before_resubmit``, ``settle``: after a request without a clear answer the debit is
    asked for again only after so many empty look-ups, so far apart, and not before ``settle`` has passed since; it
    must be longer than the gateway can hide a payment that it has accepted.

    ``cut_off``: Indian time at which a driver's sessions of the day become one debit; None: each session at once.
    ``ask_second_factor``: debit more than ₹15,000 at once and have the driver approve it, instead of splitting over days.
    ``paused_patience``: how long bills of a paused mandate wait before they are in arrears. ``reminder_days``: how long after a bill
    came into arrears the driver is reminded; the last reminder says that it is the last.
    """

    notice: timedelta = timedelta(hours=24)
    notice_margin: timedelta = timedelta(hours=1)
    windows: tuple[Window, ...] = NPCI_WINDOWS
    no_second_factor_up_to_paise: int = 15_000_00
    least_debit_paise: int = 1_00
    max_retries: int = 3
    retry_wait: timedelta = timedelta(hours=6)
    max_notices: int = 3
    mandate_spare: timedelta = timedelta(hours=48)
    block_spare: timedelta = timedelta(minutes=30)
    lookup_spacing: timedelta = timedelta(seconds=90)
    lookups_before_resubmit: int = 3
    settle: timedelta = timedelta(minutes=30)
    cut_off: time | None = time(23)
    ask_second_factor: bool = False
    paused_look: timedelta = timedelta(hours=1)
    paused_patience: timedelta = timedelta(hours=48)
    reminder_days: tuple[int, ...] = (0, 3, 7, 14)

    def __post_init__(self) -> None:
        if not self.windows:
            raise ValueError("there must be at least one execution window")
        if self.lookups_before_resubmit < 1 or self.settle <= timedelta(0):
            raise ValueError("an unanswered debit needs at least one look-up and some time before it is asked for again")

    def cap_paise(self, max_amount_paise: int) -> int:
        """The most for one debit by AutoPay."""
        return max_amount_paise if self.ask_second_factor else min(max_amount_paise, self.no_second_factor_up_to_paise)

    def india_day(self, at: datetime) -> date:
        """The calendar day in India."""
        return at.astimezone(INDIA).date()

    def cut_off_of(self, at: datetime) -> datetime:
        """The first cut-off after ``at``, UTC: when a bill of then is batched. Without a cut-off: at once."""
        if self.cut_off is None:
            return at
        local = at.astimezone(INDIA)
        moment = datetime.combine(local.date(), self.cut_off, INDIA)
        return (moment if local < moment else moment + timedelta(days=1)).astimezone(UTC)

    def closed_day(self, now: datetime) -> date:
        """The latest business day that is closed. Without a cut-off: today."""
        if self.cut_off is None:
            return self.india_day(now)
        local = now.astimezone(INDIA)
        return local.date() if local.time() >= self.cut_off else local.date() - timedelta(days=1)

    def cut_off_on(self, day: date, later: int = 0) -> datetime:
        """The cut-off of the business day ``later`` days after ``day``, UTC. Without a cut-off: its first moment."""
        return datetime.combine(day + timedelta(days=later), self.cut_off or time(0), INDIA).astimezone(UTC)

    def payment_after(self, now: datetime) -> datetime:
        """The first moment for a debit whose notice is asked for at ``now``: notice, margin, next window."""
        return self.next_window(now + self.notice + self.notice_margin)

    def due_at(self, payment_after: datetime, delivered_at: datetime | None) -> datetime:
        """When the debit may be presented: a notice that came late pushes it. Unknown delivery: the gateway, which
        knows it, is asked at ``payment_after`` and refuses where there was none."""
        earliest = payment_after if delivered_at is None else max(payment_after, delivered_at + self.notice)
        return self.next_window(earliest)

    def next_window(self, at: datetime) -> datetime:
        """``at`` if executions are allowed then, else the start of the next window. Aware in, same zone out."""
        local = at.astimezone(INDIA)
        starts: list[datetime] = []
        for start, end in self.windows:
            if start <= local.time() and (local.time() < end or end == time(0)):
                return at
            begin = datetime.combine(local.date(), start, INDIA)
            starts.append(begin if begin > local else begin + timedelta(days=1))  # India has no summer time
        return min(starts).astimezone(at.tzinfo)
