"""*Audit*: who did what. Commands and their outcomes from the core, sign-ins and accounts from the people's own trail.

GET  /audit           the page (?trail=people, ?actor=, ?kind=, ?before=)
GET  /audit/export    all that the filters leave, as CSV
POST /audit/check     hash the whole trail again
GET  /api/v1/audit    the same as JSON
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from controller import audit_csv
from controller.audit import Checked, Entry
from controller.audit_desk import AuditRow, AuditView
from depot import commands as cmd
from web import actions, text
from web.api import answers
from web.context import Web, caller_of
from web.problems import Problem
from web.roles import Permission, least_roles
from web.screens import carry_out

COMMANDS, PEOPLE = "commands", "people"
PAGE = 50
EXPORT_PAGE = 500
EXPORT_MOST = 200_000
CHECK_EVERY_S = 60.0

PEOPLE_KINDS = {
    "SignIn": "Sign-in",
    "SignOut": "Sign-out",
    "PasswordChanged": "Password changed",
    "AccountAdded": "Account added",
    "AccountShut": "Account shut",
    "AccountOpened": "Account opened",
    "RoleChanged": "Role changed",
    "TokenAdded": "Token added",
    "TokenRevoked": "Token revoked",
}
OTHER_KINDS = {"UtilityOrder": "Utility's order", "PackReset": "Trip reset"}
_OUTCOMES = {
    "done": ("st done", "check"),
    "reset": ("st done", "check"),
    "approved": ("st done", "check"),
    "recorded": ("st", "check"),
    "requested": ("st", "clock"),
    "accepted": ("st", "clock"),
}
_BAD = ("st alarm", "faulted")


def audit_screens(web: Web) -> APIRouter:
    """Routes of the page."""
    router = APIRouter(include_in_schema=False)
    people = PeopleCheck(web)

    @router.get("/audit")
    async def audit(request: Request, trail: str = COMMANDS, actor: str = "", kind: str = "", before: int = 0) -> Response:
        view, caller = web.view(), caller_of(request)
        actor, kind = actor.strip()[:80], kind.strip()[:80]
        if trail == PEOPLE and not caller.may(Permission.AUDIT):
            raise Problem("forbidden", f"Who signed in is for {least_roles(Permission.AUDIT)}, a manager or an admin.")
        clock = text.DepotTime(view.timezone, view.at)
        found = await ask(web, before=before, actor=actor, kind=kind, limit=PAGE if trail != PEOPLE else 1)
        context: dict[str, Any] = {"check": _check(found, clock), "trail": trail if trail == PEOPLE else COMMANDS}
        if trail == PEOPLE:
            page = await run_in_threadpool(web.auth.trail.page, before=before or None, actor=actor, kind=kind, limit=PAGE)
            rows, older = [_row(entry, clock) for entry in page.entries], page.before
            context["people_check"] = _people_check(await people.checked())
        else:
            rows, older = [_row(entry, clock) for entry in found.entries], found.before
            context["people_check"] = None
        wanted = {"trail": trail} if trail == PEOPLE else {}
        wanted |= {k: v for k, v in (("actor", actor), ("kind", kind)) if v}
        context |= {
            "rows": rows,
            "actor": actor,
            "kind": kind,
            "kinds": kinds_of(trail),
            "older": f"/audit?{urlencode(wanted | {'before': str(older)})}" if older is not None else None,
            "newest": f"/audit?{urlencode(wanted)}" if before else None,
            "export": f"/audit/export?{urlencode(wanted)}",
            "filtered": bool(actor or kind),
        }
        return web.pages.render(request, "audit.html", view=view, screen="audit", **context)

    @router.get("/audit/export")
    async def export(trail: str = COMMANDS, actor: str = "", kind: str = "") -> Response:
        web.view()
        name = f"audit-{PEOPLE if trail == PEOPLE else COMMANDS}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        lines = _people_lines(web, actor, kind) if trail == PEOPLE else _command_lines(web, actor, kind)
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)

    @router.post("/audit/check")
    async def check(request: Request) -> Response:
        command = cmd.CheckAudit(command_id=actions.new_id(), actor=caller_of(request).name, reason="asked for on the page")
        return await carry_out(web, request, command, "Check the audit trail", back="/audit")

    return router


class PeopleCheck:
    """The people's trail hashed again, at most once in :data:`CHECK_EVERY_S` however many look."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._last: tuple[float, Checked] | None = None

    async def checked(self) -> Checked:
        now_s = self._web.clock.monotonic()
        if self._last is None or now_s - self._last[0] >= CHECK_EVERY_S:
            self._last = now_s, await run_in_threadpool(self._web.auth.trail.verify)
        return self._last[1]


