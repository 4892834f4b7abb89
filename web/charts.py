"""Series -> geometry of a chart. Lines live in a box 1000 units wide that stretches; labels keep their size and sit
at per cent of the width (the reference's ``plotbox``). Pure; all coordinates are ready to stand in SVG attributes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from controller.readmodel import Chart, Point
from web import text

WIDTH = 1000.0


@dataclass(frozen=True, slots=True)
class Label:
    """A text at ``x`` (per cent of the width) and ``y`` (px). ``css``: classes."""

    x: float
    y: float
    text: str
    css: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """One cell of the price strip: per cent of the width; ``tone`` 0–1 is the opacity of its grey."""

    x: float
    width: float
    tone: float
    text: str


@dataclass(frozen=True, slots=True)
class Column:
    """A part of the width that leads somewhere: per cent of the width, address, words."""

    x: float
    width: float
    href: str
    title: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn chart. ``lines`` and ``areas``: (class, path). ``rules``: (class, x1, y1, x2, y2) in box units. ``columns``: links over the
    whole height, for the pointer; the keyboard has another way to the same places."""

    height: float
    grid: tuple[float, ...]
    areas: tuple[tuple[str, str], ...]
    lines: tuple[tuple[str, str], ...]
    rules: tuple[tuple[str, float, float, float, float], ...]
    labels: tuple[Label, ...]
    description: str
    bands: tuple[Band, ...] = ()
    bands_unit: str = ""
    columns: tuple[Column, ...] = ()


def nice_top(value: float, steps: int = 4) -> tuple[float, float]:
    """The least round (top, step) with ``steps`` steps that holds ``value``; (4, 1) for next to nothing."""
    if value < 0.001:
        return float(steps), 1.0
    raw = value / steps
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if m * magnitude >= raw * 0.9999)
    return step * steps, step


class Frame:
    """Maps (time, value) onto the box."""

    def __init__(self, start: datetime, stop: datetime, *, top: float, height: float) -> None:
        self.start, self.stop, self.top, self.height = start, stop, top, height
        self.span_s = max(1.0, (stop - start).total_seconds())

    def x(self, at: datetime) -> float:
        return min(1.0, max(0.0, (at - self.start).total_seconds() / self.span_s)) * WIDTH

    def percent(self, at: datetime) -> float:
        return self.x(at) / WIDTH * 100

    def y(self, value: float) -> float:
        return self.height * (1 - min(1.0, max(0.0, value / self.top)))

    def steps(self, points: Sequence[Point], until: datetime) -> str:
        """A staircase path through ``points``, the last step drawn to ``until``; "" without points."""
        seen = [p for p in points if p.at < self.stop]
        if not seen:
            return ""
        parts = [f"M{short(self.x(seen[0].at))} {short(self.y(seen[0].value))}"]
        last = short(self.y(seen[0].value))
        for point in seen[1:]:
            y = short(self.y(point.value))
            if y != last:
                parts.append(f"H{short(self.x(point.at))}V{y}")
                last = y
        parts.append(f"H{short(self.x(until))}")
        return "".join(parts)

    def slope(self, points: Sequence[Point]) -> str:
        """A straight-line path through ``points``."""
        return "M" + "L".join(f"{short(self.x(p.at))} {short(self.y(p.value))}" for p in points) if points else ""


