"""The plan's picture as geometry: layers stacked on the site's own load, measured before now and planned after it, with the lines of
the site (measured, plan, limit) and the price strip. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from controller.plan_view import PlanLayer, PlanSlots, PlanView
from controller.readmodel import Point
from web import text
from web.charts import WIDTH, Column, Frame, Label, Plot, midnights, nice_top, price_bands, short, time_labels

HEIGHT = 306.0
LABEL_PX = 15.0
"""A layer at least this thick has room for its name."""

TONES = 3
"""Greys that follow each other in the stack."""


class Swatch(NamedTuple):
    """A layer in the key: its class, name, and energy."""

    css: str
    name: str
    energy: str


def slot_at(slots: PlanSlots, k: int) -> datetime:
    """Beginning of slot ``k``."""
    return slots.start + timedelta(seconds=k * slots.slot_s)


def frame_of(slots: PlanSlots, *, top: float, height: float) -> Frame:
    """The frame of the picture's slots."""
    return Frame(slots.start, slot_at(slots, len(slots.price)), top=top, height=height)


def layer_css(layers: Sequence[PlanLayer], n: int, chosen: str) -> str:
    """The class of the ``n``-th layer: greys in turn, the chosen one blue, the rest faint, a battery hatched."""
    layer = layers[n]
    if chosen and layer.name == chosen:
        return "layer sel"
    return {"rest": "layer rest", "battery": "layer battery"}.get(layer.kind, f"layer t{n % TONES}")


def stack_chart(
    view: PlanView, *, clock: text.DepotTime, chosen: str = "", slot: int | None = None, links: tuple[Column, ...] = ()
) -> Plot:
    """The picture. ``chosen``: the layer that is looked at; ``slot``: the slot that is; ``links``: slots that can be."""
    slots = view.slots
    base = [max(0, watts or 0) for watts in slots.background_w]
    stack = [base]
    for layer in view.layers:
        shown = [(layer.drawn_w[k] if k < slots.now else layer.planned_w[k]) for k in range(len(base))]
        stack.append([below + max(0, watts or 0) for below, watts in zip(stack[-1], shown, strict=True)])
    series = (slots.site_w, slots.plan_w, slots.limit_w)
    peak = max((value for values in (*series, stack[-1]) for value in values if value is not None), default=0)
    top, step = nice_top(peak * 1.02 / 1000)
    frame = frame_of(slots, top=top * 1000, height=HEIGHT)
    areas = [(css, path) for css, path in _areas(view, frame, stack, chosen) if path]
    limit = _line(frame, slots, slots.limit_w)
    if limit:
        areas.insert(0, ("f-hatch", _above(frame, slots)))
    lines = [
        (css, path)
        for css, path in (
            ("l-plan", _line(frame, slots, slots.plan_w)),
            ("l-live", _line(frame, slots, slots.site_w[: slots.now + 1], until=view.at)),
            ("l-limit", limit),
        )
        if path
    ]
    now_x = frame.x(view.at)
    rules = [("l-now", now_x, -8.0, now_x, HEIGHT)]
    labels = [Label(0, frame.y(k * step * 1000) + 4, text.number(k * step, 0 if step >= 1 else 2), "end lbl-dim axis") for k in range(5)]
    hours = frame.span_s / 3600
    labels += time_labels(frame, clock, every_h=3 if hours <= 30 else 6, y=HEIGHT + 17)
    late = now_x > WIDTH * 0.85
    words = f"now {clock.local(view.at):%H:%M}"
    labels.append(Label(now_x / 10 + (-0.4 if late else 0.4), -2, words, "lbl-strong end" if late else "lbl-strong"))
    for midnight in midnights(frame, clock):
        x = frame.x(midnight)
        rules.append(("l-axis", x, HEIGHT - 18, x, HEIGHT))
        labels.append(Label(x / 10 + 0.4, HEIGHT - 6, midnight.strftime("%a %-d"), "lbl-dim"))
    labels += _names(view, frame, stack)
    labels += _limits(frame, slots)
    if slot is not None:
        areas.append(("slot-sel", _column(frame, slots, slot)))
    price = [Point(slot_at(slots, k), value) for k, value in enumerate(slots.price)]
    unit = f"{text.currency_symbol(view.currency).strip()}/kWh"
    return Plot(
        HEIGHT,
        tuple(frame.y(k * step * 1000) for k in range(5)),
        tuple(areas),
        tuple(lines),
        tuple(rules),
        tuple(labels),
        _description(view, clock),
        price_bands(frame, price),
        unit,
        links,
    )


