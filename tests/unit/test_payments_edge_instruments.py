"""A driver's instruments, opened, approved, lost and replaced, told by webhooks, by look-ups and by both in any order
(reference 4.5: expired token at plug-in, customer re-registers, customer merges, dummy payment of a one-time mandate, a pause that
ends untold, webhook before the API's answer, webhook for an unknown order)."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast

import pytest
from fake_instruments_gateway import InstrumentsGateway
from hypothesis import given
from hypothesis import strategies as st
from small_yard import NOW, StillClock

import payments
from payments import GatewayTrouble, Refused
from payments.gate import Ask, GateRefusal
from payments.gateway import Gateway, Token
from payments.keys import GatewayKeys
from payments.mandates import MandateView
from payments.rules import Rules
from payments.service import Payments
from payments.states import MandateReport, MandateState, Mode, Stage, join_mandate
from payments.tables import BillRow, MandateRow
from payments.terms import Terms
from payments.times import to_ms
from payments.webhooks import Webhooks, signature
from storage import Store

T = TypeVar("T")
SECRET = "only-for-this-test"
KEYS = GatewayKeys("rzp_test_depot", "only-for-this-test-too", (SECRET,))
HOUR = timedelta(hours=1)


def run(work: Awaitable[T]) -> T:
    async def whole() -> T:
        return await work

    return asyncio.run(whole())


class World:
    def __init__(self, **terms: Any) -> None:
        self.clock = StillClock()
        self.store = Store.open(None)
        self.store.migrate([payments])
        self.desk = Payments(self.store, "small", self.clock, Terms(rules=Rules(lookup_spacing=timedelta(seconds=90)), **terms))
        self.mandates = self.desk.mandates
        self.fake = InstrumentsGateway()
        self.webhooks = Webhooks(self.store, "small", self.clock, KEYS)
        self._events = itertools.count(1)

    @property
    def gateway(self) -> Gateway:
        return cast("Gateway", self.fake)

    def open(
        self, mandate_id: str = "m1", mode: Mode = Mode.AUTOPAY, *, paise: int = 1_000_00, driver: str = "rani", contact: str = "+91 1",
        ends: timedelta = timedelta(days=80), hosted: bool = False,
    ) -> MandateView:  # fmt: skip
        return run(
            self.mandates.open(
                self.gateway, mandate_id=mandate_id, driver_id=driver, name="Rani", email="r@example.org", contact=contact,
                max_amount_paise=paise, expire_at=NOW + ends, mode=mode, hosted=hosted,
            )
        )  # fmt: skip

    def row(self, mandate_id: str = "m1") -> MandateRow:
        with self.store.unit() as session:
            row = session.get(MandateRow, ("small", mandate_id))
        assert row is not None
        return row

    def approve(self, mandate_id: str = "m1", token_id: str = "", *, blocked: int | None = None) -> str:
        """In the driver's app; nobody here has heard of it yet."""
        order_id, token_id = self.row(mandate_id).order_id, token_id or f"token_{mandate_id}"
        assert order_id is not None
        self.fake.approve(
            order_id, Token(token_id, MandateState.ACTIVE, blocked_paise=blocked, debited_paise=None if blocked is None else 0)
        )
        return token_id

    def look(self, mandate_id: str = "m1") -> MandateState:
        run(self.mandates.look(self.gateway, mandate_id))
        return MandateState(self.row(mandate_id).state)

    def due(self) -> list[str]:
        with self.store.unit() as session:
            return sorted(self.mandates.due(session, self.clock.now(), most=9))

    def active(self, mandate_id: str = "m1", mode: Mode = Mode.AUTOPAY, **how: Any) -> None:
        self.open(mandate_id, mode, **how)
        self.approve(mandate_id, blocked=how.get("paise", 1_000_00) if mode.blocks else None)
        assert self.look(mandate_id) is MandateState.ACTIVE

    def hook(self, kind: str, *, at_s: int, **entities: dict[str, Any]) -> None:
        """A signed webhook, stored and applied."""
        event = {"event": kind, "created_at": at_s, "payload": {name: {"entity": entity} for name, entity in entities.items()}}
        body = json.dumps(event).encode()
        self.webhooks.receive(body, told_signature=signature(body, SECRET), event_id=f"evt_{next(self._events)}")
        while self.webhooks.apply():
            pass

    def token_hook(self, word: str, token_id: str, *, at_s: int, blocked: int | None = None, debited: int | None = None) -> None:
        details: dict[str, Any] = {"status": word}
        if blocked is not None:
            details |= {"amount_blocked": blocked, "amount_debited": debited or 0}
        self.hook(f"token.{word}", at_s=at_s, token={"id": token_id, "recurring_details": details})

    def gate(self, worst: int = 500_00, driver: str = "rani") -> Any:
        return self.desk.gate(driver, Ask(worst_paise=worst, ends_at=self.clock.now() + 4 * HOUR))


