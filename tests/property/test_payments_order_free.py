"""What the gateway tells may come in any order and any number of times: the books end the same, the ledger at zero."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import reduce
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

import payments
from payments import ledger
from payments.batcher import new_order
from payments.keys import GatewayKeys
from payments.ledger import Account
from payments.money import EnergyLine, GstRule, bill_of, round_half_up
from payments.records import Books
from payments.rules import INDIA, Rules
from payments.states import MandateReport, MandateState, PaymentState, Stage, join_mandate, join_payment
from payments.tables import BillRow, CollectionRow, ShareRow, SubmissionRow
from payments.webhooks import Receipt, Webhooks, signature
from storage import Store

AT = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)
SECRET = "only-for-this-test-2"
KEYS = GatewayKeys("rzp_test_yard", "only-for-this-test-1", (SECRET,))
BILL = bill_of([EnergyLine(20_000, Fraction(900))], GstRule())

reports = st.builds(MandateReport, st.sampled_from(MandateState), st.integers(0, 4))


@dataclass
class StillClock:
    def now(self) -> datetime:
        return AT

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


@given(a=reports, b=reports, c=reports)
def test_mandate_reports_join_in_any_order(a: MandateReport, b: MandateReport, c: MandateReport) -> None:
    assert join_mandate(a, b) == join_mandate(b, a)
    assert join_mandate(a, join_mandate(b, c)) == join_mandate(join_mandate(a, b), c)
    assert join_mandate(a, a) == a


@given(told=st.lists(st.sampled_from(PaymentState), min_size=1), order=st.randoms(use_true_random=False))
def test_payment_reports_join_in_any_order(told: list[PaymentState], order: object) -> None:
    shuffled = told + told
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert reduce(join_payment, shuffled) is reduce(join_payment, told)


@given(at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)))
def test_the_next_window_is_allowed_and_not_earlier(at: datetime) -> None:
    rules = Rules()
    allowed = rules.next_window(at)
    assert allowed >= at
    assert rules.next_window(allowed) == allowed
    assert not 10 <= allowed.astimezone(INDIA).hour < 13
    assert not 17 <= allowed.astimezone(INDIA).hour < 21


@given(
    lines=st.lists(st.builds(EnergyLine, st.integers(0, 10**7), st.fractions(0, 5_000, max_denominator=1_000)), max_size=5),
    rate=st.fractions(0, Fraction(99, 100), max_denominator=1_000),
    places=st.tuples(st.sampled_from(["29", "27"]), st.sampled_from(["29", "27"])),
    whole=st.booleans(),
)
def test_a_bills_parts_make_its_total_and_lie_within_rounding(
    lines: list[EnergyLine], rate: Fraction, places: tuple[str, str], whole: bool
) -> None:
    bill = bill_of(lines, GstRule(rate=rate, supplier_state=places[0], supply_state=places[1], whole_rupees=whole))
    exact = sum(((Fraction(line.energy_wh, 1000) * line.paise_per_kwh) for line in lines), Fraction(0)) * (1 + rate)
    assert abs(bill.total_paise - bill.round_off_paise - exact) <= Fraction(len(lines), 2) * (1 + rate) + 1
    assert abs(bill.round_off_paise) <= 50
    assert bill.taxable_paise == sum(line.value_paise for line in lines)
    assert bill.igst_paise in (0, round_half_up(bill.taxable_paise * rate))
    if bill.total_paise:
        entry = ledger.invoiced("b", "d", bill, AT)
        assert sum(amount for _, amount in entry.postings) == 0


def books_with_a_bill() -> Store:
    store = Store.open(None)
    store.migrate([payments])
    with store.unit() as session:
        row = BillRow(
            depot_id="d", bill_id="b", driver_id="rani", mandate_id="m", own=Stage.INVOICED, reserved_paise=0, opened_ms=0,
            taxable_paise=BILL.taxable_paise, cgst_paise=BILL.cgst_paise, sgst_paise=BILL.sgst_paise, total_paise=BILL.total_paise,
        )  # fmt: skip
        debit = CollectionRow(
            depot_id="d", collection_id="c", driver_id="rani", mandate_id="m", mode="autopay", day="2026-11-21",
            amount_paise=BILL.total_paise, own=Stage.BATCHED, created_ms=0,
        )  # fmt: skip
        order = new_order("d", debit, 1, BILL.total_paise, AT, Rules())
        order.order_id = "order_1"
        share = ShareRow(depot_id="d", collection_id="c", bill_id="b", amount_paise=BILL.total_paise)
        session.add_all([row, debit, share, order, SubmissionRow(depot_id="d", collection_id="c", issue=1, number=1, key="k1", at_ms=0)])
        ledger.post(session, "d", ledger.invoiced("b", "rani", BILL, AT))
    return store


def payment(id_: str, status: str, **more: object) -> dict[str, object]:
    entity = {"id": id_, "order_id": "order_1", "amount": BILL.total_paise, "currency": "INR", "status": status, "notes": []} | more
    return {"event": f"payment.{status}", "payload": {"payment": {"entity": entity}}, "created_at": 1}


def refund(status: str) -> dict[str, object]:
    entity = {"id": "rfnd_1", "payment_id": "pay_1", "amount": BILL.total_paise, "status": status}
    return {"event": f"refund.{status}", "payload": {"refund": {"entity": entity}}, "created_at": 1}


ONE_DEBIT = [
    payment("pay_1", "authorized", notes={"submission": "k1"}),
    payment("pay_1", "captured", notes={"submission": "k1"}),
    payment("pay_1", "failed", error_reason="payment_timed_out"),
    {"event": "payment.strange", "payload": {}, "created_at": 1},
]
GIVEN_BACK = [*ONE_DEBIT, refund("created") | {"event": "refund.created"}, refund("processed")]
GIVEN_BACK[-2]["payload"]["refund"]["entity"]["status"] = "pending"  # type: ignore[index]
DOUBLED = [*ONE_DEBIT, payment("pay_2", "authorized"), payment("pay_2", "captured")]


def deliver(events: list[dict[str, object]], order: list[int], cuts: set[int]) -> tuple[object, ...]:
    """Deliver events in this order, applying them after the places in ``cuts``; what the books say in the end."""
    store, numbers = books_with_a_bill(), count()
    inbox = Webhooks(store, "d", StillClock(), KEYS)
    for place, which in enumerate(order):
        body = json.dumps(events[which]).encode()
        assert inbox.receive(body, told_signature=signature(body, SECRET), event_id=f"e{which}-{next(numbers) % 3}").acknowledged
        if place in cuts:
            inbox.apply()
    while inbox.apply():
        pass
    with store.unit() as session:
        books = Books(session, "d")
        assert ledger.check(session, "d").sound
        balances = {account: ledger.balance(session, "d", account) for account in Account}
        states = sorted(p.state for p in books.payments("c"))
        surplus = sum(p.surplus for p in books.payments("c"))
    store.close()
    return balances, states, surplus


@settings(max_examples=12, deadline=None)
@given(data=st.data(), events=st.sampled_from([ONE_DEBIT, GIVEN_BACK, DOUBLED]))
def test_webhooks_in_any_order_repeated_make_the_same_books(data: st.DataObject, events: list[dict[str, object]]) -> None:
    straight = list(range(len(events)))
    again = data.draw(st.lists(st.sampled_from(straight), max_size=6))
    order = data.draw(st.permutations(straight + again))
    cuts = data.draw(st.sets(st.sampled_from(range(len(order)))))
    assert deliver(events, order, cuts) == deliver(events, straight, set())


def test_one_debit_is_booked_once() -> None:
    balances, states, surplus = deliver(ONE_DEBIT, [0, 1, 2, 3], set())
    assert (states, surplus) == ([PaymentState.CAPTURED], 0)
    assert balances[Account.RECEIVABLE] == 0  # type: ignore[index]
    assert balances[Account.CLEARING] == BILL.total_paise  # type: ignore[index]


def test_a_doubled_debit_is_the_drivers_money() -> None:
    balances, states, surplus = deliver(DOUBLED, list(range(len(DOUBLED))), set())
    assert (states, surplus) == ([PaymentState.CAPTURED] * 2, 1)
    assert balances[Account.REFUNDS_DUE] == -BILL.total_paise  # type: ignore[index]


def test_the_receipts_are_one_vocabulary() -> None:
    inbox = Webhooks(books_with_a_bill(), "d", StillClock(), KEYS)
    body = json.dumps(ONE_DEBIT[0]).encode()
    good = signature(body, SECRET)
    assert inbox.receive(body, told_signature=good, event_id="e") is Receipt.STORED
    assert inbox.receive(body, told_signature=good, event_id="e") is Receipt.REPEATED
    assert inbox.receive(body, told_signature=None, event_id="x") is Receipt.FORGED
    assert inbox.receive(body + b" ", told_signature=good, event_id="x") is Receipt.FORGED
    assert inbox.receive(b"[]", told_signature=signature(b"[]", SECRET), event_id="x") is Receipt.UNREADABLE
