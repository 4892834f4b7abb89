"""OCPP 2.0.1: the station's messages become the depot's words, and the depot's answers become responses.

A fact is answered only after the depot has it, as in 1.6 (:mod:`ocpp_server.v16`). What differs is the transaction:
the station names it, and one kind of message tells its whole life (:mod:`ocpp_server.transaction_events`). Nothing here
reads a clock or a socket.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from depot.events import StationBooted
from depot.files import Topic
from depot.ports import BootAnswer, ChargerEvents, Clock
from ocpp_server.authorization import AuthorizationMessages
from ocpp_server.availability201 import AvailabilityMessages
from ocpp_server.contract_messages import ContractMessages
from ocpp_server.customer_information import CustomerMessages
from ocpp_server.desks import Action, Block, Desks
from ocpp_server.device_model_messages import DeviceModelMessages
from ocpp_server.display_messages import DisplayMessages
from ocpp_server.errors import ErrorCode, PayloadViolation
from ocpp_server.heard import check_admitted, parsed, transfer_report
from ocpp_server.link import Later
from ocpp_server.reservation_messages import ReservationMessages
from ocpp_server.schemas import Payload
from ocpp_server.security_messages import SecurityMessages
from ocpp_server.session import CallReceived
from ocpp_server.skew import wire_time
from ocpp_server.smart_charging_messages import SmartChargingMessages
from ocpp_server.station import Station
from ocpp_server.transaction_events import EVENT, TransactionEvents
from ocpp_server.version import Version

ANSWERS: dict[str, Payload] = {
    "NotifyCustomerInformation": {},
    "NotifyDisplayMessages": {},
    "ClearedChargingLimit": {},
    "NotifyChargingLimit": {},
    "NotifyEVChargingNeeds": {"status": "Rejected"},
    "NotifyEVChargingSchedule": {"status": "Accepted"},
}
"""Messages without an effect here, and what they are answered."""
HEARD = (
    "BootNotification", "Heartbeat", "StatusNotification", "Authorize", "TransactionEvent", "MeterValues",
    "SetChargingProfileResponse", "GetVariablesResponse", "SetVariablesResponse", "TriggerMessageResponse",
    "RequestStartTransactionResponse", "RequestStopTransactionResponse",
)  # fmt: skip
"""Schemas of what is heard every day."""
KNOWN_ELSEWHERE: frozenset[str] = frozenset()
"""Actions of the norm that a station may send and this system does not offer."""


class Inbound:
    """The :class:`~ocpp_server.link.Handler` of a known station's 2.0.1 connection. Parameters as in 1.6."""

    version: Version = Version.V201
    elsewhere: frozenset[str] = KNOWN_ELSEWHERE

    def __init__(
        self,
        station: Station,
        *,
        events: ChargerEvents,
        clock: Clock,
        jitter: float,
        replay_age_s: float,
        boot_answered: Callable[[BootAnswer], None],
        desks: Desks,
    ) -> None:
        self._station = station
        self._events = events
        self._clock = clock
        self._jitter = jitter
        self._boot_answered = boot_answered
        self._desks = desks
        self._transactions = TransactionEvents(
            station, events=events, clock=clock, replay_age_s=replay_age_s, version=self.version, words=desks.words, costs=desks.costs
        )
        self._availability = AvailabilityMessages(station, events, clock)
        self._blocks: tuple[Block, ...] = (
            SecurityMessages(station, desks.security),
            DeviceModelMessages(station, desks.device_model, self._availability),
            SmartChargingMessages(station, desks.smart_charging, clock),
            DisplayMessages(station, desks.display),
            CustomerMessages(station, desks.customers),
            AuthorizationMessages(station, events, desks.contracts),
            ContractMessages(station, desks.contracts, clock=clock, version=self.version),
            ReservationMessages(station, desks.reservations),
        )
        self._actions: dict[str, Action] = {
            "BootNotification": self._boot,
            "StatusNotification": self._availability.status,
            "FirmwareStatusNotification": partial(self._transfer, Topic.FIRMWARE),
            "LogStatusNotification": partial(self._transfer, Topic.LOG),
            "PublishFirmwareStatusNotification": partial(self._transfer, Topic.PUBLICATION),
            "DataTransfer": self._data_transfer,
        }
        for block in self._blocks:
            self._actions |= block.actions

    def immediate(self, call: CallReceived) -> Payload | Later | None:
        check_admitted(self._station, call, self._events)
        self._station.held.check(call, owed=call.action == EVENT and self._transactions.is_known(call))
        if call.action == "MeterValues":
            self._transactions.meter_values(parsed(self._station, call, self.version))
            return {}
        if call.action == "Heartbeat":
            parsed(self._station, call, self.version)
            return {"currentTime": wire_time(self._clock.now())}
        if call.action == EVENT:
            return self._transactions.immediate(call)
        return None

    async def handle(self, call: CallReceived) -> Payload:
        if call.action == EVENT:
            return await self._transactions.handle(call)
        action = self._actions.get(call.action)
        if action is not None:
            return await action(parsed(self._station, call, self.version))
        if call.action in ANSWERS:
            parsed(self._station, call, self.version)
            return ANSWERS[call.action]
        if call.action in self.elsewhere:
            raise PayloadViolation(ErrorCode.NOT_SUPPORTED, f"{call.action} is not offered by this system")
        raise PayloadViolation(
            ErrorCode.NOT_IMPLEMENTED, f"{call.action[:50]} is not an action of OCPP {self.version} that a station sends"
        )

    def holds(self, call: CallReceived) -> int | None:
        return self._transactions.holds(call)

    def answered(self, call: CallReceived, payload: Payload) -> None:
        if call.action == "BootNotification":
            self._station.held.told(payload["status"])
            self._boot_answered(BootAnswer(payload["status"], payload["interval"]))
        for block in self._blocks:
            if call.action in block.actions:
                block.answered(call, payload)

    def repeatable(self, call: CallReceived) -> bool:
        return call.action not in ("Heartbeat", "BootNotification")

    # ------------------------------------------------------------------ one method per message

    async def _boot(self, req: Payload) -> Payload:
        box = req["chargingStation"]
        answer = await self._events.boot(
            StationBooted(
                self._station.station_id,
                vendor=box["vendorName"],
                model=box["model"],
                serial=box.get("serialNumber", ""),
                firmware=box.get("firmwareVersion", ""),
            )
        )
        interval_s = max(1, round(answer.interval_s * (1 - self._jitter)))
        return {"status": answer.status, "currentTime": wire_time(self._clock.now()), "interval": interval_s}

    async def _data_transfer(self, req: Payload) -> Payload:
        return await self._desks.transfers.answer(self._station.station_id, req)

    async def _transfer(self, topic: Topic, req: Payload) -> Payload:
        await self._events.transfer_reported(transfer_report(self._station, topic, req))
        return {}
