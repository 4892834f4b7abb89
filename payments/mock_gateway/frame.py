"""The frame around the API: the date of the gateway's clock, errors in the real one's shape, answers that go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from email.utils import format_datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from payments.mock_gateway.desk import Desk, HttpFault, Refusal

__all__ = ["BROKEN", "Disturbances", "Framed", "Unauthorised", "add_errors", "error_body"]

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
BROKEN: dict[str, tuple[int, str, bytes]] = {
    "html_502": (502, "text/html", _HTML),
    "html_200": (200, "text/html", b"<html><body>We are under maintenance.</body></html>"),
    "malformed": (200, "application/json", b'{"id": "order_half'),
    "error_500": (500, "application/json", b'{"error":{"code":"SERVER_ERROR","description":"We are facing some trouble"}}'),
    "error_504": (504, "application/json", b'{"error":{"code":"GATEWAY_ERROR","description":"The gateway timed out"}}'),
    "limit_429": (429, "application/json", b'{"error":{"code":"BAD_REQUEST_ERROR","description":"Too many requests"}}'),
    "conflict_409": (409, "application/json", b'{"error":{"code":"BAD_REQUEST_ERROR","description":"Request is in progress"}}'),
    "keys_401": (401, "application/json", b'{"error":{"code":"BAD_REQUEST_ERROR","description":"Authentication failed"}}'),
}
"""Answers that go wrong, by name: status, kind of content, body."""
_AFTERWARDS = ("html_502", "malformed", "error_500", "error_504", "html_200")


class Unauthorised(Exception):
    """The keys are not these."""


def error_body(description: str, *, code: str = "BAD_REQUEST_ERROR", reason: str | None = None, field: str | None = None) -> dict[str, Any]:
    """``{"error": {…}}`` as the real one writes it."""
    error: dict[str, Any] = {"code": code, "description": description, "source": "business", "step": None, "reason": reason, "metadata": {}}
    return {"error": error | ({"field": field} if field else {})}


def add_errors(app: FastAPI) -> None:
    """Every error of the API in the real one's shape."""

    @app.exception_handler(Unauthorised)
    async def unauthorised(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse(error_body("Authentication failed"), status_code=401)

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Exception) -> JSONResponse:
        assert isinstance(refusal, Refusal)
        return JSONResponse(
            error_body(refusal.description, reason=refusal.reason, field=refusal.field), status_code=refusal.status
        )  # fmt: skip

    @app.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part != "body")
        return JSONResponse(error_body(f"{field}: {first['msg']}", field=field, reason="input_validation_failed"), status_code=400)

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        words = "The requested URL was not found on the server." if error.status_code == 404 else str(error.detail)
        return JSONResponse(error_body(words), status_code=error.status_code)

    @app.exception_handler(_Broken)
    async def broken(_: Request, error: Exception) -> Response:
        assert isinstance(error, _Broken)
        return _answer(error.kind)


class _Broken(Exception):
    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def _answer(kind: str) -> Response:
    status, content, body = BROKEN[kind]
    return Response(body, status_code=status, media_type=content, headers={"retry-after": "1"} if status == 429 else None)


async def _never(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Disturbances:
    """What goes wrong by chance with requests for orders, debits and refunds. The luck is of the thing that is asked for or was
    made, so that it does not hang on the order of requests."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._asked: Counter[str] = Counter()

    async def before(self, request: Request, what: str) -> None:
        """Perhaps the request breaks off, or is too much, before anything is done; the next one for the same thing has luck of
        its own."""
        bad = self._desk.settings.misbehaviour
        self._asked[what] += 1
        luck = self._desk.settings.chance("lost", f"{what}/{self._asked[what]}")
        if luck.random() < bad.lost:
            await _never(request.receive)
            raise Refusal("nobody listens any more", status=504)
        if luck.random() < bad.limited:
            raise _Broken("limit_429")

    async def after(self, request: Request, id_: str) -> None:
        """Perhaps the answer is late, wrong or never comes, though the thing was made."""
        bad = self._desk.settings.misbehaviour
        luck = self._desk.settings.chance("answer", id_)
        share = luck.random()
        if share < bad.mute:
            await _never(request.receive)
        elif share < bad.mute + bad.late:
            await asyncio.sleep(bad.late_s)
        elif share < bad.mute + bad.late + bad.broken:
            raise _Broken(luck.choice(_AFTERWARDS))

    def hidden_s(self, what: str) -> float:
        """For how long look-ups do not show it."""
        return self._desk.settings.chance("hide", what).random() * self._desk.settings.misbehaviour.hide_s


class Framed:
    """ASGI: the gateway's date on every answer (a demonstration's clock runs faster than the world's), and the answers that
    were asked to go wrong."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(self._desk.clock.now(), usegmt=True).encode()
                message["headers"] = [*message["headers"], (b"date", date)]
            await send(message)

        fault = self._fault(scope) if scope["type"] == "http" and scope["path"].startswith("/v1/") else None
        if fault is None:
            await self._app(scope, receive, dated)
            return
        if fault.acted:
            await self._app(scope, receive, _swallow)
        if fault.kind == "mute":
            await _never(receive)
        elif fault.kind == "late":
            await asyncio.sleep(fault.delay_s)
            with contextlib.suppress(OSError):
                await self._app(scope, receive, dated)
        else:
            await _answer(fault.kind)(scope, receive, dated)

    def _fault(self, scope: Scope) -> HttpFault | None:
        for fault in self._desk.http_faults:
            if fault.left > 0 and fault.path in scope["path"] and fault.method in ("", scope["method"]):
                fault.left -= 1
                self._desk.http_faults = [f for f in self._desk.http_faults if f.left > 0]
                return fault
        return None


async def _swallow(_: Message) -> None:
    pass


def canonical(body: Any) -> str:
    """A request's body, so that two can be compared."""
    return json.dumps(body, sort_keys=True)
