"""*Alarms*: what stands, acknowledging, putting aside; commands that wait for a second person; how notifications stand.

GET  /alarms                         the page (?show=unacknowledged …)
POST /alarms/acknowledge             one or more keys
GET  /alarms/shelve, POST            put one aside, with a time and a reason
POST /alarms/unshelve                take one back
POST /approvals/{approval}/approve   the second person's yes; /refuse: the no, also the asker's
GET  /api/v1/alarms                  the same as JSON
POST /api/v1/alarms/acknowledge      {"keys", "reason"}
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.alarm_view import AlarmRow, AlarmsView, ApprovalRow
from controller.link import LinkProtocol
from controller.outbox_desk import NotifyView
from depot import commands as cmd
from depot.values import ConnectorId, InvalidValue
from web import actions, text
from web.api import COMMAND, Key, answers
from web.auth import Caller
from web.context import Web, caller_of
from web.pages import charger_url
from web.problems import Problem
from web.roles import APPROVES, Permission, least_roles
from web.screens import carry_out

SHOWN = 200
"""Rows on the page; the chips choose among all that the core gave."""

CHIPS = (
    ("all", "All", "", ""),
    ("unacknowledged", "Unacknowledged", "faulted", "c-alarm"),
    ("acknowledged", "Acknowledged", "check", ""),
    ("cleared", "Cleared, not seen", "clock", ""),
    ("aside", "Put aside", "lock", ""),
)
_ASIDE = frozenset({"shelved", "out_of_service", "suppressed"})
_LOOK = {"acknowledged": ("", " ack"), "cleared": ("cleared", " clear"), "unacknowledged": ("", "")}
TIMES = (("15", "15 minutes"), ("30", "30 minutes"), ("60", "1 hour"), ("240", "4 hours"), ("720", "12 hours"))
_KEY_MOST = 300


def alarms_screens(web: Web) -> APIRouter:
    """Routes of the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/alarms")
    async def alarms(request: Request, show: str = "all") -> Response:
        view = web.view()
        found = await ask(web)
        clock = text.DepotTime(view.timezone, view.at)
        context = alarms_context(found, clock, caller_of(request), show if show in {chip[0] for chip in CHIPS} else "all")
        return web.pages.render(request, "alarms.html", view=view, screen="alarms", messages=await messages(web, clock), **context)

    @router.post("/alarms/acknowledge")
    async def acknowledge(request: Request) -> Response:
        form = await request.form()
        keys = tuple(key for value in form.getlist("key") if (key := str(value)) and len(key) <= _KEY_MOST)[:SHOWN]
        if not keys:
            raise Problem("invalid_request", "Say which alarm.")
        reason = " ".join(str(form.get("reason", "")).split())[:200]
        command = cmd.AcknowledgeAlarms(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, keys=keys)
        title = "Acknowledge alarm" if len(keys) == 1 else f"Acknowledge {len(keys)} alarms"
        return await carry_out(web, request, command, title, back=_back(str(form.get("show", "all"))))

    @router.get("/alarms/shelve")
    async def shelve_form(request: Request, key: str = "") -> Response:
        return await shelve_page(web, request, key, {"minutes": "60", "reason": "", "errors": {}})

    @router.post("/alarms/shelve")
    async def shelve(request: Request) -> Response:
        form = {k: str(v) for k, v in (await request.form()).items()}
        key, wanted, caller = form.get("key", ""), form.get("minutes", ""), caller_of(request)
        errors: dict[str, str] = {}
        reason = ""
        try:
            reason = actions.need_reason(form.get("reason", ""))
        except Problem as problem:
            errors |= problem.errors
        if wanted not in {*(minutes for minutes, _ in TIMES), "out"}:
            errors["minutes"] = "Choose one of these"
        if wanted == "out" and not caller.may(Permission.RESTORE):
            errors["minutes"] = f"Out of service needs {least_roles(Permission.RESTORE)}"
        if errors:
            return await shelve_page(web, request, key, {"minutes": wanted, "reason": reason, "errors": errors}, status=422)
        minutes = None if wanted == "out" else int(wanted)
        command = cmd.ShelveAlarm(command_id=actions.new_id(), actor=caller.name, reason=reason, key=key[:_KEY_MOST], minutes=minutes)
        return await carry_out(web, request, command, "Put alarm aside", back="/alarms")

    @router.post("/alarms/unshelve")
    async def unshelve(request: Request) -> Response:
        form = await request.form()
        command = cmd.UnshelveAlarm(
            command_id=actions.new_id(), actor=caller_of(request).name, reason="taken back", key=str(form.get("key", ""))[:_KEY_MOST]
        )
        return await carry_out(web, request, command, "Take alarm back", back=_back(str(form.get("show", "all"))))

    @router.post("/approvals/{approval}/approve")
    async def approve(request: Request, approval: str) -> Response:
        row = await _waiting(web, approval)
        caller = caller_of(request)
        if not may_answer(caller, row):
            raise Problem("forbidden", f"To approve this one must be able to order it: {_who(row)}.")
        if caller.name.casefold() == row.asked_by.casefold():
            raise Problem("forbidden", "You asked for it yourself. A second person has to approve it.")
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.ApproveCommand(command_id=actions.new_id(), actor=caller.name, reason=reason, approval_id=row.approval_id)
        return await carry_out(web, request, command, f"Approve: {actions.title_of(row.kind)}", back="/alarms")

    @router.post("/approvals/{approval}/refuse")
    async def refuse(request: Request, approval: str) -> Response:
        row = await _waiting(web, approval)
        caller = caller_of(request)
        if not may_answer(caller, row) and caller.name.casefold() != row.asked_by.casefold():
            raise Problem("forbidden", f"To refuse this one must be able to order it: {_who(row)}.")
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = cmd.RefuseCommand(command_id=actions.new_id(), actor=caller.name, reason=reason, approval_id=row.approval_id)
        return await carry_out(web, request, command, f"Refuse: {actions.title_of(row.kind)}", back="/alarms")

    return router


