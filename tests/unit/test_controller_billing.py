"""Who pays at a charger, on which terms, and how a session's end becomes exactly one bill. A real store in memory, a real
journal's fold, the real desk; only gateway and chargers are played."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from fractions import Fraction
from typing import Any, TypeVar

import pytest
from small_yard import NOW, ONE, THREE, TWO, SmallYard

import payments
from controller.billing import FORGOTTEN_AFTER, SWEEP_EVERY, Billing
from controller.desk import Desk, DeskSettings
from controller.payments_view import NoBilling, PaymentsView
from controller.till import BOOKS_SHUT, Price, Till
from depot import commands as cmd
from depot import events as ev
from depot.fleet import Driver, Vehicle
from depot.ports import StartRequest, StopRequest
from depot.values import ConnectorId, InvalidValue
from payments import GatewayTrouble, Refused
from payments.payers import Payers
from payments.service import Payments, Terms
from payments.states import MandateState, Mode, Stage
from payments.tables import BillRow, MandateRow
from payments.tallies import Tallies
from payments.times import to_ms
from storage import Store, StoreBusy

T = TypeVar("T")
DRIVER, TAG = "driver 7", "CARD-7"
PRICE = Price(paise_per_kwh=Fraction(1450), most_wh=20_000, longest=timedelta(hours=4))


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


class World(SmallYard):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store.open(None)
        self.store.migrate([payments])
        self.desk = Desk(self.yard, self.loop, DeskSettings(), replan=self.replans.append)
        self.recorded: list[ev.Event] = []
        self.ended: list[ConnectorId] = []
        self.loop.note = self.recorded.append  # type: ignore[method-assign]
        self.loop.end_session = self.ended.append  # type: ignore[method-assign]
        self.restart()

    def restart(self) -> None:
        """What a new core makes of the same journal and the same books."""
        self.money = Payments(self.store, "small", self.clock, Terms())
        self.till = Till(self.yard, self.money, Payers(self.store, "small", self.clock), PRICE)
        run(self.till.restore())
        self.desk.till = self.till
        self.room = Billing(self.yard, self.loop, self.till, self.no_gateway)

    def no_gateway(self) -> Any:
        raise GatewayTrouble("the gateway gave no customer: no connection to the gateway")

    def driver(self, *, max_paise: int = 5_000_00, state: MandateState = MandateState.ACTIVE) -> None:
        self.till.payers.put(DRIVER, TAG)
        run(self.till.restore())
        with self.store.unit() as session:
            session.add(
                MandateRow(
                    depot_id="small", mandate_id="m1", driver_id=DRIVER, mode=Mode.AUTOPAY, state=state, state_at_s=0,
                    max_amount_paise=max_paise, expire_ms=to_ms(NOW + timedelta(days=300)), receipt="r1", created_ms=to_ms(NOW),
                )
            )  # fmt: skip

    def start(self, key: ConnectorId = ONE, tag: str = TAG, *, message: str = "") -> bool:
        self.status(key, ev.ConnectorStatus.PREPARING)
        request = StartRequest(key, tag, 1_000, NOW, self.clock.now(), message or f"{key}|{tag}")
        return run(self.desk.start(request)).accepted

    def stop(self, energy_wh: int, key: ConnectorId = ONE) -> None:
        transaction = self.yard.state.transaction_on(key)
        assert transaction is not None
        run(self.desk.stop(StopRequest(key.station_id, transaction.transaction_id, 1_000 + energy_wh, "Local", NOW, self.clock.now())))

    def look(self) -> None:
        run(self.room.look())

    def of(self, kind: type[ev.Event]) -> list[Any]:
        return [envelope.data for envelope in self.journal.facts if isinstance(envelope.data, kind)]

    def view(self) -> PaymentsView:
        shown = run(self.room.views[PaymentsView]({}))
        assert isinstance(shown, PaymentsView)
        return shown


def test_a_driver_with_a_mandate_charges_and_gets_one_bill() -> None:
    world = World()
    world.driver()
    assert run(world.desk.authorize("CP-1", TAG)).accepted
    assert world.start()
    (admitted,) = world.of(ev.SessionAdmitted)
    assert (admitted.driver_id, admitted.mandate_id, admitted.paise_per_kwh, admitted.most_wh) == (DRIVER, "m1", "1450", 20_000)
    assert admitted.session_id == world.of(ev.TransactionStarted)[0].session_id
    world.look()
    assert world.of(ev.SessionBilled) == []
    world.stop(10_000)
    world.look()
    world.look()
    (billed,) = world.of(ev.SessionBilled)
    assert (billed.energy_wh, billed.total_paise) == (10_000, 14_500 + 2 * 1_305)
    assert world.yard.state.paid == {}
    assert [bill.stage for bill in world.money.bills()] == [Stage.INVOICED]
    assert world.view().ledger.sum_paise == 0


def test_a_driver_without_an_active_mandate_is_refused_with_a_reason_that_is_kept() -> None:
    world = World()
    world.driver(state=MandateState.INTENT_OPEN)
    assert not run(world.desk.authorize("CP-1", TAG)).accepted
    assert not run(world.desk.authorize("CP-1", TAG)).accepted  # held to the reader again: one refusal
    assert len(world.recorded) == 1
    assert not world.start()
    (refused,) = world.of(ev.StartRefused)
    assert (refused.refusal, refused.driver_id) == ("mandate_not_active", DRIVER)
    assert "waits for the driver's approval" in refused.message
    assert world.ended == [ONE]  # the charger may have begun by itself
    assert world.view().refused[0].message == refused.message


def test_a_cap_below_the_worst_case_refuses_the_start() -> None:
    world = World()
    world.driver(max_paise=100_00)
    assert not world.start()
    assert world.of(ev.StartRefused)[0].refusal == "exposure"


def test_two_sessions_at_once_do_not_use_the_same_room() -> None:
    world = World()
    worst = world.till.reserved_paise(ONE)
    world.driver(max_paise=2 * worst - 1)
    assert world.start(ONE)
    assert not world.start(TWO)


def test_a_fleet_vehicle_pays_nothing_even_with_a_drivers_tag() -> None:
    world = World()
    world.driver(state=MandateState.CANCELLED)
    stay = ev.VisitAnnounced("v", "BUS 1", NOW, NOW + timedelta(hours=8), 20_000, 60_000, connector=ONE, id_tag=TAG)
    world.put(stay)
    assert run(world.desk.authorize("CP-1", TAG)).accepted
    assert world.start()
    assert world.of(ev.SessionAdmitted) == []


def test_another_card_of_a_registered_driver_pays_too_and_a_registered_vehicle_never() -> None:
    world = World()
    world.driver()
    world.put(ev.DriverRegistered(Driver(DRIVER, ("CARD-9",))), ev.VehicleRegistered(Vehicle("BUS 9", id_tags=("CARD-10",))))
    assert world.till.driver_of("card-9") == DRIVER
    assert world.start(tag="CARD-9")
    assert len(world.of(ev.SessionAdmitted)) == 1
    world.till.tags["card-10"] = DRIVER
    world.start(TWO, tag="CARD-10")
    assert len(world.of(ev.SessionAdmitted)) == 1


def test_the_same_start_again_is_one_session_and_one_reservation() -> None:
    world = World()
    world.driver()
    assert world.start()
    assert world.start()
    assert len(world.of(ev.TransactionStarted)) == len(world.of(ev.SessionAdmitted)) == len(world.money.reservations()) == 1


def test_a_message_that_was_refused_stays_refused_and_holds_no_money() -> None:
    world = World()
    world.driver(state=MandateState.INTENT_OPEN)
    assert not world.start(message="one")
    with world.store.unit() as session:
        row = session.get(MandateRow, ("small", "m1"))
        assert row is not None
        row.state = MandateState.ACTIVE
    assert not world.start(message="one")
    assert world.money.reservations() == {}
    assert world.start(message="two")


def test_books_that_cannot_be_read_refuse_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.driver()

    def locked(*_: object, **__: object) -> None:
        raise StoreBusy("the books are locked")

    monkeypatch.setattr(Payments, "reserve", locked)
    assert not world.start()
    assert world.of(ev.StartRefused)[0].refusal == BOOKS_SHUT


def test_a_death_between_books_and_journal_bills_once() -> None:
    world = World()
    world.driver()
    world.start()
    world.stop(10_000)
    (session_id, paid) = next(iter(world.yard.state.paid.items()))
    world.room._book(session_id, paid)  # in the books, and then the core died
    world.restart()
    world.look()
    assert len(world.of(ev.SessionBilled)) == 1
    assert len(world.money.bills()) == 1
    assert world.money.check_ledger().entries == 1


def test_books_that_are_older_than_the_journal_are_filled_again() -> None:
    world = World()
    world.driver()
    world.start()
    world.stop(10_000)
    with world.store.unit() as session:
        session.delete(session.get(BillRow, ("small", next(iter(world.yard.state.paid)))))
    world.look()
    assert world.of(ev.SessionBilled)[0].total_paise == 17_110


def test_a_session_that_cannot_be_billed_is_shown_and_tried_again() -> None:
    world = World()
    world.driver()
    world.start()
    world.stop(10_000)
    with world.store.unit() as session:
        session.delete(session.get(BillRow, ("small", next(iter(world.yard.state.paid)))))
        session.delete(session.get(MandateRow, ("small", "m1")))
    world.look()
    assert "no mandate m1" in world.view().unbilled[0].why
    world.driver()
    world.clock.at += timedelta(minutes=6)
    world.look()
    assert world.view().unbilled == []
    assert len(world.of(ev.SessionBilled)) == 1


def test_a_session_without_energy_owes_nothing_not_even_the_service_charge() -> None:
    world = World()
    world.driver()
    world.start()
    world.stop(0)
    world.look()
    assert (world.of(ev.SessionBilled)[0].total_paise, world.of(ev.SessionBilled)[0].invoice_no) == (0, "")


def test_a_reservation_whose_start_was_never_journaled_is_given_back() -> None:
    world = World()
    world.driver()
    run(world.till.admit(DRIVER, StartRequest(THREE, TAG, 0, NOW, NOW, "lost")))
    assert world.start(ONE)
    world.clock.at += FORGOTTEN_AFTER + SWEEP_EVERY
    world.look()
    assert list(world.money.reservations()) == list(world.yard.state.paid)


def test_a_written_off_bill_leaves_the_ledger_at_zero() -> None:
    world = World()
    world.driver()
    world.start()
    world.stop(10_000)
    world.look()
    session_id = world.of(ev.SessionBilled)[0].session_id
    order = cmd.WriteOffBill(command_id="w1", actor="asha", reason="left town", session_id=session_id)
    envelope = world.journal.facts[0]
    with pytest.raises(InvalidValue, match="not in arrears"):
        run(world.room.commands[cmd.WriteOffBill](order, envelope))
    with world.store.unit() as session:
        row = session.get(BillRow, ("small", session_id))
        assert row is not None
        row.own = Stage.ARREARS
    assert world.view().bills[0].may == ("retry", "write_off", "paid")
    run(world.room.commands[cmd.WriteOffBill](order, envelope))
    run(world.room.commands[cmd.WriteOffBill](order, envelope))
    view = world.view()
    assert (view.ledger.sum_paise, view.ledger.owed_paise, view.ledger.bad_debts_paise) == (0, 0, 17_110)
    assert (view.bills[0].stage, view.bills[0].may) == ("written_off", ())


def test_a_gateway_that_is_away_fails_the_mandate_and_keeps_no_contact() -> None:
    world = World()
    order = cmd.RegisterMandate(
        command_id="r1", actor="asha", reason="new", driver_id=DRIVER, id_tag=TAG, max_amount_paise=1_000_00,
        expire_at=NOW + timedelta(days=300), name="Rani", email="r@example.org", contact="+910000000000",
    )  # fmt: skip
    status, words = run(world.room.commands[cmd.RegisterMandate](order, world.journal.facts[0]))
    assert status is cmd.CommandStatus.FAILED
    assert "ask again" in words
    assert "Rani" not in repr(order)
    assert "+91" not in repr(order)
    assert (order.bare.name, order.bare.email, order.bare.contact) == ("", "", "")  # type: ignore[attr-defined]
    assert set(order.detail) == {"max_amount_paise", "expire_at", "mode"}


@pytest.mark.parametrize("driver", ["", "+919000000001", "9000 000 001", "rani@upi", "x" * 41])
def test_a_drivers_id_is_no_phone_number_and_no_vpa(driver: str) -> None:
    with pytest.raises(Refused):
        World().till.payers.put(driver, TAG)


def test_a_tag_has_one_owner() -> None:
    world = World()
    world.till.payers.put("one", TAG)
    world.till.payers.put("one", "CARD-8")
    world.till.payers.put("two", TAG)
    with pytest.raises(Refused, match="belongs to driver two"):
        world.till.payers.put("one", TAG)
    assert world.till.payers.everybody() == {"card-8": "one", "card-7": "two"}


def test_the_alarm_desk_hears_of_what_cannot_be_billed_and_of_a_silent_gateway() -> None:
    world = World()
    assert world.room.conditions(NOW) is None
    world.driver()
    world.look()
    assert world.room.conditions(NOW) == []
    world.start()
    world.stop(10_000)
    with world.store.unit() as session:
        session.delete(session.get(BillRow, ("small", next(iter(world.yard.state.paid)))))
        session.delete(session.get(MandateRow, ("small", "m1")))
    tallies = Tallies(world.store, "small", world.clock)
    tallies.heard("no connection to the gateway")
    tallies.write()
    world.clock.at += timedelta(minutes=5)
    world.look()
    found = {c.kind for c in world.room.conditions(NOW) or ()}
    assert found == {"sessions_unbilled", "gateway_silent"} <= world.room.kinds


def test_where_nobody_pays_the_view_says_so() -> None:
    assert run(NoBilling().views[PaymentsView]({})) is None
