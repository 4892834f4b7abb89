"""Departures: a timetable is announced once, however often it is read; each late vehicle says why, and what would help."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import cast

import pytest
from small_yard import NOW, ONE, SPEC, THREE, TWO, SmallYard, run

from controller.departures import Departures, missed
from controller.departures_import import DeparturesPreview, Timetable, one_departure, preview_departures, timetable_of
from controller.departures_view import DepartureRow, DeparturesView
from controller.import_reader import Change
from controller.registry_export import export_departures
from controller.registry_view import fleet_view
from depot import commands as cmd
from depot import events as ev
from depot.fleet import Vehicle
from depot.readings import MeterReading
from depot.values import Because, ConnectorId, InvalidValue, Limit, LimitSource, ScopeKind

BUS = Vehicle("E-1", "Bus", 200_000, 0, 120_000, 0.9, True, ("TAG1",), ONE)
VAN = Vehicle("V-1", "Van", 60_000, 11_000, 50_000)
BARE = Vehicle("X-1")

TIMETABLE = b"""vehicle_id;depart_at;arrive_at;energy_kwh;soc_target;soc_arrival;connector;priority
E-1;2026-11-21 05:30;;100;;;;
E-1;21.11.2026 16:00;21.11.2026 12:00;40,5;;;CP-2;1
V-1;06:15;23:10;;80;30 %;CP-3/1;
"""


class Depot:
    def __init__(self) -> None:
        self.small = SmallYard()
        self.room = Departures(self.small.yard, self.small.views.ready)
        self.small.put(*(ev.VehicleRegistered(v) for v in (BUS, VAN, BARE)))
        self._ids = itertools.count()

    async def view(self, **args: str) -> DeparturesView:
        return cast("DeparturesView", await self.room.views[DeparturesView](args))

    async def row(self, vehicle_id: str) -> DepartureRow:
        return next(row for row in (await self.view()).rows if row.stay.vehicle_id == vehicle_id)

    async def known(self) -> Timetable:
        return timetable_of(await self.view(limit="5000"), fleet_view(self.small.yard))

    async def apply(self, found: DeparturesPreview) -> DeparturesPreview:
        assert not found.complaints, [str(c) for c in found.complaints]
        for visit in found.visits:
            await self.tell(cmd.AnnounceVisit(command_id=f"c{next(self._ids)}", actor="omar", visit=visit))
        for visit_id, vehicle_id in found.cancels:
            await self.tell(cmd.CancelVisit(command_id=f"c{next(self._ids)}", actor="omar", visit_id=visit_id, vehicle_id=vehicle_id))
        return found

    async def tell(self, command: cmd.Command) -> None:
        result = await self.small.orders.execute(command)
        assert result.status is cmd.CommandStatus.DONE, result

    async def load(self, data: bytes, *, cancel_missing: bool = False) -> DeparturesPreview:
        return await self.apply(preview_departures(data, await self.known(), cancel_missing=cancel_missing))

    def stays(self, vehicle_id: str) -> list[ev.VisitAnnounced]:
        found = [v.announced for v in self.small.journal.state.visits.values() if v.announced.vehicle_id == vehicle_id]
        return sorted(found, key=lambda stay: stay.depart_at)


# -- timetables -----------------------------------------------------------------------------------------------------------


def test_a_timetable_is_announced_once_and_the_registry_fills_in(  # the depot's clock shows 22:00 of Fri 20 Nov
) -> None:
    async def story() -> None:
        depot = Depot()
        found = await depot.load(TIMETABLE)
        assert found.summary() == "3 added"
        night, day = depot.stays("E-1")
        assert night.depart_at == NOW + timedelta(hours=7, minutes=30)
        assert (night.battery_energy_wh, night.max_w, night.battery_wh, night.efficiency) == (100_000, 120_000, 200_000, 0.9)
        assert (night.pausable, night.id_tag, night.connector, night.arrive_at) == (True, "TAG1", ONE, NOW)
        assert (day.battery_energy_wh, day.connector, day.priority) == (40_500, TWO, 1)
        (van,) = depot.stays("V-1")
        assert (van.battery_energy_wh, van.soc_arrival, van.max_w) == (30_000, 0.3, 50_000)
        assert van.depart_at == NOW + timedelta(hours=8, minutes=15)
        again = await depot.load(TIMETABLE)
        assert again.summary() == "3 unchanged"
        round_trip = await depot.load(export_departures(await depot.view()), cancel_missing=True)
        assert round_trip.summary() == "3 unchanged"

    run(story())


def test_a_changed_timetable_updates_and_only_on_request_cancels() -> None:
    async def story() -> None:
        depot = Depot()
        await depot.load(TIMETABLE)
        first = depot.stays("E-1")[0]
        other_day = b"vehicle_id,depart_at,energy_kwh\nE-1,2026-11-23 05:30,90\n"
        assert (await depot.load(other_day, cancel_missing=True)).summary() == "1 added"  # other days are not touched
        found = await depot.load(b"vehicle_id,depart_at\nE-1,2026-11-21 06:00\n")
        assert [(line.change, line.words) for line in found.lines] == [
            (Change.CHANGED, ("leaves Sat 21 Nov 05:30 → Sat 21 Nov 06:00",)),
        ]
        assert depot.stays("E-1")[0].visit_id == first.visit_id
        assert depot.stays("E-1")[0].battery_energy_wh == 100_000  # no such column: kept
        found = await depot.load(b"vehicle_id,depart_at\nE-1,2026-11-21 06:00\n", cancel_missing=True)
        assert found.summary() == "1 unchanged, 2 removed"
        assert len(depot.stays("E-1")) == 2
        assert not depot.stays("V-1")

    run(story())


def test_a_vehicle_that_is_here_keeps_its_stay_and_its_charge_counts() -> None:
    async def story() -> None:
        depot = Depot()
        depot.small.arrive(ONE, "E-1", kwh=50, hours=8)
        depot.small.session(ONE, power_w=50_000, delivered_wh=20_000)
        depot.small.yard.readings[ONE] = MeterReading(ONE, NOW, power_w=50_000, energy_wh=21_000, soc=0.5, transaction_id=7)
        await depot.load(b"vehicle_id,depart_at,soc_target\nE-1,2026-11-21 05:30,90\n")
        (stay,) = depot.stays("E-1")
        assert stay.visit_id == "visit E-1"
        assert stay.battery_energy_wh == 80_000 + 18_000  # 40 % of 200 kWh from now on, and 90 % of what has flowed
        assert (await depot.load(b"vehicle_id,depart_at,soc_target\nE-1,2026-11-21 05:30,90\n")).summary() == "1 unchanged"
        refused = cmd.CancelVisit(command_id="x", actor="omar", visit_id="visit E-1")
        result = await depot.small.orders.execute(refused)
        assert (result.status, "plugged in at CP-1/1" in result.message) == (cmd.CommandStatus.REFUSED, True)

    run(story())


def test_a_guest_that_nobody_announced_can_be_changed_and_named() -> None:
    async def story() -> None:
        depot = Depot()
        depot.small.arrive(ONE, "guest at CP-1/1", kwh=30, hours=8)
        cells = {"vehicle_id": "guest at CP-1/1", "depart_at": "04:00"}
        found = await depot.apply(one_departure(cells, await depot.known(), visit_id="visit guest at CP-1/1"))
        assert [line.words for line in found.lines] == [("leaves Sat 21 Nov 06:00 → Sat 21 Nov 04:00",)]
        cells = {"vehicle_id": "E-1", "depart_at": "04:00", "energy_kwh": "50"}
        await depot.apply(one_departure(cells, await depot.known(), visit_id="visit guest at CP-1/1"))
        (stay,) = depot.stays("E-1")
        assert (stay.visit_id, stay.battery_wh, stay.connector) == ("visit guest at CP-1/1", 200_000, ONE)

    run(story())


def test_who_left_early_is_not_announced_anew_by_the_old_timetable() -> None:
    async def story() -> None:
        depot = Depot()
        await depot.load(TIMETABLE)
        stay = depot.stays("E-1")[0]
        fields = {name: getattr(stay, name) for name in stay.__slots__} | {"returning": True, "battery_energy_wh": 60_000}
        depot.small.put(ev.VisitAnnounced(**fields))
        found = await depot.load(TIMETABLE, cancel_missing=True)
        assert found.summary() == "3 unchanged"
        assert depot.stays("E-1")[0].returning

    run(story())


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("E-2,05:30,,10,,,", "row 2, vehicle_id: vehicle 'E-2' is not registered; did you mean E-1?"),
        ("E-1,,,10,,,", "row 2, depart_at: write when it leaves"),
        ("E-1,soon,,10,,,", "row 2, depart_at: 'soon' is no time"),
        ("E-1,25:00,,10,,,", "row 2, depart_at: '25:00' is no time"),
        ("E-1,2026-11-20 05:30,,10,,,", "row 2, depart_at: Fri 20 Nov 05:30 is over"),
        ("E-1,11/12/2027 05:30,,10,,,", "row 2, depart_at: 11/12/2027 05:30 is more than 62 days away; dates with dots or slashes"),
        ("E-1,9999-12-31T23:59:59-12:00,,10,,,", "row 2, depart_at: 9999-12-31T23:59:59-12:00 is more than"),
        ("E-1,05:30,06:30,10,,,", "row 2, depart_at: it would leave before it comes"),
        ("E-1,2026-12-20 05:30,,10,,,", "row 2, depart_at: a stay has at most 14 days"),
        ("E-1,05:30,,,,,", "row 2, energy_kwh: write the energy in kWh, or the charge"),
        ("E-1,05:30,,10,80,,", "row 2, soc_target: write either the energy or the charge"),
        ("E-1,05:30,,,80,,", "row 2, soc_target: the state of charge of E-1 is not known: write energy_kwh, or soc_arrival"),
        ("X-1,05:30,,,80,20,", "row 2, soc_target: the battery of X-1 is not registered"),
        ("E-1,05:30,,10,,,CP-9", "row 2, connector: there is no connector 'CP-9'"),
        ("E-1,05:30,,10,,200,", "row 2, soc_arrival: 200 must be within 0 and 100"),
        ("E-1,05:30,,10,,,\nE-1,16:00,,10,,,", "row 3, arrive_at: E-1 leaves more than once"),
        ("E-1,05:30,,10,,,\nE-1,05:30,,20,,,", "row 3, depart_at: E-1 leaves at this time in row 2 already"),
    ],
)
def test_what_is_no_departure_says_so(row: str, why: str) -> None:
    async def story() -> None:
        depot = Depot()
        text = f"vehicle_id,depart_at,arrive_at,energy_kwh,soc_target,soc_arrival,connector\n{row}\n"
        found = preview_departures(text.encode(), await depot.known())
        assert [str(c) for c in found.complaints][:1] == [next(str(c) for c in found.complaints if str(c).startswith(why))]
        assert (found.applicable, found.visits) == (False, ())

    run(story())


def test_times_that_the_clock_shows_twice_or_never_are_asked_back() -> None:
    from dataclasses import replace
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    berlin = Timetable(ZoneInfo("Europe/Berlin"), datetime(2026, 10, 20, tzinfo=UTC), {}, {"E-1": BUS})
    spring = replace(berlin, now=datetime(2027, 3, 20, tzinfo=UTC))
    for known, text, why in (
        (berlin, "2026-10-25 02:30", "stands on the clock twice"),
        (spring, "2027-03-28 02:30", "does not exist"),
    ):
        found = one_departure({"vehicle_id": "E-1", "depart_at": text, "arrive_at": text[:8] + "24 00:00", "energy_kwh": "1"}, known)
        assert why in str(found.complaints[0])
    exact = {"vehicle_id": "E-1", "depart_at": "2026-10-25T02:30+02:00", "arrive_at": "2026-10-24 22:00", "energy_kwh": "1"}
    assert one_departure(exact, berlin).visits[0].depart_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


# -- the page's view --------------------------------------------------------------------------------------------------------


def test_the_most_urgent_stand_first_and_the_numbers_add_up() -> None:
    async def story() -> None:
        depot = Depot()
        depot.small.arrive(ONE, "E-1", kwh=50, hours=2)
        depot.small.arrive(TWO, "V-1", kwh=120, hours=1.5)  # 80 kW needed, 60 kW can flow
        view = await depot.view()
        assert [(row.stay.vehicle_id, row.standing) for row in view.rows] == [("V-1", "late"), ("E-1", "on_time")]
        assert (view.total, view.late, view.at_risk, view.on_time) == (2, 1, 0, 1)
        late = view.rows[0]
        assert (late.why, late.detail) == ("Too little time", "120 kWh in 90 min take 80 kW; it gets 60 kW at most here")
        assert (await depot.view(limit="1")).rows == [late]
        assert (await depot.view(visit="visit E-1")).rows == [view.rows[1]]
        for bad in ("0", "x", "5001"):
            with pytest.raises(InvalidValue, match="limit"):
                await depot.view(limit=bad)

    run(story())


@pytest.mark.parametrize(
    ("trouble", "why", "first"),
    [
        (ev.VisitHeld("visit E-1", True), "Held", "Start its session again"),
        (ev.ConnectorAvailabilitySet(ONE, False, "cable burnt"), "Charger out of service", "Look at CP-1 and put it back in service"),
        (
            ev.ConnectorStatusChanged(ONE, ev.ConnectorStatus.FAULTED, "GroundFailure"),
            "Charger faulted",
            "Look at CP-1: power, network, fault",
        ),
    ],
)
def test_what_keeps_it_from_charging_is_the_reason_and_the_first_remedy(trouble: ev.Event, why: str, first: str) -> None:
    async def story() -> None:
        depot = Depot()
        depot.small.arrive(ONE, "E-1", kwh=50, hours=8)
        depot.small.put(trouble)
        row = await depot.row("E-1")
        assert (row.standing, row.why) == ("at_risk", why)
        assert row.remedies[0].text == first
        if why != "Held":
            assert any(remedy.set == {"connector": str(found)} for remedy in row.remedies for found in (TWO, THREE))

    run(story())


def test_remedies_are_true_and_the_cheapest_stands_first() -> None:
    async def story() -> None:
        depot = Depot()
        small = depot.small
        small.arrive(ONE, "E-1", kwh=90, hours=1.55)
        small.session(ONE, power_w=20_000)
        small.arrive(TWO, "V-1", kwh=30, hours=9)
        small.session(TWO, power_w=40_000, number=8)
        small.put(
            ev.LimitSet(
                Limit("manual:A", ScopeKind.FEEDER, 60_000, LimitSource.MANUAL, NOW, scope_id="A", set_by="mani", reason="hot cable")
            )
        )
        small.decided({ONE: Because.FEEDER, TWO: Because.FEEDER}, {ONE: 20_000, TWO: 40_000})
        row = await depot.row("E-1")
        texts = [remedy.text for remedy in row.remedies]
        assert texts[0] == "Lift the manual limit of A"
        assert row.remedies[0].costs == "60 kW by mani: hot cable"
        assert texts[1] == "Serve it before the others"
        assert (row.remedies[1].costs, row.remedies[1].set) == ("less for V-1", {"priority": "1"})
        assert "Plug it in at CP-3, which is free" not in texts  # no more power there than here
        assert row.standing in ("late", "at_risk")

    run(story())


def test_late_by_its_charger_a_better_one_is_named_and_a_later_time_or_less_energy() -> None:
    async def story() -> None:
        depot = Depot()
        small = depot.small
        small.put(ev.VehicleRegistered(Vehicle("E-9", battery_wh=200_000, dc_max_w=60_000, efficiency=1.0)))
        stay = ev.VisitAnnounced(
            "v9", "E-9", NOW, NOW + timedelta(hours=1), 90_000, 60_000, connector=ONE, efficiency=1.0, battery_wh=200_000
        )
        small.put(stay, ev.VisitArrived("v9", ONE))
        row = await depot.row("E-9")
        assert row.standing == "late"
        assert row.ready_at is not None
        acts = {remedy.text.partition(" ")[0]: remedy for remedy in row.remedies}
        assert acts["Leave"].act == "change"
        assert any("energy_kwh" in remedy.set for remedy in row.remedies)
        changed = await depot.known()
        later = next(r for r in row.remedies if "depart_at" in r.set)
        cells = {"vehicle_id": "E-9", "depart_at": later.set["depart_at"]}
        await depot.apply(one_departure(cells, changed, visit_id="v9"))
        assert (await depot.row("E-9")).standing != "late"  # the remedy was true

    run(story())


def test_expected_vehicles_say_when_they_come_and_that_they_are_missed() -> None:
    async def story() -> None:
        depot = Depot()
        await depot.load(b"vehicle_id,depart_at,arrive_at,energy_kwh\nV-1,06:00,23:00,5\nX-1,06:00,,5\n")
        assert (await depot.row("V-1")).why == "Comes 23:00"
        assert (await depot.row("V-1")).detail == "no charger is chosen"
        depot.small.clock.at += timedelta(minutes=30)
        assert ((await depot.row("X-1")).why, (await depot.row("X-1")).detail) == ("Not here", "was expected 22:00")
        gone = await depot.row("V-1")
        assert (gone.present, gone.soc, gone.power_w) == (False, None, None)

    run(story())


def test_stays_that_never_happened_end_by_themselves() -> None:
    async def story() -> None:
        depot = Depot()
        await depot.load(b"vehicle_id,depart_at,energy_kwh\nV-1,23:00,5\nX-1,03:00,5\n")
        depot.small.arrive(ONE, "E-1", kwh=50, hours=1)
        now = NOW + timedelta(hours=3, minutes=1)
        assert missed(depot.small.journal.state, NOW + timedelta(hours=2)) == []
        assert missed(depot.small.journal.state, now) == [depot.stays("V-1")[0].visit_id]  # who is here stays, however late

    run(story())


def test_a_place_that_is_expected_to_be_taken_is_no_remedy() -> None:
    async def story() -> None:
        depot = Depot()
        small = depot.small
        small.arrive(ONE, "E-1", kwh=50, hours=8)
        small.put(ev.ConnectorAvailabilitySet(ONE, False, "burnt"))
        for key, vehicle in ((TWO, "V-1"), (THREE, "X-1")):
            small.put(ev.VisitAnnounced(f"v {vehicle}", vehicle, NOW, NOW + timedelta(hours=3), 1_000, 50_000, connector=key))
        assert not any(remedy.set for remedy in (await depot.row("E-1")).remedies)
        assert ConnectorId("CP-2", 1) in SPEC.connectors

    run(story())
