"""Emergencies on the page *Safety*: evacuation with its timer and roll-call, incident files, drills; and the forms for them.

POST /safety/evacuation, …/check-in, …/end, …/shift      who leaves, who was seen, who is on shift
POST /safety/incidents/{incident}/close, …/notes         its file; the download is /api/v1/incidents/{incident}/file
POST /safety/drills, …/stop                              a test of the chain
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.drill_view import DrillRow, DrillsView
from controller.evacuation_view import BayToClear, EvacuationRow, EvacuationView, RollCallRow
from controller.incident_view import IncidentRow, IncidentsView, StepRow
from controller.link import LinkProtocol
from depot import commands as cmd
from depot.emergency import Presence
from web import actions, text
from web.context import Web, caller_of
from web.emergency_api import STOP_S, IncidentId, check_in_of, person_of, shift_of
from web.outputs_page import area_of
from web.problems import Problem
from web.screens import carry_out

BACK = "/safety"
MOST_SHOWN = 10
"""Closed incidents and drills on the page; the API has all."""

_PRESENCE = {"safe": ("st done", "check"), "off site": ("st", "check"), "not seen": ("st warn", "clock")}
_STEP = {
    "waiting": ("", "clock"),
    "confirmed": ("done", "finished"),
    "confirmed late": ("warn", "finished"),
    "escalated": ("alarm", "faulted"),
    "not there": ("", "info"),
}
_DRILL = {
    "running": ("st live", "clock"),
    "passed": ("st done", "finished"),
    "failed": ("st alarm", "faulted"),
    "overtaken": ("st warn", "trip"),
    "interrupted": ("st lost", "offline"),
    "stopped": ("st", "close"),
}
_LINK = {"passed": ("done", "finished"), "failed": ("alarm", "faulted"), "not there": ("", "info")}


@dataclass(frozen=True, slots=True)
class Emergency:
    """What the page shows of it; nothing of a core without such rooms."""

    evacuation: EvacuationView
    incidents: IncidentsView
    drills: DrillsView


async def emergency_shown(web: Web) -> Emergency | None:
    """The three views; None for a core that has none of them."""
    try:
        evacuation = await web.link.show(EvacuationView)
        incidents = await web.link.show(IncidentsView)
        drills = await web.link.show(DrillsView)
    except LinkProtocol:
        return None
    if evacuation is None or incidents is None or drills is None:
        return None
    return Emergency(evacuation, incidents, drills)


def emergency_screens(web: Web) -> APIRouter:
    """Routes of the forms."""
    router = APIRouter(include_in_schema=False)

    async def filled(request: Request, *, reason: str = "") -> tuple[dict[str, str], dict[str, Any]]:
        """The form's fields, and what every command carries. ``reason``: where the form asks for none."""
        form = {name: str(value) for name, value in (await request.form()).items()}
        why = actions.need_reason(form.get("reason", "") or reason)
        return form, {"command_id": actions.new_id(), "actor": caller_of(request).name, "reason": why}

    @router.post("/safety/evacuation")
    async def begin(request: Request) -> Response:
        form, base = await filled(request)
        level, _, area_id = form.get("area", "").partition(" ")
        area = area_of(level, area_id)
        return await carry_out(web, request, cmd.BeginEvacuation(**base, area=area), f"Evacuate {area}", back=BACK, urgent=True)

    @router.post("/safety/evacuation/check-in")
    async def check_in(request: Request) -> Response:
        form, base = await filled(request, reason="roll-call")
        try:
            presence = Presence(form.get("presence", Presence.SAFE.value))
        except ValueError:
            raise Problem("invalid_request", "A person is safe, off site or not seen.", errors={"presence": "unknown"}) from None
        command = check_in_of(base, form.get("person_id", ""), presence, form.get("point", ""))
        return await carry_out(web, request, command, f"{form.get('person_id', '')[:40]}: {presence}", back=BACK, urgent=True)

    @router.post("/safety/evacuation/end")
    async def end(request: Request) -> Response:
        form, base = await filled(request)
        role = person_of(request, "An evacuation is ended")
        command = cmd.EndEvacuation(**base, role=role, despite_missing=form.get("despite_missing") == "yes")
        return await carry_out(web, request, command, "End the evacuation", back=BACK)

    @router.post("/safety/evacuation/shift")
    async def shift(request: Request) -> Response:
        form, base = await filled(request)
        rows = [person_line(line) for line in form.get("people", "").splitlines() if line.strip()]
        return await carry_out(web, request, shift_of(base, rows), "Set who is on shift", back=BACK)

    @router.post("/safety/incidents/{incident}/close")
    async def close(request: Request, incident: IncidentId) -> Response:
        _, base = await filled(request)
        role = person_of(request, "An incident's file is closed")
        return await carry_out(
            web, request, cmd.CloseIncident(**base, incident_id=incident, role=role), f"Close the file {incident}", back=BACK
        )

    @router.post("/safety/incidents/{incident}/notes")
    async def note(request: Request, incident: IncidentId) -> Response:
        _, base = await filled(request)
        return await carry_out(web, request, cmd.NoteIncident(**base, incident_id=incident), f"Note in {incident}", back=BACK)

    @router.post("/safety/drills")
    async def start(request: Request) -> Response:
        form, base = await filled(request)
        person_of(request, "A drill is begun")
        command = cmd.StartDrill(**base, contactors=form.get("contactors") == "yes")
        return await carry_out(web, request, command, "Start the drill", back=BACK)

    @router.post("/safety/drills/stop")
    async def stop(request: Request) -> Response:
        _, base = await filled(request)
        person_of(request, "A drill is stopped")
        return await carry_out(web, request, cmd.StopDrill(**base), "Stop the drill", back=BACK, within_s=STOP_S)

    return router


