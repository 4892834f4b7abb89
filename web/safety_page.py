"""The page *Safety*: tripped batteries, what was done and confirmed, who is held back, the way to the vehicles; the outputs
are :mod:`web.outputs_page`'s."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.readmodel import NowView, Point
from controller.safety_log import Row
from controller.safety_view import PackRow, SafetyView, TrippedPack
from depot import commands as cmd
from depot.values import PackKey
from web import actions, charts, text
from web.context import Web, caller_of
from web.outputs_page import outputs_context, outputs_shown
from web.problems import Problem
from web.screens import carry_out

HEIGHT = 186.0
_ACT = {"done": ("done", "finished"), "open": ("", "clock"), "failed": ("alarm", "faulted"), "none": ("", "check")}
_TONE = {"alarm": ("alarm", "trip"), "warn": ("warn", "risk"), "done": ("done", "finished"), "": ("", "info")}
_SHOWN = 5
"""So many tripped batteries are shown with everything; of the others the banner tells."""

_SAID = frozenset({"hottest_c", "limit_c", "rise_c_per_s", "alarms", "sensor"})
"""Evidence that the sentence says already."""

_EVIDENCE = {
    "sensors": ("Sensors then", ""),
    "soc": ("State of charge then", " %"),
    "source": ("Told by", ""),
    "age_s": ("Age when it came", " s"),
}
_SOURCES = {"mqtt": "its telematics", "ocpp": "the charger"}


def safety_screens(web: Web) -> APIRouter:
    """Routes of the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/safety")
    async def safety(request: Request) -> Response:
        view = web.view()
        found = await web.link.show(SafetyView)
        if found is None:
            raise Problem("not_found", "This core has no safety room.")
        outputs = await outputs_shown(web)
        context = safety_context(found, view) | outputs_context(outputs, view)
        return web.pages.render(request, "safety.html", view=view, screen="safety", **context)

    @router.post("/safety/packs/{vehicle}/{pack}/reset")
    async def reset(request: Request, vehicle: str, pack: str) -> Response:
        caller = caller_of(request)
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        if caller.role is None:
            raise Problem("forbidden", "A trip is reset by a person, not by a machine.")
        command = cmd.ResetPack(
            command_id=actions.new_id(), actor=caller.name, reason=reason, pack=PackKey(vehicle, pack), role=caller.role
        )
        return await carry_out(web, request, command, f"Reset the trip of {vehicle}", back="/safety")

    return router


def safety_context(found: SafetyView, view: NowView) -> dict[str, Any]:
    """Everything that the template needs."""
    clock = text.DepotTime(view.timezone, view.at)
    telemetry = found.telemetry
    return {
        "tripped": [_tripped(pack, found, clock, number) for number, pack in enumerate(found.tripped[:_SHOWN])],
        "others": found.tripped_count - min(_SHOWN, len(found.tripped)),
        "shut": [
            {
                "label": s.label,
                "connector": s.connector,
                "pack": s.pack,
                "since": clock.seconds(s.since),
                "words": s.power_text,
                "st": "st done" if s.confirmed else "st alarm",
                "icon": "finished" if s.confirmed else "faulted",
            }
            for s in found.shut
        ],
        "packs": [_pack(row, found) for row in found.packs],
        "hidden_packs": found.pack_count - len(found.packs),
        "held_back": sum(row.share < 1 and not row.tripped for row in found.packs),
        "link": _link(found, clock),
        "refused": [{"at": clock.seconds(r.at), "topic": r.topic or "no topic", "text": r.text} for r in telemetry.newest_refused],
        "refused_count": text.number(sum(telemetry.refused.values())),
        "timeline": [_row(row, clock) for row in found.timeline],
    }


