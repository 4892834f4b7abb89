"""What a driver at a charger sees and orders: the place, a start with the own tag, a stop of the own session, the own bills."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime, time, timedelta
from fractions import Fraction
from typing import Any, TypeVar

import pytest
from small_yard import NOW, ONE, TWO, FakeChargers, SmallYard

import payments
from controller.billing import Billing
from controller.desk import Desk, DeskSettings
from controller.drive_price import price_view
from controller.drive_room import DriveRoom
from controller.drive_view import DrivePlaceView, DriveSelfView, PlaceState
from controller.till import Price, Till
from depot import commands as cmd
from depot import events as ev
from depot.ports import StartRequest, StopRequest
from depot.readings import MeterReading
from depot.values import Because, ConnectorId, InvalidValue, Outcome, Setpoint
from payments import GatewayTrouble
from payments.driver_tariff import Component, DriverTariff, Element, Kind, Restrictions
from payments.money import GstRule
from payments.payers import Payers
from payments.rules import INDIA
from payments.service import Payments, Terms
from payments.states import MandateState, Mode
from payments.tables import MandateRow
from payments.times import to_ms
from storage import Store

T = TypeVar("T")
RANI, OMAR = "g-rani", "g-omar"
TAGS = {RANI: "GRANI000000000000001", OMAR: "GOMAR000000000000001"}


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


class Told(FakeChargers):
    """Remembers what it was asked to start with."""

    def __init__(self, outcome: Outcome = Outcome.ACCEPTED) -> None:
        super().__init__()
        self.outcome = outcome
        self.starts: list[tuple[Setpoint, str]] = []

    async def start(self, setpoint: Setpoint, id_tag: str, kind: str = "Central") -> Outcome:
        self.starts.append((setpoint, id_tag))
        return self.outcome


class World(SmallYard):
    def __init__(self, outcome: Outcome = Outcome.ACCEPTED) -> None:
        super().__init__()
        self.told = Told(outcome)
        self.loop.chargers = self.told
        self.store = Store.open(None)
        self.store.migrate([payments])
        self.desk = Desk(self.yard, self.loop, DeskSettings(), replan=self.replans.append)
        self.money = Payments(self.store, "small", self.clock, Terms())
        self.till = Till(
            self.yard, self.money, Payers(self.store, "small", self.clock), Price(paise_per_kwh=Fraction(1450), most_wh=20_000)
        )
        self.desk.till = self.till
        self.billing = Billing(self.yard, self.loop, self.till, self.no_gateway)
        self.room = DriveRoom(self.yard, self.loop, self.till)
        self.noted: list[ev.Event] = []
        self.loop.note = self.noted.append  # type: ignore[method-assign]
        for driver_id, tag in TAGS.items():
            self.till.payers.put(driver_id, tag)
            with self.store.unit() as session:
                session.add(
                    MandateRow(
                        depot_id="small",
                        mandate_id=f"m-{driver_id}",
                        driver_id=driver_id,
                        mode=Mode.AUTOPAY,
                        state=MandateState.ACTIVE,
                        state_at_s=0,
                        max_amount_paise=5_000_00,
                        expire_ms=to_ms(NOW + timedelta(days=300)),
                        receipt=f"r-{driver_id}",
                        created_ms=to_ms(NOW),
                    )
                )
        run(self.till.restore())

    def no_gateway(self) -> Any:
        raise GatewayTrouble("no connection to the gateway")

    def order(self, command: cmd.Command) -> tuple[cmd.CommandStatus, str]:
        status, message, *_ = run(self.room.commands[type(command)](command, None))  # type: ignore[arg-type]  # no cause is looked at
        return status, message

    def start(self, driver_id: str = RANI, key: ConnectorId = ONE) -> tuple[cmd.CommandStatus, str]:
        return self.order(cmd.DriveStart(command_id="c", actor=f"driver {driver_id}", connector=key, driver_id=driver_id))

    def runs(self, driver_id: str = RANI, key: ConnectorId = ONE) -> str:
        """The station does what it was asked."""
        tag = TAGS[driver_id]
        self.status(key, ev.ConnectorStatus.PREPARING)
        assert run(self.desk.start(StartRequest(key, tag, 1_000, NOW, self.clock.now(), f"{key}|{tag}"))).accepted
        transaction = self.yard.state.transaction_on(key)
        assert transaction is not None
        return transaction.session_id

    def ends(self, energy_wh: int, key: ConnectorId = ONE) -> None:
        transaction = self.yard.state.transaction_on(key)
        assert transaction is not None
        run(self.desk.stop(StopRequest(key.station_id, transaction.transaction_id, 1_000 + energy_wh, "Local", NOW, self.clock.now())))

    def place(self, driver_id: str = "", station_id: str = "CP-1", evse: str = "1") -> DrivePlaceView | None:
        found = run(self.room.views[DrivePlaceView]({"station_id": station_id, "evse": evse, "driver_id": driver_id}))
        assert found is None or isinstance(found, DrivePlaceView)
        return found

    def account(self, driver_id: str = RANI) -> DriveSelfView:
        found = run(self.room.views[DriveSelfView]({"driver_id": driver_id}))
        assert isinstance(found, DriveSelfView)
        return found


def test_a_place_tells_state_and_price_with_tax() -> None:
    world = World()
    place = world.place()
    assert place is not None
    assert (place.label, place.rated_w, place.state) == ("CP-1", 60_000, PlaceState.FREE)
    assert place.price.paise_per_kwh == 1711  # 18 % on 14.50
    assert place.price.tax_percent == 18
    assert place.session_id == ""
    assert place.gate is None
    assert [(step.kind, step.paise) for step in place.price.steps] == [("energy", 1711)]


def test_the_gates_word_stands_at_the_place() -> None:
    world = World()
    place = world.place(RANI)
    assert place is not None
    assert place.gate is not None
    assert (place.gate.may_start, place.gate.most_wh) == (True, 20_000)
    with world.store.unit() as session:
        row = session.get(MandateRow, ("small", f"m-{RANI}"))
        assert row is not None
        row.state = MandateState.PAUSED
    place = world.place(RANI)
    assert place is not None
    assert place.gate is not None
    assert (place.gate.refusal, place.gate.next_step.key) == ("mandate_paused", "next.resume")
    assert world.place("g-nobody-knows") is not None


def test_a_price_by_the_clock_says_until_when() -> None:
    night = Element((Component(Kind.ENERGY, Fraction(950)),), Restrictions(start_time=time(22), end_time=time(6)))
    day = Element((Component(Kind.ENERGY, Fraction(1450)), Component(Kind.IDLE, Fraction(6000), grace=timedelta(minutes=15))))
    tariff = DriverTariff(tariff_id="two", elements=(night, day), min_paise=20_00)
    rule = GstRule()
    evening = datetime(2026, 11, 22, 20, 0, tzinfo=INDIA)
    shown = price_view(tariff, rule, evening)
    assert (shown.paise_per_kwh, shown.until) == (1711, evening.replace(hour=22))
    later = price_view(tariff, rule, evening.replace(hour=23))
    assert (later.paise_per_kwh, later.until) == (1121, datetime(2026, 11, 23, 6, 0, tzinfo=INDIA))
    assert [(s.kind, s.paise, s.start, s.grace_s) for s in later.steps] == [
        ("energy", 1121, "22:00", 0), ("energy", 1711, "", 0), ("idle", 7080, "", 900),
    ]  # fmt: skip
    assert (later.least_paise, later.most_paise) == (23_60, None)
    assert price_view(DriverTariff(tariff_id="one", elements=(day,)), rule, evening).until is None


@pytest.mark.parametrize(("station", "evse"), [("CP-9", "1"), ("CP-1", "7"), ("CP-1", "x"), ("", ""), ("../../etc", "1")])
def test_a_place_that_is_not_there_is_none(station: str, evse: str) -> None:
    assert World().place(station_id=station, evse=evse) is None


@pytest.mark.parametrize(("commissioned", "level_w"), [(True, 7_000), (False, 0)])
def test_a_start_asks_with_the_own_tag_and_no_more_than_counts_already(commissioned: bool, level_w: int) -> None:
    world = World()
    world.status(ONE, ev.ConnectorStatus.PREPARING)
    grant = world.yard.grants[ONE]
    grant.default_w, grant.commissioned = 7_000, commissioned
    status, words = world.start()
    assert (status, "asked to start" in words) == (cmd.CommandStatus.DONE, True)
    ((setpoint, tag),) = world.told.starts
    assert tag == TAGS[RANI]
    assert (setpoint.connector, setpoint.level_w, setpoint.transaction_id) == (ONE, level_w, None)
    assert setpoint.level_w <= grant.bound_w(world.clock.now().timestamp())  # invariant 1


def test_nobody_starts_without_a_cable() -> None:
    world = World()
    world.status(ONE, ev.ConnectorStatus.AVAILABLE)
    status, words = world.start()
    assert status is cmd.CommandStatus.REFUSED
    assert "plug the cable in first" in words
    assert world.told.starts == []


def test_nobody_starts_without_a_mandate() -> None:
    world = World()
    world.status(ONE, ev.ConnectorStatus.PREPARING)
    assert world.start("g-nobody") == (cmd.CommandStatus.REFUSED, "no mandate is set up: set one up first")
    with world.store.unit() as session:
        row = session.get(MandateRow, ("small", f"m-{RANI}"))
        assert row is not None
        row.state = MandateState.PAUSED
    status, words = world.start()
    assert status is cmd.CommandStatus.REFUSED
    assert "paused" in words
    assert [type(fact) for fact in world.noted] == [ev.StartRefused]
    assert world.told.starts == []


@pytest.mark.parametrize(
    ("outcome", "words"), [(Outcome.REFUSED, "did not start"), (Outcome.OFFLINE, "does not answer"), (Outcome.TIMEOUT, "did not start")]
)
def test_a_station_that_does_not_start_is_told_so(outcome: Outcome, words: str) -> None:
    world = World(outcome)
    world.status(ONE, ev.ConnectorStatus.PREPARING)
    status, said = world.start()
    assert status is cmd.CommandStatus.FAILED
    assert words in said


def test_an_out_of_service_connector_starts_nobody() -> None:
    world = World()
    world.status(ONE, ev.ConnectorStatus.PREPARING)
    world.put(ev.ConnectorAvailabilitySet(ONE, False, "broken"))
    status, words = world.start()
    assert status is cmd.CommandStatus.REFUSED
    assert "out of service" in words
    place = world.place()
    assert place is not None
    assert place.state is PlaceState.OUT


def test_a_session_is_its_drivers_alone() -> None:
    world = World()
    session_id = world.runs()
    assert world.start()[0] is cmd.CommandStatus.DONE  # it runs already
    status, words = world.start(OMAR)
    assert (status, words) == (cmd.CommandStatus.REFUSED, "CP-1 is in use: choose another charger")
    stop = cmd.DriveStop(command_id="s", actor="driver", driver_id=OMAR, session_id=session_id)
    assert world.order(stop)[0] is cmd.CommandStatus.REFUSED
    mine, theirs = world.place(RANI), world.place(OMAR)
    assert mine is not None
    assert theirs is not None
    assert (mine.session_id, theirs.session_id) == (session_id, "")
    assert (mine.state, theirs.state) == (PlaceState.CHARGING, PlaceState.CHARGING)


def test_what_runs_is_shown_with_cost_and_reason() -> None:
    world = World()
    session_id = world.runs()
    key = ONE
    world.loop.reading(MeterReading(key, world.clock.now(), power_w=22_000, energy_wh=6_000, soc=0.5))
    world.decided({key: Because.SITE}, {key: 22_000})
    (shown,) = world.account().running
    assert (shown.session_id, shown.label, shown.energy_wh) == (session_id, "CP-1", 5_000)
    assert shown.cost_paise == 7_250 + 2 * 653
    assert shown.reason is not None
    assert (shown.reason.because, shown.reason.power_w, shown.reason.rated_w) == ("site", 22_000, 60_000)
    world.decided({key: Because.CHARGER}, {key: 60_000})
    assert world.account().running[0].reason is None
    world.clock.at += timedelta(minutes=5)
    assert world.account().running[0].power_w is None  # old values are not shown as if they were new


def test_the_mandate_and_its_link_are_shown_while_it_waits() -> None:
    world = World()
    mandate = world.account().mandate
    assert mandate is not None
    assert (mandate.state, mandate.intent_url) == ("active", "")
    with world.store.unit() as session:
        row = session.get(MandateRow, ("small", f"m-{RANI}"))
        assert row is not None
        row.state, row.intent_url = MandateState.INTENT_OPEN, "upi://mandate?x=1"
    mandate = world.account().mandate
    assert mandate is not None
    assert mandate.intent_url == "upi://mandate?x=1"


def test_the_own_session_is_stopped() -> None:
    world = World()
    session_id = world.runs()
    stop = cmd.DriveStop(command_id="s", actor="driver", driver_id=RANI, session_id=session_id)
    assert world.order(stop)[0] is cmd.CommandStatus.DONE
    world.ends(5_000)
    assert world.order(stop) == (cmd.CommandStatus.DONE, "the session has ended")
    assert world.order(cmd.DriveStop(command_id="s", actor="driver", driver_id=RANI, session_id="s-404"))[0] is cmd.CommandStatus.REFUSED


def test_bills_are_the_own_ones_alone_and_add_up() -> None:
    world = World()
    session_id = world.runs()
    world.ends(10_000)
    assert world.account().ended == [session_id]
    run(world.billing.look())
    other = world.runs(OMAR, TWO)
    world.ends(3_000, TWO)
    run(world.billing.look())
    (bill,) = world.account().bills
    assert (bill.session_id, bill.energy_wh, bill.total_paise) == (session_id, 10_000, 17_110)
    assert bill.taxable_paise + bill.cgst_paise + bill.sgst_paise + bill.igst_paise + bill.round_off_paise == bill.total_paise
    assert [b.session_id for b in world.account(OMAR).bills] == [other]
    assert bill.owed_paise == 17_110
    nobody = world.account("g-nobody")
    assert (nobody.known, nobody.bills, nobody.mandate) == (False, [], None)
    with pytest.raises(InvalidValue):
        world.account("")
