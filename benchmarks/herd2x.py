"""Stations of OCPP 2.0.1 and 2.1 for the :class:`~benchmarks.herd.Herd`: the same physics, one EVSE, TransactionEvent in the
place of MeterValues. The core acknowledges each only after it has kept it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from benchmarks.herd import Herd, HerdStation, stamp

VARIABLES = {
    "DeviceDataCtrlr.ItemsPerMessage.GetVariables": "50",
    "DeviceDataCtrlr.ItemsPerMessage.SetVariables": "50",
    "SmartChargingCtrlr.Available": "true",
    "SmartChargingCtrlr.Enabled": "true",
    "SmartChargingCtrlr.RateUnit": "W",
    "SmartChargingCtrlr.ProfileStackLevel": "10",
    "AuthCtrlr.Enabled": "true",
    "AuthCtrlr.LocalAuthorizeOffline": "false",
    "AuthCtrlr.LocalPreAuthorize": "false",
    "AuthCtrlr.OfflineTxForUnknownIdEnabled": "false",
    "AuthCtrlr.AuthorizeRemoteStart": "false",
    "TxCtrlr.StopTxOnInvalidId": "true",
    "TxCtrlr.TxStartPoint": "PowerPathClosed",
    "SampledDataCtrlr.TxUpdatedInterval": "60",
    "SampledDataCtrlr.TxUpdatedMeasurands": "Power.Active.Import,Energy.Active.Import.Register,SoC",
}


class HerdStation201(HerdStation):
    """See the module. ``acked``: the highest ``seqNo`` that was answered."""

    SUBPROTOCOL = "ocpp2.0.1"
    BOOT = '{"reason":"PowerUp","chargingStation":{"vendorName":"Plain","model":"Herd"}}'
    __slots__ = ("_seq", "acked", "acked_wh")

    def __init__(self, herd: Herd, station_id: str, key: str) -> None:
        super().__init__(herd, station_id, key)
        self._seq = 0
        self.acked = -1
        self.acked_wh = 0.0

    def begin(self, tag: str, begun: Callable[[], None]) -> None:
        self.transaction_id = f"{self.station_id}-{tag}-1"
        self._seq = 0
        token = f',"idToken":{{"idToken":"{tag}","type":"ISO14443"}},"evse":{{"id":1,"connectorId":1}}'

        def answered(_seconds: float, _body: bytes) -> None:
            self.status("Charging")
            begun()

        self._event("Started", "Authorized", answered, more=token)

    def meter_values(self, done: Callable[[float, bytes], None], *, since: float | None = None) -> None:
        """An Updated event with power, register and charge."""
        self.energy_wh += self.power_w / 3600
        if self.transaction_id is None:
            self.call("MeterValues", f'{{"evseId":1,"meterValue":{self._measured()}}}', done, since=since)
            return
        self._event("Updated", "MeterValuePeriodic", done, since=since)

    def status(self, word: str) -> None:
        plug = "Occupied" if word in ("Charging", "Preparing") else word
        self.call(
            "StatusNotification",
            f'{{"timestamp":"{stamp()}","evseId":1,"connectorId":1,"connectorStatus":"{plug}"}}',
            lambda _seconds, _body: None,
        )

    def _measured(self) -> str:
        return (
            f'[{{"timestamp":"{stamp()}","sampledValue":['
            f'{{"value":{self.power_w},"measurand":"Power.Active.Import","unitOfMeasure":{{"unit":"W"}}}},'
            f'{{"value":{self.energy_wh:.1f},"measurand":"Energy.Active.Import.Register","unitOfMeasure":{{"unit":"Wh"}}}},'
            '{"value":41,"measurand":"SoC","unitOfMeasure":{"unit":"Percent"},"location":"EV"}]}]'
        )

    def _event(self, kind: str, why: str, done: Callable[[float, bytes], None], *, more: str = "", since: float | None = None) -> None:
        number, self._seq, register_wh = self._seq, self._seq + 1, self.energy_wh

        def answered(seconds: float, body: bytes) -> None:
            if body[1:2] == b"3" and number > self.acked:
                self.acked, self.acked_wh = number, register_wh
            done(seconds, body)

        self.call(
            "TransactionEvent",
            f'{{"eventType":"{kind}","timestamp":"{stamp()}","triggerReason":"{why}","seqNo":{number},"transactionInfo":'
            f'{{"transactionId":"{self.transaction_id}","chargingState":"Charging"}},"meterValue":{self._measured()}{more}}}',
            answered,
            since=since,
        )

    def _asked(self, frame: list[Any]) -> None:
        self.asked += 1
        _, message_id, action, payload = frame
        answer: dict[str, Any] = {"status": "Accepted"}
        if action == "GetVariables":
            answer = {"getVariableResult": [_shown(asked) for asked in payload["getVariableData"]]}
        elif action == "SetVariables":
            asked = payload["setVariableData"]
            answer = {"setVariableResult": [{**_named(a), "attributeStatus": "Accepted"} for a in asked]}
        elif action == "SetChargingProfile":
            self._install(payload["chargingProfile"])
        elif action in ("RequestStartTransaction", "GetBaseReport", "GetReport"):
            answer = {"status": "Rejected"}
        elif action == "GetTransactionStatus":
            answer = {"ongoingIndicator": True, "messagesInQueue": False}
        self.send(json.dumps([3, message_id, answer]))
        if action == "TriggerMessage":
            wanted = payload["requestedMessage"]
            if wanted in ("MeterValues", "TransactionEvent"):
                self.meter_values(lambda _seconds, _body: None)
            elif wanted == "StatusNotification":
                self.status("Charging" if self.transaction_id is not None else "Available")
            elif wanted == "BootNotification":
                self.herd.boot(self)

    def _install(self, profile: dict[str, Any]) -> None:
        level_w = float(profile["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"])
        if profile["chargingProfilePurpose"] == "TxDefaultProfile":
            self.default_w, self.default_told = level_w, True
        else:
            self.level_w = level_w
            self.live_until = datetime.fromisoformat(profile["validTo"]).timestamp() if "validTo" in profile else math.inf


class HerdStation21(HerdStation201):
    """The same in OCPP 2.1."""

    SUBPROTOCOL = "ocpp2.1"
    __slots__ = ()


KINDS: dict[str, type[HerdStation]] = {"1.6": HerdStation, "2.0.1": HerdStation201, "2.1": HerdStation21}
"""The stations of each version."""


def _named(asked: dict[str, Any]) -> dict[str, Any]:
    return {"component": asked["component"], "variable": asked["variable"]}


def _shown(asked: dict[str, Any]) -> dict[str, Any]:
    parts = (asked["component"]["name"], asked["variable"]["name"], asked["variable"].get("instance"))
    value = VARIABLES.get(".".join(part for part in parts if part))
    said = {"attributeStatus": "UnknownVariable"} if value is None else {"attributeStatus": "Accepted", "attributeValue": value}
    return {**_named(asked), **said}
