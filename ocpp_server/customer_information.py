"""Customer information on the wire (OCPP 2.x N09, N10).

station --NotifyCustomerInformation--> CustomerDesk.told_of_customer, part by part
"""

from __future__ import annotations

from collections.abc import Mapping

from depot.customer_information import CustomerDesk
from ocpp_server.desks import Action
from ocpp_server.dialect import Call
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.station import Station

ASK = "CustomerInformation"


class CustomerMessages:
    """What a station tells of customers: a :class:`~ocpp_server.desks.Block`."""

    def __init__(self, station: Station, desk: CustomerDesk) -> None:
        self._station = station
        self._desk = desk
        self.actions: dict[str, Action] = {"NotifyCustomerInformation": self._notified}

    async def _notified(self, req: Payload) -> Payload:
        more = req.get("tbc", False)
        self._desk.told_of_customer(self._station.station_id, req["requestId"], req["data"], seq_no=req["seqNo"], more=more)
        return {}

    def answered(self, call: CallReceived, payload: Payload) -> None: ...


def ask(
    request_id: int,
    *,
    report: bool,
    clear: bool,
    id_token: str = "",
    token_type: str = "",
    certificate: Mapping[str, str] | None = None,
    identifier: str = "",
) -> Call:
    """CustomerInformation about a customer who is named by one of the three."""
    payload: Payload = {"requestId": request_id, "report": report, "clear": clear}
    payload |= {"idToken": {"idToken": id_token, "type": token_type}} if id_token else {}
    payload |= {"customerCertificate": dict(certificate)} if certificate is not None else {}
    return Call(ASK, payload | ({"customerIdentifier": identifier} if identifier else {}))
