"""OCPP 1.6: the station's messages become the depot's words, and the depot's answers become CONFs.

A fact is answered only after the depot has it (``ChargerEvents`` returns): the station keeps and repeats what was not
answered. A StopTransaction is always answered, however broken (reference no. 6): an unanswered one blocks a station's
queue for days. Nothing here reads a clock or a socket.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from depot.events import ConnectorStatus, StationBooted, StatusDetail
from depot.files import Topic
from depot.ports import BootAnswer, ChargerEvents, Clock, StartRequest, StopRequest
from depot.tokens import Authorization
from depot.values import ConnectorId
from ocpp_server.desks import Desks
from ocpp_server.errors import ErrorCode, PayloadViolation
from ocpp_server.heard import believed_time, check_admitted, declared, parsed, readings, transfer_report
from ocpp_server.meter_values import read_samples
from ocpp_server.schemas import Payload
from ocpp_server.security_messages import SecurityMessages
from ocpp_server.session import CallReceived
from ocpp_server.skew import wire_time
from ocpp_server.station import Station
from ocpp_server.stop_data import StopData, read_stop_data
from ocpp_server.version import Version

INT_MAX = 2**31 - 1

HEARD = (
    "BootNotification", "Heartbeat", "StatusNotification", "Authorize", "StartTransaction", "MeterValues", "StopTransaction",
    "SetChargingProfileResponse", "ChangeConfigurationResponse", "GetConfigurationResponse", "TriggerMessageResponse",
    "RemoteStartTransactionResponse", "RemoteStopTransactionResponse",
)  # fmt: skip
"""Schemas of what is heard every day."""


class Inbound:
    """The :class:`~ocpp_server.link.Handler` of a known station's connection.

    ``jitter``: share by which this station's heartbeats come sooner. ``boot_answered``: called when the answer to a
    BootNotification is on the wire. ``desks``: who hears the rest.
    """

    version = Version.V16

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
        self._replay_age_s = replay_age_s
        self._boot_answered = boot_answered
        self._desks = desks
        self._security = SecurityMessages(station, desks.security)
        self._actions: dict[str, Callable[[Payload], Awaitable[Payload]]] = {
            "BootNotification": self._boot,
            "StatusNotification": self._status,
            "Authorize": self._authorize,
            "StartTransaction": self._start,
            "DataTransfer": self._data_transfer,
            "FirmwareStatusNotification": partial(self._transfer, Topic.FIRMWARE),
            "SignedFirmwareStatusNotification": partial(self._transfer, Topic.FIRMWARE),
            "DiagnosticsStatusNotification": partial(self._transfer, Topic.DIAGNOSTICS),
            "LogStatusNotification": partial(self._transfer, Topic.LOG),
            **self._security.actions,
        }

    def immediate(self, call: CallReceived) -> Payload | None:
        check_admitted(self._station, call, self._events)
        if call.action == "MeterValues":
            self._meter_values(self._parsed(call))
            return {}
        if call.action == "Heartbeat":
            self._parsed(call)
            return {"currentTime": wire_time(self._clock.now())}
        return None

    async def handle(self, call: CallReceived) -> Payload:
        if call.action == "StopTransaction":
            return await self._stop(call)
        action = self._actions.get(call.action)
        if action is not None:
            return await action(self._parsed(call))
        raise PayloadViolation(ErrorCode.NOT_IMPLEMENTED, f"{call.action[:50]} is not an action of OCPP 1.6 that a station sends")

    def holds(self, call: CallReceived) -> int | None:
        connector = call.payload.get("connectorId")
        return connector if call.action == "StartTransaction" and type(connector) is int else None

    def answered(self, call: CallReceived, payload: Payload) -> None:
        if call.action == "BootNotification":
            self._boot_answered(BootAnswer(payload["status"], payload["interval"]))
        self._security.answered(call, payload)

    def repeatable(self, call: CallReceived) -> bool:
        return call.action not in ("Heartbeat", "BootNotification")

    def _parsed(self, call: CallReceived) -> Payload:
        return parsed(self._station, call, self.version)

    # ------------------------------------------------------------------ one method per message

    async def _boot(self, req: Payload) -> Payload:
        answer = await self._events.boot(
            StationBooted(
                self._station.station_id,
                vendor=req["chargePointVendor"],
                model=req["chargePointModel"],
                serial=req.get("chargePointSerialNumber") or req.get("chargeBoxSerialNumber", ""),
                firmware=req.get("firmwareVersion", ""),
            )
        )
        interval_s = max(1, round(answer.interval_s * (1 - self._jitter)))
        return {"status": answer.status, "currentTime": wire_time(self._clock.now()), "interval": interval_s}

    async def _status(self, req: Payload) -> Payload:
        reported_at = self._time(req.get("timestamp"), required=False)
        if reported_at is not None:
            self._station.clock.observe(reported_at, self._clock.now())
        status, error_code = ConnectorStatus(req["status"]), req["errorCode"]
        detail = StatusDetail(req.get("info", ""), req.get("vendorId", ""), req.get("vendorErrorCode", ""))
        if req["connectorId"] == 0:
            await self._events.station_status(self._station.station_id, status, error_code, detail)
        else:
            await self._events.status(self._connector(req["connectorId"]), status, error_code, reported_at, detail)
        return {}

    async def _authorize(self, req: Payload) -> Payload:
        return {"idTagInfo": _tag_info(await self._events.authorize(self._station.station_id, req["idTag"]))}

    async def _start(self, req: Payload) -> Payload:
        connector = self._connector(req["connectorId"])
        guard = self._station.guards[connector.connector]
        meter = self._integer(req["meterStart"], "meterStart")
        natural_key = "|".join((str(connector), req["idTag"], req["timestamp"], str(meter)))
        began = self._time(req["timestamp"])
        answer = await self._events.start(
            StartRequest(connector, req["idTag"], guard.started(meter), began, self._clock.now(), natural_key, req.get("reservationId"))
        )
        self._station.connector_of[answer.transaction_id] = connector.connector
        if answer.running:
            self._station.began(connector.connector, str(answer.transaction_id), began, self._clock.now())
        return {"transactionId": answer.transaction_id, "idTagInfo": _tag_info(answer.authorization)}

    async def _stop(self, call: CallReceived) -> Payload:
        req = self._stop_payload(call)
        transaction_id: int = req["transactionId"]
        connector = self._station.connector_of.get(transaction_id)
        data = read_stop_data(req.get("transactionData", ()), self._station.violations)
        meter_wh = self._meter_stop(req["meterStop"], data, connector)
        await self._events.stop(
            StopRequest(
                self._station.station_id,
                transaction_id,
                meter_wh,
                req.get("reason", "Local"),
                self._time(req.get("timestamp")),
                self._clock.now(),
                data.signed,
            )
        )
        if connector is not None:
            self._station.levels.pop(connector, None)  # the live profile ended with its transaction
        self._station.installed.ended(str(transaction_id))
        if "idTag" not in req:
            return {}
        return {"idTagInfo": _tag_info(await self._events.authorize(self._station.station_id, req["idTag"]))}

    def _meter_stop(self, said: int | None, data: StopData, connector: int | None) -> int:
        """The register at the end, Wh. Where the station says none, or 0: the last one in its transactionData, or that it
        sent before."""
        guard = None if connector is None else self._station.guards[connector]
        raw = said or data.register_wh
        if raw:
            return raw if guard is None else guard.stopped(raw)
        return round(guard.last_wh or 0) if guard is not None else 0

    async def _data_transfer(self, req: Payload) -> Payload:
        return await self._desks.transfers.answer(self._station.station_id, req)

    async def _transfer(self, topic: Topic, req: Payload) -> Payload:
        await self._events.transfer_reported(transfer_report(self._station, topic, req))
        return {}

    def _meter_values(self, req: Payload) -> None:
        if req["connectorId"] == 0:
            return  # the station's own meter: no connector's reading
        connector = self._connector(req["connectorId"])
        now = self._clock.now()
        samples = read_samples(req["meterValue"], self._station.violations)
        number = req.get("transactionId") or None  # 0: none runs, or one that the station has no number for
        for reading in readings(self._station, connector, samples, transaction_id=number, now=now, replay_age_s=self._replay_age_s):
            self._events.reading(reading)

    # ------------------------------------------------------------------ parts of messages

    def _connector(self, number: int) -> ConnectorId:
        return declared(self._station, number)

    def _time(self, text: object, *, required: bool = True) -> datetime | None:
        return believed_time(self._station, text, required=required)

    def _integer(self, value: int, name: str) -> int:
        if abs(value) > 2**53:
            raise PayloadViolation(ErrorCode.PROPERTY_CONSTRAINT_VIOLATION, f"{name} is beyond every meter")
        return value

    def _stop_payload(self, call: CallReceived) -> Payload:
        """A stop that can be used; whatever is broken in it takes the value that claims least. ``meterStop`` None: it was
        not said, or is no register."""
        payload = call.payload
        unsaid = payload.get("meterStop") is None
        if unsaid:
            self._station.violations["meter_stop_missing"] += 1
            payload = {**payload, "meterStop": 0}  # so that the rest of it can be read
        try:
            req = parsed(self._station, replace(call, payload=payload), self.version)
        except PayloadViolation:
            self._station.violations["salvaged_stop"] += 1
            req = {key: payload[key] for key in ("transactionId", "meterStop", "timestamp", "reason") if key in payload}
            if not isinstance(req.get("reason", "Other"), str):
                del req["reason"]
        transaction_id = req.get("transactionId")
        if type(transaction_id) is not int or not -1 <= transaction_id <= INT_MAX:
            transaction_id = -1
        meter = req.get("meterStop")
        if unsaid or type(meter) is not int or abs(meter) > 2**53:
            meter = None
        return {**req, "transactionId": transaction_id, "meterStop": meter}


_STATUSES = frozenset({"Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"})


def _tag_info(answer: Authorization) -> Payload:
    """OCPP 1.6 §7.27 IdTagInfo. Words of 2.x are Invalid there; a master pass begins nothing, and 1.6 has no more for it."""
    info: Payload = {"status": "Blocked" if answer.master else answer.status if answer.status in _STATUSES else "Invalid"}
    if answer.expires_at is not None:
        info["expiryDate"] = wire_time(answer.expires_at)
    if answer.group:
        info["parentIdTag"] = answer.group[:20]
    return info
