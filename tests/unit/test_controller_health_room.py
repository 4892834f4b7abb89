"""Health in the core: the book as it stands, and words where there is none yet."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bms_bridge import estimates
from bms_bridge.estimates.book import Book, ChargeEntry, PackEntry
from bms_bridge.estimates.estimate import COUNTED, SOH, Estimate
from bms_bridge.estimates.prospect_view import PackProspect
from bms_bridge.estimates.shelf import Shelf
from bms_bridge.estimates.view import FleetHealthView, PackHealthView
from bms_bridge.lake.schema import micros
from controller.alarms import KINDS
from controller.app.passport_room import grade_in_book
from controller.health_room import FIRST_LOOK, NOT_YET, HealthRoom
from controller.link import CoreUnreachable
from depot.values import InvalidValue, PackKey
from storage import Store

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Clock:
    at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def room(path: Path) -> HealthRoom:
    return HealthRoom(path, Clock(), every_s=300.0)


def fill(path: Path, *, looked: datetime | None = NOW) -> None:
    with contextlib.closing(Store.open(path)) as store:
        store.migrate([estimates])
        book, end = Book(store), NOW - timedelta(hours=3)
        one = Estimate(SOH, COUNTED, end.timestamp() - 7200, end.timestamp(), 0.91, 0.88, 0.94, "", {"soc_from": 0.2})
        entry = PackEntry(PackKey("E-101", "P1"), micros(NOW), "NMC", 100.0, 12, 3, "")
        book.put(entry, [(ChargeEntry(micros(end) - 7_200_000_000, micros(end), 61.0, {}), [one])], now_us=micros(NOW))
        if looked is not None:
            book.set_meta("looked_us", str(micros(looked)))


async def test_what_was_estimated_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "health.db"
    fill(path)
    found = room(path)
    fleet = await found.views[FleetHealthView]({})
    assert isinstance(fleet, FleetHealthView)
    assert (fleet.note, fleet.packs[0].soh and fleet.packs[0].soh.value) == ("", 0.91)
    one = await found.views[PackHealthView]({"vehicle_id": "E-101", "pack_id": "P1"})
    assert isinstance(one, PackHealthView)
    assert [charge.charged_ah for charge in one.charges] == [61.0]
    assert one.row == fleet.packs[0]
    assert await found.views[PackHealthView]({"vehicle_id": "X", "pack_id": "P1"}) is None
    with pytest.raises(InvalidValue, match="which pack"):
        await found.views[PackHealthView]({})


async def test_before_the_first_look_and_long_after_the_last_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "health.db"
    fleet = await room(path).views[FleetHealthView]({})
    assert isinstance(fleet, FleetHealthView)
    assert (fleet.note, fleet.packs) == (NOT_YET, [])
    assert await room(path).views[PackHealthView]({"vehicle_id": "E-101", "pack_id": "P1"}) is None
    fill(path, looked=None)
    first = await room(path).views[FleetHealthView]({})
    assert isinstance(first, FleetHealthView)
    assert (first.note, len(first.packs)) == (FIRST_LOOK, 1)
    fill(path, looked=NOW - timedelta(hours=2))
    late = await room(path).views[FleetHealthView]({})
    assert isinstance(late, FleetHealthView)
    assert "not looked for long" in late.note


async def test_an_alarm_says_that_the_process_has_stopped_looking(tmp_path: Path) -> None:
    path = tmp_path / "health.db"
    found = room(path)
    assert found.conditions(NOW) is None  # nobody has asked yet: an alarm of before stays as it is
    await found.ask()
    assert found.conditions(NOW + timedelta(minutes=19)) == []  # it may only just be starting
    (late,) = found.conditions(NOW + timedelta(minutes=21)) or []
    assert late.kind in found.kinds <= set(KINDS)
    assert "nothing was heard of it for 21 minutes" in late.title
    fill(path, looked=NOW + timedelta(minutes=15))
    await found.ask()
    assert found.conditions(NOW + timedelta(minutes=21)) == []
    with contextlib.closing(Store.open(path)) as store:  # a first look over a long lake takes its time, and works
        Book(store).set_meta("at_work_us", str(micros(NOW + timedelta(hours=3))))
    await found.ask()
    assert found.conditions(NOW + timedelta(hours=3)) == []
    path.write_bytes(b"no database" * 1000)
    await found.ask()
    (unread,) = found.conditions(NOW + timedelta(hours=4)) or []
    assert "its book cannot be read" in unread.title


async def test_a_short_interval_is_no_reason_for_an_early_alarm(tmp_path: Path) -> None:
    found = HealthRoom(tmp_path / "health.db", Clock(), every_s=1.0)
    await found.ask()
    assert found.conditions(NOW + timedelta(minutes=14)) == []
    assert found.conditions(NOW + timedelta(minutes=16))


async def test_without_a_lake_there_is_nothing_to_be_late_with(tmp_path: Path) -> None:
    clock = Clock()
    clock.at = NOW
    found = HealthRoom(tmp_path / "health.db", clock, every_s=1.0, lake=tmp_path / "lake.db")
    for hours in (0, 3):
        clock.at = NOW + timedelta(hours=hours)
        await found.ask()
        assert found.conditions(clock.at) == []
    (tmp_path / "lake.db").touch()
    clock.at = NOW + timedelta(hours=4)
    await found.ask()
    assert found.conditions(clock.at)


async def test_what_a_pack_is_still_good_for_is_shown_with_it(tmp_path: Path) -> None:
    path = tmp_path / "health.db"
    fill(path)
    said = PackProspect(NOW, NOW, "", grade="stationary, daily")
    with contextlib.closing(Store.open(path)) as store:
        Shelf(store).put_prospect(PackKey("E-101", "P1"), said, now_us=micros(NOW))
    one = await room(path).views[PackHealthView]({"vehicle_id": "E-101", "pack_id": "P1"})
    assert isinstance(one, PackHealthView)
    assert one.prospect == said
    grade = grade_in_book(path, PackKey("E-101", "P1"))
    assert grade is not None
    assert (grade.band, grade.at) == ("stationary, daily", NOW)
    assert grade_in_book(path, PackKey("E-102", "P1")) is None
    assert grade_in_book(tmp_path / "none.db", PackKey("E-101", "P1")) is None


async def test_a_damaged_book_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "health.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(CoreUnreachable, match="cannot be read"):
        await room(path).views[FleetHealthView]({})
