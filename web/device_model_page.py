"""A station's device model on the screen, and drift over the depot: found and filtered by the core, a page at a time.

DeviceModelView, DriftView, WantedView -> words      forms -> AskReport, SetVariables, RepairDrift, ChangeWantedVariables
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from controller.device_model.views import (
    DeviceModelView,
    DriftRow,
    DriftView,
    EventRow,
    MonitorRow,
    ReportView,
    VariableRow,
    VariablesView,
    WantedView,
)
from depot import commands as cmd
from depot.device_model import BaseReport, Characteristics, Variable, VariableSetting
from depot.values import InvalidValue
from depot.wanted import WantedScope, WantedVariable, why_not
from web import actions, text
from web.context import Web, caller_of, machine_tabs
from web.pages import Flash, station_url
from web.problems import Problem
from web.stations_api import order

SHOWN = 100
STANDINGS = {
    "differs": ("st warn", "limit", "differs"),
    "waiting": ("st", "waiting", "after its next boot"),
    "missing": ("st", "info", "it has no such variable"),
    "unread": ("st", "info", "not read yet"),
    "hidden": ("st", "lock", "tells no value"),
    "same": ("st", "check", "as wanted"),
}
REPORTS = {
    "asked": ("st live", "clock", "asked"),
    "under_way": ("st live", "clock", "being told"),
    "complete": ("st done", "check", "complete"),
    "incomplete": ("st warn", "limit", "incomplete"),
    "refused": ("st alarm", "close", "refused"),
    "empty": ("st", "info", "nothing to tell"),
}
SOURCES = {"controller": "the controller", "depot": "the depot", "model": "its model", "station": "this station"}
_NAME = ("component", "component_instance", "evse", "connector", "variable", "variable_instance")


def device_model_screens(web: Web) -> APIRouter:
    """Routes of device models and drift."""
    router = APIRouter(include_in_schema=False)

    @router.get("/stations/{station_id}/device-model")
    async def page(request: Request, station_id: str, component: str = "", text: str = "", offset: str = "") -> Response:
        wanted = {"component": component.strip()[:50], "text": text.strip()[:100]}
        at = int(offset) if offset.isascii() and offset.isdecimal() and len(offset) < 7 else 0
        asked = {name: value for name, value in wanted.items() if value}
        found = await _shown(web, station_id, **asked, offset=str(at), limit=str(SHOWN))
        return _model_page(web, request, found, wanted)

    @router.post("/stations/{station_id}/device-model/read")
    async def read(request: Request, station_id: str) -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.AskReport(**_who(request, reason), station_id=station_id, base=BaseReport.FULL)
        return await _done(web, request, command, "Read the whole model", back=model_url(station_id))

    @router.post("/stations/{station_id}/device-model/repair")
    async def repair(request: Request, station_id: str) -> Response:
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.RepairDrift(**_who(request, reason), station_id=station_id)
        return await _done(web, request, command, "Repair drift", back=model_url(station_id))

    @router.get("/stations/{station_id}/device-model/set")
    async def form(request: Request, station_id: str) -> Response:
        return await _set_page(web, request, station_id, variable_of(dict(request.query_params)))

    @router.post("/stations/{station_id}/device-model/set")
    async def write(request: Request, station_id: str) -> Response:
        sent = await request.form()
        said = {name: str(sent.get(name, "")) for name in (*_NAME, "reason")}
        wanted, value = variable_of(said), ",".join(str(one) for one in sent.getlist("value"))[:1000]
        row = await _row(web, station_id, wanted)
        errors = {"value": against} if (against := _against(row, value)) else {}
        try:
            reason = actions.need_reason(said["reason"])
        except Problem as problem:
            errors |= problem.errors
        if errors:
            return await _set_page(web, request, station_id, wanted, value=value, errors=errors, status=422)
        command = cmd.SetVariables(**_who(request, reason), station_id=station_id, settings=(VariableSetting(wanted, value),))
        return await _done(web, request, command, f"Set {wanted}", back=f"{model_url(station_id)}?{urlencode({'text': str(wanted)})}")

    @router.get("/drift")
    async def drift(request: Request) -> Response:
        return await _drift_page(web, request)

    @router.post("/drift/wanted")
    async def want(request: Request) -> Response:
        return await _change_wanted(web, request, gone=False)

    @router.post("/drift/unwanted")
    async def unwant(request: Request) -> Response:
        return await _change_wanted(web, request, gone=True)

    return router


def model_url(station_id: str) -> str:
    return f"{station_url(station_id)}/device-model"


def variable_of(said: Mapping[str, str]) -> Variable:
    """The variable that a form or an address names. Raises :class:`Problem` where it names none."""
    try:
        evse, connector = (int(said[name]) if said.get(name) else None for name in ("evse", "connector"))
        component, variable = said.get("component", "").strip()[:50], said.get("variable", "").strip()[:50]
        if not component or not variable:
            raise InvalidValue("a component and a variable")
    except (ValueError, InvalidValue):
        raise Problem("invalid_request", "Name a component and one of its variables; EVSE and connector are numbers.") from None
    of_variable, of_component = (said.get(name, "").strip()[:50] or None for name in ("variable_instance", "component_instance"))
    return Variable(component, variable, of_variable, of_component, evse, connector)


def _against(row: VariableRow, value: str) -> str:
    """Why the variable cannot have this value, as far as its station says."""
    if row.data_type is None:
        return ""
    limits = Characteristics(row.data_type, row.unit, row.min_limit, row.max_limit, tuple(row.values))
    words = why_not(value, limits)
    return f"{words[:1].upper()}{words[1:]}" if words else ""


async def _shown(web: Web, station_id: str, **args: str) -> DeviceModelView:
    found = await web.link.show(DeviceModelView, station_id=station_id[:48], **args)
    if found is None:
        raise Problem("unknown_station", f"The depot has no station {station_id[:48]}. The list shows all.")
    return found


async def _row(web: Web, station_id: str, wanted: Variable) -> VariableRow:
    """The variable as it was told last. Raises :class:`Problem` for one that is not known."""
    search = {"component": wanted.component, "variable": wanted.name}
    found = await web.link.show(VariablesView, station_id=station_id[:48], limit="1000", **search)
    row = next((row for row in (found.variables if found is not None else ()) if _named(row).key == wanted.key), None)
    if row is None:
        raise Problem("not_found", f"{station_id[:48]} has not told of {wanted}; read its model anew.")
    return row


def _named(row: VariableRow) -> Variable:
    return Variable(row.component, row.variable, row.variable_instance, row.component_instance, row.evse, row.connector)


def _who(request: Request, reason: str) -> dict[str, Any]:
    return {"command_id": actions.new_id(), "actor": caller_of(request).name, "reason": reason}


async def _done(web: Web, request: Request, command: cmd.Command, title: str, *, back: str) -> Response:
    """Send it and lead back; the page says how it went, for each variable where there are several."""
    result = await order(web, command)
    words = result.message
    told = [row for row in (result.answer or {}).get("results", ()) if row.get("status") != "Accepted"]
    if told:
        words += ": " + ", ".join(f"{row.get('component')}.{row.get('variable')} {row.get('status') or row.get('outcome')}" for row in told)
    response = RedirectResponse(back, status_code=303)
    web.pages.set_flash(response, Flash(title, result.status.value, words[:300], result.audit_seq, caller_of(request).name))
    return response


# -- the station's page -----------------------------------------------------------------------------------------------------


def _model_page(web: Web, request: Request, found: DeviceModelView, wanted: Mapping[str, str]) -> Response:
    view = web.view()
    clock = text.DepotTime(view.timezone, view.at)
    url = model_url(found.station_id)
    asked = {name: value for name, value in wanted.items() if value}

    def at(offset: int) -> str:
        return f"{url}?{urlencode(asked | {'offset': str(offset)})}"

    further = found.offset + len(found.shown)
    report = None if found.report is None else _report(found.report, clock)
    return web.pages.render(
        request, "device_model.html", view=view, screen="chargers", tabs=machine_tabs(request, "stations"), url=url,
        station_id=found.station_id, version=found.version, told="never" if found.told_at is None else clock.seconds(found.told_at),
        machine=found.machine, total=found.total, wanted=wanted, filtered=bool(asked), rows=_rows(found, url, clock),
        components=[(row.component, row.variables) for row in found.components], first=found.offset + 1, last=further,
        before=at(max(0, found.offset - SHOWN)) if found.offset else "", after=at(further) if further < found.total else "",
        drift=[_drift(row) for row in found.drift], differs=sum(row.standing == "differs" for row in found.drift), wishes=found.wanted,
        monitors=[_monitor(row, clock) for row in found.monitors], events=[_event(row, clock) for row in found.events], report=report,
        old=found.version == "1.6" and not found.total,
    )  # fmt: skip


def _rows(found: DeviceModelView, url: str, clock: text.DepotTime) -> list[dict[str, Any]]:
    """Rows, the component's name only where it changes."""
    made, before = [], ""
    for row in found.shown:
        component = row.name.rsplit("." + row.variable, 1)[0]
        made.append(_variable(row, url, clock) | {"component": component, "again": component == before})
        before = component
    return made


