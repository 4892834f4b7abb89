"""Schedules, demand-response events and the override as limits of the hours ahead; limits in VA as limits in W."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from controller import limits
from controller.apparent import BELIEVED, STEP, Apparent, allowed_w, reactive_var
from controller.arrangements import OVERRIDABLE, arranged, check_scope, external, lifted, scheduled, scope_kind
from depot.limit_book import DemandEvent, EventChannel, EventPhase, LimitBook, LimitOverride, LimitSchedule, Period, Weekly
from depot.readings import SiteReading
from depot.registry import ConnectorSpec, DepotSpec, FeederSpec, StationSpec
from depot.smart_charging import ExternalLimit, SmartChargingState, Step
from depot.values import DepotError, InvalidValue, Limit, LimitSource, ScopeKind

PUNE = ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)  # Friday 22:00 in Pune
HOUR = timedelta(hours=1)
SPEC = DepotSpec(
    "d", "Depot", 250_000, 100_000, 20_000, (FeederSpec("F1", 100_000),), (StationSpec("CP1", "F1", (ConnectorSpec(1, 22_000, 4_000),)),)
)


def weekly(days: tuple[int, ...], starts: str, ends: str, *, first: date | None = None, last: date | None = None) -> Weekly:
    def minutes(text: str) -> int:
        hour, minute = text.split(":")
        return int(hour) * 60 + int(minute)

    return Weekly(days, minutes(starts), minutes(ends), first, last)


def schedule(when: Weekly | Period, *, value_w: int = 80_000, scope_id: str = "") -> LimitSchedule:
    on, once = (when, None) if isinstance(when, Weekly) else (None, when)
    return LimitSchedule("s", scope_id, value_w, "peak hours", "mani", NOW, on, once)


def spans(found: LimitSchedule, now: datetime = NOW, zone: ZoneInfo = PUNE) -> list[tuple[str, str]]:
    return [
        (f"{x.from_.astimezone(zone):%d %H:%M}", f"{x.until.astimezone(zone):%d %H:%M}") for x in scheduled(found, now, zone) if x.until
    ]


def test_a_weekly_window_comes_on_its_days_by_the_depots_clock() -> None:
    assert spans(schedule(weekly((4, 5, 6), "18:00", "22:30"))) == [
        ("20 18:00", "20 22:30"),
        ("21 18:00", "21 22:30"),
        ("22 18:00", "22 22:30"),
    ]
    assert spans(schedule(weekly((4, 5, 6), "18:00", "22:00"))) == [("21 18:00", "21 22:00"), ("22 18:00", "22 22:00")]  # half-open: over
    assert spans(schedule(weekly((0,), "18:00", "22:00"))) == []  # Monday begins in more than two days


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    late = schedule(weekly((3,), "21:00", "06:00"))
    assert spans(late) == []
    assert spans(late, NOW - timedelta(hours=20)) == [("19 21:00", "20 06:00")]  # Friday 02:00: Thursday's still runs
    assert spans(schedule(weekly((4,), "00:00", "24:00"))) == [("20 00:00", "21 00:00")]


def test_dates_bound_the_days_on_which_it_begins() -> None:
    every = tuple(range(7))
    assert spans(schedule(weekly(every, "18:00", "19:00", first=date(2026, 11, 22)))) == [("22 18:00", "22 19:00")]
    assert spans(schedule(weekly(every, "18:00", "19:00", last=date(2026, 11, 21)))) == [("21 18:00", "21 19:00")]


def test_where_clocks_change_within_a_window_it_is_the_longer() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2026, 10, 24, 12, tzinfo=UTC)  # clocks go back at 03:00 on Sunday 25 October
    (night,) = scheduled(schedule(weekly((6,), "01:30", "02:30")), before, berlin)
    assert night.until is not None
    assert night.until - night.from_ == 2 * HOUR


def test_once_is_known_ahead_and_over_at_its_end() -> None:
    once = schedule(Period(NOW + HOUR, NOW + 3 * HOUR), scope_id="F1")
    (limit,) = scheduled(once, NOW, PUNE)
    assert (limit.scope, limit.scope_id, limit.value, limit.source) == (ScopeKind.FEEDER, "F1", 80_000, LimitSource.SCHEDULE)
    assert [(at, x.value) for at, x in limits.steps([*limits.built_in(SPEC), limit], "F1", start=NOW, stop=NOW + 48 * HOUR)] == [
        (NOW, 100_000), (NOW + HOUR, 80_000), (NOW + 3 * HOUR, 100_000),
    ]  # fmt: skip
    assert list(scheduled(once, NOW + 3 * HOUR, PUNE)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Weekly((), 0, 60),
        lambda: Weekly((7,), 0, 60),
        lambda: Weekly((1, 1), 0, 60),
        lambda: Weekly((1,), 1440, 60),
        lambda: Weekly((1,), 0, 1441),
        lambda: Weekly((1,), 0, 60, date(2026, 2, 2), date(2026, 2, 1)),
        lambda: Period(NOW, NOW),
        lambda: Period(NOW.replace(tzinfo=None), NOW),
        lambda: LimitSchedule("s", "", 1, "", "", NOW),
        lambda: LimitSchedule("s", "", -1, "", "", NOW, once=Period(NOW, NOW + HOUR)),
        lambda: LimitSchedule("s", "", 1, "", "", NOW, Weekly((1,), 0, 60), Period(NOW, NOW + HOUR)),
        lambda: replace(EVENT, ends_at=EVENT.starts_at),
        lambda: replace(EVENT, limit_w=None),
        lambda: replace(EVENT, reduction_w=5),
        lambda: replace(EVENT, limit_w=None, reduction_w=5),
        lambda: replace(EVENT, limit_w=-1),
        lambda: LimitOverride("o", "", 5, (), NOW, NOW + HOUR, "mani", "why"),
    ],
)
def test_what_cannot_be_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidValue):
        wrong()  # type: ignore[operator]  # a lambda


EVENT = DemandEvent("e1", "evening", NOW, NOW + HOUR, NOW + 3 * HOUR, EventChannel.MAIL, "mani", NOW, limit_w=90_000)


def test_an_event_limits_the_site_from_its_beginning_to_its_end() -> None:
    (found,) = arranged(LimitBook().with_event(EVENT, NOW), NOW, PUNE)
    limit = found.limit
    assert (limit.scope, limit.value, limit.source, limit.from_, limit.until) == (
        ScopeKind.SITE, 90_000, LimitSource.DEMAND_RESPONSE, NOW + HOUR, NOW + 3 * HOUR,
    )  # fmt: skip
    assert arranged(LimitBook().with_event(EVENT, NOW), EVENT.ends_at, PUNE) == []


def test_a_reduction_counts_from_its_baseline_and_never_below_zero() -> None:
    less = replace(EVENT, limit_w=None, reduction_w=50_000, baseline_w=120_000)
    assert less.allowed_w == 70_000
    assert replace(less, reduction_w=130_000).allowed_w == 0


@pytest.mark.parametrize("how", [EventPhase.CANCELLED, EventPhase.OPTED_OUT])
def test_an_event_that_is_withdrawn_limits_nothing_and_says_who_and_why(how: EventPhase) -> None:
    book = LimitBook().with_event(EVENT, NOW).withdrawn("e1", how, by="mani", at=NOW + 2 * HOUR, reason="buses")
    event = book.events["e1"]
    assert arranged(book, NOW + 2 * HOUR, PUNE) == []
    assert (event.phase(NOW), event.withdrawn_by, event.withdrawn_reason, event.stopped_at) == (how, "mani", "buses", NOW + 2 * HOUR)
    again = book.withdrawn("e1", EventPhase.CANCELLED, by="other", at=NOW + 2 * HOUR, reason="")
    assert again.events["e1"].withdrawn_by == "mani"  # once


def test_phases_follow_time() -> None:
    assert [EVENT.phase(at) for at in (NOW, EVENT.starts_at, EVENT.ends_at)] == [EventPhase.ANNOUNCED, EventPhase.ACTIVE, EventPhase.ENDED]


# -- override ---------------------------------------------------------------------------------------------------------


def limit(
    name: str, value: int, source: LimitSource, *, since: datetime = NOW - HOUR, until: datetime | None = None, scope_id: str = ""
) -> Limit:
    return Limit(name, scope_kind(scope_id), value, source, since, scope_id=scope_id, until=until)


def override(value_w: int, *sources: LimitSource, scope_id: str = "") -> LimitOverride:
    return LimitOverride("o", scope_id, value_w, sources, NOW, NOW + HOUR, "mani", "buses would be late")


def test_an_override_raises_what_it_names_for_its_time_and_nothing_else() -> None:
    found = [*limits.built_in(SPEC), limit("m", 50_000, LimitSource.MANUAL), limit("u", 70_000, LimitSource.SCADA)]
    out = lifted(found, override(300_000, LimitSource.MANUAL), {})
    assert [(at, x.value, x.source) for at, x in limits.steps(out, "", start=NOW - HOUR, stop=NOW + 3 * HOUR)] == [
        (NOW - HOUR, 50_000, LimitSource.MANUAL), (NOW, 70_000, LimitSource.SCADA), (NOW + HOUR, 50_000, LimitSource.MANUAL),
    ]  # fmt: skip


def test_an_override_goes_no_higher_than_it_says() -> None:
    out = lifted([*limits.built_in(SPEC), limit("m", 50_000, LimitSource.MANUAL)], override(60_000, LimitSource.MANUAL), {})
    binds = limits.binding(out, "", NOW)
    assert binds is not None
    assert (binds.value, binds.source) == (60_000, LimitSource.MANUAL)
    assert "overridden by mani" in binds.reason


def test_what_is_set_after_an_override_began_holds() -> None:
    """A person who sets a limit now means it, whatever was overridden before."""
    fresh = limit("m", 50_000, LimitSource.MANUAL, since=NOW + timedelta(minutes=5))
    assert lifted([fresh], override(90_000, LimitSource.MANUAL), {}) == [fresh]
    evening = limit("s", 50_000, LimitSource.SCHEDULE, since=NOW + timedelta(minutes=5), until=NOW + 2 * HOUR)
    assert lifted([evening], override(90_000, LimitSource.SCHEDULE), {"s": NOW + timedelta(minutes=1)}) == [evening]
    assert [x.value for x in lifted([evening], override(90_000, LimitSource.SCHEDULE), {"s": NOW - HOUR})] == [90_000, 50_000]


def test_what_protects_is_never_raised_even_where_a_fact_says_so() -> None:
    for source in LimitSource:
        if source not in OVERRIDABLE:
            found = [limit("x", 10_000, source)]
            assert lifted(found, override(90_000, source), {}) == found


def test_an_override_of_a_feeder_leaves_the_site_alone() -> None:
    found = [limit("site", 50_000, LimitSource.MANUAL), limit("feeder", 20_000, LimitSource.MANUAL, scope_id="F1")]
    out = lifted(found, override(30_000, LimitSource.MANUAL, scope_id="F1"), {})
    assert limits.budget(out, "", now=NOW, life=timedelta(0)).now_w == 50_000
    assert [x.value for x in out if x.scope_id == "F1" and x.holds_at(NOW)] == [30_000]


# -- scopes, limits of stations -----------------------------------------------------------------------------------------


def test_scopes_are_checked_against_what_was_built() -> None:
    for known in ("", "F1", "CP1/1"):
        check_scope(SPEC, known)
    for unknown in ("F2", "CP1/2", "CP1/x", "/1"):
        with pytest.raises(DepotError):
            check_scope(SPEC, unknown)


def test_limits_that_stations_told_are_shown_for_their_connector_and_the_whole_station() -> None:
    one = ExternalLimit("CP1", 1, "EMS", NOW, (Step(NOW, 7_000), Step(NOW + HOUR, None), Step(NOW + 2 * HOUR, 9_000)), NOW + 3 * HOUR)
    whole = ExternalLimit("CP1", 0, "SO", NOW, (Step(NOW, 30_000),))
    stale = replace(whole, source="Other", stale=True)
    unsaid = replace(whole, source="CSO", steps=())  # only told that there is one
    found = external(SmartChargingState(limits={x.key: x for x in (one, whole, stale, unsaid)}), NOW)
    assert [(x.scope_id, x.value, x.from_, x.until, x.set_by) for x in found] == [
        ("CP1/1", 7_000, NOW, NOW + HOUR, "EMS"),
        ("CP1/1", 9_000, NOW + 2 * HOUR, NOW + 3 * HOUR, "EMS"),
        ("CP1/0", 30_000, NOW, NOW + timedelta(hours=24), "SO"),
    ]


# -- limits in VA -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("power_w", "reactive"), [(0, 0), (40_000, 30_000), (100_000, 90_000), (190_000, 60_000), (-20_000, 10_000)])
@pytest.mark.parametrize("worst", [0.8, 0.95, 1.0])
def test_at_the_answer_the_load_is_at_the_limit_if_what_comes_is_as_bad_as_it_may_be(power_w: int, reactive: int, worst: float) -> None:
    limit_va = 200_000
    p = allowed_w(limit_va, power_w=power_w, reactive=reactive, worst=worst)
    assert max(0, power_w) <= p <= limit_va
    q = reactive + math.tan(math.acos(worst)) * (p - max(0, power_w))
    assert math.hypot(p, q) == pytest.approx(limit_va)


def test_over_the_limit_already_nothing_is_hoped_for() -> None:
    assert allowed_w(100_000, power_w=120_000, reactive=60_000, worst=0.9) == pytest.approx(80_000)


def test_a_reactive_power_that_cannot_be_counts_as_unknown() -> None:
    assert allowed_w(100_000, power_w=10_000, reactive=BELIEVED * 100_000 + 1, worst=0.9) == pytest.approx(90_000)


def test_reactive_power_is_taken_from_what_the_meter_tells() -> None:
    base = SiteReading(NOW, 30_000)
    assert reactive_var(base) is None
    assert reactive_var(replace(base, reactive_var=-4_000)) == 4_000
    assert reactive_var(replace(base, apparent_va=50_000)) == pytest.approx(40_000)
    assert reactive_var(replace(base, power_factor=-0.6)) == pytest.approx(40_000)
    assert reactive_var(replace(base, power_factor=0.0)) is None


def test_the_worst_of_the_last_minute_counts_in_steps() -> None:
    spec = replace(SPEC, transformer_va=200_000, worst_power_factor=0.95)
    seen = Apparent(spec)

    def value(reading: SiteReading | None, now: datetime) -> int:
        (found,) = seen.limits(reading, now)
        assert (found.source, found.set_by, found.scope) == (LimitSource.RATING, "transformer", ScopeKind.SITE)
        return found.value

    assert value(None, NOW) == 190_000  # nothing measured: the worst
    assert value(SiteReading(NOW, 50_000), NOW) == 190_000
    bad = value(SiteReading(NOW, 100_000, reactive_var=100_000), NOW)
    assert bad % (200_000 * STEP) == 0
    assert bad < 190_000
    later = NOW + timedelta(seconds=50)
    assert value(SiteReading(later, 190_000, reactive_var=1_000), later) == bad  # still within its minute
    assert value(None, NOW + timedelta(seconds=61)) > 195_000
    assert value(None, NOW + timedelta(seconds=200)) == 190_000  # silent: the worst again


def test_without_limits_in_va_nothing_changes() -> None:
    assert Apparent(SPEC).limits(SiteReading(NOW, 50_000, reactive_var=40_000), NOW) == ()


def test_a_fail_safe_limit_above_the_transformer_is_refused() -> None:
    with pytest.raises(InvalidValue, match="transformer"):
        replace(SPEC, transformer_va=100_000)
