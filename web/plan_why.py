"""Why the plan is as it is, for the page *Plan*: what limits cost per slot, the slot that is looked into, one more kW. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from controller.plan_answers_view import AnswerState
from controller.plan_reasons_view import CellWhy, ExplanationView, LimitGain, LimitWorth, ShortRow, SlotWhy, VehicleWorth
from controller.plan_view import PlanSlots, PlanView
from controller.readmodel import Point
from web import text
from web.charts import Column, Label, Plot, nice_top, short, time_labels
from web.plan_chart import frame_of, slot_at

HEIGHT = 84.0
TINY = 0.005
SLOT_FORM = "%Y-%m-%dT%H:%M"


def slot_time(given: str, timezone: str) -> datetime | None:
    """A slot's time as the address has it, by the depot's clock; None for anything else."""
    try:
        return datetime.strptime(given, SLOT_FORM).replace(tzinfo=ZoneInfo(timezone))
    except ValueError:
        return None


def columns(view: PlanView, clock: text.DepotTime, address: Callable[..., str]) -> tuple[Column, ...]:
    """The slots ahead, each with the address that looks into it."""
    slots = view.slots
    width = 100 / len(slots.price)
    found = []
    for k in range(slots.now, len(slots.price)):
        at = slot_at(slots, k)
        href = address(slot=clock.local(at).strftime(SLOT_FORM))
        found.append(Column(round(k * width, 3), round(width, 3), href, f"Why at {clock.clock(at)}"))
    return tuple(found)


def slot_choices(view: PlanView, clock: text.DepotTime) -> list[tuple[str, str]]:
    """(value, words) of the slots ahead, for a form; none where there is no plan."""
    if view.plan is None:
        return []
    return [
        (clock.local(at).strftime(SLOT_FORM), clock.clock(at))
        for at in (slot_at(view.slots, k) for k in range(view.slots.now, len(view.slots.price)))
    ]


def worth_chart(
    slots: PlanSlots, why: ExplanationView, *, at: datetime, clock: text.DepotTime, chosen: int | None, links: tuple[Column, ...]
) -> Plot | None:
    """What one more kW would save per slot: the dearest of the limits; a line below where energy that somebody needs does not
    fit. None: no limit costs anything."""
    if not why.limits or why.start is None:
        return None
    shift = round((why.start - slots.start).total_seconds() / slots.slot_s)
    count = len(slots.price)
    worth = {limit.name: _placed(limit.saved_per_kwh, shift, count) for limit in why.limits}
    short_here = [any(_placed(limit.served_wh, shift, count)[k] > 1 for limit in why.limits) for k in range(count)]
    dearest = [max(0.0, *(values[k] for values in worth.values())) for k in range(count)]
    highest = max(dearest)
    if highest < TINY and not any(short_here):
        return None
    top, step = nice_top(max(highest, 0.01), 2)
    frame = frame_of(slots, top=top, height=HEIGHT)
    path = frame.steps([Point(slot_at(slots, k), value) for k, value in enumerate(dearest)], frame.stop)
    areas = [("area-warn", f"{path}V{short(HEIGHT)}H0Z")]
    labels = [Label(0, frame.y(k * step) + 4, text.number(k * step, 0 if step >= 1 else 2), "end lbl-dim axis") for k in range(3)]
    labels += time_labels(frame, clock, every_h=3 if frame.span_s <= 30 * 3600 else 6, y=HEIGHT + 17)
    description = "No limit costs money"
    if highest >= TINY:
        k = max(range(count), key=dearest.__getitem__)
        who = max(worth, key=lambda name: worth[name][k])
        right = frame.percent(slot_at(slots, k)) < 60
        last = next((n for n in range(k, count) if dearest[n] < highest * 0.7), count)
        x = frame.percent(slot_at(slots, last)) + 0.6 if right else frame.percent(slot_at(slots, k)) - 0.6
        css = "lbl-warn" + ("" if right else " end")
        labels.append(Label(x, max(10.0, frame.y(highest) + 4), f"{who}, {highest:.2f}", css))
        most = text.cost(highest, why.currency, digits=2)
        description = f"One more kW would save at most {most} an hour: {who}, {clock.clock(slot_at(slots, k))}"
    if any(short_here):
        edges = "".join(
            f"M{short(frame.x(slot_at(slots, k)))} {short(HEIGHT - 5)}H{short(frame.x(slot_at(slots, k + 1)))}V{short(HEIGHT)}"
            f"H{short(frame.x(slot_at(slots, k)))}Z"
            for k in range(count)
            if short_here[k]
        )
        areas.append(("f-alarm", edges))
        description += "; in the marked slots energy that somebody needs does not fit"
    if chosen is not None:
        left, end = frame.x(slot_at(slots, chosen)), frame.x(slot_at(slots, chosen + 1))
        areas.append(("slot-sel", f"M{short(left)} 0H{short(end)}V{short(HEIGHT)}H{short(left)}Z"))
    now_x = frame.x(at)
    grid = tuple(frame.y(k * step) for k in range(3))
    rules = (("l-now", now_x, 0.0, now_x, HEIGHT),)
    return Plot(HEIGHT, grid, tuple(areas), (("l-warn", path),), rules, tuple(labels), description, columns=links)


def _placed(values: Sequence[float], shift: int, count: int) -> list[float]:
    """Values per slot of the plan, on the slots of the picture."""
    found = [0.0] * count
    for k, value in enumerate(values):
        if 0 <= k + shift < count:
            found[k + shift] = value
    return found


# -- words --------------------------------------------------------------------------------------------------------------


def why_context(why: ExplanationView | None, view: PlanView, clock: text.DepotTime, vehicle: str) -> dict[str, Any]:
    """What the cards need beside the chart."""
    if why is None or why.state is not AnswerState.DONE:
        state = AnswerState.NONE if why is None else why.state
        words = {
            AnswerState.WAITING: "The plan is being explained: what each limit costs, and why.",
            AnswerState.RUNNING: "The plan is being explained: what each limit costs, and why.",
            AnswerState.FAILED: "" if why is None else f"The plan could not be explained: {why.text}.",
        }.get(state, "There is no plan to explain yet.")
        return {"explained": False, "why_state": words, "slot": None, "limits": [], "gains": [], "wish": "", "deep": False, "relaxed": []}
    wish = next((one for one in why.vehicles if one.vehicle_id == vehicle), None)
    return {
        "explained": True,
        "why_state": f"Of the plan made {clock.clock(why.made_at)}; the newest one is being explained." if why.behind else "",
        "slot": None if why.slot is None else _slot(why.slot, why, clock, vehicle),
        "limits": [row for row in (_limit(limit, why, clock) for limit in why.limits) if row["when"]],
        "gains": [words for words in (_gain(gain, why.currency) for gain in why.gains) if words],
        "wish": "" if wish is None else _wish(wish, why.currency),
        "deep": why.deep and not why.behind,
        "relaxed": why.relaxed,
    }


def _limit(limit: LimitWorth, why: ExplanationView, clock: text.DepotTime) -> dict[str, str]:
    """A limit that binds: when, and what it costs at most."""
    assert why.start is not None
    binds = [k for k, (saved, served) in enumerate(zip(limit.saved_per_kwh, limit.served_wh, strict=True)) if saved > TINY or served > 1]
    worst = max(limit.saved_per_kwh, default=0.0)
    serves = max(limit.served_wh, default=0.0)
    slot = timedelta(seconds=why.slot_s)
    when = ""
    if binds:
        when = f"{clock.clock(why.start + binds[0] * slot)} to {clock.clock(why.start + (binds[-1] + 1) * slot)}"
        if len(binds) < binds[-1] - binds[0] + 1:
            when += ", at times"
    value = text.cost(worst, why.currency, digits=2) if worst > TINY else "energy" if serves > 1 else ""
    levels = {limit.limit_w[k] for k in binds} or set(limit.limit_w)
    level = f"{text.kw(min(levels))} kW" if len(levels) == 1 else f"{text.kw(min(levels))} to {text.kw(max(levels))} kW"
    return {"name": f"{limit.name[:1].upper()}{limit.name[1:]}, {level}", "when": when, "value": value}


def _gain(gain: LimitGain, currency: str) -> str:
    """What one more kW is worth, in a sentence."""
    what = {"site": "of the site's limit", "contract": "of demand that costs nothing more"}.get(gain.kind, f"on {gain.name}")
    if gain.served_wh >= 50:
        return f"One more kW {what} would serve {text.kwh(gain.served_wh)} kWh that somebody lacks."
    saved = gain.saved if gain.saved_next is None else gain.saved_next
    if saved < TINY:
        return ""
    month = f", about {text.cost(gain.month, currency)} in a month of such plans" if gain.month >= 1 else ""
    return f"One more kW {what} would save {text.cost(saved, currency, digits=2)} over this plan{month}."


def _wish(wish: VehicleWorth, currency: str) -> str:
    short_ = f", {wish.target_short * 100:.0f} % of which somebody would lack" if wish.target_short > 0.01 else ""
    words = f"One more kWh into {wish.vehicle_id} would cost {text.cost(max(0.0, wish.target_bill), currency, digits=2)}{short_}."
    earlier = []
    if wish.earlier_bill > TINY:
        least = "at least " if wish.earlier_grounds == "at-least" else ""
        earlier.append(f"cost {least}{text.cost(wish.earlier_bill, currency, digits=2)}")
    if wish.earlier_short_wh >= 50:
        earlier.append(f"leave {text.kwh(wish.earlier_short_wh)} kWh unserved")
    return f"{words} Leaving a slot earlier would {' and '.join(earlier) if earlier else 'cost nothing'}."


def _slot(slot: SlotWhy, why: ExplanationView, clock: text.DepotTime, vehicle: str) -> dict[str, Any]:
    names: Mapping[str, str] = {limit.id if limit.kind == "feeder" else limit.kind: limit.name for limit in why.limits}
    binds = [names.get(one, one) for one in slot.binds]
    held = f"{' and '.join(binds[:3])} hold{'s' if len(binds) == 1 else ''} them" if binds else "no limit holds them there"
    words = f"Vehicles are planned to draw {text.kw(slot.power_w)} kW; {held}."
    return {
        "title": f"{clock.clock(slot.at)} to {clock.clock(slot.until)} explained",
        "words": words,
        "making": slot.state is not AnswerState.DONE,
        "text": slot.text,
        "cells": [_cell(cell, vehicle) for cell in slot.cells],
        "others": f"{slot.others} others, {text.kw(slot.others_w)} kW" if slot.others else "",
        "sum": text.kw(slot.power_w),
    }


def _cell(cell: CellWhy, vehicle: str) -> dict[str, str]:
    words = cell.words.removeprefix(f"{cell.vehicle_id} ")  # its name stands above them
    return {
        "vehicle": cell.vehicle_id,
        "power": text.kw(cell.power_w),
        "words": words[:1].upper() + words[1:],
        "css": "sel" if cell.vehicle_id == vehicle else "",
    }


def short_rows(shorts: Sequence[ShortRow]) -> dict[str, dict[str, Any]]:
    """Who is short -> the sentence, and each remedy."""
    return {
        row.vehicle_id: {"words": row.words, "remedies": [remedy.words for remedy in row.remedies], "tried": row.tried} for row in shorts
    }
