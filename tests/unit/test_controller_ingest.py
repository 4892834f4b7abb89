"""Telemetry over HTTP at the core's side, what is refused and kept, and what is shown of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bms_bridge.chemistry import Chemistry
from bms_bridge.contract import Rejection, RejectReason, Source
from bms_bridge.firmware import Profiles
from bms_bridge.guard import Guard
from bms_bridge.latches import LatchFile
from bms_bridge.pseudonym import Pseudonyms
from bms_bridge.verdicts import Trip, Verdict
from controller.ingest import Ingest
from controller.ingest_view import ItemTaken, TelemetryItem
from controller.rejections.room import QUEUE, Rejections
from controller.rejections.store import RejectionStore
from controller.rejections.views import RejectionsView, TelemetryIssuesView
from depot.values import InvalidValue, PackKey

pytestmark = pytest.mark.anyio

A, B = PackKey("E-1", "P1"), PackKey("E-2", "P1")
VIN = "MAT445401JPA12345"
START = datetime(2026, 11, 20, 19, 42, tzinfo=UTC)


class HandClock:
    """Time that the test moves."""

    passed_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return 1000.0 + self.passed_s

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here sleeps")


class Yard:
    """A guard with two packs, the ingest and the room of rejections."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.verdicts: list[Verdict] = []
        self.latches = LatchFile.open(folder / "latches")
        chemistries = {A: Chemistry.LFP, B: Chemistry.LFP}
        self.guard = Guard(self.latches, clock=self.clock, chemistry_of=chemistries.get, on_verdict=self.verdicts.append)
        self.guard.pseudonyms = Pseudonyms.of_secret(b"s" * 32)
        self.ingest = Ingest(self.guard, self.guard.heard, clock=self.clock)
        self.room = Rejections(self.guard, RejectionStore(folder / "r.db", "pune"), clock=self.clock)

    def item(self, pack: PackKey = A, celsius: float = 30.0, at_s: float | None = None, **more: Any) -> TelemetryItem:
        at = START + timedelta(seconds=self.clock.passed_s if at_s is None else at_s)
        fields = {"schema": "pack_telemetry/2", "reported_at": at.isoformat(), "temperatures_c": [celsius, 29.5, 29.0, 28.5]}
        payload = msgspec.Raw(json.dumps(fields | more).encode())
        return TelemetryItem(vehicle_id=pack.vehicle_id, pack_id=pack.pack_id, payload=payload)

    async def take(self, *items: TelemetryItem) -> list[ItemTaken]:
        return await self.ingest.take("token gateway", items)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.room.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def page(self, **args: str) -> RejectionsView:
        found = await self.room.views[RejectionsView](args)
        assert isinstance(found, RejectionsView)
        return found


@pytest.fixture
def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    found = Yard(tmp_path)
    yield found  # type: ignore[misc]  # pytest's own way
    found.latches.close()


async def settled(yard: Yard, rows: int) -> RejectionsView:
    """The first page, with so many rows."""
    async with asyncio.timeout(20):
        await yard.room.settled()
    found = await yard.page()
    assert len(found.rejections) == rows
    return found


async def test_each_item_is_answered_for_itself(yard: Yard) -> None:
    wrong = TelemetryItem(vehicle_id="", pack_id="", payload=msgspec.Raw(b'"{"'), wrong="an item is …")
    strange = yard.item(PackKey("E-9", "P1"))
    foreign = TelemetryItem(vehicle_id="E-2", pack_id="P1", payload=msgspec.Raw(b"{}"), allowed=False)
    taken = await yard.take(yard.item(), wrong, strange, foreign, yard.item(B, soc=80.0), yard.item(A, speed=3))
    assert [(one.status, one.reason) for one in taken] == [
        ("accepted", ""),
        ("refused", "shape"),
        ("refused", "unknown_pack"),
        ("refused", "not_allowed"),
        ("accepted", ""),
        ("refused", "shape"),
    ]
    assert "percent" in taken[4].issues[0]
    assert yard.guard.memories.keys() == {(A, Source.HTTP), (B, Source.HTTP)}


