"""A station of 2.0.1 or 2.1 on the ``ocpp`` package's client side.

What a case says and sees is the wire's own spelling (``evseId``), in both directions; the package checks it against the norm's
schemas on the way.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable
from typing import Any

from ocpp import v21, v201
from ocpp.charge_point import camel_to_snake_case
from ocpp.routing import on
from octt.station import ACCEPTED, Ears, Payload, now
from websockets.asyncio.client import ClientConnection

VARIABLES = {
    "DeviceDataCtrlr.ItemsPerMessage.GetVariables": "6",
    "DeviceDataCtrlr.ItemsPerMessage.SetVariables": "2",
    "DeviceDataCtrlr.ItemsPerMessage.GetReport": "4",
    "SmartChargingCtrlr.Available": "true",
    "SmartChargingCtrlr.Enabled": "true",
    "SmartChargingCtrlr.RateUnit": "A,W",
    "SmartChargingCtrlr.ProfileStackLevel": "8",
    "AuthCtrlr.LocalAuthorizeOffline": "false",
    "AuthCtrlr.LocalPreAuthorize": "false",
    "AuthCtrlr.AuthorizeRemoteStart": "true",
    "TxCtrlr.StopTxOnInvalidId": "true",
    "TxCtrlr.TxStartPoint": "EVConnected",
    "TxCtrlr.TxStopPoint": "EVConnected",
    "LocalAuthListCtrlr.ItemsPerMessage": "3",
    "SampledDataCtrlr.TxUpdatedInterval": "60",
    "SampledDataCtrlr.TxUpdatedMeasurands": "Energy.Active.Import.Register",
}
"""A device model, as ``Component.Variable`` or ``Component.Variable.Instance``: what most cases need."""


class Ears2(Ears):
    """A station, whichever of the two versions it speaks. ``variables``: its device model."""

    words: Any
    """The package's module of the version."""
    call: Callable[..., Any]
    _connection: ClientConnection

    def __init__(self, station_id: str, connection: ClientConnection) -> None:
        Ears.__init__(self)
        self.id = station_id
        self.variables = dict(VARIABLES)
        self.connection = connection
        self._wire: dict[str, Payload] = {}

    def hearing(self, raw: str) -> None:
        """Keep a frame as it came, before the package respells it."""
        match json.loads(raw):
            case [2, str(message_id), _, dict(payload)] | [3, str(message_id), dict(payload)]:
                self._wire[message_id] = payload

    def answer(self, action: str, message_id: str) -> Any:
        """What is said to a call; it is remembered."""
        said = self.hear(action, self._wire.pop(message_id), lambda asked: _default(self, action, asked))
        return getattr(self.words.call_result, action)(**camel_to_snake_case(said))

    async def say(self, action: str, /, **payload: Any) -> Payload:
        """Call the central system. Raises an ``ocpp.exceptions.OCPPError`` where it answers with an error."""
        message_id = str(uuid.uuid4())
        spelled = camel_to_snake_case(payload)
        if self.words is v21:  # where the package sets the number apart
            spelled = {key.replace("iso15118", "iso_15118"): value for key, value in spelled.items()}
        request = getattr(self.words.call, action)(**spelled)
        await self.call(request, suppress=False, unique_id=message_id)
        return self._wire.pop(message_id)

    # -- what stations do all day -------------------------------------------------------------------------------

    async def boot(self, reason: str = "PowerUp", **station: Any) -> Payload:
        self.heard.clear()
        return await self.say("BootNotification", reason=reason, chargingStation={"model": "Two", "vendorName": "Acme", **station})

    async def status(self, status: str, evse: int = 1, connector: int = 1) -> Payload:
        return await self.say("StatusNotification", timestamp=now(), connectorStatus=status, evseId=evse, connectorId=connector)

    async def notify(
        self, component: str, variable: str, value: str, evse: int | None = 1, connector: int | None = 1, **more: Any
    ) -> Payload:
        """One event of the device model, of a connector, an EVSE or the station."""
        place: Payload = {} if evse is None else {"evse": {"id": evse} | ({} if connector is None else {"connectorId": connector})}
        event = {
            "eventId": 1, "timestamp": now(), "trigger": "Delta", "actualValue": value, "eventNotificationType": "HardWiredNotification",
            "component": {"name": component, **place}, "variable": {"name": variable},
        }  # fmt: skip
        return await self.say("NotifyEvent", generatedAt=now(), seqNo=0, eventData=[event | more])

    async def authorize(self, token: str = "VALID", **more: Any) -> Payload:
        """The ``idTokenInfo`` of an Authorize."""
        said: Payload = (await self.say("Authorize", idToken=id_token(token), **more))["idTokenInfo"]
        return said

    def transaction(self, evse: int | None = 1, *, name: str = "") -> Transaction:
        """A transaction that has not begun yet."""
        return Transaction(self, evse, name or str(uuid.uuid4()))

    async def session(self, token: str = "VALID", evse: int = 1) -> Transaction:
        """A running session: plugged in, authorised, charging."""
        running = self.transaction(evse)
        await self.status("Occupied", evse)
        await running.started("CablePluggedIn", chargingState="EVConnected", wh=1000)
        said = await running.updated("Authorized", token=token, chargingState="EVConnected")
        assert said["idTokenInfo"]["status"] == "Accepted", said
        await running.updated("ChargingStateChanged", chargingState="Charging")
        return running


