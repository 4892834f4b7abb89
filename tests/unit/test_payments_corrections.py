"""A meter that was wrong: credit note or debit note, with the ledger, the refund or the further debit. Meter correction after debit
is a case of the list of edge cases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select
from test_payments_invoices import NOW, desk_of
from test_payments_rating import DAY, NIGHT, facts, tariff

import payments
from payments import Refused, ledger
from payments.corrections import with_energy
from payments.documents import DocumentKind
from payments.invoices import Charge
from payments.ledger import Account
from payments.rating import rate
from payments.records import Books
from payments.service import Payments
from payments.states import Mode, PaymentState, Stage
from payments.tables import BillRow, CollectionRow, OrderRow, PaymentRow, RefundRow, ShareRow, SubmissionRow
from payments.times import to_ms
from storage import Store

SPLIT = facts((0, 0), (60, 8_000), (90, 10_000))  # 8 kWh at 14.50, 2 kWh at 9.50: 135.00


@pytest.fixture
def desk() -> Payments:
    store = Store.open(None)
    store.migrate([payments])
    made = desk_of(store)
    made.readmit("s", "x", "m1", reserved_paise=10_000)
    chosen = tariff(NIGHT, DAY)
    made.bill_session("s", Charge(rated=rate(chosen, SPLIT), tariff=chosen, facts=SPLIT, place="CP-1/1"))
    return made


def pay(desk: Payments, bill_id: str = "s", *, state: PaymentState = PaymentState.CAPTURED) -> None:
    """The bill's whole amount is debited."""
    with desk.store.unit() as session:
        row = session.get(BillRow, ("d", bill_id))
        assert row is not None
        paise = row.total_paise
        row.batched_paise, row.collection_id = paise, "c1"
        taken = state is PaymentState.CAPTURED
        session.add(
            CollectionRow(
                depot_id="d", collection_id="c1", driver_id="x", mandate_id="m1", mode=Mode.AUTOPAY, day="2026-11-24", amount_paise=paise,
                own=Stage.BATCHED, created_ms=to_ms(NOW),
            )
        )  # fmt: skip
        session.add(ShareRow(depot_id="d", collection_id="c1", bill_id=bill_id, amount_paise=paise, paid_paise=paise if taken else 0))
        if taken:
            session.add(
                PaymentRow(
                    depot_id="d", payment_id="pay_1", collection_id="c1", issue=1, submission=1, state=state, amount_paise=paise,
                    seen_ms=to_ms(NOW), booked=True, taken_ms=to_ms(NOW),
                )
            )  # fmt: skip
            ledger.post(
                session, "d", ledger.taken("pay_1", "x", owed_paise=paise, written_off_paise=0, surplus_paise=0, at=NOW)
            )  # fmt: skip


def of(desk: Payments, account: Account, party: str | None = None) -> int:
    with desk.store.unit() as session:
        return ledger.balance(session, "d", account, party)


def owed(desk: Payments, bill_id: str = "s") -> int:
    with desk.store.unit() as session:
        books = Books(session, "d")
        return books.owed_paise(books.bill(bill_id))


def refunds(desk: Payments) -> list[Any]:
    with desk.store.unit() as session:
        return list(session.exec(select(RefundRow.amount_paise)).all())


def documents(desk: Payments) -> list[tuple[str, str, int]]:
    return [(one.kind.value, one.number, one.total_paise) for one in desk.invoices.of_bill("s")]


TOTAL = 13_500 + 2 * 1_215
HALF = 6_750 + 2 * 608  # 607.5 each


