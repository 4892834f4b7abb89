"""The money of sessions while they charge: told, moved to another block, ended through the ordinary path of commands; sessions
that a station began without asking; what the driver sees. A real store in memory, the real desk and orders; chargers are played."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from fractions import Fraction
from typing import Any, TypeVar

import pytest
from small_yard import NOW, ONE, TWO, SmallYard

import payments
from controller.billing import Billing
from controller.desk import Desk, DeskSettings
from controller.driver_status import DriverStatusView
from controller.fleet import is_fleet
from controller.paid_sessions import ACTOR, BOOKS_EVERY, STOP_AGAIN, STOP_SHOWN, UNASKED_TOLD, PaidSessions
from controller.till import BOOKS_SHUT, Price, Till
from depot import commands as cmd
from depot import events as ev
from depot.fleet import Vehicle
from depot.ports import StartRequest, StopRequest
from depot.readings import MeterReading
from depot.values import ConnectorId, InvalidValue, UnknownThing
from payments import GatewayTrouble
from payments.driver_words import WORDS
from payments.payers import Payers
from payments.service import Payments, Terms
from payments.states import MandateState, Mode, Stage
from payments.tables import BillRow, MandateRow
from payments.times import to_ms
from storage import Store, StoreBusy

T = TypeVar("T")
DRIVER, TAG = "driver 7", "CARD-7"
PRICE = Price(paise_per_kwh=Fraction(1450), most_wh=20_000, longest=timedelta(hours=4), least_wh=2_000)


def run(work: Awaitable[T]) -> T:
    async def whole() -> T:
        return await work

    return asyncio.run(whole())


class World(SmallYard):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store.open(None)
        self.store.migrate([payments])
        self.desk = Desk(self.yard, self.loop, DeskSettings(), replan=self.replans.append)
        self.ordered: list[cmd.Command] = []
        self.ended: list[ConnectorId] = []
        self.loop.end_session = self.ended.append  # type: ignore[method-assign,assignment]
        self.loop.note = lambda event: self.put(event)  # type: ignore[method-assign]
        self.restart()

    def restart(self) -> None:
        """What a new core makes of the same journal and the same books."""
        self.money = Payments(self.store, "small", self.clock, Terms())
        self.till = Till(self.yard, self.money, Payers(self.store, "small", self.clock), PRICE)
        run(self.till.restore())
        self.desk.till = self.till
        self.room = Billing(self.yard, self.loop, self.till, self.no_gateway)
        self.watch = PaidSessions(self.yard, self.loop, self.till, self.execute)
        self.watch.displays = lambda: ["CP-1"]

    def no_gateway(self) -> Any:
        raise GatewayTrouble("no connection to the gateway")

    async def execute(self, command: cmd.Command) -> cmd.CommandResult:
        self.ordered.append(command)
        if isinstance(command, cmd.ShowMessage):  # no room of displays here
            return cmd.CommandResult(command.command_id, cmd.CommandStatus.DONE, "shown")
        return await self.orders.execute(command)

    def instrument(
        self, mandate_id: str = "m1", mode: Mode = Mode.AUTOPAY, *, paise: int = 5_000_00, state: MandateState = MandateState.ACTIVE,
        age: timedelta = timedelta(days=1), driver: str = DRIVER, customer: str | None = None,
    ) -> None:  # fmt: skip
        self.till.payers.put(DRIVER, TAG)
        run(self.till.restore())
        with self.store.unit() as session:
            session.add(
                MandateRow(
                    depot_id="small", mandate_id=mandate_id, driver_id=driver, mode=mode, state=state, state_at_s=0,
                    max_amount_paise=paise, expire_ms=to_ms(NOW + timedelta(days=80)), receipt=f"r {mandate_id}",
                    created_ms=to_ms(NOW - age), blocked_paise=paise if mode.blocks else 0, customer_id=customer,
                )
            )  # fmt: skip

    def becomes(self, state: MandateState, mandate_id: str = "m1") -> None:
        with self.store.unit() as session:
            row = session.get(MandateRow, ("small", mandate_id))
            assert row is not None
            row.state = state
        self.clock.at += BOOKS_EVERY

    def start(self, key: ConnectorId = ONE, tag: str = TAG, *, ago: timedelta = timedelta(0), offline: bool = False) -> bool:
        self.status(key, ev.ConnectorStatus.CHARGING if ago else ev.ConnectorStatus.PREPARING)
        now = self.clock.now()
        request = StartRequest(key, tag, 1_000, now - ago, now, f"{key}|{tag}|{now}", offline=offline)
        return run(self.desk.start(request)).accepted

    def stop(self, energy_wh: int, key: ConnectorId = ONE) -> None:
        transaction = self.yard.state.transaction_on(key)
        assert transaction is not None
        now = self.clock.now()
        run(self.desk.stop(StopRequest(key.station_id, transaction.transaction_id, 1_000 + energy_wh, "Local", now, now)))

    def flows(self, energy_wh: int, key: ConnectorId = ONE, *, power_w: int = 50_000) -> None:
        now = self.clock.now()
        self.yard.readings[key] = MeterReading(key, now, now, power_w, 1_000 + energy_wh)

    def look(self) -> None:
        async def whole() -> None:
            await self.watch.look()
            await self.watch.settled()
            await self.room.look()

        run(whole())

    def of(self, kind: type[ev.Event]) -> list[Any]:
        return [envelope.data for envelope in self.journal.facts if isinstance(envelope.data, kind)]

    @property
    def stops(self) -> list[cmd.StopCharging]:
        return [command for command in self.ordered if isinstance(command, cmd.StopCharging)]

    @property
    def shown(self) -> list[str]:
        return [command.texts[0].content for command in self.ordered if isinstance(command, cmd.ShowMessage)]

    def status_of(self, driver: str = DRIVER, **args: str) -> DriverStatusView | None:
        view = run(self.watch.views[DriverStatusView]({"driver_id": driver, **args}))
        assert view is None or isinstance(view, DriverStatusView)
        return view

    def sees(self, **args: str) -> DriverStatusView:
        view = self.status_of(**args)
        assert view is not None
        return view


# -- limits of money ------------------------------------------------------------------------------------------------------


def test_a_session_is_ended_at_its_last_watt_hour_by_an_audited_command() -> None:
    world = World()
    world.instrument()
    world.start()
    world.flows(19_999)
    world.look()
    assert world.stops == []
    world.flows(20_000)
    world.look()
    world.look()
    (stop,) = world.stops
    assert (stop.actor, stop.connector) == (ACTOR, ONE)
    assert "most energy" in stop.reason
    (asked,) = [fact for fact in world.of(ev.CommandRequested) if fact.kind == "StopCharging"]
    assert asked.reason == stop.reason
    assert world.of(ev.SessionStopAsked)[0].why == "energy_spent"
    assert world.shown == [stop.reason]
    (message,) = [command for command in world.ordered if isinstance(command, cmd.ShowMessage)]
    assert (message.transaction_id, message.end_at) == (None, world.clock.now() + STOP_SHOWN)  # it outlives its transaction
    world.clock.at += STOP_AGAIN
    world.look()
    assert len(world.stops) == 2  # the charger did not obey: told again, the driver is not
    assert len(world.of(ev.SessionStopAsked)) == len(world.shown) == 1


def test_a_small_block_grants_a_smaller_session_asks_to_top_up_and_ends_before_it_is_exceeded() -> None:
    world = World()
    world.instrument("b1", Mode.RESERVE, paise=150_00)
    assert "up to " in run(world.desk.authorize("CP-1", TAG)).message
    assert world.start()
    (admitted,) = world.of(ev.SessionAdmitted)
    assert 2_000 <= admitted.most_wh < PRICE.most_wh
    assert admitted.reserved_paise == 150_00
    world.flows(1_000)
    world.look()
    assert world.ordered == []
    world.flows(admitted.most_wh - 1, power_w=0)
    world.look()
    world.look()
    (warned,) = world.of(ev.SessionWarned)
    assert warned.why == "top_up"
    running = world.yard.state.transaction_on(ONE)
    assert running is not None
    assert [c.transaction_id for c in world.ordered if isinstance(c, cmd.ShowMessage)] == [running.transaction_id]
    assert world.shown == [WORDS["warned.top_up"].english]
    world.flows(admitted.most_wh, power_w=60_000)
    world.look()
    assert len(world.stops) == 1
    world.stop(admitted.most_wh + PRICE_OVERSHOOT_WH)
    world.look()
    assert world.of(ev.SessionBilled)[0].total_paise <= 150_00


PRICE_OVERSHOOT_WH = 60_000 * 120 // 3600


def test_a_new_block_takes_a_session_over_that_its_old_one_cannot_carry() -> None:
    world = World()
    world.instrument("b1", Mode.RESERVE, paise=150_00)
    world.start()
    most_wh = world.of(ev.SessionAdmitted)[0].most_wh
    world.flows(most_wh - 1, power_w=0)
    world.look()
    world.instrument("b2", Mode.RESERVE, paise=900_00, age=timedelta(0))
    world.clock.at += BOOKS_EVERY
    world.look()
    (moved,) = world.of(ev.SessionMoved)
    assert (moved.mandate_id, moved.most_wh) == ("b2", PRICE.most_wh)
    world.flows(most_wh + 1_000, power_w=0)
    world.clock.at += BOOKS_EVERY
    world.look()
    assert world.stops == []
    world.stop(15_000)
    world.look()
    with world.store.unit() as session:
        row = session.get(BillRow, ("small", moved.session_id))
        assert row is not None
        assert (row.mandate_id, row.own) == ("b2", Stage.INVOICED)


def test_a_one_time_mandate_serves_one_session() -> None:
    world = World()
    world.instrument("o1", Mode.ONE_TIME, paise=600_00)
    assert world.start()
    world.stop(5_000)
    world.look()
    assert not world.start(TWO)
    assert world.of(ev.StartRefused)[0].refusal == "one_time_used"


# -- a mandate that is lost in mid-session --------------------------------------------------------------------------------


def test_a_mandate_that_is_revoked_in_mid_session_ends_it_after_the_grace() -> None:
    world = World()
    world.instrument()
    world.start()
    world.flows(3_000)
    world.look()
    world.becomes(MandateState.CANCELLED)
    world.look()
    assert world.stops == []
    assert world.of(ev.SessionWarned)[0].why == "mandate_lost"
    world.flows(3_999)
    world.look()
    assert world.stops == []
    world.flows(4_000)  # a kilowatt-hour of grace
    world.look()
    assert "no longer active" in world.stops[0].reason
    assert world.of(ev.SessionStopAsked)[0].why == "mandate_lost"


@pytest.mark.parametrize(("mode", "spare"), [(Mode.AUTOPAY, timedelta(hours=48)), (Mode.RESERVE, timedelta(minutes=30))])
def test_a_mandate_that_ends_before_a_long_session_could_be_debited_ends_it(mode: Mode, spare: timedelta) -> None:
    world = World()
    world.instrument("m1", mode)
    world.start()
    world.clock.at = NOW + timedelta(days=80) - spare - timedelta(minutes=1)  # it has been there for weeks
    world.flows(3_000, power_w=0)
    world.look()
    assert (world.stops, world.of(ev.SessionWarned)) == ([], [])
    world.clock.at += timedelta(minutes=2)
    world.look()
    assert world.of(ev.SessionWarned)[0].why == "mandate_lost"
    world.clock.at += timedelta(minutes=5)
    world.look()
    assert world.of(ev.SessionStopAsked)[0].why == "mandate_lost"


@pytest.mark.parametrize("mode", [Mode.AUTOPAY, Mode.RESERVE])
def test_a_new_mandate_takes_a_session_over_whose_own_was_revoked(mode: Mode) -> None:
    world = World()
    world.instrument("m1")
    world.start()
    world.flows(3_000)
    world.look()
    world.becomes(MandateState.CANCELLED)
    world.look()
    assert world.of(ev.SessionWarned)[0].why == "mandate_lost"
    world.instrument("m2", mode, paise=900_00, age=timedelta(0))
    world.clock.at += BOOKS_EVERY
    world.look()
    (moved,) = world.of(ev.SessionMoved)
    assert (moved.mandate_id, moved.most_wh) == ("m2", PRICE.most_wh)
    told = world.sees().sessions[0].told
    assert told is None
    world.clock.at += timedelta(minutes=30)
    world.flows(9_000)
    world.look()
    assert world.stops == []
    world.stop(9_000)
    world.look()
    with world.store.unit() as session:
        row = session.get(BillRow, ("small", moved.session_id))
        assert row is not None
        assert row.mandate_id == "m2"


@pytest.mark.parametrize(("mode", "paise"), [(Mode.AUTOPAY, 100_00), (Mode.RESERVE, 80_00), (Mode.ONE_TIME, 80_00)])
def test_a_new_mandate_that_cannot_carry_the_session_does_not(mode: Mode, paise: int) -> None:
    world = World()
    world.instrument("m1")
    world.start()
    world.flows(3_000)
    world.becomes(MandateState.CANCELLED)
    world.look()
    world.instrument("m2", mode, paise=paise, age=timedelta(0))
    world.clock.at += timedelta(minutes=6)
    world.look()
    assert world.of(ev.SessionMoved) == []
    assert world.of(ev.SessionStopAsked)[0].why == "mandate_lost"


def test_a_pause_that_ends_within_the_grace_changes_nothing() -> None:
    world = World()
    world.instrument()
    world.start()
    world.flows(3_000)
    world.look()
    world.becomes(MandateState.PAUSED)
    world.look()
    world.flows(3_900)
    world.becomes(MandateState.ACTIVE)
    world.look()
    world.flows(9_000)
    world.look()
    assert world.stops == []


def test_books_that_cannot_be_read_stop_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.instrument()
    world.start()

    def locked(*_: object, **__: object) -> None:
        raise StoreBusy("the books are locked")

    monkeypatch.setattr(Payments, "standing", locked)
    world.flows(10_000)
    run(world.watch.look())
    assert world.stops == []


def test_a_journal_that_cannot_write_ends_a_session_all_the_same() -> None:
    world = World()
    world.instrument()
    world.start()
    world.journal.frozen = True
    world.flows(20_000)
    world.look()
    assert world.ended == [ONE]


# -- the fleet ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["its tag was announced meanwhile", "it was registered meanwhile", "it stands there announced"])
def test_a_bus_of_the_fleet_is_not_stopped_for_money(how: str) -> None:
    world = World()
    world.instrument()
    if how == "it stands there announced":
        world.arrive(ONE, "BUS 1")
    assert world.start()
    if how == "its tag was announced meanwhile":
        world.put(ev.VisitAnnounced("v", "BUS 1", NOW, NOW + timedelta(hours=8), 20_000, 60_000, connector=TWO, id_tag=TAG))
    elif how == "it was registered meanwhile":
        world.put(ev.VehicleRegistered(Vehicle("BUS 1", id_tags=(TAG,))))
    transaction = world.yard.state.transaction_on(ONE)
    assert transaction is not None
    assert is_fleet(world.yard.state, transaction)
    world.becomes(MandateState.CANCELLED)
    world.flows(90_000)
    world.look()
    assert (world.stops, world.ended) == ([], [])


def test_a_guest_that_a_person_let_start_is_no_fleet() -> None:
    world = World()
    world.instrument()
    world.put(ev.VisitAnnounced("guest/1", "guest at CP-1/1", NOW, NOW + timedelta(hours=8), 20_000, 60_000, connector=ONE))
    world.put(ev.VisitArrived("guest/1", ONE))
    world.start()
    world.flows(20_000)
    world.look()
    assert len(world.stops) == 1


# -- begun without asking -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"offline": True}, {"ago": timedelta(minutes=30)}])
def test_a_session_that_a_station_began_offline_counts_at_once_and_is_billed_and_flagged(how: dict[str, Any]) -> None:
    world = World()
    world.instrument(state=MandateState.CANCELLED)
    assert world.start(**how)
    assert len(world.of(ev.SessionAdmitted)) == 1
    (unasked,) = world.of(ev.SessionUnasked)
    assert (unasked.refusal, unasked.driver_id) == ("mandate_not_active", DRIVER)
    assert [c.kind for c in world.watch.conditions(world.clock.now()) or ()] == ["session_unasked"]
    world.flows(8_000)
    world.look()
    assert world.of(ev.SessionStopAsked)[0].why == "not_allowed"
    world.stop(8_000)
    world.look()
    assert world.of(ev.SessionBilled)[0].total_paise == 13_688
    world.clock.at += UNASKED_TOLD
    assert world.watch.conditions(world.clock.now()) == []


def test_an_offline_session_of_a_driver_who_may_is_no_alarm_and_goes_on() -> None:
    world = World()
    world.instrument()
    assert world.start(offline=True)
    assert world.of(ev.SessionUnasked)[0].refusal == ""
    assert world.watch.conditions(world.clock.now()) == []
    world.flows(8_000)
    world.look()
    assert world.stops == []


def test_its_running_cost_counts_against_the_next_session_even_above_its_reservation() -> None:
    world = World()
    worst = world.till.reserved_paise(ONE)
    world.instrument(paise=2 * worst)
    assert world.start(offline=True)
    world.flows(100_000)  # far more than any session is granted
    assert not world.start(TWO)
    assert world.of(ev.StartRefused)[0].refusal == "exposure"


def test_somebody_who_never_set_up_how_to_pay_owes_an_offline_session_all_the_same() -> None:
    world = World()
    world.till.payers.put(DRIVER, TAG)
    run(world.till.restore())
    assert world.start(offline=True)
    assert world.of(ev.SessionUnasked)[0].refusal == "no_mandate"
    world.stop(5_000)
    world.look()
    assert [bill.stage for bill in world.money.bills()] == [Stage.ARREARS]
    assert world.money.check_ledger().sum_paise == 0


def test_an_offline_session_while_the_books_are_shut_is_billed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.instrument()

    def locked(*_: object, **__: object) -> None:
        raise StoreBusy("the books are locked")

    with monkeypatch.context() as shut:
        shut.setattr(Payments, "reserve", locked)
        assert world.start(offline=True)
    assert world.of(ev.SessionUnasked)[0].refusal == BOOKS_SHUT
    world.flows(5_000)
    world.look()
    assert world.stops == []
    world.stop(5_000)
    world.look()
    assert world.of(ev.SessionBilled)[0].total_paise == 8_556


def test_two_ids_of_one_customer_have_one_credit() -> None:
    world = World()
    worst = world.till.reserved_paise(ONE)
    world.instrument("m1", paise=2 * worst - 1, customer="cust_1")
    world.instrument("m2", paise=2 * worst - 1, customer="cust_1", driver="driver 8")
    world.till.payers.put("driver 8", "CARD-8")
    run(world.till.restore())
    world.till.price = Price(paise_per_kwh=PRICE.paise_per_kwh, most_wh=PRICE.most_wh, longest=PRICE.longest)
    assert world.start(ONE)
    assert not world.start(TWO, tag="CARD-8")


# -- what the driver sees -------------------------------------------------------------------------------------------------


def test_a_driver_sees_room_and_session() -> None:
    world = World()
    world.instrument("b1", Mode.RESERVE, paise=150_00)
    before = world.sees(station_id="CP-1")
    assert (before.may_start, before.refusal, before.headline.key) == (True, "", "may_start.smaller")
    assert (before.room_paise, before.instruments[0].left_paise) == (150_00, 150_00)
    assert 2_000 <= before.room_wh < PRICE.most_wh
    world.start()
    world.flows(2_000, power_w=10_000)
    seen = world.sees()
    (session,) = seen.sessions
    assert (session.energy_wh, session.power_w, session.cost_paise) == (2_000, 10_000, 3_422)
    assert session.ends_at == world.clock.now() + timedelta(hours=(session.most_wh - 2_000) / 10_000)
    assert (seen.may_start, seen.headline.key, seen.next_step.key) == (False, "may_start.block_too_small", "next.top_up")
    assert seen.instruments[0].left_paise == 0
    world.becomes(MandateState.CANCELLED, "b1")
    world.look()
    told = world.sees().sessions[0].told
    assert told is not None
    assert told.key == "warned.mandate_lost"
    assert told.hindi


def test_a_driver_sees_why_not() -> None:
    world = World()
    assert world.status_of() is None
    world.instrument(state=MandateState.INTENT_OPEN)
    seen = world.sees()
    assert (seen.refusal, seen.headline.key, seen.next_step.key) == ("mandate_not_active", "may_start.waits", "next.approve")
    world.becomes(MandateState.PAUSED)
    assert world.sees().next_step.key == "next.resume"
    world.becomes(MandateState.CANCELLED)
    assert world.sees().next_step.key == "next.set_up"
    with pytest.raises(InvalidValue, match="driver_id"):
        run(world.watch.views[DriverStatusView]({}))
    with pytest.raises(InvalidValue, match="evse is a number"):
        world.sees(station_id="CP-1", evse="x")
    with pytest.raises(UnknownThing):
        world.sees(station_id="CP-99")


def test_a_refusal_is_told_at_the_charger_and_a_pause_that_may_have_ended_is_looked_up() -> None:
    world = World()
    world.instrument(state=MandateState.PAUSED)
    with world.store.unit() as session:
        row = session.get(MandateRow, ("small", "m1"))
        assert row is not None
        row.looked_ms = to_ms(NOW - timedelta(minutes=9))
    answer = run(world.desk.authorize("CP-1", TAG))
    assert not answer.accepted
    assert "resume" in answer.message
    with world.store.unit() as session:
        row = session.get(MandateRow, ("small", "m1"))
        assert row is not None
        assert row.looked_ms is None


def test_every_text_is_in_both_languages() -> None:
    for key, words in WORDS.items():
        assert words.english.strip(), key
        assert any("\u0900" <= letter <= "\u097f" for letter in words.hindi), key
