"""What OCPP 2.1 adds, put together: its rooms, which hear stations as desks, and call them once they are there."""

from __future__ import annotations

from dataclasses import dataclass

from controller.battery_swaps import BatterySwaps
from controller.core import Core
from controller.der import DerControls
from controller.event_streams import EventStreams
from controller.notes import Notes
from controller.raw_calls import RawCalls
from controller.station_tariffs import StationTariffRoom
from ocpp_server import Central


@dataclass(frozen=True, slots=True)
class Rooms21:
    """Those that hear stations."""

    der: DerControls
    swaps: BatterySwaps
    notes: Notes

    @classmethod
    def of(cls, core: Core) -> Rooms21:
        """Before stations are there."""
        rooms = cls(DerControls(core.yard), BatterySwaps(core.yard), Notes(core.yard))
        for room in (rooms.der, rooms.swaps, rooms.notes):
            core.add(room)
        return rooms

    def attach(self, core: Core, central: Central, raw: RawCalls) -> None:
        """Stations can be called now."""
        self.der.attach(raw)
        self.swaps.attach(raw)
        core.add(StationTariffRoom(core.yard, raw, running=central.running))
        core.add(EventStreams(core.yard, raw, central.streams))
