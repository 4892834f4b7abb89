"""/api/v1/bills and /api/v1/demand: the month's bill with every line explained, beside the utility's; demand blocks and history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query
from msgspec import Struct
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.bills_view import BillsView, DemandHistoryView, MonthBillView
from controller.link import LinkProtocol
from depot import commands as cmd
from depot.demand_book import LINES_MOST, MOST, MonthDemand, UtilityBill
from depot.metering import MeterBlock
from depot.values import InvalidValue
from web import actions
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import order

T = TypeVar("T", bound=Struct)

BLOCKS_MOST = 400
"""Blocks of one request: some four days of quarters."""

MonthName = Annotated[str, Path(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", description="A billing month, such as 2026-10")]
MonthQuery = Annotated[str, Query(pattern=r"^(20[0-9]{2}-(0[1-9]|1[0-2]))?$", description="Empty: the month that runs")]
Amount = Annotated[int, Field(ge=0, le=MOST)]
Paise = Annotated[int, Field(ge=-MOST, le=MOST)]
Number = Annotated[str, Field(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,9})?$")]
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._:/()+-]{0,63}$")]


class MonthDemandBody(ReasonedBody):
    """What an old bill says. ``billing``: billing demand in the unit of the tariff's demand charge, W or VA."""

    recorded_w: Amount | None = None
    recorded_va: Amount | None = None
    billing: Amount | None = None


class UtilityBillBody(ReasonedBody):
    """The utility's bill. ``lines``: paise by the codes of our bill's lines; others stay unexplained. ``published``: adders of the
    month by code (FPPCA), as decimal text."""

    total_paise: Paise
    lines: dict[Code, Paise] = Field(default_factory=dict, max_length=LINES_MOST)
    recorded_w: Amount | None = None
    recorded_va: Amount | None = None
    import_wh: Amount | None = None
    import_vah: Amount | None = None
    power_factor: Number | None = None
    published: dict[Code, Number] = Field(default_factory=dict, max_length=LINES_MOST)


class BlockBody(BaseModel):
    """One block of the billing meter."""

    model_config = ConfigDict(extra="forbid")
    begins_at: AwareDatetime
    minutes: int = Field(default=15, ge=1, le=60)
    import_wh: Amount
    import_vah: Amount | None = None
    export_wh: Amount = 0


class BlocksBody(ReasonedBody):
    """Blocks read out of the billing meter."""

    blocks: list[BlockBody] = Field(min_length=1, max_length=BLOCKS_MOST)


SCHEMAS: Sequence[type] = (BillsView, MonthBillView, DemandHistoryView)
"""What these routes answer with, for the OpenAPI document."""


def bills_api(web: Web) -> APIRouter:
    """Routes of bills and demand."""
    router = APIRouter(prefix="/api/v1")

    def who(request: Request, reason: str, key: str) -> dict[str, Any]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": actions.need_reason(reason)}

    @router.get("/bills", responses=answers("BillsView", 404), response_class=Response, summary="Months that can be billed")
    async def bills() -> Response:
        return reply(await shown(web, BillsView))

    @router.get("/bills/{month}", responses=answers("MonthBillView", 404, 422), response_class=Response, summary="A month's bill")
    async def bill(month: MonthName) -> Response:
        return reply(await shown(web, MonthBillView, month=month))

    @router.put("/bills/{month}/utility", **COMMAND, summary="Type in the utility's bill")
    async def utility(request: Request, month: MonthName, body: UtilityBillBody, key: Key = "") -> Response:
        said = body.model_dump(exclude={"reason"})
        try:
            typed = UtilityBill(month, reason=body.reason, **said)
        except InvalidValue as error:
            raise Problem("invalid_request", str(error)) from None
        return reply(await order(web, cmd.RecordUtilityBill(**who(request, body.reason, key), bill=typed)))

    @router.get(
        "/demand", responses=answers("DemandHistoryView", 404, 422), response_class=Response, summary="Demand blocks, and months before"
    )
    async def demand(month: MonthQuery = "") -> Response:
        return reply(await shown(web, DemandHistoryView, month=month))

    @router.put("/demand/history/{month}", **COMMAND, summary="Say what an old bill says of the maximum demand")
    async def history(request: Request, month: MonthName, body: MonthDemandBody, key: Key = "") -> Response:
        try:
            typed = MonthDemand(month, body.recorded_w, body.recorded_va, body.billing, reason=body.reason)
        except InvalidValue as error:
            raise Problem("invalid_request", str(error)) from None
        return reply(await order(web, cmd.RecordMonthDemand(**who(request, body.reason, key), demand=typed)))

    @router.post("/demand/blocks", **COMMAND, summary="Keep blocks of the billing meter; they are billed instead of ours")
    async def blocks(request: Request, body: BlocksBody, key: Key = "") -> Response:
        try:
            found = tuple(MeterBlock(**block.model_dump()) for block in body.blocks)
        except (InvalidValue, OverflowError) as error:
            raise Problem("invalid_request", str(error)) from None
        return reply(await order(web, cmd.KeepMeterBlocks(**who(request, body.reason, key), blocks=found)))

    return router


async def shown(web: Web, kind: type[T], **args: str) -> T:
    """A view of the bills' room; raises :class:`Problem` where there is none."""
    try:
        found = await web.link.show(kind, **args)
    except LinkProtocol as error:
        raise Problem("invalid_request", str(error)) from None
    if found is None:
        raise Problem("not_found", "That month has not begun, or this core keeps no bills.")
    return found