def test_less_energy_before_the_debit_is_a_credit_note_and_a_smaller_debit(desk: Payments) -> None:
    done = desk.correct_bill("s", energy_wh=5_000, why="meter test 12/26")
    assert (done.number, done.difference_paise, done.refund_paise) == ("2627/C000001", HALF - TOTAL, 0)
    assert (owed(desk), of(desk, Account.RECEIVABLE, "x"), of(desk, Account.REFUNDS_DUE)) == (HALF, HALF, 0)
    assert documents(desk) == [("tax_invoice", "2627/000001", TOTAL), ("credit_note", "2627/C000001", TOTAL - HALF)]
    note = desk.invoices.find("2627/C000001").body
    assert note["corrects"] == {"number": "2627/000001", "day": "2026-11-24", "reason": "meter test 12/26"}
    assert [line["taxable_paise"] for line in note["now"]["lines"]] == [950, 5_800]
    assert desk.check_ledger().sound


def test_meter_correction_after_the_debit_refunds_the_difference(desk: Payments) -> None:
    pay(desk)
    done = desk.correct_bill("s", energy_wh=5_000, why="meter test")
    assert (done.refund_paise, refunds(desk)) == (TOTAL - HALF, [TOTAL - HALF])
    assert of(desk, Account.REFUNDS_DUE, "x") == -(TOTAL - HALF)
    assert of(desk, Account.RECEIVABLE, "x") == 0
    again = desk.correct_bill("s", energy_wh=5_000, why="meter test")
    assert (again.number, refunds(desk)) == ("", [TOTAL - HALF])
    assert desk.check_ledger().sound


def test_more_energy_is_a_debit_note_and_a_bill_of_its_own(desk: Payments) -> None:
    pay(desk)
    done = desk.correct_bill("s", energy_wh=20_000, why="meter test")
    assert (done.number, done.difference_paise) == ("2627/D000001", TOTAL)
    assert (owed(desk), owed(desk, "s+1"), of(desk, Account.RECEIVABLE, "x")) == (0, TOTAL, TOTAL)
    back = desk.correct_bill("s", energy_wh=10_000, why="the test was wrong")
    assert (back.number, back.refund_paise, owed(desk, "s+1")) == ("2627/C000001", 0, 0)
    assert desk.check_ledger().sound


@pytest.mark.parametrize("steps", [(5_000, 7_500, 1, 10_000), (20_000, 3_333, 12_345), (0, 10_000)])
def test_all_documents_together_are_an_invoice_over_the_last_energy(desk: Payments, steps: tuple[int, ...]) -> None:
    for energy_wh in steps:
        desk.correct_bill("s", energy_wh=energy_wh, why="again")
    chosen = tariff(NIGHT, DAY)
    whole = rate(chosen, with_energy(SPLIT, steps[-1])).taxable_paise
    signed = [(-1 if kind == "credit_note" else 1, number) for kind, number, _ in documents(desk)]
    assert sum(sign * desk.invoices.find(number).body["taxable_paise"] for sign, number in signed) == whole
    assert of(desk, Account.RECEIVABLE, "x") == sum(sign * desk.invoices.find(number).total_paise for sign, number in signed)
    assert -of(desk, Account.REVENUE) == whole


def announced(desk: Payments, *, asked: bool) -> None:
    """The debit's order is made; the bank has been asked for the money, or only the driver told."""
    key = {"depot_id": "d", "collection_id": "c1", "issue": 1}
    with desk.store.unit() as session:
        session.add(
            OrderRow(
                **key, receipt="r1", mandate_id="m1", amount_paise=TOTAL, order_id="order_1", requested_ms=to_ms(NOW),
                payment_after_ms=to_ms(NOW), notification="delivered",
            )
        )  # fmt: skip
        if asked:
            session.add(SubmissionRow(**key, number=1, key="k1", at_ms=to_ms(NOW)))


