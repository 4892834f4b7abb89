"""/api/v1/payments/driver-tariffs: what drivers pay. Every version is kept; a tariff comes and goes as JSON of our own or as OCPI's
Tariff object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Path, Query
from msgspec import Struct
from pydantic import AwareDatetime, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.driver_tariffs_view import DriverPriceView, DriverTariffsView, DriverTariffView
from controller.link import LinkProtocol
from depot import commands as cmd
from web import actions
from web.api import COMMAND, Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import order

T = TypeVar("T", bound=Struct)

SCHEMAS: Sequence[type] = (DriverPriceView, DriverTariffView, DriverTariffsView)
"""What these routes answer with, for the OpenAPI document."""

MOST_CHARACTERS = 56_000
"""Of a tariff on its way to the core."""

TariffId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,35}$", description="The tariff's own id")]
Form = Annotated[
    Literal["json", "ocpi-2.2.1", "ocpi-2.3.0"], Query(description="json: driver-tariff/1; ocpi-…: OCPI's Tariff object of that version")
]
Reason = Annotated[str, Query(min_length=1, max_length=200, description="Kept in the audit trail")]
Version = Annotated[int | None, Query(ge=1, description="Null: the newest")]


class TariffBody(ReasonedBody):
    """``tariff``: as ``driver-tariff/1``, or OCPI's Tariff object; its id is that of the address."""

    tariff: dict[str, Any] = Field(description="driver-tariff/1 or OCPI Tariff (docs/driver-tariffs.md)")


def driver_tariffs_api(web: Web) -> APIRouter:
    """Routes of driver tariffs."""
    router = APIRouter(prefix="/api/v1/payments", tags=["payments"])

    def who(request: Request, reason: str, key: str) -> dict[str, Any]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": actions.need_reason(reason)}

    @router.get(
        "/driver-tariffs", responses=answers("DriverTariffsView", 404), response_class=Response, summary="Driver tariffs, every version"
    )
    async def tariffs() -> Response:
        return reply(await shown(web, DriverTariffsView))

    @router.get(
        "/driver-tariffs/{tariff_id}", responses=answers("DriverTariffView", 404, 422), response_class=Response,
        summary="One version whole, as our JSON or OCPI's",
    )  # fmt: skip
    async def one(tariff_id: TariffId, version: Version = None, format: Form = "json") -> Response:  # noqa: A002  # its name on the wire
        return reply(await shown(web, DriverTariffView, tariff_id=tariff_id, number=str(version or ""), form=format))

    @router.put(
        "/driver-tariffs/{tariff_id}", **COMMAND, summary="Put a driver tariff or a new version of it; sessions under way keep theirs"
    )
    async def put(request: Request, tariff_id: TariffId, body: TariffBody, key: Key = "") -> Response:
        return reply(await order(web, put_command(who(request, body.reason, key), tariff_id, json.dumps(body.tariff))))

    @router.delete("/driver-tariffs/{tariff_id}", **COMMAND, summary="No session starts under it any more")
    async def end(request: Request, tariff_id: TariffId, reason: Reason, until: AwareDatetime | None = None, key: Key = "") -> Response:
        return reply(await order(web, cmd.EndDriverTariff(**who(request, reason, key), tariff_id=tariff_id, until=until)))

    @router.get(
        "/price", responses=answers("DriverPriceView", 404, 422), response_class=Response,
        summary="What a session that starts now is rated by, and its price over the next day",
    )  # fmt: skip
    async def price(
        driver_id: Annotated[str, Query(max_length=80)] = "", station_id: Annotated[str, Query(max_length=48)] = ""
    ) -> Response:
        return reply(await shown(web, DriverPriceView, driver_id=driver_id, station_id=station_id))

    return router


def put_command(base: dict[str, Any], tariff_id: str, text: str) -> cmd.PutDriverTariff:
    """The command of a body or an uploaded file. Raises :class:`~web.problems.Problem` for one that is too long for the core's link."""
    if len(json.dumps(text)) > MOST_CHARACTERS:
        raise Problem("too_large", f"A tariff has at most {MOST_CHARACTERS // 1000} kB: put fewer elements into it.")
    return cmd.PutDriverTariff(**base, tariff_id=tariff_id, text=text)


async def shown(web: Web, kind: type[T], **args: str) -> T:
    """A view of the rooms of money; raises :class:`~web.problems.Problem` where there is none."""
    try:
        found = await web.link.show(kind, **args)
    except LinkProtocol as error:
        raise Problem("invalid_request", str(error)) from None
    if found is None:
        raise Problem("not_found", "There is no such thing here, or nobody pays in this depot (section [payments] of its settings).")
    return found
