"""The books of money as the fake core tells them."""

from __future__ import annotations

from datetime import date

from fake_depot import NOW, FakeLink

from controller.books_view import (
    AccountDayView,
    ArrearsLineView,
    ArrearsView,
    DayStatementView,
    DebitBillView,
    DebitStepView,
    DebitsView,
    DebitView,
    DifferenceView,
    DriverStatementView,
    DriverSumsView,
    FleetStatementView,
    ReconciliationView,
    RefundsView,
    RefundView,
    StatementLineView,
)

DAY = date(2026, 11, 21)


def reconciliation() -> ReconciliationView:
    """One thing is short."""
    short = DifferenceView(
        difference_id="cy-short", kind="short", entity_id="pay_1", settlement_id="setl_1", amount_paise=10_00,
        note="₹115.21 was to come, ₹105.21 came",
        found_at=NOW, explained_at=None, explained_by="", explanation="",
    )  # fmt: skip
    return ReconciliationView(
        at=NOW,
        zero=False,
        open=1,
        open_paise=10_00,
        transit_paise=118_00,
        clearing_paise=128_00,
        gap_paise=0,
        last_day=DAY,
        differences=[short],
    )


def debits() -> DebitsView:
    """One that was taken, for two sessions."""
    bills = [DebitBillView(session_id=f"s{n}", invoice_no=f"2627/00000{n}", amount_paise=59_00, paid_paise=59_00) for n in (1, 2)]
    steps = [DebitStepView(at=NOW, what="batched", note=""), DebitStepView(at=NOW, what="taken", note="pay_1")]
    debit = DebitView(
        debit_id="cy-debit", driver_id="D-101", mandate_id="m1", mode="autopay", day="2026-11-21", stage="captured", amount_paise=118_00,
        due_at=None, next_at=None, reason="", what_to_do="", bills=bills, steps=steps,
    )  # fmt: skip
    return DebitsView(at=NOW, debits=[debit], more="")


def fill_books(link: FakeLink) -> None:
    """Let the fake core answer for the books of money."""
    sums = DriverSumsView(
        driver_id="D-101", opening_paise=0, invoiced_paise=118_00, paid_paise=118_00, credited_paise=0, refunded_paise=0,
        written_off_paise=0, closing_paise=0,
    )  # fmt: skip
    line = StatementLineView(
        at=NOW, kind="invoice", reference="2627/000001", memo="session invoiced", amount_paise=118_00, balance_paise=118_00
    )
    account = AccountDayView(account="receivable", opening_paise=0, debits_paise=118_00, credits_paise=118_00, closing_paise=0)
    refund = RefundView(
        refund_key="cy-refund",
        session_id="s1",
        payment_id="pay_1",
        amount_paise=5_00,
        state="failed",
        why="meter",
        asked_at=NOW,
        may_retry=True,
    )
    arrears = ArrearsLineView(
        session_id="s3", driver_id="D-102", invoice_no="2627/000003", owed_paise=118_00, reason="mandate_cancelled",
        what_to_do="the driver must set up a new mandate", since=NOW, reminders=1, taken=0, next_reminder_at=None,
    )  # fmt: skip
    link.shown |= {
        ReconciliationView: reconciliation(),
        DebitsView: debits(),
        ArrearsView: ArrearsView(at=NOW, owed_paise=118_00, write_off_alone_paise=1_000_00, bills=[arrears]),
        RefundsView: RefundsView(at=NOW, refunds=[refund]),
        DriverStatementView: DriverStatementView(
            driver_id="D-101", first=DAY, last=DAY, opening_paise=0, closing_paise=118_00, lines=[line], csv="at,kind\r\n"
        ),
        FleetStatementView: FleetStatementView(
            first=DAY, last=DAY, opening_paise=0, closing_paise=0, drivers=[sums], mismatches=[], csv="driver_id\r\n"
        ),
        DayStatementView: DayStatementView(day=DAY, entries=2, accounts=[account], csv="account\r\n"),
    }
