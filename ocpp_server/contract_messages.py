"""Messages of block M that stations send: the status of certificates, and contracts for vehicles. 2.1 has one more.

GetCertificateStatus       --> ContractDesk.status_of       the responder's signed answer, base64; Failed where there is none
GetCertificateChainStatus  --> the same for each            (2.1) in words; lists of revoked certificates (CRL) are not asked
Get15118EVCertificate      --> ContractDesk.ev_certificate  what the provider gave, or Failed and why
"""

from __future__ import annotations

import asyncio
import base64
from datetime import datetime
from typing import Final

from depot.contracts import ContractDesk, EvRequest, Revocation, StatusTarget
from depot.ports import Clock
from ocpp_server.authorization import target_in
from ocpp_server.desks import Action
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.skew import wire_time
from ocpp_server.station import Station
from ocpp_server.version import Version

_RESULT_MOST: Final = {Version.V201: 5_500, Version.V21: 18_000}
_EXI_MOST: Final = {Version.V201: 7_500, Version.V21: 17_000}
"""Characters of GetCertificateStatus.ocspResult and Get15118EVCertificate.exiResponse, by the schemas."""


class ContractMessages:
    """A :class:`~ocpp_server.desks.Block`. ``version``: of the connection."""

    def __init__(self, station: Station, desk: ContractDesk, *, clock: Clock, version: Version) -> None:
        self._station = station
        self._desk = desk
        self._clock = clock
        self._version = version
        self.actions: dict[str, Action] = {"GetCertificateStatus": self._status, "Get15118EVCertificate": self._ev_certificate}
        if version is Version.V21:
            self.actions["GetCertificateChainStatus"] = self._chain_status

    async def _status(self, req: Payload) -> Payload:
        answer = await self._desk.status_of(self._station.station_id, target_in(req["ocspRequestData"]))
        result = base64.b64encode(answer.der).decode()
        if not result:
            return _failed("NoAnswer", answer.why)
        if len(result) > _RESULT_MOST[self._version]:
            return _failed("TooLong", "the responder's answer does not fit into the message")
        return {"status": "Accepted", "ocspResult": result}

    async def _chain_status(self, req: Payload) -> Payload:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._one(entry)) for entry in req["certificateStatusRequests"]]
        return {"certificateStatus": [task.result() for task in asked]}

    async def _one(self, entry: Payload) -> Payload:
        named = entry["certificateHashData"]
        status, next_update = Revocation.FAILED, None
        if entry["source"] == "OCSP":
            hashes = named["hashAlgorithm"], named["issuerNameHash"], named["issuerKeyHash"], named["serialNumber"]
            answer = await self._desk.status_of(self._station.station_id, StatusTarget(*hashes, tuple(entry["urls"])))
            status, next_update = answer.status, answer.next_update
        return {
            "certificateHashData": named,
            "source": entry["source"],
            "status": status.value,
            "nextUpdate": wire_time(next_update or self._now()),
        }

    async def _ev_certificate(self, req: Payload) -> Payload:
        request = EvRequest(
            self._station.station_id,
            req["iso15118SchemaVersion"],
            req["action"] == "Update",
            req["exiRequest"],
            req.get("maximumContractCertificateChains"),
            tuple(req.get("prioritizedEMAIDs", ())),
        )
        answer = await self._desk.ev_certificate(request)
        if answer.exi and len(answer.exi) > _EXI_MOST[self._version]:
            return _failed("TooLong", "the contract data do not fit into the message") | {"exiResponse": ""}
        if not answer.exi:
            return _failed(answer.code or "NoAnswer", answer.why) | {"exiResponse": ""}
        more = {} if answer.remaining is None or self._version is not Version.V21 else {"remainingContracts": answer.remaining}
        return {"status": "Accepted", "exiResponse": answer.exi} | more

    def _now(self) -> datetime:
        return self._clock.now()

    def answered(self, call: CallReceived, payload: Payload) -> None:
        """Nothing follows."""


def _failed(code: str, why: str) -> Payload:
    return {"status": "Failed", "statusInfo": {"reasonCode": code[:20], "additionalInfo": why[:512] or "it could not be had"}}