class Transaction:
    """A transaction at a station, which counts its events itself. ``evse`` None: not known yet."""

    def __init__(self, station: Ears2, evse: int | None, name: str) -> None:
        self.station = station
        self.evse = evse
        self.name = name
        self.seq = itertools.count()

    async def started(self, why: str, **more: Any) -> Payload:
        return await self.event("Started", why, **more)

    async def updated(self, why: str, **more: Any) -> Payload:
        return await self.event("Updated", why, **more)

    async def ended(self, why: str, *, stoppedReason: str = "Local", **more: Any) -> Payload:
        return await self.event("Ended", why, stoppedReason=stoppedReason, **more)

    async def event(self, kind: str, why: str, *, token: str = "", wh: float | None = None, **more: Any) -> Payload:
        """One TransactionEvent. What is of TransactionType goes there: chargingState, stoppedReason, remoteStartId, …"""
        info = {key: more.pop(key) for key in _OF_INFO if key in more}
        if token:
            more.setdefault("idToken", id_token(token))
        if wh is not None:
            more.setdefault("meterValue", [register(wh, _CONTEXT[kind])])
        if self.evse is not None:
            more.setdefault("evse", {"id": self.evse, "connectorId": 1})
        more.setdefault("timestamp", now())
        more.setdefault("seqNo", next(self.seq))
        return await self.station.say(
            "TransactionEvent", eventType=kind, triggerReason=why, transactionInfo={"transactionId": self.name, **info}, **more
        )


_CONTEXT = {"Started": "Transaction.Begin", "Updated": "Sample.Periodic", "Ended": "Transaction.End"}
_OF_INFO = ("chargingState", "stoppedReason", "remoteStartId", "timeSpentCharging", "operationMode", "tariffId", "transactionLimit")


def id_token(token: str, kind: str = "Central") -> Payload:
    return {"idToken": token, "type": kind}


def register(wh: float, context: str = "Sample.Periodic", *, at: str = "") -> Payload:
    """A meter value with the energy register, Wh."""
    value = {"value": wh, "context": context, "measurand": "Energy.Active.Import.Register", "unitOfMeasure": {"unit": "Wh"}}
    return {"timestamp": at or now(), "sampledValue": [value]}


def name_of(asked: Payload) -> str:
    """A variable as ``VARIABLES`` names it."""
    parts = (asked["component"]["name"], asked["variable"]["name"], asked["variable"].get("instance"))
    return ".".join(part for part in parts if part)


# -- what a station says where a case does not care ------------------------------------------------------------------


def _shown(station: Ears2, asked: Payload) -> Payload:
    value = station.variables.get(name_of(asked))
    said = {"attributeStatus": "UnknownVariable"} if value is None else {"attributeStatus": "Accepted", "attributeValue": value}
    return {"component": asked["component"], "variable": asked["variable"], **said}


def _get(station: Ears2, payload: Payload) -> Payload:
    return {"getVariableResult": [_shown(station, asked) for asked in payload["getVariableData"]]}


def _set(station: Ears2, payload: Payload) -> Payload:
    asked = payload["setVariableData"]
    station.variables |= {name_of(one): one["attributeValue"] for one in asked}
    return {"setVariableResult": [{"component": a["component"], "variable": a["variable"], "attributeStatus": "Accepted"} for a in asked]}


