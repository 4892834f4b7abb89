"""Network connection profiles on the wire (OCPP 2.0.1 B09, B10 and 2.1): built for stations, read from calls that people
make up. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from depot.device_model import Variable, VariableSetting
from depot.network_profiles import NetworkProfile, without_userinfo
from ocpp_server.device_model import get_item, set_item
from ocpp_server.dialect import Call
from ocpp_server.schemas import Payload
from ocpp_server.version import Version

SET = "SetNetworkProfile"
PRIORITY: Final = Variable("OCPPCommCtrlr", "NetworkConfigurationPriority")
ACTIVE: Final = Variable("OCPPCommCtrlr", "ActiveNetworkProfile")
_OCPP_20 = "OCPP20"
"""2.0.1 names its own version so; in 2.1 the field may be left out, and the version is then what both sides agree on."""


def set_network_profile(
    version: Version,
    slot: int,
    profile: NetworkProfile,
    *,
    apn: Mapping[str, Any] | None = None,
    vpn: Mapping[str, Any] | None = None,
    password: str = "",
) -> Call:
    """SetNetworkProfile. ``apn``, ``vpn``: as the norm spells them; ``password``, the profile's ``identity``: 2.1 only."""
    data: Payload = {
        "ocppCsmsUrl": profile.url,
        "ocppInterface": profile.interface,
        "ocppTransport": "JSON",
        "messageTimeout": profile.message_timeout_s,
        "securityProfile": profile.security_profile,
    }
    if version is Version.V201:
        data["ocppVersion"] = _OCPP_20
    data |= {"apn": dict(apn)} if apn else {}
    data |= {"vpn": dict(vpn)} if vpn else {}
    data |= {"identity": profile.identity} if profile.identity else {}
    data |= {"basicAuthPassword": password} if password else {}
    return Call(SET, {"configurationSlot": slot, "connectionData": data})


def set_priority(slots: Sequence[int]) -> Call:
    """SetVariables of NetworkConfigurationPriority; the station tries its slots in this order from its next boot on."""
    return Call("SetVariables", {"setVariableData": [set_item(VariableSetting(PRIORITY, ",".join(map(str, slots))))]})


def get_priority() -> Call:
    """GetVariables of NetworkConfigurationPriority."""
    return Call("GetVariables", {"getVariableData": [get_item(PRIORITY)]})


def read_profile(payload: Mapping[str, Any]) -> tuple[int, NetworkProfile]:
    """Slot and profile of a checked SetNetworkProfile, without its secrets."""
    data = payload["connectionData"]
    profile = NetworkProfile(
        without_userinfo(data["ocppCsmsUrl"]),
        data["securityProfile"],
        data["ocppInterface"],
        data["messageTimeout"],
        data.get("apn", {}).get("apn", ""),
        data.get("vpn", {}).get("server", ""),
        data.get("identity", ""),
    )
    return payload["configurationSlot"], profile


def priority_set_by(payload: Mapping[str, Any], answer: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The priority in a SetVariables that the station took; None: there is none in it, or it was refused."""
    for asked, said in zip(payload.get("setVariableData", ()), answer.get("setVariableResult", ()), strict=False):
        if _is_priority(asked) and asked.get("attributeType", "Actual") == "Actual" and said["attributeStatus"] in _TAKEN:
            return slots_of(asked["attributeValue"])
    return None


def wanted_priority(payload: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The priority that a SetVariables would set; None: none."""
    found = [row for row in payload.get("setVariableData", ()) if _is_priority(row)]
    return slots_of(found[-1]["attributeValue"]) if found else None


def security_wanted(payload: Mapping[str, Any]) -> list[int]:
    """The security profiles that a SetVariables would give to network configurations (2.1: a component for each slot)."""
    found = []
    for row in payload.get("setVariableData", ()):
        names = str(row["component"].get("name", "")).lower(), str(row["variable"].get("name", "")).lower()
        if names == ("networkconfiguration", "securityprofile") and str(row.get("attributeValue", "")).isdecimal():
            found.append(int(row["attributeValue"]))
    return found


def priority_said(answer: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The priority in the answer to :func:`get_priority`."""
    for row in answer.get("getVariableResult", ()):
        if _is_priority(row) and row["attributeStatus"] == "Accepted":
            return slots_of(row.get("attributeValue", ""))
    return None


def priority_and_active(answer: Mapping[str, Any]) -> tuple[tuple[int, ...], int | None]:
    """What a station says of its slots: in which order it tries them, and which it came by; () and None where it does not."""
    rows = [row for row in answer.get("getVariableResult", ()) if row["attributeStatus"] == "Accepted"]
    active = [row.get("attributeValue", "") for row in rows if str(row["variable"].get("name", "")).lower() == ACTIVE.name.lower()]
    return priority_said(answer) or (), int(active[0]) if active and active[0].isdecimal() else None


def ask_slots() -> Call:
    """GetVariables of both."""
    return Call("GetVariables", {"getVariableData": [get_item(PRIORITY), get_item(ACTIVE)]})


def slots_of(text: str) -> tuple[int, ...]:
    """``1,2``: a SequenceList of slots; what is none is left out."""
    return tuple(int(part) for part in text.split(",") if part.strip().isdecimal())


_TAKEN = ("Accepted", "RebootRequired")


def _is_priority(row: Mapping[str, Any]) -> bool:
    component, variable = str(row["component"].get("name", "")), str(row["variable"].get("name", ""))
    return (component.lower(), variable.lower()) == (PRIORITY.component.lower(), PRIORITY.name.lower())
