"""Arrears: tried again, paid at the desk, or given up; and what happens when the gateway's money comes all the same."""

from __future__ import annotations

import pytest
from books_kit import DEPOT, Kit

from payments import Refused, UnknownRecord, claims
from payments.claims import Way
from payments.ledger import Account
from payments.records import Books
from payments.states import PaymentState, Stage
from payments.tables import CollectionRow


@pytest.fixture
def kit() -> Kit:
    made = Kit()
    made.mandate()
    return made


def pay(kit: Kit, session_id: str, *, way: Way = Way.CASH, reference: str = "R-0001") -> int:
    return claims.pay_otherwise(
        kit.store, DEPOT, session_id, way=way, reference=reference, by="meera", why="paid at the desk", now=kit.now
    )  # fmt: skip


def own(kit: Kit, debit: str) -> str:
    with kit.store.unit() as session:
        return Books(session, DEPOT).collection(debit).own


def test_cash_at_the_desk_settles_a_bill_once(kit: Kit) -> None:
    debit = kit.failed("s1")
    assert kit.stage("s1") is Stage.ARREARS
    assert [pay(kit, "s1"), pay(kit, "s1")] == [118_00, 0]
    assert (kit.stage("s1"), kit.owed("s1"), own(kit, debit)) == (Stage.PAID_OTHER, 0, Stage.PAID_OTHER)
    assert (kit.balance(Account.CASH), kit.balance(Account.RECEIVABLE, "rani")) == (118_00, 0)
    assert kit.desk.check_ledger().sound


@pytest.mark.parametrize(("way", "account"), [(Way.UPI_QR, Account.BANK), (Way.BANK, Account.BANK), (Way.CASH, Account.CASH)])
def test_each_way_has_its_account(kit: Kit, way: Way, account: Account) -> None:
    kit.failed("s1")
    pay(kit, "s1", way=way)
    assert kit.balance(account) == 118_00


def test_a_receipt_counts_once(kit: Kit) -> None:
    kit.failed("s1")
    kit.failed("s2")
    pay(kit, "s1", reference="UTR 42")
    with pytest.raises(Refused, match="booked for session s1 already"):
        pay(kit, "s2", reference="UTR 42")
    with pytest.raises(Refused, match="4 to 60"):
        pay(kit, "s2", reference=" 1 ")
    with pytest.raises(UnknownRecord):
        pay(kit, "s9")
    assert kit.owed("s2") == 118_00


def test_nothing_is_booked_while_the_bank_decides(kit: Kit) -> None:
    kit.bill("s1")
    (debit,) = kit.batch()
    kit.report(debit, PaymentState.CREATED)
    with pytest.raises(Refused, match="wait until it is decided"):
        pay(kit, "s1")
    kit.report(debit)
    with pytest.raises(Refused, match="nothing is owed"):
        pay(kit, "s1")


def test_a_bill_that_is_in_no_debit_yet_can_be_paid_and_is_never_debited(kit: Kit) -> None:
    kit.bill("s1")
    pay(kit, "s1")
    assert kit.batch() == []
    assert kit.stage("s1") is Stage.PAID_OTHER


def test_late_capture_after_payment_at_the_desk_goes_back_to_the_driver(kit: Kit) -> None:
    debit = kit.failed("s1")
    pay(kit, "s1")
    kit.report(debit, payment_id="pay_late")
    (refund,) = kit.refunds()
    assert (refund.amount_paise, refund.payment_id) == (118_00, "pay_late")
    assert kit.balance(Account.REFUNDS_DUE, "rani") == -118_00
    kit.refund_done(refund.key)
    assert (kit.balance(Account.REFUNDS_DUE, "rani"), kit.balance(Account.CLEARING)) == (0, 0)
    assert kit.desk.check_ledger().sound


def test_a_write_off_is_a_loss_and_its_money_is_recovered_when_it_comes_all_the_same(kit: Kit) -> None:
    debit = kit.failed("s1")
    with pytest.raises(Refused, match=r"118\.00 is owed, not ₹100\.00"):
        kit.desk.write_off("s1", why="moved away", most_paise=100_00)
    assert [kit.desk.write_off("s1", why="moved away", most_paise=118_00), kit.desk.write_off("s1", why="again")] == [118_00, 0]
    assert (kit.stage("s1"), kit.balance(Account.BAD_DEBTS), kit.balance(Account.RECEIVABLE)) == (Stage.WRITTEN_OFF, 118_00, 0)
    assert own(kit, debit) == Stage.WRITTEN_OFF
    kit.report(debit)
    assert (kit.stage("s1"), kit.balance(Account.BAD_DEBTS), kit.refunds()) == (Stage.CAPTURED, 0, [])
    assert kit.desk.check_ledger().sound


def test_only_arrears_are_written_off_or_tried_again(kit: Kit) -> None:
    kit.bill("s1")
    for order in (lambda: kit.desk.write_off("s1", why="x"), lambda: kit.desk.collect_again("s1")):
        with pytest.raises(Refused, match="not in arrears"):
            order()


def test_one_of_two_bills_of_a_debit_can_be_written_off_and_the_other_tried_again(kit: Kit) -> None:
    kit.bill("s1", wh=50)  # ₹0.60: below the least debit
    kit.bill("s2")
    (debit,) = kit.batch()
    with kit.store.unit() as session:
        row = session.get(CollectionRow, (DEPOT, debit))
        assert row is not None
        row.own, row.gave_up = Stage.ARREARS, "mandate_cancelled"
    assert [kit.stage(s) for s in ("s1", "s2")] == [Stage.ARREARS] * 2
    kit.desk.write_off("s1", why="small change")
    assert (own(kit, debit), kit.stage("s2"), kit.owed("s2")) == (Stage.ARREARS, Stage.ARREARS, 118_00)
    kit.desk.collect_again("s2")
    with kit.store.unit() as session:
        books = Books(session, DEPOT)
        assert books.orders(debit)[-1].amount_paise == 118_00, "what was written off is not asked for"


def test_trying_again_needs_an_active_mandate_that_reaches(kit: Kit) -> None:
    kit.failed("s1")
    with kit.store.unit() as session:
        mandate = Books(session, DEPOT).mandate("m-rani")
        mandate.max_amount_paise = 100_00
    with pytest.raises(Refused, match="larger mandate"):
        kit.desk.collect_again("s1")
    with kit.store.unit() as session:
        Books(session, DEPOT).mandate("m-rani").state = "cancelled"
    with pytest.raises(Refused, match="no active mandate"):
        kit.desk.collect_again("s1")
