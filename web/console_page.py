"""The call console of a station: choose an action of its OCPP version, fill in a form made from its schema, or write JSON.

    CallForm (schema) + what was typed --schema_form--> form; sent: CallStation --> the answer with outcome and time

Adding and removing items of lists, and changing between form and JSON, are presses of buttons that send nothing to the station.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.raw_calls import CallForm
from depot import commands as cmd
from web import actions, schema_form
from web.context import Web, caller_of, machine_tabs
from web.pages import station_url
from web.problems import Problem
from web.stations_api import order
from web.stations_page import shown_station

MOST_FIELDS = 2000
OUTCOMES: Mapping[str, tuple[str, str, str]] = {
    "result": ("st done", "check", "Answered"),
    "error": ("st alarm", "faulted", "Answered with an error"),
    "timeout": ("st warn", "late", "No answer in time"),
    "offline": ("st lost", "offline", "Not connected"),
    "refused": ("st alarm", "close", "Not sent"),
}
FIRST = {
    "1.6": ("Reset", "TriggerMessage", "GetConfiguration", "ChangeConfiguration", "UnlockConnector", "ClearCache"),
    "2.0.1": ("Reset", "TriggerMessage", "GetVariables", "SetVariables", "UnlockConnector", "ClearCache"),
    "2.1": ("Reset", "TriggerMessage", "GetVariables", "SetVariables", "UnlockConnector", "ClearCache"),
}
"""What people ask for most, offered first."""


def console_screens(web: Web) -> APIRouter:
    """Routes of the console."""
    router = APIRouter(include_in_schema=False)

    @router.get("/stations/{station_id}/console")
    async def console(request: Request, station_id: str, action: str = "", mode: str = "form") -> Response:
        found = await _form(web, station_id, action)
        return await _page(web, request, found, {}, mode=mode)

    @router.post("/stations/{station_id}/console")
    async def press(request: Request, station_id: str) -> Response:
        sent = await request.form(max_fields=MOST_FIELDS, max_files=0)
        values = {name: str(value) for name, value in sent.items() if isinstance(value, str)}
        found = await _form(web, station_id, values.get("action", ""))
        if found.payload_schema is None:
            raise Problem("invalid_request", "Choose what the station shall be asked.")
        schema, act = found.payload_schema, values.get("do", "send")
        mode = "json" if values.get("mode") == "json" else "form"
        fields = {name: value for name, value in values.items() if name.startswith(("f.", "n.f"))}
        body, errors = _read(schema, values.get("json", "")) if mode == "json" else schema_form.payload(schema, fields)
        if act in ("form", "json"):
            if act == "form" and errors:
                return await _page(web, request, found, values, mode=mode, errors=errors, status=422)
            turned = values | {"json": json.dumps(body, indent=2, ensure_ascii=False)} | schema_form.spread(body)
            return await _page(web, request, found, turned, mode=act)
        if act.startswith(("add:", "drop:")):
            rest = {name: value for name, value in values.items() if name not in fields}
            return await _page(web, request, found, rest | schema_form.changed(schema, fields, act), mode=mode)
        reason = " ".join(values.get("reason", "").split())
        if not 0 < len(reason) <= 200:
            errors["reason"] = "Say why; it is kept in the audit trail."
        if errors:
            return await _page(web, request, found, values, mode=mode, errors=errors, status=422)
        answer = await _send(web, request, station_id, found.action, body, reason)
        return await _page(web, request, found, values, mode=mode, answer=answer)

    return router


async def _send(web: Web, request: Request, station_id: str, action: str, body: dict[str, Any], reason: str) -> dict[str, Any]:
    """The answer in words, also where the depot refused to ask."""
    command = cmd.CallStation(
        command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, station_id=station_id, action=action, payload=body
    )
    began = time.perf_counter()
    try:
        result = await order(web, command)
    except Problem as problem:
        if problem.code != "command_refused":
            raise
        return {"looks": OUTCOMES["refused"], "words": problem.detail, "took": "", "json": "", "audit_seq": 0, "action": action}
    took_ms = (time.perf_counter() - began) * 1000
    said = dict(result.answer or {})
    shown = said.get("payload", said.get("error"))
    return {
        "looks": OUTCOMES.get(str(said.get("outcome")), OUTCOMES["error"]),
        "words": result.message,
        "took": f"{took_ms:.0f} ms" if took_ms < 10_000 else f"{took_ms / 1000:.0f} s",
        "json": json.dumps(shown, indent=2, ensure_ascii=False) if shown is not None else "",
        "audit_seq": result.audit_seq,
        "action": action,
    }


def _read(schema: Mapping[str, Any], sent: str) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        body = json.loads(sent or "{}")
    except (ValueError, RecursionError) as error:
        return {}, {"json": f"This is not JSON: {str(error)[:120]}"}
    if not isinstance(body, dict):
        return {}, {"json": "A payload is an object: { … }"}
    return body, {}


async def _form(web: Web, station_id: str, action: str) -> CallForm:
    await shown_station(web, station_id)
    found = await web.link.show(CallForm, station_id=station_id, action=action)
    if found is None:
        raise Problem("not_found", f"This station's OCPP version has no call {action[:50]!r}.")
    return found


async def _page(
    web: Web,
    request: Request,
    found: CallForm,
    values: Mapping[str, str],
    *,
    mode: str,
    errors: Mapping[str, str] | None = None,
    answer: dict[str, Any] | None = None,
    status: int = 200,
) -> Response:
    detail = await shown_station(web, found.station_id)
    kept = {k: v for k, v in values.items() if not k.startswith(("f.", "n.f"))}
    fields = {k: v for k, v in values.items() if k.startswith(("f.", "n.f"))}
    form = schema_form.build(found.payload_schema, fields, errors or {}) if found.payload_schema is not None else None
    first = [a for a in FIRST.get(found.version, ()) if a in found.actions]
    return web.pages.render(
        request,
        "console.html",
        view=web.view(),
        status=status,
        screen="chargers",
        tabs=machine_tabs(request, "stations"),
        url=station_url(found.station_id),
        found=found,
        connected=detail.connected,
        first=first,
        others=[a for a in found.actions if a not in first],
        form=form,
        mode=mode if mode in ("form", "json") else "form",
        text=kept.get("json", "{}"),
        reason=kept.get("reason", ""),
        errors={"json": "", "reason": ""} | dict(errors or {}),
        answer=answer,
    )
