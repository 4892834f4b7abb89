"""The charger's page: ChargerView -> the words of its sections."""

from __future__ import annotations

from typing import Any

from controller.readmodel import ChargerView, CommandView, NowView, Point, ReasonView
from controller.smart_charging_rows import ExternalLimitRow, NeedsRow
from web import charts, scene, text
from web.actions import title_of

_SYMBOLS = {"vehicle": "bus", "charger": "plug", "plan": "plan", "limit": "limit", "told": "clock", "measured": "charging"}
_SOURCES = {"EMS": "energy manager", "SO": "grid operator", "CSO": "operator of the stations", "Other": "somebody else"}
_DIRECTIONS = {"in": "from charger", "out": "to charger"}
_FRAMES_MOST = 30
_COMMANDS_MOST = 3
_STEPS_MOST = 8


def charger_context(c: ChargerView, view: NowView) -> dict[str, Any]:
    """Everything that the template needs."""
    clock = text.DepotTime(view.timezone, view.at)
    tile = c.tile
    fields = scene.tile_fields(tile, clock)
    ready = Point(tile.ready_at, tile.soc_target) if c.session and tile.ready_at is not None and tile.soc_target is not None else None
    binding = next((r for r in c.chain if r.binding), None)
    return {
        "c": c,
        "station_id": tile.connector.rpartition("/")[0],
        "tile": tile,
        "own": fields,
        "place": _place(c, view),
        "why": _question(c, binding),
        "binding": binding if binding is not None and binding.level_w is not None else None,
        "chain": _chain(c),
        "s": _session(c, view, clock),
        "no_session": _no_session(c),
        "margin_words": _margin(tile.margin_min),
        "plot": charts.session_chart(
            c.power, c.soc, rated_w=c.rated_w, now=view.at, due=tile.due_at if c.session else None, ready=ready, clock=clock
        ),
        "expected": ready is not None,
        "profiles": [
            {
                "purpose": p.purpose + ("" if p.confirmed else ", not confirmed yet"),
                "limit": text.kw(p.limit_w),
                "expires": "never" if p.expires_at is None else clock.seconds(p.expires_at),
            }
            for p in c.profiles
        ],
        "word": None if c.needs is None else _word(c.needs, view, clock),
        "external": [_external(x, clock) for x in c.external],
        "machine": _machine(c),
        "link": c.link_text if c.link_since is None else f"{c.link_text} {clock.clock(c.link_since)}",
        "frames": [
            {"at": clock.seconds(f.at), "direction": _DIRECTIONS.get(f.direction, f.direction), "action": f.action, "summary": f.summary}
            for f in sorted(c.frames, key=lambda f: f.at, reverse=True)[:_FRAMES_MOST]
        ],
        "commands": [_command(k, clock) for k in sorted(c.commands, key=lambda k: k.at, reverse=True)[:_COMMANDS_MOST]],
    }


def _place(c: ChargerView, view: NowView) -> str:
    feeder = next((f.name or f.feeder_id for f in view.feeders if f.feeder_id == c.tile.feeder_id), c.tile.feeder_id)
    feeder = feeder if "feeder" in feeder.lower() else f"feeder {feeder}"
    return " · ".join(part for part in (feeder, f"connector {c.connector}", c.tile.vehicle_id) if part)


def _question(c: ChargerView, binding: ReasonView | None) -> str:
    if c.session is None:
        return "Why no power?"
    if binding is None or binding.level_w is None:
        return "What decides the power"
    return f"Why only {text.kw(binding.level_w)} kW?" if binding.level_w < c.rated_w else f"Why {text.kw(binding.level_w)} kW?"


def _chain(c: ChargerView) -> list[dict[str, str]]:
    """The reason chain with its bars; the measured power is the answer below the question."""
    full = max([c.rated_w, *(r.level_w or 0 for r in c.chain)])
    return [_step(r, full) for r in c.chain]


def _step(r: ReasonView, full_w: int) -> dict[str, str]:
    measured = r.because == "measured"
    return {
        "symbol": _SYMBOLS.get(r.because, "info"),
        "title": r.title,
        "detail": r.detail,
        "value": text.ABSENT if r.level_w is None else text.kw(r.level_w, digits=1 if measured else None),
        "css": "binding" if r.binding else ("result" if measured else "slack"),
        "bar": "f-warn" if r.binding else ("f-live" if measured else "f-idle"),
        "width": f"{min(1.0, (r.level_w or 0) / full_w) * 100:.1f}%",
    }


