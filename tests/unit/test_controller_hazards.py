"""Detectors of the depot: what they see trips what stands there, at once; what is silent or stuck is not monitored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from small_yard import ONE, SPEC, TWO, SmallYard, run

from bms_bridge.chemistry import Chemistry
from bms_bridge.latches import LatchFile
from bms_bridge.verdicts import Cause
from controller.app.hazards import modules_of
from controller.hazard_rules import CLEAR_S, HazardKind, HazardMemory, HazardSpec, Standing, judge
from controller.hazards import Hazards
from controller.packs import DeclaredPack, KnownPacks
from controller.safety import Safety, SafetyParts
from controller.sections_hazards import HazardSection, check_hazards
from depot.outputs import Area
from depot.values import InvalidValue, PackKey
from grid.detector_module import Seen
from simulator.io_module import IoModule

BUS = PackKey("BUS1", "P1")
BAY = Area.of("bay", "CP-1")
SMOKE = HazardSpec(hazard_id="SD-1", kind=HazardKind.SMOKE, area=BAY, name="Smoke detector 1")
CAMERA = HazardSpec(
    hazard_id="TC-1", kind=HazardKind.CAMERA, area=BAY, contact=False, unit="°C", warn=60, trip=80, confirm_s=1, stuck_s=300
)


def play(
    spec: HazardSpec, values: list[float | None], memory: HazardMemory | None = None, from_s: float = 0.0
) -> tuple[Any, list[Standing]]:
    """One reading a second; None: none came."""
    out, read_s, value = [], from_s, None
    for k, said in enumerate(values):
        now_s = from_s + k
        if said is not None:
            value, read_s = said, now_s
        memory, standing = judge(memory, spec, value, read_s, now_s)
        out.append(standing)
    return memory, out


def test_one_reading_is_not_enough_and_two_over_a_second_are() -> None:
    _, seen = play(SMOKE, [0, 1, 0, 0, 1, 1, 1])
    assert [standing.alarm for standing in seen] == [False] * 5 + [True] * 2
    assert seen[-1].text == "Smoke detector 1 tells of smoke"


def test_a_normally_closed_contact_tells_when_it_opens() -> None:
    loop = HazardSpec(hazard_id="SD-2", kind=HazardKind.SMOKE, area=BAY, closed_alarms=False)
    assert [standing.alarm for standing in play(loop, [1, 1, 0, 0])[1]] == [False, False, False, True]


def test_what_was_seen_stands_while_the_detector_is_silent_and_ends_by_its_own_word() -> None:
    memory, seen = play(SMOKE, [1.0, 1.0, 1.0, *([None] * 100)])
    assert seen[-1].alarm
    assert seen[-1].unknown == "it has said nothing for 100 s"
    _, seen = play(SMOKE, [0.0] * 70, memory, 103.0)
    assert [standing.alarm for standing in seen].count(True) == CLEAR_S


def test_a_camera_warns_and_trips_by_its_number_and_must_not_stand_still() -> None:
    _, seen = play(CAMERA, [40, 62, 63, 81, 82, 83, 77])
    assert [(s.warns, s.alarm) for s in seen] == [
        (False, False), (True, False), (True, False), (True, False), (False, True), (False, True), (False, True)
    ]  # fmt: skip
    assert seen[5].text == "TC-1 sees 83 °C"
    _, seen = play(CAMERA, [41.0] * 310)
    assert (seen[290].unknown, seen[-1].unknown) == ("", "it has said 41 for 309 s")
    assert play(CAMERA, [6_553_500.0])[1][0].unknown == "it says 6.5535e+06, which cannot be"


def test_a_detector_that_was_never_heard_is_not_monitored() -> None:
    assert [bool(standing.unknown) for standing in play(SMOKE, [None] * 12)[1]][-2:] == [False, True]


@dataclass
class FakeModule:
    seen: dict[str, Seen] = field(default_factory=dict)


class Depot(SmallYard):
    """A yard with its safety, two detectors and a clock for both."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.latches = LatchFile.open(folder / "latches")
        packs = KnownPacks([DeclaredPack(BUS, Chemistry.LFP)], otherwise=None, yard=self.yard)
        parts = SafetyParts(self.latches, packs, lambda _key: None, self.replans.append, in_thread=self.inline)
        self.safety = Safety(self.yard, self.loop, parts)
        self.now_s = 0.0
        self.module = FakeModule({"SD-1": Seen(), "TC-1": Seen()})
        self.room = Hazards(self.safety, [SMOKE, CAMERA], steady=lambda: self.now_s)
        self.room.attach([self.module])
        self.areas: list[tuple[Area, Cause, str]] = []
        self.room.on_area.append(lambda area, cause, text: self.areas.append((area, cause, text)))

    async def inline(self, work: Callable[[], None]) -> None:
        work()

    def say(self, *, smoke: float = 0, camera_c: float | None = None, seconds: int = 3) -> None:
        for k in range(seconds):
            self.now_s += 1
            self.module.seen["SD-1"] = Seen(smoke, self.now_s)
            self.module.seen["TC-1"] = Seen(40 + 0.1 * (k % 2) if camera_c is None else camera_c, self.now_s)
            self.room.look()

    def titles(self) -> list[str]:
        return [condition.title for condition, _, _ in self.room.conditions(self.clock.now())]


