"""The charger's clock (reference no. 10): doubted, measured, told in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from ocpp_fakes import depot_spec

from depot.values import ConnectorId
from ocpp_server.heard import readings
from ocpp_server.meter_values import Sample
from ocpp_server.skew import ChargerClock, parse_time, wire_time
from ocpp_server.station import Station

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-03-01T12:00:00Z", NOW),
        ("2026-03-01T12:00:00.000Z", NOW),
        ("2026-03-01T17:30:00+05:30", NOW),
        ("2026-03-01T12:00:00", NOW),
        (" 2026-03-01 12:00:00Z ", NOW),
        ("2026-03-01T12:00:00.123456789Z", NOW + timedelta(microseconds=123456)),
        ("1970-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1772366400, None),
    ],
)
def test_problem_10_times_are_read_as_utc_and_impossible_ones_are_none(text: object, wanted: datetime | None) -> None:
    assert parse_time(text) == wanted


def test_problem_10_we_always_say_utc_with_milliseconds_and_z() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=5, minutes=30))) + timedelta(microseconds=123456)
    assert wire_time(local) == "2026-03-01T12:00:00.123Z"


def heard(clock: ChargerClock, *, every_s: float, behind: timedelta, times: int = 3) -> None:
    for n in range(times):
        now = NOW + timedelta(seconds=n * every_s)
        clock.observe(now - behind, now)


def test_three_messages_that_agree_over_time_are_a_slow_clock() -> None:
    clock = ChargerClock()
    heard(clock, every_s=60, behind=DAY)
    assert clock.skew == -DAY
    assert clock.age_s(NOW - DAY, NOW) == 0


def test_problem_07_a_queue_that_is_emptied_in_a_burst_is_no_clock() -> None:
    clock = ChargerClock()
    for n in range(50):
        clock.observe(NOW - DAY + timedelta(minutes=n), NOW + timedelta(milliseconds=10 * n))
    assert clock.skew == timedelta()
    assert clock.age_s(NOW - DAY, NOW) == DAY.total_seconds()


def test_messages_that_do_not_agree_say_nothing() -> None:
    clock = ChargerClock()
    for n in range(6):
        now = NOW + timedelta(seconds=60 * n)
        clock.observe(now - timedelta(hours=n), now)
    assert clock.skew == timedelta()


def test_an_answer_to_our_own_trigger_tells_the_clock_at_once() -> None:
    clock = ChargerClock()
    clock.observe(NOW + DAY, NOW, live=True)
    assert clock.skew == DAY


def test_the_least_delayed_message_tells_the_clock_best() -> None:
    clock = ChargerClock()
    for n, delay in enumerate((4.0, 0.5, 2.0)):
        now = NOW + timedelta(seconds=30 * n)
        clock.observe(now - timedelta(seconds=delay), now)
    assert clock.skew == timedelta(seconds=-0.5)


def test_a_boot_sets_its_clock() -> None:
    clock = ChargerClock()
    heard(clock, every_s=60, behind=DAY)
    clock.set_by_us()
    assert clock.skew == timedelta()


def test_fault_04_a_value_that_we_asked_for_and_that_was_held_up_is_old_and_sets_no_clock() -> None:
    """It waits in its station behind a call that a frozen journal does not let us answer."""
    station = Station(depot_spec().stations[0], known_probe=None, now=NOW)

    def waited(taken: datetime, came: datetime) -> float:
        sample = Sample(taken, "Trigger", power_w=3_400.0)
        (found,) = readings(station, ConnectorId("CP1", 1), [sample], transaction_id=1, now=came, replay_age_s=120.0)
        return found.waited_s

    assert waited(NOW, NOW) == 0.0
    assert waited(NOW + timedelta(seconds=60), NOW + timedelta(seconds=68)) == pytest.approx(8.0)
    assert station.clock.skew == timedelta()
    assert waited(NOW + timedelta(seconds=70), NOW + timedelta(seconds=70.4)) == pytest.approx(0.0)
