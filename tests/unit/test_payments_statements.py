"""Statements: opening, entries, closing; the fleet's sums are the drivers'; a day's accounts; and that they are what the documents
say, found out when one of them is changed."""

from __future__ import annotations

import csv
import io
import itertools
from datetime import date

import pytest
from books_kit import DEPOT, Kit, line
from sqlmodel import select

from payments import claims
from payments.claims import Way
from payments.gateway import SettlementKind
from payments.ledger import Account, Entry, Transfer, post
from payments.records import looking
from payments.settlements import take_in
from payments.statements import Mismatch, as_csv, day_statement, driver_statement, fleet_statement, mismatches
from payments.tables import BillRow, DocumentRow, PaymentRow

FIRST, SECOND, THIRD = (date(2026, 11, day) for day in (22, 23, 24))


@pytest.fixture
def kit() -> Kit:
    """Two drivers over three days: paid, refunded in part, written off, recovered, in cash."""
    made = Kit()
    made.mandate("rani")
    made.mandate("vikram")
    payment = made.paid("r1")
    made.failed("v1", "vikram")
    made.later(days=1)
    made.desk.refund_bill("r1", why="meter", amount_paise=18_00)
    made.refund_done(made.refunds()[0].key)
    lost = made.failed("v2", "vikram", wh=5_000)
    made.desk.write_off("v2", why="moved away")
    claims.pay_otherwise(made.store, DEPOT, "v1", way=Way.CASH, reference="R-0001", by="meera", why="at the desk", now=made.now)
    made.later(days=1)
    made.report(lost)
    made.paid("r2", wh=20_000)
    take_in(made.store, DEPOT, [line(payment, 118_00, fee=2_79, tax=43)], day=THIRD, now=made.now)
    return made


def wrong(kit: Kit) -> list[Mismatch]:
    with looking(kit.store) as session:
        return mismatches(session, DEPOT)


def test_a_drivers_account_from_opening_to_closing(kit: Kit) -> None:
    found = driver_statement(kit.store, DEPOT, "vikram", FIRST, THIRD)
    assert [(e.kind, e.amount_paise, e.balance_paise) for e in found.lines] == [
        ("invoice", 118_00, 118_00), ("invoice", 59_00, 177_00), ("writeoff", -59_00, 118_00), ("other", -118_00, 0),
    ]  # fmt: skip
    assert (found.opening_paise, found.closing_paise) == (0, 0)
    assert found.lines[0].reference.endswith("/000002")
    later = driver_statement(kit.store, DEPOT, "vikram", SECOND, THIRD)
    assert (later.opening_paise, later.closing_paise, len(later.lines)) == (118_00, 0, 3)
    assert driver_statement(kit.store, DEPOT, "nobody", FIRST, THIRD).lines == []


def test_the_fleets_sums_are_the_drivers(kit: Kit) -> None:
    found = fleet_statement(kit.store, DEPOT, FIRST, THIRD)
    rani, vikram = found.drivers
    assert (rani.invoiced_paise, rani.paid_paise, rani.credited_paise, rani.refunded_paise) == (354_00, 354_00, 18_00, 18_00)
    assert (vikram.invoiced_paise, vikram.paid_paise, vikram.written_off_paise) == (177_00, 118_00, 59_00)
    for one in found.drivers:
        alone = driver_statement(kit.store, DEPOT, one.driver_id, FIRST, THIRD)
        assert (one.opening_paise, one.closing_paise) == (alone.opening_paise, alone.closing_paise)
        moved = one.invoiced_paise - one.paid_paise - one.credited_paise + one.refunded_paise - one.written_off_paise
        assert one.opening_paise + moved == one.closing_paise
    assert found.closing_paise == kit.balance(Account.RECEIVABLE) + kit.balance(Account.REFUNDS_DUE) == 0


