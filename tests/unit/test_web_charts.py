"""Geometry: everything drawn stays in its box, peaks survive thinning, cells of the price strip fill the width."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from fake_depot import NOW, sample
from hypothesis import example, given
from hypothesis import strategies as st

from controller.readmodel import Chart, Point
from web import charts, text

START = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
CLOCK = text.DepotTime("Asia/Kolkata", START + timedelta(hours=12))
values = st.floats(0, 5e7)
series = st.lists(st.tuples(st.integers(0, 24 * 60 - 1), values), max_size=10).map(
    lambda rows: [Point(START + timedelta(minutes=m), v) for m, v in sorted(dict(rows).items())]
)


@given(st.floats(0, 1e9))
def test_the_axis_holds_the_value_and_has_round_steps(value: float) -> None:
    top, step = charts.nice_top(value)
    assert top >= value * 0.999
    assert abs(top - 4 * step) < top * 1e-9


@given(series, series, series, series)
@example([], [], [], [Point(START + timedelta(minutes=1430 + i), float(i)) for i in range(10)])
@example([], [], [], [Point(START, 1.0), Point(START + timedelta(minutes=1), 2.0), Point(START + timedelta(minutes=2), 3.0)])
def test_every_coordinate_lies_in_the_box(measured: list[Point], plan: list[Point], limit: list[Point], price: list[Point]) -> None:
    chart = Chart(start=START, stop=START + timedelta(hours=24), measured=measured, plan=plan, limit=limit, price=price)
    plot = charts.site_chart(chart, CLOCK.now, clock=CLOCK, currency="INR")
    for _, path in (*plot.areas, *plot.lines):
        for command, number in re.findall(r"([MLHV ])(-?[\d.]+)", path):
            assert 0 <= float(number) <= (1000 if command in "MH" else plot.height)
    for label in plot.labels:
        assert 0 <= label.x <= 101
        assert -10 <= label.y <= plot.height + 20
    if plot.bands:
        covered = sum(band.width for band in plot.bands) / (100 - plot.bands[0].x)
        assert 0.89 <= covered <= 1.001
        assert all(b.x >= a.x + a.width - 0.002 for a, b in pairwise(plot.bands))


def test_the_sample_night_reads_as_it_is() -> None:
    view = sample()
    plot = charts.site_chart(view.chart, NOW, clock=text.DepotTime(view.timezone, view.at), currency="INR")
    words = [label.text for label in plot.labels]
    assert {"limit 500", "450", "500", "now 01:12", "Sat 21", "12:00", "21:00", "600"} <= set(words)
    assert [band.text for band in plot.bands] == ["5.10", "9.20", "6.40", "8.10", "5.10"]
    assert plot.bands_unit == "₹/kWh"
    assert "limit 450 kW" in plot.description


def test_an_empty_chart_is_a_frame_without_lines() -> None:
    chart = Chart(start=START, stop=START + timedelta(hours=24), measured=[], plan=[], limit=[], price=[])
    plot = charts.site_chart(chart, START, clock=CLOCK, currency="INR")
    assert plot.lines == ()
    assert "? kW now" in plot.description


@given(st.lists(values, min_size=1, max_size=300))
def test_thinning_keeps_the_peak(loads: list[float]) -> None:
    points = [Point(START + timedelta(seconds=k), v) for k, v in enumerate(loads)]
    thinned = charts.thin(points, most=20)
    assert len(thinned) <= 21
    assert max(p.value for p in thinned) == max(loads)


def test_a_session_without_readings_has_no_chart() -> None:
    assert charts.session_chart([], [], rated_w=50_000, now=START, due=None, ready=None, clock=CLOCK) is None
