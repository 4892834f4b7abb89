"""What a station that gives power says: OCPP 2.1, which has kept the messages of 2.0.1 and has words for a discharge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ocpp.v21 import call, call_result

from simulator.link import Link, StationSide
from simulator.link201 import Link201
from simulator.variables import Variables
from simulator.voice201 import Voice201
from simulator.wire import Wire


class Link21(Link201):
    """The station's side of a 2.1 connection, by the package's messages and schemas of 2.1."""

    _call = call
    _call_result = call_result
    _ocpp_version = "2.1"


class Voice21(Voice201):
    """OCPP 2.1; a transaction begins with the authorisation."""

    subprotocol = "ocpp2.1"

    def __init__(self) -> None:
        super().__init__(starts_at_plug=False)

    def link(self, station: StationSide, wire: Wire, *, message_id: Callable[[], str], answer_s: Callable[[], float] | None) -> Link:
        variables = Variables(station.configuration, starts_at_plug=self.starts_at_plug)
        return Link21(station, wire, message_id=message_id, answer_s=answer_s, variables=variables)

    def boot(self, station_id: str) -> Any:
        box = {"vendor_name": "Yardworks", "model": "YW-3B", "serial_number": f"SN-{station_id}"[:25], "firmware_version": "3.0.1"}
        return call.BootNotification(charging_station=box, reason="PowerUp")
