"""What a station is told for a transfer, by its OCPP version, and what its answer means. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from depot import files as fl
from depot.commands import FetchLog, PublishFirmware, UpdateFirmware
from depot.files import Image, TransferKind
from depot.values import InvalidValue, Outcome
from ocpp_server.reply import NEVER_LEFT, Reply
from ocpp_server.skew import wire_time
from ocpp_server.version import Version

Call = tuple[str, dict[str, Any]]


def update_call(version: Version, number: int, image: Image, order: UpdateFirmware, *, url: str, at: datetime) -> Call:
    """UpdateFirmware (1.6 §5.18), SignedUpdateFirmware for a signed image (security whitepaper), UpdateFirmware of 2.0.1. Raises
    :class:`~depot.values.InvalidValue` for what the version does not have."""
    again = _again(order.retries, order.retry_interval_s)
    firmware = {"location": url, "retrieveDateTime": wire_time(at)}
    if order.install_at is not None:
        if version is Version.V16 and not image.signed:
            raise InvalidValue("a time to install belongs to signed images and to OCPP 2.x: a plain update of 1.6 installs at once")
        firmware["installDateTime"] = wire_time(order.install_at)
    if image.signed:
        firmware |= {"signingCertificate": image.certificate, "signature": image.signature}
    if version is Version.V16:
        if image.signed:
            return "SignedUpdateFirmware", {"requestId": number, "firmware": firmware, **again}
        return "UpdateFirmware", {"location": url, "retrieveDate": wire_time(at), **again}
    return "UpdateFirmware", {"requestId": number, "firmware": firmware, **again}


def publish_call(version: Version, number: int, order: PublishFirmware, *, url: str, checksum: str) -> Call:
    """PublishFirmware (2.0.1 L03). ``checksum``: MD5 of the image, hex."""
    if version is Version.V16:
        raise InvalidValue("OCPP 1.6 has no local controller that publishes firmware")
    payload = {"requestId": number, "location": url, "checksum": checksum}
    return "PublishFirmware", payload | _again(order.retries, order.retry_interval_s)


def unpublish_call(version: Version, checksum: str) -> Call:
    """UnpublishFirmware (2.0.1 L04)."""
    if version is Version.V16:
        raise InvalidValue("OCPP 1.6 has no local controller that publishes firmware")
    return "UnpublishFirmware", {"checksum": checksum}


def log_call(version: Version, number: int, order: FetchLog, *, url: str) -> Call:
    """GetDiagnostics (1.6 §5.9), GetLog (security whitepaper, 2.0.1)."""
    again = _again(order.retries, order.retry_interval_s)
    if version is Version.V16 and order.kind is TransferKind.DIAGNOSTICS:
        span = {"startTime": order.since, "stopTime": order.until}
        return "GetDiagnostics", {"location": url, **{k: wire_time(at) for k, at in span.items() if at is not None}, **again}
    span = {"oldestTimestamp": order.since, "latestTimestamp": order.until}
    log = {"remoteLocation": url, **{k: wire_time(at) for k, at in span.items() if at is not None}}
    kind = "SecurityLog" if order.kind is TransferKind.SECURITY else "DiagnosticsLog"
    return "GetLog", {"logType": kind, "requestId": number, "log": log, **again}


def answer_of(reply: Reply) -> tuple[str, str, str]:
    """(state, detail, file name) of a transfer after the station's answer."""
    said = str(reply.payload.get("status", ""))
    name = str(reply.payload.get("fileName") or reply.payload.get("filename") or "")[:80]
    if reply.outcome is Outcome.ACCEPTED or said == "AcceptedCanceled":
        return fl.ACCEPTED, said if said != "Accepted" else "", name
    if reply.outcome in (Outcome.REFUSED, Outcome.UNSUPPORTED):
        return fl.REFUSED, said or reply.code, name
    if reply.outcome is Outcome.OFFLINE or reply.code in NEVER_LEFT:
        return fl.NOT_SENT, "the station is not connected", name
    if reply.outcome is Outcome.ERROR:
        return fl.REFUSED, reply.code, name
    return fl.UNANSWERED, reply.code or "no answer in time; it may do it all the same", name


def _again(retries: int | None, interval_s: int | None) -> dict[str, int]:
    return {name: value for name, value in (("retries", retries), ("retryInterval", interval_s)) if value is not None}