# -- opening --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(Mode))
def test_each_kind_is_opened_approved_and_pays(mode: Mode) -> None:
    world = World()
    view = world.open(mode=mode)
    assert (view.state, view.mode) == (MandateState.INTENT_OPEN, mode)
    assert world.fake.modes["order_1"] is mode
    assert view.intent_url == "upi://mandate?tr=order_1"
    assert not world.gate().allowed
    world.approve(blocked=1_000_00 if mode.blocks else None)
    assert world.look() is MandateState.ACTIVE
    answer = world.gate()
    assert (answer.allowed, answer.mode) == (True, mode)
    assert world.row().blocked_paise == (1_000_00 if mode.blocks else 0)


def test_a_gateway_that_is_silent_is_asked_again_and_nothing_is_made_twice() -> None:
    world = World()
    world.fake.silent = True
    with pytest.raises(GatewayTrouble, match="no customer"):
        world.open()
    world.fake.silent = False
    world.open()
    world.open()
    assert len(world.fake.orders_by_receipt) == 1
    with pytest.raises(Refused, match="use a new id"):
        world.open(mode=Mode.RESERVE)


@pytest.mark.parametrize(
    ("mode", "paise", "ends", "why"),
    [
        (Mode.AUTOPAY, 99_999_01, timedelta(days=80), "between ₹1 and ₹99,999"),
        (Mode.RESERVE, 10_000_01, timedelta(days=80), "between ₹1 and ₹10,000"),
        (Mode.RESERVE, 1_000_00, timedelta(days=91), "90 days at most"),
        (Mode.ONE_TIME, 1_00_000_01, timedelta(days=1), "between ₹1 and ₹1,00,000"),
        (Mode.ONE_TIME, 99, timedelta(days=1), "between ₹1"),
        (Mode.AUTOPAY, 1_000_00, 47 * HOUR, "too soon"),
        (Mode.RESERVE, 1_000_00, timedelta(minutes=20), "too soon"),
    ],
)
def test_bounds_are_kept_before_the_gateway_is_asked(mode: Mode, paise: int, ends: timedelta, why: str) -> None:
    world = World()
    with pytest.raises(Refused, match=why):
        world.open(mode=mode, paise=paise, ends=ends)
    assert world.fake.asked == []


def test_the_dummy_payment_of_a_one_time_mandate_is_no_failure() -> None:
    world = World()
    world.open(mode=Mode.ONE_TIME)
    world.fake.dummy("order_1")
    assert world.look() is MandateState.INTENT_OPEN
    world.approve(blocked=1_000_00)
    assert world.look() is MandateState.ACTIVE


# -- links ----------------------------------------------------------------------------------------------------------------


def test_a_link_on_the_gateways_page_is_sent_used_expired_and_withdrawn() -> None:
    world = World()
    view = world.open(hosted=True)
    assert (view.state, view.intent_url) == (MandateState.LINK_SENT, "https://gateway.example/l/1")
    world.hook("invoice.expired", at_s=2_000, invoice={"id": "inv_1", "order_id": "order_l1", "status": "expired"})
    assert world.row().state == MandateState.LINK_EXPIRED
    assert world.mandates.all_of("rani")[0].intent_url is None
    world.approve()  # in its last second: the approval counts
    assert world.due() == ["m1"]
    assert world.look() is MandateState.ACTIVE
    world.open("m2", hosted=True)
    assert run(world.mandates.cancel(world.gateway, "m2")).state is MandateState.LINK_EXPIRED


def test_a_link_that_nobody_used_expires_at_midnight_in_india() -> None:
    world = World()
    world.open()  # at 22:00: the next midnight is too near, so the one after it
    world.clock.at = NOW + 25 * HOUR
    assert world.look() is MandateState.INTENT_OPEN
    world.clock.at = NOW + 26 * HOUR
    assert world.look() is MandateState.LINK_EXPIRED
    assert world.gate().refusal is GateRefusal.MANDATE_NOT_ACTIVE


