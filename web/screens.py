"""The pages and their forms. Everything is rendered from the newest view; the stream keeps it alive."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from controller.readmodel import ChargerView
from controller.stations_view import StationsView
from depot import commands as cmd
from web import actions, scene, text
from web.auth import csrf_token
from web.charger_page import charger_context
from web.context import Web, address_of, caller_of, machine_tabs
from web.live import HEARTBEAT_S
from web.pages import Flash, charger_url
from web.problems import Problem
from web.users import UserError

_GROUPS = frozenset(chip[0] for chip in scene.CHIPS)


def gate_cookie(web: Web) -> str:
    """Name of the cookie that ties a sign-in form to the browser that asked for it."""
    return "__Host-chargeyard-gate" if web.settings.tls else "chargeyard-gate"


def inside(path: str) -> str:
    """Where to go after sign-in: an address of ours, or the first page."""
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable() and not path.startswith("/sign-")
    return path if safe else "/"


def screens(web: Web) -> APIRouter:
    """Routes of all pages."""
    router = APIRouter(include_in_schema=False)
    pages = web.pages

    @router.get("/static/{version}/{name}")
    async def static(version: str, name: str) -> Response:
        found = pages.static.get(name)
        if found is None:
            raise Problem("not_found", "No such file.")
        cache = "public, max-age=31536000, immutable" if version == pages.version else "no-cache"
        return Response(found.content, media_type=found.media_type, headers={"cache-control": cache})

    @router.get("/favicon.ico")
    async def favicon() -> Response:
        return RedirectResponse(f"/static/{pages.version}/favicon.svg", status_code=308)

    @router.get("/sign-in")
    async def sign_in_page(request: Request, next: str = "/") -> Response:  # noqa: A002  # the query's name
        token = request.cookies.get(web.settings.cookie)
        if token and await run_in_threadpool(web.auth.person, token) is not None:
            return RedirectResponse(inside(next), status_code=303)
        return sign_in_form(web, request, target=inside(next))

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        form = await request.form()
        name, password, target = (str(form.get(field, "")) for field in ("name", "password", "next"))
        old = request.cookies.get(web.settings.cookie)
        try:
            token = await run_in_threadpool(web.auth.sign_in, name, password, address=address_of(request), old_token=old)
        except Problem as problem:
            error = {"title": problem.title if problem.code == "too_many_tries" else "That did not match", "words": problem.detail}
            status = problem.status if problem.code == "too_many_tries" else 403
            return sign_in_form(web, request, target=inside(target), name=name[:80], error=error, status=status, headers=problem.headers)
        response = RedirectResponse(inside(target), status_code=303)
        response.set_cookie(
            web.settings.cookie, token, max_age=web.settings.absolute_s, path="/", httponly=True, samesite="strict", secure=web.settings.tls
        )
        response.delete_cookie(gate_cookie(web), path="/", httponly=True, samesite="strict", secure=web.settings.tls)
        return response

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        await run_in_threadpool(web.auth.sign_out, caller_of(request).token)
        response = RedirectResponse("/sign-in", status_code=303)
        response.delete_cookie(web.settings.cookie, path="/", httponly=True, samesite="strict", secure=web.settings.tls)
        return response

    @router.get("/session")
    async def session() -> Response:
        return Response(status_code=204)

    @router.get("/account")
    async def account(request: Request, done: str = "") -> Response:
        return account_page(web, request, done="The password is changed." if done == "password" else "")

    @router.post("/account/password")
    async def change_password(request: Request) -> Response:
        caller = caller_of(request)
        form = await request.form()
        old, new, again = (str(form.get(field, "")) for field in ("old", "new", "again"))
        errors: dict[str, str] = {}
        if new != again:
            errors["again"] = "The two do not agree"
        else:
            try:
                if await run_in_threadpool(web.auth.change_password, caller, old=old, new=new, address=address_of(request)) is None:
                    errors["old"] = "This is not your present password"
            except UserError as error:
                errors["new"] = str(error)
        if errors:
            return account_page(web, request, errors=errors, status=422)
        return RedirectResponse("/account?done=password", status_code=303)

    @router.get("/live")
    async def live(request: Request) -> Response:
        token = caller_of(request).token

        async def alive() -> bool:
            return await run_in_threadpool(web.auth.person, token, touch=False) is not None

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(web.hub.stream(alive, heartbeat_s=HEARTBEAT_S), media_type="text/event-stream", headers=headers)

    @router.get("/")
    async def now(request: Request, show: str = "all") -> Response:
        view = web.view()
        show = show if show in _GROUPS else "all"
        feeders = []
        for feeder in view.feeders:
            mine = [t for t in view.tiles if t.feeder_id == feeder.feeder_id]
            feeders.append((feeder, [{"tile": t, "shown": show == "all" or show in scene.groups(t)} for t in mine]))
        context = pages.now_context(view) | {
            "feeders": [entry for entry in feeders if entry[1]],
            "show": show,
            "any_shown": any(t["shown"] for _, tiles in feeders for t in tiles),
            "form": empty_limit(),
            "dialog": True,
        }
        return pages.render(request, "now.html", view=view, screen="now", **context)

    @router.get("/chargers")
    async def chargers(request: Request) -> Response:
        view = web.view()
        names = {f.feeder_id: f.name or f.feeder_id for f in view.feeders}
        names |= {t.feeder_id: t.feeder_id for t in view.tiles if t.feeder_id not in names}
        found = await web.link.show(StationsView)
        return pages.render(
            request, "chargers.html", view=view, screen="chargers", rows=sorted(view.tiles, key=scene.rank), names=names,
            tabs=machine_tabs(request, "chargers"), strangers=found.quarantine if found is not None else [],
        )  # fmt: skip

    @router.get("/chargers/{station}/{connector}")
    async def charger(request: Request, station: str, connector: int) -> Response:
        view = web.view()
        key = str(actions.connector_of(station, connector))
        found = await web.link.show(ChargerView, connector=key)
        if found is None:
            raise Problem("unknown_charger", f"The depot has no charger {key}. The list shows all.")
        context = charger_context(found, view)
        return pages.render(
            request, "charger.html", view=view, screen="chargers", action=lambda verb: f"{charger_url(key)}/{verb}", **context
        )

    @router.get("/system")
    async def system(request: Request) -> Response:
        return pages.render(request, "system.html", view=web.view(), screen="system")

    async def on_charger(request: Request, station: str, connector: int, kind: type[cmd.Command], words: str, **more: Any) -> Response:
        key = actions.connector_of(station, connector)
        reason = actions.need_reason(str((await request.form()).get("reason", "")))
        command = kind(command_id=actions.new_id(), actor=caller_of(request).name, reason=reason, connector=key, **more)  # type: ignore[call-arg]  # three kinds with a connector
        return await carry_out(web, request, command, f"{words} {key}", back=charger_url(str(key)))

    @router.post("/chargers/{station}/{connector}/start")
    async def start(request: Request, station: str, connector: int) -> Response:
        return await on_charger(request, station, connector, cmd.StartCharging, "Start session on")

    @router.post("/chargers/{station}/{connector}/stop")
    async def stop(request: Request, station: str, connector: int) -> Response:
        return await on_charger(request, station, connector, cmd.StopCharging, "Stop session on")

    @router.post("/chargers/{station}/{connector}/out-of-service")
    async def out_of_service(request: Request, station: str, connector: int) -> Response:
        return await on_charger(request, station, connector, cmd.SetAvailability, "Out of service:", operative=False)

    @router.post("/chargers/{station}/{connector}/in-service")
    async def in_service(request: Request, station: str, connector: int) -> Response:
        return await on_charger(request, station, connector, cmd.SetAvailability, "Back in service:", operative=True)

    return router


async def carry_out(
    web: Web, request: Request, command: cmd.Command, title: str, *, back: str, within_s: float | None = None, urgent: bool = False
) -> Response:
    """Send a person's command and lead back to the page, which says how it went; see :func:`web.actions.send`."""
    result = await actions.send(web, command, within_s=within_s, urgent=urgent)
    response = RedirectResponse(back, status_code=303)
    web.pages.set_flash(response, Flash(title, result.status.value, result.message[:300], result.audit_seq, caller_of(request).name))
    return response


