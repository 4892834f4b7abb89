"""create_app(): the FastAPI application of one depot. Stateless beside the users' database: it shows the link's newest
view and sends commands. Every route passes the guard, which refuses what the role table does not name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from controller.alarm_view import AlarmsView
from controller.audit_desk import AuditView
from controller.hazard_view import DetectorsView
from controller.health_twin import TwinDesk
from controller.link import CoreUnreachable
from controller.output_view import OutputsView
from controller.payments_view import PaymentsView
from depot.ports import Clock
from storage import StorageError, Store
from web.ageing_part import SCHEMAS as ageing_schemas
from web.ageing_part import ageing_screens
from web.alarms_page import alarms_api, alarms_screens
from web.anomalies_api import SCHEMAS as anomaly_schemas
from web.anomalies_api import anomalies_api
from web.api import api, finish_openapi
from web.assets_api import SCHEMAS as asset_schemas
from web.assets_api import assets_api
from web.assets_page import assets_screens
from web.assumptions_page import SCHEMAS as assumption_schemas
from web.assumptions_page import assumptions_screens
from web.audit_page import audit_api, audit_screens
from web.auth import Auth, Caller, check_csrf, check_origin
from web.batteries_page import batteries_screens
from web.battery_twin import SCHEMAS as twin_schemas
from web.battery_twin import twin_api, twin_screens
from web.bill_forms import bill_forms
from web.bills_api import SCHEMAS as bills_schemas
from web.bills_api import bills_api
from web.bills_page import bills_screens
from web.books_api import SCHEMAS as books_schemas
from web.books_api import books_api
from web.books_page import books_screens
from web.codes_page import codes_screens
from web.console_page import console_screens
from web.context import Web
from web.contracts_api import SCHEMAS as contract_schemas
from web.contracts_api import contracts_api
from web.departures_page import departures_screens
from web.detectors_page import detectors_api
from web.device_model_api import SCHEMAS as device_model_schemas
from web.device_model_api import device_model_api
from web.device_model_page import device_model_screens
from web.displays_page import display_screens
from web.driver_tariffs_api import SCHEMAS as driver_tariff_schemas
from web.driver_tariffs_api import driver_tariffs_api
from web.driver_tariffs_page import driver_tariffs_screens
from web.drivers_api import SCHEMAS as driver_schemas
from web.drivers_api import drivers_api
from web.drivers_page import drivers_screens
from web.emergency_api import SCHEMAS as emergency_schemas
from web.emergency_api import emergency_api
from web.emergency_page import emergency_screens
from web.files_api import SCHEMAS as file_schemas
from web.files_api import files_api
from web.firmware_page import firmware_screens
from web.fleet_costs_api import SCHEMAS as fleet_cost_schemas
from web.fleet_costs_api import fleet_costs_api
from web.grid_page import grid_screens
from web.health_api import SCHEMAS as health_schemas
from web.health_api import health_api
from web.invoices_api import SCHEMAS as invoice_schemas
from web.invoices_api import invoices_api
from web.invoices_page import invoices_screens
from web.lake_api import SCHEMAS as lake_schemas
from web.lake_api import lake_api
from web.limits_api import SCHEMAS as limit_schemas
from web.limits_api import limits_api
from web.limits_page import limits_screens
from web.live import DepotLink, LiveHub
from web.messages_page import messages_screens
from web.meter_api import SCHEMAS as meter_schemas
from web.meter_api import meter_api
from web.networks_api import SCHEMAS as network_schemas
from web.networks_api import networks_api
from web.outputs_api import outputs_api
from web.outputs_page import outputs_screens
from web.pack_page import pack_screens
from web.packs_api import SCHEMAS as pack_schemas
from web.packs_api import packs_api
from web.pages import Pages
from web.passport_api import SCHEMAS as passport_schemas
from web.passport_api import passport_api
from web.passport_page import passport_screens
from web.payments_page import payments_api, payments_screens
from web.plan_api import SCHEMAS as plan_schemas
from web.plan_api import plan_api
from web.plan_ask_page import plan_ask_screens
from web.plan_page import plan_screens
from web.plan_policy_page import plan_policy_screens
from web.probes import probes
from web.problems import Problem
from web.profiles_api import SCHEMAS as profile_schemas
from web.profiles_api import profiles_api
from web.reconciliation_page import reconciliation_screens
from web.reference_api import SCHEMAS as reference_schemas
from web.reference_api import reference_api
from web.reference_part import reference_screens
from web.registry_api import SCHEMAS as registry_schemas
from web.registry_api import registry_api
from web.registry_page import registry_screens
from web.roles import Permission, for_machines, least_roles, needed
from web.safety_page import safety_screens
from web.screens import gate_cookie, screens
from web.security_api import SCHEMAS as security_schemas
from web.security_api import security_api
from web.settings import WebSettings
from web.shell import Shell
from web.standing_api import SCHEMAS as standing_schemas
from web.standing_api import standing_api
from web.stations_api import SCHEMAS as station_schemas
from web.stations_api import stations_api
from web.stations_page import stations_screens
from web.telemetry_api import SCHEMAS as telemetry_schemas
from web.telemetry_api import telemetry_api
from web.tokens_api import SCHEMAS as token_schemas
from web.tokens_api import tokens_api
from web.told_api import SCHEMAS as told_schemas
from web.told_api import told_api
from web.utility_api import SCHEMAS as utility_schemas
from web.utility_api import utility_api
from web.v21_api import SCHEMAS as v21_schemas
from web.v21_api import v21_api
from web.work_page import work_screens

_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def create_app(settings: WebSettings, link: DepotLink, store: Store, *, clock: Clock) -> FastAPI:
    """The application. ``clock`` is the world's, also in a demo: sessions live in real time. The stream's task runs
    within the application's lifespan; ``app.state.web`` holds the parts."""
    pages = Pages(settings, link)
    web = Web(settings, link, Auth(settings, store, clock), pages, LiveHub(link, pages.parts, most=settings.streams_most), clock)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        fan = asyncio.create_task(web.hub.run(), name="live stream")
        try:
            yield
        finally:
            web.hub.close()
            fan.cancel()
            with suppress(asyncio.CancelledError):
                await fan

    app = FastAPI(
        title="Chargeyard",
        version="1",
        summary="What the depot shows and takes",
        description="See docs/api.md.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(guard_of(web))],
        redirect_slashes=False,
    )
    app.state.web = web
    desk = TwinDesk()
    app.include_router(screens(web))
    app.include_router(stations_screens(web))
    app.include_router(console_screens(web))
    app.include_router(device_model_screens(web))
    app.include_router(messages_screens(web))
    app.include_router(firmware_screens(web))
    app.include_router(display_screens(web))
    app.include_router(departures_screens(web))
    app.include_router(plan_screens(web))
    app.include_router(plan_ask_screens(web))
    app.include_router(plan_policy_screens(web))
    app.include_router(grid_screens(web))
    app.include_router(bills_screens(web))
    app.include_router(limits_screens(web))
    app.include_router(registry_screens(web))
    app.include_router(safety_screens(web))
    app.include_router(pack_screens(web))
    app.include_router(passport_screens(web))
    app.include_router(ageing_screens(web))
    app.include_router(assumptions_screens(web))
    app.include_router(batteries_screens(web))
    app.include_router(twin_screens(web, desk))
    app.include_router(work_screens(web))
    app.include_router(reference_screens(web))
    app.include_router(emergency_screens(web))
    app.include_router(outputs_screens(web))
    app.include_router(payments_screens(web))
    for room in (bill_forms, books_screens, reconciliation_screens, invoices_screens, driver_tariffs_screens, drivers_screens):
        app.include_router(room(web))
    app.include_router(codes_screens(web))
    app.include_router(alarms_screens(web))
    app.include_router(audit_screens(web))
    app.include_router(api(web))
    app.include_router(limits_api(web))
    app.include_router(alarms_api(web))
    app.include_router(audit_api(web))
    app.include_router(payments_api(web))
    app.include_router(driver_tariffs_api(web))
    app.include_router(invoices_api(web))
    app.include_router(fleet_costs_api(web))
    app.include_router(books_api(web))
    app.include_router(drivers_api(web))
    app.include_router(registry_api(web))
    app.include_router(stations_api(web))
    app.include_router(security_api(web))
    app.include_router(tokens_api(web))
    app.include_router(profiles_api(web))
    app.include_router(meter_api(web))
    app.include_router(assets_api(web))
    app.include_router(assets_screens(web))
    app.include_router(utility_api(web))
    app.include_router(files_api(web))
    app.include_router(standing_api(web))
    app.include_router(device_model_api(web))
    app.include_router(networks_api(web))
    app.include_router(told_api(web))
    app.include_router(contracts_api(web))
    app.include_router(v21_api(web))
    app.include_router(outputs_api(web))
    app.include_router(detectors_api(web))
    app.include_router(health_api(web))
    app.include_router(twin_api(web, desk))
    app.include_router(reference_api(web))
    app.include_router(packs_api(web))
    app.include_router(passport_api(web))
    app.include_router(anomalies_api(web))
    app.include_router(emergency_api(web))
    app.include_router(telemetry_api(web))
    app.include_router(bills_api(web))
    app.include_router(plan_api(web))
    app.include_router(lake_api(web))
    app.include_router(probes(web))
    of_stations = (*station_schemas, *security_schemas, *token_schemas, *profile_schemas, *file_schemas, *standing_schemas)
    schemas = (*registry_schemas, *of_stations, *network_schemas, *told_schemas, *contract_schemas, *device_model_schemas, *v21_schemas)
    readings = (*meter_schemas, *lake_schemas, *asset_schemas, *bills_schemas, *utility_schemas, *pack_schemas, *emergency_schemas)
    readings = (*readings, *telemetry_schemas, *plan_schemas, *driver_tariff_schemas, *invoice_schemas, *books_schemas, *fleet_cost_schemas)
    readings = (
        *readings,
        *driver_schemas,
        *passport_schemas,
        *health_schemas,
        *ageing_schemas,
        *assumption_schemas,
        *reference_schemas,
        *anomaly_schemas,
        *twin_schemas,
    )
    finish_openapi(app, (*schemas, *readings, *limit_schemas, PaymentsView, AlarmsView, AuditView, OutputsView, DetectorsView))
    answer = _answerer(web)
    for kind, code in ((CoreUnreachable, "core_unreachable"), (StorageError, "store_unavailable")):
        app.add_exception_handler(kind, _plain(answer, code))
    app.add_exception_handler(Problem, _problem(answer))
    app.add_exception_handler(HTTPException, _http(answer))
    app.add_exception_handler(RequestValidationError, _invalid(answer))
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)
    app.add_middleware(Shell, settings=settings, answer=answer)
    return app


