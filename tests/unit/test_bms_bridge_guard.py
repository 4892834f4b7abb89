"""All packs of a depot: verdicts on the spot, trips written after they acted, resets by people, the bus as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bms_bridge import ResetRefused
from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import PackSample, RejectReason, Source
from bms_bridge.guard import Guard
from bms_bridge.latches import LatchFile
from bms_bridge.verdicts import BusBack, BusLost, Cause, Clear, Derate, Trip, Verdict, Why
from controller.codec import EventCodec, decode_state, encode_state
from depot.events import Envelope, Event, PackDerated, PackReset, PackTripped, TelemetryBusChanged
from depot.fold import fold
from depot.state import DepotState, PackTrip
from depot.values import PackKey, Role

pytestmark = pytest.mark.anyio

A, B, C = (PackKey(f"BUS{n}", "P1") for n in (1, 2, 3))


class HandClock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 19, 42, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return 1000.0 + self.passed_s

    async def sleep(self, seconds: float) -> None:
        self.passed_s += seconds
        await asyncio.sleep(0)


class Yard:
    """A guard over three packs (C's chemistry is unknown) and what it said."""

    def __init__(self, path: Path) -> None:
        self.clock = HandClock()
        self.verdicts: list[Verdict] = []
        self.unwritten: list[str] = []
        self.told = asyncio.Event()
        self.latches = LatchFile.open(path)
        self.broken = False
        chemistries = {A: Chemistry.LFP, B: Chemistry.NMC, C: Chemistry.UNKNOWN}
        self.guard = Guard(
            self.latches,
            clock=self.clock,
            chemistry_of=chemistries.get,
            on_verdict=self.verdicts.append,
            on_unwritten=self.tell,
            in_thread=self.disk,
        )

    def tell(self, problem: str) -> None:
        self.unwritten.append(problem)
        self.told.set()

    async def disk(self, work: Callable[[], None]) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        work()

    def hear(self, pack: PackKey, celsius: float, **more: Any) -> None:
        fields: dict[str, Any] = {"source": Source.MQTT, "temperatures_c": (celsius, celsius - 0.4, celsius - 0.8, celsius - 1.2)} | more
        self.guard.heard(PackSample(pack=pack, received_at=self.clock.now(), reported_at=self.clock.now(), **fields))

    def wait(self, seconds: int, *hearing: PackKey, celsius: float = 30.0) -> None:
        for _ in range(seconds):
            self.clock.passed_s += 1
            for pack in hearing:
                self.hear(pack, celsius)
            self.guard.tick()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.guard.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    found = Yard(tmp_path / "latches")
    yield found
    found.latches.close()


@pytest.mark.parametrize(("k_per_s", "trips"), [(0.4, False), (1.3, True)])
async def test_seconds_that_were_held_back_and_come_at_once_are_no_faster_rise(yard: Yard, k_per_s: float, trips: bool) -> None:
    """A link that stood still for 20 s: what was true at each second counts, not when it came."""

    def say(at_s: float) -> None:
        said_at = datetime(2026, 11, 20, 19, 42, tzinfo=UTC) + timedelta(seconds=at_s)
        hot_c = 44.0 + k_per_s * max(at_s - 10.0, 0.0)
        warm = (hot_c, hot_c - 0.2, hot_c - 0.4, hot_c - 0.6)
        yard.guard.heard(PackSample(pack=A, source=Source.MQTT, received_at=yard.clock.now(), reported_at=said_at, temperatures_c=warm))

    for second in range(10):
        yard.clock.passed_s = float(second)
        say(float(second))
    for second in range(10, 30):  # the link stands still; then all of it comes, three samples a second
        yard.clock.passed_s = 29.0 + (second - 9) / 3
        say(float(second))
    assert [verdict.cause for verdict in yard.verdicts if isinstance(verdict, Trip)] == ([Cause.RUNAWAY] if trips else [])


async def test_a_trip_acts_before_the_call_returns_and_is_written_after(yard: Yard, tmp_path: Path) -> None:
    yard.hear(A, 61)
    assert [type(verdict) for verdict in yard.verdicts] == [Trip]
    assert (yard.guard.tripped, yard.guard.share_of(A), yard.guard.unwritten) == ((A,), 0.0, 1)
    async with yard.writing():
        await yard.guard.written()
    with LatchFile.open(tmp_path / "latches") as again:
        assert again.latched[A].trip.cause is Cause.OVER_TEMPERATURE


async def test_after_a_restart_it_is_still_tripped_and_still_hears(yard: Yard, tmp_path: Path) -> None:
    yard.hear(A, 61)
    async with yard.writing():
        await yard.guard.written()
    again = Yard(tmp_path / "latches")
    again.wait(600, A)
    assert again.guard.trip_of(A) is not None
    assert again.verdicts == []
    await again.guard.reset(A, person="Asha Rao", role=Role.SAFETY_OFFICER, reason="cooled down, looked at")
    assert again.verdicts == [Clear(A)]
    again.latches.close()


async def test_each_chemistry_has_its_own_limits(yard: Yard) -> None:
    for pack in (A, B, C):
        yard.hear(pack, 59)
    assert yard.guard.tripped == (B, C)


async def test_a_disk_that_fails_stops_no_trip_and_is_tried_again(yard: Yard, tmp_path: Path) -> None:
    yard.broken = True
    async with yard.writing():
        yard.hear(A, 61)
        yard.hear(B, 61)
        assert len(yard.verdicts) == 2
        await yard.told.wait()
        yard.broken = False
        await yard.guard.written()
    assert yard.unwritten[-1] == ""
    with LatchFile.open(tmp_path / "latches") as again:
        assert set(again.latched) == {A, B}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"role": Role.OPERATOR}, "a operator may not"),
        ({"role": Role.MANAGER}, "may not"),
        ({"person": " "}, "name and a reason"),
        ({"reason": ""}, "name and a reason"),
    ],
)
async def test_who_may_not_reset(yard: Yard, changes: dict[str, Any], words: str) -> None:
    yard.hear(A, 61)
    yard.wait(120, A)
    with pytest.raises(ResetRefused, match=words):
        await yard.guard.reset(A, **({"person": "Asha Rao", "role": Role.ADMIN, "reason": "looked at"} | changes))
    assert yard.guard.tripped == (A,)


