"""/api/v1/security and /api/v1/certificates: how stations prove who they are. Times UTC; serials, hashes in hex.

Certificates that the depot's authority signed are listed, ordered and revoked under ``/certificates``; what a station trusts
is asked of the station itself, under ``/certificates/installed``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Path, Query
from msgspec import Struct
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from controller.security_view import CertificatesView, InstalledView, SecurityEventRow, SecurityEventsView, SecurityView
from depot import commands as cmd
from web import actions
from web.api import Key, ReasonedBody, answers, reply
from web.context import Web, caller_of
from web.problems import Problem
from web.stations_api import BY_API, Reason, StationAnswer, StationName, order

Interface = Literal["Wired0", "Wired1", "Wired2", "Wired3", "Wireless0", "Wireless1", "Wireless2", "Wireless3"]
Use = Literal[
    "CentralSystemRootCertificate", "CSMSRootCertificate", "ManufacturerRootCertificate", "V2GRootCertificate", "MORootCertificate",
    "OEMRootCertificate",
]  # fmt: skip
InstalledUse = Literal[
    "CentralSystemRootCertificate", "CSMSRootCertificate", "ManufacturerRootCertificate", "V2GRootCertificate", "MORootCertificate",
    "OEMRootCertificate", "V2GCertificateChain",
]  # fmt: skip
SignedUse = Literal["ChargingStationCertificate", "V2GCertificate", "V2G20Certificate", "CombinedCertificate"]
InstalledUses = Annotated[
    Sequence[InstalledUse], Query(max_length=7, description="Which, several of them for 2.x; none: all (1.6: the central system's root)")
]
Hex = Annotated[str, Query(min_length=1, max_length=128, pattern="^[0-9A-Fa-f]+$")]
OneStation = Annotated[str, Query(min_length=1, max_length=48, description="OCPP identity of the station")]
AnyStation = Annotated[str, Query(max_length=48, description="Only of this station")]
Serial = Annotated[str, Path(min_length=1, max_length=64, pattern="^[0-9A-Fa-f]+$", description="Serial number, as the list has it")]

V = TypeVar("V", bound=Struct)


class _Body(ReasonedBody):
    reason: str = Field(default=BY_API, min_length=1, max_length=200, description="Kept in the audit trail")


class ProfileBody(_Body):
    """The security profile by which a station shall come. ``by_hand``: somebody sets it at the station itself."""

    security_profile: int = Field(ge=0, le=3)
    by_hand: bool = False
    interface: Interface = "Wired0"


class KeyBody(_Body):
    """``by_hand``: the answer tells the new password once; else the station is given it, and nobody sees it."""

    by_hand: bool = False


class CertificateBody(_Body):
    """A station that shall have a new certificate signed. ``certificate_type``: other than its own need OCPP 2.x."""

    station_id: str = Field(min_length=1, max_length=48)
    certificate_type: SignedUse = "ChargingStationCertificate"


class InstalledBody(_Body):
    """An authority that a station shall trust. ``certificate``: PEM; null: the depot's own root."""

    station_id: str = Field(min_length=1, max_length=48)
    certificate_type: Use = "CentralSystemRootCertificate"
    certificate: str | None = Field(default=None, min_length=1, max_length=10_000)


class SecurityEventList(Struct, frozen=True):
    """One page, newest first. ``next_cursor``: give it to get the next page; null at the end."""

    events: list[SecurityEventRow]
    next_cursor: str | None


SCHEMAS: Sequence[type] = (SecurityView, SecurityEventList, CertificatesView, InstalledView)
"""What these routes answer with, for the OpenAPI document."""
_ENDED = answers("StationAnswer", 404, 409, 413, 422)
_BEGUN = _ENDED | {202: _ENDED[200] | {"description": "Accepted, under way"}}


