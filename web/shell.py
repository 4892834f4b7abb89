"""The outermost layer: host check, size of bodies, security headers on every answer, and a last catch for what broke."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.problems import Problem
from web.settings import WebSettings

log = logging.getLogger(__name__)

CSP: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
MAX_BODY: Final = 64 * 1024
MAX_UPLOAD: Final = 1024 * 1024
"""For the addresses that take files."""
IMAGES: Final = frozenset({"/api/v1/firmware", "/firmware"})
"""Addresses that take firmware images, which go to the disk as they come."""
BATCHES: Final = "/api/v1/telemetry"
"""Takes batches of what vehicles say."""

HEADERS: Final[tuple[tuple[str, str], ...]] = (
    ("content-security-policy", CSP),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
"""``same-origin`` and not ``no-referrer``: the latter makes browsers send ``Origin: null`` with our own forms."""

Answer = Callable[[Request, Problem], Awaitable[Response]]


class Shell:
    """ASGI middleware around the whole application. ``answer`` renders a problem for machine or person."""

    def __init__(self, app: ASGIApp, settings: WebSettings, answer: Answer) -> None:
        self._app, self._answer = app, answer
        self._images = settings.image_bytes
        self._hosts = settings.allowed_hosts
        self._extra = (("strict-transport-security", "max-age=31536000"),) if settings.tls else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                present = {name.lower() for name, _ in message["headers"]}
                for name, value in (*HEADERS, *self._extra, ("cache-control", "no-store")):
                    if name.encode() not in present:
                        message["headers"].append((name.encode(), value.encode()))
            await send(message)

        request = Request(scope, receive)
        try:
            self._check(request)
            await self._app(scope, _capped(receive, self._most(request)), guarded_send)
        except Problem as problem:
            if not started:
                await (await self._answer(request, problem))(scope, receive, guarded_send)
        except Exception:
            log.exception("%s %s broke", request.method, request.url.path)
            if not started:
                broken = Problem("internal", "The mistake is ours and is in the log. The controller goes on by itself.")
                await (await self._apology(request, broken))(scope, receive, guarded_send)

    async def _apology(self, request: Request, problem: Problem) -> Response:
        """The page for what broke; plain words should that page be what is broken."""
        try:
            return await self._answer(request, problem)
        except Exception:
            log.exception("the page for errors broke as well")
            return PlainTextResponse(problem.detail, problem.status)

    def _check(self, request: Request) -> None:
        if self._hosts and _host_name(request.headers.get("host", "")) not in self._hosts:
            raise Problem("unknown_host", "Call this server by one of its own names; more can be allowed with the setting web.hosts.")
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most(request):
            raise Problem("too_large", f"A request has at most {self._most(request) // 1024} kB.")

    def _most(self, request: Request) -> int:
        """How long a body may be there."""
        path = request.url.path
        if request.method == "POST" and path in IMAGES:
            return self._images + MAX_BODY  # a form is a little longer than its file
        if request.method == "POST" and path == BATCHES:
            return MAX_UPLOAD
        if request.method == "POST" and path.startswith("/api/v1/packs/") and path.endswith("/passports"):
            return MAX_UPLOAD
        return MAX_UPLOAD if path.endswith(("/import", "/import/apply")) and not path.startswith("/api/") else MAX_BODY


def _host_name(host: str) -> str:
    """``[::1]:8080`` -> ``::1``; ``depot:8080`` -> ``depot``."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _capped(receive: Receive, most: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise Problem("too_large", f"A request has at most {most // 1024} kB.")
        return message

    return counted
