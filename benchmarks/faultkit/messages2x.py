"""One message of every kind that a station of 2.0.1 or 2.1 sends, made from the norm's own schemas; and those that matter most
as stations write them."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

STAMP = "2026-11-21T12:00:00.000Z"
FOLDERS = {"2.0.1": "v201", "2.1": "v21"}
DEEPEST = 6
EVSE = {"id": 1, "connectorId": 1}
VALUE = {"value": 7000.5, "context": "Sample.Periodic", "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W"}}
SIGNED = {"signedMeterData": "AAEC", "signingMethod": "ECDSA-secp256r1-SHA256", "encodingMethod": "OCMF", "publicKey": "AA=="}
METER = [{"timestamp": STAMP, "sampledValue": [VALUE, {"value": 1234.5, "signedMeterValue": SIGNED}]}]
TOKEN = {"idToken": "ABCDEF01", "type": "ISO14443"}
_EVENT = {"timestamp": STAMP, "transactionInfo": {"transactionId": "tx-1", "chargingState": "Charging"}, "evse": EVSE, "meterValue": METER}
WRITTEN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("TransactionEvent", {**_EVENT, "eventType": "Started", "triggerReason": "Authorized", "seqNo": 0, "idToken": TOKEN}),
    ("TransactionEvent", {**_EVENT, "eventType": "Updated", "triggerReason": "MeterValuePeriodic", "seqNo": 1}),
    ("TransactionEvent", {**_EVENT, "eventType": "Updated", "triggerReason": "Deauthorized", "seqNo": 2, "offline": True}),
    ("TransactionEvent", {**_EVENT, "eventType": "Ended", "triggerReason": "EVDeparted", "seqNo": 3}),
    ("StatusNotification", {"timestamp": STAMP, "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}),
    ("MeterValues", {"evseId": 1, "meterValue": METER}),
    ("Authorize", {"idToken": TOKEN}),
    ("RequestStartTransaction", {"idToken": TOKEN, "remoteStartId": 1}),
    ("Invented", {"some": [{"thing": EVSE}]}),
)
NEVER_SENT = frozenset({"Clear", "Set", "Get", "Request", "Cancel", "Change", "Unlock", "Update", "Use", "Reset", "Reserve", "Install"})
"""How the names of what the central system asks begin; bent frames of these are answered as well, but they say little."""


@cache
def messages(version: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    """(action, payload) of every request that stations of ``version`` send, and of those in :data:`WRITTEN`."""
    found = find_spec("ocpp")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0]) / FOLDERS[version] / "schemas"
    made = list(WRITTEN)
    for path in sorted(folder.glob("*Request.json")):
        action = path.stem.removesuffix("Request")
        if not any(action.startswith(word) for word in NEVER_SENT) or action in ("Get15118EVCertificate", "GetCertificateStatus"):
            schema = json.loads(path.read_text(encoding="utf-8-sig"))
            made.append((action, _value(schema, schema, 0)))
    return tuple(made)


def _value(part: dict[str, Any], root: dict[str, Any], depth: int) -> Any:
    """A value that keeps the schema, with everything in it that it may have."""
    if "$ref" in part:
        part = root["definitions"][part["$ref"].rpartition("/")[2]]
    if "enum" in part:
        return part["enum"][0]
    match part.get("type"):
        case "object":
            required = part.get("required", ())
            wanted = {key: inner for key, inner in part.get("properties", {}).items() if key in required or depth < DEEPEST}
            return {key: _value(inner, root, depth + 1) for key, inner in wanted.items() if key != "customData"}
        case "array":
            return [_value(part["items"], root, depth + 1)]
        case "integer" | "number":
            return max(1, part.get("minimum", 1))
        case "boolean":
            return True
    return STAMP if part.get("format") == "date-time" else "a"[: part.get("maxLength", 1)]