async def test_a_hot_one_trips_before_the_answer(yard: Yard) -> None:
    assert [one.status for one in await yard.take(yard.item(celsius=61.0))] == ["accepted"]
    assert [verdict.pack for verdict in yard.verdicts if isinstance(verdict, Trip)] == [A]


async def test_of_a_batch_the_newest_of_a_pack_is_news_and_the_others_tell_how_it_was(yard: Yard) -> None:
    yard.clock.passed_s = 600
    taken = await yard.take(*(yard.item(at_s=at_s) for at_s in (0, 300, 600, 450)), yard.item(B, at_s=590))
    assert [one.status for one in taken] == ["late", "late", "accepted", "late", "accepted"]
    taken = await yard.take(yard.item(celsius=62.0, at_s=500), yard.item(at_s=601))
    assert [one.status for one in taken] == ["late", "accepted"]
    assert yard.guard.tripped == (A,), "also what tells how it was can trip"


async def test_a_batch_that_comes_again_changes_nothing(yard: Yard) -> None:
    batch = [yard.item(at_s=-k, boot=3, sequence=20 - k) for k in range(10, -1, -1)]
    first = await yard.take(*batch)
    assert [one.status for one in first] == [*["late"] * 10, "accepted"]
    yard.clock.passed_s = 1
    assert {one.status for one in await yard.take(*batch)} == {"repeated"}
    assert not yard.verdicts


async def test_what_is_much_too_old_is_late_and_says_so(yard: Yard) -> None:
    await yard.take(yard.item())
    taken = (await yard.take(yard.item(at_s=-2000)))[0]
    assert (taken.status, taken.reason) == ("late", "too_old")


# -- what is kept -------------------------------------------------------------------------------------------------------


async def test_what_is_refused_or_left_out_is_kept_with_the_reason_and_found_by_vehicle_and_reason(yard: Yard) -> None:
    async with yard.running():
        await yard.take(yard.item(PackKey("E-9", "P1")), yard.item(A, soc=80.0), yard.item(B, speed=1))
        found = await settled(yard, 3)
        assert sorted((one.vehicle_id, one.reason, one.field) for one in found.rejections) == [
            ("E-1", "value", "soc"),
            ("E-2", "shape", ""),
            ("E-9", "unknown_pack", ""),
        ]
        assert found.kept == found.counts == {"unknown_pack": 1, "value": 1, "shape": 1}
        assert [one.reason for one in (await yard.page(vehicle="E-1")).rejections] == ["value"]
        assert [one.vehicle_id for one in (await yard.page(reason="shape")).rejections] == ["E-2"]
        assert "speed" in (await yard.page(reason="shape")).rejections[0].excerpt
        with pytest.raises(InvalidValue):
            await yard.page(limit="many")