def _variable(row: VariableRow, url: str, clock: text.DepotTime) -> dict[str, Any]:
    others = [f"{one.type} {one.value}" for one in row.attributes if one.type != "Actual" and one.value is not None]
    limits = [part for part in (_range(row), ", ".join(row.values)) if part]
    name = {key: value for key in _NAME if (value := getattr(row, key)) is not None}
    writable = row.mutability != "ReadOnly" and not any(one.constant for one in row.attributes)
    age = None if row.read_at is None else (clock.now - clock.local(row.read_at)).total_seconds()
    return {
        "variable": row.variable + (f" [{row.variable_instance}]" if row.variable_instance else ""),
        "value": "not shown" if row.actual is None else row.actual or "empty",
        "told": row.actual is not None,
        "unit": row.unit or "",
        "others": ", ".join(others),
        "waiting": row.waiting,
        "access": {"ReadOnly": "read", "WriteOnly": "write", "ReadWrite": "read, write"}.get(row.mutability, row.mutability),
        "kind": row.data_type or text.ABSENT,
        "limits": "; ".join(limits)[:120],
        "monitors": row.monitors,
        "age": text.age(age),
        "set": f"{url}/set?{urlencode(name)}" if writable else "",
    }


def _range(row: VariableRow) -> str:
    if row.min_limit is None and row.max_limit is None:
        return ""
    if row.data_type in ("integer", "decimal"):
        return f"{'any' if row.min_limit is None else f'{row.min_limit:g}'} to {'any' if row.max_limit is None else f'{row.max_limit:g}'}"
    return "" if row.max_limit is None else f"at most {row.max_limit:g} characters"