def _session(c: ChargerView, view: NowView, clock: text.DepotTime) -> dict[str, str] | None:
    s = c.session
    if s is None:
        return None
    symbol = text.currency_symbol(view.site.currency)
    return {
        "transaction_id": str(s.transaction_id),
        "since": clock.seconds(s.started_at),
        "power": text.UNKNOWN if s.power_w is None else text.kw(s.power_w, digits=1),
        "missing": text.kwh(c.missing_wh) if c.missing_wh else "",
        "delivered": text.kwh(s.delivered_wh),
        "cost": "" if s.cost is None else symbol + text.money(s.cost, view.site.currency, digits=2),
        "meter_start": text.kwh(s.meter_start_wh),
        "meter_now": text.kwh(s.meter_now_wh),
        "age": "none yet" if s.power_age_s is None else f"{text.age(s.power_age_s)} ago",
        "id_tag": s.id_tag or text.ABSENT,
    }


def _no_session(c: ChargerView) -> str:
    if c.tile.vehicle_id is None:
        return "No vehicle is plugged in."
    missing = f", {text.kwh(c.missing_wh)} kWh missing" if c.missing_wh else ""
    return f"{c.tile.vehicle_id} is here{missing}: {c.tile.state_text.lower()}."


def _margin(margin_min: int | None) -> str:
    if margin_min is None:
        return ""
    size = abs(margin_min)
    return f"{f'{size} min' if size < 120 else f'{size / 60:.0f} h'} {'early' if margin_min >= 0 else 'late'}"


def _word(n: NeedsRow, view: NowView, clock: text.DepotTime) -> dict[str, Any]:
    """What the vehicle says of itself."""
    facts = [
        ("Asks for", f"{text.kwh(n.energy_wh)} kWh" if n.energy_wh is not None else ""),
        ("Wants to leave", clock.clock(n.departure) if n.departure is not None else ""),
        ("Takes at most", f"{text.kw(n.max_w)} kW" if n.max_w is not None else ""),
        ("Takes at least", f"{text.kw(n.min_w)} kW" if n.min_w is not None else ""),
        ("Gives back at most", f"{text.kw(n.discharge_max_w)} kW" if n.discharge_max_w else ""),
        ("Battery", f"{text.kwh(n.capacity_wh)} kWh" if n.capacity_wh is not None else ""),
        ("Charge", f"{n.soc:.0%}" if n.soc is not None else ""),
        ("Wants to reach", f"{n.target_soc:.0%}" if n.target_soc is not None else ""),
    ]
    use = "Nobody announced it: its own word counts." if n.own_stay else "The depot's booking counts; what it left open is taken from here."
    if n.energy_wh is None or n.departure is None:
        use = "It did not say how much and until when: it charges as its booking has it, or as fast as it may."
    return {
        "mode": n.mode.replace("_", " "),
        "age": "" if n.told_at is None else f"{text.age((view.at - n.told_at).total_seconds())} ago",
        "facts": [(name, value) for name, value in facts if value],
        "use": use,
        "differs": n.differs,
        "schedule": [
            {"from": clock.seconds(s.at), "level": text.ABSENT if s.level_w is None else text.kw(s.level_w)} for s in n.schedule[:8]
        ],
        "more": max(0, len(n.schedule) - 8),
        "agreed": n.schedule_ok,
        "exceeds": n.exceeds,
    }


def _external(x: ExternalLimitRow, clock: text.DepotTime) -> dict[str, str]:
    return {
        "source": x.source,
        "words": _SOURCES.get(x.source, "") + (", critical for the grid" if x.critical else ""),
        "place": "whole station" if x.evse == 0 else "this EVSE",
        "level": text.ABSENT if x.level_w is None else text.kw(x.level_w),
        "told": clock.clock(x.told_at),
        "until": "until released" if x.until is None else clock.clock(x.until),
        "note": x.note,
    }


def _machine(c: ChargerView) -> str:
    kind = " ".join(part for part in (c.vendor, c.model) if part) or "type not reported"
    firmware = f", firmware {c.firmware}" if c.firmware else ""
    error = f" Error: {c.error_code}." if c.error_code not in ("", "NoError") else ""
    power = f"{c.current}, {text.kw(c.min_w)} to {text.kw(c.rated_w)} kW, can be paused: {c.pausable}"
    return f"{kind}{firmware}. {power}. {c.capabilities} OCPP status {c.status}, trust: {c.tile.trust}.{error}"


def _command(k: CommandView, clock: text.DepotTime) -> dict[str, Any]:
    return {
        "title": title_of(k.kind),
        "status": k.status,
        "message": k.message,
        "audit_seq": k.audit_seq,
        "actor": k.actor,
        "at": clock.seconds(k.at),
    }
