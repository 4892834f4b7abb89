"""NowView -> the texts and SVG attributes of a page, by scope. Templates render from them and the live stream sends
what changed in them, so a page and its updates can never disagree.

A scene is ``{scope: {field: text}}``. Scopes: ``bar``, ``now``, ``chips``, ``system``, ``feeder:<id>`` and one per
connector (``CP-01/1``). A field None means: remove the attribute.
"""

from __future__ import annotations

from collections import Counter

from controller.readmodel import FeederView, LimitView, NowView, Tile, TileState
from web import text

Fields = dict[str, str | None]
Scene = dict[str, Fields]

_LOOK: dict[TileState, tuple[str, str, str]] = {
    TileState.LATE: ("alarm", "alarm", "late"),
    TileState.FAULTED: ("alarm", "alarm", "faulted"),
    TileState.OFFLINE: ("lost", "lost", "offline"),
    TileState.OUT_OF_SERVICE: ("rest", "", "lock"),
    TileState.AT_RISK: ("warn", "warn", "risk"),
    TileState.LIMITED: ("", "warn", "limit"),
    TileState.CHARGING: ("", "live", "charging"),
    TileState.WAITING: ("", "", "waiting"),
    TileState.FINISHED: ("", "done", "finished"),
    TileState.AVAILABLE: ("rest", "", "available"),
    TileState.UNKNOWN: ("lost", "lost", "info"),
}
"""State -> (class of the tile, class of the word, symbol): shape, word and colour."""

_NEEDS_YOU = frozenset({TileState.LATE, TileState.FAULTED, TileState.OFFLINE, TileState.AT_RISK, TileState.UNKNOWN})
_MISBEHAVES = frozenset({"defiant", "overdraws"})
_RANK = {state: k for k, state in enumerate(_LOOK)}
_TONE = {"ok": ("c-done", "#i-finished"), "warn": ("c-warn", "#i-risk"), "alarm": ("c-alarm", "#i-late"), "lost": ("c-lost", "#i-offline")}

CHIPS: tuple[tuple[str, str, str, str], ...] = (
    ("all", "All", "", ""),
    ("needs", "Needs you", "risk", "c-warn"),
    ("charging", "Charging", "charging", "c-live"),
    ("waiting", "Waiting", "waiting", "c-idle"),
    ("finished", "Finished", "finished", "c-done"),
    ("faulted", "Faulted", "faulted", "c-alarm"),
    ("offline", "Offline", "offline", "c-lost"),
    ("available", "Available", "available", "c-idle"),
    ("out", "Out of service", "lock", "c-idle"),
)
"""Filter chips: (group, words, symbol, colour class)."""


def build(view: NowView) -> Scene:
    """All fields of all scopes."""
    clock = text.DepotTime(view.timezone, view.at)
    scene: Scene = {"bar": _bar(view, clock), "now": _now(view, clock), "chips": _chips(view), "system": _system(view, clock)}
    for feeder in view.feeders:
        scene[f"feeder:{feeder.feeder_id}"] = _feeder(feeder, clock)
    for tile in view.tiles:
        scene[tile.connector] = tile_fields(tile, clock)
    return scene


def diff(old: Scene, new: Scene) -> Scene:
    """Only what changed; scopes that are gone are not mentioned (the page reloads when its shape changes)."""
    changed: Scene = {}
    for scope, fields in new.items():
        before = old.get(scope)
        if before is None:
            changed[scope] = fields
        elif before != fields:
            changed[scope] = {k: v for k, v in fields.items() if k not in before or before[k] != v}
    return changed


def shape(view: NowView) -> str:
    """What a page's skeleton is made of: a page whose shape differs must be loaded again."""
    return f"{view.depot_id}|{view.clock_speed:g}|" + ",".join(f"{t.feeder_id}:{t.connector}" for t in view.tiles)


def groups(tile: Tile) -> list[str]:
    """Filter groups that a tile belongs to."""
    found = ["needs"] if tile.state in _NEEDS_YOU or tile.trust in _MISBEHAVES else []
    match tile.state:
        case TileState.WAITING | TileState.FINISHED | TileState.FAULTED | TileState.OFFLINE | TileState.AVAILABLE:
            found.append(tile.state.value)
        case TileState.OUT_OF_SERVICE:
            found.append("out")
        case TileState.UNKNOWN:
            found.append("offline")
        case _ if tile.state in (TileState.CHARGING, TileState.LIMITED) or (tile.power_w or 0) > 0:
            found.append("charging")
        case _:
            found.append("waiting")
    return found


def rank(tile: Tile) -> tuple[int, str]:
    """Order of the list: the deviating ones on top."""
    return _RANK[tile.state], tile.label