def swatches(view: PlanView, chosen: str) -> list[Swatch]:
    """The key of the stack, the topmost first."""
    found = [
        Swatch(layer_css(view.layers, n, chosen), layer_name(layer), f"{text.kwh(layer.energy_wh)} kWh")
        for n, layer in enumerate(view.layers)
    ]
    return [*reversed(found), Swatch("layer base", "site's own load", "")]


def layer_name(layer: PlanLayer) -> str:
    """What people call it."""
    if layer.kind == "rest":
        return f"{layer.members} others"
    if layer.kind == "battery":
        return f"battery {layer.name}"
    if layer.kind == "feeder":
        return layer.name if "feeder" in layer.name.lower() else f"Feeder {layer.name}" if layer.name else "no feeder"
    return layer.name


def _areas(view: PlanView, frame: Frame, stack: Sequence[Sequence[int]], chosen: str) -> Iterator[tuple[str, str]]:
    yield "layer base", _between(frame, view.slots, [0] * len(stack[0]), stack[0])
    for n in range(len(view.layers)):
        yield layer_css(view.layers, n, chosen), _between(frame, view.slots, stack[n], stack[n + 1])


def _between(frame: Frame, slots: PlanSlots, low: Sequence[int], high: Sequence[int]) -> str:
    """The area between two staircases, in pieces where it is not flat; "" where it is flat everywhere."""
    parts = []
    k, count = 0, len(low)
    while k < count:
        if high[k] <= low[k]:
            k += 1
            continue
        first = k
        while k < count and high[k] > low[k]:
            k += 1
        there = _stairs(frame, slots, high, first, k)
        back = _stairs_back(frame, slots, low, first, k)
        parts.append(f"M{there}{back}Z")
    return "".join(parts)


def _stairs(frame: Frame, slots: PlanSlots, values: Sequence[float], first: int, last: int) -> str:
    x, y = frame.x(slot_at(slots, first)), short(frame.y(values[first]))
    parts = [f"{short(x)} {y}"]
    for k in range(first + 1, last):
        level = short(frame.y(values[k]))
        if level != y:
            parts.append(f"H{short(frame.x(slot_at(slots, k)))}V{level}")
            y = level
    parts.append(f"H{short(frame.x(slot_at(slots, last)))}")
    return "".join(parts)


def _stairs_back(frame: Frame, slots: PlanSlots, values: Sequence[float], first: int, last: int) -> str:
    y = short(frame.y(values[last - 1]))
    parts = [f"V{y}"]
    for k in range(last - 2, first - 1, -1):
        level = short(frame.y(values[k]))
        if level != y:
            parts.append(f"H{short(frame.x(slot_at(slots, k + 1)))}V{level}")
            y = level
    parts.append(f"H{short(frame.x(slot_at(slots, first)))}")
    return "".join(parts)


def _line(frame: Frame, slots: PlanSlots, values: Sequence[int | None], *, until: datetime | None = None) -> str:
    """A staircase with gaps where a value is not known, drawn to ``until`` at the latest."""
    parts = []
    k = 0
    while k < len(values):
        if values[k] is None:
            k += 1
            continue
        first = k
        while k < len(values) and values[k] is not None:
            k += 1
        known = [Point(slot_at(slots, n), float(values[n] or 0)) for n in range(first, k)]
        stop = slot_at(slots, k)
        parts.append(frame.steps(known, stop if until is None else min(stop, until)))
    return "".join(parts)