class AcknowledgeBody(BaseModel):
    """Alarms that somebody has seen, by their keys."""

    model_config = ConfigDict(extra="forbid")
    keys: list[Annotated[str, Field(min_length=1, max_length=_KEY_MOST)]] = Field(min_length=1, max_length=SHOWN)
    reason: str = Field(default="", max_length=200, description="Kept in the audit trail")


def alarms_api(web: Web) -> APIRouter:
    """The view, and the acknowledgement, for machines."""
    router = APIRouter(prefix="/api/v1", tags=["alarms"])

    @router.get(
        "/alarms",
        responses=answers("AlarmsView", 404),
        response_class=Response,
        summary="Alarms that are not normal, and commands that wait for a second person",
    )
    async def alarms() -> Response:
        return Response(msgspec.json.encode(await ask(web)), media_type="application/json")

    @router.post("/alarms/acknowledge", **COMMAND, summary="Say that somebody has seen these alarms")
    async def acknowledge(request: Request, body: AcknowledgeBody, key: Key = "") -> Response:
        command = cmd.AcknowledgeAlarms(
            command_id=key or actions.new_id(),
            actor=caller_of(request).name,
            reason=" ".join(body.reason.split()),
            keys=tuple(body.keys),
        )
        result = await actions.send(web, command)
        if result.status in (cmd.CommandStatus.REFUSED, cmd.CommandStatus.FAILED):
            raise Problem("command_refused", result.message or "The controller gave no reason; its log says more.")
        status = 202 if result.status is cmd.CommandStatus.ACCEPTED else 200
        return Response(msgspec.json.encode(result), status, media_type="application/json")

    return router


async def ask(web: Web) -> AlarmsView:
    found = await web.link.show(AlarmsView)
    if found is None:
        raise Problem("not_found", "This core has no alarms.")
    return found


async def _waiting(web: Web, approval: str) -> ApprovalRow:
    row = next((row for row in (await ask(web)).approvals if row.approval_id == approval), None)
    if row is None:
        raise Problem("not_found", "This command does not wait any more: it was approved, refused, or it lapsed.")
    return row


def may_answer(caller: Caller, row: ApprovalRow) -> bool:
    """Whether the caller could order this himself. Machines never approve."""
    needed = APPROVES.get(row.kind)
    return needed is not None and not caller.is_machine and caller.may(needed)


def _who(row: ApprovalRow) -> str:
    needed = APPROVES.get(row.kind)
    return "nobody here can" if needed is None else least_roles(needed)


def _back(show: str) -> str:
    return "/alarms" if show == "all" or show not in {chip[0] for chip in CHIPS} else f"/alarms?show={show}"


async def shelve_page(web: Web, request: Request, key: str, form: dict[str, Any], *, status: int = 200) -> Response:
    """The form to put one alarm aside."""
    row = next((row for row in (await ask(web)).rows if row.key == key), None)
    if row is None or not row.shelvable:
        raise Problem("not_found", "There is no such alarm, or it cannot be put aside.")
    may_out = caller_of(request).may(Permission.RESTORE) and row.priority > 1
    form["errors"] = {"minutes": "", "reason": ""} | form["errors"]
    times = [pair for pair in TIMES if row.priority > 1 or int(pair[0]) <= 60]
    context: dict[str, Any] = {
        "alarm": row,
        "form": form,
        "times": [*times, ("out", "Out of service, until somebody takes it back")] if may_out else times,
    }
    return web.pages.render(request, "alarm_shelve.html", view=web.view(), screen="alarms", status=status, **context)