def tile_fields(tile: Tile, clock: text.DepotTime) -> Fields:
    css, word_css, icon = _LOOK[tile.state]
    empty = tile.vehicle_id is None and tile.state in (TileState.AVAILABLE, TileState.OUT_OF_SERVICE, TileState.UNKNOWN)
    lost = tile.state in (TileState.OFFLINE, TileState.UNKNOWN)
    flowing = not lost and (tile.power_w or 0) != 0  # either way
    margin, margin_css = text.minutes(tile.margin_min), ""
    if tile.state is TileState.OFFLINE:
        margin, margin_css = "no data", "c-lost"
    elif tile.state is TileState.FINISHED:
        margin = "ready"
    elif tile.margin_min is not None and tile.margin_min < 0:
        margin_css = "c-alarm"
    elif tile.state in (TileState.AT_RISK, TileState.FAULTED):
        margin_css = "c-warn"
    due = clock.clock(tile.due_at) if tile.due_at is not None else ("Free" if tile.state is TileState.AVAILABLE else text.ABSENT)
    power = text.ABSENT if empty else (text.UNKNOWN if lost else text.kw(tile.power_w))
    soc = "" if tile.soc is None else text.percent(tile.soc)
    return {
        "cls": f"tile {css}".rstrip(),
        "row": css if css in ("alarm", "warn") else "",
        "group": " ".join(groups(tile)),
        "vehicle": tile.vehicle_id or "",
        "st": f"st {word_css}".rstrip(),
        "icon": f"#i-{icon}",
        "word": tile.state_text,
        "val": "val" if flowing else "val rest",
        "power": power,
        "unit": "" if power == text.ABSENT else " kW",
        "soc": soc,
        "soc_unit": " %" if soc else "",
        "bar": "f-live" if flowing else ("f-lost" if lost else "f-idle"),
        "soc_w": _pct(tile.soc or 0.0),
        "target": "" if tile.soc_target is None else text.percent(tile.soc_target),
        "target_x": _pct(tile.soc_target or 0.0),
        "target_w": "0" if tile.soc_target is None else "2",
        "due": due,
        "ready": clock.clock(tile.ready_at),
        "margin": margin,
        "margin_cls": margin_css,
    }


def _bar(view: NowView, clock: text.DepotTime) -> Fields:
    css, icon = _TONE.get(view.answer.tone, _TONE["lost"])
    return {
        "chargers": f"{len(view.tiles)} charger{'' if len(view.tiles) == 1 else 's'}",
        "vehicles": f"{here(view)} vehicle{'' if here(view) == 1 else 's'} in",
        "tone": f"i {css}",
        "icon": icon,
        "answer": view.answer.text,
        "time": clock.now.strftime("%H:%M:%S"),
        "day": clock.day(),
        "alarms": str(view.alarms.unacknowledged),
        "alarms_hidden": None if view.alarms.unacknowledged else "",
    }


def _now(view: NowView, clock: text.DepotTime) -> Fields:
    counts, site = view.counts, view.site
    total = max(1, counts.on_time + counts.at_risk + counts.late)
    limit = site.limit
    scale = max(limit.value_w, limit.then_w or 0, site.power_w or 0, 1) * 1.05
    over = site.power_w is not None and site.power_w > limit.value_w
    fields: Fields = {
        "vehicles": _vehicle_words(view),
        "on_time": str(counts.on_time),
        "at_risk": str(counts.at_risk),
        "at_risk_cls": "c-warn" if counts.at_risk else "",
        "late": str(counts.late),
        "late_cls": "c-alarm" if counts.late else "",
        "on_time_w": _pct(counts.on_time / total),
        "at_risk_x": _pct(counts.on_time / total),
        "at_risk_w": _pct(counts.at_risk / total),
        "late_x": _pct((counts.on_time + counts.at_risk) / total),
        "late_w": _pct(counts.late / total),
        "next": f"Next: {counts.next_departure} at {clock.clock(counts.next_departure_at)}"
        if counts.next_departure
        else "No departure ahead",
        "meter": _meter_words(view),
        "meter_cls": "c-lost" if site.stale else "dim",
        "power": text.kw(site.power_w),
        "headroom": text.kw(site.headroom_w),
        "headroom_cls": "mid c-alarm" if (site.headroom_w or 0) < 0 else "mid",
        "limit": text.kw(limit.value_w),
        "power_bar": "f-lost" if site.stale else ("f-alarm" if over else "f-live"),
        "power_w": _pct((site.power_w or 0) / scale),
        "limit_x": _pct(limit.value_w / scale),
        "limit_st": "st warn" if binding_source(limit) else "st",
        "limit_text": limit_words(limit, clock),
        "then": "" if limit.then_w is None else f"then {text.kw(limit.then_w)} kW",
        "charging": text.kw(site.charging_w),
        "background": text.kw(site.background_w),
        "cost": text.money(site.cost_today, site.currency) if site.cost_today is not None else text.ABSENT,
        "cost_unit": text.currency_symbol(site.currency) if site.cost_today is not None else "",
        "cost_since": "so far" if site.counted_since is None else f"since {clock.clock(site.counted_since)}",
        "energy": f"{text.kwh(site.energy_today_wh)} kWh",
        "price": _price_words(view),
    }
    fields |= _demand(view, clock, scale)
    return fields


