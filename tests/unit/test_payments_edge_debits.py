"""Edge cases of debits, each with the number that it has in docs/payments.md: doubt, two workers, caps, small amounts, mandates that
end, notices, windows, late captures, partial failures, clocks. The mock gateway on a real socket, with the network's real rules."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from paying_depot import DEPOT, PayingDepot, depot

from payments.gate import Ask, GateRefusal
from payments.mock_gateway import npci
from payments.reasons import Reason
from payments.records import Books
from payments.states import MandateState, Mode, NotificationState, Stage
from payments.tables import SubmissionRow
from storage import Lease, LeaseTaken, StoreConflict
from tests.fake_gateway import CONTACT, KEY_ID, KEY_SECRET

pytestmark = [pytest.mark.anyio, pytest.mark.apart]  # a gateway on a real socket, whose answers are waited for

AT_ONCE = {"cut_off": None}
OTHER = "+919900000456"


def owed(yard: PayingDepot, bill_id: str = "s1") -> int:
    with yard.store.unit() as session:
        books = Books(session, DEPOT)
        return books.owed_paise(books.bill(bill_id))


def taken_on(yard: PayingDepot) -> list[tuple[str, int]]:
    """Day in India and amount of each debit at the gateway."""
    rows = yard.ask("SELECT captured_at, amount FROM payments WHERE kind = 'debit' AND status = 'captured' ORDER BY captured_at")
    return [(f"{datetime.fromtimestamp(at, npci.INDIA):%Y-%m-%d}", amount) for at, amount in rows]


# -- exactly once ---------------------------------------------------------------------------------------------------------


async def test_case_10_a_debit_without_an_answer_is_looked_up_and_not_asked_for_again(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE, deaf=True) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        yard.impatient(1.0)
        yard.played.control("PUT", "/conduct", mute=1.0, hide_s=900.0)  # accepted, never answered, hidden for up to 15 minutes
        await yard.until(yard.is_(Stage.CAPTURED))
        assert yard.taken() == [total]
        assert (yard.tries(), len(yard.ask("SELECT id FROM orders WHERE kind = 'debit'"))) == (1, 1)
        assert yard.desk.check_ledger().sound


async def test_case_10_a_debit_that_never_arrived_is_asked_for_again_when_the_gateway_can_hide_nothing(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE, deaf=True) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        yard.impatient(1.0)
        yard.played.control("POST", "/http-faults", kind="mute", path="/payments/create/recurring")
        await yard.until(yard.is_(Stage.DEBIT_SUBMITTED))
        sent_at = yard.clock.now()
        await yard.until(yard.is_(Stage.CAPTURED))
        (debit,) = yard.debits()
        with yard.store.unit() as session:
            first, second = Books(session, DEPOT).submissions(debit.collection_id)
        assert (first.lapsed, second.lapsed) == (True, False)
        assert first.empty_lookups >= yard.terms.rules.lookups_before_resubmit
        assert second.at_ms >= int((sent_at + yard.terms.rules.settle).timestamp() * 1000) - 2_000
        assert yard.taken() == [total]


async def test_case_11_two_workers_on_one_debit_ask_once(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE, deaf=True) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        workers = [yard.worker, yard.another_worker(), yard.another_worker()]
        for worker in workers:
            worker.batch("rani")
        (debit,) = yard.debits()
        for _ in range(3):  # order, notice, debit: all three at each step at once
            await asyncio.gather(*(worker.advance(debit.collection_id) for worker in workers))
            yard.played.ahead(seconds=1)
            yard.played.ahead(hours=25)
        await yard.until(yard.is_(Stage.CAPTURED))
        assert yard.taken() == [total]
        assert (yard.tries(), len(yard.ask("SELECT id FROM orders WHERE kind = 'debit'"))) == (1, 1)


async def test_case_11_the_database_refuses_a_second_intent_and_the_lease_a_second_worker(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE, deaf=True) as yard:
        await yard.mandate()
        yard.session("s1", 100)
        await yard.until(lambda: yard.tries() == 1)
        (debit,) = yard.debits()
        with yard.store.unit() as session:
            (made,) = Books(session, DEPOT).submissions(debit.collection_id)
        with pytest.raises(StoreConflict), yard.store.unit() as session:
            session.add(SubmissionRow(**(made.model_dump() | {"key": "another"})))
        assert yard.store.path is not None
        with Lease.take(yard.store.path), pytest.raises(LeaseTaken, match="another controller"):
            Lease.take(yard.store.path)


async def test_case_12_an_order_that_is_paid_already_is_looked_up_and_booked(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE, deaf=True) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        await yard.work()
        yard.played.ahead(seconds=1)
        yard.played.ahead(hours=25)
        body = {
            "email": "rani@example.org", "contact": CONTACT, "amount": total, "currency": "INR", "order_id": yard.order_id(),
            "customer_id": yard.ask("SELECT id FROM customers")[0][0], "token": yard.token(), "recurring": True,
        }  # fmt: skip
        async with httpx.AsyncClient(base_url=f"{yard.played.url}/v1", auth=(KEY_ID, KEY_SECRET), trust_env=False, timeout=60) as somebody:
            assert (await somebody.post("/payments/create/recurring", json=body)).status_code == 200
        yard.played.ahead(seconds=1)
        assert yard.taken() == [total]
        assert yard.stage() is not Stage.CAPTURED
        await yard.until(yard.is_(Stage.CAPTURED))
        assert (yard.taken(), yard.tries()) == ([total], 1)
        assert yard.desk.check_ledger().entries == 2


# -- amounts --------------------------------------------------------------------------------------------------------------


async def test_case_13_more_than_the_mandate_allows_is_split_over_days_never_inside_one(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate(paise=1_000_00)
        total = yard.session("s1", 2_000)
        assert total == 2_360_00
        await yard.until(yard.is_(Stage.CAPTURED))
        debits = taken_on(yard)
        assert [amount for _, amount in debits] == [1_000_00, 1_000_00, 360_00]
        assert len({day for day, _ in debits}) == 3
        assert len({debit.day for debit in yard.debits()}) == 3
        assert owed(yard) == 0


async def test_case_14_more_than_15000_is_split_over_days(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate(paise=50_000_00)
        total = yard.session("s1", 20_000)
        await yard.until(yard.is_(Stage.CAPTURED))
        assert [amount for _, amount in taken_on(yard)] == [15_000_00, total - 15_000_00]
        assert len({day for day, _ in taken_on(yard)}) == 2


async def test_case_14_more_than_15000_waits_for_the_driver_where_the_settings_say_so(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE | {"ask_second_factor": True}) as yard:
        await yard.mandate(paise=50_000_00)
        total = yard.session("s1", 20_000)
        await yard.until(yard.is_(Stage.PENDING))
        await yard.later(hours=60)
        assert (yard.stage(), yard.tries()) == (Stage.PENDING, 1)  # nothing is asked a second time while it waits
        ((payment,),) = yard.ask("SELECT id FROM payments WHERE kind = 'debit'")
        yard.played.press(f"/app/payments/{payment}/approve", pin="1234")
        await yard.until(yard.is_(Stage.CAPTURED))
        assert yard.taken() == [total]


async def test_case_14_an_approval_that_never_comes_lapses_and_is_tried_again(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE | {"ask_second_factor": True}, approve_within_s=4 * 3600.0) as yard:
        await yard.mandate(paise=50_000_00)
        yard.session("s1", 20_000)
        await yard.until(yard.is_(Stage.PENDING))
        await yard.until(yard.is_(Stage.RETRY_WAIT))
        await yard.until(yard.is_(Stage.ARREARS), most=timedelta(days=20))
        assert (yard.taken(), yard.tries(), yard.gave_up()) == ([], 4, Reason.PAYMENT_TIMED_OUT)


async def test_case_15_less_than_a_rupee_is_carried_into_the_next_debit(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate()
        yard.start("s1")
        small = yard.stop("s1", 50)
        assert small == 50 + 2 * 5
        await yard.later(hours=40)
        assert (yard.debits(), yard.stage(), owed(yard)) == ([], Stage.INVOICED, small)
        large = yard.session("s2", 100)
        await yard.until(yard.is_(Stage.CAPTURED, "s2"))
        assert yard.taken() == [small + large]
        assert (yard.stage("s1"), owed(yard)) == (Stage.CAPTURED, 0)


async def test_case_16_a_session_without_energy_costs_nothing_and_asks_for_nothing(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate()
        yard.start("s1")
        assert yard.stop("s1", 0) == 0
        await yard.later(hours=40)
        (view,) = yard.desk.bills()
        assert (view.stage, view.total_paise, view.invoice_no) == (Stage.INVOICED, 0, None)
        assert (yard.debits(), yard.desk.check_ledger().entries) == ([], 0)
        assert yard.desk.reservations() == {}


# -- mandates that end, drivers who do not want ----------------------------------------------------------------------------


async def test_case_17_what_was_charged_before_the_driver_revoked_is_owed_and_a_person_is_told(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate()
        yard.start("s1")
        assert yard.played.press(f"/app/tokens/{yard.token()}/revoke").status_code == 303
        yard.listen()
        assert yard.mandate_state() is MandateState.CANCELLED
        total = yard.stop("s1", 100_00)  # what it had charged when the watch ended it
        await yard.until(yard.is_(Stage.ARREARS))
        assert (yard.gave_up(), owed(yard), yard.tries()) == (Reason.MANDATE_CANCELLED, total, 0)
        answer = yard.desk.gate("rani", Ask(worst_paise=1_00, ends_at=yard.clock.now()))
        assert answer.refusal is GateRefusal.MANDATE_NOT_ACTIVE
        await yard.mandate("m2")
        answer = yard.desk.gate("rani", Ask(worst_paise=1_00, ends_at=yard.clock.now()))
        assert answer.refusal is GateRefusal.IN_ARREARS
        yard.desk.collect_again("s1")
        await yard.until(yard.is_(Stage.CAPTURED))
        assert yard.taken() == [total]


async def test_case_17_a_paused_mandate_is_waited_for(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        assert yard.played.press(f"/app/tokens/{yard.token()}/pause").status_code == 303
        await yard.later(hours=20)
        assert (yard.stage(), yard.tries(), yard.mandate_state()) == (Stage.INVOICED, 0, MandateState.PAUSED)
        yard.played.press(f"/app/tokens/{yard.token()}/resume")
        await yard.until(yard.is_(Stage.CAPTURED))
        assert yard.taken() == [total]


async def test_case_18_a_mandate_that_ends_between_notice_and_debit_is_not_debited(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE | {"mandate_spare": timedelta(0)}) as yard:
        await yard.mandate(ends=timedelta(hours=25))
        yard.session("s1", 100)  # 8:00; the notice says 13:00 of the next day
        await yard.later(minutes=1)
        assert yard.stage() in (Stage.PDN_REQUESTED, Stage.PDN_DELIVERED)
        await yard.until(yard.is_(Stage.ARREARS))
        assert (yard.gave_up(), yard.tries()) == (Reason.MANDATE_EXPIRED, 0)


async def test_case_20_the_driver_opts_out_of_this_debit_alone(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate()
        yard.session("s1", 100)
        await yard.until(lambda: bool(yard.sent("order.notification.delivered")))
        assert yard.played.press(f"/app/notices/{yard.order_id()}/stop").status_code == 303
        await yard.until(yard.is_(Stage.ARREARS))
        assert (yard.gave_up(), yard.taken(), yard.tries()) == (Reason.DEBIT_DECLINED, [], 1)  # a no is not asked about again
        assert yard.mandate_state() is MandateState.ACTIVE
        yard.desk.collect_again("s1")  # the driver has changed his mind: a new order, a new notice
        await yard.until(yard.is_(Stage.CAPTURED))
        assert len(yard.ask("SELECT id FROM orders WHERE kind = 'debit'")) == 2


# -- notices and windows --------------------------------------------------------------------------------------------------


async def test_case_21_a_notice_that_fails_is_sent_again_with_a_new_order(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        yard.played.control("POST", "/faults", outcome="notice_fails")
        await yard.until(yard.is_(Stage.CAPTURED))
        first, second = (yard.order_row(issue) for issue in (1, 2))
        assert (first.notification, second.notification) == (NotificationState.FAILED, NotificationState.DELIVERED)
        assert second.payment_after_ms >= second.requested_ms + 24 * 3_600_000
        assert (yard.taken(), yard.tries()) == ([total], 1)


async def test_case_21_a_notice_that_never_succeeds_is_arrears(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate()
        yard.session("s1", 100)
        yard.played.control("POST", "/faults", outcome="notice_fails", times=99)
        await yard.until(yard.is_(Stage.ARREARS))
        assert (yard.gave_up(), yard.tries()) == (Reason.NOTIFICATION_FAILED, 0)
        assert len(yard.ask("SELECT id FROM orders WHERE kind = 'debit'")) == yard.terms.rules.max_notices


async def test_case_22_nothing_is_debited_before_24_hours_of_notice(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE, windows=()) as yard:
        await yard.mandate()
        yard.session("s1", 100)
        await yard.later(minutes=1)
        asked_at = yard.clock.now()
        for _ in range(11):
            await yard.later(hours=2, minutes=10)
            assert yard.tries() == 0
        await yard.until(yard.is_(Stage.CAPTURED))
        assert yard.clock.now() >= asked_at + timedelta(hours=24)
        assert yard.tries() == 1  # and it was not refused: nothing had been asked too early


async def test_case_23_a_notice_that_was_delivered_late_pushes_the_debit(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        yard.played.control("POST", "/faults", outcome="notice_late", after_s=30 * 3600)
        await yard.later(seconds=1)
        payment_after = yard.order_row().payment_after_ms
        await yard.until(lambda: yard.order_row().delivered_ms is not None)
        assert yard.tries() == 0
        await yard.until(yard.is_(Stage.CAPTURED))
        ((created,),) = yard.ask("SELECT created_at FROM payments WHERE kind = 'debit' AND status = 'captured'")
        delivered = yard.order_row().delivered_ms
        assert delivered is not None
        assert created * 1000 + 999 >= max(payment_after, delivered + 24 * 3_600_000)
        assert yard.taken() == [total]


async def test_case_24_a_debit_that_falls_in_peak_hours_waits_for_the_next_window(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE) as yard:
        await yard.mandate()
        await yard.later(hours=2, minutes=30)  # 10:30: 25 hours later are peak hours
        yard.session("s1", 100)
        await yard.until(yard.is_(Stage.CAPTURED))
        ((created, captured),) = yard.ask("SELECT created_at, captured_at FROM payments WHERE kind = 'debit' AND status = 'captured'")
        at = datetime.fromtimestamp(created, npci.INDIA)
        assert (at.hour, at.minute) == (13, 0)
        assert captured - created < 60  # presented inside of the window: the network did not have to queue it


async def test_case_25_days_and_windows_are_indias_whatever_the_clock_of_the_machine(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate()
        india = yard.clock.now().astimezone(npci.INDIA)
        yard.played.to(india.replace(hour=22, minute=59))  # 17:29 UTC
        yard.session("s1", 100)
        await yard.later(minutes=2)
        yard.session("s2", 200)  # after the cut-off, and the same day in India
        yard.played.to(india.replace(hour=4, minute=0) + timedelta(days=1))  # 22:30 UTC of the day before
        assert yard.clock.now().astimezone(UTC).date() == india.date()
        yard.session("s3", 300)
        await yard.until(lambda: all(yard.stage(s) is Stage.CAPTURED for s in ("s1", "s2", "s3")))
        first, second = yard.debits()
        assert (first.day, second.day) == (f"{india:%Y-%m-%d}", f"{india + timedelta(days=1):%Y-%m-%d}")
        assert yard.taken() == [118_00, 590_00]


# -- what the bank does ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deaf", [False, True], ids=["told", "looked up"])
async def test_case_26_a_debit_that_is_captured_after_it_had_failed_counts_and_is_not_repeated(tmp_path: Path, deaf: bool) -> None:
    async with depot(tmp_path, rules=AT_ONCE, deaf=deaf) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        yard.played.control("POST", "/faults", outcome="debit_fails_then_captured", reason="response_not_received_within_tat", after_s=3600)
        await yard.until(yard.is_(Stage.RETRY_WAIT))
        yard.played.ahead(hours=1, minutes=5)
        if deaf:
            await yard.worker.reconcile(yard.clock.now() - timedelta(days=7))  # as it does each hour
        await yard.work()
        assert yard.stage() is Stage.CAPTURED
        await yard.later(hours=30)
        assert (yard.taken(), yard.tries()) == ([total], 1)


async def test_case_26_what_was_captured_late_after_it_was_in_arrears_is_no_debt_any_more(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE) as yard:
        await yard.mandate()
        yard.session("s1", 100)
        yard.played.control("POST", "/faults", outcome="debit_fails_then_captured", reason="payment_declined", after_s=7200)
        await yard.until(yard.is_(Stage.ARREARS))
        await yard.until(yard.is_(Stage.CAPTURED))
        assert owed(yard) == 0
        assert yard.desk.gate("rani", Ask(worst_paise=1_00, ends_at=yard.clock.now())).allowed


async def test_case_26_a_late_capture_beside_its_retry_gives_one_of_them_back(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        late = 9 * 3600  # longer than the wait for the retry
        yard.played.control("POST", "/faults", outcome="debit_fails_then_captured", reason="response_not_received_within_tat", after_s=late)
        await yard.until(lambda: yard.tries() == 2)
        await yard.until(lambda: yard.ask("SELECT count(*) FROM refunds WHERE status = 'processed'") == [(1,)])
        await yard.later(minutes=10)
        assert yard.taken() == [total, total]
        assert yard.ask("SELECT sum(amount) FROM refunds") == [(total,)]
        assert (owed(yard), yard.desk.check_ledger().sound) == (0, True)


async def test_case_32_one_debit_that_fails_stops_no_other(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate("m1", driver="rani", contact=CONTACT)
        await yard.mandate("m2", driver="ravi", contact=OTHER)
        await yard.mandate("m3", driver="asha", mode=Mode.RESERVE, contact="+919900000789")
        totals = {who: yard.session(f"of {who}", rupees, driver=who) for who, rupees in (("rani", 100), ("ravi", 200), ("asha", 300))}
        yard.played.control("POST", "/faults", outcome="debit_fails", reason="payment_risk_check_failed", scope="contact", of=OTHER)
        yard.played.control("POST", "/http-faults", kind="error_500", path="/v1/orders", method="POST", acted=False)
        await yard.until(lambda: yard.stage("of rani") is yard.stage("of asha") is Stage.CAPTURED)
        await yard.until(yard.is_(Stage.ARREARS, "of ravi"))
        assert sorted(yard.taken()) == sorted([totals["rani"], totals["asha"]])
        assert yard.gave_up("of ravi") is Reason.RISK_CHECK


# -- clocks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-3.0, 0.5, 3.0])
async def test_case_45_a_clock_that_is_wrong_debits_neither_too_early_nor_twice(tmp_path: Path, hours: float) -> None:
    async with depot(tmp_path, rules=AT_ONCE, skew=timedelta(hours=hours), windows=()) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        await yard.until(yard.is_(Stage.CAPTURED))
        assert (yard.taken(), yard.tries()) == ([total], 1)
        assert len(yard.ask("SELECT id FROM orders WHERE kind = 'debit'")) == 1  # and no second notice went to the driver
        collection_id = yard.collection_id()
        with yard.store.unit() as session:
            (submission,) = Books(session, DEPOT).submissions(collection_id)
        assert submission.refused is None