async def test_no_reset_before_the_cause_has_gone(yard: Yard) -> None:
    yard.hear(A, 61)
    yard.wait(10, A)
    with pytest.raises(ResetRefused, match="wait another 51 s"):
        await yard.guard.reset(A, person="Asha Rao", role=Role.ADMIN, reason="looked at")
    yard.wait(60, A)
    await yard.guard.reset(A, person="Asha Rao", role=Role.ADMIN, reason="looked at")
    assert yard.guard.tripped == ()


async def test_a_reset_that_cannot_be_written_changes_nothing(yard: Yard) -> None:
    yard.hear(A, 61)
    yard.wait(120, A)
    yard.broken = True
    with pytest.raises(OSError, match="No space"):
        await yard.guard.reset(A, person="Asha Rao", role=Role.ADMIN, reason="looked at")
    assert yard.guard.tripped == (A,)
    assert len(yard.verdicts) == 1


async def test_heat_that_comes_while_a_reset_is_written_wins(tmp_path: Path) -> None:
    yard = Yard(tmp_path / "latches")

    async def slow(work: Callable[[], None]) -> None:
        if yard.clock.passed_s == 120:
            yard.clock.passed_s += 1
            yard.hear(A, 62)
        work()

    guard = Guard(yard.latches, clock=yard.clock, chemistry_of=lambda _: Chemistry.LFP, on_verdict=yard.verdicts.append, in_thread=slow)
    yard.guard = guard
    yard.hear(A, 61)
    yard.wait(120, A)
    with pytest.raises(ResetRefused, match="wrong again"):
        await guard.reset(A, person="Asha Rao", role=Role.ADMIN, reason="looked at")
    assert guard.tripped == (A,)
    assert A in yard.latches.latched
    yard.latches.close()


