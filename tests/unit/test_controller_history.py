"""Minute means, demand block, energy and cost of a night, a session's curve and price."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from controller.history import History, Minute
from depot.values import ConnectorId

NOW = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)  # 22:00 in Pune
KEY = ConnectorId("CP-1", 1)


def history(price: float = 6.0) -> History:
    return History(ZoneInfo("Asia/Kolkata"), 30, lambda at: price)


def feed(h: History, start: datetime, seconds: int, *, site_w: int | None = 100_000, charging_w: int = 60_000, step: int = 1) -> datetime:
    for k in range(0, seconds + 1, step):
        at = start + timedelta(seconds=k)
        h.second(at, site_w=site_w, charging_w=charging_w, background_w=40_000, limit_w=200_000, plan_w=None)
    return start + timedelta(seconds=seconds)


def test_minutes_are_means_and_a_minute_without_the_meter_is_unknown() -> None:
    h, told = history(), list[Minute]()
    h.on_minute = told.append
    end = feed(h, NOW, 60)
    feed(h, end, 60, site_w=None)
    assert [m.at for m in told] == [NOW, NOW + timedelta(minutes=1)]
    assert told[0].site_w == 100_000
    assert told[0].limit_w == 200_000


def test_energy_and_cost_add_up_and_begin_anew_at_noon() -> None:
    h = history()
    feed(h, NOW, 3600, step=10)
    assert round(h.energy_wh) == 60_000
    assert round(h.cost, 2) == 360.0
    assert h.counted_since == NOW
    midnight = NOW + timedelta(hours=3)
    feed(h, midnight, 0)
    assert h.counted_since == NOW
    noon = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
    feed(h, noon + timedelta(seconds=1), 0)
    assert h.counted_since == noon
    assert h.energy_wh < 2_100  # at most the two minutes that a gap counts


def test_the_running_demand_block_expects_the_power_to_stay() -> None:
    h = history()
    end = feed(h, NOW, 900)
    assert h.block_start(end) == NOW
    assert h.block_expected_w(end, 100_000) == 100_000
    assert h.block_expected_w(end, 0) == 50_000
    assert h.block_expected_w(end, None) is None


def test_the_peak_is_the_highest_whole_block() -> None:
    h = history()
    end = feed(h, NOW, 1_800, step=10)
    feed(h, end, 1_810, site_w=20_000, step=10)
    assert abs(h.peak_w - 100_000) < 1_000


def test_a_session_costs_the_price_of_the_time_it_charged_at() -> None:
    h = History(ZoneInfo("Asia/Kolkata"), 30, lambda at: 9.0 if at < NOW else 6.0)
    h.session_point(KEY, NOW - timedelta(hours=1), 30_000, 0.2)
    h.session_point(KEY, NOW, 10_000, 0.4)
    assert h.session_price(KEY, NOW + timedelta(hours=1)) == (9.0 * 30 + 6.0 * 10) / 40
    assert h.session_price(ConnectorId("CP-2", 1), NOW) == 6.0


def test_a_curve_ends_with_its_session_and_goes_with_the_next() -> None:
    h = history()
    h.session_end(KEY, NOW)
    assert KEY not in h.sessions
    h.session_point(KEY, NOW, 30_000, 0.5)
    h.session_end(KEY, NOW + timedelta(minutes=5))
    assert h.sessions[KEY][-1] == (NOW + timedelta(minutes=5), 0, None)
    h.session_reset(KEY)
    assert KEY not in h.sessions
