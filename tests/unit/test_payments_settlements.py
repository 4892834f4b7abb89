"""Settlement reports against the books: taken in once, reconciled to zero, differences open until a person has explained them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from books_kit import DEPOT, NOW, Kit, line
from sqlmodel import select

from payments import Refused, UnknownRecord
from payments.gateway import SettlementItem, SettlementKind
from payments.ledger import Account
from payments.records import Books
from payments.settlements import MISSING_AFTER, days_to_fetch, explain, find_missing, take_in
from payments.settling import DifferenceKind
from payments.states import Stage
from payments.tables import SettlementRow

DAY = date(2026, 11, 24)


@pytest.fixture
def kit() -> Kit:
    made = Kit()
    made.mandate()
    return made


def take(kit: Kit, *items: SettlementItem, day: date = DAY) -> int:
    return take_in(kit.store, DEPOT, items, day=day, now=kit.now)


def test_a_settled_payment_makes_its_bill_reconciled_and_everything_zero(kit: Kit) -> None:
    payment = kit.paid("s1", fee_paise=2_79)
    before = kit.reconciled()
    assert (before.zero, before.transit_paise, before.clearing_paise) == (True, 118_00, 118_00)
    assert take(kit, line(payment, 118_00, fee=2_79, tax=43)) == 1
    assert kit.stage("s1") is Stage.RECONCILED
    assert [kit.balance(a) for a in (Account.CLEARING, Account.BANK, Account.FEES, Account.FEE_TAX)] == [0, 115_21, 2_36, 43]
    found = kit.reconciled()
    assert (found.zero, found.open, found.transit_paise, found.gap_paise, found.last_day) == (True, 0, 0, 0, DAY)
    assert kit.desk.check_ledger().sound


def test_the_same_report_again_changes_nothing(kit: Kit) -> None:
    payment = kit.paid("s1")
    item = line(payment, 118_00, net=100_00)
    assert [take(kit, item), take(kit, item), take(kit, item, item)] == [1, 0, 0]
    assert kit.reconciled().open == 1
    assert kit.balance(Account.BANK) == 100_00


def test_what_is_not_settled_yet_is_left_alone(kit: Kit) -> None:
    payment = kit.paid("s1")
    assert take(kit, line(payment, 118_00, settled=False)) == 0
    assert kit.stage("s1") is Stage.CAPTURED


def test_a_short_settlement_stays_open_until_a_person_explains_it(kit: Kit) -> None:
    payment = kit.paid("s1")
    take(kit, line(payment, 118_00, net=108_00))
    (short,) = kit.reconciled().differences
    assert (short.kind, short.amount_paise, short.entity_id) == (DifferenceKind.SHORT, 10_00, payment)
    assert (kit.reconciled().zero, kit.reconciled().open_paise, kit.reconciled().gap_paise) == (False, 10_00, 0)
    with pytest.raises(Refused, match="words"):
        explain(kit.store, DEPOT, short.difference_id, by="meera", why="  ", now=kit.now)
    with pytest.raises(UnknownRecord):
        explain(kit.store, DEPOT, "nothing", by="meera", why="why", now=kit.now)
    for _ in range(2):
        explain(kit.store, DEPOT, short.difference_id, by="meera", why="the bank's charge, ticket 17", now=kit.now)
    found = kit.reconciled(explained_too=True)
    assert (found.zero, found.open, found.gap_paise) == (True, 0, 0)
    assert (found.differences[0].explained_by, found.differences[0].explanation) == ("meera", "the bank's charge, ticket 17")
    assert (kit.balance(Account.CLEARING), kit.balance(Account.DIFFERENCES)) == (0, 10_00)
    assert kit.reconciled().differences == []
    assert kit.desk.check_ledger().sound


def test_another_fee_than_told_is_a_difference_though_the_money_is_right(kit: Kit) -> None:
    payment = kit.paid("s1", fee_paise=2_00)
    take(kit, line(payment, 118_00, fee=3_00))
    (fee,) = kit.reconciled().differences
    assert (fee.kind, fee.amount_paise) == (DifferenceKind.FEE, 1_00)
    assert kit.balance(Account.CLEARING) == 0
    assert kit.reconciled().gap_paise == 0


def test_money_of_nobody_is_a_difference(kit: Kit) -> None:
    take(kit, line("pay_unknown", 50_00), line("adj_1", 7_00, kind=SettlementKind.ADJUSTMENT, net=-7_00))
    found = kit.reconciled()
    assert {d.kind for d in found.differences} == {DifferenceKind.UNKNOWN, DifferenceKind.ADJUSTMENT}
    assert (found.open_paise, found.gap_paise, kit.balance(Account.BANK)) == (57_00, 0, 43_00)


def test_a_payment_that_is_in_no_settlement_is_missed_and_late_when_it_comes(kit: Kit) -> None:
    payment = kit.paid("s1")
    assert find_missing(kit.store, DEPOT, kit.now) == 0
    kit.clock.at = NOW + MISSING_AFTER
    assert [find_missing(kit.store, DEPOT, kit.now) for _ in range(2)] == [1, 0]
    (missing,) = kit.reconciled().differences
    assert (missing.kind, missing.amount_paise) == (DifferenceKind.MISSING, 118_00)
    assert kit.reconciled().gap_paise == 0
    explain(kit.store, DEPOT, missing.difference_id, by="meera", why="a bank holiday", now=kit.now)
    take(kit, line(payment, 118_00), day=DAY + timedelta(days=6))
    (late,) = kit.reconciled().differences
    assert late.kind is DifferenceKind.LATE
    assert kit.balance(Account.CLEARING) == 0


def test_a_missing_payment_that_comes_is_missing_no_more_only_late(kit: Kit) -> None:
    payment = kit.paid("s1")
    kit.clock.at = NOW + MISSING_AFTER
    find_missing(kit.store, DEPOT, kit.now)
    take(kit, line(payment, 118_00))
    assert [d.kind for d in kit.reconciled().differences] == [DifferenceKind.LATE]
    told = {d.kind: d.explanation for d in kit.reconciled(explained_too=True).differences}
    assert told == {DifferenceKind.MISSING: "it came with settlement setl_1", DifferenceKind.LATE: None}


def test_a_refund_is_kept_from_the_transfer(kit: Kit) -> None:
    payment = kit.paid("s1")
    kit.desk.refund_bill("s1", why="meter", amount_paise=18_00)
    (row,) = kit.refunds()
    refund = kit.refund_done(row.key)
    assert kit.reconciled().transit_paise == 100_00
    take(kit, line(payment, 118_00), line(refund, 18_00, kind=SettlementKind.REFUND))
    assert (kit.reconciled().zero, kit.balance(Account.CLEARING), kit.balance(Account.BANK)) == (True, 0, 100_00)


def test_a_line_of_our_order_whose_capture_is_not_known_yet_waits(kit: Kit) -> None:
    kit.bill("s1")
    (debit,) = kit.batch()
    item = line("pay_late", 118_00, order_id=f"order_{debit}")
    assert take(kit, item, day=NOW.date()) == 0
    kit.report(debit, payment_id="pay_late")
    assert take(kit, item, day=NOW.date()) == 1
    assert kit.reconciled().zero
    with kit.store.unit() as session:
        assert len(session.exec(select(SettlementRow)).all()) == 1
        assert Books(session, DEPOT).debit(Books(session, DEPOT).collection(debit)).settlement_utr == "UTR1"


def test_days_that_were_never_read_are_read_and_the_last_week_again() -> None:
    since = date(2026, 11, 1)
    assert days_to_fetch([], NOW, None) == []
    assert days_to_fetch([], NOW, since) == [since + timedelta(days=n) for n in range(21)]
    known = [since + timedelta(days=n) for n in range(21) if n != 3]
    assert days_to_fetch(known, NOW, since) == [date(2026, 11, 4), *(date(2026, 11, 15) + timedelta(days=n) for n in range(7))]
