"""What a central system may ask of a station, by version, and what an answer could change of what the depot counts with.

    (action, payload) --check_call--> payload, or PayloadViolation
                      --effect_of--> Effect: which connectors, and in which way

The depot sends its own calls knowing what they do. A call that a person makes up is checked by these tables before it
leaves: what could let power flow that nobody has counted must be counted first (invariant 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import fastjsonschema

from ocpp_server.errors import ErrorCode, PayloadViolation
from ocpp_server.schemas import Payload, validator
from ocpp_server.version import Version

CALLS_16 = frozenset(
    {
        "ChangeAvailability", "ChangeConfiguration", "ClearCache", "DataTransfer", "GetConfiguration", "RemoteStartTransaction",
        "RemoteStopTransaction", "Reset", "UnlockConnector",
        "GetDiagnostics", "UpdateFirmware",
        "GetLocalListVersion", "SendLocalList",
        "CancelReservation", "ReserveNow",
        "ClearChargingProfile", "GetCompositeSchedule", "SetChargingProfile",
        "TriggerMessage",
        "CertificateSigned", "DeleteCertificate", "ExtendedTriggerMessage", "GetInstalledCertificateIds", "GetLog",
        "InstallCertificate", "SignedUpdateFirmware",
    }
)  # fmt: skip
"""OCPP 1.6 §5 (operations initiated by the central system) and the security whitepaper."""

CALLS_201 = frozenset(
    {
        "CancelReservation", "CertificateSigned", "ChangeAvailability", "ClearCache", "ClearChargingProfile", "ClearDisplayMessage",
        "ClearVariableMonitoring", "CostUpdated", "CustomerInformation", "DataTransfer", "DeleteCertificate", "GetBaseReport",
        "GetChargingProfiles", "GetCompositeSchedule", "GetDisplayMessages", "GetInstalledCertificateIds", "GetLocalListVersion",
        "GetLog", "GetMonitoringReport", "GetReport", "GetTransactionStatus", "GetVariables", "InstallCertificate", "PublishFirmware",
        "RequestStartTransaction", "RequestStopTransaction", "ReserveNow", "Reset", "SendLocalList", "SetChargingProfile",
        "SetDisplayMessage", "SetMonitoringBase", "SetMonitoringLevel", "SetNetworkProfile", "SetVariableMonitoring", "SetVariables",
        "TriggerMessage", "UnlockConnector", "UnpublishFirmware", "UpdateFirmware",
    }
)  # fmt: skip
CALLS_21 = CALLS_201 | frozenset(
    {
        "AFRRSignal", "AdjustPeriodicEventStream", "ChangeTransactionTariff", "ClearDERControl", "ClearTariffs", "GetDERControl",
        "GetPeriodicEventStream", "GetTariffs", "NotifyAllowedEnergyTransfer", "NotifyWebPaymentStarted", "RequestBatterySwap",
        "SetDERControl", "SetDefaultTariff", "UpdateDynamicSchedule", "UsePriorityCharging",
    }
)  # fmt: skip
ABOVE_OURS = frozenset({"TxProfile", "TxDefaultProfile", "PriorityCharging", "LocalGeneration"})
"""Purposes of charging profiles that can stand above the depot's own, or (local generation, 2.1) add to what they allow."""
CALLS = {Version.V16: CALLS_16, Version.V201: CALLS_201, Version.V21: CALLS_21}

BY_ITSELF = frozenset(
    {
        "localauthorizeoffline", "localpreauthorize", "allowofflinetxforunknownid",
        "authctrlr.localauthorizeoffline", "authctrlr.localpreauthorize", "authctrlr.offlinetxforunknownidenabled",
        "txctrlr.txbeforeacceptedenabled",
    }
)  # fmt: skip
"""Keys and variables (small letters) that let a station start a session without the depot, where they are true."""
_FREE_VEND = ("freevend", "freemode", "freecharge")


class Change(StrEnum):
    """In which way a call could change what the depot counts with."""

    PROFILES = "profiles"
    """Profiles that the depot did not make stand on the station, or its own are gone."""
    START = "start"
    """A session may begin."""
    ENABLE = "enable"
    """A connector that was out of service may charge again."""
    AUTONOMY = "autonomy"
    """The station may start sessions by itself."""


