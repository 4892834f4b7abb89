"""create_drive_app(): the drivers' site, an application and a port of its own that may stand behind a tunnel.

    phone --scan--> /drive/c/STATION/EVSE?k=CODE --cookie--> /drive … pay … approve … charging … sessions

It knows the addresses below and nothing else; no address of the depot's own pages is here. It asks the core as the depot's pages do, and
only ever for the driver in the signed cookie.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from controller.link import CoreUnreachable
from depot.ports import Clock
from web.driver_cookie import LANGUAGES, Cookies
from web.driver_limits import Limits, Rate
from web.driver_links import PlaceLinks
from web.driver_pages import DrivePages
from web.driver_site import DriveProblem, DriveSite
from web.driver_steps import Steps
from web.live import DepotLink
from web.problems import Problem
from web.settings import WebSettings
from web.shell import Shell

log = logging.getLogger(__name__)

__all__ = ["ROUTES", "DriveSettings", "create_drive_app"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveSettings:
    """What the drivers' site is told. ``url``: as phones reach it; ``key``: the depot's own, 32 bytes or more; ``address_header``: where a
    tunnel tells the phone's address, "" where the peer's counts; ``mock_app``: where a mock gateway plays UPI apps, "" with a real one."""

    depot_id: str
    url: str
    key: bytes = field(repr=False)
    host: str = "127.0.0.1"
    hosts: tuple[str, ...] = ()
    tls: bool = False
    cookie_s: int = 180 * 86_400
    address_header: str = ""
    mandates_per_hour: int = 60
    mock_app: str = ""

    @property
    def links(self) -> PlaceLinks:
        """Addresses for QR codes."""
        return PlaceLinks(self.url, self.key)


ROUTES: Final = frozenset(
    {
        ("GET", "/robots.txt"),
        ("GET", "/drive"),
        ("GET", "/drive/static/{version}/{name}"),
        ("GET", "/drive/c/{station_id}/{evse}"),
        ("GET", "/drive/language/{language}"),
        ("GET", "/drive/pay"),
        ("POST", "/drive/pay"),
        ("GET", "/drive/approve"),
        ("POST", "/drive/start"),
        ("GET", "/drive/charging"),
        ("POST", "/drive/stop"),
        ("GET", "/drive/sessions"),
        ("GET", "/drive/sessions/{session_id}"),
        ("GET", "/drive/sessions/{session_id}/invoice"),
        ("GET", "/drive/sessions/{session_id}/invoice.pdf"),
        ("GET", "/drive/mandate"),
        ("POST", "/drive/mandate/end"),
        ("GET", "/drive/privacy"),
        ("POST", "/drive/privacy/data"),
        ("POST", "/drive/privacy/erase"),
    }
)
"""All that this site answers. A test compares."""

FILES: Final = frozenset({"tokens.css", "base.css", "driver.css", "favicon.svg"})


def create_drive_app(settings: DriveSettings, link: DepotLink, *, clock: Clock) -> FastAPI:
    """The application. ``clock`` is the world's."""
    web_settings = WebSettings(depot_id=settings.depot_id, host=settings.host, hosts=settings.hosts, tls=settings.tls)
    pages = DrivePages(secure=settings.tls)
    site = DriveSite(
        link=link,
        pages=pages,
        cookies=Cookies(settings.key, settings.cookie_s),
        links=settings.links,
        clock=clock,
        secure=settings.tls,
        address_header=settings.address_header,
        mock_app=settings.mock_app,
        reads=Limits(Rate(240, 7_200)),
        wrong=Limits(Rate(20, 60)),
        orders=Limits(Rate(10, 120)),
        mandates_here=Limits(Rate(5, 10)),
        mandates_address=Limits(Rate(30, 60)),
        mandates_all=Limits(Rate(max(5, settings.mandates_per_hour // 4), settings.mandates_per_hour)),
    )
    steps = Steps(site)
    app = FastAPI(title="Chargeyard drivers", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    def get(path: str, step: Callable[..., Awaitable[Response]]) -> None:
        async def handle(request: Request) -> Response:
            return await step(site.driver(request), **request.path_params)

        app.add_route(path, handle, methods=["GET"])

    def post(path: str, step: Callable[..., Awaitable[Response]]) -> None:
        async def handle(request: Request) -> Response:
            driver = site.driver(request)
            return await step(driver, await site.own_form(driver))

        app.add_route(path, handle, methods=["POST"])

    async def static(request: Request) -> Response:
        name, version = request.path_params["name"], request.path_params["version"]
        found = pages.static.get(name) if name in FILES else None
        if found is None:
            raise HTTPException(404)
        cache = "public, max-age=31536000, immutable" if version == pages.version else "no-cache"
        return Response(found.content, media_type=found.media_type, headers={"cache-control": cache})

    async def language(request: Request) -> Response:
        wanted = request.path_params["language"]
        if wanted not in LANGUAGES:
            raise HTTPException(404)
        driver = site.driver(request)
        target = request.query_params.get("to", "/drive")
        inside = target.startswith("/drive") and "//" not in target and "\\" not in target and target.isprintable()
        return site.remember(RedirectResponse(target if inside else "/drive", 303), site.speaking(driver, wanted).visitor)

    async def robots(_: Request) -> Response:
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    app.add_route("/robots.txt", robots, methods=["GET"])
    app.add_route("/drive/static/{version}/{name}", static, methods=["GET"])
    app.add_route("/drive/language/{language}", language, methods=["GET"])
    get("/drive/c/{station_id}/{evse}", steps.scan)
    get("/drive", steps.place)
    get("/drive/pay", steps.pay_form)
    post("/drive/pay", steps.pay)
    get("/drive/approve", steps.approve)
    post("/drive/start", steps.start)
    get("/drive/charging", steps.charging)
    post("/drive/stop", steps.stop)
    get("/drive/sessions", steps.sessions)
    get("/drive/sessions/{session_id}", steps.session)
    get("/drive/sessions/{session_id}/invoice", steps.invoice)
    get("/drive/sessions/{session_id}/invoice.pdf", steps.invoice_pdf)
    get("/drive/mandate", steps.mandate)
    post("/drive/mandate/end", steps.end_mandate)
    get("/drive/privacy", steps.privacy)
    post("/drive/privacy/data", steps.data)
    post("/drive/privacy/erase", steps.erase)
    _answer_errors(app, site)
    app.add_middleware(GZipMiddleware, minimum_size=600, compresslevel=6)
    app.add_middleware(Shell, settings=web_settings, answer=_answerer(site))
    app.state.site = site
    return app


def _answer_errors(app: FastAPI, site: DriveSite) -> None:
    async def drive_problem(request: Request, error: Any) -> Response:
        return site.message(request, error)

    async def unreachable(request: Request, _: Any) -> Response:
        return site.message(request, DriveProblem("away", 503, retry_s=5))

    async def http(request: Request, error: Any) -> Response:
        return site.message(request, DriveProblem("missing", error.status_code if error.status_code in (404, 405) else 400))

    app.add_exception_handler(DriveProblem, drive_problem)
    app.add_exception_handler(CoreUnreachable, unreachable)
    app.add_exception_handler(HTTPException, http)


def _answerer(site: DriveSite) -> Callable[[Request, Problem], Awaitable[Response]]:
    """For what the shell refuses before any page: host, size; and for what broke."""

    async def answer(request: Request, problem: Problem) -> Response:
        if problem.code in ("unknown_host", "too_large"):
            return JSONResponse(problem.body(), problem.status, media_type="application/problem+json")
        return site.message(request, DriveProblem("broken", problem.status))

    return answer
