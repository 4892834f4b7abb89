"""/api/v1/variables, /reports, /monitors, /events, /drift, /wanted-variables: device models of 2.x stations. A variable is named
flat: component, component_instance, evse, connector, variable, variable_instance. Values are text, as the norm has them.

Questions are answered from what is kept; ``POST /variables/get`` and ``POST /reports`` ask the station. Orders are answered with
the station's word on each item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.device_model.views import (
    DriftView,
    EventsView,
    MonitorsView,
    ReportDetail,
    ReportsView,
    ReportView,
    VariableResults,
    VariablesView,
    WantedView,
)
from controller.link import LinkProtocol
from depot import commands as cmd
from depot.device_model import (
    MOST_SEVERITY,
    BaseReport,
    ComponentCriterion,
    MonitoringBase,
    MonitoringCriterion,
    MonitorWish,
    Variable,
    VariableSetting,
)
from depot.wanted import WantedScope, WantedVariable
from web import actions
from web.api import COMMAND, Key, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import BY_API, Reason, order

AttributeType = Literal["Actual", "Target", "MinSet", "MaxSet"]
OneStation = Annotated[str, Query(max_length=48, description="Only this one")]
Cursor = Annotated[int, Query(ge=0, lt=2**53, description="next_cursor of the page before")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Part = Annotated[str, Query(max_length=50, description="A part of the name, small or large letters")]
Severity = Annotated[int, Field(ge=0, le=MOST_SEVERITY, description="0 danger … 9 debug")]
MonitorKind = Literal["UpperThreshold", "LowerThreshold", "Delta", "Periodic", "PeriodicClockAligned", "TargetDelta", "TargetDeltaRelative"]
_Evse = Annotated[int | None, Field(ge=0, le=2**31 - 1)]
_Id = Annotated[int, Field(ge=0, le=2**31 - 1)]
_Instance = Annotated[str | None, Field(max_length=50)]


class ComponentBody(BaseModel):
    """A component, or a variable of it. ``evse`` null: of the station as a whole."""

    model_config = ConfigDict(extra="forbid")
    component: str = Field(min_length=1, max_length=50)
    component_instance: _Instance = None
    evse: _Evse = None
    connector: _Evse = None
    variable: str | None = Field(default=None, max_length=50)
    variable_instance: _Instance = None

    def named(self) -> Variable:
        return Variable(
            self.component, self.variable or "", self.variable_instance or None, self.component_instance or None, self.evse,
            None if self.evse is None else self.connector,
        )  # fmt: skip


class VariableBody(ComponentBody):
    """A variable."""

    variable: str = Field(min_length=1, max_length=50)


class AskedBody(VariableBody):
    """An attribute of a variable."""

    attribute: AttributeType = "Actual"


class SettingBody(AskedBody):
    """A value to write."""

    value: str = Field(max_length=1000)


class _StationBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    station_id: str = Field(min_length=1, max_length=48)


class _OrderBody(_StationBody):
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


class GetBody(_StationBody):
    """Variables to read now."""

    variables: list[AskedBody] = Field(min_length=1, max_length=200)


class SetBody(_OrderBody):
    """Variables to write. A secret is not kept by the depot."""

    variables: list[SettingBody] = Field(min_length=1, max_length=500)


class ReportBody(_OrderBody):
    """A base report (``base``), or a custom one: components that meet ``criteria``, ``variables`` (without ``variable``: all of a
    component's)."""

    base: BaseReport | None = None
    criteria: list[ComponentCriterion] = Field(default=[], max_length=4)
    variables: list[ComponentBody] = Field(default=[], max_length=200)


class MonitorBody(VariableBody):
    """A monitor. ``value``: in the variable's unit; of a periodic one, seconds. ``monitor_id`` null: a new one."""

    kind: MonitorKind
    value: float = Field(allow_inf_nan=False, ge=-1e15, le=1e15)
    severity: Severity
    transaction: bool = False
    monitor_id: _Id | None = None


class MonitorsBody(_OrderBody):
    """Monitors to set."""

    monitors: list[MonitorBody] = Field(min_length=1, max_length=500)


class MonitorReportBody(_OrderBody):
    """Which monitors: all, or those of ``criteria`` and ``variables``."""

    criteria: list[MonitoringCriterion] = Field(default=[], max_length=3)
    variables: list[ComponentBody] = Field(default=[], max_length=200)


class BaseBody(_OrderBody):
    """The set of monitors to start from."""

    base: MonitoringBase


class LevelBody(_OrderBody):
    """Only what is as severe as this, or more, is told."""

    severity: Severity


class RepairBody(_OrderBody):
    """``variables`` empty: all that differ."""

    variables: list[VariableBody] = Field(default=[], max_length=500)


class WantedBody(VariableBody):
    """The value that a variable shall have."""

    value: str = Field(max_length=1000)


class WantedVariablesBody(BaseModel):
    """``name``: empty for the depot, ``vendor/model`` for a model, a station's id."""

    model_config = ConfigDict(extra="forbid")
    scope: WantedScope
    name: str = Field(default="", max_length=150)
    variables: list[WantedBody] = Field(min_length=1, max_length=500)
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


class UnwantedBody(BaseModel):
    """Values that are wanted no more."""

    model_config = ConfigDict(extra="forbid")
    scope: WantedScope
    name: str = Field(default="", max_length=150)
    variables: list[VariableBody] = Field(min_length=1, max_length=500)
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


SCHEMAS: Sequence[type] = (
    VariablesView, VariableResults, ReportsView, ReportView, ReportDetail, MonitorsView, EventsView, DriftView, WantedView,
)  # fmt: skip
"""What these routes answer with, for the OpenAPI document."""


def device_model_api(web: Web) -> APIRouter:
    """Routes of device models."""
    router = APIRouter(prefix="/api/v1")

    def who(request: Request, reason: str, key: str) -> dict[str, Any]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": reason}

    async def shown(kind: type[Struct], **args: str) -> Response:
        try:
            found = await web.link.show(kind, **{name: value for name, value in args.items() if value})
        except LinkProtocol as error:
            raise Problem("command_refused", str(error)) from None
        if found is None:
            raise Problem("unknown_station" if args.get("station_id") else "not_found", "GET /api/v1/stations lists all stations.")
        return reply(found)

    async def ordered(command: cmd.Command) -> Response:
        return reply(await order(web, command))

    # -- variables ----------------------------------------------------------------------------------------------

    @router.get(
        "/variables", responses=answers("VariablesView", 404, 409, 422), response_class=Response,
        summary="Variables as stations told them last",
    )  # fmt: skip
    async def variables(
        station_id: OneStation = "",
        component: Part = "",
        variable: Part = "",
        text: Annotated[str, Query(max_length=100, description="Anywhere in name or value")] = "",
        cursor: Cursor = 0,
        limit: Limit = 100,
    ) -> Response:
        return await shown(
            VariablesView, station_id=station_id, component=component, variable=variable, text=text, cursor=str(cursor), limit=str(limit)
        )

    @router.post(
        "/variables/get", responses=answers("VariableResults", 404, 409, 413, 422), response_class=Response,
        summary="Read variables of a station now (GetVariables), in batches that it takes",
    )  # fmt: skip
    async def read(body: GetBody) -> Response:
        wanted = [(one.named(), one.attribute) for one in body.variables]
        return await shown(VariableResults, station_id=body.station_id, wanted=msgspec.json.encode(wanted).decode())

    @router.post("/variables/set", **COMMAND, summary="Write variables of a station (SetVariables), in batches that it takes")
    async def write(request: Request, body: SetBody, key: Key = "") -> Response:
        settings = tuple(VariableSetting(one.named(), one.value, one.attribute) for one in body.variables)
        return await ordered(cmd.SetVariables(**who(request, body.reason, key), station_id=body.station_id, settings=settings))

    # -- reports ------------------------------------------------------------------------------------------------

    @router.get("/reports", responses=answers("ReportsView", 404, 409, 422), response_class=Response, summary="Reports, newest first")
    async def reports(station_id: OneStation = "", limit: Limit = 100) -> Response:
        return await shown(ReportsView, station_id=station_id, limit=str(limit))

    @router.post("/reports", **COMMAND, summary="Ask for a report (GetBaseReport, GetReport); answer.report_id names it")
    async def ask(request: Request, body: ReportBody, key: Key = "") -> Response:
        command = cmd.AskReport(
            **who(request, body.reason, key), station_id=body.station_id, base=body.base, criteria=tuple(body.criteria),
            variables=tuple(one.named() for one in body.variables),
        )  # fmt: skip
        return await ordered(command)

    @router.get(
        "/reports/{report_id}", responses=answers("ReportDetail", 404, 409, 422), response_class=Response,
        summary="One report: how far it is, and its rows",
    )  # fmt: skip
    async def report(report_id: Annotated[int, Path(ge=1, le=2**31 - 1)], cursor: Cursor = 0, limit: Limit = 100) -> Response:
        return await shown(ReportDetail, report_id=str(report_id), cursor=str(cursor), limit=str(limit))

    # -- monitors and events ------------------------------------------------------------------------------------

    @router.get("/monitors", responses=answers("MonitorsView", 404, 409, 422), response_class=Response, summary="Monitors as told last")
    async def monitors(station_id: OneStation = "") -> Response:
        return await shown(MonitorsView, station_id=station_id)

    @router.post("/monitors", **COMMAND, summary="Set monitors (SetVariableMonitoring), in batches that the station takes")
    async def set_monitors(request: Request, body: MonitorsBody, key: Key = "") -> Response:
        wishes = tuple(MonitorWish(m.named(), m.kind, m.value, m.severity, m.transaction, m.monitor_id) for m in body.monitors)
        return await ordered(cmd.SetMonitors(**who(request, body.reason, key), station_id=body.station_id, monitors=wishes))

    @router.delete("/monitors", **COMMAND, summary="Clear monitors by their ids (ClearVariableMonitoring)")
    async def clear_monitors(
        request: Request,
        station_id: Annotated[str, Query(min_length=1, max_length=48)],
        monitor_id: Annotated[list[_Id], Query(min_length=1, max_length=500)],
        reason: Reason = BY_API,
        key: Key = "",
    ) -> Response:
        return await ordered(cmd.ClearMonitors(**who(request, reason, key), station_id=station_id, monitor_ids=tuple(monitor_id)))

    @router.post("/monitors/report", **COMMAND, summary="Ask which monitors a station has (GetMonitoringReport)")
    async def monitors_report(request: Request, body: MonitorReportBody, key: Key = "") -> Response:
        command = cmd.AskMonitoringReport(
            **who(request, body.reason, key), station_id=body.station_id, criteria=tuple(body.criteria),
            variables=tuple(one.named() for one in body.variables),
        )  # fmt: skip
        return await ordered(command)

    @router.put("/monitors/base", **COMMAND, summary="Choose the set of monitors to start from (SetMonitoringBase)")
    async def monitoring_base(request: Request, body: BaseBody, key: Key = "") -> Response:
        return await ordered(cmd.SetMonitoringBase(**who(request, body.reason, key), station_id=body.station_id, base=body.base))

    @router.put("/monitors/level", **COMMAND, summary="Say how severe an event must be to be told (SetMonitoringLevel)")
    async def monitoring_level(request: Request, body: LevelBody, key: Key = "") -> Response:
        return await ordered(cmd.SetMonitoringLevel(**who(request, body.reason, key), station_id=body.station_id, severity=body.severity))

    @router.get(
        "/events", responses=answers("EventsView", 404, 409, 422), response_class=Response, summary="Events of stations, newest first"
    )
    async def events(
        station_id: OneStation = "",
        severity: Annotated[int | None, Query(ge=0, le=MOST_SEVERITY, description="At least so severe: 0 danger … 9 debug")] = None,
        cursor: Cursor = 0,
        limit: Limit = 100,
    ) -> Response:
        least = "" if severity is None else str(severity)
        return await shown(EventsView, station_id=station_id, severity=least, cursor=str(cursor or ""), limit=str(limit))

    # -- wanted values ------------------------------------------------------------------------------------------

    @router.get(
        "/drift", responses=answers("DriftView", 404, 409, 422), response_class=Response,
        summary="How far stations are from what is wanted",
    )  # fmt: skip
    async def drift(
        station_id: OneStation = "", everything: Annotated[bool, Query(alias="all", description="Also what is as wanted")] = False
    ) -> Response:
        return await shown(DriftView, station_id=station_id, all="true" if everything else "")

    @router.post("/drift/repair", **COMMAND, summary="Write the wanted values where a station has others")
    async def repair(request: Request, body: RepairBody, key: Key = "") -> Response:
        variables = tuple(one.named() for one in body.variables)
        return await ordered(cmd.RepairDrift(**who(request, body.reason, key), station_id=body.station_id, variables=variables))

    @router.get(
        "/wanted-variables", responses=answers("WantedView"), response_class=Response, summary="Which values are wanted, and by whom"
    )
    async def wanted() -> Response:
        return await shown(WantedView)

    @router.post("/wanted-variables", **COMMAND, summary="Want values for the depot, a model or a station")
    async def want(request: Request, body: WantedVariablesBody, key: Key = "") -> Response:
        values = tuple(WantedVariable(one.named(), one.value) for one in body.variables)
        return await ordered(cmd.ChangeWantedVariables(**who(request, body.reason, key), scope=body.scope, name=body.name, wanted=values))

    @router.post("/wanted-variables/remove", **COMMAND, summary="Want values no more")
    async def unwant(request: Request, body: UnwantedBody, key: Key = "") -> Response:
        gone = tuple(one.named() for one in body.variables)
        return await ordered(cmd.ChangeWantedVariables(**who(request, body.reason, key), scope=body.scope, name=body.name, removed=gone))

    return router
