"""What machines and pages are told of the books of money: debits, settlements, statements. Amounts are integer paise."""

from __future__ import annotations

from datetime import date, datetime

from msgspec import Struct


class DifferenceView(Struct, frozen=True, kw_only=True):
    """What in a settlement does not agree with the books. ``kind``: missing, short, over, unknown, fee, late, twice, adjustment;
    ``amount_paise``: positive, the gateway brought too little (of a fee: kept too much). ``explained_at`` None: open; empty
    ``explained_by``: it was explained by the money's coming."""

    difference_id: str
    kind: str
    entity_id: str
    settlement_id: str
    amount_paise: int
    note: str
    found_at: datetime
    explained_at: datetime | None
    explained_by: str
    explanation: str


class ReconciliationView(Struct, frozen=True, kw_only=True):
    """Books against settlements. ``zero``: nothing open, no gap. ``transit_paise``: taken and not settled yet; ``gap_paise``: what
    the account gateway clearing holds beside that and the open differences: not 0 is a fault of the books."""

    at: datetime
    zero: bool
    open: int
    open_paise: int
    transit_paise: int
    clearing_paise: int
    gap_paise: int
    last_day: date | None
    differences: list[DifferenceView]


class DebitStepView(Struct, frozen=True, kw_only=True):
    """A step of a debit's way: batched, notice asked for, notice delivered, notice failed, debit asked for, refused, failed, taken,
    settled. ``note``: reason or reference."""

    at: datetime
    what: str
    note: str


class DebitBillView(Struct, frozen=True, kw_only=True):
    """What a debit takes for a session."""

    session_id: str
    invoice_no: str
    amount_paise: int
    paid_paise: int


class DebitView(Struct, frozen=True, kw_only=True):
    """One debit (collection). ``day``: business day in India; ``reason``: why it failed; ``what_to_do``: in words; ``due_at``: when
    it may be presented."""

    debit_id: str
    driver_id: str
    mandate_id: str
    mode: str
    day: str
    stage: str
    amount_paise: int
    due_at: datetime | None
    next_at: datetime | None
    reason: str
    what_to_do: str
    bills: list[DebitBillView]
    steps: list[DebitStepView]


class DebitsView(Struct, frozen=True, kw_only=True):
    """The newest debits, newest first. ``more``: ask with ``before=more`` for older ones."""

    at: datetime
    debits: list[DebitView]
    more: str


class RefundView(Struct, frozen=True, kw_only=True):
    """Money on its way back. ``may_retry``: it failed and can be asked for again."""

    refund_key: str
    session_id: str
    payment_id: str
    amount_paise: int
    state: str
    why: str
    asked_at: datetime
    may_retry: bool


class RefundsView(Struct, frozen=True, kw_only=True):
    """The newest refunds."""

    at: datetime
    refunds: list[RefundView]


class ArrearsLineView(Struct, frozen=True, kw_only=True):
    """A bill that waits for a person or the driver. ``reminders``: made so far, ``taken``: of those by the messenger."""

    session_id: str
    driver_id: str
    invoice_no: str
    owed_paise: int
    reason: str
    what_to_do: str
    since: datetime | None
    reminders: int
    taken: int
    next_reminder_at: datetime | None


class ArrearsView(Struct, frozen=True, kw_only=True):
    """Bills in arrears, oldest first. ``write_off_alone_paise``: above this a second person approves a write-off."""

    at: datetime
    owed_paise: int
    write_off_alone_paise: int
    bills: list[ArrearsLineView]


class StatementLineView(Struct, frozen=True, kw_only=True):
    """An entry of a driver's account. Positive: the driver owes more."""

    at: datetime
    kind: str
    reference: str
    memo: str
    amount_paise: int
    balance_paise: int


class DriverStatementView(Struct, frozen=True, kw_only=True):
    """A driver's account from the first day to the last (India), both included. ``csv``: the same for a spreadsheet, where asked for."""

    driver_id: str
    first: date
    last: date
    opening_paise: int
    closing_paise: int
    lines: list[StatementLineView]
    csv: str = ""


class DriverSumsView(Struct, frozen=True, kw_only=True):
    """One driver's sums in a time."""

    driver_id: str
    opening_paise: int
    invoiced_paise: int
    paid_paise: int
    credited_paise: int
    refunded_paise: int
    written_off_paise: int
    closing_paise: int


class FleetStatementView(Struct, frozen=True, kw_only=True):
    """All drivers' sums. ``mismatches``: where ledger and documents do not agree; empty: they do."""

    first: date
    last: date
    opening_paise: int
    closing_paise: int
    drivers: list[DriverSumsView]
    mismatches: list[str]
    csv: str = ""


class AccountDayView(Struct, frozen=True, kw_only=True):
    """An account's day; debits positive."""

    account: str
    opening_paise: int
    debits_paise: int
    credits_paise: int
    closing_paise: int


class DayStatementView(Struct, frozen=True, kw_only=True):
    """Every account of the ledger on one day (India)."""

    day: date
    entries: int
    accounts: list[AccountDayView]
    csv: str = ""