def guard_of(web: Web) -> Callable[[Request], Awaitable[None]]:
    """The dependency of every route: who asks, may they, and is the form ours."""

    async def guard(request: Request) -> None:
        path = request.scope["route"].path
        method = "GET" if request.method == "HEAD" else request.method
        permission = needed(method, path)
        if permission is None:
            raise Problem("forbidden", "This address is in no role's table.")
        caller = await _caller(web, request)
        if caller is not None:
            request.state.caller = caller
        if permission is not Permission.PUBLIC:
            if caller is None:
                raise Problem(
                    "not_signed_in",
                    "Sign in, or send a bearer token with the scope that is needed.",
                    headers={"www-authenticate": "Bearer"},
                )
            if caller.must_change and permission is not Permission.SELF:
                raise Problem("password_change_needed", "The password was given to you; choose your own first.")
            if not caller.may(permission):
                who = f"the scope {permission.value}" if caller.is_machine else least_roles(permission)
                raise Problem(
                    "forbidden",
                    f"This needs {who}. You are {f'signed in as {caller.role.value}' if caller.role else 'a token without it'}.",
                )
        if method not in _SAFE and not (caller is not None and caller.is_machine):
            await _check_form(web, request, caller)

    return guard


async def _caller(web: Web, request: Request) -> Caller | None:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme and for_machines(request.url.path):
        caller = await run_in_threadpool(web.auth.machine, secret.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            raise Problem("bad_token", "Make one with `./chargeyard user token add`.", headers={"www-authenticate": "Bearer"})
        return caller
    token = request.cookies.get(web.settings.cookie)
    if not token:
        return None
    touch = request.url.path != "/live" and "x-live" not in request.headers
    return await run_in_threadpool(web.auth.person, token, touch=touch)


async def _check_form(web: Web, request: Request, caller: Caller | None) -> None:
    """Origin and form value; before sign-in the gate cookie stands for the session."""
    check_origin(request.headers)
    secret = caller.token if caller is not None else request.cookies.get(gate_cookie(web), "")
    if request.url.path == "/sign-in":
        secret = request.cookies.get(gate_cookie(web), "")
    sent: Any = request.headers.get("x-csrf-token")
    if request.url.path.startswith("/api/"):
        _check_secret(secret, sent)
        return
    form = await request.form()
    try:
        _check_secret(secret, form.get("csrf"))
    except Problem:
        await form.close()
        raise


def _check_secret(secret: str, sent: Any) -> None:
    if not secret:
        raise Problem("csrf_failed", "This browser sent no cookie. Allow cookies for this address and open the page anew.")
    check_csrf(secret, sent)


def _page_of_form(request: Request) -> tuple[str, str] | None:
    """The page of ours whose form was sent; None: it is not told, or not a form."""
    told = urlsplit(request.headers.get("referer", ""))
    if request.method != "POST" or told.netloc != request.url.netloc or not told.path.startswith("/") or told.path.startswith("//"):
        return None
    return told.path + (f"?{told.query}" if told.query else ""), "Back to the page"


def _answerer(web: Web) -> Callable[[Request, Problem], Awaitable[Response]]:
    """A problem as a document for machines, as a page (or the way to sign in) for people."""

    async def answer(request: Request, problem: Problem) -> Response:
        path = request.url.path
        if for_machines(path) or path in ("/live", "/session"):
            return JSONResponse(problem.body(), problem.status, problem.headers, media_type="application/problem+json")
        if problem.code == "not_signed_in":
            target = path if request.method == "GET" else "/"
            query = f"?{request.url.query}" if request.url.query and request.method == "GET" else ""
            return RedirectResponse(f"/sign-in?next={quote(target + query, safe='/')}" if target != "/" else "/sign-in", status_code=303)
        if problem.code == "password_change_needed":
            return RedirectResponse("/account", status_code=303)
        looks: Mapping[str, tuple[str, str]] = {
            "forbidden": ("lock", ""),
            "not_found": ("info", ""),
            "unknown_charger": ("plug", ""),
            "core_unreachable": ("offline", "c-lost"),
            "stale": ("offline", "c-lost"),
        }
        symbol, css = looks.get(problem.code, ("faulted", "c-alarm"))
        words = "; ".join(problem.errors.values()) or problem.detail
        back = (
            ("/chargers", "See all chargers")
            if problem.code == "unknown_charger"
            else (("/", "Try again") if symbol == "offline" else _page_of_form(request) or ("/", "Back to Now"))
        )
        retry = request.method == "GET" and problem.code == "core_unreachable"
        response = web.pages.message(
            request, title=problem.title, words=words, status=problem.status, symbol=symbol, css=css, back=back, retry=retry
        )
        response.headers.update(problem.headers)
        return response

    return answer


_Handler = Callable[[Request, Any], Awaitable[Response]]
_Answer = Callable[[Request, Problem], Awaitable[Response]]


def _problem(answer: _Answer) -> _Handler:
    async def handle(request: Request, error: Problem) -> Response:
        return await answer(request, error)

    return handle


def _plain(answer: _Answer, code: str) -> _Handler:
    async def handle(request: Request, error: Exception) -> Response:
        return await answer(request, Problem(code, f"{str(error)[:1].upper()}{str(error)[1:]}.", headers={"retry-after": "3"}))

    return handle


def _http(answer: _Answer) -> _Handler:
    async def handle(request: Request, error: HTTPException) -> Response:
        code = _CODES.get(error.status_code, "bad_request")
        words = {"not_found": "Check the address.", "method_not_allowed": "See docs/api.md for what it takes."}.get(code, str(error.detail))
        return await answer(request, Problem(code, words, headers=error.headers))

    return handle


def _invalid(answer: _Answer) -> _Handler:
    async def handle(request: Request, error: RequestValidationError) -> Response:
        if not request.url.path.startswith("/api/"):
            return await answer(request, Problem("not_found", "Check the address."))
        errors = {".".join(str(part) for part in e["loc"][1:]) or str(e["loc"][0]): str(e["msg"]) for e in error.errors()}
        return await answer(request, Problem("invalid_request", "Correct what `errors` names.", errors=errors))

    return handle