def audit_api(web: Web) -> APIRouter:
    """The commands' trail for machines."""
    router = APIRouter(prefix="/api/v1", tags=["audit"])

    @router.get("/audit", responses=answers("AuditView", 404, 422), response_class=Response, summary="Who did what, newest first")
    async def audit(
        before: Annotated[int, Query(ge=0, le=10**15, description="`before` of the page before")] = 0,
        actor: Annotated[str, Query(max_length=80)] = "",
        kind: Annotated[str, Query(max_length=80)] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        found = await ask(web, before=before, actor=actor, kind=kind, limit=limit)
        return Response(msgspec.json.encode(found), media_type="application/json")

    return router


async def ask(web: Web, *, before: int, actor: str, kind: str, limit: int) -> AuditView:
    found = await web.link.show(AuditView, before=str(max(0, before)), actor=actor, kind=kind, limit=str(limit))
    if found is None:
        raise Problem("not_found", "This core keeps no audit trail.")
    return found


def kinds_of(trail: str) -> list[tuple[str, str]]:
    """What can be chosen, by its words."""
    kinds = PEOPLE_KINDS if trail == PEOPLE else {name: kind.TITLE for name, kind in cmd.COMMANDS.items()} | OTHER_KINDS
    return sorted(kinds.items(), key=lambda pair: pair[1])


def _row(entry: AuditRow | Entry, clock: text.DepotTime) -> dict[str, Any]:
    st, symbol = _OUTCOMES.get(entry.outcome, _BAD)
    title = PEOPLE_KINDS.get(entry.kind) or OTHER_KINDS.get(entry.kind) or actions.title_of(entry.kind)
    at = clock.local(entry.at)
    return {
        "seq": entry.seq,
        "day": at.strftime("%-d %b" if at.year == clock.now.year else "%-d %b %Y"),
        "time": at.strftime("%H:%M:%S"),
        "actor": entry.actor,
        "title": title,
        "target": entry.target,
        "reason": entry.reason,
        "st": st,
        "symbol": symbol,
        "outcome": entry.outcome,
    }


def _check(found: AuditView, clock: text.DepotTime) -> dict[str, Any]:
    check = found.check
    if check.complaint is not None:
        return {"css": "", "symbol": "faulted", "title": "NOT SOUND", "words": check.complaint, "head": "", "running": check.running}
    if check.at is None:
        words = f"{found.newest} entries. The first check comes a minute after the start."
        return {"css": "warn", "symbol": "clock", "title": "Not checked yet", "words": words, "head": "", "running": check.running}
    newer = found.newest - check.entries
    since = f" {newer} newer {'entry' if newer == 1 else 'entries'} since." if newer > 0 else ""
    return {
        "css": "ok",
        "symbol": "finished",
        "title": f"Verified up to entry {check.entries} at {clock.seconds(check.at)}",
        "words": f"Every entry and every fact of the journal is as it was written.{since}",
        "head": f"{check.entries}:{check.head}" if check.head else "",
        "running": check.running,
    }


def _people_check(checked: Checked) -> dict[str, Any]:
    if checked.complaint is not None:
        return {"css": "", "symbol": "faulted", "title": "NOT SOUND", "words": checked.complaint, "head": "", "running": False}
    head = f"{checked.entries}:{checked.hash.hex()}" if checked.entries else ""
    words = "Every entry is as it was written: checked within the last minute."
    return {"css": "ok", "symbol": "finished", "title": f"{checked.entries} entries, sound", "words": words, "head": head, "running": False}


async def _command_lines(web: Web, actor: str, kind: str) -> AsyncIterator[str]:
    before, count = 0, 0
    while count < EXPORT_MOST:
        found = await ask(web, before=before, actor=actor[:80], kind=kind[:80], limit=EXPORT_PAGE)
        yield audit_csv.rows(((COMMANDS, _entry(row)) for row in found.entries), header=count == 0)
        count += len(found.entries)
        if found.before is None:
            return
        before = found.before


async def _people_lines(web: Web, actor: str, kind: str) -> AsyncIterator[str]:
    before: int | None = None
    count = 0
    while count < EXPORT_MOST:
        page = await run_in_threadpool(web.auth.trail.page, before=before, actor=actor[:80], kind=kind[:80], limit=EXPORT_PAGE)
        yield audit_csv.rows(((PEOPLE, entry) for entry in page.entries), header=count == 0)
        count += len(page.entries)
        if page.before is None:
            return
        before = page.before


def _entry(row: AuditRow) -> Entry:
    return Entry(row.event_seq, row.at, row.actor, row.kind, row.target, row.reason, row.outcome, row.command_id, row.seq)