@contextmanager
def depot_in(folder: Path) -> Iterator[Depot]:
    depot = Depot(folder)
    try:
        yield depot
    finally:
        depot.latches.close()


def test_smoke_trips_the_batteries_in_its_bay_and_holds_its_connectors_until_it_is_quiet(tmp_path: Path) -> None:
    with depot_in(tmp_path) as depot:
        depot.arrive(ONE, "BUS1")
        depot.say(seconds=5)
        assert not depot.safety.guard.tripped
        depot.say(smoke=1)
        assert depot.safety.guard.tripped == (BUS,)
        trip = depot.safety.guard.trip_of(BUS)
        assert trip is not None
        assert (trip.cause, trip.evidence["detector"]) == (Cause.SMOKE, "Smoke detector 1")
        assert ONE in depot.yard.cut
        assert TWO not in depot.yard.cut
        assert depot.areas == [], "the battery's trip does what is to be done"
        assert depot.titles() == ["Smoke in bay CP-1"]
        assert "tells of smoke" in (depot.safety.guard.against_reset(BUS) or "")
        depot.say(seconds=70)
        assert ONE not in depot.yard.cut
        assert depot.titles() == []
        assert depot.safety.guard.against_reset(BUS) is None, "it was never heard of: its detector's word is all there is"
        assert depot.safety.guard.tripped == (BUS,), "a trip is left by a person alone"


def test_where_no_battery_is_known_the_area_is_told_once(tmp_path: Path) -> None:
    with depot_in(tmp_path) as depot:
        depot.say(smoke=1, seconds=10)
        assert depot.areas == [(BAY, Cause.SMOKE, "Smoke detector 1 tells of smoke")]
        assert depot.yard.unsafe(ONE, None) == "Smoke detector 1 tells of smoke"
        depot.arrive(ONE, "BUS1")
        depot.say(smoke=1, seconds=1)
        assert depot.safety.guard.tripped == (BUS,), "what comes to stand there is tripped, too"


def test_a_warm_place_leaves_half_and_a_silent_camera_is_an_alarm(tmp_path: Path) -> None:
    with depot_in(tmp_path) as depot:
        depot.arrive(ONE, "BUS1")
        depot.say(camera_c=65.0)
        assert depot.yard.pack_share == {"BUS1": 0.5}
        depot.now_s += 11
        depot.room.look()
        assert depot.titles() == ["Smoke detector 1 (smoke) is not monitored", "TC-1 (camera) is not monitored"]