def _report(report: ReportView, clock: text.DepotTime) -> dict[str, Any]:
    css, symbol, word = REPORTS.get(report.state, ("st", "info", report.state))
    progress = f"{report.parts} parts, {text.number(report.rows)} rows" if report.parts else ""
    missing = f"parts missing: {', '.join(map(str, report.missing[:8]))}" if report.missing else ""
    refused = report.answer if report.state in ("refused", "incomplete") and report.answer != "Accepted" else ""
    return {
        "css": css,
        "symbol": symbol,
        "word": word,
        "words": " · ".join(part for part in (report.kind, progress, missing, refused) if part),
        "asked": f"{report.asked_by}, {clock.seconds(report.asked_at)}",
        "open": report.state in ("asked", "under_way"),
    }


def _drift(row: DriftRow) -> dict[str, Any]:
    return {
        "station_id": row.station_id,
        "name": row.name,
        "wanted": row.wanted,
        "actual": text.ABSENT if row.actual is None else row.actual,
        "standing": STANDINGS[row.standing],
        "differs": row.standing == "differs",
        "source": SOURCES[row.source],
        "writable": row.writable,
    }


def _monitor(row: MonitorRow, clock: text.DepotTime) -> dict[str, Any]:
    return {
        "id": row.monitor_id,
        "name": row.name,
        "kind": row.kind,
        "value": f"{row.value:g}",
        "severity": row.severity,
        "when": "in transactions" if row.transaction else "always",
        "origin": row.origin or text.ABSENT,
    }


