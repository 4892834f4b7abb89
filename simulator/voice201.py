"""What a station says in OCPP 2.0.1: one TransactionEvent after the other tells a session's whole life.

The station names its transactions (a UUID made from its own name and the moment) and numbers their events; the plain
StatusNotification only knows whether a connector is occupied, the charging state is the transaction's.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from ocpp.v16.enums import ChargePointStatus as Status
from ocpp.v201 import call

from simulator.device_model import DeviceModel, Monitors
from simulator.link import Link, StationSide, wire_time
from simulator.link201 import Link201
from simulator.session import Session
from simulator.told201 import Told
from simulator.variables import Variables
from simulator.voice import Build, Values
from simulator.wire import Wire

_PLUGGED = frozenset({Status.preparing, Status.charging, Status.suspended_ev, Status.suspended_evse, Status.finishing})
_STATES = {Status.charging: "Charging", Status.suspended_ev: "SuspendedEV", Status.suspended_evse: "SuspendedEVSE"}
_REASONS = {"HardReset": "ImmediateReset", "SoftReset": "ImmediateReset", "UnlockCommand": "Other"}
"""Reasons of 1.6 that have another name; the others are the same."""
_TRIGGERS = {
    "EVDisconnected": "EVCommunicationLost",
    "Remote": "RemoteStop",
    "DeAuthorized": "Deauthorized",
    "HardReset": "ResetCommand",
    "SoftReset": "ResetCommand",
    "UnlockCommand": "UnlockCommand",
}
_CONTEXTS = {"Trigger": "Trigger", "Sample.Periodic": "MeterValuePeriodic"}
REGISTER = "Energy.Active.Import.Register"


class Voice201:
    """OCPP 2.0.1 with a TxStartPoint of ``EVConnected`` (``starts_at_plug``) or ``Authorized``."""

    subprotocol = "ocpp2.0.1"
    names_transactions = True
    machine: ClassVar[tuple[str, str]] = ("YW-2", "2.0.3")
    speaks: ClassVar[type[Link201]] = Link201

    def __init__(self, *, starts_at_plug: bool, unlabelled: bool = False) -> None:
        self.starts_at_plug = starts_at_plug
        self._unlabelled = unlabelled
        self._monitors: Monitors | None = None
        self._told = Told()

    def link(self, station: StationSide, wire: Wire, *, message_id: Callable[[], str], answer_s: Callable[[], float] | None) -> Link:
        variables = Variables(station.configuration, starts_at_plug=self.starts_at_plug)
        model = DeviceModel(variables, evses=station.configuration.number("NumberOfConnectors"), machine=self.machine)
        self._monitors = self._monitors or Monitors(model, variables)
        return self.speaks(
            station, wire, message_id=message_id, answer_s=answer_s, variables=variables, model=model, monitors=self._monitors,
            told=self._told,
        )  # fmt: skip

    def boot(self, station_id: str) -> Any:
        model, firmware = self.machine
        box = {"vendor_name": "Yardworks", "model": model, "serial_number": f"SN-{station_id}"[:25], "firmware_version": firmware}
        return call.BootNotification(charging_station=box, reason="PowerUp")

    def heartbeat(self) -> Any:
        return call.Heartbeat()

    def authorize(self, tag: str) -> Any:
        self._told.saw(tag)
        return call.Authorize(id_token=_token(tag))

    def permits(self, answer: Any) -> bool:
        return answer.id_token_info is None or bool(answer.id_token_info["status"] == "Accepted")

    def shows(self, before: Status, after: Status) -> bool:
        return _shown(before) != _shown(after)

    def status(self, connector: int, status: Status, at: str) -> Build:
        said = call.StatusNotification(timestamp=at, connector_status=_shown(status), evse_id=connector, connector_id=1 if connector else 0)
        return lambda: said

    def named(self, session: Session, station_id: str) -> None:
        moment = f"{station_id}/{session.connector}/{session.started_at.isoformat()}"
        session.transaction_id = str(uuid.uuid5(uuid.NAMESPACE_URL, moment))

    def started(self, session: Session, *, offline: bool) -> Build:
        why = "CablePluggedIn" if session.id_tag is None else "RemoteStart" if session.remote else "Authorized"
        session.state = "EVConnected"
        began = wire_time(session.started_at)
        values = [_entry(began, self._register(session.meter_start, "Transaction.Begin"))]
        return self._event(session, "Started", why, began, offline=offline, values=values, token=True)

    def confirmed(self, session: Session, answer: Any) -> None:
        """The session has its name already."""

    def authorised(self, session: Session, at: str, *, offline: bool) -> Build:
        return self._event(session, "Updated", "RemoteStart" if session.remote else "Authorized", at, offline=offline, token=True)

    def changed(self, session: Session, status: Status, at: str, *, offline: bool) -> Build | None:
        state = _STATES.get(status, "EVConnected")
        if state == session.state:
            return None
        session.state = state
        return self._event(session, "Updated", "ChargingStateChanged", at, offline=offline)

    def sampled(self, connector: int, session: Session | None, values: Values, at: str, *, context: str, offline: bool) -> Build | None:
        sampled = [_value({**sample, "context": context}) for sample in values if sample["measurand"] != "Temperature"]
        values_at = [_entry(at, *sampled)] if sampled else []
        if session is not None:
            return self._event(session, "Updated", _CONTEXTS[context], at, offline=offline, values=values_at)
        if not sampled:
            return None
        said = call.MeterValues(evse_id=connector, meter_value=values_at)
        return lambda: said

    def stopped(self, session: Session, meter_stop: int, at: str, *, reason: str, offline: bool) -> Build:
        session.state = "Idle" if reason == "EVDisconnected" else "EVConnected"
        values = [
            _entry(wire_time(session.started_at), self._register(session.meter_start, "Transaction.Begin")),
            _entry(at, self._register(meter_stop, "Transaction.End")),
        ]
        trigger = _TRIGGERS.get(reason, "AbnormalCondition")
        stopped = _REASONS.get(reason, reason)
        return self._event(session, "Ended", trigger, at, offline=offline, values=values, stopped=stopped)

    def _event(
        self,
        session: Session,
        kind: str,
        trigger: str,
        at: str,
        *,
        offline: bool,
        values: list[dict[str, Any]] | None = None,
        token: bool = False,
        stopped: str | None = None,
    ) -> Build:
        info = {"transaction_id": session.transaction_id, "charging_state": session.state, "stopped_reason": stopped}
        said = call.TransactionEvent(
            event_type=kind,
            timestamp=at,
            trigger_reason=trigger,
            seq_no=session.events,
            transaction_info={key: value for key, value in info.items() if value is not None},
            meter_value=values or None,
            offline=True if offline else None,
            evse={"id": session.connector, "connector_id": 1} if kind == "Started" else None,
            id_token=_token(session.id_tag) if token and session.id_tag is not None else None,
        )
        session.events += 1
        return lambda: said

    def _register(self, reading: int, context: str) -> dict[str, Any]:
        value = {"value": str(reading), "measurand": REGISTER, "context": context}
        return _value(value if self._unlabelled else {**value, "unit": "Wh"})


def _entry(at: str, *values: dict[str, Any]) -> dict[str, Any]:
    """One MeterValue."""
    return {"timestamp": at, "sampled_value": list(values)}


def _shown(status: Status) -> str:
    return "Occupied" if status in _PLUGGED else str(status.value)


def _token(tag: str) -> dict[str, str]:
    return {"id_token": tag, "type": "ISO14443"}


def _value(sample: dict[str, str]) -> dict[str, Any]:
    """A sampled value of 1.6 as 2.0.1 writes it."""
    value: dict[str, Any] = {key: sample[key] for key in ("context", "measurand", "location", "phase") if key in sample}
    value["value"] = float(sample["value"])
    if "unit" in sample:
        value["unit_of_measure"] = {"unit": sample["unit"]}
    return value