def sign_in_form(
    web: Web, request: Request, *, target: str, name: str = "", error: dict[str, str] | None = None, status: int = 200, headers: Any = None
) -> Response:
    """The sign-in page, with its own secret in a cookie."""
    secret = request.cookies.get(gate_cookie(web)) or actions.new_id() + actions.new_id()
    response = web.pages.render(
        request, "signin.html", view=None, status=status, headers=headers, next=target, name=name, error=error, csrf=csrf_token(secret)
    )
    response.set_cookie(gate_cookie(web), secret, max_age=3600, path="/", httponly=True, samesite="strict", secure=web.settings.tls)
    return response


def account_page(web: Web, request: Request, *, errors: dict[str, str] | None = None, done: str = "", status: int = 200) -> Response:
    caller = caller_of(request)
    blank = {"old": "", "new": "", "again": ""}
    zone = web.link.view.timezone if web.link.view is not None else "UTC"
    clock = text.DepotTime(zone, web.clock.now())
    since = clock.clock(caller.since)
    view = None if caller.must_change else web.link.view
    return web.pages.render(
        request,
        "account.html",
        view=view,
        status=status,
        screen="account",
        errors=blank | (errors or {}),
        done=done,
        must_change=caller.must_change,
        since=since,
    )


def empty_limit() -> dict[str, Any]:
    return {"value_kw": "", "until": "", "reason": "", "errors": {"value_kw": "", "until": "", "reason": ""}}
