"""A station's configuration keys (OCPP 1.6 §9) with what may be written to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_SAMPLED = ("Power.Active.Import", "Energy.Active.Import.Register", "SoC", "Temperature")
_EXPORT = ("Power.Active.Export", "Energy.Active.Export.Register")


@dataclass(slots=True)
class _Key:
    value: str
    check: Callable[[str], bool] | None = None  # None: read-only


def _whole(least: int = 0, most: int = 2**31 - 1) -> Callable[[str], bool]:
    return lambda text: text.isascii() and text.isdecimal() and least <= int(text) <= most


def _boolean(text: str) -> bool:
    return text.lower() in ("true", "false")


def _measurands(text: str) -> bool:
    return all(name in (*_SAMPLED, *_EXPORT) for name in text.split(",")) if text else True


class Configuration:
    """Key → value, as text on the wire. ``rate_units``: what ``ChargingScheduleAllowedChargingRateUnit`` says."""

    def __init__(self, *, connectors: int, rate_units: Sequence[str]) -> None:
        units = {"A": "Current", "W": "Power"}
        self._keys = {
            "AllowOfflineTxForUnknownId": _Key("true", _boolean),
            "AuthorizeRemoteTxRequests": _Key("false"),
            "ClockAlignedDataInterval": _Key("0", _whole(0, 0)),
            "ConnectionTimeOut": _Key("120", _whole()),
            "GetConfigurationMaxKeys": _Key("50"),
            "HeartbeatInterval": _Key("300", _whole(1)),
            "LocalAuthorizeOffline": _Key("true", _boolean),
            "LocalPreAuthorize": _Key("false", _boolean),
            "MeterValuesAlignedData": _Key("", _measurands),
            "MeterValuesSampledData": _Key(",".join(_SAMPLED), _measurands),
            "MeterValueSampleInterval": _Key("60", _whole(0, 86_400)),
            "NumberOfConnectors": _Key(str(connectors)),
            "ResetRetries": _Key("1", _whole()),
            "ConnectorPhaseRotation": _Key("NotApplicable"),
            "StopTransactionOnEVSideDisconnect": _Key("true"),
            "StopTransactionOnInvalidId": _Key("true"),
            "StopTxnAlignedData": _Key("", _measurands),
            "StopTxnSampledData": _Key("", _measurands),
            "SupportedFeatureProfiles": _Key("Core,SmartCharging,RemoteTrigger"),
            "TransactionMessageAttempts": _Key("3", _whole(1)),
            "TransactionMessageRetryInterval": _Key("10", _whole()),
            "UnlockConnectorOnEVSideDisconnect": _Key("true"),
            "WebSocketPingInterval": _Key("0", _whole()),
            "ChargeProfileMaxStackLevel": _Key("8"),
            "ChargingScheduleAllowedChargingRateUnit": _Key(",".join(units[unit] for unit in rate_units)),
            "ChargingScheduleMaxPeriods": _Key("24"),
            "ConnectorSwitch3to1PhaseSupported": _Key("false"),
            "CustomDisplayCostAndPrice": _Key("true"),
            "MaxChargingProfilesInstalled": _Key("16"),
        }

    def number(self, key: str) -> int:
        return int(self._keys[key].value)

    def listed(self, key: str) -> frozenset[str]:
        return frozenset(self._keys[key].value.split(","))

    def read(self, keys: Sequence[str] | None) -> tuple[list[dict[str, Any]], list[str]]:
        """Known keys as KeyValue dicts, and those asked for that are unknown (§5.8; none asked for means all)."""
        wanted = list(keys) if keys else list(self._keys)
        known = [{"key": k, "readonly": self._keys[k].check is None, "value": self._keys[k].value} for k in wanted if k in self._keys]
        return known, [k for k in wanted if k not in self._keys]

    def change(self, key: str, value: str) -> str:
        """Set a key; returns the ConfigurationStatus (§7.21)."""
        entry = self._keys.get(key)
        if entry is None:
            return "NotSupported"
        if entry.check is None or not entry.check(value):
            return "Rejected"
        entry.value = value
        return "Accepted"