def person_line(line: str) -> tuple[str, str, str]:
    """``id; name; post`` as it is typed; name and post may be left out."""
    parts = [part.strip() for part in line.split(";")] + ["", ""]
    return parts[0], parts[1], parts[2]


def emergency_context(found: Emergency | None, clock: text.DepotTime) -> dict[str, Any]:
    """What the template needs; nothing where the core has no such rooms."""
    if found is None:
        return {"has_emergency": False, "evacuations": [], "clear": []}
    evacuation, incidents, drills = found.evacuation, found.incidents, found.drills
    rows = [row for row in (evacuation.running, evacuation.drill) if row is not None]
    closed = incidents.closed[:MOST_SHOWN]
    return {
        "has_emergency": True,
        "evacuations": [_evacuation(row, clock) for row in rows],
        "real": evacuation.running is not None,
        "clear": [_bay(bay) for bay in evacuation.clear],
        "minutes": f"{evacuation.minutes:g}",
        "past": [_past(row, clock) for row in evacuation.past[:3]],
        "shift": [{"id": p.person_id, "name": p.name or p.person_id, "post": p.post} for p in evacuation.shift],
        "shift_lines": "\n".join("; ".join((p.person_id, p.name, p.post)).rstrip("; ") for p in evacuation.shift),
        "incidents": [_incident(row, clock) for row in (*incidents.open, *closed)],
        "open_incidents": len(incidents.open),
        "more_incidents": len(incidents.closed) - len(closed),
        "unwritten": incidents.unwritten,
        "kept_days": incidents.kept_days,
        "drills": [_drill(row, clock) for row in drills.drills[:MOST_SHOWN]],
        "drill": _drill(drills.running, clock) if drills.running is not None else None,
        "last_drill": _drill(drills.drills[0], clock) if drills.drills else None,
        "next_drill": clock.clock(drills.next_at) if drills.next_at is not None else "",
        "last_passed": clock.clock(drills.last_passed) if drills.last_passed is not None else "",
        "against_drill": drills.against_start,
    }


def incident_of(found: Emergency | None, vehicle_id: str, pack_id: str) -> str:
    """The open incident of a tripped battery; "" where it has none."""
    rows = found.incidents.open if found is not None else []
    return next((row.incident_id for row in rows if not row.drill and (row.vehicle_id, row.pack_id) == (vehicle_id, pack_id)), "")


def _evacuation(row: EvacuationRow, clock: text.DepotTime) -> dict[str, Any]:
    over = row.left_s < 0
    missing = [person.name or person.person_id for person in row.people if person.missing]
    return {
        "drill": row.drill,
        "title": "Drill of an evacuation" if row.drill else "Evacuation",
        "timer": text.countdown(abs(row.left_s)),
        "over": over,
        "timer_words": "over the time" if over else "left until everybody must be seen",
        "areas": ", ".join(row.areas),
        "reason": row.reason,
        "by": row.by or "the controller",
        "began": clock.seconds(row.began_at),
        "deadline": clock.seconds(row.deadline),
        "expected": row.expected,
        "safe": row.safe,
        "off_site": row.off_site,
        "not_seen": row.not_seen,
        "overdue": row.overdue,
        "missing": ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else ""),
        "recorded": row.recorded,
        "people": [_person(person, clock) for person in sorted(row.people, key=_who_first)],
    }


def _who_first(person: RollCallRow) -> tuple[bool, bool, str]:
    return (not person.missing, person.presence != "not seen", person.name or person.person_id)


