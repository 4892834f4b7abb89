"""DER control on the wire (OCPP 2.1 block R): what stations say of it, and the calls that set, clear and ask. Pure but for the desk.

NotifyDERAlarm, NotifyDERStartStop, ReportDERControl --> DerDesk
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from depot.der import CURVE, FIELDS, DerAlarm, DerControl, DerDesk, DerReport, DerSwitch
from ocpp_server.desks import Action
from ocpp_server.dialect import Call
from ocpp_server.heard import believed_time
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.station import Station

SET, CLEAR, GET = "SetDERControl", "ClearDERControl", "GetDERControl"
_REPORTED = {
    "curve": ("", "curve"),
    "enterService": ("EnterService", "enterService"),
    "fixedPFAbsorb": ("FixedPFAbsorb", "fixedPF"),
    "fixedPFInject": ("FixedPFInject", "fixedPF"),
    "fixedVar": ("FixedVar", "fixedVar"),
    "freqDroop": ("FreqDroop", "freqDroop"),
    "gradient": ("Gradients", "gradient"),
    "limitMaxDischarge": ("LimitMaxDischarge", "limitMaxDischarge"),
}
"""Lists of a ReportDERControl: the control's type ("": each entry says it), and where its settings stand."""


class DerMessages:
    """What a known station says about DER control: a :class:`~ocpp_server.desks.Block`."""

    def __init__(self, station: Station, desk: DerDesk) -> None:
        self._station = station
        self._desk = desk
        self.actions: dict[str, Action] = {
            "NotifyDERAlarm": self._alarm,
            "NotifyDERStartStop": self._switch,
            "ReportDERControl": self._report,
        }

    def answered(self, call: CallReceived, payload: Payload) -> None: ...

    async def _alarm(self, req: Payload) -> Payload:
        alarm = DerAlarm(
            kind=req["controlType"],
            fault=req.get("gridEventFault", ""),
            ended=req.get("alarmEnded", False),
            detail=req.get("extraInfo", ""),
            reported_at=believed_time(self._station, req["timestamp"]),
        )
        await self._desk.alarmed(self._station.station_id, alarm)
        return {}

    async def _switch(self, req: Payload) -> Payload:
        at = believed_time(self._station, req["timestamp"])
        switch = DerSwitch(req["controlId"], req["started"], tuple(req.get("supersededIds", ())), at)
        await self._desk.switched(self._station.station_id, switch)
        return {}

    async def _report(self, req: Payload) -> Payload:
        part = DerReport(req["requestId"], tuple(_controls(req)), last=not req.get("tbc", False))
        await self._desk.reported(self._station.station_id, part)
        return {}


def _controls(req: Payload) -> Iterator[DerControl]:
    for name, (kind, settings) in _REPORTED.items():
        for entry in req.get(name, ()):
            yield DerControl(
                entry["id"],
                kind or entry["curveType"],
                entry.get("isDefault", False),
                entry[settings],
                superseded=entry.get("isSuperseded", False),
            )


def field_of(kind: str) -> str:
    """Where SetDERControl has the settings of a control type."""
    return FIELDS.get(kind, CURVE)


def set_der_control(control_id: str, kind: str, settings: Mapping[str, Any], *, is_default: bool) -> Call:
    payload: Payload = {"isDefault": is_default, "controlId": control_id, "controlType": kind, field_of(kind): dict(settings)}
    return Call(SET, payload)


def clear_der_control(*, is_default: bool, kind: str = "", control_id: str = "") -> Call:
    return Call(CLEAR, {"isDefault": is_default} | _named(kind, control_id))


def get_der_control(request_id: int, *, is_default: bool | None = None, kind: str = "", control_id: str = "") -> Call:
    """GetDERControl; the answers come as ReportDERControl with this ``request_id``."""
    which: Payload = {} if is_default is None else {"isDefault": is_default}
    return Call(GET, {"requestId": request_id} | which | _named(kind, control_id))


def _named(kind: str, control_id: str) -> Payload:
    return ({"controlType": kind} if kind else {}) | ({"controlId": control_id} if control_id else {})


def read_control(payload: Mapping[str, Any]) -> DerControl:
    """The control of a checked SetDERControl."""
    kind = payload["controlType"]
    return DerControl(payload["controlId"], kind, payload["isDefault"], payload.get(field_of(kind), {}))
