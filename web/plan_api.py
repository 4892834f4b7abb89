"""/api/v1/plan: the plan in force against what was measured, why it is so, what a change would do, what else could be picked.

Reading needs ``read``. A question costs computing time and changes nothing: it needs ``operate``. A pick needs ``limit``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.link import LinkProtocol
from controller.plan_answers_view import AnswerState, ChangeAsked, FrontierView, WhatIfRow, WhatIfsView
from controller.plan_policy import PlanPolicyView
from controller.plan_reasons_view import ExplanationView
from controller.plan_view import PlanView
from depot import commands as cmd
from depot.plan_policy import PlanAim, PolicyPick
from depot.values import InvalidValue
from web import actions
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.plan_ask_page import what_ifs
from web.plan_page import plan_of
from web.plan_policy_page import frontier
from web.problems import Problem
from web.stations_api import order

SCHEMAS: Sequence[type] = (PlanView, ExplanationView, WhatIfsView, WhatIfRow, FrontierView, PlanPolicyView)
"""What these routes answer with, for the OpenAPI document."""

PATIENCE_S = 8.0
"""How long an answer to a what-if is waited for before the caller is told to come again."""

Weight = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class ChangeBody(BaseModel):
    """One change. ``amount``: kW, minutes, kWh, a count, currency per kWh; a factor where ``how`` is ``times``. ``target``: a feeder, a
    vehicle, or a charger such as CP-05/1. ``from_at``, ``until_at``: when it holds; null: over the whole plan."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["limit", "feeder", "price", "contract", "more", "charger", "depart", "arrive", "need"]
    amount: Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
    how: Literal["by", "to", "times"] = "by"
    target: str = Field(default="", max_length=80)
    from_at: AwareDatetime | None = None
    until_at: AwareDatetime | None = None


class WhatIfBody(BaseModel):
    """What if all of this were so?"""

    model_config = ConfigDict(extra="forbid")
    changes: list[ChangeBody] = Field(min_length=1, max_length=8)


class FrontierBody(BaseModel):
    """Compute the frontier of the plan in force anew, or stop that."""

    model_config = ConfigDict(extra="forbid")
    act: Literal["start", "stop"] = "start"


class PolicyBody(ReasonedBody):
    """Plan by ``aim`` from now on; ``settings``: as the settings say, again. The weights count for ``weights`` alone."""

    aim: Literal["cheapest", "readiness", "battery-life", "weights", "settings"]
    wear: Weight = 0.0
    delay_per_kwh_h: Weight = 0.0
    peak_per_kw: Weight = 0.0


QuestionId = Annotated[str, Path(min_length=1, max_length=64)]


def plan_api(web: Web) -> APIRouter:
    """Routes of the plan."""
    router = APIRouter(prefix="/api/v1")

    @router.get(
        "/plan", responses=answers("PlanView", 404, 422), response_class=Response, summary="The plan in force against what was measured"
    )
    async def plan(
        by: Annotated[Literal["vehicle", "feeder"], Query(description="What the layers are")] = "vehicle",
        layers: Annotated[int, Query(ge=1, le=40, description="So many layers, then the rest")] = 8,
        back_h: Annotated[int, Query(ge=1, le=24, description="Hours before now")] = 12,
        rows: Annotated[int, Query(ge=0, le=5000, description="Vehicles at most")] = 1000,
    ) -> Response:
        return reply(await plan_of(web, by=by, layers=str(layers), back_h=str(back_h), rows=str(rows), powers="yes"))

    @router.get(
        "/plan/explanation", responses=answers("ExplanationView", 404, 422), response_class=Response,
        summary="What limits cost, who is short and what would help; and why one slot is as it is",
    )  # fmt: skip
    async def explanation(
        slot: Annotated[AwareDatetime | None, Query(description="Look into the slot that holds this time")] = None,
        vehicle: Annotated[str, Query(max_length=80, description="Whose reasons there are wanted in any case")] = "",
    ) -> Response:
        try:
            at = "" if slot is None else slot.isoformat()
            found = await web.link.show(ExplanationView, slot=at, vehicle=vehicle, vehicles="all")
        except LinkProtocol as error:
            raise Problem("invalid_request", str(error)) from None
        if found is None:
            raise Problem("not_found", "This core explains no plan.")
        return reply(found)

    @router.get("/plan/what-if", responses=answers("WhatIfsView", 404), response_class=Response, summary="What was asked lately")
    async def asked() -> Response:
        return reply(await what_ifs(web))

    @router.get(
        "/plan/what-if/{question_id}",
        responses=answers("WhatIfRow", 404, 422),
        response_class=Response,
        summary="One question and its answer",
    )
    async def one(question_id: QuestionId) -> Response:
        return reply((await what_ifs(web, question=question_id)).rows[0])

    @router.post(
        "/plan/what-if", responses=answers("WhatIfRow", 404, 413, 422) | {202: answers("WhatIfRow")[200] | {"description": "Under way"}},
        response_class=Response, summary="What would changes do to the plan? Nothing is done",
    )  # fmt: skip
    async def ask(body: WhatIfBody) -> Response:
        changes = [ChangeAsked(**change.model_dump()) for change in body.changes]
        row = (await what_ifs(web, changes=msgspec.json.encode(changes).decode())).rows[0]
        until = asyncio.get_running_loop().time() + PATIENCE_S
        while row.state in (AnswerState.WAITING, AnswerState.RUNNING) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.2)
            row = (await what_ifs(web, question=row.question_id)).rows[0]
        return reply(row, 202 if row.state in (AnswerState.WAITING, AnswerState.RUNNING) else 200)

    @router.get(
        "/plan/frontier", responses=answers("FrontierView", 404), response_class=Response,
        summary="Plans that could be picked instead, or how far their computation is",
    )  # fmt: skip
    async def alternatives() -> Response:
        return reply(await frontier(web))

    @router.post(
        "/plan/frontier", responses=answers("FrontierView", 404, 413, 422, success=202), response_class=Response,
        summary="Compute them, or stop that",
    )  # fmt: skip
    async def compute(body: FrontierBody) -> Response:
        return reply(await frontier(web, act=body.act), 202)

    @router.get("/plan/policy", responses=answers("PlanPolicyView", 404), response_class=Response, summary="What plans are made by")
    async def policy() -> Response:
        found = await web.link.show(PlanPolicyView)
        if found is None:
            raise Problem("not_found", "This core knows no policy.")
        return reply(found)

    @router.post("/plan/policy", **COMMAND, summary="Plan by this from now on")
    async def pick(request: Request, body: PolicyBody, key: Key = "") -> Response:
        wanted = None
        if body.aim != "settings":
            try:
                wanted = PolicyPick(PlanAim(body.aim), wear=body.wear, delay_per_kwh_h=body.delay_per_kwh_h, peak_per_kw=body.peak_per_kw)
            except InvalidValue as error:
                raise Problem("invalid_request", str(error)) from None
        command = cmd.PickPlanPolicy(
            command_id=key or actions.new_id(), actor=caller_of(request).name, reason=actions.need_reason(body.reason), pick=wanted
        )
        return reply(await order(web, command))

    return router
