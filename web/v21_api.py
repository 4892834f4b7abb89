"""What OCPP 2.1 adds: /api/v1/der-controls, /battery-swaps, /tariffs, /event-streams, and /station-notes. Settings of a DER control and
tariffs are as OCPP spells them; what could let power flow is counted before it leaves, as every call is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.battery_swaps import SwapsView
from controller.der import DerView
from controller.event_streams import StreamsView
from controller.link import LinkProtocol
from controller.notes import NotesView
from controller.station_tariffs import StationTariffsView, TariffsView
from depot import commands as cmd
from depot.notes import NoteKind
from depot.tokens import MAX_TOKEN_LENGTH
from web import actions
from web.api import COMMAND, Key, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import BY_API, Reason, StationName, order

V = TypeVar("V", bound=Struct)
OneStation = Annotated[str, Query(max_length=48, description="Only this station")]
ControlType = Annotated[str, Query(max_length=40, pattern=r"^[A-Za-z]*$", description="DERControlEnumType, for example FreqDroop")]
ControlId = Annotated[str, Query(max_length=36)]
Evse = Annotated[int, Query(ge=0, le=99, description="0: all")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


class _StationBody(_Body):
    station_id: str = Field(min_length=1, max_length=48)


class DerControlBody(_StationBody):
    """A control. ``settings``: as OCPP has them for this type (a curve, ``freqDroop``, ``fixedVar`` …); ``control_id`` "": a new one;
    ``because``: what the grid operator wants it for."""

    control_type: str = Field(min_length=1, max_length=40, pattern=r"^[A-Za-z]+$")
    is_default: bool = False
    settings: dict[str, Any]
    control_id: str = Field(default="", max_length=36)
    because: str = Field(min_length=1, max_length=200)


class DerReadBody(_StationBody):
    """Which controls the station shall tell; nothing named: all."""

    is_default: bool | None = None
    control_type: str = Field(default="", max_length=40, pattern=r"^[A-Za-z]*$")
    control_id: str = Field(default="", max_length=36)


class SwapBody(_StationBody):
    """For whom."""

    id_token: str = Field(min_length=1, max_length=MAX_TOKEN_LENGTH)


class TariffBody(_Body):
    """``tariff``: OCPP's TariffType; ``evse_id`` 0: for all EVSEs."""

    tariff: dict[str, Any]
    evse_id: int = Field(default=0, ge=0, le=99)


class TransactionTariffBody(_Body):
    """``tariff``: OCPP's TariffType; ``evse_id``: where the transaction runs."""

    tariff: dict[str, Any]
    evse_id: int = Field(ge=1, le=99)


class StreamBody(_Body):
    """How often the station sends a bundle, s, and how many values are in it. Null: as it is."""

    interval_s: int | None = Field(default=None, ge=1, le=86_400)
    values_at_once: int | None = Field(default=None, ge=1, le=1000)


SCHEMAS: Sequence[type] = (DerView, SwapsView, TariffsView, StationTariffsView, StreamsView, NotesView)
"""What these routes answer with, for the OpenAPI document."""