def _event(row: EventRow, clock: text.DepotTime) -> dict[str, Any]:
    severe = row.severity is not None and row.severity <= 3 and not row.cleared  # as alarms: up to critical
    return {
        "at": clock.seconds(row.reported_at or row.received_at),
        "name": row.name,
        "value": row.value or text.ABSENT,
        "trigger": "over" if row.cleared else row.trigger,
        "severity": text.UNKNOWN if row.severity is None else str(row.severity),
        "words": " ".join(part for part in (row.code, row.info) if part),
        "css": "warn" if severe else "",
    }


# -- setting a value --------------------------------------------------------------------------------------------------------


async def _set_page(
    web: Web,
    request: Request,
    station_id: str,
    wanted: Variable,
    *,
    value: str | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    row = await _row(web, station_id, wanted)
    view = web.view()
    url = model_url(station_id)
    shown = _variable(row, url, text.DepotTime(view.timezone, view.at))
    chosen = row.actual or "" if value is None else value
    secret = row.mutability == "WriteOnly"
    return web.pages.render(
        request, "device_model_set.html", view=view, status=status, screen="chargers", tabs=machine_tabs(request, "stations"), url=url,
        station_id=station_id, name=row.name, row=row, shown=shown, value="" if secret and value is None else chosen, secret=secret,
        members=[part.strip() for part in chosen.split(",")], hidden=[(key, getattr(row, key)) for key in _NAME],
        errors={"value": "", "reason": ""} | dict(errors or {}),
    )  # fmt: skip


# -- drift over the depot ---------------------------------------------------------------------------------------------------


async def _drift_page(web: Web, request: Request, *, said: Mapping[str, str] | None = None, error: str = "", status: int = 200) -> Response:
    view = web.view()
    clock = text.DepotTime(view.timezone, view.at)
    found, wanted = await web.link.show(DriftView), await web.link.show(WantedView)
    if found is None or wanted is None:
        raise Problem("not_found", "This core keeps no device models.")
    stations = [
        {
            "station_id": s.station_id,
            "url": model_url(s.station_id),
            "machine": s.machine.replace("/", " ") or "not reported",
            "told": "never" if s.told_at is None else clock.seconds(s.told_at),
            "variables": text.number(s.variables),
            "differs": s.differs,
            "waiting": s.waiting,
            "missing": s.missing,
            "wanted": s.wanted,
        }
        for s in sorted(found.stations, key=lambda s: (-s.differs, s.station_id))
    ]
    wishes = [
        {
            "scope": {"controller": "the controller", "depot": "the depot", "model": f"model {w.name}", "station": w.name}[w.scope],
            "label": w.label,
            "value": w.value,
            "own": w.scope == "controller",
            "hidden": [("scope", w.scope), ("name", w.name), *((key, getattr(w, key)) for key in _NAME)],
        }
        for w in wanted.wanted
    ]
    machines = sorted({s.machine for s in found.stations if s.machine})
    return web.pages.render(
        request, "drift.html", view=view, status=status, screen="chargers", tabs=machine_tabs(request, "drift"), stations=stations,
        differs=[_drift(row) | {"url": model_url(row.station_id)} for row in found.drift if row.standing == "differs"][:200],
        wishes=wishes, machines=machines, v=dict.fromkeys((*_NAME, "scope", "name", "value"), "") | dict(said or {}), error=error,
    )  # fmt: skip


async def _change_wanted(web: Web, request: Request, *, gone: bool) -> Response:
    sent = await request.form()
    said = {name: str(sent.get(name, ""))[:1000] for name in (*_NAME, "scope", "name", "value")}
    try:
        reason = actions.need_reason(str(sent.get("reason", "")))
        variable = variable_of(said)
        scope = WantedScope(said["scope"])
        name = "" if scope is WantedScope.DEPOT else said["name"].strip()[:150]
        wanted = () if gone else (WantedVariable(variable, said["value"]),)
        command = cmd.ChangeWantedVariables(
            **_who(request, reason), scope=scope, name=name, wanted=wanted, removed=(variable,) if gone else ()
        )
        title = f"{'No more wanted' if gone else 'Wanted'}: {variable}"
        return await _done(web, request, command, title, back="/drift")
    except ValueError:
        return await _drift_page(web, request, said=said, error="Choose for whom it is wanted.", status=422)
    except Problem as problem:
        if problem.code not in ("command_refused", "invalid_request"):
            raise
        return await _drift_page(web, request, said=said, error=problem.detail, status=problem.status)