def test_a_debit_that_was_announced_only_is_announced_anew_with_the_lower_amount(desk: Payments) -> None:
    pay(desk, state=PaymentState.CREATED)
    announced(desk, asked=False)
    done = desk.correct_bill("s", energy_wh=5_000, why="x")
    assert (done.refund_paise, refunds(desk), owed(desk)) == (0, [], HALF)
    with desk.store.unit() as session:
        books = Books(session, "d")
        debit, orders = books.collection("c1"), books.orders("c1")
        assert (debit.amount_paise, debit.round_issue, debit.next_ms) == (HALF, 2, to_ms(desk.clock.now()))
        assert [(order.amount_paise, order.order_id) for order in orders] == [(TOTAL, "order_1"), (HALF, None)]
    desk.correct_bill("s", energy_wh=0, why="x")
    with desk.store.unit() as session:
        debit = Books(session, "d").collection("c1")
        assert (debit.own, debit.amount_paise, debit.next_ms) == (Stage.PAID_OTHER, 0, None)
    assert (owed(desk), of(desk, Account.RECEIVABLE, "x")) == (0, 0)


def test_a_rest_that_is_too_small_to_debit_is_not_announced(desk: Payments) -> None:
    pay(desk, state=PaymentState.CREATED)
    announced(desk, asked=False)
    with pytest.raises(Refused, match="being debited now"):
        desk.correct_bill("s", energy_wh=50, why="x")


def test_a_session_that_is_being_debited_now_waits(desk: Payments) -> None:
    pay(desk, state=PaymentState.CREATED)
    announced(desk, asked=True)
    before = documents(desk)
    with pytest.raises(Refused, match="being debited now"):
        desk.correct_bill("s", energy_wh=5_000, why="x")
    assert documents(desk) == before
    with desk.store.unit() as session:
        debit = session.get(CollectionRow, ("d", "c1"))
        assert debit is not None
        debit.own = Stage.ARREARS
    assert desk.correct_bill("s", energy_wh=0, why="x").difference_paise == -TOTAL
    assert (owed(desk), of(desk, Account.RECEIVABLE, "x")) == (0, 0)


def test_a_session_without_energy_that_had_some_gets_its_invoice_late(desk: Payments) -> None:
    chosen, nothing = tariff(DAY), facts((0, 500), (60, 500))
    desk.readmit("z", "x", "m1", reserved_paise=10_000)
    desk.bill_session("z", Charge(rated=rate(chosen, nothing), tariff=chosen, facts=nothing))
    done = desk.correct_bill("z", energy_wh=1_000, why="the meter stood still")
    assert (done.number, done.difference_paise) == ("2627/000002", 1_450 + 2 * 131)
    (late,) = desk.invoices.of_bill("z")
    assert (late.kind, late.body["session"]["energy_wh"]) == (DocumentKind.INVOICE, 1_000)
    back = desk.correct_bill("z", energy_wh=0, why="it did not")
    assert (back.difference_paise, owed(desk, "z+1")) == (-done.difference_paise, 0)


def test_a_refund_has_a_credit_note_and_stands_beside_corrections(desk: Payments) -> None:
    pay(desk)
    desk.refund_bill("s", why="goodwill", amount_paise=1_000)
    (_, note) = documents(desk)
    assert note == ("credit_note", "2627/C000001", 1_000)
    assert desk.correct_bill("s", energy_wh=10_000, why="right all along").number == ""
    desk.refund_bill("s", why="goodwill")
    with pytest.raises(Refused, match="given back already"):
        desk.correct_bill("s", energy_wh=0, why="x")


def test_what_cannot_be_corrected_is_refused(desk: Payments) -> None:
    desk.readmit("open", "x", "m1", reserved_paise=10)
    with pytest.raises(Refused, match="not billed yet"):
        desk.correct_bill("open", energy_wh=1, why="x")
    with pytest.raises(Refused, match="0 Wh or more"):
        desk.correct_bill("s", energy_wh=-1, why="x")


def test_readings_are_changed_in_proportion() -> None:
    changed = with_energy(facts((0, 100), (10, 1_100), (20, 900), (30, 2_100)), 1_000)
    assert [one.register_wh for one in changed.readings] == [0, 500, 500, 1_000]
    assert changed.ended_at - changed.started_at == timedelta(minutes=30)