def v21_api(web: Web) -> APIRouter:
    """Routes of what OCPP 2.1 adds."""
    router = APIRouter(prefix="/api/v1")

    def who(request: Request, reason: str, key: str) -> dict[str, Any]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": reason}

    async def shown(view: type[V], /, **args: str) -> V:
        try:
            found = await web.link.show(view, **{name: value for name, value in args.items() if value})
        except LinkProtocol as error:
            raise Problem("command_refused", str(error)) from None
        if found is None:
            raise Problem("unknown_station", "GET /api/v1/stations lists all.")
        return found

    # -- DER control --------------------------------------------------------------------------------------------

    @router.get("/der-controls", responses=answers("DerView", 404, 409, 422), response_class=Response,
                summary="DER controls and alarms of the grid, as stations accepted and told them")  # fmt: skip
    async def controls(station_id: OneStation = "") -> Response:
        return reply(await shown(DerView, station_id=station_id))

    @router.post("/der-controls", **COMMAND, summary="Set a DER control (SetDERControl)")
    async def set_control(request: Request, body: DerControlBody, key: Key = "") -> Response:
        command = cmd.SetDerControl(
            **who(request, body.reason, key), station_id=body.station_id, control_type=body.control_type, is_default=body.is_default,
            settings=body.settings, control_id=body.control_id, because=body.because,
        )  # fmt: skip
        return reply(await order(web, command))

    @router.delete("/der-controls", **COMMAND, summary="Clear DER controls (ClearDERControl): one, a type, or all")
    async def clear_controls(
        request: Request, station_id: Annotated[str, Query(min_length=1, max_length=48)], is_default: Annotated[bool, Query()] = False,
        control_type: ControlType = "", control_id: ControlId = "", reason: Reason = BY_API, key: Key = "",
    ) -> Response:  # fmt: skip
        command = cmd.ClearDerControls(
            **who(request, reason, key), station_id=station_id, is_default=is_default, control_type=control_type, control_id=control_id
        )
        return reply(await order(web, command))

    @router.post("/der-controls/refresh", **COMMAND, summary="Let a station tell its DER controls anew (GetDERControl)")
    async def read_controls(request: Request, body: DerReadBody, key: Key = "") -> Response:
        command = cmd.ReadDerControls(
            **who(request, body.reason, key), station_id=body.station_id, is_default=body.is_default, control_type=body.control_type,
            control_id=body.control_id,
        )  # fmt: skip
        return reply(await order(web, command))

    # -- battery swaps ------------------------------------------------------------------------------------------

    @router.get("/battery-swaps", responses=answers("SwapsView", 404, 409, 422), response_class=Response,
                summary="Batteries that came and went, newest first, and those that are inside")  # fmt: skip
    async def swaps(station_id: OneStation = "") -> Response:
        return reply(await shown(SwapsView, station_id=station_id))

    @router.post("/battery-swaps", **COMMAND, summary="Let somebody swap a battery (RequestBatterySwap)")
    async def request_swap(request: Request, body: SwapBody, key: Key = "") -> Response:
        command = cmd.RequestBatterySwap(**who(request, body.reason, key), station_id=body.station_id, id_token=body.id_token)
        return reply(await order(web, command))

    # -- tariffs ------------------------------------------------------------------------------------------------

    @router.get("/tariffs", responses=answers("TariffsView", 404, 409), response_class=Response, summary="Tariffs that stations were given")
    async def tariffs() -> Response:
        return reply(await shown(TariffsView))

    @router.get("/tariffs/{station_id}", responses=answers("StationTariffsView", 404, 409, 422), response_class=Response,
                summary="Those of one station")  # fmt: skip
    async def station_tariffs(
        station_id: StationName, refresh: Annotated[bool, Query(description="Ask the station now (GetTariffs)")] = False, evse_id: Evse = 0
    ) -> Response:
        args = {"refresh": "true", "evse_id": str(evse_id)} if refresh else {}
        view = await shown(TariffsView, station_id=station_id, **args)
        return reply(view.stations[0])

    @router.put("/tariffs/{station_id}", **COMMAND, summary="Give a station a default tariff (SetDefaultTariff)")
    async def set_tariff(request: Request, station_id: StationName, body: TariffBody, key: Key = "") -> Response:
        command = cmd.SetStationTariff(
            **who(request, body.reason, key), station_id=station_id, tariff=body.tariff, evse_id=body.evse_id
        )  # fmt: skip
        return reply(await order(web, command))

    @router.put("/tariffs/{station_id}/transaction", **COMMAND, summary="Another tariff for a running transaction")
    async def change_tariff(request: Request, station_id: StationName, body: TransactionTariffBody, key: Key = "") -> Response:
        command = cmd.ChangeTransactionTariff(
            **who(request, body.reason, key), station_id=station_id, evse_id=body.evse_id, tariff=body.tariff
        )  # fmt: skip
        return reply(await order(web, command))

    @router.delete("/tariffs/{station_id}", **COMMAND, summary="Take default tariffs away (ClearTariffs)")
    async def clear_tariffs(
        request: Request, station_id: StationName,
        tariff_id: Annotated[list[Annotated[str, Field(min_length=1, max_length=60)]] | None, Query(max_length=20)] = None,
        evse_id: Evse = 0, reason: Reason = BY_API, key: Key = "",
    ) -> Response:  # fmt: skip
        command = cmd.ClearStationTariffs(
            **who(request, reason, key), station_id=station_id, tariff_ids=tuple(tariff_id or ()), evse_id=evse_id
        )
        return reply(await order(web, command))

    # -- event streams and notes --------------------------------------------------------------------------------

    @router.get("/event-streams", responses=answers("StreamsView", 404, 409, 422), response_class=Response,
                summary="Periodic event streams that stations have open, with their last values")  # fmt: skip
    async def streams(station_id: OneStation = "") -> Response:
        return reply(await shown(StreamsView, station_id=station_id))

    @router.put("/event-streams/{station_id}/{stream_id}", **COMMAND, summary="Let a stream come otherwise (AdjustPeriodicEventStream)")
    async def adjust(
        request: Request, station_id: StationName, stream_id: Annotated[int, Path(ge=0, le=2**31 - 1)], body: StreamBody, key: Key = ""
    ) -> Response:
        command = cmd.AdjustEventStream(
            **who(request, body.reason, key), station_id=station_id, stream_id=stream_id, interval_s=body.interval_s,
            values_at_once=body.values_at_once,
        )  # fmt: skip
        return reply(await order(web, command))

    @router.get("/station-notes", responses=answers("NotesView", 404, 409, 422), response_class=Response,
                summary="What stations told that nobody acts on: a driver's priority, payments that they settled")  # fmt: skip
    async def notes(station_id: OneStation = "", kind: Annotated[NoteKind | None, Query()] = None) -> Response:
        return reply(await shown(NotesView, station_id=station_id, kind="" if kind is None else kind.value))

    return router
