"""Estimates of a pack over time, each with its interval, as geometry. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from controller.health_view import HealthEstimate
from controller.readmodel import Point
from web import charts, text

HEIGHT = 186.0
_LEAST_SPAN = timedelta(days=14)


def health_plot(
    estimates: Sequence[HealthEstimate], *, clock: text.DepotTime, scale: float, unit: str, what: str, mark: tuple[float, str] | None = None
) -> charts.Plot | None:
    """Values with bars for their intervals. ``scale``: shown per unit of value (100 for per cent); ``mark``: a level and its words.
    None without an estimate."""
    found = [one for one in estimates if one.value is not None and one.low is not None and one.high is not None]
    if not found:
        return None
    low = min(scale * one.low for one in found if one.low is not None)
    top = max(scale * one.high for one in found if one.high is not None)
    if mark is not None:
        low, top = min(low, mark[0]), max(top, mark[0])
    _, step = charts.nice_top(max(top - low, 1e-6) * 1.15)
    base = math.floor(low / step) * step
    steps = max(1, math.ceil((top - base) / step))
    start, stop = found[0].until, found[-1].until
    middle = start + (stop - start) / 2
    half = max((stop - start) * 0.55, _LEAST_SPAN / 2)
    frame = charts.Frame(middle - half, middle + half, top=steps * step, height=HEIGHT)
    band = [
        *(Point(one.until, scale * one.low - base) for one in found if one.low is not None),
        *(Point(one.until, scale * one.high - base) for one in reversed(found) if one.high is not None),
    ]
    line = [Point(one.until, scale * one.value - base) for one in found if one.value is not None]
    rules = []
    for one in found:
        assert one.low is not None
        assert one.high is not None
        x = frame.x(one.until)
        rules.append(("l-dim", x, frame.y(scale * one.low - base), x, frame.y(scale * one.high - base)))
    labels = [
        charts.Label(0, HEIGHT - k * HEIGHT / steps + 4, text.number(base + k * step, 0 if step >= 1 else 1), "end lbl-dim axis")
        for k in range(steps + 1)
    ]
    for share, css in ((0.0, "lbl-dim"), (0.5, "mid lbl-dim"), (1.0, "end lbl-dim")):
        labels.append(charts.Label(share * 100, HEIGHT + 17, f"{clock.local(middle - half + 2 * half * share):%-d %b %Y}", css))
    if mark is not None:
        y = frame.y(mark[0] - base)
        rules.append(("l-limit", 0.0, y, charts.WIDTH, y))
        labels.append(charts.Label(1.0, y - 6, mark[1], "lbl-strong"))
    last = found[-1]
    assert last.value is not None
    said = f"{text.number(scale * last.value, 1)} {unit}"
    x, y = frame.percent(last.until), frame.y(scale * last.value - base)
    labels.append(charts.Label(x - 1.0 if x > 50 else x + 1.0, max(10.0, y - 8), said, "lbl-strong" + (" end" if x > 50 else "")))
    areas = (("area-band", frame.slope(band) + "Z"),) if len(found) > 1 else ()
    return charts.Plot(
        HEIGHT,
        tuple(HEIGHT - k * HEIGHT / steps for k in range(steps + 1)),
        areas,
        (("l-solid", frame.slope(line)),),
        tuple(rules),
        tuple(labels),
        f"{what}: {len(found)} estimates with their intervals, the newest {said}",
    )


def ica_plot(details: Sequence[Mapping[str, Any]]) -> charts.Plot | None:
    """dQ/dV over the voltage of the mean cell, of the newest charge and, thinner, of the oldest. ``details``: of charges, the newest
    first. None where the newest has no curve."""
    found = [detail["ica"] for detail in details if "ica" in detail]
    if not details or "ica" not in details[0]:
        return None
    low, high = min(min(one["cell_v"]) for one in found), max(max(one["cell_v"]) for one in found)
    top, step = charts.nice_top(max(max(one["ah_per_v"]) for one in found) * 1.05)

    def path(one: Mapping[str, Any]) -> str:
        points = [
            f"{charts.short((volts - low) / max(high - low, 1e-6) * charts.WIDTH)} {charts.short(HEIGHT * (1 - value / top))}"
            for volts, value in zip(one["cell_v"], one["ah_per_v"], strict=True)
        ]
        return "M" + "L".join(points)

    labels = [
        charts.Label(0, HEIGHT * (1 - k * step / top) + 4, text.number(k * step, 0 if step >= 1 else 1), "end lbl-dim axis")
        for k in range(5)
    ]
    for share, css in ((0.0, "lbl-dim"), (0.5, "mid lbl-dim"), (1.0, "end lbl-dim")):
        labels.append(charts.Label(share * 100, HEIGHT + 17, f"{low + share * (high - low):.2f} V", css))
    lines = [("l-dim", path(one)) for one in found[1:]] + [("l-solid", path(found[0]))]
    peaks = ", ".join(f"{volts:.3f} V" for volts in found[0]["peaks_v"]) or "none"
    grid = tuple(HEIGHT * (1 - k * step / top) for k in range(5))
    return charts.Plot(HEIGHT, grid, (), tuple(lines), (), tuple(labels), f"Incremental capacity of the newest charge, peaks: {peaks}")
