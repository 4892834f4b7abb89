"""Messages of the security whitepaper (1.6) and of block A (2.0.1), in both directions; the versions differ in names only.

    station --SecurityEventNotification--> SecurityDesk.noticed     stored, then answered
    station --SignCertificate--> SecurityDesk.sign_wanted           Accepted or Rejected; when the answer is on the wire,
                                 SecurityDesk.sign_answered         the desk signs and sends CertificateSigned

Calls to stations are built here and sent by whoever orders them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from depot.ports import SecurityDesk
from depot.values import InvalidValue
from ocpp_server.authority import HashData
from ocpp_server.desks import Action
from ocpp_server.dialect import Call
from ocpp_server.heard import believed_time
from ocpp_server.schemas import Payload
from ocpp_server.session import CallReceived
from ocpp_server.station import Station
from ocpp_server.version import Version

SIGN = "SignCertificate"
CENTRAL_SYSTEM: Final = "CentralSystemRootCertificate"
"""1.6 calls it so, 2.x CSMSRootCertificate; both words are taken for both."""
CHAIN: Final = "V2GCertificateChain"
_ROOTS: Final[Mapping[Version, tuple[str, ...]]] = {
    Version.V16: (CENTRAL_SYSTEM, "ManufacturerRootCertificate"),
    Version.V201: ("CSMSRootCertificate", "ManufacturerRootCertificate", "V2GRootCertificate", "MORootCertificate"),
    Version.V21: ("CSMSRootCertificate", "ManufacturerRootCertificate", "V2GRootCertificate", "MORootCertificate", "OEMRootCertificate"),
}
ROOT_USES: Final = (CENTRAL_SYSTEM, *_ROOTS[Version.V21])
"""What an authority's certificate is installed for at a station; not every version has each."""
STATION_CERTIFICATE: Final = "ChargingStationCertificate"
V2G_CERTIFICATES: Final = ("V2GCertificate", "V2G20Certificate")
"""What a station shows to vehicles; the second is of 2.1."""
COMBINED: Final = "CombinedCertificate"
SIGNED_USES: Final = (STATION_CERTIFICATE, *V2G_CERTIFICATES, COMBINED)
"""What a station can be asked to have signed."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A certificate that a station has installed. ``use`` "": it does not say (1.6). ``children``: of a chain, from the second on."""

    named: HashData
    use: str = ""
    children: tuple[HashData, ...] = ()


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
        """2.x says what for; without that it is for all that the station does. 1.6 has only its own."""
        unsaid = STATION_CERTIFICATE if self._station.version is Version.V16 else ""
        use, number = req.get("certificateType", unsaid), req.get("requestId")
        accepted = await self._desk.sign_wanted(self._station.station_id, req["csr"], use, number)
        return {"status": "Accepted" if accepted else "Rejected"}

    def answered(self, call: CallReceived, payload: Payload) -> None:
        """The answer is on the wire: only now may CertificateSigned follow it."""
        if call.action == SIGN and payload.get("status") == "Accepted":
            self._desk.sign_answered(self._station.station_id)


def ask_to_sign(version: Version, use: str = STATION_CERTIFICATE) -> Call:
    """Ask the station for a signing request. ``use``: of :data:`SIGNED_USES`. Raises :class:`~depot.values.InvalidValue` for one
    that the version does not have."""
    known = {Version.V16: (STATION_CERTIFICATE,), Version.V201: (STATION_CERTIFICATE, V2G_CERTIFICATES[0], COMBINED)}
    if use not in known.get(version, SIGNED_USES):
        raise InvalidValue(f"{use[:64]!r} is no certificate that a station of OCPP {version.value} has signed")
    if version is Version.V16:
        return Call("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"})
    return Call("TriggerMessage", {"requestedMessage": f"Sign{use}"})


def certificate_signed(version: Version, chain: str, use: str = STATION_CERTIFICATE, number: int | None = None) -> Call:
    """Give the station the certificate that it asked for. ``use``, ``number``: as its request said; "" and None: it did not."""
    payload: Payload = {"certificateChain": chain}
    if version is Version.V16:
        return Call("CertificateSigned", payload)
    payload |= {"certificateType": use} if use else {}
    return Call("CertificateSigned", payload if number is None else {**payload, "requestId": number})


def install(version: Version, use: str, pem: str) -> Call:
    """Let the station trust an authority. ``use``: of :data:`ROOT_USES`."""
    return Call("InstallCertificate", {"certificateType": _use(version, use), "certificate": pem})


def installed(version: Version, uses: Sequence[str]) -> Call:
    """Ask what the station has installed. ``uses``: of :data:`ROOT_USES` and :data:`CHAIN`; () for all, which 1.6 does not have.
    Raises :class:`~depot.values.InvalidValue`."""
    if version is Version.V16:
        if len(uses) != 1:
            raise InvalidValue("a station of OCPP 1.6 is asked for one type of certificate at a time")
        return Call("GetInstalledCertificateIds", {"certificateType": _use(version, uses[0])})
    kinds = [use if use == CHAIN else _use(version, use) for use in uses]
    return Call("GetInstalledCertificateIds", {"certificateType": kinds} if kinds else {})


def installed_in(answer: Payload) -> list[Installed]:
    """The answer to :func:`installed`. Those with another digest than SHA-256 are given as they are."""
    chains = answer.get("certificateHashDataChain", ())
    return [Installed(_named(entry)) for entry in answer.get("certificateHashData", ())] + [
        Installed(_named(e["certificateHashData"]), e["certificateType"], tuple(map(_named, e.get("childCertificateHashData", ()))))
        for e in chains
        if "certificateHashData" in e
    ]


def _named(entry: Payload) -> HashData:
    return HashData(entry["issuerNameHash"], entry["issuerKeyHash"], entry["serialNumber"], entry["hashAlgorithm"])


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
    if action == "SetNetworkProfile":
        return [("SecurityProfile", str(payload.get("connectionData", {}).get("securityProfile")))]
    if action != "SetVariables":
        return []
    return [(str(row["variable"].get("name")), str(row.get("attributeValue"))) for row in payload.get("setVariableData", ())]


def _use(version: Version, use: str) -> str:
    """``use`` in the version's word. Raises :class:`~depot.values.InvalidValue` for one that it does not have."""
    both = (CENTRAL_SYSTEM, "CSMSRootCertificate")
    wanted = both[version is not Version.V16] if use in both else use
    if wanted not in _ROOTS[version]:
        raise InvalidValue(f"{use[:64]!r} is none of what OCPP {version.value} has: {', '.join(_ROOTS[version])}")
    return wanted