def security_api(web: Web) -> APIRouter:
    """Routes of security profiles, keys, certificates and security events."""
    router = APIRouter(prefix="/api/v1")

    async def shown(kind: type[V], **args: str) -> V:
        found = await web.link.show(kind, **{name: value for name, value in args.items() if value})
        if found is None:
            raise Problem("unknown_station", "GET /api/v1/security lists all.")
        return found

    async def carry_out(command: cmd.StationCommand) -> Response:
        result = await order(web, command)
        answer = StationAnswer(
            station_id=command.station_id, command_id=result.command_id, status=result.status.value, message=result.message,
            audit_seq=result.audit_seq, password=(result.answer or {}).get("password"),
        )  # fmt: skip
        return reply(answer, 202 if result.status is cmd.CommandStatus.ACCEPTED else 200)

    def who(request: Request, station_id: str, reason: str, key: str) -> dict[str, str]:
        return {"command_id": key or actions.new_id(), "actor": caller_of(request).name, "reason": reason, "station_id": station_id}

    @router.get("/security", responses=answers("SecurityView", 422), response_class=Response, summary="How each station comes in")
    async def security(station_id: AnyStation = "") -> Response:
        return reply(await shown(SecurityView, station=station_id))

    @router.get(
        "/security/events", responses=answers("SecurityEventList", 422), response_class=Response, summary="Security events, newest first"
    )
    async def events(
        station_id: AnyStation = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[int, Query(ge=0, le=2**53, description="next_cursor of the page before")] = 0,
    ) -> Response:
        view = await shown(SecurityEventsView, station=station_id, limit=str(limit), before=str(cursor))
        return reply(SecurityEventList(view.events, None if view.before is None else str(view.before)))

    @router.put(
        "/stations/{station_id}/security-profile",
        responses=_BEGUN,
        response_class=Response,
        summary="Move a station to a security profile",
    )
    async def set_profile(request: Request, station_id: StationName, body: ProfileBody, key: Key = "") -> Response:
        named = who(request, station_id, body.reason, key)
        command = cmd.SetSecurityProfile(
            **named, profile=body.security_profile, by_hand=body.by_hand, interface=body.interface
        )  # fmt: skip
        return await carry_out(command)

    @router.post("/stations/{station_id}/key", responses=_BEGUN, response_class=Response, summary="Give a station a new password")
    async def rotate(request: Request, station_id: StationName, body: KeyBody, key: Key = "") -> Response:
        return await carry_out(cmd.RotateStationKey(**who(request, station_id, body.reason, key), by_hand=body.by_hand))

    @router.get(
        "/certificates", responses=answers("CertificatesView", 422), response_class=Response,
        summary="Certificates that the depot signed; its root; the port's",
    )  # fmt: skip
    async def certificates(station_id: AnyStation = "") -> Response:
        return reply(await shown(CertificatesView, station=station_id))

    @router.post(
        "/certificates", responses=_BEGUN, response_class=Response, summary="Have a station's certificate signed, the first or the next"
    )
    async def renew(request: Request, body: CertificateBody, key: Key = "") -> Response:
        return await carry_out(cmd.RenewCertificate(**who(request, body.station_id, body.reason, key), use=body.certificate_type))

    @router.get(
        "/certificates/installed",
        responses=answers("InstalledView", 404, 422),
        response_class=Response,
        summary="Ask whom a station trusts",
    )
    async def installed(station_id: OneStation, certificate_type: InstalledUses = ()) -> Response:
        return reply(await shown(InstalledView, station=station_id, use=",".join(dict.fromkeys(certificate_type))))

    @router.post("/certificates/installed", responses=_BEGUN, response_class=Response, summary="Let a station trust an authority")
    async def install(request: Request, body: InstalledBody, key: Key = "") -> Response:
        named = who(request, body.station_id, body.reason, key)
        return await carry_out(cmd.InstallCertificate(**named, use=body.certificate_type, certificate=body.certificate or ""))

    @router.delete("/certificates/installed", responses=_BEGUN, response_class=Response, summary="Let a station trust an authority no more")
    async def delete(
        request: Request,
        station_id: OneStation,
        serial_number: Hex,
        issuer_name_hash: Hex,
        issuer_key_hash: Hex,
        hash_algorithm: Annotated[Literal["SHA256", "SHA384", "SHA512"], Query()] = "SHA256",
        reason: Reason = BY_API,
        key: Key = "",
    ) -> Response:
        named = who(request, station_id, reason, key)
        hashes = {"issuer_name_hash": issuer_name_hash, "issuer_key_hash": issuer_key_hash, "algorithm": hash_algorithm}
        return await carry_out(cmd.DeleteCertificate(**named, serial=serial_number, **hashes))

    @router.delete("/certificates/{serial}", responses=_BEGUN, response_class=Response, summary="Revoke a certificate of a station")
    async def revoke(request: Request, serial: Serial, reason: Reason = BY_API, key: Key = "") -> Response:
        wanted = serial.lower().lstrip("0")
        found = next((c for c in (await shown(CertificatesView)).certificates if c.serial == wanted), None)
        if found is None:
            raise Problem("not_found", "GET /api/v1/certificates lists those that the depot signed.")
        return await carry_out(cmd.RevokeCertificate(**who(request, found.station_id, reason, key), serial=wanted))

    return router
