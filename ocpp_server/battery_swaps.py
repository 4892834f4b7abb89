"""Battery swaps on the wire (OCPP 2.1 block S): BatterySwap of stations, and the call that asks for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from depot.battery_swaps import Battery, SwapDesk, Swapped
from ocpp_server.desks import Action
from ocpp_server.dialect import Call
from ocpp_server.heard import believed_time
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.station import Station

REQUEST = "RequestBatterySwap"


class BatterySwapMessages:
    """What a known station says of its batteries: a :class:`~ocpp_server.desks.Block`."""

    def __init__(self, station: Station, desk: SwapDesk) -> None:
        self._station = station
        self._desk = desk
        self.actions: dict[str, Action] = {"BatterySwap": self._swapped}

    def answered(self, call: CallReceived, payload: Payload) -> None: ...

    async def _swapped(self, req: Payload) -> Payload:
        batteries = tuple(self._battery(row) for row in req["batteryData"])
        await self._desk.swapped(
            self._station.station_id, Swapped(req["eventType"], req["requestId"], req["idToken"]["idToken"], batteries)
        )
        return {}

    def _battery(self, row: Mapping[str, Any]) -> Battery:
        return Battery(
            evse_id=row["evseId"],
            serial=row["serialNumber"],
            soc=self._fraction(row["soC"]),
            soh=self._fraction(row["soH"]),
            made_at=believed_time(self._station, row.get("productionDate"), required=False),
            vendor_info=row.get("vendorInfo", ""),
        )

    def _fraction(self, percent: float) -> float | None:
        if 0 <= percent <= 100:
            return percent / 100
        self._station.violations["out_of_range"] += 1
        return None


def request_swap(request_id: int, id_token: str, kind: str) -> Call:
    """``kind``: the token's type, as OCPP names it."""
    return Call(REQUEST, {"requestId": request_id, "idToken": {"idToken": id_token, "type": kind}})
