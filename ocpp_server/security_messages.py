"""Messages of the security whitepaper (1.6) and of block A (2.0.1), in both directions; the versions differ in names only.

    station --SecurityEventNotification--> SecurityDesk.noticed     stored, then answered
    station --SignCertificate--> SecurityDesk.sign_wanted           Accepted or Rejected; when the answer is on the wire,
                                 SecurityDesk.sign_answered         the desk signs and sends CertificateSigned

Calls to stations are built here and sent by whoever orders them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from depot.ports import SecurityDesk
from ocpp_server.authority import HashData
from ocpp_server.desks import Action
from ocpp_server.dialect import Call
from ocpp_server.heard import believed_time
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.station import Station
from ocpp_server.version import Version

SIGN = "SignCertificate"
ROOT_USES: Final = ("CentralSystemRootCertificate", "ManufacturerRootCertificate")
"""What an authority's certificate is installed for at a station, in the words of 1.6."""
_USES_201: Final[Mapping[str, str]] = {
    "CentralSystemRootCertificate": "CSMSRootCertificate",
    "ManufacturerRootCertificate": "ManufacturerRootCertificate",
}


class SecurityMessages:
    """What a known station says about security: a :class:`~ocpp_server.desks.Block`."""

    def __init__(self, station: Station, desk: SecurityDesk) -> None:
        self._station = station
        self._desk = desk
        self.actions: dict[str, Action] = {
            "SecurityEventNotification": self._event,
            SIGN: self._sign,
        }

    async def _event(self, req: Payload) -> Payload:
        reported_at = believed_time(self._station, req.get("timestamp"))
        await self._desk.noticed(self._station.station_id, req["type"], req.get("techInfo", ""), reported_at)
        return {}

    async def _sign(self, req: Payload) -> Payload:
        """Of 2.0.1's certificates only that of the station itself is signed here."""
        wanted = req.get("certificateType", "ChargingStationCertificate") == "ChargingStationCertificate"
        accepted = wanted and await self._desk.sign_wanted(self._station.station_id, req["csr"])
        return {"status": "Accepted" if accepted else "Rejected"}

    def answered(self, call: CallReceived, payload: Payload) -> None:
        """The answer is on the wire: only now may CertificateSigned follow it."""
        if call.action == SIGN and payload.get("status") == "Accepted":
            self._desk.sign_answered(self._station.station_id)


def ask_to_sign(version: Version) -> Call:
    """Ask the station for a signing request for its own certificate."""
    if version is Version.V16:
        return Call("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"})
    return Call("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"})


def certificate_signed(version: Version, chain: str) -> Call:
    """Give the station the certificate that it asked for."""
    payload: Payload = {"certificateChain": chain}
    return Call("CertificateSigned", payload if version is Version.V16 else {**payload, "certificateType": "ChargingStationCertificate"})


def install(version: Version, use: str, pem: str) -> Call:
    """Let the station trust an authority. ``use``: of :data:`ROOT_USES`."""
    return Call("InstallCertificate", {"certificateType": _use(version, use), "certificate": pem})


def installed(version: Version, use: str) -> Call:
    """Ask which authorities the station trusts."""
    kind = _use(version, use)
    return Call("GetInstalledCertificateIds", {"certificateType": kind if version is Version.V16 else [kind]})


def installed_in(answer: Payload) -> list[HashData]:
    """The answer to :func:`installed`. Those with another digest than SHA-256 are given as they are."""
    entries = answer.get("certificateHashData") or [
        entry["certificateHashData"] for entry in answer.get("certificateHashDataChain", ()) if "certificateHashData" in entry
    ]
    return [HashData(entry["issuerNameHash"], entry["issuerKeyHash"], entry["serialNumber"], entry["hashAlgorithm"]) for entry in entries]


def delete(named: HashData) -> Call:
    """Let the station trust an authority no more."""
    data = {
        "hashAlgorithm": named.algorithm,
        "issuerNameHash": named.issuer_name_hash,
        "issuerKeyHash": named.issuer_key_hash,
        "serialNumber": named.serial_number,
    }
    return Call("DeleteCertificate", {"certificateHashData": data})


def change_key(version: Version, key: str) -> Call:
    """Give the station a new password. ``key``: 40 hex digits; in 1.6 they stand for 20 bytes."""
    if version is Version.V16:
        return Call("ChangeConfiguration", {"key": "AuthorizationKey", "value": key})
    variable = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}, "attributeValue": key}
    return Call("SetVariables", {"setVariableData": [variable]})


def raise_profile(profile: int) -> Call:
    """Move a 1.6 station to a higher security profile; it reconnects by it. (2.0.1 does this by network profiles.)"""
    return Call("ChangeConfiguration", {"key": "SecurityProfile", "value": str(profile)})


def changed_by(action: str, payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Configuration keys (1.6) and variables (2.0.1) that a call sets, with their values."""
    if action == "ChangeConfiguration":
        return [(str(payload.get("key")), str(payload.get("value")))]
    if action != "SetVariables":
        return []
    return [(str(row["variable"].get("name")), str(row.get("attributeValue"))) for row in payload.get("setVariableData", ())]


def _use(version: Version, use: str) -> str:
    return use if version is Version.V16 else _USES_201[use]