def _tripped(pack: TrippedPack, found: SafetyView, clock: text.DepotTime, number: int) -> dict[str, Any]:
    since_s = (found.at - pack.since).total_seconds()
    evidence = []
    for name, value in pack.evidence.items():
        if name in _SAID:
            continue
        words, unit = _EVIDENCE.get(name, (name.replace("_", " ").capitalize(), ""))
        evidence.append({"name": words, "value": _shown(name, value), "unit": unit})
    now_words = text.UNKNOWN if pack.hottest_c is None else f"{pack.hottest_c:.1f}"
    return {
        "id": f"reset-{number}",
        "name": pack.vehicle_id,
        "pack": pack.pack_id,
        "where": f"on {pack.label}" if pack.label is not None else "on no charger of this depot",
        "connector": pack.connector,
        "text": pack.text,
        "chemistry": "chemistry unknown, the most delicate one is assumed" if pack.chemistry == "unknown" else pack.chemistry,
        "since": clock.seconds(pack.since),
        "timer": text.countdown(since_s) if since_s < 86_400 else f"{since_s / 86_400:.0f} d",
        "evidence": evidence,
        "now": now_words,
        "age": "never heard" if pack.age_s is None else f"{text.age(pack.age_s)} ago",
        "trip_c": f"{pack.trip_c:g}",
        "reset_c": f"{pack.reset_c:g}",
        "acts": [
            {"css": _ACT[a.state][0], "icon": _ACT[a.state][1], "title": a.title, "detail": a.detail, "at": clock.seconds(a.at)}
            for a in pack.acts
        ],
        "plot": temperature_chart(pack, found.at, clock),
        "against": pack.against_reset,
        "action": f"/safety/packs/{quote(pack.vehicle_id, safe='')}/{quote(pack.pack_id, safe='')}/reset",
    }


def _shown(name: str, value: str) -> str:
    if name == "source":
        return _SOURCES.get(value, value)
    if name == "soc" and value.replace(".", "", 1).isdecimal():
        return text.percent(float(value))
    return value


def _pack(row: PackRow, found: SafetyView) -> dict[str, str | None]:
    silent = row.age_s is None or row.age_s > 60
    if row.tripped:
        st, icon, word = "st alarm", "trip", "tripped"
    elif row.share < 1:
        st, icon, word = "st warn", "hot", "held back"
    elif silent:
        st, icon, word = "st lost", "offline", "not heard"
    else:
        st, icon, word = "st", "check", "in order"
    return {
        "name": row.vehicle_id,
        "pack": row.pack_id,
        "st": st,
        "icon": icon,
        "word": word,
        "share": text.percent(row.share),
        "hottest": text.UNKNOWN if row.hottest_c is None else f"{row.hottest_c:.1f}",
        "soc": text.UNKNOWN if row.soc is None else text.percent(row.soc),
        "age": "never" if row.age_s is None else f"{text.age(row.age_s)} ago",
        "chemistry": row.chemistry,
        "connector": row.connector,
        "text": row.text,
        "row": "alarm" if row.tripped else "warn" if row.share < 1 else "",
    }


def _link(found: SafetyView, clock: text.DepotTime) -> list[dict[str, str]]:
    """The parts on which safety stands: broker, vehicles, latch file."""
    t = found.telemetry
    since = f" since {clock.seconds(t.since)}" if t.since is not None else ""
    if not t.configured:
        broker = ("st", "info", "none", "No [telemetry] in the settings: only what chargers say of batteries counts.")
    elif t.up:
        broker = ("st", "finished", "connected", f"connected{since}")
    elif t.up is None:
        broker = ("st lost", "clock", "connecting", "not tried yet")
    else:
        broker = ("st lost", "offline", "not reachable", f"{t.reason}{since}; it is tried again by itself")
    if t.bus_lost is not None:
        vehicles = ("st alarm", "offline", "lost", f"{t.bus_lost}; what no charger speaks of is held back to half its level")
    elif not t.expected:
        vehicles = ("st", "info", "nobody awaited", "no vehicle on a charger has a unit that must be heard")
    else:
        good = t.heard == t.expected
        vehicles = (
            "st" if good else "st warn",
            "finished" if good else "risk",
            f"{t.heard} of {t.expected} heard",
            "within the last minute",
        )
    latch = ("st", "finished", "written", t.latches) if t.latches_ok else ("st alarm", "faulted", "look at it", t.latches)
    names = ("Broker", "Vehicles on chargers", "Latch file")
    return [
        {"part": name, "st": st, "icon": icon, "word": word, "words": words}
        for name, (st, icon, word, words) in zip(names, (broker, vehicles, latch), strict=True)
    ]


