"""What stations say of their device models by themselves or in parts: a :class:`~ocpp_server.desks.Block` of OCPP 2.x.

    NotifyReport, NotifyMonitoringReport --ReportPart--> DeviceModelDesk.reported     joined by requestId, seqNo, tbc
    NotifyEvent --ReportedEvent …--> DeviceModelDesk.happened, and what they say of availability where StatusNotification goes

Calls to stations that ask for these are built here and sent by whoever orders them.
"""

from __future__ import annotations

from collections.abc import Sequence

from depot.device_model import (
    ACTUAL,
    Attribute,
    BaseReport,
    Characteristics,
    DeviceModelDesk,
    Monitor,
    MonitoringBase,
    ReportedEvent,
    ReportedVariable,
    ReportPart,
    Variable,
)
from ocpp_server.availability201 import AvailabilityMessages
from ocpp_server.desks import Action
from ocpp_server.device_model import on_wire, variable_of
from ocpp_server.dialect import Call
from ocpp_server.heard import believed_time
from ocpp_server.redaction import is_secret
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.station import Station


class DeviceModelMessages:
    """Of one known station."""

    def __init__(self, station: Station, desk: DeviceModelDesk, availability: AvailabilityMessages) -> None:
        self._station = station
        self._desk = desk
        self._availability = availability
        self.actions: dict[str, Action] = {
            "NotifyReport": self._report,
            "NotifyMonitoringReport": self._monitoring_report,
            "NotifyEvent": self._events,
        }

    async def _report(self, req: Payload) -> Payload:
        variables = tuple(_reported(row) for row in req.get("reportData", ()))
        await self._desk.reported(self._station.station_id, _part(req, variables=variables))
        return {}

    async def _monitoring_report(self, req: Payload) -> Payload:
        monitors = tuple(_monitor(row, one) for row in req.get("monitor", ()) for one in row["variableMonitoring"])
        await self._desk.reported(self._station.station_id, _part(req, monitors=monitors))
        return {}

    async def _events(self, req: Payload) -> Payload:
        await self._availability.happened(req["eventData"])
        await self._desk.happened(self._station.station_id, [self._event(row) for row in req["eventData"]])
        return {}

    def _event(self, row: Payload) -> ReportedEvent:
        variable = variable_of(row)
        return ReportedEvent(
            event_id=row["eventId"],
            variable=variable,
            at=believed_time(self._station, row["timestamp"]),
            trigger=row["trigger"],
            value="" if is_secret(variable.name) else row["actualValue"],
            origin=row["eventNotificationType"],
            monitor_id=row.get("variableMonitoringId"),
            cleared=row.get("cleared", False),
            cause=row.get("cause"),
            transaction_id=row.get("transactionId", ""),
            code=row.get("techCode", ""),
            info=row.get("techInfo", ""),
            severity=row.get("severity"),
        )

    def answered(self, call: CallReceived, payload: Payload) -> None:
        """Nothing waits for these answers."""


def _part(req: Payload, *, variables: tuple[ReportedVariable, ...] = (), monitors: tuple[Monitor, ...] = ()) -> ReportPart:
    return ReportPart(req["requestId"], req["seqNo"], not req.get("tbc", False), variables, monitors)


def _reported(row: Payload) -> ReportedVariable:
    variable = variable_of(row)
    hidden = is_secret(variable.name)
    attributes = tuple(
        Attribute(
            type=one.get("type", ACTUAL),
            value=None if hidden or one.get("mutability") == "WriteOnly" else one.get("value"),
            mutability=one.get("mutability", "ReadWrite"),
            persistent=one.get("persistent", False),
            constant=one.get("constant", False),
        )
        for one in row["variableAttribute"]
    )
    found = row.get("variableCharacteristics")
    if found is None:
        return ReportedVariable(variable, attributes)
    listed = tuple(value.strip() for value in found.get("valuesList", "").split(",") if value.strip())
    characteristics = Characteristics(
        found["dataType"], found.get("unit"), found.get("minLimit"), found.get("maxLimit"), listed, found["supportsMonitoring"]
    )
    return ReportedVariable(variable, attributes, characteristics)


def _monitor(row: Payload, one: Payload) -> Monitor:
    return Monitor(
        one["id"],
        variable_of(row),
        one["type"],
        one["value"],
        one["severity"],
        one.get("transaction", False),
        one.get("eventNotificationType", ""),
    )


# -- calls ------------------------------------------------------------------------------------------------------------------


def base_report(request_id: int, base: BaseReport) -> Call:
    return Call("GetBaseReport", {"requestId": request_id, "reportBase": base.value})


def custom_report(request_id: int, criteria: Sequence[str], variables: Sequence[Variable]) -> Call:
    """Components that meet all criteria, or variables (those without a name: a whole component)."""
    return Call("GetReport", _filtered(request_id, "componentCriteria", criteria, variables))


def monitoring_report(request_id: int, criteria: Sequence[str], variables: Sequence[Variable]) -> Call:
    return Call("GetMonitoringReport", _filtered(request_id, "monitoringCriteria", criteria, variables))


def _filtered(request_id: int, name: str, criteria: Sequence[str], variables: Sequence[Variable]) -> Payload:
    payload: Payload = {"requestId": request_id}
    if criteria:
        payload[name] = list(criteria)
    if variables:
        payload["componentVariable"] = [on_wire(variable) for variable in variables]
    return payload


def monitoring_base(base: MonitoringBase) -> Call:
    return Call("SetMonitoringBase", {"monitoringBase": base.value})


def monitoring_level(severity: int) -> Call:
    """Only what is as severe as this, or more, shall be told."""
    return Call("SetMonitoringLevel", {"severity": severity})