def test_an_expiry_of_a_link_is_found_by_polling_too() -> None:
    world = World()
    world.open(hosted=True)
    run(world.fake.cancel_auth_link("inv_1"))
    assert world.look() is MandateState.LINK_EXPIRED


# -- pause, end -----------------------------------------------------------------------------------------------------------


def test_the_end_of_a_pause_is_found_by_polling() -> None:
    world = World()
    world.active()
    world.fake.now_s, world.clock.at = 2_000, NOW + HOUR
    world.token_hook("paused", "token_m1", at_s=2_000)
    assert world.gate().refusal is GateRefusal.MANDATE_PAUSED
    assert world.due() == []
    world.clock.at += timedelta(minutes=10)
    assert world.due() == ["m1"]
    world.fake.now_s = 2_600
    assert world.look() is MandateState.ACTIVE
    assert world.gate().allowed


def test_a_card_at_the_reader_has_a_paused_mandate_looked_at_but_not_more_often_than_allowed() -> None:
    world = World()
    world.active()
    world.token_hook("paused", "token_m1", at_s=2_000)
    world.mandates.look_soon("rani")
    assert world.due() == []  # looked at a moment ago
    world.clock.at += timedelta(seconds=90)
    world.mandates.look_soon("rani")
    assert world.due() == ["m1"]


def test_a_mandate_that_has_run_out_is_refused_at_plug_in_and_expires() -> None:
    world = World()
    world.active(ends=60 * HOUR)
    world.clock.at = NOW + 9 * HOUR  # its end is closer than the session's end and 48 h
    assert world.gate().refusal is GateRefusal.MANDATE_EXPIRES
    world.clock.at = NOW + 60 * HOUR
    assert world.look() is MandateState.EXPIRED


def test_a_webhook_that_comes_before_the_answer_waits_for_it() -> None:
    world = World()
    world.hook("payment.captured", at_s=1_500, payment=PAID)
    world.token_hook("confirmed", "token_1", at_s=1_500)
    world.open()
    while world.webhooks.apply():
        pass
    assert world.row().state == MandateState.ACTIVE


PAID = {
    "id": "pay_1", "order_id": "order_1", "status": "captured", "amount": 100, "currency": "INR", "token_id": "token_1", "notes": {},
}  # fmt: skip


# -- several --------------------------------------------------------------------------------------------------------------


def test_of_two_tokens_the_newest_counts_and_the_older_is_ended_once_nothing_is_open_on_it() -> None:
    world = World()
    world.active("m1")
    assert world.desk.reserve("s1", "rani", Ask(worst_paise=100_00, ends_at=NOW + HOUR)).allowed
    world.clock.at += HOUR
    world.active("m2")
    assert world.gate().mandate_id == "m2"
    assert [(view.mandate_id, view.replaced) for view in world.mandates.all_of("rani")] == [("m2", False), ("m1", True)]
    world.clock.at += timedelta(minutes=2)
    assert "m1" in world.due()
    assert world.look("m1") is MandateState.ACTIVE  # a session runs under it
    assert "cancel_token token_m1" not in world.fake.asked
    world.desk.release("s1")
    assert world.look("m1") is MandateState.CANCEL_PENDING
    world.fake.set("token_m1", MandateState.CANCELLED)
    world.clock.at += timedelta(minutes=2)
    assert world.due() == ["m1"]
    assert world.look("m1") is MandateState.CANCELLED
    assert world.gate().allowed


def test_a_replaced_mandate_lives_on_where_the_settings_say_so() -> None:
    world = World(cancel_older=False)
    world.active("m1")
    world.clock.at += HOUR
    world.active("m2")
    assert world.look("m1") is MandateState.ACTIVE
    assert world.gate().mandate_id == "m2"


def test_it_does_not_matter_which_of_two_tokens_was_told_first() -> None:
    world = World()
    world.open("m1")
    world.clock.at += HOUR
    world.open("m2")
    for mandate_id in ("m2", "m1"):
        world.approve(mandate_id)
        world.look(mandate_id)
    assert world.gate().mandate_id == "m2"
    assert world.row("m1").state == MandateState.CANCEL_PENDING  # confirmed after the newer one, and replaced at once


def test_a_gateway_that_does_not_end_a_replaced_mandate_is_asked_again() -> None:
    world = World()
    world.active("m1")
    world.clock.at += HOUR
    world.active("m2")
    world.fake.silent = True
    assert world.look("m1") is MandateState.ACTIVE
    world.fake.silent = False
    assert world.look("m1") is MandateState.CANCEL_PENDING