def short(value: float) -> str:
    """A coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def time_labels(frame: Frame, clock: text.DepotTime, *, every_h: float, y: float) -> list[Label]:
    """Labels at local times that are multiples of ``every_h``; every second one is left out on phones."""
    labels: list[Label] = []
    step = timedelta(hours=every_h)
    local = clock.local(frame.start)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + step * math.ceil((local - midnight) / step)
    while at <= frame.stop:
        css = "mid lbl-dim"
        if round((at - midnight) / step) % 2:
            css += " hide-phone"
        labels.append(Label(frame.percent(at), y, at.strftime("%H:%M"), css))
        at = at + step
    return labels


def midnights(frame: Frame, clock: text.DepotTime) -> list[datetime]:
    """The local midnights within the frame."""
    at = clock.local(frame.start).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    found = []
    while at < frame.stop:
        found.append(at)
        at += timedelta(days=1)
    return found


def site_chart(chart: Chart, now: datetime, *, clock: text.DepotTime, currency: str, height: float = 226) -> Plot:
    """The 24 hours of *Now*: measured area, dashed plan, limit with the hatched forbidden area above, price strip."""
    peak = max((p.value for series in (chart.measured, chart.plan, chart.limit) for p in series), default=0.0)
    top, step = nice_top(peak * 1.02 / 1000)
    frame = Frame(chart.start, chart.stop, top=top * 1000, height=height)
    now_x = frame.x(now)
    areas: list[tuple[str, str]] = []
    lines: list[tuple[str, str]] = []
    limit = frame.steps(chart.limit, chart.stop)
    measured = frame.steps(thin(chart.measured, most=480), now)
    if limit:
        areas.append(("f-hatch", f"{limit}V0H{short(frame.x(chart.limit[0].at))}Z"))
    if measured:
        areas.append(("area-live", f"{measured}V{short(height)}H{short(frame.x(chart.measured[0].at))}Z"))
    lines += [
        (css, path)
        for css, path in (("l-plan", frame.steps(chart.plan, _plan_end(chart))), ("l-live", measured), ("l-limit", limit))
        if path
    ]
    labels = [Label(0, frame.y(k * step * 1000) + 4, text.number(k * step, 0 if step >= 1 else 2), "end lbl-dim axis") for k in range(5)]
    labels += time_labels(frame, clock, every_h=3, y=height + 17)
    labels += _limit_labels(frame, chart, now)
    rules = [("l-now", now_x, -8.0, now_x, height)]
    if chart.start <= now < chart.stop:
        late = now_x > WIDTH * 0.85
        labels.append(
            Label(now_x / 10 + (-0.4 if late else 0.4), -2, f"now {clock.local(now):%H:%M}", "lbl-strong" + (" end" if late else ""))
        )
    for midnight in midnights(frame, clock):
        x = frame.x(midnight)
        rules.append(("l-axis", x, height - 18, x, height))
        labels.append(Label(x / 10 + 0.4, height - 6, midnight.strftime("%a %-d"), "lbl-dim"))
    now_w = chart.measured[-1].value if chart.measured else None
    limit_w = next((p.value for p in reversed(chart.limit) if p.at <= now), None)
    best = max(chart.plan, key=lambda p: p.value, default=None)
    description = f"Site power: {text.kw(now_w)} kW now, limit {text.kw(limit_w)} kW"
    if best is not None:
        description += f"; the plan's peak is {text.kw(best.value)} kW at {clock.clock(best.at)}"
    return Plot(
        height,
        tuple(frame.y(k * step * 1000) for k in range(5)),
        tuple(areas),
        tuple(lines),
        tuple(rules),
        tuple(labels),
        description,
        price_bands(frame, chart.price),
        f"{text.currency_symbol(currency).strip()}/kWh",
    )


def _plan_end(chart: Chart) -> datetime:
    """A plan ends one slot after its last step begins; its slot is seen from the two last steps."""
    if len(chart.plan) < 3:
        return chart.stop
    return min(chart.stop, chart.plan[-1].at + (chart.plan[-1].at - chart.plan[-2].at))


def _limit_labels(frame: Frame, chart: Chart, now: datetime) -> list[Label]:
    """The limit's value at the start and at each change that leaves room for the words."""
    labels: list[Label] = []
    ends = [*(p.at for p in chart.limit[1:]), chart.stop][: len(chart.limit)]
    shown: float | None = None
    now_x = frame.x(now)
    free_from = 0.0
    for point, end in zip(chart.limit, ends, strict=True):
        x, width = frame.x(point.at), frame.x(end) - frame.x(point.at)
        if point.value == shown or width < 30 or x < free_from:
            continue
        if x <= now_x < x + 70:
            x = now_x
        y = frame.y(point.value)
        words = f"limit {text.kw(point.value)}" if shown is None else text.kw(point.value)
        labels.append(Label(x / 10 + 0.5, y - 6 if y > 22 else y + 16, words, "lbl-strong" + (" hide-phone" if shown is not None else "")))
        shown, free_from = point.value, x + 75
    return labels


def price_bands(frame: Frame, price: Sequence[Point]) -> tuple[Band, ...]:
    """Equal neighbours are one cell; the dearest is the darkest; a cell too narrow for its number stays without."""
    merged: list[Point] = []
    for point in price:
        if point.at < frame.stop and (not merged or merged[-1].value != point.value):
            merged.append(point)
    if not merged:
        return ()
    low, high = min(p.value for p in merged), max(p.value for p in merged)
    bands = []
    for point, end in zip(merged, [p.at for p in merged[1:]] + [frame.stop], strict=True):
        x = frame.percent(max(point.at, frame.start))
        width = frame.percent(end) - x
        if width <= 0:
            continue
        tone = 0.18 if high == low else 0.09 + 0.29 * (point.value - low) / (high - low)
        gap = min(0.15, 0.1 * width)
        bands.append(Band(round(x, 3), round(width - gap, 3), round(tone, 2), f"{point.value:.2f}" if width >= 7 else ""))
    return tuple(bands)


