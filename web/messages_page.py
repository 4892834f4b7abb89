"""The message log on the screen: search by text, action, direction and station; redacted, newest first, kept alive; export."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from controller.stations_view import LoggedMessage, MessagesView
from web import text
from web.context import Web, machine_tabs
from web.problems import Problem
from web.stations_page import shown_stations

SHOWN = 200
DIRECTIONS = {"in": "from the station", "out": "to the station"}
_KINDS = {"call": "", "send": "sent", "result": "answer", "error": "error"}


def messages_screens(web: Web) -> APIRouter:
    """The route of the message log."""
    router = APIRouter(include_in_schema=False)

    @router.get("/messages")
    async def messages(request: Request, station_id: str = "", action: str = "", direction: str = "", text: str = "") -> Response:
        wanted = {
            "station_id": station_id.strip()[:48],
            "action": action.strip()[:50],
            "direction": direction if direction in DIRECTIONS else "",
            "text": text.strip()[:100],
        }
        asked = {name: value for name, value in wanted.items() if value}
        found = await web.link.show(MessagesView, **asked, limit=str(SHOWN))
        if found is None:
            raise Problem("not_found", "This core keeps no message log.")
        return await _page(web, request, found, wanted, asked)

    return router


async def _page(web: Web, request: Request, found: MessagesView, wanted: dict[str, str], asked: dict[str, str]) -> Response:
    view = web.view()
    clock = text.DepotTime(view.timezone, view.at)
    stations = sorted(s.station_id for s in (await shown_stations(web)).stations)
    exported: dict[str, str] = {name: asked[name] for name in asked if name in ("station_id", "text")}
    return web.pages.render(
        request,
        "messages.html",
        view=view,
        screen="chargers",
        tabs=machine_tabs(request, "messages"),
        wanted=wanted,
        filtered=bool(asked),
        stations=stations,
        directions=DIRECTIONS,
        rows=[_row(m, clock) for m in found.messages],
        searched=found.searched,
        more=found.more,
        export=f"/api/v1/messages/export?{urlencode(exported)}",
    )


def _row(m: LoggedMessage, clock: text.DepotTime) -> dict[str, Any]:
    return {
        "at": clock.local(m.at).strftime("%H:%M:%S.%f")[:-4],
        "day": clock.seconds(m.at),
        "station_id": m.station_id,
        "inward": m.direction == "in",
        "direction": "from" if m.direction == "in" else "to",
        "kind": _KINDS.get(m.kind, m.kind),
        "action": m.action or text.ABSENT,
        "id": m.message_id,
        "payload": m.payload + ("…" if m.cut else ""),
        "note": m.note,
        "bad": m.kind == "error" or bool(m.note),
    }