async def test_a_lost_bus_derates_everybody_expected_and_latches_nobody(yard: Yard) -> None:
    yard.guard.link(up=True)
    yard.guard.expect([A, B])
    yard.wait(10, A, B)
    yard.guard.link(up=False, reason="connection refused")
    yard.wait(600)
    assert [type(verdict) for verdict in yard.verdicts] == [BusLost, Derate, Derate]
    assert all(verdict.why == (Why.BUS_LOST,) and verdict.share == 0.5 for verdict in yard.verdicts if isinstance(verdict, Derate))
    assert yard.guard.tripped == ()
    yard.verdicts.clear()
    yard.guard.link(up=True)
    yard.wait(120, A, B)
    assert yard.verdicts[0] == BusBack()
    assert sorted(map(str, yard.verdicts[1:])) == sorted(map(str, [Clear(A), Clear(B)]))


async def test_one_silent_pack_is_not_the_bus(yard: Yard) -> None:
    yard.guard.link(up=True)
    yard.guard.expect([A, B])
    yard.wait(10, A, B)
    yard.wait(100, A)
    assert [(verdict.pack, verdict.why) for verdict in yard.verdicts if isinstance(verdict, Derate)] == [(B, (Why.SILENT,))]
    assert not yard.guard.bus_lost


async def test_an_empty_yard_may_be_silent(yard: Yard) -> None:
    yard.guard.expect([A])
    yard.wait(10, A)
    yard.guard.expect([])
    yard.wait(1000)
    assert yard.verdicts == []


async def test_unknown_packs_and_old_news_are_refused(yard: Yard) -> None:
    yard.hear(PackKey("BUS9", "P1"), 99)
    yard.wait(1)
    old = yard.clock.now() - timedelta(seconds=2000)
    yard.hear(A, 30)
    yard.guard.heard(
        PackSample(pack=A, source=Source.MQTT, received_at=yard.clock.now(), reported_at=old, temperatures_c=(99.0,), retained=True)
    )
    assert yard.guard.rejections.counts == {RejectReason.UNKNOWN_PACK: 1, RejectReason.TOO_OLD: 1}
    assert yard.guard.tripped == ()


async def test_what_the_journal_knows_and_the_file_does_not_is_tripped(yard: Yard, tmp_path: Path) -> None:
    state = DepotState(tripped={A: PackTrip("over_temperature", {}, yard.clock.now())})
    assert yard.guard.believe_journal(state) == (A,)
    assert yard.guard.believe_journal(state) == ()
    async with yard.writing():
        await yard.guard.written()
    with LatchFile.open(tmp_path / "latches") as again:
        assert again.latched[A].trip.cause is Cause.JOURNAL


async def test_what_was_derated_before_a_restart_stays_so_until_enough_is_heard(yard: Yard) -> None:
    yard.guard.believe_journal(DepotState(derated={A: 0.3}))
    assert yard.guard.share_of(A) == 0.3
    yard.wait(30, A)
    assert yard.guard.share_of(A) == 0.3
    yard.wait(31, A)
    assert [type(verdict) for verdict in yard.verdicts] == [Derate, Clear]


def test_the_journal_keeps_trips_resets_and_shares() -> None:
    now = HandClock().now()
    codec = EventCodec()
    facts: list[Event] = [
        PackDerated(A, 0.3, "hot"),
        PackDerated(B, 0.5),
        PackDerated(B, 1.0),
        PackTripped(A, "over_temperature", {"hottest_c": "61"}),
        PackTripped(A, "bms_alarm"),
        PackTripped(B, "bms_alarm"),
        PackReset(B, "Asha Rao", "admin", "looked at"),
        TelemetryBusChanged(True, "the broker is not reachable"),
    ]
    read_back = [codec.decode(fact.TYPE, fact.VERSION, codec.encode(fact)) for fact in facts]
    envelopes = [
        Envelope(str(n), "yard", n, fact.TYPE, fact.VERSION, now, None, now, "controller", None, None, fact)
        for n, fact in enumerate(read_back, 1)
    ]
    state = decode_state(encode_state(fold(DepotState(), envelopes)))
    assert state.tripped == {A: PackTrip("over_temperature", {"hottest_c": "61"}, now)}
    assert state.derated == {A: 0.3}


async def test_views_tell_what_is_known(yard: Yard) -> None:
    yard.hear(A, 52, soc=0.4)
    yard.wait(5)
    view = yard.guard.views()[0]
    assert (view.pack, view.share, view.hottest_c, view.soc, view.age_s, view.tripped) == (A, 0.6, 52, 0.4, 5, None)