def _monitors(_: Ears2, payload: Payload) -> Payload:
    return {
        "setMonitoringResult": [
            {"id": number, "status": "Accepted", **{key: asked[key] for key in ("type", "severity", "component", "variable")}}
            for number, asked in enumerate(payload["setMonitoringData"], 1)
        ]
    }


def _no_monitors(_: Ears2, payload: Payload) -> Payload:
    return {"clearMonitoringResult": [{"id": number, "status": "Accepted"} for number in payload["id"]]}


def _schedule(_: Ears2, payload: Payload) -> Payload:
    unit = payload.get("chargingRateUnit", "A")
    plan = {
        "evseId": payload["evseId"], "duration": payload["duration"], "scheduleStart": now(), "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}],
    }  # fmt: skip
    return {"status": "Accepted", "schedule": plan}


DEFAULTS: dict[str, Payload | Callable[[Ears2, Payload], Payload]] = {
    "ClearVariableMonitoring": _no_monitors,
    "CostUpdated": {},
    "GetChargingProfiles": {"status": "NoProfiles"},
    "GetCompositeSchedule": _schedule,
    "GetInstalledCertificateIds": {"status": "NotFound"},
    "GetLocalListVersion": {"versionNumber": 0},
    "GetLog": {"status": "Accepted", "filename": "station.log"},
    "GetTransactionStatus": {"messagesInQueue": False},
    "GetVariables": _get,
    "SetVariableMonitoring": _monitors,
    "SetVariables": _set,
    "TriggerMessage": {"status": "Rejected"},
    "UnlockConnector": {"status": "Unlocked"},
    "UnpublishFirmware": {"status": "Unpublished"},
}
"""Where it is not just Accepted."""


def _default(station: Ears2, action: str, payload: Payload) -> Payload:
    known = DEFAULTS.get(action, ACCEPTED)
    return known(station, payload) if callable(known) else known


_CALLS = (
    "CancelReservation", "CertificateSigned", "ChangeAvailability", "ClearCache", "ClearChargingProfile", "ClearDisplayMessage",
    "ClearVariableMonitoring", "CostUpdated", "CustomerInformation", "DataTransfer", "DeleteCertificate", "GetBaseReport",
    "GetChargingProfiles", "GetCompositeSchedule", "GetDisplayMessages", "GetInstalledCertificateIds", "GetLocalListVersion", "GetLog",
    "GetMonitoringReport", "GetReport", "GetTransactionStatus", "GetVariables", "InstallCertificate", "PublishFirmware",
    "RequestStartTransaction", "RequestStopTransaction", "ReserveNow", "Reset", "SendLocalList", "SetChargingProfile",
    "SetDisplayMessage", "SetMonitoringBase", "SetMonitoringLevel", "SetNetworkProfile", "SetVariableMonitoring", "SetVariables",
    "TriggerMessage", "UnlockConnector", "UnpublishFirmware", "UpdateFirmware",
)  # fmt: skip
_CALLS_21 = (
    "AdjustPeriodicEventStream", "AFRRSignal", "ChangeTransactionTariff", "ClearDERControl", "ClearTariffs", "GetCertificateChainStatus",
    "GetDERControl", "GetPeriodicEventStream", "GetTariffs", "NotifyAllowedEnergyTransfer", "NotifyWebPaymentStarted",
    "RequestBatterySwap", "SetDefaultTariff", "SetDERControl", "UpdateDynamicSchedule", "UsePriorityCharging",
)  # fmt: skip


def _listening(words: Any, calls: tuple[str, ...]) -> type[Ears2]:
    """The package's client of a version, with our ears."""

    class Station(Ears2, words.ChargePoint):  # type: ignore[misc,name-defined]  # the package is untyped
        def __init__(self, station_id: str, connection: ClientConnection) -> None:
            Ears2.__init__(self, station_id, connection)
            words.ChargePoint.__init__(self, station_id, connection, response_timeout=20)

        async def route_message(self, raw_msg: str) -> None:
            self.hearing(raw_msg)
            await super().route_message(raw_msg)

    def listen(action: str) -> None:
        def handle(self: Ears2, call_unique_id: str, **_: Any) -> Any:
            return self.answer(action, call_unique_id)

        handle.__name__ = f"on_{action}"
        setattr(Station, handle.__name__, on(action)(handle))

    for name in calls:
        listen(name)
    Station.words = words
    return Station


Station201: type[Ears2] = _listening(v201, _CALLS)
Station21: type[Ears2] = _listening(v21, _CALLS + _CALLS_21)
Station = Ears2
"""What a case is given."""
