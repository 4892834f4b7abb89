r"""Authorize of OCPP 2.x (block C): who shows a token, and whether a contract certificate that came with it counts.

station --Authorize--> the depot's list, registry, till          idTokenInfo
                  \--> ContractDesk, where a certificate came    certificateStatus (C07); refused: the token is Invalid
"""

from __future__ import annotations

from depot.contracts import CertificateStatus, ContractDesk, StatusTarget
from depot.ports import ChargerEvents
from depot.tokens import INVALID
from ocpp_server.desks import Action
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.station import Station
from ocpp_server.tokens201 import presented, token_info

_CANCELLED = frozenset({"Blocked", "Expired"})


class AuthorizationMessages:
    """A :class:`~ocpp_server.desks.Block`."""

    def __init__(self, station: Station, events: ChargerEvents, desk: ContractDesk) -> None:
        self._station = station
        self._events = events
        self._desk = desk
        self.actions: dict[str, Action] = {"Authorize": self._authorize}

    async def _authorize(self, req: Payload) -> Payload:
        station_id, shown = self._station.station_id, presented(req["idToken"])
        targets = [target_in(entry) for entry in req.get("iso15118CertificateHashData", ())]
        chain = req.get("certificate", "")
        status: CertificateStatus | None = None
        if chain or targets:
            status = await self._desk.contract(station_id, shown.token, chain, targets)
            if status is not CertificateStatus.ACCEPTED:
                return token_info(INVALID) | {"certificateStatus": status.value}
        answer = await self._events.authorize(station_id, shown.token, shown)
        if status is None:
            return token_info(answer)
        told = CertificateStatus.CANCELLED if answer.status in _CANCELLED else status
        return token_info(answer) | {"certificateStatus": told.value}

    def answered(self, call: CallReceived, payload: Payload) -> None:
        """Nothing follows."""


def target_in(entry: Payload) -> StatusTarget:
    """OCSPRequestDataType."""
    return StatusTarget(
        entry["hashAlgorithm"], entry["issuerNameHash"], entry["issuerKeyHash"], entry["serialNumber"], (entry["responderURL"],)
    )
