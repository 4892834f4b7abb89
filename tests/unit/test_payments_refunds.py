"""Money back: whole or in part, never more than was paid, never twice for one click, shown when it fails, refused after six months."""

from __future__ import annotations

from datetime import timedelta

import pytest
from books_kit import Kit

from payments import Refused, UnknownRecord, refunds
from payments.documents import DocumentKind
from payments.ledger import Account, invoiced, post
from payments.records import bill_value
from payments.refunds import REFUNDS_END_AFTER
from payments.states import PaymentState, RefundState, Stage
from payments.tables import BillRow


@pytest.fixture
def kit() -> Kit:
    made = Kit()
    made.mandate()
    return made


def notes(kit: Kit, session_id: str = "s1") -> list[int]:
    return [d.total_paise for d in kit.desk.invoices.of_bill(session_id) if d.kind is DocumentKind.CREDIT_NOTE]


def finish(kit: Kit) -> None:
    for row in kit.refunds():
        if row.state == RefundState.PENDING:
            kit.refund_done(row.key)


def test_a_part_then_the_rest_each_with_a_credit_note(kit: Kit) -> None:
    kit.paid("s1")
    assert kit.desk.refund_bill("s1", why="meter", amount_paise=18_00) == 18_00
    finish(kit)
    assert kit.stage("s1") is Stage.PART_REFUNDED
    assert kit.desk.refund_bill("s1", why="meter") == 100_00
    finish(kit)
    assert (kit.stage("s1"), notes(kit)) == (Stage.REFUNDED, [18_00, 100_00])
    assert kit.balance(Account.REVENUE) == kit.balance(Account.CGST) == kit.balance(Account.CLEARING) == 0
    assert kit.balance(Account.REFUNDS_DUE, "rani") == 0
    assert kit.desk.check_ledger().sound


def test_a_refund_above_what_was_captured_is_refused(kit: Kit) -> None:
    kit.paid("s1")
    with pytest.raises(Refused, match=r"₹118\.01 is more than what is left of the payment \(₹118\.00\)"):
        kit.desk.refund_bill("s1", why="x", amount_paise=118_01)
    kit.desk.refund_bill("s1", why="x", amount_paise=100_00)
    with pytest.raises(Refused, match=r"left of the payment \(₹18\.00\)"):
        kit.desk.refund_bill("s1", why="x", amount_paise=18_01)
    with pytest.raises(Refused, match=r"0\.01 or more"):
        kit.desk.refund_bill("s1", why="x", amount_paise=0)
    with pytest.raises(UnknownRecord):
        kit.desk.refund_bill("s9", why="x")
    assert (len(kit.refunds()), len(notes(kit))) == (1, 1)


def test_what_was_not_captured_is_not_given_back(kit: Kit) -> None:
    kit.bill("s1")
    (debit,) = kit.batch()
    kit.report(debit, PaymentState.CREATED)
    with pytest.raises(Refused, match="no captured payment"):
        kit.desk.refund_bill("s1", why="x")


def test_a_double_click_refunds_once(kit: Kit) -> None:
    kit.paid("s1")
    assert [kit.desk.refund_bill("s1", why="x", amount_paise=10_00) for _ in range(2)] == [10_00, 0]
    assert [kit.desk.refund_bill("s1", why="x", amount_paise=5_00, request="wish-1") for _ in range(2)] == [5_00, 0]
    finish(kit)
    assert kit.desk.refund_bill("s1", why="x", amount_paise=5_00, request="wish-1") == 0
    assert [row.amount_paise for row in kit.refunds()] in ([10_00, 5_00], [5_00, 10_00])
    assert sorted(notes(kit)) == [5_00, 10_00]


def test_a_refund_that_failed_is_asked_for_again_without_another_credit(kit: Kit) -> None:
    kit.paid("s1")
    kit.desk.refund_bill("s1", why="meter", amount_paise=18_00)
    (first,) = kit.refunds()
    with pytest.raises(Refused, match="only one that failed"):
        refunds.retry_refund(kit.store, "yard", first.key, now=kit.now)
    kit.refund_done(first.key, state=RefundState.FAILED)
    with pytest.raises(Refused, match=r"left of the payment \(₹100\.00\)"):
        kit.desk.refund_bill("s1", why="again", amount_paise=110_00)  # the failed one is promised still
    refunds.retry_refund(kit.store, "yard", first.key, now=kit.now)
    with pytest.raises(Refused, match="only one that failed"):
        refunds.retry_refund(kit.store, "yard", first.key, now=kit.now)
    with pytest.raises(Refused, match="no refund"):
        refunds.retry_refund(kit.store, "yard", "nothing", now=kit.now)
    states = {row.key: row.state for row in kit.refunds()}
    assert states.pop(first.key) == RefundState.REPLACED
    (again,) = states
    kit.refund_done(again)
    assert (notes(kit), kit.stage("s1"), kit.balance(Account.REFUNDS_DUE, "rani")) == ([18_00], Stage.PART_REFUNDED, 0)


def test_refund_after_six_months_is_refused_with_what_to_do(kit: Kit) -> None:
    kit.paid("s1")
    kit.clock.at += REFUNDS_END_AFTER + timedelta(seconds=1)
    with pytest.raises(Refused, match="bank transfer"):
        kit.desk.refund_bill("s1", why="x")
    assert (kit.refunds(), notes(kit)) == ([], [])


def test_a_refund_of_one_of_two_bills_of_a_debit_leaves_the_other(kit: Kit) -> None:
    kit.bill("s1", wh=50)  # ₹0.60 goes with the next
    kit.bill("s2")
    (debit,) = kit.batch()
    kit.report(debit)
    assert kit.desk.refund_bill("s2", why="x") == 118_00
    finish(kit)
    assert (kit.stage("s1"), kit.stage("s2")) == (Stage.CAPTURED, Stage.REFUNDED)
    assert kit.desk.refund_bill("s1", why="x") == 60  # 50 and twice 4.5, each rounded half up


def test_a_refund_of_a_debit_note_refers_to_the_sessions_invoice(kit: Kit) -> None:
    kit.paid("s1")
    row = kit.row("s1")
    with kit.store.unit() as session:  # what a correction upwards leaves, in short
        further = {name: getattr(row, name) for name in BillRow.model_fields}
        further |= {"bill_id": "s1+1", "invoice_no": None, "batched_paise": 0, "collection_id": None, "own": Stage.INVOICED}
        session.add(BillRow(**further))
        session.flush()
        post(session, "yard", invoiced("s1+1", "rani", bill_value(row), kit.now))
    (debit,) = kit.batch()
    kit.report(debit)
    assert kit.desk.refund_bill("s1+1", why="test was wrong", amount_paise=18_00) == 18_00
    assert notes(kit) == [18_00]
