"""The desk: who comes, who leaves, who is plugged anew, and what the planner must hear of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from small_yard import NOW, ONE, SmallYard, run

from controller.desk import Desk, DeskSettings
from depot import events as ev
from depot.events import ConnectorStatus
from depot.fleet import Driver, Vehicle
from depot.ports import StartAnswer, StartRequest, StopRequest


class World(SmallYard):
    def __init__(self, settings: DeskSettings = DeskSettings()) -> None:  # noqa: B008  # frozen
        super().__init__()
        self.causes: list[str] = []
        self.desk = Desk(self.yard, self.loop, settings, replan=self.causes.append)

    def says(self, status: ConnectorStatus) -> None:
        run(self.desk.status(ONE, status, "NoError", None))

    def minutes(self, minutes: float) -> None:
        self.clock.at += timedelta(minutes=minutes)

    def announced(self, vehicle: str, *, after_h: float) -> None:
        at = self.clock.now() + timedelta(hours=after_h)
        self.put(ev.VisitAnnounced(f"visit {vehicle}", vehicle, at, at + timedelta(hours=4), 20_000, 60_000, connector=ONE))

    def vehicle(self) -> str | None:
        visit = self.yard.visit_on(ONE)
        return visit.announced.vehicle_id if visit is not None else None


def test_a_vehicle_that_is_plugged_anew_keeps_its_stay_and_what_it_still_needs() -> None:
    world = World()
    world.arrive(ONE, "BUS 1", kwh=60, hours=8)
    world.minutes(30)
    world.says(ConnectorStatus.AVAILABLE)
    assert world.vehicle() is None
    world.minutes(20)
    world.says(ConnectorStatus.PREPARING)
    visit = world.yard.visit_on(ONE)
    assert visit is not None
    assert (visit.announced.vehicle_id, visit.announced.battery_energy_wh) == ("BUS 1", 60_000)
    assert visit.announced.depart_at == NOW + timedelta(hours=8)


def test_who_left_for_good_is_not_mistaken_for_the_next_one() -> None:
    world = World()
    world.announced("BUS 2", after_h=2)
    world.arrive(ONE, "BUS 1", kwh=60, hours=8)
    world.minutes(30)
    world.says(ConnectorStatus.AVAILABLE)
    world.minutes(60)
    world.says(ConnectorStatus.PREPARING)
    assert world.vehicle() == "BUS 2"


def test_the_one_that_is_due_now_comes_before_the_one_that_may_be_back() -> None:
    world = World()
    world.announced("BUS 2", after_h=0.75)
    world.arrive(ONE, "BUS 1", kwh=60, hours=8)
    world.minutes(30)
    world.says(ConnectorStatus.AVAILABLE)
    world.minutes(12)
    world.says(ConnectorStatus.PREPARING)
    assert world.vehicle() == "BUS 2"


def test_who_comes_in_time_and_leaves_in_time_asks_for_no_new_plan() -> None:
    world = World()
    world.announced("BUS 2", after_h=0.1)
    world.minutes(5)
    world.says(ConnectorStatus.PREPARING)
    world.minutes(4 * 60)
    world.says(ConnectorStatus.AVAILABLE)
    assert world.causes == []
    assert "visit BUS 2" not in world.yard.state.visits


def test_who_comes_late_or_leaves_early_asks_for_one() -> None:
    world = World()
    world.announced("BUS 2", after_h=0.1)
    world.minutes(60)
    world.says(ConnectorStatus.PREPARING)
    world.minutes(10)
    world.says(ConnectorStatus.AVAILABLE)
    assert len(world.causes) == 2


def test_cards_of_the_registry_open_a_charger_and_name_the_stay() -> None:
    world = World()
    world.put(ev.VehicleRegistered(Vehicle("BUS 1", id_tags=("TAG-A", "TAG-B"))), ev.DriverRegistered(Driver("D-1", ("CARD",))))
    known = {tag: asyncio.run(world.desk.authorize("CP-1", tag)).accepted for tag in ("tag-b", "CARD", "D-1", "nobody")}
    assert known == {"tag-b": True, "CARD": True, "D-1": False, "nobody": False}
    for visit_id, after_h in (("yesterday", -20), ("tonight", 1), ("tomorrow", 24)):
        at = NOW + timedelta(hours=after_h)
        world.put(ev.VisitAnnounced(visit_id, "BUS 1", at, at + timedelta(hours=8), 20_000, 60_000))

    def start(key: str, tag: str) -> str | None:
        run(world.desk.start(StartRequest(ONE, tag, 1_000, None, NOW, key)))
        visit = world.yard.visit_on(ONE)
        return visit.visit_id if visit is not None else None

    assert start("one", "TAG-B") == "tonight"  # not the one that is over, nor the one that is a day away


def test_a_stay_that_is_a_day_away_is_not_used_up_today() -> None:
    world = World()
    at = NOW + timedelta(hours=24)
    world.put(ev.VisitAnnounced("tomorrow", "BUS 1", at, at + timedelta(hours=8), 20_000, 60_000, id_tag="TAG"))
    run(world.desk.start(StartRequest(ONE, "TAG", 1_000, None, NOW, "one")))
    assert world.yard.visit_on(ONE) is None
    assert "tomorrow" in world.journal.state.visits


def test_what_a_station_says_of_itself_and_of_its_connectors_is_kept_once_per_change() -> None:
    world = World()
    known = len(world.journal.facts)
    faulted, fine = ConnectorStatus.FAULTED, ConnectorStatus.AVAILABLE
    for info in ("fan 2", "fan 3"):  # a text that counts is no change
        detail = ev.StatusDetail(info, "com.acme", "E17")
        run(world.desk.status(ONE, faulted, "OtherError", None, detail))
        run(world.desk.station_status("CP-1", faulted, "OtherError", detail))
    kinds = [fact.type for fact in world.journal.facts[known:]]
    assert (kinds.count("connector.status_changed"), kinds.count("station.status_changed")) == (1, 1)
    kept = ev.StatusDetail("fan 2", "com.acme", "E17")
    state = world.journal.state
    assert (state.connector(ONE).detail, state.stations["CP-1"].detail) == (kept, kept)
    run(world.desk.station_status("CP-1", fine, "NoError", ev.NO_DETAIL))
    assert (world.journal.state.stations["CP-1"].status, world.journal.state.stations["CP-1"].detail) == (fine, ev.NO_DETAIL)


def test_signed_values_of_an_end_are_journaled_once() -> None:
    world = World()
    signed = (ev.SignedReading(NOW, "Transaction.End", "Energy.Active.Import.Register", "OCMF|{}|{}"),)
    for number in (-1, -1, 7):
        run(world.desk.stop(StopRequest("CP-1", number, 900, "Local", NOW, NOW, signed)))
    kept = [fact.data for fact in world.journal.facts if isinstance(fact.data, ev.SignedReadingsKept)]
    assert [fact.transaction_id for fact in kept] == [-1, 7]
    assert kept[0].readings == signed


def start(world: World, request: StartRequest) -> StartAnswer:
    answers: list[StartAnswer] = []

    async def ask() -> None:
        answers.append(await world.desk.start(request))

    run(ask())
    return answers[0]


def begins(world: World, *, hours_ago: float, meter_wh: int, tag: str = "TAG 1") -> StartAnswer:
    at = world.clock.now() - timedelta(hours=hours_ago)
    return start(world, StartRequest(ONE, tag, meter_wh, at, world.clock.now(), f"{at} {meter_wh}"))


def ends(world: World, number: int, *, meter_wh: int, hours_ago: float) -> None:
    at = world.clock.now() - timedelta(hours=hours_ago)
    run(world.desk.stop(StopRequest("CP-1", number, meter_wh, "Local", at, world.clock.now())))


def energies(world: World) -> dict[int, tuple[int, bool]]:
    """Energy of each transaction that ended, Wh, and whether it is estimated."""
    began = {f.data.transaction_id: f.data.meter_start_wh for f in world.journal.facts if isinstance(f.data, ev.TransactionStarted)}
    stops = [fact.data for fact in world.journal.facts if isinstance(fact.data, ev.TransactionStopped)]
    return {stop.transaction_id: (stop.meter_stop_wh - began[stop.transaction_id], stop.estimated) for stop in stops}


def test_no_7_a_start_out_of_an_offline_queue_begins_no_session_where_it_is_over_already() -> None:
    world = World(DeskSettings(accept_unknown_tags=True))
    world.says(ConnectorStatus.AVAILABLE)
    answer = begins(world, hours_ago=5, meter_wh=1000)
    assert not answer.running
    assert not world.yard.grants[ONE].in_session
    (fact,) = [f for f in world.journal.facts if isinstance(f.data, ev.TransactionStarted)]
    assert (fact.reported_at, fact.received_at) == (world.clock.now() - timedelta(hours=5), world.clock.now())
    ends(world, answer.transaction_id, meter_wh=4000, hours_ago=4)
    assert energies(world) == {answer.transaction_id: (3000, False)}
    assert begins(world, hours_ago=5, meter_wh=1000) == answer, "said again, it has the same number and still runs not"


def test_no_7_a_late_start_that_runs_after_all_is_a_session_as_soon_as_its_connector_says_so() -> None:
    world = World(DeskSettings(accept_unknown_tags=True))
    world.says(ConnectorStatus.PREPARING)
    answer = begins(world, hours_ago=1, meter_wh=1000)
    assert not world.yard.grants[ONE].in_session
    world.says(ConnectorStatus.CHARGING)
    assert world.yard.grants[ONE].in_session
    assert world.journal.state.connector(ONE).transaction_id == answer.transaction_id


def test_no_7_an_older_session_that_is_told_later_ends_not_the_one_that_runs() -> None:
    world = World(DeskSettings(accept_unknown_tags=True))
    world.says(ConnectorStatus.CHARGING)
    live = begins(world, hours_ago=0, meter_wh=9000)
    old = begins(world, hours_ago=6, meter_wh=1000)
    assert (live.running, old.running) == (True, False)
    ends(world, old.transaction_id, meter_wh=5000, hours_ago=3)
    assert world.yard.grants[ONE].in_session
    assert world.journal.state.connector(ONE).transaction_id == live.transaction_id
    ends(world, live.transaction_id, meter_wh=9500, hours_ago=0)
    assert energies(world) == {old.transaction_id: (4000, False), live.transaction_id: (500, False)}


def test_no_6_a_ghost_ends_at_the_register_with_which_the_next_session_begins() -> None:
    world = World(DeskSettings(accept_unknown_tags=True))
    world.says(ConnectorStatus.CHARGING)
    ghost = begins(world, hours_ago=0.01, meter_wh=1000)
    begins(world, hours_ago=0, meter_wh=3500)
    assert energies(world) == {ghost.transaction_id: (2500, True)}


def test_no_6_a_ghost_that_outlived_the_process_ends_when_the_next_start_is_said_again() -> None:
    world = World(DeskSettings(accept_unknown_tags=True))
    world.says(ConnectorStatus.CHARGING)
    ghost = begins(world, hours_ago=0.02, meter_wh=1000)
    at = world.clock.now()
    request = StartRequest(ONE, "TAG 1", 3500, at, at, "next")
    number = world.journal.state.next_transaction_id
    started = ev.TransactionStarted(number, "s", ONE, "TAG 1", 3500)  # stored, and killed before the ghost's end was
    world.journal.put(ev.NewEvent(started, at, key="start/next", reported_at=at))
    assert start(world, request).transaction_id == number
    assert energies(world) == {ghost.transaction_id: (2500, True)}
    assert list(world.journal.state.transactions) == [number]
