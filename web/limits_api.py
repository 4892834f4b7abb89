"""/api/v1/limits and /demand-response: what is arranged of limits, what binds over the next days, who bound when; schedules,
demand-response events and the override as commands. The manual limit's own routes are here as well.

Reading needs ``read``; all else ``limit``, which a manager has and a machine's token can carry. Every command has a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from msgspec import Struct
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.limit_book_view import (
    DemandEventRow,
    LimitBookView,
    LimitHistoryRow,
    LimitHistoryView,
    LimitStep,
    ManualLimitRow,
    OverrideRow,
    ScheduleRow,
)
from depot import commands as cmd
from depot.limit_book import DAY_MIN, EventChannel, Period, Weekly
from depot.values import InvalidValue, LimitSource
from web import actions
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.problems import Problem

Watts = Annotated[int, Field(ge=0, le=1_000_000_000)]
ScopeId = Annotated[str, Field(max_length=64, description='"" the site, a feeder, or a connector such as CP1/1')]
ScheduleId = Annotated[str, Path(min_length=1, max_length=64)]
EventId = Annotated[str, Path(min_length=1, max_length=64)]
Reason = Annotated[str, Query(min_length=1, max_length=200, description="Kept in the audit trail")]
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", description="HH:MM by the depot's clock")]
Name = Annotated[str, Field(max_length=40)]


class ManualLimitBody(ReasonedBody):
    """Limit the site, or ``scope_id``, to ``value_w`` until ``until`` (null: until lifted). ``name``: of one that holds beside others."""

    value_w: Watts
    until: AwareDatetime | None = None
    scope_id: ScopeId = ""
    name: Name = ""


class WeeklyBody(BaseModel):
    """Every week on these ``days`` (0 Monday). An end at or before the beginning lies on the next day."""

    model_config = ConfigDict(extra="forbid")
    days: list[Annotated[int, Field(ge=0, le=6)]] = Field(min_length=1, max_length=7)
    starts: Clock
    ends: Clock
    first_day: date | None = None
    last_day: date | None = None


class PeriodBody(BaseModel):
    """Once."""

    model_config = ConfigDict(extra="forbid")
    starts_at: AwareDatetime
    ends_at: AwareDatetime


class ScheduleBody(ReasonedBody):
    """A limit that comes by itself: ``weekly`` or ``once``, one of the two."""

    value_w: Watts
    scope_id: ScopeId = ""
    weekly: WeeklyBody | None = None
    once: PeriodBody | None = None


class DemandEventBody(ReasonedBody):
    """A demand-response event of the site: ``limit_w``, or ``reduction_w`` less than ``baseline_w`` (null: as measured on the days
    before)."""

    programme: str = Field(min_length=1, max_length=64)
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    channel: EventChannel
    issued_at: AwareDatetime | None = None
    limit_w: Watts | None = None
    reduction_w: Watts | None = None
    baseline_w: Watts | None = None


class OverrideBody(ReasonedBody):
    """Let the load rise to ``value_w`` until ``until`` where limits of ``sources`` would hold it lower."""

    value_w: Watts
    until: AwareDatetime
    sources: list[Literal["manual", "schedule", "demand_response", "scada"]] = Field(min_length=1, max_length=4)
    scope_id: ScopeId = ""


class DemandEventList(Struct, frozen=True):
    """Newest beginning first."""

    at: datetime
    events: list[DemandEventRow]


SCHEMAS: Sequence[type] = (
    LimitBookView, LimitHistoryView, LimitHistoryRow, LimitStep, ManualLimitRow, ScheduleRow, DemandEventRow, OverrideRow, DemandEventList,
)  # fmt: skip
"""What these routes answer with, for the OpenAPI document."""


def limits_api(web: Web) -> APIRouter:
    """Routes of arranged limits."""
    router = APIRouter(prefix="/api/v1")

    def who(request: Request, reason: str, key: str) -> dict[str, Any]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": actions.need_reason(reason)}

    async def send(command: cmd.Command) -> Response:
        result = await actions.send(web, command)
        if result.status in (cmd.CommandStatus.REFUSED, cmd.CommandStatus.FAILED):
            raise Problem("command_refused", result.message or "The controller gave no reason; its log says more.")
        return reply(result, 202 if result.status is cmd.CommandStatus.ACCEPTED else 200)

    async def book() -> LimitBookView:
        found = await web.link.show(LimitBookView)
        if found is None:
            raise Problem("not_found", "This core arranges no limits.")
        return found

    # -- looking ------------------------------------------------------------------------------------------------------

    @router.get(
        "/limits/book", responses=answers("LimitBookView", 404), response_class=Response,
        summary="All that is arranged, and who binds over the next 48 h",
    )  # fmt: skip
    async def arranged() -> Response:
        return reply(await book())

    @router.get(
        "/limits/history", responses=answers("LimitHistoryView", 404, 422), response_class=Response,
        summary="Who bound when, or who ordered what; newest first",
    )  # fmt: skip
    async def history(
        kind: Annotated[Literal["binding", "orders"], Query(description="Who bound, or what people and machines ordered")] = "binding",
        scope_id: Annotated[str, Query(max_length=64, description='"site", a feeder, a connector; empty: all')] = "",
        at: Annotated[AwareDatetime | None, Query(description="Who bound at this moment, one entry for each scope")] = None,
        cursor: Annotated[int | None, Query(ge=1, le=2**53, description="before of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Response:
        args = {"kind": kind, "scope_id": scope_id, "limit": str(limit)}
        if cursor is not None:
            args["before"] = str(cursor)
        if at is not None:
            args["at"] = _at(at, web.view().at).isoformat()
        found = await web.link.show(LimitHistoryView, **args)
        if found is None:
            raise Problem("not_found", "This core keeps no history of limits.")
        return reply(found)

    @router.get(
        "/demand-response/events", responses=answers("DemandEventList", 404), response_class=Response,
        summary="Demand-response events with their results",
    )  # fmt: skip
    async def events() -> Response:
        found = await book()
        return reply(DemandEventList(found.at, found.events))

    # -- by hand ------------------------------------------------------------------------------------------------------

    @router.put("/limits/manual", **COMMAND, summary="Limit site, feeder or connector by hand")
    async def set_limit(request: Request, body: ManualLimitBody, key: Key = "") -> Response:
        view = web.fresh_view()
        if not body.scope_id:
            actions.check_limit(view, body.value_w)
        if body.until is not None and body.until <= view.at:
            raise Problem(
                "invalid_request", "The limit would end before it begins.", errors={"until": f"Depot time is {view.at.isoformat()}"}
            )
        until = None if body.until is None else _at(body.until, view.at)
        return await send(
            cmd.SetManualLimit(
                **who(request, body.reason, key), value_w=body.value_w, until=until, scope_id=body.scope_id, name=body.name.strip()
            )
        )

    @router.delete("/limits/manual", **COMMAND, summary="Lift a manual limit")
    async def clear_limit(
        request: Request,
        reason: Reason,
        scope_id: Annotated[str, Query(max_length=64)] = "",
        name: Annotated[str, Query(max_length=40)] = "",
        key: Key = "",
    ) -> Response:
        return await send(cmd.ClearManualLimit(**who(request, reason, key), scope_id=scope_id, name=name))

    # -- schedules ----------------------------------------------------------------------------------------------------

    @router.put("/limits/schedules/{schedule_id}", **COMMAND, summary="A limit that comes by itself, weekly or once")
    async def set_schedule(request: Request, schedule_id: ScheduleId, body: ScheduleBody, key: Key = "") -> Response:
        now = web.fresh_view().at
        try:
            weekly = None if body.weekly is None else weekly_of(body.weekly)
            once = None if body.once is None else Period(_at(body.once.starts_at, now), _at(body.once.ends_at, now))
        except InvalidValue as error:
            raise Problem("invalid_request", str(error)) from None
        return await send(
            cmd.SetLimitSchedule(
                **who(request, body.reason, key), schedule_id=schedule_id, value_w=body.value_w, scope_id=body.scope_id, weekly=weekly,
                once=once,
            )
        )  # fmt: skip

    @router.delete("/limits/schedules/{schedule_id}", **COMMAND, summary="Remove a limit's schedule")
    async def remove_schedule(request: Request, schedule_id: ScheduleId, reason: Reason, key: Key = "") -> Response:
        return await send(cmd.RemoveLimitSchedule(**who(request, reason, key), schedule_id=schedule_id))

    # -- demand response ----------------------------------------------------------------------------------------------

    @router.put("/demand-response/events/{event_id}", **COMMAND, summary="Take up, or change, a demand-response event")
    async def announce(request: Request, event_id: EventId, body: DemandEventBody, key: Key = "") -> Response:
        now = web.fresh_view().at
        return await send(
            cmd.AnnounceDemandEvent(
                **who(request, body.reason, key), event_id=event_id, programme=body.programme, starts_at=_at(body.starts_at, now),
                ends_at=_at(body.ends_at, now), channel=body.channel, limit_w=body.limit_w, reduction_w=body.reduction_w,
                baseline_w=body.baseline_w, issued_at=None if body.issued_at is None else _at(body.issued_at, now),
            )
        )  # fmt: skip

    @router.delete("/demand-response/events/{event_id}", **COMMAND, summary="The programme has cancelled an event")
    async def cancel(request: Request, event_id: EventId, reason: Reason, key: Key = "") -> Response:
        return await send(cmd.CancelDemandEvent(**who(request, reason, key), event_id=event_id))

    @router.post("/demand-response/events/{event_id}/opt-out", **COMMAND, summary="The depot does not take part")
    async def opt_out(request: Request, event_id: EventId, body: ReasonedBody, key: Key = "") -> Response:
        return await send(cmd.OptOutOfDemandEvent(**who(request, body.reason, key), event_id=event_id))

    # -- override -----------------------------------------------------------------------------------------------------

    @router.put("/limits/override", **COMMAND, summary="Lift limits for a while, where the site's settings allow it")
    async def override(request: Request, body: OverrideBody, key: Key = "") -> Response:
        sources = tuple(dict.fromkeys(LimitSource(source) for source in body.sources))
        until = _at(body.until, web.fresh_view().at)
        return await send(
            cmd.OverrideLimits(**who(request, body.reason, key), value_w=body.value_w, until=until, sources=sources, scope_id=body.scope_id)
        )

    @router.delete("/limits/override", **COMMAND, summary="End the override")
    async def end_override(request: Request, reason: Reason, key: Key = "") -> Response:
        return await send(cmd.EndOverride(**who(request, reason, key)))

    return router


def weekly_of(body: WeeklyBody) -> Weekly:
    """Raises :class:`~depot.values.InvalidValue`."""
    starts_min = minutes_of(body.starts)
    return Weekly(tuple(body.days), starts_min % DAY_MIN, minutes_of(body.ends), body.first_day, body.last_day)


def minutes_of(clock: str) -> int:
    """Minutes after midnight of ``HH:MM``."""
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def _at(at: datetime, like: datetime) -> datetime:
    try:
        return at.astimezone(like.tzinfo)
    except OverflowError:
        raise Problem("invalid_request", "A time is out of range.") from None
