"""A 2.0.1 station's device model: its configuration under the names of components and variables.

Behind most variables stands the key that a 1.6 station has for the same thing (:mod:`simulator.configuration`), so that
a station behaves alike in both versions; the others say what this kind of station is.
"""

from __future__ import annotations

from typing import Any

from simulator.configuration import Configuration

GET_AT_ONCE, SET_AT_ONCE = 8, 4
_Name = tuple[str, str, str]

_KEYS: dict[_Name, str] = {
    ("AuthCtrlr", "AuthorizeRemoteStart", ""): "AuthorizeRemoteTxRequests",
    ("AuthCtrlr", "LocalAuthorizeOffline", ""): "LocalAuthorizeOffline",
    ("AuthCtrlr", "LocalPreAuthorize", ""): "LocalPreAuthorize",
    ("AuthCtrlr", "OfflineTxForUnknownIdEnabled", ""): "AllowOfflineTxForUnknownId",
    ("OCPPCommCtrlr", "HeartbeatInterval", ""): "HeartbeatInterval",
    ("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"): "TransactionMessageAttempts",
    ("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent"): "TransactionMessageRetryInterval",
    ("SampledDataCtrlr", "TxUpdatedInterval", ""): "MeterValueSampleInterval",
    ("SampledDataCtrlr", "TxUpdatedMeasurands", ""): "MeterValuesSampledData",
    ("SmartChargingCtrlr", "Entries", "ChargingProfiles"): "MaxChargingProfilesInstalled",
    ("SmartChargingCtrlr", "PeriodsPerSchedule", ""): "ChargingScheduleMaxPeriods",
    ("SmartChargingCtrlr", "ProfileStackLevel", ""): "ChargeProfileMaxStackLevel",
    ("SmartChargingCtrlr", "RateUnit", ""): "ChargingScheduleAllowedChargingRateUnit",
    ("TxCtrlr", "EVConnectionTimeOut", ""): "ConnectionTimeOut",
    ("TxCtrlr", "StopTxOnEVSideDisconnect", ""): "StopTransactionOnEVSideDisconnect",
    ("TxCtrlr", "StopTxOnInvalidId", ""): "StopTransactionOnInvalidId",
}
_REGISTER = "Energy.Active.Import.Register"
_UNITS = {"Current": "A", "Power": "W"}
_NOT_IN_201 = "Temperature"


class Variables:
    """The device model over ``configuration``; names are compared without case."""

    def __init__(self, configuration: Configuration, *, starts_at_plug: bool) -> None:
        self._configuration = configuration
        fixed: dict[_Name, str] = {
            ("AuthCtrlr", "Enabled", ""): "true",
            ("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables"): str(GET_AT_ONCE),
            ("DeviceDataCtrlr", "ItemsPerMessage", "SetVariables"): str(SET_AT_ONCE),
            ("DisplayMessageCtrlr", "Available", ""): "true",
            ("DisplayMessageCtrlr", "SupportedFormats", ""): "ASCII,UTF8",
            ("DisplayMessageCtrlr", "SupportedPriorities", ""): "AlwaysFront,InFront,NormalCycle",
            ("SampledDataCtrlr", "TxEndedMeasurands", ""): _REGISTER,
            ("SampledDataCtrlr", "TxStartedMeasurands", ""): _REGISTER,
            ("SmartChargingCtrlr", "ACPhaseSwitchingSupported", ""): "false",
            ("SmartChargingCtrlr", "Available", ""): "true",
            ("SmartChargingCtrlr", "Enabled", ""): "true",
            ("TariffCostCtrlr", "Available", "Cost"): "true",
            ("TariffCostCtrlr", "Enabled", "Cost"): "true",
            ("TxCtrlr", "TxStartPoint", ""): "EVConnected" if starts_at_plug else "Authorized",
            ("TxCtrlr", "TxStopPoint", ""): "Authorized,EVConnected",
        }
        self._names = sorted((*fixed, *_KEYS))
        self._fixed = {_lower(name): value for name, value in fixed.items()}
        self._keys = {_lower(name): key for name, key in _KEYS.items()}
        self._components = {name[0] for name in (*self._fixed, *self._keys)}

    def get(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One GetVariableData, answered."""
        result = {"component": asked["component"], "variable": asked["variable"]}
        name = _name(asked)
        if asked["component"].get("evse") is not None:
            return {**result, "attribute_status": "UnknownComponent"}  # these are the station's as a whole
        if asked.get("attribute_type", "Actual") != "Actual":
            return {**result, "attribute_status": "NotSupportedAttributeType"}
        if name in self._fixed:
            return {**result, "attribute_status": "Accepted", "attribute_value": self._fixed[name]}
        if name in self._keys:
            return {**result, "attribute_status": "Accepted", "attribute_value": self._value(self._keys[name])}
        return {**result, "attribute_status": self._unknown(name)}

    def shown(self) -> list[tuple[_Name, str]]:
        """All of them with their values."""
        found = []
        for name in self._names:
            key = self._keys.get(_lower(name))
            found.append((name, self._fixed[_lower(name)] if key is None else self._value(key)))
        return found

    def key(self, asked: dict[str, Any]) -> str | None:
        """The configuration key behind the variable; None: there is none that can be written."""
        return self._keys.get(_name(asked))

    def refusal(self, asked: dict[str, Any]) -> str:
        """Why a variable without a key cannot be written."""
        name = _name(asked)
        return "Rejected" if name in self._fixed else self._unknown(name)

    def takes(self, key: str, value: str) -> bool:
        """2.0.1 knows no temperature of a vehicle."""
        return key != "MeterValuesSampledData" or _NOT_IN_201 not in value.split(",")

    def _value(self, key: str) -> str:
        value = str(self._configuration.read([key])[0][0]["value"])
        if key == "ChargingScheduleAllowedChargingRateUnit":
            return ",".join(_UNITS[unit] for unit in value.split(","))
        return ",".join(name for name in value.split(",") if name != _NOT_IN_201) if key == "MeterValuesSampledData" else value

    def _unknown(self, name: _Name) -> str:
        return "UnknownVariable" if name[0] in self._components else "UnknownComponent"


def _name(asked: dict[str, Any]) -> _Name:
    variable = asked["variable"]
    return _lower((asked["component"]["name"], variable["name"], variable.get("instance", "")))


def _lower(name: _Name) -> _Name:
    return name[0].lower(), name[1].lower(), name[2].lower()