GOOD: dict[str, Any] = {"id": "SD-1", "kind": "smoke", "scope": "bay", "area": "CP-1", "host": "10.0.0.9", "address": 0}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"scope": "site"}, "the site has no area"),
        ({"area": ""}, "which bay"),
        ({"kind": "camera"}, "a camera has a number"),
        ({"trip": 5}, "for numbers"),
        ({"kind": "gas", "table": "input"}, "from which number on"),
        ({"kind": "gas", "table": "input", "trip": 5, "warn": 6}, "not above trip"),
        ({"kind": "camera", "table": "input", "trip": 81}, "at the latest"),
        ({"kind": "camera", "table": "input", "warn": 61}, "at the latest"),
        ({"confirm_s": 6}, "less than or equal to 5"),
    ],
)
def test_what_cannot_be_or_would_loosen_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HazardSection(**{**GOOD, **more})


def test_detectors_must_be_somewhere_and_be_one_each() -> None:
    check_hazards([HazardSection(**GOOD)], SPEC)
    with pytest.raises(InvalidValue, match="there is no bay B9"):
        check_hazards([HazardSection(**{**GOOD, "area": "B9"})], SPEC)
    with pytest.raises(InvalidValue, match="two detectors"):
        check_hazards([HazardSection(**GOOD), HazardSection(**GOOD)], SPEC)
    camera = HazardSection(**{**GOOD, "kind": "camera", "table": "input", "trip": 70}).to_spec()
    assert (camera.warn, camera.trip, camera.unit) == (60, 70, "°C")


def test_a_contact_and_a_register_are_read_from_a_real_module(tmp_path: Path) -> None:
    async def main() -> None:
        async with IoModule(relays=2) as module:
            module.registers[7] = 0
            place: dict[str, Any] = {"host": "127.0.0.1", "port": module.port, "poll_s": 0.1, "confirm_s": 0.0}
            sections = [
                HazardSection(**{**GOOD, **place}),
                HazardSection(
                    **{**GOOD, **place, "id": "TC-1", "kind": "camera", "table": "holding", "address": 7, "scale": 0.1, "signed": True}
                ),
            ]
            with depot_in(tmp_path) as depot:
                room = Hazards(depot.safety, [section.to_spec() for section in sections])
                read = asyncio.Event()
                (detectors,) = modules_of(sections, room)
                room.attach([detectors])
                look = room.look

                def looked() -> None:
                    look()
                    read.set()

                detectors._on_read = looked
                depot.arrive(ONE, "BUS1")
                task = asyncio.create_task(detectors.run())
                await read.wait()
                assert not depot.safety.guard.tripped
                module.says[0] = True
                while not depot.safety.guard.tripped:
                    read.clear()
                    await read.wait()
                assert room.standing["SD-1"].alarm
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    run(main())


def test_what_people_are_shown_has_the_worst_first_with_what_it_tripped(tmp_path: Path) -> None:
    with depot_in(tmp_path) as depot:
        depot.room.look()
        before = asyncio.run(depot.room.view({}))
        assert [(row.state, row.value, row.read_age_s) for row in before.detectors] == [("quiet", None, None)] * 2
        depot.say(smoke=0, camera_c=85.0)
        found = asyncio.run(depot.room.view({})).detectors
        assert [(row.detector_id, row.state.value) for row in found] == [("TC-1", "alarm"), ("SD-1", "quiet")]
        camera = found[0]
        assert (camera.value, camera.unit, camera.warn, camera.trip, camera.read_age_s) == (85.0, "°C", 60, 80, 0.0)
        assert camera.since is not None
        depot.now_s += 20
        depot.room.look()
        silent = asyncio.run(depot.room.view({})).detectors
        assert [row.unwatched for row in silent] == ["it has said nothing for 20 s"] * 2
        assert silent[0].state.value == "alarm", "what was seen stands"
