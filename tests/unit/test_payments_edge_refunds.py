"""Edge cases of money back and of prices that change, each with the number that it has in docs/payments.md. The mock gateway on a real
socket. Corrections of a meter value are in test_payments_corrections.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from paying_depot import DEPOT, PayingDepot, depot
from sqlmodel import select
from test_payments_rating import DAY, NIGHT, facts, tariff

from payments import Refused, ledger
from payments.invoices import Charge
from payments.ledger import Account
from payments.rating import rate
from payments.states import RefundState, Stage
from payments.tables import RefundRow

pytestmark = [pytest.mark.anyio, pytest.mark.apart]  # a gateway on a real socket, whose answers are waited for

AT_ONCE = {"cut_off": None}


async def paid(yard: PayingDepot) -> int:
    await yard.mandate()
    total = yard.session("s1", 100)
    await yard.until(yard.is_(Stage.CAPTURED))
    return total


def refunds(yard: PayingDepot) -> list[RefundRow]:
    with yard.store.unit() as session:
        return list(session.exec(select(RefundRow).order_by(RefundRow.asked_ms, RefundRow.key)).all())  # type: ignore[arg-type]


def balance(yard: PayingDepot, account: Account) -> int:
    with yard.store.unit() as session:
        return ledger.balance(session, DEPOT, account)


async def test_case_33_more_than_was_captured_is_never_given_back(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE) as yard:
        total = await paid(yard)
        with pytest.raises(Refused, match="more than what is left"):
            yard.desk.refund_bill("s1", why="too much", amount_paise=total + 1)
        yard.desk.refund_bill("s1", why="half", amount_paise=total - 50_00, request="one")
        with pytest.raises(Refused, match="more than what is left of the payment"):
            yard.desk.refund_bill("s1", why="too much in sum", amount_paise=50_01, request="two")
        await yard.until(yard.is_(Stage.PART_REFUNDED))
        yard.desk.refund_bill("s1", why="the rest", request="three")
        await yard.until(yard.is_(Stage.REFUNDED))
        with pytest.raises(Refused, match="no captured payment"):
            yard.desk.refund_bill("s1", why="once more", request="four")
        assert yard.ask("SELECT sum(amount) FROM refunds") == [(total,)]
        assert (balance(yard, Account.REFUNDS_DUE), balance(yard, Account.CLEARING)) == (0, 0)


async def test_case_34_a_second_click_gives_nothing_back_twice(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE) as yard:
        total = await paid(yard)
        assert yard.desk.refund_bill("s1", why="the cable was broken", amount_paise=10_00, request="click") == 10_00
        assert yard.desk.refund_bill("s1", why="the cable was broken", amount_paise=10_00, request="click") == 0
        assert yard.desk.refund_bill("s1", why="the cable was broken", amount_paise=10_00) == 0  # without a name, while it is under way
        yard.impatient(1.0)
        yard.played.control("POST", "/http-faults", kind="mute", path="/refund", method="POST", acted=True)  # done, and not answered
        await yard.until(yard.is_(Stage.PART_REFUNDED))
        assert yard.desk.refund_bill("s1", why="the cable was broken", amount_paise=10_00, request="click") == 0
        await yard.later(hours=1)
        assert yard.ask("SELECT amount, status FROM refunds") == [(10_00, "processed")]
        assert balance(yard, Account.CLEARING) == total - 10_00


async def test_case_35_a_refund_that_failed_is_shown_and_asked_for_again_as_a_new_one(tmp_path: Path) -> None:
    from payments.refunds import retry_refund

    async with depot(tmp_path, rules=AT_ONCE) as yard:
        total = await paid(yard)
        yard.played.control("POST", "/faults", outcome="refund_fails")
        yard.desk.refund_bill("s1", why="the cable was broken")
        await yard.until(lambda: [row.state for row in refunds(yard)] == [RefundState.FAILED])
        assert (yard.stage(), balance(yard, Account.REFUNDS_DUE)) == (Stage.CAPTURED, -total)  # the driver is owed it still
        with pytest.raises(Refused):
            yard.desk.refund_bill("s1", why="once more", request="again")  # what failed is not given up: nothing is left to promise
        (failed,) = refunds(yard)
        retry_refund(yard.store, DEPOT, failed.key, now=yard.clock.now())
        with pytest.raises(Refused, match="only one that failed"):
            retry_refund(yard.store, DEPOT, failed.key, now=yard.clock.now())
        await yard.until(yard.is_(Stage.REFUNDED))
        assert yard.ask("SELECT status, count(*) FROM refunds GROUP BY status ORDER BY status") == [("failed", 1), ("processed", 1)]
        assert (balance(yard, Account.REFUNDS_DUE), balance(yard, Account.CLEARING)) == (0, 0)


async def test_case_36_after_six_months_the_person_is_told_what_to_do_instead(tmp_path: Path) -> None:
    async with depot(tmp_path, rules=AT_ONCE) as yard:
        await paid(yard)
        yard.played.ahead(days=179)
        assert yard.desk.refund_bill("s1", why="late, and not too late", amount_paise=1_00, request="a") == 1_00
        await yard.until(yard.is_(Stage.PART_REFUNDED))
        yard.played.ahead(days=2)
        before = yard.money()
        with pytest.raises(Refused, match=r"older than six months.*bank transfer"):
            yard.desk.refund_bill("s1", why="too late", request="b")
        assert yard.money() == before


async def test_case_37_what_a_notice_has_named_is_what_is_debited(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate()
        total = yard.session("s1", 100)
        await yard.until(lambda: bool(yard.sent("order.notification.delivered")))
        dear = yard.session("s2", 1_000)  # the price has gone up since
        with pytest.raises(Refused, match="other numbers"):
            yard.stop("s1", 200_00)
        await yard.until(lambda: yard.stage("s1") is yard.stage("s2") is Stage.CAPTURED)
        assert yard.taken() == [total, dear]
        assert yard.ask("SELECT count(*) FROM orders o JOIN payments p ON p.order_id = o.id WHERE p.amount != o.amount") == [(0,)]


async def test_case_37_a_lower_amount_has_a_notice_of_its_own_before_its_debit(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        await yard.mandate()
        yard.start("s1")
        chosen = tariff(NIGHT, DAY)
        measured = facts((0, 0), (60, 8_000), (90, 10_000))
        total = yard.desk.bill_session("s1", Charge(rated=rate(chosen, measured), tariff=chosen, facts=measured)).total_paise
        await yard.until(lambda: bool(yard.sent("order.notification.delivered")))
        done = yard.desk.correct_bill("s1", energy_wh=5_000, why="the meter was wrong")
        assert (done.refund_paise, total + done.difference_paise) == (0, total - 79_64)
        await yard.until(yard.is_(Stage.CAPTURED))
        assert (yard.taken(), yard.tries()) == ([total - 79_64], 1)
        first, second = yard.order_row(1), yard.order_row(2)
        assert (first.amount_paise, second.amount_paise) == (total, total - 79_64)
        assert second.delivered_ms is not None
        ((created,),) = yard.ask("SELECT created_at FROM payments WHERE kind = 'debit'")
        assert created * 1000 + 999 >= second.delivered_ms + 24 * 3_600_000
