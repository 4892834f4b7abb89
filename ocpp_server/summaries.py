"""One line on a frame, for people. Values come unchecked from the wire: only strings and numbers are shown, and cut.

What goes in has passed :mod:`ocpp_server.redaction`: nothing here has to know what is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LARGE = 1e18


def summary(action: str, payload: Mapping[str, Any]) -> str:
    """One line on a call."""
    match action:
        case "MeterValues":
            return f"connector {_short(payload.get('connectorId', payload.get('evseId')))}: {_values(payload.get('meterValue'))}"
        case "TransactionEvent":
            return _event(payload)
        case "StatusNotification" if "connectorStatus" in payload:
            return f"EVSE {_short(payload.get('evseId'))}/{_short(payload.get('connectorId'))}: {_short(payload['connectorStatus'])}"
        case "StatusNotification":
            error = payload.get("errorCode")
            tail = "" if error == "NoError" else f", {_short(error)}"
            return f"connector {_short(payload.get('connectorId'))}: {_short(payload.get('status'))}{tail}"
        case "StartTransaction":
            tag = _short(payload.get("idTag"))
            return f"connector {_short(payload.get('connectorId'))}, tag {tag}, meter {_short(payload.get('meterStart'))}"
        case "StopTransaction":
            reason = _short(payload.get("reason", "Local"))
            return f"transaction {_short(payload.get('transactionId'))}, meter {_short(payload.get('meterStop'))}, {reason}"
        case "BootNotification" if isinstance(box := payload.get("chargingStation"), dict):
            return " ".join(_short(box.get(key, "")) for key in ("vendorName", "model", "firmwareVersion")).strip()
        case "BootNotification":
            return " ".join(_short(payload.get(key, "")) for key in ("chargePointVendor", "chargePointModel", "firmwareVersion")).strip()
        case "Authorize":
            return f"tag {_short(payload.get('idTag', _token(payload)))}"
        case "RequestStartTransaction":
            return f"EVSE {_short(payload.get('evseId'))}, tag {_short(_token(payload))}{_profile(payload.get('chargingProfile'))}"
        case "RemoteStartTransaction":
            profile = _profile(payload.get("chargingProfile"))
            return f"connector {_short(payload.get('connectorId'))}, tag {_short(payload.get('idTag'))}{profile}"
        case "SetChargingProfile" if "evseId" in payload:
            return f"EVSE {_short(payload['evseId'])}{_profile(payload.get('chargingProfile'))}"
        case "SetChargingProfile":
            return f"connector {_short(payload.get('connectorId'))}{_profile(payload.get('csChargingProfiles'))}"
        case "ChangeConfiguration":
            return f"{_short(payload.get('key'))} = {_short(payload.get('value'))}"
        case "GetVariables" | "SetVariables":
            return _variables(payload.get("getVariableData", payload.get("setVariableData")))
        case "GetConfiguration" | "DataTransfer" | "Heartbeat":
            return ""
    return ", ".join(f"{key} {_short(value)}" for key, value in list(payload.items())[:4] if isinstance(value, str | int | float))


def answer_summary(payload: Mapping[str, Any]) -> str:
    """One line on an answer: its status, its transaction."""
    parts = [_short(payload["status"])] if "status" in payload else []
    info = payload.get("idTagInfo")
    if isinstance(info, dict):
        parts.append(_short(info.get("status")))
    if "transactionId" in payload:
        parts.append(f"transaction {_short(payload['transactionId'])}")
    return ", ".join(parts)


def _short(value: object) -> str:
    if isinstance(value, str):
        return value if len(value) <= 40 else f"{value[:39]}…"
    return str(value) if isinstance(value, int | float) and abs(value) < _LARGE else "?"


def _values(entries: object) -> str:
    if not isinstance(entries, list) or not entries or not isinstance(entries[-1], dict):
        return "no values"
    values = entries[-1].get("sampledValue")
    if not isinstance(values, list):
        return "no values"
    shown = [
        f"{_short(v.get('measurand', 'Energy')).partition('.')[0]} {_short(v.get('value'))} {_short(_unit(v))}".rstrip()
        for v in values[:3]
        if isinstance(v, dict)
    ]
    return ", ".join(shown) + (f" and {len(entries) - 1} older" if len(entries) > 1 else "")


def _unit(value: Mapping[str, Any]) -> object:
    said = value.get("unitOfMeasure")
    return said.get("unit", "") if isinstance(said, dict) else value.get("unit", "")


def _event(payload: Mapping[str, Any]) -> str:
    """A TransactionEvent: what, of which transaction, why, in which state."""
    info, evse = payload.get("transactionInfo"), payload.get("evse")
    parts = [f"{_short(payload.get('eventType'))} {_short(payload.get('seqNo'))}, {_short(payload.get('triggerReason'))}"]
    if isinstance(info, dict):
        parts += [_short(info[key]) for key in ("transactionId", "chargingState", "stoppedReason") if key in info]
    if isinstance(evse, dict):
        parts.append(f"EVSE {_short(evse.get('id'))}")
    if "idToken" in payload:
        parts.append(f"tag {_short(_token(payload))}")
    if "meterValue" in payload:
        parts.append(_values(payload["meterValue"]))
    return ", ".join(parts)


def _token(payload: Mapping[str, Any]) -> object:
    token = payload.get("idToken")
    return token.get("idToken") if isinstance(token, dict) else None


def _variables(data: object) -> str:
    """Names only: a value may be a secret."""
    rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    names = [part.get("name") for row in rows if isinstance(part := row.get("variable"), dict)]
    return ", ".join(_short(name) for name in names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _profile(profile: object) -> str:
    """Purpose, limit and end of a profile of ours; nothing for what else may stand there."""
    if isinstance(profile, dict) and isinstance(schedules := profile.get("chargingSchedule"), list) and schedules:
        profile = {**profile, "chargingSchedule": schedules[0]}
    match profile:
        case {
            "chargingProfilePurpose": str(purpose),
            "chargingSchedule": {"chargingRateUnit": str(unit), "chargingSchedulePeriod": [{"limit": limit}]},
            **rest,
        }:
            until = rest.get("validTo")
            tail = f" until {until[11:19]} UTC" if isinstance(until, str) else ""
            return f": {_short(purpose)} {_short(limit)} {_short(unit)}{tail}"
    return ""
