"""Messages to drivers on the screen: what stations of OCPP 2.x show, written and taken back here.

DisplaysView -> words          forms -> ShowMessage, ClearMessage, RefreshMessages
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from controller.display_messages import MessageRow, RefreshedRow
from depot import commands as cmd
from depot.display_messages import MAX_ID, MOST_CONTENT, PRIORITIES, SHOWN_WHILE, Text
from depot.values import InvalidValue
from web import actions, text
from web.context import Web, caller_of, machine_tabs
from web.pages import Flash
from web.problems import Problem
from web.stations_api import order
from web.told_api import shown_messages

ROWS = 200
STATES = {
    "asked": ("st warn", "clock", "no answer"),
    "accepted": ("st live", "check", "shown"),
    "refused": ("st alarm", "faulted", "refused"),
    "cleared": ("st", "close", "cleared"),
    "gone": ("st", "close", "gone"),
}
PRIORITY_WORDS = {"AlwaysFront": "always in front", "InFront": "in front", "NormalCycle": "in turn"}
FORMATS = {"UTF8": "text", "ASCII": "plain ASCII", "HTML": "HTML", "URI": "address", "QRCODE": "QR code (2.1)"}
LONGEST_H = 24 * 30


def display_screens(web: Web) -> APIRouter:
    """Routes of messages to drivers."""
    router = APIRouter(include_in_schema=False)

    @router.get("/display-messages")
    async def messages(request: Request, station_id: str = "") -> Response:
        return await _page(web, request, station_id[:48])

    @router.post("/display-messages")
    async def show(request: Request) -> Response:
        sent = await request.form(max_fields=600)
        reason = actions.need_reason(str(sent.get("reason", "")))
        chosen = tuple(dict.fromkeys(str(value)[:48] for value in sent.getlist("station")))
        if not chosen:
            return await _page(web, request, "", error="Choose the stations that shall show it.", status=422)
        try:
            written = Text(str(sent.get("content", "")).strip(), str(sent.get("format", "UTF8")), str(sent.get("language", "")).strip()[:8])
        except InvalidValue as error:
            return await _page(web, request, "", error=f"{str(error)[:1].upper()}{str(error)[1:]}.", status=422)
        command = cmd.ShowMessage(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, station_ids=chosen, texts=(written,),
            priority=str(sent.get("priority", "NormalCycle"))[:20], shown_while=str(sent.get("shown_while", ""))[:20],
            end_at=_end(web, str(sent.get("hours", ""))),
        )  # fmt: skip
        return await _done(web, request, command, "Message")

    @router.post("/display-messages/clear")
    async def clear(request: Request) -> Response:
        sent = await request.form()
        number = str(sent.get("message_id", ""))
        if not number.isdecimal() or int(number) > MAX_ID:
            raise Problem("invalid_request", "A message has a number.")
        command = cmd.ClearMessage(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=actions.need_reason(str(sent.get("reason", ""))),
            station_id=str(sent.get("station_id", ""))[:48], message_id=int(number),
        )  # fmt: skip
        return await _done(web, request, command, f"Clear message {number}")

    @router.post("/display-messages/refresh")
    async def refresh(request: Request) -> Response:
        sent = await request.form()
        command = cmd.RefreshMessages(
            command_id=actions.new_id(), actor=caller_of(request).name, reason=actions.need_reason(str(sent.get("reason", ""))),
            station_id=str(sent.get("station_id", ""))[:48],
        )  # fmt: skip
        return await _done(web, request, command, f"What {command.station_id} shows")

    return router


def _end(web: Web, hours: str) -> datetime | None:
    said = hours.strip().replace(",", ".")
    if not said:
        return None
    try:
        length = float(said)
        if not 0 < length <= LONGEST_H:
            raise ValueError
    except ValueError:
        raise Problem("invalid_request", f"Write hours, at most {LONGEST_H}.", errors={"hours": "Hours, such as 8."}) from None
    return web.view().at + timedelta(hours=length)


async def _done(web: Web, request: Request, command: cmd.Command, title: str) -> Response:
    try:
        result = await order(web, command)
    except Problem as problem:
        if problem.code != "command_refused":
            raise
        return await _page(web, request, "", error=problem.detail, status=problem.status)
    response = RedirectResponse("/display-messages", status_code=303)
    web.pages.set_flash(response, Flash(title, result.status.value, result.message[:300], result.audit_seq, caller_of(request).name))
    return response


async def _page(web: Web, request: Request, station_id: str, *, error: str = "", status: int = 200) -> Response:
    view = web.view()
    clock = text.DepotTime(view.timezone, view.at)
    found = await shown_messages(web, station_id=station_id)
    asked = {row.station_id: _asked(row, clock) for row in found.refreshed}
    return web.pages.render(
        request,
        "displays.html",
        view=view,
        status=status,
        screen="chargers",
        tabs=machine_tabs(request, "displays"),
        only=station_id,
        messages=[_message(row, clock) for row in found.messages[:ROWS]],
        stations=[{"id": name, "asked": asked.get(name)} for name in found.stations],
        priorities=[(name, PRIORITY_WORDS[name]) for name in reversed(PRIORITIES)],
        whiles=[(name, name.lower()) for name in SHOWN_WHILE[:4]],
        formats=FORMATS.items(),
        most=MOST_CONTENT,
        error=error,
    )


def _message(row: MessageRow, clock: text.DepotTime) -> dict[str, Any]:
    css, symbol, word = STATES.get(row.state, ("st", "info", row.state))
    if row.over and row.state == "accepted":
        css, symbol, word = "st", "clock", "its time is over"
    stands = row.state in ("asked", "accepted") and not row.over
    when = [f"while {row.shown_while.lower()}"] if row.shown_while else []
    when += ["during one session"] if row.transaction_id else []
    when += [f"from {clock.seconds(row.start_at)}"] if row.start_at is not None else []
    when += [f"until {clock.seconds(row.end_at)}"] if row.end_at is not None else []
    return {
        "station_id": row.station_id,
        "id": row.message_id,
        "texts": [
            {"content": t.content, "note": " ".join(p for p in (t.language, FORMATS.get(t.format, t.format)) if p)} for t in row.texts
        ],
        "priority": PRIORITY_WORDS.get(row.priority, row.priority),
        "when": ", ".join(when) or "always",
        "css": css,
        "symbol": symbol,
        "word": word,
        "said": row.said if row.said not in ("", "Accepted") else "",
        "by": f"{row.asked_by}, {clock.clock(row.asked_at)}" if row.own else "not by this depot",
        "seen": "" if row.seen_at is None else clock.seconds(row.seen_at),
        "stands": stands,
        "row": "alarm" if row.state == "refused" else ("warn" if row.state == "asked" else ""),
    }


def _asked(row: RefreshedRow, clock: text.DepotTime) -> str:
    at = clock.seconds(row.at)
    if row.complete is None:
        return f"asked at {at}, still telling"
    return f"told all at {at}" if row.complete else f"asked at {at}, incomplete: {row.note}"