def test_each_day_opens_where_the_day_before_closed_and_sums_to_zero(kit: Kit) -> None:
    days = [day_statement(kit.store, DEPOT, day) for day in (FIRST, SECOND, THIRD)]
    for day in days:
        assert sum(a.closing_paise for a in day.accounts) == 0
        assert sum(a.debits_paise for a in day.accounts) == sum(a.credits_paise for a in day.accounts) > 0
    for before, after in itertools.pairwise(days):
        closed = {a.account: a.closing_paise for a in before.accounts}
        assert {a.account: a.opening_paise for a in after.accounts if a.account in closed} == closed
    last = {a.account: a.closing_paise for a in days[-1].accounts}
    assert all(last[account] == kit.balance(account) for account in Account if account in last)
    assert last[Account.FEES] == 2_36


def test_a_days_border_is_indias(kit: Kit) -> None:
    kit.clock.at = kit.clock.at.replace(hour=18, minute=30)  # 24 November, midnight in India: the 25th
    kit.bill("late")
    assert day_statement(kit.store, DEPOT, date(2026, 11, 25)).entries == 1
    assert driver_statement(kit.store, DEPOT, "rani", THIRD, THIRD).lines[-1].kind == "capture"


def test_statements_are_what_invoices_notes_debits_and_refunds_say(kit: Kit) -> None:
    assert wrong(kit) == []
    kit.mandate("dev")
    kit.bill("d1", "dev")
    assert wrong(kit) == []


@pytest.mark.parametrize(
    ("table", "what"), [(DocumentRow, "invoice"), (BillRow, "bill"), (PaymentRow, "capture")], ids=["document", "bill", "payment"]
)  # fmt: skip
def test_a_changed_document_or_payment_is_found(kit: Kit, table: type[DocumentRow | BillRow | PaymentRow], what: str) -> None:
    with kit.store.unit() as session:
        raw = session.connection()
        if table is DocumentRow:
            raw.exec_driver_sql("DROP TRIGGER IF EXISTS payments_document_no_update")
        row = session.exec(select(table)).first()
        assert row is not None
        name = "amount_paise" if table is PaymentRow else "total_paise"
        raw.exec_driver_sql(f"UPDATE {table.__tablename__} SET {name} = {name} + 1 WHERE rowid = 1")
    found = {line.what for line in wrong(kit)}
    assert found == {what}


def test_an_entry_without_a_document_is_found(kit: Kit) -> None:
    with kit.store.unit() as session:
        entry = Entry("credit:by hand/1", kit.now, "credit", "rani", (Transfer(Account.REVENUE, Account.REFUNDS_DUE, 5_00),))
        post(session, DEPOT, entry)
    assert wrong(kit) == [Mismatch("rani", "credit", 23_00, 18_00)]


def test_csv_opens_and_closes_and_holds_no_formula(kit: Kit) -> None:
    kit.mandate("=HYPERLINK(1)")
    kit.bill("x1", "=HYPERLINK(1)")
    fleet = list(csv.DictReader(io.StringIO(as_csv(fleet_statement(kit.store, DEPOT, FIRST, THIRD)))))
    assert [row["driver_id"] for row in fleet] == ["'=HYPERLINK(1)", "rani", "vikram"]
    assert (fleet[1]["invoiced_inr"], fleet[0]["closing_inr"]) == ("354.00", "118.00")
    rows = list(csv.reader(io.StringIO(as_csv(driver_statement(kit.store, DEPOT, "vikram", SECOND, THIRD)))))
    assert (rows[1][1:], rows[-1][1:]) == (["opening", "", "", "", "118.00"], ["closing", "", "", "", "0.00"])
    assert rows[2][0] == "2026-11-23T11:30:00+05:30"
    assert rows[3][-2] == "-59.00"
    day = as_csv(day_statement(kit.store, DEPOT, FIRST))
    assert day.startswith("account,opening_inr")
    assert "\r\n" in day


def test_settlements_do_not_touch_a_drivers_account(kit: Kit) -> None:
    before = driver_statement(kit.store, DEPOT, "rani", FIRST, THIRD)
    take_in(kit.store, DEPOT, [line("adj", 5_00, kind=SettlementKind.ADJUSTMENT, net=-5_00)], day=THIRD, now=kit.now)
    assert driver_statement(kit.store, DEPOT, "rani", FIRST, THIRD) == before
