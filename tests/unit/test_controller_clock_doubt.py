"""When the machine's clock is suspect, what that means for the site, and how it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from small_yard import NOW, SmallYard

from controller.alarms import KINDS
from controller.clock_doubt import BUILT, ClockReading, Doubt, Verdict, doubts, judged, widened
from controller.clock_watch import ClockWatch
from controller.failsafe_view import of_clock
from controller.limits import binding
from controller.timesync import synchronised
from depot.values import Limit, LimitSource, ScopeKind

T0 = datetime(2026, 12, 1, 6, tzinfo=UTC)


def reading(off_s: float = 0.0, *, at_s: float = 0.0, **more: object) -> ClockReading:
    depot = T0 + timedelta(seconds=at_s)
    return ClockReading(wall=depot + timedelta(seconds=off_s), depot=depot, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (reading(), ()),
        (reading(29), ()),
        (reading(31), (Doubt.SET,)),
        (reading(-31, synchronised=False), (Doubt.SET,)),
        (reading(31, synchronised=True), ()),  # it is right now, and depot time catches up
        (reading(301, synchronised=True), (Doubt.FAR,)),
        (ClockReading(wall=BUILT - timedelta(days=1), depot=BUILT - timedelta(days=1)), (Doubt.BEFORE_BUILT,)),
        (reading(newest_record=T0 + timedelta(hours=1)), (Doubt.BEFORE_RECORDS,)),
        (reading(newest_record=T0 + timedelta(hours=1), synchronised=True), ()),
        (reading(newest_record=T0 - timedelta(hours=1)), ()),
        (reading(stations_s=(300, 310, 305, 0)), (Doubt.STATIONS,)),
        (reading(stations_s=(300, 310)), ()),  # two are no majority
        (reading(stations_s=(300, 310, 305, 0, 0, 0)), ()),
        (reading(stations_s=(300, -4000, 9000)), ()),  # they agree on nothing
        (reading(stations_s=(19_790, 19_800, 19_810)), ()),  # local time of India taken for UTC
        (reading(synchronised=False), ()),
    ],
)
def test_what_speaks_against_a_clock(given: ClockReading, found: tuple[Doubt, ...]) -> None:
    assert doubts(given) == found


def test_a_site_may_insist_on_a_synchronised_clock() -> None:
    assert doubts(reading(synchronised=False), must_sync=True) == (Doubt.UNSYNCHRONISED,)
    assert doubts(reading(synchronised=None), must_sync=True) == ()
    assert doubts(reading(synchronised=True), must_sync=True) == ()


def test_a_doubt_counts_at_once_and_ends_after_a_minute_without_any() -> None:
    found = judged(Verdict(), reading(60, at_s=0))
    assert found.suspect
    assert found.since == T0
    found = judged(found, reading(0, at_s=10))
    found = judged(found, reading(0, at_s=69))
    assert found.suspect
    assert judged(found, reading(60, at_s=69.5)).calm_since is None
    assert not judged(found, reading(0, at_s=70)).suspect


def test_limits_by_both_clocks_are_the_tighter_of_both() -> None:
    event = Limit("event", ScopeKind.SITE, 100, LimitSource.SCHEDULE, T0 + timedelta(seconds=100), until=T0 + timedelta(seconds=200))
    (by_both,) = widened([event], 60.0)
    assert (by_both.from_, by_both.until) == (T0 + timedelta(seconds=40), T0 + timedelta(seconds=200))
    (by_both,) = widened([event], -60.0)
    assert (by_both.from_, by_both.until) == (T0 + timedelta(seconds=100), T0 + timedelta(seconds=260))


def test_a_suspect_clock_holds_the_site_raises_its_alarm_and_lets_go() -> None:
    small = SmallYard()
    off_s = 0.0

    def read() -> ClockReading:
        now = small.clock.now() + timedelta(days=365)  # after the program was built
        return ClockReading(wall=now + timedelta(seconds=off_s), depot=now)

    watch = ClockWatch(small.yard, small.loop, read)
    assert (watch.limits(NOW), watch.conditions(NOW), of_clock(watch.verdict, 1)) == ((), (), None)
    off_s = 3600.0
    watch.look()
    failsafe_w = small.yard.spec.failsafe_w
    holds = binding(small.loop.limits_in_force(), "", small.clock.now())
    assert holds is not None
    assert (holds.value, holds.source) == (failsafe_w, LimitSource.FAILSAFE)
    assert "suspect" in holds.reason
    (condition,) = watch.conditions(NOW)
    assert condition.kind in KINDS
    assert "nothing charges" in condition.action
    view = of_clock(watch.verdict, failsafe_w)
    assert view is not None
    assert (view.cause, view.limit_w, view.until) == ("clock", failsafe_w, None)
    assert small.loop.clock_off_s == 3600.0
    off_s = 0.0
    watch.look()
    small.clock.at += timedelta(seconds=61)
    watch.look()
    assert watch.limits(small.clock.now()) == ()
    assert small.loop.clock_off_s == 0.0


def test_the_system_is_asked_and_says_yes_no_or_nothing() -> None:
    assert synchronised() in (True, False, None)
