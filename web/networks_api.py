"""/api/v1/network-profiles: by which addresses stations of OCPP 2.x reach a central system, slot by slot, and in which order they
try them. Secrets of an APN or a VPN go to the station and are shown to nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from controller.link import LinkProtocol
from controller.network_profiles import NetworksView, StationNetworkView
from depot import commands as cmd
from depot.network_profiles import MAX_SLOT, NetworkProfile
from web import actions
from web.api import COMMAND, Key, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import BY_API, StationName, order

Slot = Annotated[int, Path(ge=0, le=MAX_SLOT, description="A slot that the station has")]
Interface = Literal["Wired0", "Wired1", "Wired2", "Wired3", "Wireless0", "Wireless1", "Wireless2", "Wireless3", "Any"]


class _Body(BaseModel):
    """``may_cut_off``: the address is known not to lead to this depot, and that is wanted."""

    model_config = ConfigDict(extra="forbid")
    may_cut_off: bool = False
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


class ApnBody(BaseModel):
    """A mobile network's access point."""

    model_config = ConfigDict(extra="forbid")
    apn: str = Field(min_length=1, max_length=512)
    authentication: Literal["CHAP", "NONE", "PAP", "AUTO"] = "AUTO"
    user_name: str | None = Field(default=None, max_length=20)
    password: str | None = Field(default=None, max_length=20)
    sim_pin: int | None = Field(default=None, ge=0, le=99_999_999)
    preferred_network: str | None = Field(default=None, max_length=6)
    use_only_preferred_network: bool = False

    def to_wire(self) -> dict[str, Any]:
        named = {
            "apn": self.apn, "apnUserName": self.user_name, "apnPassword": self.password, "simPin": self.sim_pin,
            "preferredNetwork": self.preferred_network, "useOnlyPreferredNetwork": self.use_only_preferred_network or None,
            "apnAuthentication": self.authentication,
        }  # fmt: skip
        return {name: value for name, value in named.items() if value is not None}


class VpnBody(BaseModel):
    """A VPN through which the station goes."""

    model_config = ConfigDict(extra="forbid")
    server: str = Field(min_length=1, max_length=512)
    user: str = Field(max_length=20)
    password: str = Field(max_length=20)
    key: str = Field(max_length=255)
    type: Literal["IKEv2", "IPSec", "L2TP", "PPTP"]
    group: str | None = Field(default=None, max_length=20)

    def to_wire(self) -> dict[str, Any]:
        return {name: value for name, value in self.model_dump().items() if value is not None}


class NetworkBody(_Body):
    """``url``: without the station's id. ``security_profile``: never less than what counts of the station now. ``identity``,
    ``password``: OCPP 2.1 only."""

    url: str = Field(min_length=6, max_length=512)
    security_profile: int = Field(ge=0, le=3)
    interface: Interface = "Wired0"
    message_timeout_s: int = Field(default=30, ge=1, le=3600)
    apn: ApnBody | None = None
    vpn: VpnBody | None = None
    identity: str = Field(default="", max_length=48)
    password: str = Field(default="", max_length=64)


class PriorityBody(_Body):
    """``priority``: slots, the one to be tried first in front."""

    priority: list[Annotated[int, Field(ge=0, le=MAX_SLOT)]] = Field(min_length=1, max_length=20)


SCHEMAS: Sequence[type] = (NetworksView, StationNetworkView)
"""What these routes answer with, for the OpenAPI document."""


def networks_api(web: Web) -> APIRouter:
    """Routes of network profiles."""
    router = APIRouter(prefix="/api/v1")

    def who(request: Request, body: _Body, key: str) -> dict[str, Any]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": body.reason}

    async def shown(**args: str) -> NetworksView:
        try:
            found = await web.link.show(NetworksView, **args)
        except LinkProtocol as error:
            raise Problem("command_refused", str(error)) from None
        if found is None:
            raise Problem("unknown_station", "GET /api/v1/stations lists all.")
        return found

    @router.get(
        "/network-profiles", responses=answers("NetworksView", 404, 409), response_class=Response,
        summary="Network profiles that stations have accepted",
    )  # fmt: skip
    async def listed() -> Response:
        return reply(await shown())

    @router.get(
        "/network-profiles/{station_id}", responses=answers("StationNetworkView", 404, 409, 422), response_class=Response,
        summary="Those of one station",
    )  # fmt: skip
    async def one(
        station_id: StationName, refresh: Annotated[bool, Query(description="Ask the station for its order now")] = False
    ) -> Response:
        view = await shown(station_id=station_id, **({"refresh": "true"} if refresh else {}))
        if not view.stations:
            raise Problem("unknown_station", "GET /api/v1/stations lists all.")
        return reply(view.stations[0])

    @router.put("/network-profiles/{station_id}", **COMMAND, summary="Set the order in which its slots are tried")
    async def prefer(request: Request, station_id: StationName, body: PriorityBody, key: Key = "") -> Response:
        command = cmd.SetNetworkPriority(
            **who(request, body, key), station_id=station_id, priority=tuple(body.priority), may_cut_off=body.may_cut_off
        )
        return reply(await order(web, command))

    @router.put("/network-profiles/{station_id}/{slot}", **COMMAND, summary="Set one slot (SetNetworkProfile)")
    async def put(request: Request, station_id: StationName, slot: Slot, body: NetworkBody, key: Key = "") -> Response:
        profile = NetworkProfile(
            body.url, body.security_profile, body.interface, body.message_timeout_s, body.apn.apn if body.apn else "",
            body.vpn.server if body.vpn else "", body.identity,
        )  # fmt: skip
        command = cmd.SetNetworkProfile(
            **who(request, body, key), station_id=station_id, slot=slot, profile=profile, apn=body.apn.to_wire() if body.apn else None,
            vpn=body.vpn.to_wire() if body.vpn else None, password=body.password, may_cut_off=body.may_cut_off,
        )  # fmt: skip
        return reply(await order(web, command))

    return router
