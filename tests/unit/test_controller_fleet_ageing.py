"""How a fleet ages beside the table, from its own estimates: factors that are found, reasons where nothing can be said."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ageing_kit import NOW_US, fleet

from bms_bridge import estimates as room
from bms_bridge.estimates.book import Book, ChargeEntry, PackEntry
from bms_bridge.estimates.estimate import COUNTED, SOH, Estimate
from bms_bridge.estimates.shelf import Shelf
from bms_bridge.estimates.use import between, use_so_far
from bms_bridge.lake.lifetime import Life
from controller.fleet_ageing import DAY_US, WEEK_US, FleetAgeing, as_factors, found_of, of_fleet, pack_rows
from depot.values import PackKey
from storage import Store


def test_what_was_put_into_a_fleet_is_found_within_its_interval() -> None:
    found = found_of("LFP", fleet(calendar=1.8, cycle=0.6, packs=25, rows=16), now_us=NOW_US)
    assert found.reason == ""
    assert found.calendar == pytest.approx(1.8, abs=3 * found.calendar_spread)
    assert found.cycle == pytest.approx(0.6, abs=3 * found.cycle_spread)
    assert (found.packs, found.rows, found.bounded) == (25, 400, False)
    assert max(found.calendar_spread, found.cycle_spread) < 0.35


def test_a_factor_that_cannot_be_is_held_at_its_bound() -> None:
    found = found_of("LFP", fleet(calendar=9.0, cycle=9.0, packs=25), now_us=NOW_US)
    assert found.bounded
    assert found.calendar is not None
    assert found.cycle is not None
    assert max(found.calendar, found.cycle) == 4.0


@pytest.mark.parametrize(
    ("kind", "histories", "words"),
    [
        ("LTO", fleet(calendar=1, cycle=1), "how LTO cells age is not in the table"),
        ("unknown", fleet(calendar=1, cycle=1), "enter it in the registry"),
        ("LFP", {}, "0 packs can be used, 5 are needed"),
        ("LFP", fleet(calendar=1, cycle=1, packs=4), "4 packs can be used, 5 are needed"),
        ("LFP", fleet(calendar=1, cycle=1, days=60), "12 of the others: no 3 estimates over 90 days"),
        ("LFP", fleet(calendar=1, cycle=1, soc=False), "temperature or state of charge is not told"),
        ("LFP", fleet(calendar=1, cycle=1, days=91, rows=3, deviation=0.05, packs=5), "too little yet"),
    ],
)
def test_where_little_is_known_there_is_a_reason_and_no_factor(kind: str, histories: dict, words: str) -> None:
    found = found_of(kind, histories, now_us=NOW_US)
    assert words in found.reason
    assert (found.calendar, found.cycle) == (None, None)
    assert as_factors([found]) == {}


def test_use_between_two_estimates_is_that_of_the_time_between() -> None:
    cold, warm = Life(first_us=1), Life(first_us=1)
    cold.temperature_s[2], cold.soc_s[5], cold.charge_in_ah = 100 * 3600.0, 100 * 3600.0, 100.0
    warm.temperature_s = [*cold.temperature_s]
    warm.temperature_s[4], warm.soc_s[5], warm.charge_in_ah = 300 * 3600.0, 400 * 3600.0, 500.0
    before, now = use_so_far(cold, 100.0), use_so_far(warm, 100.0)
    assert between(before, None).temp_c == pytest.approx(15.0)
    assert (between(now, before).temp_c, between(now, before).cycles) == (pytest.approx(35.0), 5.0)
    assert between(now, None).temp_c == pytest.approx((100 * 15 + 300 * 35) / 400)
    assert between(now, now).temp_c == pytest.approx(30.0)  # nothing was heard since: all of it tells more
    assert between(now, before).soc == pytest.approx(0.55)
    assert between(now, before).rate_c != between(now, before).rate_c  # no rate was told


def test_estimates_without_their_use_are_left_out() -> None:
    history = next(iter(fleet(calendar=1, cycle=1, packs=1).values()))
    assert len(pack_rows("a", history)[0]) == 10
    for use in (None, {"cycles": 3.0}):
        bare = [replace(one, use=use) for one in history]
        assert pack_rows("a", bare) == ([], "no 3 estimates over 90 days")


@contextlib.contextmanager
def book_of(folder: Path, kind: str, histories: dict) -> Iterator[tuple[Book, Shelf]]:
    with contextlib.closing(Store.open(folder / "d-health.db")) as store:
        store.migrate([room])
        book = Book(store)
        for name, history in histories.items():
            key = PackKey(*name.split("/"))
            charges = []
            for one in history:
                said = Estimate(SOH, COUNTED, one.until_s - 60, one.until_s, one.soh, one.low, one.high, "", {"use": one.use})
                charges.append((ChargeEntry(round(one.until_s * 1e6) - 1, round(one.until_s * 1e6), 10.0, {}), [said]))
            book.put(PackEntry(key, NOW_US, kind, 100.0, 12, 1, ""), charges, now_us=NOW_US)
        yield book, Shelf(store)


def test_the_process_looks_once_a_week_and_daily_while_nothing_can_be_said(tmp_path: Path) -> None:
    now = [NOW_US]
    with book_of(tmp_path, "LFP", fleet(calendar=2.0, cycle=2.0)) as (book, shelf):
        ageing = FleetAgeing(book, shelf, now_us=lambda: now[0])
        assert ageing.look() == 1
        (first,) = shelf.ageing()
        assert first.calendar == of_fleet(book, now_us=NOW_US)[0].calendar
        assert ageing.look() == 0
        now[0] += WEEK_US - 1
        assert ageing.look() == 0
        now[0] += 2
        assert ageing.look() == 1
        assert shelf.ageing()[0].at > first.at


def test_a_reason_is_looked_at_again_after_a_day(tmp_path: Path) -> None:
    now = [NOW_US]
    with book_of(tmp_path, "LFP", fleet(calendar=2.0, cycle=2.0, packs=2)) as (book, shelf):
        ageing = FleetAgeing(book, shelf, now_us=lambda: now[0])
        assert (ageing.look(), ageing.look()) == (1, 0)
        assert "2 packs can be used" in shelf.ageing()[0].reason
        now[0] += DAY_US + 1
        assert ageing.look() == 1
