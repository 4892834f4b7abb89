"""What regulator and network allow, as the mock plays it: execution windows, cycles, caps, reasons. Pure.

Sources: RBI e-mandate framework 2026; NPCI's execution windows from 1 August 2025 (press reports differ in details, hence a
setting); the gateway's public documentation. Times of day are Indian time.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

__all__ = [
    "ALL_DAY",
    "INDIA",
    "MAX_ATTEMPTS",
    "NPCI_WINDOWS",
    "REASONS",
    "clock_words",
    "cycle_of",
    "day_allowed",
    "day_of",
    "day_words",
    "end_of_day_s",
    "next_window_s",
    "validity",
]

INDIA = timezone(timedelta(hours=5, minutes=30))
Window = tuple[time, time]
ALL_DAY: tuple[Window, ...] = ()
NPCI_WINDOWS: tuple[Window, ...] = ((time(0), time(10)), (time(13), time(17)), (time(21, 30), time(0)))
"""Half-open; an end of 00:00 means midnight."""

SECOND_FACTOR_PAISE = 15_000_00
MAX_ATTEMPTS = 4
"""Of one debit: one and three retries."""
AUTOPAY_MOST_PAISE = 99_999_00
OTM_MOST_PAISE = 1_00_000_00
RESERVE_MOST_PAISE = 10_000_00
RESERVE_MOST_S = 90 * 86_400
RESERVE_RELEASE_S = 600
"""A block's rest goes back to the driver so long before its end."""
LONGEST_S = 30 * 366 * 86_400
DEFAULT_S = 10 * 365 * 86_400
REFUND_WITHIN_S = 182 * 86_400
AUTO_DEBIT_AFTER_S = 25 * 3600
"""Where the merchant gave no notice of its own, the gateway sends one and debits so much later."""

FREQUENCIES = (
    "as_presented", "one_time", "daily", "weekly", "fortnightly", "bimonthly", "monthly", "quarterly", "half_yearly", "yearly",
)  # fmt: skip

REASONS: dict[str, str] = {
    "insufficient_funds": "not enough money in the account",
    "adequate_funds_not_available_blocked": "the block does not hold so much",
    "amount_does_not_match_mandate_amount": "more than the mandate allows",
    "transaction_limit_exceeded": "the bank's limit for a day is used up",
    "per_transaction_limit_exceeded": "more than the bank allows at once",
    "mandate_cancelled": "the mandate was cancelled",
    "mandate_paused": "the mandate is paused",
    "mandate_expired": "the mandate has ended",
    "mandate_not_active": "the mandate is not in force",
    "mandate_current_cycle_allowed_debit_exceeds": "this cycle's debit was taken already",
    "execution_day_rule_mismatch": "not on this day of the cycle",
    "mandate_debit_beyond_psp_amount_cap": "more than the app's provider allows",
    "invalid_token": "the token is not this order's",
    "payer_account_has_changed": "the driver has another account now",
    "mobile_number_invalid": "the phone's number is not registered",
    "debit_instrument_blocked": "the account is blocked for debits",
    "debit_declined": "the bank declined the debit",
    "payment_declined": "the driver declined",
    "payment_risk_check_failed": "the gateway's risk check said no",
    "suspected_fraud_decline": "the bank suspects fraud",
    "pre_debit_notification_failed": "there was no notice, or not long enough ago",
    "payment_pending": "the bank has not answered yet",
    "payment_timed_out": "the driver did not approve in time",
    "request_timed_out": "the request took too long",
    "psp_not_available": "the app's provider is away",
    "psp_timeout": "the app's provider did not answer",
    "bank_not_available": "the bank is away",
    "bank_technical_error": "the bank had a technical error",
    "banks_hsm_is_down_remitter": "the bank's security module is down",
    "gateway_technical_error": "the gateway had a technical error",
    "response_not_received_within_tat": "no answer within the agreed time",
    "seqnum_mismatch_payer_psp": "the app's provider lost count",
    "upi_dummy_payment": "the dummy payment of a one-time mandate",
}
"""Every reason of the gateway's list, with what it means."""


def _local(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC).astimezone(INDIA)


def next_window_s(windows: tuple[Window, ...], at_s: float) -> float:
    """``at_s`` if executions are allowed then, else the start of the next window. No windows: always allowed."""
    if not windows:
        return at_s
    local = _local(at_s)
    starts: list[datetime] = []
    for start, end in windows:
        if start <= local.time() and (local.time() < end or end == time(0)):
            return at_s
        begin = datetime.combine(local.date(), start, INDIA)
        starts.append(begin if begin > local else begin + timedelta(days=1))
    return min(starts).timestamp()


def end_of_day_s(at_s: float) -> float:
    """The midnight after ``at_s``, Indian time."""
    return datetime.combine(_local(at_s).date() + timedelta(days=1), time(0), INDIA).timestamp()


def day_of(at_s: float) -> str:
    """India's calendar day, like 2026-11-22."""
    return _local(at_s).date().isoformat()


def clock_words(at_s: float | None) -> str:
    """22 Nov, 18:05."""
    return "" if at_s is None else f"{_local(at_s):%d %b, %H:%M}"


def day_words(at_s: float | None) -> str:
    """22 Nov 2026."""
    return "" if at_s is None else f"{_local(at_s):%d %b %Y}"


def validity(at_s: float) -> str:
    """A day as a mandate's link writes it."""
    return _local(at_s).strftime("%d%m%Y")


def cycle_of(frequency: str, at_s: float) -> str | None:
    """The billing cycle that ``at_s`` lies in; of each, one debit may succeed. None: there are no cycles."""
    local = _local(at_s)
    year, month = local.year, local.month
    match frequency:
        case "daily":
            return local.date().isoformat()
        case "weekly":
            return "{}-w{}".format(*local.isocalendar())
        case "fortnightly":
            return f"{year}-{month}-{'a' if local.day < 16 else 'b'}"
        case "monthly":
            return f"{year}-{month}"
        case "bimonthly":
            return f"{year}-{(month - 1) // 2}"
        case "quarterly":
            return f"{year}-q{(month - 1) // 3}"
        case "half_yearly":
            return f"{year}-h{(month - 1) // 6}"
        case "yearly":
            return str(year)
    return None


def day_allowed(frequency: str, kind: str | None, value: int | None, at_s: float) -> bool:
    """Whether the mandate's day rule (``recurring_type`` before, on, after; ``recurring_value``) lets a debit through."""
    if kind is None or value is None or frequency in ("as_presented", "one_time", "daily"):
        return True
    local = _local(at_s)
    day = local.isoweekday() if frequency == "weekly" else local.day
    return {"before": day <= value, "on": day == value, "after": day >= value}.get(kind, True)
