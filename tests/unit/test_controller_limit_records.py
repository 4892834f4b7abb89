"""Who bound when, and who ordered what, read back from a journal on disk."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import controller
from controller.clock import SystemClock
from controller.journal import SqlJournal
from controller.limit_book_view import history_row
from controller.limit_records import LimitRecords, Page
from depot import events as ev
from depot.limit_book import Bound, DemandEvent, EventChannel, EventPhase, EventResult, LimitOverride, LimitSchedule, Period
from depot.values import Limit, LimitSource, ScopeKind
from storage import Store

ZERO = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def bound(scope_id: str, value_w: int, source: LimitSource, minute: int) -> ev.NewEvent:
    at = ZERO + minute * MINUTE
    return ev.NewEvent(ev.BindingLimitChanged(Bound(scope_id, source.value, value_w, source, at, None, "mani", "why")), at)


def recorded(folder: Path, facts: list[ev.NewEvent]) -> Store:
    """A journal with these facts; open for reading still."""
    store = Store.open(folder / "d.db")
    store.migrate([controller])

    async def write() -> None:
        async with SqlJournal(store, "d", clock=SystemClock()) as journal:
            for fact in facts:
                await journal.append([fact])

    asyncio.run(write())
    return store


def seen(page: Page) -> list[tuple[str, int | None, str]]:
    return [(row.what, row.value_w, row.scope_id or "") for row in map(history_row, page.found)]


def test_why_it_was_240_kw_at_22_40(tmp_path: Path) -> None:
    facts = [
        bound("", 500_000, LimitSource.CONTRACT, 0),
        bound("A", 100_000, LimitSource.RATING, 0),
        bound("", 240_000, LimitSource.SCADA, 60),
        bound("", 500_000, LimitSource.CONTRACT, 90),
        bound("CP1/1", 7_000, LimitSource.EXTERNAL, 91),
        ev.NewEvent(ev.BindingLimitEnded("CP1/1"), ZERO + 95 * MINUTE),
    ]
    store = recorded(tmp_path, facts)
    try:
        records = LimitRecords(store, "d")

        def at(scope_id: str, minute: float) -> int | None:
            found = records.bound_at(scope_id, ZERO + minute * MINUTE)
            return None if found is None else history_row(found).value_w

        assert [at("", minute) for minute in (-1, 0, 59.9, 60, 70, 89.9, 90, 999)] == [
            None, 500_000, 500_000, 240_000, 240_000, 240_000, 500_000, 500_000,
        ]  # fmt: skip
        assert (at("A", 70), at("CP1/1", 92), at("CP1/1", 96)) == (100_000, 7_000, None)
        assert LimitRecords(store, "another").bound_at("", ZERO + 70 * MINUTE) is None
    finally:
        store.close()


def test_pages_go_on_where_the_one_before_ended_and_miss_nothing(tmp_path: Path) -> None:
    facts = [bound("" if n % 3 else "A", 1_000 * n, LimitSource.SCADA, n) for n in range(1, 31)]
    store = recorded(tmp_path, facts)
    try:
        records = LimitRecords(store, "d")
        for scope_id, wanted in ((None, list(range(30, 0, -1))), ("A", list(range(30, 0, -3))), ("B", [])):
            found: list[int] = []
            before = None
            while True:
                page = records.page("binding", scope_id=scope_id, before=before, most=7)
                found += [(row.value_w or 0) // 1_000 for row in map(history_row, page.found)]
                if page.before is None:
                    break
                before = page.before
            assert found == wanted
    finally:
        store.close()


def test_every_order_is_a_line_of_its_own(tmp_path: Path) -> None:
    at, end = ZERO, ZERO + 60 * MINUTE
    event = DemandEvent("e", "p", at, at, end, EventChannel.MAIL, "mani", at, limit_w=9_000)
    facts: list[ev.Event] = [
        ev.LimitSet(Limit("manual:A#n", ScopeKind.FEEDER, 5_000, LimitSource.MANUAL, at, scope_id="A")),
        ev.LimitCleared("manual:A#n", "over"),
        ev.LimitScheduleSet(LimitSchedule("s", "", 6_000, "r", "mani", at, once=Period(at, end))),
        ev.LimitScheduleRemoved("s", "r"),
        ev.DemandEventAnnounced(event),
        ev.DemandEventWithdrawn("e", EventPhase.OPTED_OUT, "late"),
        ev.DemandEventMeasured("e", EventResult(1_500, 8_000, 1.0, 0, complied=True)),
        ev.LimitOverrideBegun(LimitOverride("o", "", 7_000, (LimitSource.MANUAL,), at, end, "mani", "late")),
        ev.LimitOverrideEnded("o", "gone"),
    ]
    store = recorded(tmp_path, [ev.NewEvent(fact, at, actor="mani") for fact in facts])
    try:
        page = LimitRecords(store, "d").page("orders", scope_id=None, before=None, most=50)
        assert seen(page)[::-1] == [
            ("set", 5_000, "A"), ("lifted", None, "A"), ("schedule_set", 6_000, ""), ("schedule_removed", None, ""),
            ("event_announced", 9_000, ""), ("event_opted_out", None, ""), ("event_measured", 8_000, ""), ("override_begun", 7_000, ""),
            ("override_ended", None, ""),
        ]  # fmt: skip
        assert {history_row(r).by for r in page.found} == {"mani"}
        assert history_row(page.found[2]).reason == "1.5 kWh, complied"
        of_feeder = LimitRecords(store, "d").page("orders", scope_id="A", before=None, most=50)
        assert ("set", 5_000, "A") in seen(of_feeder)
        assert ("override_begun", 7_000, "") not in seen(of_feeder)
    finally:
        store.close()