def here(view: NowView) -> int:
    """Vehicles that are plugged in."""
    return sum(tile.vehicle_id is not None for tile in view.tiles)


def _vehicle_words(view: NowView) -> str:
    expected = max(0, view.counts.vehicles - here(view))
    if not here(view) and not expected:
        return "none here"
    return f"{here(view)} here" + (f", {expected} expected" if expected else "")


def _meter_words(view: NowView) -> str:
    site = view.site
    if site.power_age_s is None:
        return "no meter reading"
    return f"meter silent for {text.age(site.power_age_s)}" if site.stale else f"meter, {text.age(site.power_age_s)} ago"


def _price_words(view: NowView) -> str:
    price = next((p.value for p in reversed(view.chart.price) if p.at <= view.at), None)
    return "" if price is None else f"now {text.currency_symbol(view.site.currency)}{price:.2f}/kWh"


def _demand(view: NowView, clock: text.DepotTime, scale: float) -> Fields:
    site = view.site
    ends = site.demand_block_ends_at
    if site.demand_block_w is None or ends is None:
        return {"demand": text.ABSENT, "demand_unit": "", "demand_at": "no demand block", "demand_w": "0%", "demand_left": ""}
    return {
        "demand": text.kw(site.demand_block_w),
        "demand_unit": " kW",
        "demand_at": f"expected at {clock.clock(ends)}",
        "demand_w": _pct(site.demand_block_w / scale),
        "demand_left": text.countdown((ends - view.at).total_seconds()) + " left",
    }


def binding_source(limit: LimitView) -> bool:
    """Whether somebody holds the site lower than its connection and its ratings do: a deviation."""
    return limit.source not in ("contract", "rating")


def limit_words(limit: LimitView, clock: text.DepotTime) -> str:
    """Who set the limit and for how long: the core's own words, with the span unless they name its end."""
    words = limit.text or {"scada": "SCADA"}.get(limit.source, limit.source)
    words = words[:1].upper() + words[1:]
    ends = limit.until is not None and clock.clock(limit.until) not in words
    return f"{words}, {clock.span(limit.since, limit.until)}" if ends else words


def _feeder(feeder: FeederView, clock: text.DepotTime) -> Fields:
    full = max(feeder.limit.value_w, feeder.power_w + feeder.reserved_w, 1)
    over = feeder.power_w > feeder.limit.value_w
    held = max(0, feeder.reserved_w)
    flagged = binding_source(feeder.limit)
    return {
        "power": text.kw(feeder.power_w),
        "held": f" + {text.kw(held)} held" if held >= 500 else "",
        "limit": text.kw(feeder.limit.value_w),
        "bar": "f-alarm" if over else "f-live",
        "power_w": _pct(feeder.power_w / full),
        "held_x": _pct(feeder.power_w / full),
        "held_w": _pct(held / full if held >= 500 else 0),
        "flag": limit_words(feeder.limit, clock) if flagged else "",
        "flag_hidden": None if flagged else "",
    }


def _chips(view: NowView) -> Fields:
    counts: Counter[str] = Counter(group for tile in view.tiles for group in groups(tile))
    counts["all"] = len(view.tiles)
    fields: Fields = {}
    for group, *_ in CHIPS:
        fields[group] = str(counts[group])
        always = group in ("all", "needs", "charging", "waiting", "finished")
        fields[f"{group}_hidden"] = None if always or counts[group] else ""
    return fields


def _system(view: NowView, clock: text.DepotTime) -> Fields:
    health = view.health
    planner = {"running": "st", "off": "st"}.get(health.planner, "st warn")
    return {
        "planner": health.planner,
        "planner_st": planner,
        "planner_icon": "#i-finished" if planner == "st" else "#i-faulted",
        "planner_text": health.planner_text,
        "journal": health.journal,
        "journal_st": "st" if health.journal == "writing" else "st alarm",
        "journal_icon": "#i-finished" if health.journal == "writing" else "#i-faulted",
        "journal_text": health.journal_text,
        "stations": f"{health.stations_connected} of {health.stations_total}",
        "stations_st": "st" if health.stations_connected == health.stations_total else "st lost",
        "stations_icon": "#i-finished" if health.stations_connected == health.stations_total else "#i-offline",
        "quarantined": ", ".join(health.quarantined) or "none",
        "tick_ms": f"{health.tick_ms:.1f}",
        "tick": text.number(view.tick),
        "seq": text.number(view.seq),
        "at": clock.seconds(view.at),
    }


def _pct(fraction: float) -> str:
    return f"{min(1.0, max(0.0, fraction)) * 100:.1f}%".replace(".0%", "%")