async def test_pages_are_whole_newest_first_and_the_oldest_rows_go(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    store = RejectionStore(tmp_path / "small.db", "pune", most=50)
    yard.room = Rejections(yard.guard, store, clock=yard.clock)
    async with yard.running():
        for k in range(120):
            yard.guard.reject(Rejection(RejectReason.SHAPE, f"no. {k}", "topic", "", yard.clock.now()))
        await yard.room.settled()
        found = await yard.page(limit="20")
        assert found.kept == {"shape": 50}
        seen = [one.text for one in found.rejections]
        while found.before is not None:
            found = await yard.page(limit="20", before=str(found.before))
            seen += [one.text for one in found.rejections]
        assert seen == [f"no. {k}" for k in range(119, 69, -1)]
    store.close()
    again = RejectionStore(tmp_path / "small.db", "pune", most=50)
    again.put([Rejection(RejectReason.SHAPE, "after a restart", "topic", "", yard.clock.now())])
    rows, _ = again.page(most=2)
    assert [row["text"] for row in rows] == ["after a restart", "no. 119"]
    again.close()
    yard.latches.close()


async def test_a_disk_that_fails_costs_rows_and_nothing_else(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database" * 100)
    yard.room = Rejections(yard.guard, RejectionStore(broken, "pune"), clock=yard.clock)
    async with yard.running():
        yard.guard.reject(Rejection(RejectReason.SHAPE, "x", "topic", "", yard.clock.now()))
        await yard.room.settled()
        assert yard.room.lost == 1
        with pytest.raises(InvalidValue):
            await yard.page()
        assert (await yard.take(yard.item(celsius=61)))[0].status == "accepted"
        assert yard.guard.tripped == (A,)
    yard.latches.close()


async def test_a_flood_costs_no_memory(yard: Yard) -> None:
    for k in range(QUEUE + 500):
        yard.guard.reject(Rejection(RejectReason.SHAPE, f"{k}", "topic", "", yard.clock.now()))
    assert yard.room.lost == 500
    for k in range(1000):
        yard.clock.passed_s = k / 100
        await yard.take(yard.item(soc=50.0))
    assert yard.guard.rejections.counts[RejectReason.VALUE] == 1000
    assert sum(one.reason is RejectReason.VALUE for one in yard.guard.rejections.newest) == 1


async def test_a_vehicle_s_number_is_kept_nowhere_in_clear(yard: Yard, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hidden = yard.guard.pseudonyms.of(VIN)
    async with yard.running():
        wrong = TelemetryItem(vehicle_id="", pack_id="", payload=msgspec.Raw(json.dumps(f'{{"vin": "{VIN}"').encode()), wrong="no item")
        await yard.take(yard.item(PackKey(VIN, "P1")), wrong, yard.item(A, **{VIN: 1}), yard.item(A, firmware=f"fw {VIN}", soc=50.0))
        found = await settled(yard, 4)
        assert [one.vehicle_id for one in (await yard.page(vehicle=hidden)).rejections] == [hidden]
        issues = await yard.room.views[TelemetryIssuesView]({})
    assert issues.packs[0].speakers[0].firmware == f"fw {hidden}"  # type: ignore[union-attr]
    everything = repr(found) + repr(issues) + caplog.text + "".join(repr(one) for one in yard.guard.rejections.newest)
    assert hidden in everything
    assert VIN not in everything
    assert all(VIN.encode() not in file.read_bytes() for file in tmp_path.iterdir())  # noqa: ASYNC240  # nobody waits here


async def test_a_pack_may_be_registered_under_its_pseudonym(yard: Yard) -> None:
    pack = PackKey(yard.guard.pseudonyms.of(VIN), "P1")
    chemistries = {pack: Chemistry.LFP}
    guard = Guard(yard.latches, clock=yard.clock, chemistry_of=chemistries.get, on_verdict=yard.verdicts.append)
    guard.pseudonyms = yard.guard.pseudonyms
    taken = await Ingest(guard, guard.heard, clock=yard.clock).take("token x", [yard.item(PackKey(VIN, "P1"), celsius=61)])
    assert (taken[0].status, guard.tripped) == ("accepted", (pack,))


async def test_issues_are_counted_by_pack_with_who_speaks(yard: Yard) -> None:
    yard.guard.profiles = Profiles.of({"schema": "firmware-profiles/1", "profile": [{"firmware": "acme 2.*"}]})
    for k in range(3):
        yard.clock.passed_s = k
        await yard.take(yard.item(A, soc=80.0, firmware="acme 2.1"), yard.item(B, at_s=k - 7.0, cells_v=[3.3] * 4))
    found = await yard.room.views[TelemetryIssuesView]({})
    assert isinstance(found, TelemetryIssuesView)
    assert found.counts == {"range": 3}
    one, other = found.packs
    assert [(issue.kind, issue.count, issue.first_at, issue.last_at) for issue in one.issues] == [
        ("range", 3, START, START + timedelta(seconds=2))
    ]
    assert (one.speakers[0].source, one.speakers[0].firmware, one.speakers[0].profile) == ("http", "acme 2.1", "acme 2.*")
    assert (other.speakers[0].clock_offset_s, other.speakers[0].sensors, other.speakers[0].cells) == (7.0, 4, 4)
    assert [pack.vehicle_id for pack in (await yard.room.views[TelemetryIssuesView]({"vehicle": "E-2"})).packs] == ["E-2"]  # type: ignore[union-attr]