def _above(frame: Frame, slots: PlanSlots) -> str:
    """The forbidden area above the limit."""
    parts = []
    for k, value in enumerate(slots.limit_w):
        if value is None:
            continue
        first = k == 0 or slots.limit_w[k - 1] is None
        last = k + 1 == len(slots.limit_w) or slots.limit_w[k + 1] is None
        if first:
            parts.append(f"M{short(frame.x(slot_at(slots, k)))} 0V{short(frame.y(value))}")
        elif value != slots.limit_w[k - 1]:
            parts.append(f"H{short(frame.x(slot_at(slots, k)))}V{short(frame.y(value))}")
        if last:
            parts.append(f"H{short(frame.x(slot_at(slots, k + 1)))}V0Z")
    return "".join(parts)


def _column(frame: Frame, slots: PlanSlots, k: int) -> str:
    left, right = frame.x(slot_at(slots, k)), frame.x(slot_at(slots, k + 1))
    return f"M{short(left)} 0H{short(right)}V{short(frame.height)}H{short(left)}Z"


def _names(view: PlanView, frame: Frame, stack: Sequence[Sequence[int]]) -> list[Label]:
    """Each layer's name where it is thick enough for long enough."""
    labels = []
    count = len(stack[0])
    width = WIDTH / count
    for n, layer in enumerate(view.layers):
        name = layer_name(layer)
        need = max(1, round(len(name) * 7.5 / width))  # slots that the words cover on a middling screen
        best, room = 0, 0.0
        for k in range(count - need):
            low = max(stack[n][k : k + need])
            high = min(stack[n + 1][k : k + need])
            if high - low > room:
                best, room = k, high - low
        if frame.height * room / frame.top >= LABEL_PX:
            middle = (max(stack[n][best : best + need]) + min(stack[n + 1][best : best + need])) / 2
            labels.append(Label((best + need / 2) * width / 10, frame.y(middle) + 4, name, "mid lbl-strong hide-phone"))
    return labels


def _limits(frame: Frame, slots: PlanSlots) -> list[Label]:
    """The limit's value where it changes, with who sets it, as far as there is room."""
    labels: list[Label] = []
    shown: int | None = None
    free_from = 0.0
    for k, value in enumerate(slots.limit_w):
        x = frame.x(slot_at(slots, k))
        if value is None or value == shown or x < free_from:
            continue
        lasts = next((n for n in range(k, len(slots.limit_w)) if slots.limit_w[n] != value), len(slots.limit_w))
        if shown is None and lasts < len(slots.limit_w) and frame.x(slot_at(slots, lasts)) - x < 80:
            continue  # too short for its words
        source = slots.limit_source[k].replace("_", " ")
        words = f"limit {text.kw(value)}" if shown is None else f"{text.kw(value)} {source}".strip()
        y = frame.y(value)
        css = "lbl-strong" + (" hide-phone" if shown is not None else "")
        labels.append(Label(min(x / 10 + 0.5, 92.0), y - 6 if y > 22 else y + 16, words, css))
        shown, free_from = value, x + 110
    return labels


def _description(view: PlanView, clock: text.DepotTime) -> str:
    slots = view.slots
    ahead = [(watts, k) for k, watts in enumerate(slots.plan_w) if watts is not None and k >= slots.now]
    words = f"Power of the site from {clock.clock(slots.start)} on, stacked by {view.by}"
    if slots.site_w[slots.now] is not None:
        words += f"; {text.kw(slots.site_w[slots.now])} kW now"
    if ahead:
        peak, k = max(ahead)
        words += f"; the plan's peak is {text.kw(peak)} kW at {clock.clock(slot_at(slots, k))}"
    return words
