"""Safety hears vehicles' own buses and charging lines: a hot pack on a CAN bus stops its session while no broker is there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import can
import pytest
from cantools.database.can import Database
from pydantic import ValidationError
from small_yard import ONE, FakeChargers, SmallYard, run

from bms_bridge.can.bind import bind
from bms_bridge.can.dbc import EXAMPLE, Dbc
from bms_bridge.can.frame import CanFrame, id_of
from bms_bridge.can.link import BusSettings, BusState
from bms_bridge.can.pack_map import PackMap
from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import PackSample, Source
from bms_bridge.gbt_session import GbtListener
from bms_bridge.latches import LatchFile
from bms_bridge.mqtt import MqttSettings
from controller.app.can_buses import bus_of
from controller.can_room import Bus, CanRoom, ChargingLine, PackLine
from controller.desk import Desk, DeskSettings
from controller.packs import DeclaredPack, KnownPacks
from controller.safety import Safety, SafetyParts
from controller.sections_can import CanSection, check_lines
from controller.sections_telemetry import TelemetrySection
from depot.values import ConnectorId, PackKey

BUS = PackKey("BUS1", "P1")
MAPS = Path(__file__).resolve().parents[2] / "bms_bridge" / "can" / "maps"


async def inline(work: Callable[[], None]) -> None:
    work()


class Depot(SmallYard):
    """A small yard whose safety has a broker that is not there, and a CAN bus."""

    def __init__(self, folder: Path, *lines: Any) -> None:
        super().__init__()
        self.chargers = self.loop.chargers = FakeChargers()
        desk = Desk(self.yard, self.loop, DeskSettings(), replan=self.replans.append)
        packs = KnownPacks([DeclaredPack(BUS, Chemistry.LFP)], otherwise=None, yard=self.yard)
        parts = SafetyParts(
            LatchFile.open(folder / "latches"), packs, desk.restore_default, self.replans.append, MqttSettings(port=1), inline
        )
        self.safety = Safety(self.yard, self.loop, parts)
        self.heard: list[PackSample] = []
        self.safety.on_sample.append(self.heard.append)
        self.lines = lines or (PackLine.of(BUS, bind(PackMap.named(EXAMPLE), Dbc.named(EXAMPLE))),)
        settings = BusSettings(interface="virtual", channel=f"room {folder.name}")
        self.channel = settings.channel
        self.room = CanRoom([Bus(settings, self.lines)], clock=self.yard.clock, hear=self.safety.hear)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[can.BusABC]:
        """Loop, safety and the buses run."""
        with can.Bus(interface="virtual", channel=self.channel, ignore_config=True) as bus:
            tasks = [asyncio.create_task(work) for work in (self.loop.run(), self.safety.run(), self.room.run())]
            await asyncio.sleep(0)
            try:
                yield bus
            finally:
                for task in tasks:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.005)


@cache
def example() -> Database:
    pack = Database()
    pack.add_dbc_file(str(MAPS / f"{EXAMPLE}.dbc"))
    return pack


def encoded(message: str, **signals: float) -> can.Message:
    found = example().get_message_by_name(message)
    return can.Message(arbitration_id=found.frame_id, is_extended_id=False, data=found.encode(signals, strict=False))


def sensors(block: int, *temperatures_c: float) -> can.Message:
    row = {f"Sensor_{3 * block + k:02d}": value for k, value in enumerate(temperatures_c)}
    return encoded("CellTemperatures", TemperatureBlock=block, **row)


async def opened(depot: Depot, bus: can.BusABC) -> None:
    """Until the room's end of the bus is open: it is opened in a thread."""
    link = depot.room.links[0]

    async def send() -> None:
        while link.state is not BusState.HEARD:  # nobody tells
            bus.send(sensors(0, 25, 25, 25))
            await asyncio.sleep(0.01)

    await asyncio.wait_for(send(), 10)


def test_a_hot_sensor_on_the_vehicle_s_bus_stops_its_session_without_any_broker(tmp_path: Path) -> None:
    async def play() -> None:
        depot = Depot(tmp_path)
        depot.arrive(ONE, "BUS1")
        depot.session(ONE, power_w=40_000)
        async with depot.running() as bus:
            await opened(depot, bus)
            frames = [sensors(0, 61.5, 60.2, 59.8), sensors(1, 60.1, 60.3, 60.0)]
            depot.clock.at += timedelta(seconds=2)
            for frame in frames:
                bus.send(frame)
            await depot.until(lambda: any(words.startswith(f"stop {ONE}") for words in depot.chargers.asked))
        assert depot.safety.guard.trip_of(BUS) is not None
        assert depot.heard[-1].source is Source.CAN

    run(play())


def test_an_alarm_in_a_first_frame_is_a_trip_at_once(tmp_path: Path) -> None:
    async def play() -> None:
        depot = Depot(tmp_path)
        async with depot.running() as bus:
            await opened(depot, bus)
            bus.send(encoded("Faults", **{**dict.fromkeys(faults(), 0), "SmokeOrGas": 1}))
            await depot.until(lambda: depot.safety.guard.trip_of(BUS) is not None)

    run(play())


def faults() -> list[str]:
    return [signal.name for signal in example().get_message_by_name("Faults").signals]


