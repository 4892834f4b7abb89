"""Departures: who leaves when, whether in time, why not, and what would help; a form for one, files for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from controller.departures_import import COLUMNS, DeparturesPreview, one_departure, preview_departures
from controller.departures_view import DepartureRow, DeparturesView, Remedy
from controller.registry_export import export_departures
from depot import commands as cmd
from web import actions, text
from web.context import Web, caller_of
from web.import_page import ImportDesk, import_routes
from web.pages import Flash, charger_url
from web.problems import Problem
from web.registry_data import departures, field_errors, fleet, send_all, timetable

FIELDS = ("vehicle_id", "depart_at", "arrive_at", "energy_kwh", "soc_target", "soc_arrival", "connector", "priority")
ROWS_SHOWN = 300
_CHOICES = 500
"""What a list of suggestions holds at most."""

_LOOKS = {
    "late": ("st alarm", "late", "Late", "alarm"),
    "at_risk": ("st warn", "risk", "At risk", "warn"),
    "on_time": ("st", "check", "On time", ""),
    "ready": ("st done", "finished", "Ready", ""),
}
_BARS = {"late": "f-alarm", "at_risk": "f-warn"}
CHIPS = (("all", "All", "", ""), ("late", "Late", "late", "c-alarm"), ("at_risk", "At risk", "risk", "c-warn"),
         ("ready", "Ready", "finished", "c-done"), ("coming", "Expected", "clock", ""))  # fmt: skip


def departures_screens(web: Web) -> APIRouter:
    """The page, its form, its import and export."""
    router = APIRouter(include_in_schema=False)

    @router.get("/departures")
    async def page(request: Request, show: str = "all", visit: str = "") -> Response:
        view = await departures(web, limit="1000")
        return web.pages.render(request, "departures.html", view=web.view(), screen="departures", **page_context(view, show, visit))

    @router.get("/departures/form")
    async def form(request: Request, visit: str = "") -> Response:
        old = await _one(web, visit) if visit else None
        given = {name: request.query_params[name][:120] for name in FIELDS if name in request.query_params}
        return await _form_page(web, request, old, given)

    @router.post("/departures/form")
    async def state(request: Request, visit: str = "") -> Response:
        sent = {k: str(v) for k, v in (await request.form()).items()}
        cells = {name: sent[name] for name in FIELDS if sent.get(name, "").strip() or name in ("vehicle_id", "depart_at")}
        web.fresh_view()
        found = one_departure(cells, await timetable(web), visit_id=visit)
        errors = field_errors(found.complaints)
        try:
            reason = actions.need_reason(sent.get("reason", ""))
        except Problem as problem:
            errors |= problem.errors
        if errors:
            old = await _one(web, visit) if visit else None
            return await _form_page(
                web, request, old, {name: sent.get(name, "") for name in (*FIELDS, "reason")}, errors=errors, status=422
            )
        return await _apply(web, request, found, reason)

    @router.post("/departures/cancel")
    async def cancel(request: Request, visit: str = "") -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        row = await _one(web, visit)
        command = cmd.CancelVisit(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, visit_id=visit, vehicle_id=row.stay.vehicle_id
        )
        return await _answer(web, request, [command], f"Cancel the departure of {row.stay.vehicle_id}", "")

    @router.get("/departures/export")
    async def export(request: Request) -> Response:
        data = export_departures(await departures(web, limit="5000"))
        return download(data, "departures.csv")

    import_routes(router, web, desk(web))
    return router


def desk(web: Web) -> ImportDesk:
    """Timetables as files."""

    async def read(data: bytes, remove: bool) -> DeparturesPreview:
        return preview_departures(data, await timetable(web), cancel_missing=remove)

    return ImportDesk(
        kind="departures",
        title="Import departures",
        base="/departures",
        screen="departures",
        columns=COLUMNS,
        needed=("vehicle_id", "depart_at"),
        remove_words="Cancel imported departures of the same days that the file does not hold",
        read=read,
        make=commands,
        together=True,
    )


def commands(found: DeparturesPreview, actor: str, reason: str) -> Sequence[cmd.Command]:
    """What a preview orders."""
    announced = [cmd.AnnounceVisit(command_id=actions.new_id(), actor=actor, reason=reason, visit=visit) for visit in found.visits]
    cancelled = [
        cmd.CancelVisit(command_id=actions.new_id(), actor=actor, reason=reason, visit_id=visit_id, vehicle_id=vehicle_id)
        for visit_id, vehicle_id in found.cancels
    ]
    return [*announced, *cancelled]


def download(data: bytes, name: str) -> Response:
    """A file for the person's disk."""
    return Response(data, media_type="text/csv; charset=utf-8", headers={"content-disposition": f'attachment; filename="{name}"'})


async def _one(web: Web, visit: str) -> DepartureRow:
    view = await departures(web, visit=visit[:200])
    row = next((row for row in view.rows if row.visit_id == visit), None)
    if row is None:
        raise Problem("not_found", "This departure is not known any more; the vehicle has left or it was cancelled.")
    return row


