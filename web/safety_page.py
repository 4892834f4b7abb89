"""The page *Safety*: tripped batteries, what was done and confirmed, who is held back, the way to the vehicles; the outputs
are :mod:`web.outputs_page`'s, detectors :mod:`web.detectors_page`'s, evacuation, incident files and drills :mod:`web.emergency_page`'s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.readmodel import NowView
from controller.safety_log import Row
from controller.safety_view import PackCell, PackRow, PackState, SafetyView, TrippedPack
from depot import commands as cmd
from depot.values import PackKey
from web import actions, text
from web.context import Web, caller_of
from web.detectors_page import detectors_context, detectors_shown
from web.emergency_page import Emergency, emergency_context, emergency_shown, incident_of
from web.outputs_page import outputs_context, outputs_shown
from web.pack_page import SOURCES, STATES, pack_url
from web.problems import Problem
from web.screens import carry_out
from web.temperature_plot import temperature_plot

_ACT = {"done": ("done", "finished"), "open": ("", "clock"), "failed": ("alarm", "faulted"), "none": ("", "check")}
_TONE = {"alarm": ("alarm", "trip"), "warn": ("warn", "risk"), "done": ("done", "finished"), "": ("", "info")}
_SHOWN = 5
"""So many tripped batteries are shown with everything; of the others the banner tells."""

_SAID = frozenset({"hottest_c", "limit_c", "rise_c_per_s", "alarms", "sensor"})
"""Evidence that the sentence says already."""


def _coldness(cell: PackCell) -> float:
    return 100.0 if cell.hottest_c is None else -cell.hottest_c


_WORST = {state: rank for rank, state in enumerate(PackState)}
SORTS: dict[str, tuple[str, Callable[[PackCell], tuple[float, float, str]]]] = {
    "worst": ("Worst first", lambda cell: (_WORST[cell.state], _coldness(cell), cell.vehicle_id)),
    "heat": ("Hottest first", lambda cell: (0, _coldness(cell), cell.vehicle_id)),
    "safety": ("Least safe first", lambda cell: (0, 2.0 if cell.safety is None else cell.safety, cell.vehicle_id)),
    "charge": ("Fullest first", lambda cell: (0, -(-1.0 if cell.soc is None else cell.soc), cell.vehicle_id)),
    "vehicle": ("By vehicle", lambda cell: (0, 0, cell.vehicle_id)),
}
"""Orders of the strip: words, and the key of a battery."""

_CELLS = {PackState.TRIPPED: "pk trip", PackState.DERATED: "pk warn", PackState.SILENT: "pk lost"}

_EVIDENCE = {
    "sensors": ("Sensors then", ""),
    "soc": ("State of charge then", " %"),
    "source": ("Told by", ""),
    "age_s": ("Age when it came", " s"),
}


def safety_screens(web: Web) -> APIRouter:
    """Routes of the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/safety")
    async def safety(request: Request, sort: str = "") -> Response:
        view = web.view()
        found = await web.link.show(SafetyView)
        if found is None:
            raise Problem("not_found", "This core has no safety room.")
        outputs, detectors = await outputs_shown(web), await detectors_shown(web)
        seen = await emergency_shown(web)
        emergency = emergency_context(seen, text.DepotTime(view.timezone, view.at))
        context = safety_context(found, view, seen) | strip_context(found, sort) | emergency
        context |= outputs_context(outputs, view) | detectors_context(detectors, view)
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


def safety_context(found: SafetyView, view: NowView, emergency: Emergency | None) -> dict[str, Any]:
    """Everything that the template needs."""
    clock = text.DepotTime(view.timezone, view.at)
    telemetry = found.telemetry
    return {
        "tripped": [
            _tripped(pack, found, clock, number) | {"incident": incident_of(emergency, pack.vehicle_id, pack.pack_id)}
            for number, pack in enumerate(found.tripped[:_SHOWN])
        ],
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
        "packs": [_pack(row) for row in found.packs],
        "hidden_packs": found.pack_count - len(found.packs),
        "held_back": sum(cell.state is PackState.DERATED for cell in found.strip),
        "link": _link(found, clock),
        "refused": [{"at": clock.seconds(r.at), "topic": r.topic or "no topic", "text": r.text} for r in telemetry.newest_refused],
        "refused_count": text.number(sum(telemetry.refused.values())),
        "timeline": [_row(row, clock) for row in found.timeline],
    }


def strip_context(found: SafetyView, sort: str) -> dict[str, Any]:
    """The strip of all batteries, in the order that was asked for."""
    chosen = sort if sort in SORTS else "worst"
    return {
        "sorts": [(key, words, key == chosen) for key, (words, _) in SORTS.items()],
        "strip": [_cell(cell) for cell in sorted(found.strip, key=SORTS[chosen][1])],
        "strip_counts": [
            (STATES[state][0], STATES[state][1], STATES[state][2], count)
            for state in PackState
            if (count := sum(cell.state is state for cell in found.strip))
        ],
        "strip_hidden": found.pack_count - len(found.strip),
    }


def _cell(cell: PackCell) -> dict[str, str]:
    known = "?" if cell.hottest_c is None else f"{cell.hottest_c:.0f}°"
    return {
        "css": _CELLS.get(cell.state) or ("pk" if cell.hottest_c is None else f"pk h{min(3, max(0, int((cell.hottest_c - 15) // 10)))}"),
        "url": pack_url(cell.vehicle_id, cell.pack_id),
        "name": cell.vehicle_id if cell.pack_id == "P1" else f"{cell.vehicle_id} {cell.pack_id}",
        "heat": known,
        "word": "" if cell.state is PackState.ORDER else f", {STATES[cell.state][2]}",
        "share": _beside(cell),
    }


def _beside(cell: PackCell) -> str:
    """What stands beside its temperature: its state of safety where it is scored, else its share where it is held back."""
    if cell.safety is not None and cell.safety < 0.995:
        return f"SoS {cell.safety:.2f}"
    return f"{text.percent(cell.share)}%" if cell.state is PackState.DERATED else ""


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
        "plot": temperature_plot(pack.curve, trip_c=pack.trip_c, since=pack.since, now=found.at, clock=clock),
        "against": pack.against_reset,
        "url": pack_url(pack.vehicle_id, pack.pack_id),
        "action": f"{pack_url(pack.vehicle_id, pack.pack_id)}/reset",
    }


def _shown(name: str, value: str) -> str:
    if name == "source":
        return SOURCES.get(value, value)
    if name == "soc" and value.replace(".", "", 1).isdecimal():
        return text.percent(float(value))
    return value


def _pack(row: PackRow) -> dict[str, str | None]:
    st, icon, word = STATES[row.state]
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
        "url": pack_url(row.vehicle_id, row.pack_id),
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