def test_a_pack_that_spoke_on_its_bus_is_expected_to_go_on(tmp_path: Path) -> None:
    async def play() -> None:
        depot = Depot(tmp_path)
        depot.arrive(ONE, "BUS1")
        async with depot.running() as bus:
            await opened(depot, bus)
            depot.clock.at += timedelta(seconds=2)
            bus.send(sensors(0, 25.5, 25, 25))
            await depot.until(lambda: bool(depot.heard))
            depot.safety.look()
            assert BUS in depot.safety.expected

    run(play())


def charging(connector: ConnectorId, pack: PackKey | None) -> ChargingLine:
    return ChargingLine(connector, GbtListener(lambda vin: "V"), lambda _: pack)


def gbt(pgn: int, data: str, now_s: float, *, bms: bool = True) -> CanFrame:
    source, destination = (0xF4, 0x56) if bms else (0x56, 0xF4)
    return CanFrame(now_s, id_of(pgn, source=source, destination=destination), True, bytes.fromhex(data))


@pytest.mark.parametrize("known", [True, False])
def test_on_a_charging_line_the_pack_is_of_the_vehicle_that_is_plugged_in(known: bool, tmp_path: Path) -> None:
    line = charging(ONE, BUS if known else None)
    depot = Depot(tmp_path, line)
    depot.room._came(depot.room._buses[0], [gbt(0x1000, "A510 D80E 02", 0.0), gbt(0x1300, "1E 6E 06 35 0F 40 10", 0.0)])
    told = [(sample.pack, sample.source, sample.alarms) for sample in depot.heard]
    assert told == ([(BUS, Source.GBT, ("over_temperature",))] if known else [])


def test_a_batch_is_told_once_for_each_line(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    frames = [
        CanFrame(0.0, message.arbitration_id, False, bytes(message.data)) for message in [sensors(n % 8, 25, 25, 25) for n in range(400)]
    ]
    alarm = encoded("Faults", **{**dict.fromkeys(faults(), 0), "CoolingFault": 1})
    frames.insert(5, CanFrame(0.0, alarm.arbitration_id, False, bytes(alarm.data)))
    depot.room._came(depot.room._buses[0], frames)
    assert [sample.alarms for sample in depot.heard] == [("cooling_fault",)]


def test_a_bus_that_cannot_be_heard_is_an_alarm_a_silent_one_is_not(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    link = depot.room.links[0]
    now = depot.clock.now()
    for state, told in (
        (BusState.OPENING, 0),
        (BusState.HEARD, 0),
        (BusState.SILENT, 0),
        (BusState.PASSIVE, 1),
        (BusState.OFF, 1),
        (BusState.LOST, 1),
    ):
        link.state, link.reason = state, "why"
        assert len(depot.room.conditions(now)) == told, state
    assert depot.room.conditions(now)[0].kind == "can_bus_failed"


# -- settings -------------------------------------------------------------------------------------------------------------

PACK = {"channel": "can0", "dbc": "maker.dbc", "map": "own.toml", "vehicle": "BUS1"}
UDP = {"interface": "udp_multicast"}
LINE = {"channel": "can1", "protocol": "gbt27930", "connector": "CP-1/1"}


def test_sections_say_what_they_are() -> None:
    pack, line = CanSection(**PACK), CanSection(**LINE)
    assert (pack.interface, pack.pack, pack.bus) == ("socketcan", "P1", ("socketcan", "can0", None))
    check_lines([pack, line])
    assert bus_of([pack, CanSection(**{**PACK, "vehicle": "BUS2", "silent_s": 9})]).silent_s == 9
    assert TelemetrySection(can=(pack,)).can == (pack,)
    two = [CanSection(**{**row, **UDP, "channel": "239.1.1.1", "port": port}) for row, port in ((PACK, 4000), (LINE, 4001))]
    check_lines(two)
    assert bus_of(two[:1]).options == {"port": 4000}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({**PACK, "map": ""}, "map is missing"),
        ({**PACK, "connector": "CP-1/1"}, "no connector"),
        ({**LINE, "connector": "CP-1"}, "is not a connector"),
        ({**LINE, "vehicle": "BUS1"}, "a charging line has a connector, and no dbc, map or vehicle"),
        ({**PACK, "interface": "whatever"}, "interface"),
        ({**PACK, "bitrate": 3}, "bitrate"),
        ({**PACK, "port": 4000}, "socketcan has no port"),
    ],
)
def test_a_section_that_contradicts_itself_is_refused(row: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        CanSection(**row)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([PACK, {**PACK, "channel": "can9"}], "BUS1/P1 is told by two lines"),
        ([{**PACK, "bitrate": 250_000}, {**PACK, "vehicle": "BUS2"}], "two bit rates"),
        ([{**PACK, **UDP, "channel": "239.1.1.1"}, {**LINE, **UDP, "channel": "239.1.1.2"}], "share a port, and would hear each other"),
        ([LINE, {**LINE, "connector": "CP-2/1"}], "the charging line of two connectors"),
    ],
)
def test_lines_that_contradict_each_other_are_refused(rows: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_lines([CanSection(**row) for row in rows])