def _row(row: Row, clock: text.DepotTime) -> dict[str, str]:
    css, icon = _TONE.get(row.tone, _TONE[""])
    detail = " · ".join(part for part in (row.detail, row.by) if part)
    return {"at": clock.seconds(row.at), "css": css, "icon": icon, "title": row.title, "detail": detail}


def temperature_chart(pack: TrippedPack, now: datetime, clock: text.DepotTime) -> charts.Plot | None:
    """Hottest and coldest sensor of a tripped pack, with the limit and the moment of its trip. None without two points."""
    if len(pack.curve) < 2:
        return None
    start = pack.curve[0].at
    stop = max(now, pack.curve[-1].at, start + timedelta(minutes=5))
    values = [pack.trip_c, *(p.hottest_c for p in pack.curve), *(p.coldest_c for p in pack.curve)]
    low = min(values) // 10 * 10
    top = -(-(max(values) + 2) // 10) * 10
    steps = int((top - low) // 10)
    step = 10 if steps <= 6 else 20
    frame = charts.Frame(start, stop, top=top - low, height=HEIGHT)
    hottest = frame.slope([Point(p.at, p.hottest_c - low) for p in pack.curve])
    coldest = frame.slope([Point(p.at, p.coldest_c - low) for p in pack.curve])
    limit_y = frame.y(pack.trip_c - low)
    grid = [float(c) for c in range(int(low), int(top) + 1, step)]
    labels = [charts.Label(0, frame.y(c - low) + 4, f"{c:g}", "end lbl-dim axis") for c in grid]
    span = stop - start
    for share, css in ((0.0, "lbl-dim"), (0.5, "mid lbl-dim"), (1.0, "end lbl-dim")):
        labels.append(charts.Label(share * 100, HEIGHT + 17, clock.seconds(start + span * share), css))
    labels.append(charts.Label(1.0, limit_y - 6, f"trip at {pack.trip_c:g} °C", "lbl-strong"))
    last = pack.curve[-1]
    hottest_y, coldest_y = frame.y(last.hottest_c - low), frame.y(last.coldest_c - low)
    above_y = max(10.0, hottest_y - 8)
    clear = abs(above_y - 4 - limit_y) > 12
    labels.append(charts.Label(99.0, above_y if clear else hottest_y + 18, f"hottest {last.hottest_c:.1f} °C", "end lbl-alarm"))
    labels.append(charts.Label(99.0, coldest_y + 18, f"coldest {last.coldest_c:.1f} °C", "end lbl-dim"))
    rules = [("l-limit", 0.0, limit_y, charts.WIDTH, limit_y)]
    if start < pack.since < stop:
        x = frame.x(pack.since)
        rules.append(("l-now", x, -8.0, x, HEIGHT))
        labels.append(charts.Label(x / 10, -2, f"trip {clock.seconds(pack.since)}", "lbl-strong end" if x > 200 else "lbl-strong"))
    description = f"Cell temperatures since {clock.seconds(start)}: hottest now {last.hottest_c:.1f} °C, the limit is {pack.trip_c:g} °C"
    lines = (("l-solid", coldest), ("l-alarm", hottest))
    return charts.Plot(HEIGHT, tuple(frame.y(c - low) for c in grid), (), lines, tuple(rules), tuple(labels), description)
