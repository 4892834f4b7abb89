"""A battery's temperatures over the last half hour, as geometry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from controller.readmodel import Point
from controller.safety_view import Degrees
from web import charts, text

HEIGHT = 186.0


def temperature_plot(
    curve: Sequence[Degrees], *, trip_c: float, since: datetime | None, now: datetime, clock: text.DepotTime
) -> charts.Plot | None:
    """Hottest and coldest sensor, with the limit and, where it tripped, the moment ``since`` which. None without two points."""
    if len(curve) < 2:
        return None
    start = curve[0].at
    stop = max(now, curve[-1].at, start + timedelta(minutes=5))
    values = [trip_c, *(p.hottest_c for p in curve), *(p.coldest_c for p in curve)]
    low = min(values) // 10 * 10
    top = -(-(max(values) + 2) // 10) * 10
    steps = int((top - low) // 10)
    step = 10 if steps <= 6 else 20
    frame = charts.Frame(start, stop, top=top - low, height=HEIGHT)
    hottest = frame.slope([Point(p.at, p.hottest_c - low) for p in curve])
    coldest = frame.slope([Point(p.at, p.coldest_c - low) for p in curve])
    limit_y = frame.y(trip_c - low)
    grid = [float(c) for c in range(int(low), int(top) + 1, step)]
    labels = [charts.Label(0, frame.y(c - low) + 4, f"{c:g}", "end lbl-dim axis") for c in grid]
    span = stop - start
    for share, css in ((0.0, "lbl-dim"), (0.5, "mid lbl-dim"), (1.0, "end lbl-dim")):
        labels.append(charts.Label(share * 100, HEIGHT + 17, clock.seconds(start + span * share), css))
    labels.append(charts.Label(1.0, limit_y - 6, f"trip at {trip_c:g} °C", "lbl-strong"))
    last = curve[-1]
    hottest_y, coldest_y = frame.y(last.hottest_c - low), frame.y(last.coldest_c - low)
    above_y = max(10.0, hottest_y - 8)
    clear = abs(above_y - 4 - limit_y) > 12
    labels.append(charts.Label(99.0, above_y if clear else hottest_y + 18, f"hottest {last.hottest_c:.1f} °C", "end lbl-alarm"))
    labels.append(charts.Label(99.0, coldest_y + 18, f"coldest {last.coldest_c:.1f} °C", "end lbl-dim"))
    rules = [("l-limit", 0.0, limit_y, charts.WIDTH, limit_y)]
    if since is not None and start < since < stop:
        x = frame.x(since)
        rules.append(("l-now", x, -8.0, x, HEIGHT))
        labels.append(charts.Label(x / 10, -2, f"trip {clock.seconds(since)}", "lbl-strong end" if x > 200 else "lbl-strong"))
    description = f"Cell temperatures since {clock.seconds(start)}: hottest now {last.hottest_c:.1f} °C, the limit is {trip_c:g} °C"
    lines = (("l-solid", coldest), ("l-alarm", hottest))
    return charts.Plot(HEIGHT, tuple(frame.y(c - low) for c in grid), (), lines, tuple(rules), tuple(labels), description)