async def _apply(web: Web, request: Request, found: DeparturesPreview, reason: str) -> Response:
    words = "; ".join(word for line in found.lines for word in line.words)
    name = found.visits[0].vehicle_id if found.visits else "the departure"
    return await _answer(web, request, commands(found, caller_of(request).name, reason), f"State the departure of {name}", words)


async def _answer(web: Web, request: Request, orders: Sequence[cmd.Command], title: str, words: str) -> Response:
    response = RedirectResponse("/departures", status_code=303)
    caller = caller_of(request)
    if not orders:
        web.pages.set_flash(response, Flash(title, "done", "Nothing was to be changed.", 0, caller.name))
        return response
    went = await send_all(web, orders, together=False)
    message = went.refused[0] if went.refused else " ".join(x for x in (went.last.message if went.last else "", words) if x)
    web.pages.set_flash(response, Flash(title, went.status, message[:300], went.last.audit_seq if went.last else 0, caller.name))
    return response


async def _form_page(
    web: Web,
    request: Request,
    old: DepartureRow | None,
    given: Mapping[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    view, known = web.view(), await fleet(web)
    clock = text.DepotTime(view.timezone, view.at)
    values = dict.fromkeys((*FIELDS, "reason"), "")
    if old is not None:
        values |= {
            "vehicle_id": old.stay.vehicle_id,
            "depart_at": f"{clock.local(old.stay.depart_at):%Y-%m-%dT%H:%M}",
            "arrive_at": f"{clock.local(old.stay.arrive_at):%Y-%m-%dT%H:%M}",
            "connector": old.connector or "",
            "priority": str(old.stay.priority),
        }
    for name, value in given.items():
        values[name] = value.replace(" ", "T") if name in ("depart_at", "arrive_at") else value
    context: dict[str, Any] = {
        "old": old,
        "values": values,
        "errors": dict.fromkeys((*FIELDS, "reason", "bay", ""), "") | dict(errors or {}),
        "action": "/departures/form" + (f"?{urlencode({'visit': old.visit_id})}" if old is not None else ""),
        "cancel": f"/departures/cancel?{urlencode({'visit': old.visit_id})}" if old is not None else "",
        "vehicles": [(row.vehicle.vehicle_id, row.vehicle.model) for row in known.vehicles[:_CHOICES]],
        "places": known.places[:_CHOICES],
        "energy_now": text.kwh(old.stay.battery_energy_wh) if old is not None else "",
        "none_registered": not known.vehicles,
    }
    return web.pages.render(request, "departure_form.html", view=view, status=status, screen="departures", **context)


# -- the page ---------------------------------------------------------------------------------------------------------------


def page_context(view: DeparturesView, show: str, chosen: str) -> dict[str, Any]:
    """Rows, chips, the axis of the bars, and the remedies of the chosen or most urgent vehicle."""
    clock = text.DepotTime(view.timezone, view.at)
    groups = {key: [row for row in view.rows if _in(row, key)] for key, *_ in CHIPS}
    show = show if show in groups else "all"
    rows = groups[show]
    urgent = [row for row in view.rows if row.standing in ("late", "at_risk")]
    focus = next((row for row in view.rows if row.visit_id == chosen), urgent[0] if urgent else None)
    axis = _axis(view, rows[:ROWS_SHOWN])
    return {
        "chips": [(key, words, symbol, css, len(groups[key])) for key, words, symbol, css in CHIPS if key in ("all", show) or groups[key]],
        "show": show,
        "rows": [_row(row, clock, axis, show, focus) for row in rows[:ROWS_SHOWN]],
        "hidden": max(0, len(rows) - ROWS_SHOWN),
        "total": view.total,
        "none_at_all": not view.rows,
        "axis": axis,
        "focus": _focus(focus, clock) if focus is not None else None,
    }


def _in(row: DepartureRow, group: str) -> bool:
    return group == "all" or row.standing == group or (group == "coming" and not row.present)


class Axis:
    """The time axis of the bars: from the hour of now over 8, 12 or 24 h."""

    def __init__(self, now: datetime, hours: int, clock: text.DepotTime) -> None:
        self.start = clock.local(now).replace(minute=0, second=0, microsecond=0)
        self.seconds = hours * 3600
        self.ticks = [(k * 25.0, f"{self.start + timedelta(hours=k * hours // 4):%H:%M}") for k in range(4)]
        self.now = self.x(now)

    def x(self, at: datetime) -> float:
        """Per cent of the width, within it."""
        return round(min(100.0, max(0.0, (at - self.start).total_seconds() / self.seconds * 100)), 2)


def _axis(view: DeparturesView, rows: Sequence[DepartureRow]) -> Axis:
    last = max((row.stay.depart_at for row in rows), default=view.at)
    hours = next((h for h in (8, 12) if last - view.at <= timedelta(hours=h - 1)), 24)
    return Axis(view.at, hours, text.DepotTime(view.timezone, view.at))


def _row(row: DepartureRow, clock: text.DepotTime, axis: Axis, show: str, focus: DepartureRow | None) -> dict[str, Any]:
    css, symbol, words, tone = _LOOKS[row.standing]
    selected = focus is not None and focus.visit_id == row.visit_id
    query = {"visit": row.visit_id} | ({"show": show} if show != "all" else {})
    return {
        "css": css,
        "symbol": symbol,
        "word": words,
        "row": " ".join(part for part in (tone, "sel" if selected else "") if part),
        "vehicle": row.stay.vehicle_id,
        "model": row.model,
        "href": f"/departures?{urlencode(query)}",
        "form": f"/departures/form?{urlencode({'visit': row.visit_id})}",
        "charger": row.label or row.connector or text.ABSENT,
        "charger_href": charger_url(row.connector) if row.connector is not None else "",
        "soc": text.percent(row.soc),
        "soc_w": f"{(row.soc or 0) * 100:.0f}%",
        "target": text.percent(row.soc_target) if row.soc_target is not None else text.ABSENT,
        "target_x": f"{(row.soc_target or 0) * 100:.0f}%",
        "target_w": "2" if row.soc_target is not None else "0",
        "bar": "f-live" if row.present and (row.power_w or 0) > 0 else "f-idle",
        "due": clock.clock(row.stay.depart_at),
        "ready": text.ABSENT if row.standing == "ready" else clock.clock(row.ready_at) if row.ready_at is not None else text.UNKNOWN,
        "margin": text.minutes(row.margin_min) if row.standing != "ready" else "",
        "margin_css": {"late": "c-alarm", "at_risk": "c-warn"}.get(row.standing, ""),
        "missing": text.kwh(row.remaining_wh),
        "why": row.why,
        "detail": row.detail,
        "bars": _bars(row, axis),
        "due_x": axis.x(row.stay.depart_at),
        "over": _over(row, axis),
        "label": f"{row.stay.vehicle_id}: due {clock.clock(row.stay.depart_at)}"
        + (f", ready {clock.clock(row.ready_at)}" if row.ready_at is not None else ""),
    }


def _bars(row: DepartureRow, axis: Axis) -> list[tuple[str, float, float]]:
    """(class, x, width) of each time in which power flows: as planned, else from now until it is ready."""
    at = axis.start + timedelta(seconds=axis.now / 100 * axis.seconds)
    spans = [(span.start, span.stop) for span in row.planned]
    if not spans and row.present and row.ready_at is not None and row.standing != "ready" and (row.power_w or 0) > 0:
        spans = [(at, row.ready_at)]
    out = []
    for start, stop in spans:
        x = axis.x(start)
        width = round(axis.x(stop) - x, 2)
        flows = start <= at + timedelta(minutes=1) and (row.power_w or 0) > 0
        if width > 0:
            out.append((_BARS.get(row.standing, "f-live" if flows else "f-idle"), x, width))
    return out


def _over(row: DepartureRow, axis: Axis) -> tuple[float, float] | None:
    """The time after departure that it would still need."""
    if row.ready_at is None or row.ready_at <= row.stay.depart_at:
        return None
    x = axis.x(row.stay.depart_at)
    return (x, round(axis.x(row.ready_at) - x, 2)) if axis.x(row.ready_at) > x else None


def _focus(row: DepartureRow, clock: text.DepotTime) -> dict[str, Any]:
    name, due = row.stay.vehicle_id, clock.clock(row.stay.depart_at)
    if row.standing == "ready":
        headline = f"{name} has what was announced; due {due}"
    elif row.ready_at is not None:
        headline = f"{name} will be ready at {clock.clock(row.ready_at)}, due {due}"
    elif row.standing == "late":
        headline = f"{name} does not get ready by {due}: {text.kwh(row.missing_wh)} kWh are missing then"
    else:
        headline = f"{name} is due {due}; when it will be ready is not known"
    return {
        "headline": headline,
        "css": {"late": "alarm", "at_risk": "warn"}.get(row.standing, ""),
        "symbol": _LOOKS[row.standing][1],
        "why": f"{row.why}: {row.detail}" if row.detail else row.why,
        "remedies": [(remedy, *_act(remedy)) for remedy in row.remedies],
        "urgent": row.standing in ("late", "at_risk"),
        "form": f"/departures/form?{urlencode({'visit': row.visit_id})}",
    }


def _act(remedy: Remedy) -> tuple[str, str, str]:
    """(address, words of the button, permission that it needs)."""
    if remedy.act == "charger":
        return charger_url(remedy.at), "Open charger", "read"
    if remedy.act == "limits":
        return "/limits", "Open limits", "read"
    if remedy.act == "change":
        return f"/departures/form?{urlencode({'visit': remedy.at, **remedy.set})}", "Change", "visits"
    return "", "", ""
