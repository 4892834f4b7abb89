"""What stations of OCPP 2.x say of reservations by themselves (block H).

station --ReservationStatusUpdate--> ReservationHearer.ended_by_station     stored, then answered
"""

from __future__ import annotations

from depot.reservations import ReservationHearer
from ocpp_server.desks import Action
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.station import Station


class ReservationMessages:
    """A station's word on reservations: a :class:`~ocpp_server.desks.Block`."""

    def __init__(self, station: Station, hearer: ReservationHearer) -> None:
        self._station = station
        self._hearer = hearer
        self.actions: dict[str, Action] = {"ReservationStatusUpdate": self._updated}

    async def _updated(self, req: Payload) -> Payload:
        await self._hearer.ended_by_station(self._station.station_id, req["reservationId"], req["reservationUpdateStatus"])
        return {}

    def answered(self, call: CallReceived, payload: Payload) -> None: ...
