"""State of charge over days: a line that ends where nothing was heard, its own system's beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from controller.health_view import ChargePoint
from web import text
from web.charge_plot import charge_plot

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def point(minutes: float, soc: float | None, bms: float | None) -> ChargePoint:
    low, high = (None, None) if soc is None else (soc - 0.05, soc + 0.05)
    return ChargePoint(NOON + timedelta(minutes=minutes), soc, low, high, bms)


def test_lines_end_where_nothing_was_heard() -> None:
    clock = text.DepotTime("Asia/Kolkata", NOON)
    past = [point(0, 0.5, 0.5), point(15, 0.52, 0.6), point(30, None, 0.6), point(300, 0.8, None), point(315, 0.82, 0.8)]
    plot = charge_plot(past, clock)
    assert plot is not None
    assert [css for css, _ in plot.lines] == ["l-dim", "l-dim", "l-solid", "l-solid"]
    assert len(plot.areas) == 2
    assert "4 of 5 quarters of an hour with an estimate; what its own system said lay outside of the interval in 1 of 3" in plot.description
    assert plot.labels[-1].text == "22 Nov 22:45"


def test_too_little_is_no_chart_and_old_points_are_left_out() -> None:
    clock = text.DepotTime("Asia/Kolkata", NOON)
    assert charge_plot([], clock) is None
    assert charge_plot([point(0, 0.5, 0.5)], clock) is None
    assert charge_plot([point(-60 * 24 * 6, 0.5, 0.5), point(0, 0.5, 0.5)], clock) is None
