"""Safety in the core: a hot pack stops its session at once, stays stopped, and comes back by a person alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from small_yard import ONE, TWO, FakeChargers, SmallYard, run

from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import PackSample, Source
from bms_bridge.latches import LatchFile
from bms_bridge.mqtt import MqttSettings
from controller import safety_rules as rules
from controller.desk import Desk, DeskSettings
from controller.packs import DeclaredPack, KnownPacks
from controller.safety import Safety, SafetyParts
from controller.safety_log import SafetyLog
from controller.safety_notices import SafetyNotices
from controller.safety_view import SafetyView
from controller.safety_viewer import SafetyViewer
from depot import commands as cmd
from depot import events as ev
from depot.events import Envelope, NewEvent
from depot.fleet import Pack
from depot.ports import StartRequest
from depot.readings import MeterReading
from depot.state import ConnectorFacts
from depot.values import Because, ConnectorId, Outcome, PackKey, Role

BUS = PackKey("BUS1", "P1")
Status = cmd.CommandStatus


async def inline(work: Callable[[], None]) -> None:
    work()


@dataclass(slots=True)
class Chargers(FakeChargers):
    """Also keeps defaults; ``silent``: a stop is never answered."""

    silent: bool = False
    defaults: list[tuple[ConnectorId, int]] = field(default_factory=list)

    async def stop(self, connector: ConnectorId, transaction_id: int) -> Outcome:
        self.asked.append(f"stop {connector} {transaction_id}")
        if self.silent:
            await asyncio.Event().wait()
        return self.outcome

    async def install_default(self, connector: ConnectorId, level_w: int) -> Outcome:
        self.defaults.append((connector, level_w))
        return self.outcome


class Depot(SmallYard):
    """A small yard with its safety. ``open``: cleared, the journal takes nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.chargers = self.loop.chargers = Chargers()
        self.folder = folder
        self.open = asyncio.Event()
        self.open.set()
        append = self.journal.append

        async def patient(events: Sequence[NewEvent], *, wait: bool = True) -> Sequence[Envelope]:
            if wait:
                await self.open.wait()
            return await append(events, wait=wait)

        self.journal.append = patient  # type: ignore[method-assign]  # in front of the real one
        self.desk = Desk(self.yard, self.loop, DeskSettings(), replan=self.replans.append)
        self.safety = self.begin()

    def begin(self, latches: str = "latches") -> Safety:
        """The room as after a start of the process."""
        self.yard.isolated.clear()
        self.yard.pack_share.clear()
        self.loop.on_ready.clear()
        self.loop.on_reading.clear()
        packs = KnownPacks([DeclaredPack(BUS, Chemistry.LFP)], otherwise=None, yard=self.yard)
        parts = SafetyParts(
            LatchFile.open(self.folder / latches),
            packs,
            self.desk.restore_default,
            self.replans.append,
            MqttSettings(port=1),
            inline,
        )
        self.safety = Safety(self.yard, self.loop, parts)
        self.orders.carriers.update(self.safety.commands)
        return self.safety

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Loop and safety run; the broker is not there."""
        loop = asyncio.create_task(self.loop.run())
        await asyncio.sleep(0)
        safety = asyncio.create_task(self.safety.run())
        await asyncio.sleep(0.01)
        try:
            yield
        finally:
            await asyncio.sleep(0.01)  # what was just asked for is under way
            for task in (safety, loop):
                task.cancel()
            for task in (safety, loop):
                with pytest.raises(asyncio.CancelledError):
                    await task

    def says(self, *temperatures: float, **more: Any) -> None:
        now = self.clock.now()
        told: dict[str, Any] = {"source": Source.MQTT, "received_at": now, "reported_at": now, **more}
        self.safety.hear(PackSample(pack=BUS, temperatures_c=temperatures, **told))

    def hot(self) -> None:
        self.says(61.0, 60.2, 59.8, 60.0)

    def cools(self) -> None:
        """It is cool for more than a minute."""
        for _ in range(8):
            self.clock.at += timedelta(seconds=10)
            self.says(30.0, 30.2, 30.4, 29.8)

    def facts(self) -> list[str]:
        return [type(e.data).__name__ for e in self.journal.facts]

    def charging(self) -> None:
        self.arrive(ONE, "BUS1")
        self.session(ONE, power_w=40_000)

    async def reset(self, role: Role = Role.SAFETY_OFFICER, number: int = 1) -> cmd.CommandResult:
        command = cmd.ResetPack(command_id=f"reset {number}", actor="Asha", reason="cell replaced", pack=BUS, role=role)
        return await self.orders.execute(command)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0.005)


def test_a_trip_acts_at_once_while_the_journal_cannot_write_and_the_charger_does_not_answer(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.charging()

    async def main() -> None:
        async with depot.running():
            depot.open.clear()
            depot.chargers.silent = True
            depot.hot()
            await asyncio.sleep(0)
            assert depot.chargers.asked[0] == f"stop {ONE} 7"
            await until(lambda: f"inoperative {ONE}" in depot.chargers.asked and (ONE, 0) in depot.chargers.defaults)
            await until(lambda: depot.yard.grants[ONE].told_w == 0)
            assert depot.yard.last is not None
            assert depot.yard.last.allocation.because[depot.yard.last.index[ONE]] is Because.SAFETY
            assert "PackTripped" not in depot.facts()
            assert "trip" in (tmp_path / "latches").read_text(), "the latch waits for no journal"
            depot.open.set()
            await until(lambda: "ConnectorIsolated" in depot.facts())
        facts = depot.facts()
        assert facts.index("PackTripped") < facts.index("ConnectorIsolated")
        assert depot.yard.state.connector(ONE).isolated_by == BUS
        assert not depot.yard.state.connector(ONE).operative

    run(main())


@pytest.mark.parts_fail
def test_who_follows_a_trip_and_falls_keeps_nothing_from_happening(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.charging()
    told = []

    def poisoned(*_: object) -> None:
        raise ValueError("poison")

    async def main() -> None:
        async with depot.running():
            room = depot.safety
            for hooks in (room.on_sample, room.on_trip, room.isolation.on_change):
                hooks.insert(0, poisoned)
            room.on_trip.append(lambda trip, _keys: told.append(trip.pack))
            depot.hot()
            await until(lambda: "ConnectorIsolated" in depot.facts())
        assert depot.chargers.asked[0] == f"stop {ONE} 7"
        assert told == [BUS]
        assert {condition.subject for condition in room.keeper.conditions(depot.clock.now())} == {
            "outputs", "followers of trips", "followers of samples",
        }  # fmt: skip

    run(main())


def test_a_session_that_does_not_end_is_stopped_again(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.charging()

    async def main() -> None:
        async with depot.running():
            depot.hot()
            await asyncio.sleep(0.01)
            stops = depot.chargers.asked.count(f"stop {ONE} 7")
            depot.safety.look()
            assert depot.chargers.asked.count(f"stop {ONE} 7") == stops
            depot.clock.at += timedelta(seconds=11)
            depot.safety.look()
            await asyncio.sleep(0.01)
            assert depot.chargers.asked.count(f"stop {ONE} 7") == stops + 1

    run(main())


def test_nobody_starts_a_tripped_pack_at_any_connector(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.arrive(ONE, "BUS1")

    async def main() -> None:
        async with depot.running():
            depot.hot()
            await until(lambda: "ConnectorIsolated" in depot.facts())
            start = cmd.StartCharging(command_id="s", actor="Asha", reason="now", connector=ONE)
            assert (await depot.orders.execute(start)).status is Status.REFUSED
            assert (await depot.desk.authorize("CP-2", "BUS1")).status == "Blocked"
            now = depot.clock.now()
            for key in (ONE, TWO):
                answer = await depot.desk.start(StartRequest(key, "BUS1", 0, now, now, f"start {key}"))
                assert not answer.accepted, key
            await until(lambda: any(asked.startswith(f"stop {TWO}") for asked in depot.chargers.asked))

    run(main())


def test_a_start_that_was_on_its_way_into_the_journal_does_not_leave(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.arrive(ONE, "BUS1")
    for key, grant in depot.yard.grants.items():
        grant.default_w = 0
        depot.put(ev.DefaultInstalled(key, 0))

    async def main() -> None:
        async with depot.running():
            depot.open.clear()
            depot.loop.wake()
            await until(lambda: depot.yard.grants[ONE].told_w > 0)
            depot.hot()
            depot.open.set()
            await until(lambda: "SetpointGranted" in depot.facts())
            await asyncio.sleep(0.05)
            assert f"start {ONE}" not in depot.chargers.asked
            assert depot.yard.grants[ONE].told_w == 0

    run(main())


def test_a_warm_pack_is_told_its_share_at_once(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.charging()

    async def main() -> None:
        async with depot.running():
            depot.says(52.0, 51.0, 51.5, 51.8)
            await until(lambda: depot.yard.grants[ONE].told_w < 40_000)
            share = depot.yard.state.derated.get(BUS) or depot.yard.pack_share["BUS1"]
            assert depot.yard.grants[ONE].told_w == pytest.approx(60_000 * share, abs=1)
            await until(lambda: BUS in depot.yard.state.derated)
            assert not depot.safety.guard.tripped

    run(main())


def test_a_share_below_the_charger_s_minimum_is_the_minimum_or_nothing(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.arrive(ONE, "BUS1", max_w=11_000)
    visit = depot.yard.visit_on(ONE)
    for share, allowed_w in ((1.0, None), (0.6, 6_600), (0.5, 6_000), (0.45, 0), (0.0, 0)):
        depot.yard.pack_share = {"BUS1": share} if share < 1 else {}
        assert depot.yard.allowed_w(ONE, visit) == allowed_w
    depot.yard.pack_share = {"BUS1": 0.5}
    depot.yard.grants[ONE].judged(ev.TrustLevel.DEFIANT, 1.0)
    assert depot.yard.allowed_w(ONE, visit) == 0, "who follows no level cannot be held back to a share"


def test_what_a_charger_says_of_the_battery_trips_too(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.charging()

    async def main() -> None:
        async with depot.running():
            depot.desk.reading(MeterReading(ONE, depot.clock.now(), power_w=40_000, pack_temp_c=62.0, replayed=True))
            assert not depot.safety.guard.tripped
            depot.desk.reading(MeterReading(ONE, depot.clock.now(), power_w=40_000, pack_temp_c=62.0))
            assert depot.safety.guard.tripped == (BUS,)
            await asyncio.sleep(0.01)
            assert f"stop {ONE} 7" in depot.chargers.asked

    run(main())


@pytest.mark.parametrize("kept", ["file", "journal"])
def test_after_a_restart_it_is_tripped_by_whichever_knows(tmp_path: Path, kept: str) -> None:
    depot = Depot(tmp_path)
    depot.charging()

    async def main() -> None:
        async with depot.running():
            if kept == "file":
                depot.open.clear()  # died before the journal had it
            depot.hot()
            await depot.safety.guard.written()
            if kept == "journal":
                await until(lambda: "ConnectorIsolated" in depot.facts())

        depot.open.set()
        depot.chargers.asked.clear()
        depot.begin("latches" if kept == "file" else "another")
        assert depot.safety.guard.tripped == (BUS,)
        assert depot.yard.isolated == {ONE: BUS}
        assert bool(depot.safety.missing) == (kept == "journal")
        async with depot.running():
            await until(lambda: {f"stop {ONE} 7", f"inoperative {ONE}"} <= set(depot.chargers.asked))
            await until(lambda: BUS in depot.yard.state.tripped and depot.yard.state.connector(ONE).isolated_by == BUS)
            assert depot.facts().count("PackTripped") == 1
            depot.chargers.asked.clear()
            depot.chargers.defaults.clear()
            depot.loop.station_restarted("CP-1")
            depot.desk.ready("CP-1", booted=True)
            await until(lambda: f"inoperative {ONE}" in depot.chargers.asked and (ONE, 0) in depot.chargers.defaults)

    run(main())


def test_a_reset_needs_the_role_and_the_cause_gone_and_brings_the_connector_back(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.arrive(ONE, "BUS1")

    async def main() -> None:
        async with depot.running():
            depot.hot()
            await until(lambda: "ConnectorIsolated" in depot.facts())
            assert "must be at 43" in (await depot.reset()).message
            depot.cools()
            assert (await depot.reset(Role.MANAGER, 2)).status is Status.REFUSED
            assert depot.safety.guard.tripped
            done = await depot.reset(number=3)
            assert done.status is Status.DONE, done.message
            assert f"operative {ONE}" in depot.chargers.asked
            assert depot.yard.isolated == {}
            state = depot.yard.state
            assert (state.tripped, state.connector(ONE).operative, state.connector(ONE).isolated_by) == ({}, True, None)
            names = depot.facts()
            assert names.index("PackReset") < names.index("ConnectorAvailabilitySet")
            (fact,) = [e for e in depot.journal.facts if isinstance(e.data, ev.PackReset)]
            assert (fact.actor, fact.data) == ("Asha", ev.PackReset(BUS, "Asha", "safety officer", "cell replaced"))
            assert depot.yard.unsafe(ONE, depot.yard.visit_on(ONE)) is None
        depot.begin()
        assert depot.safety.guard.tripped == ()

    run(main())


def test_a_reset_waits_for_a_journal_that_writes(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.charging()

    async def main() -> None:
        async with depot.running():
            depot.hot()
            depot.cools()
            depot.journal.frozen = True
            assert (await depot.reset()).status is Status.REFUSED
            assert depot.safety.guard.tripped

    run(main())


def test_put_back_by_a_person_a_connector_is_shut_again_while_the_vehicle_hangs_there(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.arrive(ONE, "BUS1")

    async def main() -> None:
        async with depot.running():
            depot.hot()
            await until(lambda: "ConnectorIsolated" in depot.facts())
            depot.status(ONE, ev.ConnectorStatus.UNAVAILABLE)
            back = cmd.SetAvailability(command_id="b", actor="Asha", reason="towed away", connector=ONE, operative=True)
            assert (await depot.orders.execute(back)).status is Status.DONE
            depot.safety.look()
            assert ONE in depot.yard.isolated, "the station has not said yet whether the plug is out"
            depot.status(ONE, ev.ConnectorStatus.PREPARING)
            depot.safety.look()
            await until(lambda: depot.yard.state.connector(ONE).isolated_by == BUS)
            second = cmd.SetAvailability(command_id="c", actor="Asha", reason="now it is", connector=ONE, operative=True)
            await depot.orders.execute(second)
            depot.put(ev.VisitEnded("visit BUS1"))
            depot.status(ONE, ev.ConnectorStatus.AVAILABLE)
            depot.safety.look()
            assert depot.yard.isolated == {}
            await until(lambda: depot.chargers.defaults[-1][1] > 0)
            assert depot.safety.guard.tripped == (BUS,), "the pack itself stays tripped"

    run(main())


def test_a_lost_bus_slows_down_and_latches_nothing(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.charging()

    async def main() -> None:
        async with depot.running():
            depot.says(25.0, 25.1, 25.2, 25.3)
            depot.safety.look()
            for _ in range(14):
                depot.clock.at += timedelta(seconds=10)
                depot.safety.look()
            await until(lambda: "TelemetryBusChanged" in depot.facts())
            assert depot.safety.bus_lost
            assert depot.yard.pack_share == {"BUS1": 0.5}
            assert not depot.safety.guard.tripped
            ((condition, _, _),) = SafetyNotices(depot.safety).conditions(depot.clock.now())
            assert (condition.kind, condition.title) == ("telemetry_lost", "Telemetry of all vehicles lost")
            for _ in range(8):
                depot.clock.at += timedelta(seconds=10)
                depot.says(25.0, 25.1, 25.2, 25.3)
                depot.safety.look()
            assert depot.yard.pack_share == {}
            assert depot.safety.bus_lost is None

    run(main())


def test_a_hot_vehicle_that_hangs_on_no_charger_is_told_only(tmp_path: Path) -> None:
    depot = Depot(tmp_path)

    async def main() -> None:
        async with depot.running():
            depot.hot()
            await until(lambda: "PackTripped" in depot.facts())
            assert depot.yard.isolated == {}
            (trip,) = SafetyNotices(depot.safety).trips()
            assert (trip.connector, trip.power_text) == (None, "It is on no charger of this depot")
            depot.arrive(TWO, "BUS1")
            depot.safety.look()
            assert depot.yard.isolated == {TWO: BUS}, "wherever it is plugged in, nothing flows"

    run(main())


def test_what_happened_is_said_as_it_is(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.charging()

    async def main() -> None:
        async with depot.running():
            depot.chargers.silent = True
            depot.hot()
            (trip,) = SafetyNotices(depot.safety).trips()
            assert trip.power_text.startswith("Still 40.0 kW on CP-1")
            assert (trip.done, trip.label, trip.text) == (False, "CP-1", "61 °C at sensor 0, the limit is 60 °C")
            depot.views.trips = SafetyNotices(depot.safety).trips
            view = depot.views.now()
            tile = next(tile for tile in view.tiles if tile.connector == str(ONE))
            assert tile.state_text == "Battery tripped"
            assert view.answer.tone == "alarm"
            assert view.answer.text.startswith("Battery trip: BUS1 on CP-1. Still 40.0 kW")
            depot.yard.grants[ONE].session_ended(now_s=depot.clock.now().timestamp())
            depot.put(ev.TransactionStopped(7, ONE, 2_000))
            await until(lambda: depot.safety.isolation.shut[ONE].inoperative.done)
            assert SafetyNotices(depot.safety).trips()[0].power_text == "Power is off, and confirmed"
            depot.chargers.offline.add("CP-1")

    run(main())


@pytest.mark.parametrize(
    ("shut_for", "recorded", "isolated", "hangs", "status", "expected"),
    [
        (None, False, False, True, ev.ConnectorStatus.CHARGING, rules.Step.SHUT),
        (None, False, False, True, ev.ConnectorStatus.UNAVAILABLE, rules.Step.SHUT),
        (None, False, False, False, ev.ConnectorStatus.CHARGING, rules.Step.NOTHING),
        (BUS, False, False, True, ev.ConnectorStatus.CHARGING, rules.Step.NOTHING),
        (BUS, True, True, True, ev.ConnectorStatus.CHARGING, rules.Step.NOTHING),
        (BUS, True, True, False, ev.ConnectorStatus.UNAVAILABLE, rules.Step.NOTHING),
        (BUS, True, False, True, ev.ConnectorStatus.UNAVAILABLE, rules.Step.NOTHING),
        (BUS, True, False, True, ev.ConnectorStatus.PREPARING, rules.Step.SHUT),
        (BUS, True, False, False, ev.ConnectorStatus.AVAILABLE, rules.Step.LET_GO),
    ],
)
def test_when_a_connector_is_shut_and_let_go(
    tmp_path: Path, shut_for: PackKey | None, recorded: bool, isolated: bool, hangs: bool, status: ev.ConnectorStatus, expected: rules.Step
) -> None:
    depot = Depot(tmp_path)
    depot.arrive(ONE, "BUS1" if hangs else "BUS9")
    facts = ConnectorFacts(status=status, isolated_by=BUS if isolated else None)
    assert rules.step(facts, depot.yard.visit_on(ONE), [BUS], shut_for=shut_for, recorded=recorded) is expected


def test_a_vehicle_has_the_share_of_its_worst_pack() -> None:
    other = PackKey("BUS1", "P2")
    assert rules.by_vehicle({BUS: 0.5, other: 0.8, PackKey("BUS2", "P1"): 1.0}) == {"BUS1": 0.5}


def test_packs_are_known_by_the_registry_first_then_by_the_settings_then_perhaps_by_an_announcement(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    bare = KnownPacks([DeclaredPack(BUS, Chemistry.LFP, telematics=False)], otherwise=None, yard=depot.yard)
    packs = KnownPacks([DeclaredPack(BUS, Chemistry.LFP)], otherwise=Chemistry.UNKNOWN, yard=depot.yard)
    assert (packs.chemistry_of(BUS), packs.must_speak(BUS), bare.must_speak(BUS)) == (Chemistry.LFP, True, False)
    stranger, second = PackKey("BUS2", "P1"), PackKey("BUS2", "P2")
    assert packs.chemistry_of(stranger) is None
    assert packs.of("BUS2") == ()
    depot.arrive(TWO, "BUS2")
    assert (packs.chemistry_of(stranger), packs.chemistry_of(second), bare.chemistry_of(stranger)) == (Chemistry.UNKNOWN, None, None)
    depot.put(
        ev.PackRegistered(Pack(second, "lto")), ev.PackRegistered(Pack(BUS, "NMC")), ev.PackRegistered(Pack(PackKey("BUS3", "P1"), "XYZ"))
    )
    assert (packs.chemistry_of(second), packs.chemistry_of(stranger)) == (Chemistry.LTO, None)
    assert packs.of("BUS2") == [second]
    assert packs.chemistry_of(BUS) is Chemistry.NMC
    assert bare.chemistry_of(PackKey("BUS3", "P1")) is Chemistry.UNKNOWN


def test_the_page_s_view_says_what_was_done_and_what_not(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.charging()

    async def main() -> None:
        async with depot.running():
            for k in range(4):
                depot.clock.at += timedelta(seconds=10)
                depot.says(30.0 + k / 10, 29.0, 29.5, 29.8)
            depot.chargers.silent = True
            depot.hot()
            await until(lambda: "ConnectorIsolated" in depot.facts() and depot.safety.isolation.shut[ONE].inoperative.done)
            log = SafetyLog(depot.journal.facts)
            viewer = SafetyViewer(depot.safety, SafetyNotices(depot.safety), log)
            view = await viewer.view({})
            (pack,) = view.tripped
            assert [(act.state) for act in pack.acts] == ["open", "failed", "done", "done"]
            assert "still draws 40.0 kW" in pack.acts[1].title
            assert (pack.trip_c, pack.reset_c, pack.connector, pack.chemistry) == (60, 43, "CP-1/1", "LFP")
            assert pack.against_reset is not None
            assert len(pack.curve) == 4, "one point in ten seconds, the trip's own sample comes too soon after the last"
            assert [s.connector for s in view.shut] == ["CP-1/1"]
            assert {"CP-1/1 out of service", "BUS1/P1 tripped"} <= {row.title for row in view.timeline}
            assert msgspec.json.decode(msgspec.json.encode(view), type=SafetyView) == view
            depot.yard.grants[ONE].session_ended(now_s=depot.clock.now().timestamp())
            log.landed([depot.journal.put(NewEvent(ev.TransactionStopped(7, ONE, 2_000), depot.clock.now()))], depot.yard.state)
            view = await viewer.view({})
            assert [(act.state) for act in view.tripped[0].acts] == ["done"] * 4
            assert view.timeline[0].title == "CP-1/1 ended session 7"

    run(main())


def test_many_packs_that_are_held_back_at_once_are_one_line(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    facts = [
        depot.journal.put(NewEvent(ev.PackDerated(PackKey(f"B{k}", "P1"), 0.5, "no telemetry of any vehicle"), depot.clock.now()))
        for k in range(40)
    ]
    log = SafetyLog()
    log.landed(facts, depot.yard.state)
    assert [row.title for row in log.rows] == ["40 batteries are held back"]
    log.landed(facts[:2], depot.yard.state)
    assert [row.title for row in log.rows][1:] == ["B0/P1 may take 50% of its level", "B1/P1 may take 50% of its level"]