@dataclass(frozen=True, slots=True)
class HandProfile:
    """A charging profile that a call would install. ``number`` 0: on the whole station."""

    number: int
    profile_id: int
    purpose: str
    stack_level: int

    @property
    def may_raise(self) -> bool:
        """Whether it could stand above the depot's own: a profile of the whole station only lowers (1.6 §3.13.1)."""
        return self.purpose in ABOVE_OURS


@dataclass(frozen=True, slots=True)
class Effect:
    """``number``: of the connector; 0: any of the station's. ``profile``: what it would install. ``clears``: the id of the
    profile that it would remove, 0 for all that match. ``operative``: whether the connectors are in service afterwards; None: it
    changes nothing of that, or only of one plug of an EVSE, which may have another."""

    changes: frozenset[Change] = frozenset()
    number: int = 0
    profile: HandProfile | None = None
    clears: int | None = None
    operative: bool | None = None


def check_call(action: str, payload: Payload, version: Version) -> None:
    """Refuse a call that the version does not have, or that breaks its schema. Raises :class:`PayloadViolation`."""
    known = CALLS[version]
    if action not in known:
        nearest = next((name for name in sorted(known) if name.lower() == action.lower()), None)
        hint = f"did you mean {nearest}?" if nearest else f"it has {', '.join(sorted(known))}"
        raise PayloadViolation(ErrorCode.NOT_IMPLEMENTED, f"OCPP {version.value} has no call {action[:50]!r} to a station; {hint}")
    try:
        validator(action, version)(payload)
    except fastjsonschema.JsonSchemaValueException as broken:
        raise PayloadViolation(ErrorCode.FORMATION_VIOLATION, broken.message.replace("data", action, 1)[:400]) from None


def effect_of(action: str, payload: Payload) -> Effect:
    """What a checked call could change, should the station carry it out."""
    number: int = payload.get("connectorId") or payload.get("evseId") or 0
    match action:
        case "SetChargingProfile":
            profile = payload.get("csChargingProfiles") or payload.get("chargingProfile") or {}
            return Effect(frozenset({Change.PROFILES}), number, _profile(number, profile))
        case "ClearChargingProfile":
            profile_id = payload.get("id", payload.get("chargingProfileId", 0))
            criteria = payload.get("chargingProfileCriteria", {})
            return Effect(frozenset({Change.PROFILES}), number or criteria.get("evseId", 0), clears=profile_id)
        case "RemoteStartTransaction" | "RequestStartTransaction":
            profile = payload.get("chargingProfile")
            changes = {Change.START, Change.PROFILES} if profile else {Change.START}
            return Effect(frozenset(changes), number, _profile(number, profile) if profile else None)
        case "ChangeAvailability":
            operative = "Operative" in (payload.get("type"), payload.get("operationalStatus"))
            evse = payload.get("evse", {})
            known = None if "connectorId" in evse else operative
            return Effect(frozenset({Change.ENABLE}) if operative else frozenset(), evse.get("id", number), operative=known)
        case "UpdateDynamicSchedule" | "AFRRSignal" | "SetDERControl" | "ClearDERControl":
            return Effect(frozenset({Change.PROFILES}))  # what a profile that stands there says, on whichever connector
        case "UsePriorityCharging" if payload.get("activate"):
            return Effect(frozenset({Change.PROFILES}))
        case "RequestBatterySwap":
            return Effect(frozenset({Change.START}))  # a battery that is put in is charged
        case "ChangeConfiguration":
            return _autonomy([(str(payload.get("key", "")), str(payload.get("value", "")))])
        case "SetVariables":
            rows = payload.get("setVariableData", ())
            return _autonomy([(f"{r['component']['name']}.{r['variable']['name']}", str(r.get("attributeValue", ""))) for r in rows])
    return Effect()


def _profile(number: int, profile: dict[str, Any]) -> HandProfile:
    return HandProfile(
        number,
        profile.get("chargingProfileId", profile.get("id", 0)),
        profile.get("chargingProfilePurpose", ""),
        profile.get("stackLevel", 0),
    )


def _autonomy(pairs: list[tuple[str, str]]) -> Effect:
    for name, value in pairs:
        key = name.strip().lower()
        if value.strip().lower() in ("true", "1") and (key in BY_ITSELF or key.startswith(_FREE_VEND)):
            return Effect(frozenset({Change.AUTONOMY}))
    return Effect()
