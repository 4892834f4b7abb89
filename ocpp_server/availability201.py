"""Who says that a connector, an EVSE or a station of OCPP 2.x is free, occupied, out of service or faulted (block G).

    StatusNotification -------------------------+--> Book (the newest word of each connector) --> the depot's connector
    NotifyEvent Connector.AvailabilityState ----+
    NotifyEvent EVSE.AvailabilityState ---------+    (counts where none of its connectors has said anything)
    NotifyEvent ChargingStation.AvailabilityState --> the depot's station

A station may send either message, or both for the same change. NotifyEvents of a station that was offline come late: a word
that is older than the newest one changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from depot.events import NO_DETAIL, ConnectorStatus
from depot.ports import ChargerEvents, Clock
from ocpp_server.heard import believed_time, declared
from ocpp_server.schemas import Payload
from ocpp_server.station import Station
from ocpp_server.transactions201 import WHOLE_EVSE

STATE = "AvailabilityState"
_STATUSES = frozenset({"Available", "Occupied", "Reserved", "Unavailable", "Faulted"})
_OF_STATION = frozenset({"Available", "Unavailable", "Faulted"})


class AvailabilityMessages:
    """Of one known station."""

    def __init__(self, station: Station, events: ChargerEvents, clock: Clock) -> None:
        self._station = station
        self._events = events
        self._clock = clock

    async def status(self, req: Payload) -> Payload:
        """A StatusNotification. Of EVSE 0 it says nothing: connectors report themselves."""
        reported_at = believed_time(self._station, req["timestamp"])
        if reported_at is not None:
            self._station.clock.observe(reported_at, self._clock.now())
        if req["evseId"] != 0:
            await self._said(req["evseId"], req["connectorId"], req["connectorStatus"], req["timestamp"])
        return {}

    async def happened(self, rows: Sequence[Payload]) -> None:
        """The events of a NotifyEvent; those that say no availability are passed over."""
        for row in rows:
            component, value = row["component"], row["actualValue"]
            if row["variable"]["name"] != STATE or value not in _STATUSES:
                continue
            evse = component.get("evse", {})
            if component["name"] == "ChargingStation" and value in _OF_STATION:
                status = ConnectorStatus(value)
                await self._events.station_status(self._station.station_id, status, _error(status), NO_DETAIL)
            elif component["name"] in ("Connector", "EVSE") and evse.get("id") in self._station.connectors:
                connector = evse.get("connectorId", 1) if component["name"] == "Connector" else WHOLE_EVSE
                await self._said(evse["id"], connector, value, row["timestamp"])

    async def _said(self, evse: int, connector: int, status: str, timestamp: str) -> None:
        key = declared(self._station, evse)
        at = believed_time(self._station, timestamp)
        book = self._station.book
        if not book.connector_says(evse, connector, status, at):
            self._station.violations["late_status"] += 1
            return
        shown = book.status(evse) or ConnectorStatus.UNKNOWN
        await self._events.status(key, shown, _error(shown), at)
        book.told[evse] = shown


def _error(status: ConnectorStatus) -> str:
    """What it is comes by events of other variables."""
    return "OtherError" if status is ConnectorStatus.FAULTED else "NoError"