def alarms_context(found: AlarmsView, clock: text.DepotTime, caller: Caller, show: str) -> dict[str, Any]:
    """Everything that the template needs."""
    groups = {"all": found.rows}
    groups |= {name: [row for row in found.rows if row.state == name] for name in ("unacknowledged", "acknowledged", "cleared")}
    groups["aside"] = [row for row in found.rows if row.state in _ASIDE]
    shown = [row for row in groups[show] if show in ("all", "aside") or row.state not in _ASIDE][:SHOWN]
    waiting = [row.key for row in shown if row.state in ("unacknowledged", "cleared")]
    counts = found.counts
    return {
        "show": show,
        "chips": [(name, words, symbol, css, len(groups[name])) for name, words, symbol, css in CHIPS],
        "rows": [_row(row, clock) for row in shown],
        "hidden": len(groups[show]) - len(shown) + (found.more if show == "all" else 0),
        "all_keys": waiting if len(waiting) > 1 else [],
        "counts": counts,
        "sub": f"{counts.unacknowledged} unacknowledged · {counts.active} active · {counts.shelved} put aside",
        "flood": found.flood,
        "raised_10_min": found.raised_10_min,
        "raised_24_h": found.raised_24_h,
        "counted_since": clock.clock(found.counted_since),
        "recorded": found.recorded,
        "approvals": [_approval(row, clock, caller) for row in found.approvals],
    }


def _row(row: AlarmRow, clock: text.DepotTime) -> dict[str, Any]:
    css, shape = _LOOK.get(row.state, ("shelved", " ack"))
    return {
        "key": row.key,
        "css": css,
        "shape": shape,
        "priority": row.priority,
        "state": row.state.replace("_", " "),
        "title": row.title,
        "action": row.action,
        "consequence": row.consequence,
        "when": _when(row, clock),
        "link": _link(row),
        "ack": row.state in ("unacknowledged", "cleared"),
        "shelve": row.shelvable and row.state in ("unacknowledged", "acknowledged"),
        "unshelve": row.state in ("shelved", "out_of_service"),
    }


def _when(row: AlarmRow, clock: text.DepotTime) -> str:
    times = f", {row.times} times" if row.times > 1 else ""
    raised = clock.seconds(row.raised_at)
    match row.state:
        case "acknowledged":
            return f"since {raised}{times} · acknowledged {clock.clock(row.acknowledged_at)} by {row.acknowledged_by}"
        case "cleared":
            return f"{raised} to {clock.seconds(row.cleared_at)}{times} · nobody has seen it"
        case "shelved":
            holds = "holds" if row.cleared_at is None else "does not hold now"
            return f"shelved until {clock.clock(row.shelved_until)} by {row.shelved_by}: {row.reason} · {holds}"
        case "out_of_service":
            return f"out of service since {row.shelved_by} said so: {row.reason}"
        case "suppressed":
            return f"suppressed by design: {row.reason}"
    return f"since {raised}{times} · act within {_span(row.respond_min)}"


def _span(minutes: int) -> str:
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:g} h"


def _link(row: AlarmRow) -> tuple[str, str] | None:
    """Where to look: a page of ours and what it is called."""
    if row.kind.startswith("charger_"):
        try:
            return charger_url(str(ConnectorId.parse(row.subject))), "Charger"
        except InvalidValue:
            return None
    return {
        "pack_tripped": ("/safety", "Safety"),
        "area_isolated": ("/safety", "Safety"),
        "isolation_failed": ("/safety", "Safety"),
        "isolations_unsafe": ("/safety", "Safety"),
        "output_failed": ("/safety", "Safety"),
        "vehicle_late": ("/departures?show=late", "Departures"),
        "vehicle_at_risk": ("/departures?show=at_risk", "Departures"),
        "audit_broken": ("/audit", "Audit"),
        "utility_silent": ("/grid", "Grid"),
        "meter_silent": ("/grid", "Grid"),
        "meter_doubtful": ("/grid", "Grid"),
        "plan_vetoed": ("/plan", "Plan"),
    }.get(row.kind)


def _approval(row: ApprovalRow, clock: text.DepotTime, caller: Caller) -> dict[str, Any]:
    own = caller.name.casefold() == row.asked_by.casefold()
    return {
        "id": row.approval_id,
        "title": actions.title_of(row.kind),
        "target": row.target or "depot",
        "asked_by": row.asked_by,
        "asked_at": clock.seconds(row.asked_at),
        "until": clock.clock(row.until),
        "reason": row.reason or "no reason given",
        "own": own,
        "approve": may_answer(caller, row) and not own,
        "refuse": may_answer(caller, row) or own,
        "who": _who(row),
    }


async def messages(web: Web, clock: text.DepotTime) -> dict[str, Any] | None:
    """How notifications stand; None where nobody is told of anything."""
    try:
        found = await web.link.show(NotifyView)
    except LinkProtocol:
        return None  # a core without the section notify has no such view
    if found is None:
        return None
    st, symbol, words = ("st done", "check", "arrive") if not found.waiting else ("st", "clock", f"{found.waiting} wait")
    if found.dead:
        st, symbol, words = "st alarm", "faulted", f"{found.dead} given up"
    return {
        "st": st,
        "symbol": symbol,
        "words": words,
        "sent": found.sent,
        "last": clock.seconds(found.last_arrived),
        "letters": [{"title": d.title, "channel": d.channel, "at": clock.seconds(d.at), "error": d.error} for d in found.letters[:5]],
    }
