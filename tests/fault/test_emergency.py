"""The response over a real I/O module's socket: chargers that do not obey, contactors that weld, kills in the middle of each step."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import time, timedelta
from pathlib import Path
from typing import Any

from emergency_kit import BUS, HOT, EmergencyDepot, until
from outputs_kit import BAY, FEEDER
from small_yard import ONE, TWO

from controller.drill import Schedule
from controller.incident_export import document
from controller.incident_files import IncidentFile, file_of, read
from controller.incident_view import IncidentsView
from depot import commands as cmd
from depot import events as ev
from depot.emergency import DrillState, LinkState, Presence, StepState
from depot.outputs import SITE, Area, Origin
from depot.values import Role
from simulator.io_module import IoModule

Status = cmd.CommandStatus
K_BAY, K_FEEDER, K_SITE, SIREN, FAN = range(5)
BESIDE = Area.of("bay", "CP-2")


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(40):
            await main

    asyncio.run(bounded())


async def ready(depot: EmergencyDepot, module: IoModule) -> None:
    for relay in (K_BAY, K_FEEDER, K_SITE, FAN):
        await module.until(relay, True)
    await until(lambda: depot.outputs.order("siren") is not None)


def state_of(depot: EmergencyDepot, step: str) -> StepState | None:
    incident = next(iter(depot.desk.book.open_incidents()))
    return incident.steps[step].state if step in incident.steps else None


def test_heat_stops_and_airs_and_cuts_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        depot.charging()
        async with IoModule(watchdog_s=20.0) as module, depot.running(module):
            await ready(depot, module)
            depot.says(*HOT)
            assert depot.safety.response_of(BUS).grade == "heat"
            await until(lambda: f"stop {ONE} 7" in depot.chargers.asked and f"inoperative {ONE}" in depot.chargers.asked)
            depot.stopped()
            await module.until(FAN, False)
            await until(lambda: state_of(depot, "stop") is StepState.CONFIRMED and state_of(depot, "out_of_service") is StepState.CONFIRMED)
            await until(lambda: state_of(depot, "warning") is StepState.CONFIRMED)
            assert module.pulled_in[:3] == [True, True, True], "what cools the bus keeps its supply"
            assert module.pulled_in[SIREN] is False
            assert depot.desk.book.evacuation() is None
            assert state_of(depot, "isolation") is None

    run(main())


def test_a_hot_pack_that_gets_hotter_is_isolated(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        depot.charging()
        async with IoModule(watchdog_s=20.0) as module, depot.running(module):
            await ready(depot, module)
            depot.says(*HOT)
            depot.stopped()
            depot.clock.at += timedelta(seconds=40)
            depot.says(81.0, 70.0, 69.0, 68.0)
            await module.until(K_BAY, False)
            await module.until(SIREN, True)
            assert depot.outputs.latched == {}
            await until(lambda: len(depot.named(ev.TripWorsened)) == 1)
        depot.begin()
        assert depot.safety.response_of(BUS).isolates, "a restart does not forget it"

    run(main())


def test_fire_gets_the_whole_chain(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        depot.charging()
        depot.arrive(TWO, "BUS2")
        depot.session(TWO, power_w=20_000, number=8)
        async with IoModule(watchdog_s=20.0) as module, depot.running(module):
            await ready(depot, module)
            await depot.shift("S-1", "S-2")
            depot.open.clear()  # nothing waits for the journal
            depot.says(*HOT, alarms=("thermal_event",))
            assert depot.desk.book.evacuation() is not None, "within the sample"
            assert depot.yard.unsafe(TWO, None) == "bay CP-1 beside it is in danger"
            await module.until(K_BAY, False)
            await module.until(SIREN, True)
            await until(lambda: f"stop {ONE} 7" in depot.chargers.asked and f"stop {TWO} 8" in depot.chargers.asked)
            depot.open.set()
            assert (await depot.order(cmd.CheckIn, person_id="S-1", point="point A")).status is Status.DONE
            depot.stopped()
            depot.put(ev.TransactionStopped(8, TWO, 2_000, "Remote"))
            depot.yard.grants[TWO].in_session = False
            await until(lambda: state_of(depot, "neighbours") is StepState.CONFIRMED)
            await until(lambda: state_of(depot, "isolation") is StepState.CONFIRMED and state_of(depot, "warning") is StepState.CONFIRMED)
            evacuation = depot.desk.book.evacuation()
            assert evacuation is not None
            assert [person.person_id for person in evacuation.not_seen] == ["S-2"]
            depot.clock.at = evacuation.deadline
            await until(lambda: state_of(depot, "evacuation") is StepState.ESCALATED)
            kinds = [condition.kind for condition in depot.evacuations.conditions(depot.clock.now())]
            assert kinds == ["evacuation", "person_missing"]
            refused = await depot.order(cmd.EndEvacuation, role=Role.SAFETY_OFFICER)
            assert refused.status is Status.REFUSED
            assert "Name S-2" in refused.message
            depot.cools()
            assert "evacuation is under way" in (await depot.reset()).message
            assert (await depot.order(cmd.CheckIn, person_id="S-2", presence=Presence.OFF_SITE)).status is Status.DONE
            assert (await depot.order(cmd.EndEvacuation, role=Role.MANAGER)).status is Status.REFUSED
            assert (await depot.order(cmd.EndEvacuation, role=Role.SAFETY_OFFICER)).status is Status.DONE
            depot.cools()
            done = await depot.reset()
            assert done.status is Status.DONE, done.message
            await module.until(K_BAY, True)
            assert depot.yard.unsafe(TWO, None) is None
            (incident,) = depot.desk.book.open_incidents()
            closed = await depot.order(cmd.CloseIncident, incident_id=incident.incident_id, role=Role.ADMIN)
            assert closed.status is Status.DONE, closed.message
        found = document(tmp_path / "incidents", incident.incident_id)
        assert (found["state"], found["as_written"]) == ("closed", True)
        assert found["head"]["cause"] == "bms_alarm"
        assert {person["name"] for person in found["people"]["people"]} == {"Name S-1", "Name S-2"}
        assert found["signals"][0]["rows"][0][1] == 62.0
        assert {"stop", "isolation", "neighbours", "evacuation"} <= found["steps"].keys()
        assert any("tripped" in fact["title"] for fact in found["timeline"])
        assert depot.journal.state.emergency.incidents[incident.incident_id].digest == found["digest"]

    run(main())


def test_a_charger_that_does_not_obey_has_its_bay_cut_and_a_welded_contactor_the_feeder(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        depot.charging()
        async with IoModule(watchdog_s=20.0) as module, depot.running(module):
            await ready(depot, module)
            module.welded.add(K_BAY)
            depot.says(*HOT)
            await until(lambda: f"stop {ONE} 7" in depot.chargers.asked)
            assert depot.outputs.latched == {}
            depot.clock.at += timedelta(seconds=11)
            await module.until(K_FEEDER, False)
            assert [(entry.area, entry.origin) for entry in depot.outputs.latched.values()] == [
                (BAY, Origin.NOT_STOPPED),
                (FEEDER, Origin.WIDENED),
            ]
            assert state_of(depot, "stop") is StepState.ESCALATED
            kinds = {condition.subject for condition in depot.responses.conditions(depot.clock.now())}
            assert f"{BUS} stop" in kinds

    run(main())


def test_killed_after_the_latch_and_before_the_journal_everything_begins_again(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        depot.charging()
        async with depot.running():
            await depot.shift("S-1")
            depot.open.clear()
            depot.says(*HOT, alarms=("smoke_or_gas",))
            await until(lambda: "trip" in (tmp_path / "latches").read_text())
            deadline = depot.desk.book.evacuation().deadline  # type: ignore[union-attr]  # it was begun
        assert depot.named(ev.EvacuationBegun) == []
        depot.open.set()
        depot.clock.at += timedelta(seconds=90)
        depot.begin()
        again = depot.desk.book.evacuation()
        assert again is not None
        assert again.deadline == deadline, "its time goes on"
        assert len(depot.desk.book.open_incidents()) == 1
        async with depot.running():
            await until(lambda: len(depot.named(ev.EvacuationBegun)) == 1 and len(depot.named(ev.IncidentOpened)) == 1)

    run(main())


def test_killed_in_the_middle_of_a_roll_call_it_goes_on_where_it_was(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        depot.charging()
        async with depot.running():
            await depot.shift("S-1", "S-2")
            depot.says(*HOT, alarms=("smoke_or_gas",))
            await depot.order(cmd.CheckIn, person_id="S-1")
            await until(lambda: len(depot.named(ev.PersonSeen)) == 1)
            await until(lambda: len(depot.incidents.present) == 1)
        number = next(iter(depot.desk.book.incidents))
        depot.begin()
        running = depot.desk.book.evacuation()
        assert running is not None
        assert [person.person_id for person in running.not_seen] == ["S-2"]
        async with depot.running():
            await depot.order(cmd.CheckIn, person_id="S-2")
            await until(lambda: state_of(depot, "evacuation") is StepState.CONFIRMED)
            await depot.incidents.flush()
        assert len(depot.named(ev.IncidentOpened)) == 1
        titles = [record.get("title", "") for record in read(file_of(tmp_path / "incidents", number)).records]
        assert any("restarted" in title for title in titles)
        assert titles.count("Person S-1: safe") == 1

    run(main())


def test_an_evacuation_by_a_person_acts_while_the_journal_is_frozen(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        async with depot.running():
            depot.journal.frozen = True
            began = await depot.order(cmd.BeginEvacuation, area=SITE)
            assert began.status is Status.ACCEPTED, began.message
            assert depot.desk.book.evacuation() is not None
            seen = await depot.order(cmd.CheckIn, person_id="visitor 7")
            assert seen.status is Status.ACCEPTED
            depot.journal.frozen = False
            refused = await depot.order(cmd.EndEvacuation, role=Role.OPERATOR)
            assert refused.status is Status.REFUSED
            assert (await depot.order(cmd.EndEvacuation, role=Role.ADMIN)).status is Status.DONE
        assert [person.person_id for person in depot.named(ev.PersonSeen)] == ["visitor 7"]

    run(main())


def test_a_vehicle_on_no_charger_sends_nobody_out_until_it_is_plugged_in(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        async with depot.running():
            depot.says(*HOT, alarms=("thermal_event",))
            assert depot.desk.book.evacuation() is None
            await until(lambda: state_of(depot, "stop") is StepState.NOT_THERE)
            depot.arrive(ONE, "BUS1")
            await until(lambda: depot.desk.book.evacuation() is not None)
            assert depot.desk.book.evacuation().areas == (BAY,)  # type: ignore[union-attr]  # just seen
            await until(lambda: depot.yard.unsafe(TWO, None) is not None and state_of(depot, "stop") is StepState.CONFIRMED)

    run(main())


def test_a_drill_proves_each_link_and_touches_no_session(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        depot.charging()
        async with IoModule(watchdog_s=20.0) as module, depot.running(module):
            await ready(depot, module)
            await depot.shift("S-1")
            module.moves.clear()
            began = await depot.order(cmd.StartDrill, contactors=True)
            assert began.status is Status.DONE, began.message
            assert (await depot.order(cmd.StartDrill)).status is Status.REFUSED
            await until(lambda: depot.desk.book.evacuation(drill=True) is not None)
            assert (await depot.order(cmd.CheckIn, person_id="S-1")).status is Status.DONE
            await until(lambda: depot.drills.running is None, 30.0)
            (drill,) = depot.journal.state.emergency.drills.values()
            links = {link.name: link.state for link in drill.links}
            assert links["guard"] is links["latch"] is links["response"] is links["chargers"] is LinkState.PASSED
            assert links["evacuation"] is links["incident"] is LinkState.PASSED
            assert links["notification"] is LinkState.NOT_THERE
            assert links["outputs"] is LinkState.FAILED, "a session runs behind the bay's contactor: it is not opened"
            assert drill.state is DrillState.FAILED
            assert [c.kind for c in depot.drills.conditions(depot.clock.now())] == ["drill_failed"]
            assert K_BAY not in {relay for relay, _ in module.moves}
            assert depot.chargers.asked == []
            assert depot.safety.guard.tripped == ()
            assert "trip" not in (tmp_path / "latches").read_text()
            await until(lambda: depot.journal.state.emergency.incidents[drill.drill_id].closed_at is not None)
        found = document(tmp_path / "incidents", drill.drill_id)
        assert found["as_written"] is True
        assert found["head"]["drill"] is True
        assert {link["name"] for link in found["drill"]} == links.keys()

    run(main())


def test_a_real_trip_ends_a_drill_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        depot.charging()
        async with depot.running():
            await depot.shift("S-1")
            await depot.order(cmd.StartDrill)
            await until(lambda: depot.desk.book.evacuation(drill=True) is not None)
            depot.says(*HOT, alarms=("smoke_or_gas",))
            real = depot.desk.book.evacuation()
            assert real is not None
            await until(lambda: depot.drills.running is None)
            (drill,) = depot.desk.book.drills.values()
            assert drill.state is DrillState.OVERTAKEN
            assert depot.desk.book.evacuation(drill=True) is None
            assert depot.desk.book.evacuation() == real
            assert "is tripped" in (await depot.order(cmd.StartDrill)).message

    run(main())


def test_a_persons_evacuation_ends_a_drill_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        async with depot.running():
            await depot.shift("S-1")
            await depot.order(cmd.StartDrill)
            await until(lambda: depot.desk.book.evacuation(drill=True) is not None)
            assert (await depot.order(cmd.BeginEvacuation, area=SITE)).status is Status.DONE
            await until(lambda: depot.drills.running is None)
            (drill,) = depot.desk.book.drills.values()
            assert drill.state is DrillState.OVERTAKEN
            assert depot.desk.book.evacuation() is not None

    run(main())


def test_an_evacuation_by_a_person_sounds_the_siren_and_cuts_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        async with IoModule(watchdog_s=20.0) as module, depot.running(module):
            await ready(depot, module)
            assert (await depot.order(cmd.BeginEvacuation, area=BAY, reason="smell of smoke")).status is Status.DONE
            await module.until(SIREN, True)
            await module.until(FAN, False)
            assert module.pulled_in[:3] == [True, True, True]
            assert depot.outputs.wants["siren"].reason == "bay CP-1: evacuation: smell of smoke"
            assert (await depot.order(cmd.StartDrill)).status is Status.REFUSED
            assert (await depot.order(cmd.EndEvacuation, role=Role.ADMIN, reason="burnt toast")).status is Status.DONE
            await module.until(SIREN, False)
            await module.until(FAN, True)
            (incident,) = depot.desk.book.open_incidents()
            await until(lambda: len(depot.named(ev.EvacuationEnded)) == 1)
            await depot.incidents.flush()
        titles = [fact["title"] for fact in document(tmp_path / "incidents", incident.incident_id)["timeline"]]
        assert "BeginEvacuation of bay CP-1 ordered" in titles
        assert "Evacuation ended" in " ".join(titles)

    run(main())


def test_a_neighbours_charger_that_goes_on_has_its_bay_cut(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        depot.charging()
        depot.arrive(TWO, "BUS2")
        depot.session(TWO, power_w=20_000, number=8)
        async with IoModule(watchdog_s=20.0) as module, depot.running(module):
            await ready(depot, module)
            depot.says(*HOT, alarms=("smoke_or_gas",))
            depot.stopped()
            await until(lambda: f"stop {TWO} 8" in depot.chargers.asked)
            assert depot.outputs.latched == {}
            depot.clock.at += timedelta(seconds=16)
            await until(lambda: [(e.area, e.origin) for e in depot.outputs.latched.values()] == [(BESIDE, Origin.NOT_STOPPED)])
            assert state_of(depot, "neighbours") is StepState.ESCALATED

    run(main())


def test_a_weekly_drill_begins_by_the_calendar_and_is_left_out_beside_a_trip(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path, schedule=Schedule(4, time(22, 1), roll_call=False))  # in a minute, by the depot's clock
        async with depot.running():
            depot.drills._follow_calendar()
            assert depot.drills.running is None
            depot.clock.at += timedelta(minutes=1)
            depot.drills._follow_calendar()
            assert depot.drills.running is not None
            await until(lambda: depot.drills.running is None)
            assert depot.desk.book.evacuations == {}
            depot.says(*HOT)
            depot.clock.at += timedelta(days=7)
            depot.drills._follow_calendar()
            assert depot.drills.running is None
            depot.clock.at += timedelta(days=40)
            assert "drill_overdue" in [c.kind for c in depot.drills.conditions(depot.clock.now())]

    run(main())


def test_a_drill_that_was_killed_is_interrupted(tmp_path: Path) -> None:
    async def main() -> None:
        depot = EmergencyDepot(tmp_path)
        async with depot.running():
            await depot.shift("S-1")
            await depot.order(cmd.StartDrill)
            await until(lambda: len(depot.named(ev.EvacuationBegun)) == 1)
        depot.begin()
        async with depot.running():
            await until(lambda: depot.drills.running is None)
            (drill,) = depot.desk.book.drills.values()
            assert drill.state is DrillState.INTERRUPTED
            assert depot.desk.book.evacuation(drill=True) is None
            await until(lambda: depot.journal.state.emergency.incidents[drill.drill_id].closed_at is not None)

    run(main())


def test_a_disk_that_fails_is_an_alarm_and_the_file_is_whole_afterwards(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "incidents").write_text("a file where the folder should be")
        depot = EmergencyDepot(tmp_path)
        depot.charging()
        async with depot.running():
            depot.says(*HOT)
            await until(lambda: [c.kind for c in depot.incidents.conditions(depot.clock.now())] == ["incident_unwritten"])
            assert f"stop {ONE} 7" in depot.chargers.asked
            (tmp_path / "incidents").unlink()
            await until(lambda: not depot.incidents.unwritten and len(depot.incidents.present) == 1)
            view = await depot.incidents.views[IncidentsView]({})
            assert isinstance(view, IncidentsView)
            assert view.open[0].against_close == f"{BUS} is tripped: reset it first"
        records = read(file_of(tmp_path / "incidents", view.open[0].incident_id)).records
        assert records[0]["kind"] == "head"
        assert {"fact", "signals"} <= {record["kind"] for record in records}

    run(main())


def test_a_closed_file_that_was_changed_says_so(tmp_path: Path) -> None:
    path = file_of(tmp_path, "2026-11-22-1")
    file = IncidentFile.open(path)
    file.append([{"kind": "head", "text": "hot"}, {"kind": "note", "text": "nothing was wrong"}])
    file.close({"by": "sam"})
    assert read(path).sound is True
    assert IncidentFile.open(path).digest == read(path).digest
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"nothing was wrong", b"nothing was right"))
    assert (read(path).sound, read(path).damaged) == (False, (2,))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert read(path).sound is False
