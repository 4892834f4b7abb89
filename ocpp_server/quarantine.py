"""Stations that the registry does not know, in any version: their BootNotification is answered, nothing is stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from depot.ports import Clock
from ocpp_server.errors import ErrorCode, PayloadViolation
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.skew import wire_time
from ocpp_server.version import Version


class Quarantine:
    """The :class:`~ocpp_server.link.Handler` of a station that the registry does not know: it is told so, it may keep
    its link and the time, and nothing that it says is stored. Its transactions are refused, so it keeps them."""

    def __init__(self, station_id: str, *, version: Version, clock: Clock, interval_s: int, knocked: Callable[[], Awaitable[None]]) -> None:
        self.version = version
        self._station_id = station_id
        self._clock = clock
        self._interval_s = interval_s
        self._knocked = knocked

    def immediate(self, call: CallReceived) -> Payload | None:
        return {"currentTime": wire_time(self._clock.now())} if call.action == "Heartbeat" else None

    async def handle(self, call: CallReceived) -> Payload:
        if call.action == "BootNotification":
            await self._knocked()
            return {"status": "Rejected", "currentTime": wire_time(self._clock.now()), "interval": self._interval_s}
        raise PayloadViolation(ErrorCode.SECURITY_ERROR, f"{self._station_id} is not accepted by this depot: add it to the configuration")

    def holds(self, call: CallReceived) -> int | None:
        return None

    def answered(self, call: CallReceived, payload: Payload) -> None: ...

    def repeatable(self, call: CallReceived) -> bool:
        return False
