"""OCPP 2.1: what 2.0.1 has (:mod:`ocpp_server.v201`), by the schemas of 2.1, and the messages that are new in it.

A station that comes back in the other version of 2.x keeps its transactions: they are known by the names that it gave them.
"""

from __future__ import annotations

from typing import Any

from ocpp_server import v201
from ocpp_server.battery_swaps import BatterySwapMessages
from ocpp_server.der import DerMessages
from ocpp_server.desks import Block, Desks
from ocpp_server.errors import ErrorCode, PayloadViolation
from ocpp_server.link import Later
from ocpp_server.schemas import UNANSWERED, Payload
from ocpp_server.session import CallReceived
from ocpp_server.station import Station
from ocpp_server.v21_messages import DynamicScheduleMessages, EventStreamMessages, PaymentTerminalMessages
from ocpp_server.version import Version

HEARD = v201.HEARD
KNOWN_ELSEWHERE = v201.KNOWN_ELSEWHERE
"""Actions of the norm that a station may send and this system does not offer."""


class Inbound21(v201.Inbound):
    """The :class:`~ocpp_server.link.Handler` of a known station's 2.1 connection."""

    version = Version.V21
    elsewhere = KNOWN_ELSEWHERE

    def __init__(self, station: Station, *, desks: Desks, **parts: Any) -> None:
        super().__init__(station, desks=desks, **parts)
        new: tuple[Block, ...] = (
            DerMessages(station, desks.der),
            BatterySwapMessages(station, desks.swaps),
            DynamicScheduleMessages(station, desks.notes),
            EventStreamMessages(station),
            PaymentTerminalMessages(station, desks.notes),
        )
        self._blocks += new
        for block in new:
            self._actions |= block.actions

    def immediate(self, call: CallReceived) -> Payload | Later | None:
        if call.sent is not (call.action in UNANSWERED):
            how = "is asked, not sent" if call.sent else "is sent (message type 6), not asked"
            raise PayloadViolation(ErrorCode.PROTOCOL_ERROR, f"{call.action[:50]} {how}")
        return super().immediate(call)