def session_chart(
    power: Sequence[Point],
    soc: Sequence[Point],
    *,
    rated_w: int,
    now: datetime,
    due: datetime | None,
    ready: Point | None,
    clock: text.DepotTime,
    height: float = 166,
) -> Plot | None:
    """Power and charge of one connector, from its first point to the departure. ``ready``: when the wanted charge is
    expected. None without points."""
    points = [*power, *soc]
    if not points:
        return None
    start = min(p.at for p in points)
    ahead = [moment for moment in (due, ready.at if ready is not None else None) if moment is not None]
    stop = max([now, *(moment for moment in ahead if moment - now < timedelta(hours=16))])
    stop = max(stop, start + timedelta(minutes=10)) + (stop - start) * 0.04
    top, step = nice_top(max(rated_w, *(p.value for p in power), 1) / 1000)
    frame = Frame(start, stop, top=top * 1000, height=height)
    measured = frame.steps(thin(power, most=480), now)
    fraction = Frame(start, stop, top=1.0, height=height)
    charge = fraction.slope(soc)
    expected = fraction.slope([Point(now, soc[-1].value), ready]) if soc and ready is not None and now < ready.at < stop else ""
    areas = [("area-live", f"{measured}V{short(height)}H{short(frame.x(power[0].at))}Z")] if measured else []
    lines = [(css, path) for css, path in (("l-live", measured), ("l-solid", charge), ("l-plan", expected)) if path]
    labels = [
        Label(0, frame.y(k * step * 1000) + 4, text.number(k * step, 0 if step == int(step) else 1), "end lbl-dim axis") for k in range(5)
    ]
    hours = (stop - start).total_seconds() / 3600
    every = next((h for h in (0.25, 0.5, 1, 2, 3, 6) if hours / h <= 8), 12)
    labels += time_labels(frame, clock, every_h=every, y=height + 17)
    now_x = frame.x(now)
    rules = [("l-now", now_x, -8.0, now_x, height)]
    if now_x > 40:
        labels.append(Label(now_x / 10 - 0.5, -2, "now", "lbl-strong end hide-phone"))
    if due is not None and start < due < stop:
        due_x = frame.x(due)
        rules.append(("l-due", due_x, -8.0, due_x, height))
        labels.append(Label(due_x / 10 - 0.5, -2, f"due {clock.clock(due)}", "lbl-strong end"))
    if soc:
        y = height * (1 - soc[-1].value)
        labels.append(
            Label(frame.percent(soc[-1].at) - 0.8, y - 8 if y > 24 else y + 18, f"charge {text.percent(soc[-1].value)} %", "lbl-strong end")
        )
    peak = max(power, key=lambda p: p.value, default=None)
    if peak is not None and peak.value > 0:
        x = frame.percent(peak.at)
        labels.append(Label(min(x + 0.6, 88), max(12.0, frame.y(peak.value) + 16), f"{text.kw(peak.value)} kW", "lbl-live"))
    description = f"Power and charge since {clock.clock(start)}"
    if power:
        description += f": {text.kw(power[-1].value)} kW now"
    if soc:
        description += f", {text.percent(soc[-1].value)} % charged"
    return Plot(
        height, tuple(frame.y(k * step * 1000) for k in range(5)), tuple(areas), tuple(lines), tuple(rules), tuple(labels), description
    )


def thin(points: Sequence[Point], *, most: int) -> list[Point]:
    """At most ``most`` points, each the one with the largest value of its stretch: peaks are kept."""
    if len(points) <= most:
        return list(points)
    size = math.ceil(len(points) / most)
    bounds = [*range(0, len(points), size), len(points)]
    return [max(points[a:b], key=lambda p: p.value) for a, b in pairwise(bounds)]


def block_chart(
    blocks: Sequence[Point],
    *,
    running: tuple[datetime, int | None],
    ends_at: datetime,
    highest_w: int,
    clock: text.DepotTime,
    height: float = 226,
) -> Plot | None:
    """Demand blocks as bars, the running one as what it will come to, and the highest as a line. None without any."""
    begins_at, expected_w = running
    bars = [*blocks, *([Point(begins_at, float(expected_w))] if expected_w is not None else [])]
    if not bars:
        return None
    block = ends_at - begins_at
    start = min(bars[0].at, ends_at - 8 * block)  # a few bars are not stretched over the whole width
    top, step = nice_top(max(highest_w, *(max(0.0, bar.value) for bar in bars), 1) * 1.02 / 1000)
    frame = Frame(start, ends_at, top=top * 1000, height=height)
    gap = min(2.0, (frame.x(start + block) - frame.x(start)) * 0.06)
    areas = []
    for bar in bars:
        x1, x2 = frame.x(bar.at) + gap, frame.x(bar.at + block) - gap
        css = "f-live" if bar.at == begins_at else "bar-idle"
        areas.append((css, f"M{short(x1)} {short(height)}V{short(frame.y(bar.value))}H{short(x2)}V{short(height)}Z"))
    labels = [Label(0, frame.y(k * step * 1000) + 4, text.number(k * step, 0 if step >= 1 else 2), "end lbl-dim axis") for k in range(5)]
    hours = (ends_at - start).total_seconds() / 3600
    every = next((h for h in (0.5, 1, 2, 3, 6) if hours / h <= 5), 12)
    labels += [label for label in time_labels(frame, clock, every_h=every, y=height + 17) if 3 <= label.x <= 97]
    rules = []
    if highest_w:
        y = frame.y(highest_w)
        rules.append(("l-limit", 0.0, y, WIDTH, y))
        labels.append(Label(1.0, y - 6 if y > 22 else y + 16, f"highest {text.kw(highest_w)}", "lbl-strong"))
    words = f"Demand blocks since {clock.clock(start)}; the running one is expected to reach {text.kw(expected_w)} kW"
    grid = tuple(frame.y(k * step * 1000) for k in range(5))
    return Plot(height, grid, tuple(areas), (), tuple(rules), tuple(labels), words)
