"""What watchers ask: /healthz (this process answers), /readyz (the depot is under control), /metrics (Prometheus).

The first two need no sign-in, so that a supervisor or a load balancer can ask, and say no more than yes or no: why it is
no is told to those who may read. /metrics needs the scope ``metrics`` of a token, or a signed-in person.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from web.auth import Caller
from web.context import Web
from web.metrics import CONTENT_TYPE, Exposition
from web.problems import Problem
from web.roles import Permission

RETRY_S = 3
_METHODS = ["GET", "HEAD"]


def unready(web: Web) -> str | None:
    """Why the depot is not under full control, in a sentence; None when it is."""
    view = web.link.view
    if view is None:
        return "The controller's core has not spoken yet."
    if web.pages.stale:
        return f"The core's newest view is {web.link.age_s or 0:.0f} s old."
    if view.health.journal == "frozen":
        return "The journal cannot write: nothing new starts and nothing rises."
    return None


def probes(web: Web) -> APIRouter:
    """The three routes."""
    router = APIRouter(include_in_schema=False)
    exposition = Exposition(web.link, web.hub, stale_s=web.settings.stale_s)

    @router.api_route("/healthz", methods=_METHODS)
    async def healthz() -> Response:
        return JSONResponse({"status": "ok"})

    @router.api_route("/readyz", methods=_METHODS)
    async def readyz(request: Request) -> Response:
        why = unready(web)
        if why is None:
            return JSONResponse({"status": "ready"})
        caller: Caller | None = getattr(request.state, "caller", None)
        told = caller is not None and (caller.may(Permission.READ) or caller.may(Permission.METRICS))
        detail = why if told else "Sign in, or ask with a token, to be told why."
        raise Problem("not_ready", detail, headers={"retry-after": str(RETRY_S)})

    @router.api_route("/metrics", methods=_METHODS)
    async def metrics() -> Response:
        return Response(exposition.text(), media_type=CONTENT_TYPE)

    return router