def _person(person: RollCallRow, clock: text.DepotTime) -> dict[str, Any]:
    st, icon = _PRESENCE.get(person.presence, ("st", "info"))
    if person.missing:
        st, icon = "st alarm", "faulted"
    where = [person.post, person.point, "" if person.expected else "was not on the list"]
    return {
        "id": person.person_id,
        "name": person.name or person.person_id,
        "words": " · ".join(part for part in where if part),
        "st": st,
        "icon": icon,
        "presence": person.presence,
        "at": clock.seconds(person.at),
        "by": person.by,
        "row": "alarm" if person.missing else "",
        "seen": person.presence != "not seen",
    }


def _bay(bay: BayToClear) -> dict[str, str]:
    reckoned = bay.from_min is not None and bay.to_min is not None
    when = f"{bay.from_min:.0f} to {bay.to_min:.0f} min" if reckoned else "stands beside it"
    return {
        "bay": bay.bay,
        "of": bay.of,
        "when": when,
        "css": "bay iso" if bay.stopped else "bay watch",
        "word": "stopped" if bay.stopped else "stop asked",
    }


def _past(row: EvacuationRow, clock: text.DepotTime) -> str:
    what = "Drill" if row.drill else "Evacuation"
    ended = f"ended {clock.clock(row.ended_at)} by {row.ended_by}, {row.end_reason}"
    return f"{what} of {clock.clock(row.began_at)}, {', '.join(row.areas)}: {ended}"


def _incident(row: IncidentRow, clock: text.DepotTime) -> dict[str, Any]:
    is_open = row.closed_at is None
    bad = sum(step.state == "escalated" for step in row.steps)
    waits = sum(step.state == "waiting" for step in row.steps)
    done = sum(step.state in ("confirmed", "confirmed late") for step in row.steps)
    return {
        "id": row.incident_id,
        "at": clock.clock(row.opened_at),
        "open": is_open,
        "drill": row.drill,
        "subject": f"{row.vehicle_id} {row.pack_id}".strip() or row.area,
        "area": row.area,
        "text": row.text,
        "st": ("st" if row.drill else "st alarm") if is_open else "st done",
        "icon": "clock" if is_open else "lock",
        "word": "open" if is_open else "closed",
        "closed": "" if is_open else f"{clock.clock(row.closed_at)} by {row.closed_by}: {row.close_reason}",
        "digest": row.digest[:12],
        "steps": [_step(step, clock) for step in row.steps],
        "steps_words": f"{done} of {len(row.steps)} confirmed"
        + (f", {bad} escalated" if bad else "")
        + (f", {waits} waiting" if waits else ""),
        "against": row.against_close,
        "file": row.file,
        "row": "" if row.drill or not is_open else "alarm",
        "url": f"/api/v1/incidents/{row.incident_id}/file",
        "action": f"/safety/incidents/{row.incident_id}",
    }


def _step(step: StepRow, clock: text.DepotTime) -> dict[str, str]:
    css, icon = _STEP.get(step.state, ("", "info"))
    took = "" if step.took_s is None else f" after {text.age(step.took_s)}"
    limit = f"; limit {step.limit_s:g} s, else {step.then}" if step.state in ("waiting", "escalated") and step.then else ""
    return {
        "css": css,
        "icon": icon,
        "title": step.title,
        "at": clock.seconds(step.at),
        "words": f"{step.state}{took}{limit}" + (f" · {step.detail}" if step.detail else ""),
    }


def _drill(row: DrillRow, clock: text.DepotTime) -> dict[str, Any]:
    st, icon = _DRILL.get(row.state, ("st", "info"))
    passed = sum(link.state == "passed" for link in row.links)
    failed = sum(link.state == "failed" for link in row.links)
    absent = sum(link.state == "not there" for link in row.links)
    return {
        "id": row.drill_id,
        "at": clock.clock(row.began_at),
        "ended": clock.seconds(row.ended_at),
        "by": row.by,
        "st": st,
        "icon": icon,
        "word": row.state,
        "contactors": "with contactors" if row.contactors else "without contactors",
        "words": f"{passed} passed, {failed} failed, {absent} not there",
        "file": row.file,
        "url": f"/api/v1/incidents/{row.drill_id}/file",
        "links": [
            {
                "css": _LINK.get(link.state, ("", "info"))[0],
                "icon": _LINK.get(link.state, ("", "info"))[1],
                "title": link.title,
                "took": "" if link.took_s is None else text.age(link.took_s),
                "words": f"{link.state}" + (f" · {link.words}" if link.words else ""),
            }
            for link in row.links
        ],
    }