def test_a_customer_that_the_gateway_merges_has_one_credit() -> None:
    world = World()
    world.active("m1", driver="rani", contact="+91 1")
    world.active("m2", driver="rani again", contact="+91 1")
    world.active("m3", driver="ravi", contact="+91 2")
    assert world.row("m1").customer_id == world.row("m2").customer_id
    assert world.desk.reserve("s1", "rani", Ask(worst_paise=600_00, ends_at=NOW + HOUR)).allowed
    assert world.gate(400_00, "rani again").allowed
    assert world.gate(400_01, "rani again").refusal is GateRefusal.EXPOSURE
    assert world.gate(1_000_00, "ravi").allowed


def test_what_a_block_has_left_follows_our_bills_and_the_gateways_count() -> None:
    world = World()
    world.active("b1", Mode.RESERVE)
    assert world.gate(1_000_00).allowed
    with world.store.unit() as session:
        session.add(
            BillRow(
                depot_id="small", bill_id="s0", driver_id="rani", mandate_id="b1", own=Stage.INVOICED, reserved_paise=0, total_paise=300_00,
                opened_ms=to_ms(NOW),
            )
        )  # fmt: skip
    assert world.gate(700_00).allowed
    assert world.gate(700_01).refusal is GateRefusal.BLOCK_TOO_SMALL
    world.token_hook("confirmed", "token_b1", at_s=3_000, blocked=1_000_00, debited=450_00)
    assert world.gate(550_00).allowed
    assert world.gate(550_01).refusal is GateRefusal.BLOCK_TOO_SMALL


# -- any order ------------------------------------------------------------------------------------------------------------

REPORTS = [
    MandateReport(state, at_s, blocked, debited)
    for state, at_s in (
        (MandateState.INTENT_OPEN, 0), (MandateState.INITIATED, 10), (MandateState.LINK_EXPIRED, 15), (MandateState.ACTIVE, 20),
        (MandateState.PAUSED, 30), (MandateState.ACTIVE, 40), (MandateState.CANCEL_PENDING, 50), (MandateState.CANCELLED, 60),
    )
    for blocked, debited in ((0, 0), (500_00, 120_00))
]  # fmt: skip


@given(told=st.lists(st.sampled_from(REPORTS), min_size=1, max_size=8), seed=st.randoms(use_true_random=False))
def test_reports_join_to_the_same_in_any_order_and_however_often(told: list[MandateReport], seed: Any) -> None:
    def joined(reports: Sequence[MandateReport]) -> MandateReport:
        known = MandateReport()
        for report in reports:
            known = join_mandate(known, report)
        return known

    shuffled = told + seed.choices(told, k=3)
    seed.shuffle(shuffled)
    assert joined(shuffled) == joined(told)
    assert joined([*told, joined(told)]) == joined(told)


LIFE = ("initiated", "confirmed", "paused", "cancellation_initiated", "cancelled")


@pytest.mark.parametrize("mode", list(Mode))
def test_webhooks_and_look_ups_in_every_order_end_in_the_same_state(mode: Mode) -> None:
    """Each webhook of a mandate's life, one of them twice, and look-ups between them: all 120 orders."""
    world, ends = World(), set()
    for n, order in enumerate(itertools.permutations(range(len(LIFE)))):
        name, token_id = f"m{n}", f"token_{n}"
        world.fake.now_s = 1_000
        world.open(name, mode=mode, driver=f"driver {n}", contact=f"+91 {n}")
        world.approve(name, token_id, blocked=1_000_00 if mode.blocks else None)
        world.hook(
            "payment.captured", at_s=1_000, payment=PAID | {"id": f"pay_{n}", "order_id": world.row(name).order_id, "token_id": token_id}
        )
        for step, number in enumerate([*order, order[0]]):
            blocked = {"blocked": 1_000_00, "debited": 10_00 * number} if mode.blocks else {}
            world.token_hook(LIFE[number], token_id, at_s=1_000 + 10 * number, **blocked)
            if step == 2:  # the look-up says what was true when it was made
                world.fake.now_s = 1_025
                world.fake.set(token_id, MandateState.PAUSED)
                world.look(name)
        row = world.row(name)
        ends.add((row.state, row.state_at_s, row.blocked_paise, row.debited_paise))
    assert ends == {("cancelled", 1_040, *((1_000_00, 40_00) if mode.blocks else (0, 0)))}
